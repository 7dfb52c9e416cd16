"""Building an index from a source of knowledge items with a retriever, and opening it for the same retriever only."""

from __future__ import annotations

import logging
import secrets
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from . import __version__
from .encoding import KnowledgeEncoder, encode_knowledge
from .index.errors import IndexCorruptError
from .index.knowledge_index import KnowledgeIndex
from .index.manifest import MANIFEST_NAME, IndexManifest
from .knowledge_base import KnowledgeBase
from .processing.knowledge_rablip import KnowledgeItem
from .processing.readers_records import Problem
from .processing.readers_sources import open_source, source_root
from .retriever_source import find_retriever, fingerprint_model, load_retriever
from .snapshots import fetch_index

if TYPE_CHECKING:
    from .modeling_rablip import RablipRetriever
    from .processing.processing_rablip_retriever import RablipRetrieverProcessor

__all__ = [
    "BuildReport",
    "build_index",
    "encode_knowledge",
    "fingerprint_model",
    "index_knowledge",
    "open_index",
]

logger = logging.getLogger(__name__)

_ITEMS_PREFIX = "items-"
_OWN_NAMES = (MANIFEST_NAME, f"{_ITEMS_PREFIX}*", "vectors-*.faiss", "ids-*.json", ".*")


@dataclass(frozen=True)
class BuildReport:
    """What `build_index` did.

    Args:
        folder: the index.
        num_items: how many items it holds.
        problems: the items that were left out, with the file and the cause.
        num_truncated: how many items were longer than the processor's limit and were cut.
        seconds: time taken, loading the model included.
        model_fingerprint: sha256 of the retriever that built it.

    Example:
        >>> BuildReport(Path("index"), 3, (), 0, 1.5, "ab12").num_items
        3
    """

    folder: Path
    num_items: int
    problems: tuple[Problem, ...]
    num_truncated: int
    seconds: float
    model_fingerprint: str


def build_index(
    source: str | Path | KnowledgeBase | Iterable[KnowledgeItem],
    *,
    model: str | Path,
    out: str | Path,
    batch_size: int = 64,
    on_error: Literal["raise", "skip"] = "raise",
    images: Literal["embed", "reference"] = "embed",
    root: str | Path | None = None,
    device: Any = None,
    revision: str | None = None,
    progress: bool = True,
) -> BuildReport:
    """Read a source, store its items, encode them with the model's retriever and save the index.

    Every picture is checked before the first item is encoded. An index that is in `out` already is replaced when the
    new one is whole, and stays as it is when anything fails.

    Args:
        source: a path (see `open_source`), a knowledge base, or knowledge items.
        model: a model folder or Hub id with a retriever.
        out: the index folder.
        batch_size: most items encoded at once; halved when memory runs out.
        on_error: "raise" stops at unusable items, naming all of them; "skip" leaves them out and reports them.
        images: "embed" copies pictures into the index folder; "reference" keeps their paths.
        root: what picture paths are relative to; None for the source's own folder.
        device: where the retriever runs; None for the CPU.
        revision: branch, tag or commit when `model` is a Hub id.
        progress: whether a bar is shown on a terminal.

    Returns:
        What was done, with the problems of the items left out.

    Raises:
        FileNotFoundError: when source or model do not exist.
        KnowledgeBaseError: when items cannot be used and `on_error` is "raise", all are unusable, or an id is there
            twice.
        ValueError: when the source holds no items, or the model is no retriever.
        FileExistsError: when `out` holds something else than an index.
    """
    started = time.perf_counter()
    folder = Path(out)
    _check_out(folder)
    problems: list[Problem] = []
    if isinstance(source, (str, Path)):
        items: Iterable[KnowledgeItem] = open_source(source, problems=problems)
        root = source_root(source) if root is None else root
    else:
        items = source
        root = source.root if isinstance(source, KnowledgeBase) and root is None else root
    place = find_retriever(model, revision=revision)
    fingerprint = fingerprint_model(place)
    retriever, processor = load_retriever(place, device=device)
    manifest = IndexManifest(
        model_id=place.model_id,
        model_revision=place.revision,
        model_subfolder=place.subfolder,
        model_fingerprint=fingerprint,
        embedding_dim=retriever.config.embedding_dim,
        max_vectors=retriever.config.max_vectors,
        rablip_version=__version__,
    )
    items_folder = f"{_ITEMS_PREFIX}{secrets.token_hex(4)}"  # never the name that the old manifest has
    try:
        knowledge_base, problems = KnowledgeBase.write(
            items, folder / items_folder, root=root, images=images, on_error=on_error, problems=problems
        )
        if not len(knowledge_base):
            raise ValueError(f"The source {source if isinstance(source, (str, Path)) else 'given'} holds no items.")
        encoder = KnowledgeEncoder(retriever, processor, batch_size=batch_size)
        index = KnowledgeIndex.create(manifest)
        for ids, embeddings in encoder.stream(knowledge_base, progress=progress):
            index.add(ids, embeddings)
        _check_complete(index, knowledge_base)
        index.save(folder, items_folder=items_folder)
    except BaseException:
        shutil.rmtree(folder / items_folder, ignore_errors=True)
        raise
    for pattern in (f"{_ITEMS_PREFIX}*", f".{_ITEMS_PREFIX}*"):  # of the index before, and of builds that were killed
        for old in folder.glob(pattern):
            if old.name != items_folder:
                shutil.rmtree(old, ignore_errors=True)
    seconds = time.perf_counter() - started
    if encoder.num_truncated:
        logger.warning("%d of %d items were longer than the limit and were cut.", encoder.num_truncated, len(index))
    return BuildReport(folder, len(index), tuple(problems), encoder.num_truncated, seconds, fingerprint)


