"""The index of a run: the one that is given, or one built of the benchmark's own knowledge and kept in its folder."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ...index.files import write_text_atomically
from ...index.manifest import IndexManifest
from ...indexing import build_index
from ...processes import Processes
from ...processing.knowledge_rablip import KnowledgeItem
from ...processing.readers_records import Problem
from .store import RunMismatchError, describe_changes

__all__ = ["build_run_index"]

logger = logging.getLogger(__name__)

NUM_SHOWN = 100
_RECORD_NAME = "knowledge.json"


def build_run_index(
    folder: Path,
    read_items: Callable[[list[Problem]], Iterable[KnowledgeItem]],
    made_of: dict[str, Any],
    *,
    model: str | Path,
    processes: Processes,
    root: str | Path | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Build the index of a run, or take the one that an earlier call of the same run has left.

    Items that cannot be used are left out and counted.

    Args:
        folder: for the index and its record.
        read_items: gives the items and fills a list with what could not be read.
        made_of: what the items are, as plain values: an index of other ones is never taken.
        model: a model with a retriever.
        processes: that build it together.
        root: what picture paths of the items are relative to.
        options: further keywords of `build_index`.

    Returns:
        The record: `made_of`, `num_items`, `num_truncated`, `num_problems` and the first `problems` in words.

    Raises:
        RunMismatchError: when the folder holds the index of other items; nothing is touched.
        ValueError: when there are no items.
    """
    record_file, index = folder / _RECORD_NAME, folder / "index"
    wanted = json.loads(json.dumps(made_of))
    if record_file.is_file() and index.is_dir():
        record: dict[str, Any] = json.loads(record_file.read_text(encoding="utf-8"))
        said = describe_changes(record["made_of"], wanted)
        if said:
            raise RunMismatchError(
                f"{folder} holds the index of another run ({said}). Give another folder for this one."
            )
        IndexManifest.load(index)
        logger.info("The index of an earlier call is taken: %d items.", record["num_items"])
        return record
    problems: list[Problem] = []
    report = build_index(
        read_items(problems),
        model=model,
        out=index,
        root=root,
        on_error="skip",
        images="reference",
        device=processes.device,
        **options,
    )

    def write() -> dict[str, Any]:
        # The reader runs in the first process alone, and only there its problems are known.
        left_out = [*problems, *report.problems]
        made = {
            "made_of": wanted,
            "num_items": report.num_items,
            "num_truncated": report.num_truncated,
            "num_problems": len(left_out),
            "problems": [str(problem) for problem in left_out[:NUM_SHOWN]],
        }
        write_text_atomically(record_file, json.dumps(made, indent=2))
        return made

    return processes.lead(write)
