"""Opening an index with its knowledge base, for the retriever that built it only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..index.knowledge_index import KnowledgeIndex
from ..knowledge_base import KnowledgeBase, load_items
from ..retriever_source import find_retriever, fingerprint_model, fingerprint_prompts
from ..snapshots import fetch_index

__all__ = ["expect_model", "open_index"]


def open_index(
    folder: str | Path,
    *,
    model: str | Path | None = None,
    allow_other_model: bool = False,
    revision: str | None = None,
) -> tuple[KnowledgeIndex, KnowledgeBase]:
    """Open an index and its knowledge base; all files are verified, and the model is compared with the manifest's.

    Args:
        folder: made by `build_index`, or the name of an index on the Hub.
        model: the model folder or Hub id whose retriever will encode the questions; None skips the comparison.
        allow_other_model: search with a model that did not build the index; the dimension must fit all the same.
        revision: the commit (40 digits) of an index on the Hub.

    Raises:
        FileNotFoundError: when the folder is no index, or the model does not exist.
        ValueError: when an index on the Hub comes without its commit, or without its pictures.
        IndexMismatchError: when another model built the index; has both values.
        IndexCorruptError: when a file is missing, truncated or altered, or an id has no knowledge item.
    """
    source, commit = fetch_index(folder, revision=revision)
    expected = {} if model is None else expect_model(model, allow_other_model=allow_other_model)
    index = KnowledgeIndex.load(source, expected=expected)
    knowledge_base = load_items(index)
    if commit is not None and knowledge_base.roots:
        # Whoever made it would choose which of this machine's pictures are opened.
        raise ValueError(
            f"The index {folder} of the Hub takes pictures from folders of this machine: "
            f"{sorted(map(str, knowledge_base.roots))}. Ask for one that holds its pictures."
        )
    return index, knowledge_base


def expect_model(model: str | Path, *, allow_other_model: bool = False) -> dict[str, Any]:
    """Fields that the manifest of an index must have for a model's retriever to search it.

    Args:
        model: a model folder or Hub id with a retriever.
        allow_other_model: the dimension alone.
    """
    from ..configuration.configuration_rablip import RablipRetrieverConfig
    from ..processing.processing_rablip_retriever import RablipRetrieverProcessor

    place = find_retriever(model)
    expected: dict[str, Any] = {"embedding_dim": RablipRetrieverConfig.from_pretrained(place.folder).embedding_dim}
    if not allow_other_model:
        expected["model_fingerprint"] = fingerprint_model(place)
        processor = RablipRetrieverProcessor.from_pretrained(place.folder)
        expected["prompt_fingerprint"] = fingerprint_prompts(processor)
    return expected