def index_knowledge(
    retriever: RablipRetriever,
    processor: RablipRetrieverProcessor,
    knowledge_base: KnowledgeBase,
    *,
    model_id: str = "",
    model_fingerprint: str | None = None,
    batch_size: int = 64,
    device: Any = None,
    progress: bool = True,
) -> KnowledgeIndex:
    """Encode a knowledge base with a loaded retriever into an index in memory.

    Args:
        retriever: the model.
        processor: its processor.
        knowledge_base: the items.
        model_id: what the manifest calls the model; "" for the name it was loaded by.
        model_fingerprint: what the manifest holds of its weights; None computes it, for which the model is saved once.
        batch_size: most items encoded at once; halved when memory runs out.
        device: where the model is put; None where it is.
        progress: whether a bar is shown on a terminal.

    Returns:
        The index; `save` it with `items_folder=` when the knowledge base lies in the same folder.
    """
    encoder = KnowledgeEncoder(retriever, processor, batch_size=batch_size, device=device)
    manifest = IndexManifest(
        model_id=model_id or retriever.config.name_or_path or type(retriever).__name__,
        model_fingerprint=model_fingerprint or fingerprint_model(retriever, processor),
        embedding_dim=retriever.config.embedding_dim,
        max_vectors=retriever.config.max_vectors,
        rablip_version=__version__,
    )
    index = KnowledgeIndex.create(manifest)
    for ids, embeddings in encoder.stream(knowledge_base, progress=progress):
        index.add(ids, embeddings)
    _check_complete(index, knowledge_base)
    return index


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
        ValueError: when an index on the Hub comes without its commit.
        IndexMismatchError: when another model built the index; has both values.
        IndexCorruptError: when a file is missing, truncated or altered, or an id has no knowledge item.
    """
    source = fetch_index(folder, revision=revision).folder
    expected: dict[str, Any] = {}
    if model is not None:
        from .configuration.configuration_rablip import RablipRetrieverConfig

        place = find_retriever(model)
        expected["embedding_dim"] = RablipRetrieverConfig.from_pretrained(place.folder).embedding_dim
        if not allow_other_model:
            expected["model_fingerprint"] = fingerprint_model(place)
    index = KnowledgeIndex.load(source, expected=expected)
    items_folder = index.manifest.items_folder
    if items_folder is None:
        raise FileNotFoundError(
            f"The index {source} has no knowledge base in its folder. Open the two apart: KnowledgeIndex.load and "
            "KnowledgeBase.load."
        )
    knowledge_base = KnowledgeBase.load(source / items_folder)
    unknown = [item_id for item_id in index.ids if item_id not in knowledge_base]
    if unknown:
        raise IndexCorruptError(
            f"{len(unknown)} ids of the index {source} have no knowledge item, the first are {unknown[:5]}. Build the "
            "index again."
        )
    return index, knowledge_base


def _check_out(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is a file; an index is a folder. Give another name.")
    strangers = [
        path.name
        for path in (folder.iterdir() if folder.exists() else ())
        if not any(path.match(pattern) for pattern in _OWN_NAMES)
    ]
    if strangers:
        raise FileExistsError(
            f"{folder} holds something else than an index ({sorted(strangers)[0]}). Give an empty or a new folder."
        )


def _check_complete(index: KnowledgeIndex, knowledge_base: KnowledgeBase) -> None:
    if len(index) != len(knowledge_base):
        raise RuntimeError(f"{len(knowledge_base)} items were to be encoded, but {len(index)} embeddings came out.")
