"""What makes a run the run that it is, beside its checkpoints: another one does not go on with them by mistake."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from transformers.trainer_utils import get_last_checkpoint
from transformers.utils import logging

from ...index.fingerprint import fingerprint_folder
from ...processing.knowledge_rablip import ImageRef
from ...retriever_source import find_retriever, fingerprint_model
from ..data.pools import TrainingPool
from ..trainers.gathering import num_processes
from .loading import StartingPoint
from .presets import Stage
from .settings import RunSettings

logger = logging.get_logger(__name__)

IDENTITY_NAME = "run.json"
_FORMAT_VERSION = 1
# Where things lie, what is logged and how the work is done: the same run with another answer gives the same model.
# (Validation questions and retriever count by what they hold; of an index the retriever's fingerprint says it all.)
_WITHOUT_EFFECT = frozenset(
    {
        "arguments",
        "feature_cache",
        "gradient_checkpointing",
        "index",
        "report_to",
        "resume",
        "retriever",
        "validation",
        "workers",
    }
)
_ARGUMENTS_WITHOUT_EFFECT = (
    "activation_checkpointing",
    "dataloader_num_workers",
    "dataloader_persistent_workers",
    "dataloader_pin_memory",
    "dataloader_prefetch_factor",
    "ddp_",
    "disable_tqdm",
    "gradient_checkpointing",
    "hub_",
    "log_",
    "logging_",
    "project",
    "push_to_hub",
    "report_to",
    "run_name",
    "save_total_limit",
    "trackio_",
    "use_cpu",
)
_SHOWN = 12  # characters of a hash


def describe_run(
    stage: Stage,
    start: StartingPoint,
    pool: TrainingPool,
    validation: TrainingPool,
    settings: RunSettings,
    model: str | Path,
    *,
    learning_rate: float,
) -> dict[str, Any]:
    """Everything that a run's result depends on, as plain data.

    Args:
        stage: the stage.
        start: what it begins with.
        pool, validation: questions and items.
        settings: how; what does not change the result is left out.
        model: where a retriever is looked for when the settings name none.
        learning_rate: the one chosen where the settings leave it open.
    """
    described: dict[str, Any] = {
        "stage": stage,
        "model": fingerprint_folder(start.folder)[:_SHOWN],
        "retriever": _describe_retriever(stage, settings, model),
        "items": _describe(pool.items.values(), pool.root),
        "questions": _describe(pool.examples, pool.root),
        "validation questions": _describe(validation.examples, validation.root),
        "processes": num_processes(),
    }
    if validation.items is not pool.items:
        described["validation items"] = _describe(validation.items.values(), validation.root)
    fields = {key: value for key, value in dataclasses.asdict(settings).items() if key not in _WITHOUT_EFFECT}
    described |= {**fields, "learning_rate": learning_rate}
    described |= {
        key: value for key, value in settings.arguments.items() if not key.startswith(_ARGUMENTS_WITHOUT_EFFECT)
    }
    # As it is read back.
    return json.loads(json.dumps(described, default=str))


def claim_checkpoints(folder: str | Path, run: Mapping[str, Any], *, resume: bool) -> str | None:
    """The checkpoint that a run goes on from; from now on the folder is this run's.

    Args:
        folder: of the checkpoints.
        run: of `describe_run`.
        resume: whether checkpoints are gone on from; otherwise those that are there are deleted, since Trainer would
            take them for later ones of this run.

    Returns:
        The last checkpoint; None where there is none, or `resume` is off.

    Raises:
        ValueError: the checkpoints are of another run; names what differs, with both values.
    """
    place = Path(folder)
    last = get_last_checkpoint(str(place)) if place.is_dir() else None
    if last is not None and resume:
        _check_same(place, run)
    elif last is not None:
        logger.warning("Training starts anew: the checkpoints in %s are deleted.", place)
        for checkpoint in place.glob("checkpoint-*"):
            shutil.rmtree(checkpoint)
        last = None
    place.mkdir(parents=True, exist_ok=True)
    written = {"format_version": _FORMAT_VERSION, "run": run}
    (place / IDENTITY_NAME).write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")
    return last


def _check_same(folder: Path, run: Mapping[str, Any]) -> None:
    file = folder / IDENTITY_NAME
    advice = "Give another --out, or start anew over them with --no-resume (`resume=False`)."
    if not file.is_file():
        raise ValueError(f"{folder} holds checkpoints, but no {IDENTITY_NAME} says what run they are of. {advice}")
    before = json.loads(file.read_text(encoding="utf-8")).get("run") or {}
    here, there = ({name: repr(value) for name, value in one.items()} for one in (run, before))
    differences = [
        f"{name} is {here.get(name, 'left open')} and was {there.get(name, 'left open')}"
        for name in dict.fromkeys([*here, *there])
        if here.get(name) != there.get(name)
    ]
    if differences:
        raise ValueError(f"{folder} holds checkpoints of another run: {'; '.join(differences)}. {advice}")


def _describe_retriever(stage: Stage, settings: RunSettings, model: str | Path) -> str | None:
    """Fingerprint of the retriever whose candidates are learned from; None where there is none beside the model."""
    if stage != "reranker" and not (stage == "generator" and (settings.noise or settings.mine_labels)):
        return None
    try:
        return fingerprint_model(find_retriever(settings.retriever or model))[:_SHOWN]
    except (FileNotFoundError, ValueError):
        return None  # the stage itself says so, and what to do


def _describe(records: Iterable[Any], root: Path | None) -> str:
    """How many items or questions there are, and a hash of what is read of them."""
    digest, count = hashlib.sha256(), 0
    for record in records:
        # Its source is for readers of the knowledge base, and may be a path of this machine.
        fields = {one.name: getattr(record, one.name) for one in dataclasses.fields(record) if one.name != "source"}
        digest.update(json.dumps(fields, default=lambda value: _plain(value, root), sort_keys=True).encode() + b"\n")
        count += 1
    return f"{count}, sha256 {digest.hexdigest()[:_SHOWN]}"


def _plain(value: Any, root: Path | None) -> Any:
    """A field as JSON can hold it; a picture file counts by name and size, since reading them all would take long."""
    if not isinstance(value, ImageRef):
        return dict(value) if isinstance(value, Mapping) else repr(value)
    if value.data is not None:
        return hashlib.sha256(value.data).hexdigest()
    file = Path(value.path or "") if root is None else root / (value.path or "")
    return [value.path, file.stat().st_size if file.is_file() else None]


__all__ = ["IDENTITY_NAME", "claim_checkpoints", "describe_run"]
