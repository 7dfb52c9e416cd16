"""Building an index from a source of knowledge items with a retriever."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .. import __version__
from ..encoding.encoder import KnowledgeEncoder, show_progress
from ..index.building import IndexBuilder
from ..index.commits import ITEMS_PREFIX
from ..index.knowledge_index import KnowledgeIndex
from ..index.manifest import MANIFEST_NAME, IndexManifest
from ..index.score_scales import SCALES_NAME
from ..index.search_kinds import SearchSettings
from ..index.segment_writing import DELETED_PREFIX, SEGMENT_PREFIX
from ..knowledge_base import KnowledgeBase
from ..lexical.bm25 import check_bm25s
from ..lexical.building import build_lexical_index
from ..lexical.storage import LEXICAL_NAME, LEXICAL_PREFIX
from ..processes import Processes
from ..processing.knowledge_rablip import KnowledgeItem
from ..processing.readers_records import Problem
from ..processing.readers_sources import open_source, source_root
from ..retriever_source import find_retriever, fingerprint_model, fingerprint_prompts, load_retriever
from .columns import COLUMNS, make_columns
from .encoding import encode_and_commit

if TYPE_CHECKING:
    from ..modeling_rablip import RablipRetriever
    from ..processing.processing_rablip_retriever import RablipRetrieverProcessor

__all__ = [
    "BuildReport",
    "build_index",
    "check_out",
    "describe_encoding",
    "index_knowledge",
    "make_report",
    "name_items_folder",
    "read_source",
]

logger = logging.getLogger(__name__)

_OWN_NAMES = (
    *(MANIFEST_NAME, LEXICAL_NAME, SCALES_NAME),
    *(f"{prefix}*" for prefix in (ITEMS_PREFIX, SEGMENT_PREFIX, DELETED_PREFIX, LEXICAL_PREFIX)),
    ".*",
)


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
    search: SearchSettings | None = None,
    batch_size: int = 64,
    num_workers: int | None = None,
    bf16: bool | None = None,
    shard_size: int | None = None,
    on_error: Literal["raise", "skip"] = "raise",
    images: Literal["embed", "reference"] = "embed",
    root: str | Path | None = None,
    device: Any = None,
    revision: str | None = None,
    lexical: bool = False,
    progress: bool = True,
) -> BuildReport:
    """Read a source, store its items, encode them with the model's retriever and save the index.

    Every picture is checked before the first item is encoded. An index that is in `out` already is replaced when the
    new one is whole, and stays as it is when anything fails. Of a run that was killed the same call encodes only what
    is missing. Started by `torchrun` or `accelerate launch`, all processes encode, and the index is the same.

    Args:
        source: a path (see `open_source`), a knowledge base, or knowledge items.
        model: a model folder or Hub id with a retriever.
        out: the index folder; with several processes, on a disk that all of them see.
        search: how it is searched; None chooses by size.
        batch_size, num_workers, bf16: as of `KnowledgeEncoder`; the manifest keeps what the model computed in.
        shard_size: items whose embeddings are saved together until the index is whole: as many a process loses at most
            when it is killed. None for a number by the source's size, from 256 to 4096.
        on_error: "raise" stops at unusable items, naming all of them; "skip" leaves them out and reports them.
        images: "embed" copies pictures into the index folder; "reference" keeps their paths.
        root: what picture paths are relative to; None for the source's own folder.
        device: where the retriever runs; None for the GPU where there is one, else the CPU.
        revision: branch, tag or commit when `model` is a Hub id.
        lexical: also build the lexical part, for hybrid searches (`build_lexical_index`).
        progress: whether a bar is shown on a terminal.

    Returns:
        What was done, with the problems of the items left out.

    Raises:
        FileNotFoundError: when source or model do not exist.
        KnowledgeBaseError: when items cannot be used and `on_error` is "raise", all are unusable, or an id is there
            twice.
        ValueError: when the source holds no items, a number is out of its range, or the model is no retriever.
        FileExistsError: when `out` holds something else than an index.
        IndexLockedError: when another process is changing the index.
        ImportError: when `lexical` and `bm25s` is not installed; nothing is encoded then.
    """
    if lexical:
        check_bm25s()
    started = time.perf_counter()
    folder = Path(out)
    check_out(folder)
    problems: list[Problem] = []
    items, picture_root = read_source(source, root, problems)
    processes = Processes(device)
    place = find_retriever(model, revision=revision)
    fingerprint = fingerprint_model(place)
    retriever, processor = load_retriever(place, device=processes.device)
    encoder = KnowledgeEncoder(retriever, processor, batch_size=batch_size, num_workers=num_workers, bf16=bf16)
    manifest = IndexManifest(
        model_id=place.model_id,
        model_revision=place.revision,
        model_subfolder=place.subfolder,
        model_fingerprint=fingerprint,
        prompt_fingerprint=fingerprint_prompts(processor),
        encoding_dtype=encoder.dtype_name,
        embedding_dim=retriever.config.embedding_dim,
        max_vectors=retriever.config.max_vectors,
        search=search or SearchSettings(),
        columns=COLUMNS,
        rablip_version=__version__,
    )

    def write_items(_: IndexBuilder) -> tuple[str, list[Problem]]:
        name = name_items_folder()
        knowledge_base, found = KnowledgeBase.write(
            items,
            folder / name,
            root=picture_root,
            images=images,
            on_error=on_error,
            problems=problems,
            progress=progress,
        )
        if not len(knowledge_base):
            said = source if isinstance(source, (str, Path)) else "given"
            raise ValueError(f"The source {said} holds no items.")
        return name, found

    written, left_out, num_truncated = encode_and_commit(
        folder,
        manifest,
        write_items,
        encoder,
        processes,
        key=describe_encoding(manifest),
        shard_size=shard_size,
        progress=progress,
    )
    if lexical:
        processes.lead(lambda: len(build_lexical_index(folder, progress=progress)))
    return make_report(folder, written, left_out, num_truncated, started)


def describe_encoding(manifest: IndexManifest) -> str:
    """What makes the embeddings of an index: shards of another description are never taken."""
    made_by = (manifest.model_fingerprint, manifest.prompt_fingerprint, manifest.encoding_dtype)
    return " ".join(map(str, (*made_by, manifest.embedding_dim, manifest.max_vectors)))


def make_report(
    folder: Path, manifest: IndexManifest, problems: Sequence[Problem], num_truncated: int, started: float
) -> BuildReport:
    """What a build or an addition did, with a warning where items were cut."""
    if num_truncated:
        logger.warning("%d items were longer than the limit and were cut.", num_truncated)
    seconds = time.perf_counter() - started
    return BuildReport(folder, manifest.num_items, tuple(problems), num_truncated, seconds, manifest.model_fingerprint)


def read_source(
    source: str | Path | KnowledgeBase | Iterable[KnowledgeItem], root: str | Path | None, problems: list[Problem]
) -> tuple[Iterable[KnowledgeItem], str | Path | None]:
    """The items of a source, and what their picture paths are relative to.

    Args:
        source: a path (see `open_source`), a knowledge base, or knowledge items.
        root: None for the source's own folder.
        problems: filled with what could not be read, while the items are read.
    """
    if isinstance(source, (str, Path)):
        return open_source(source, problems=problems), source_root(source) if root is None else root
    return source, source.root if isinstance(source, KnowledgeBase) and root is None else root


def name_items_folder() -> str:
    """A name for a new part of a knowledge base, which no manifest has."""
    return f"{ITEMS_PREFIX}{secrets.token_hex(8)}"


def index_knowledge(
    retriever: RablipRetriever,
    processor: RablipRetrieverProcessor,
    knowledge_base: KnowledgeBase,
    *,
    model_id: str = "",
    model_fingerprint: str | None = None,
    batch_size: int = 64,
    device: Any = None,
    num_workers: int | None = None,
    bf16: bool | None = None,
    progress: bool = True,
) -> KnowledgeIndex:
    """Encode a knowledge base with a loaded retriever into an index in memory.

    Args:
        retriever: the model.
        processor: its processor.
        knowledge_base: the items.
        model_id: what the manifest calls the model; "" for the name it was loaded by.
        model_fingerprint: what the manifest holds of its weights; None computes it, for which the model is saved once.
        batch_size, device, num_workers, bf16: as of `KnowledgeEncoder`.
        progress: whether a bar is shown on a terminal.

    Returns:
        The index; `save` it with `items_folders=` when the knowledge base lies in the same folder.
    """
    encoder = KnowledgeEncoder(
        retriever, processor, batch_size=batch_size, device=device, num_workers=num_workers, bf16=bf16
    )
    manifest = IndexManifest(
        model_id=model_id or retriever.config.name_or_path or type(retriever).__name__,
        model_fingerprint=model_fingerprint or fingerprint_model(retriever, processor),
        prompt_fingerprint=fingerprint_prompts(processor),
        encoding_dtype=encoder.dtype_name,
        embedding_dim=retriever.config.embedding_dim,
        max_vectors=retriever.config.max_vectors,
        columns=COLUMNS,
        rablip_version=__version__,
    )
    index = KnowledgeIndex.create(manifest)
    with show_progress(len(knowledge_base), progress) as bar:
        for items, embeddings in encoder.stream(knowledge_base, knowledge_base.open_item_image, bar):
            index.add([item.id for item in items], embeddings, columns=make_columns(items))
    if len(index) != len(knowledge_base):
        raise RuntimeError(f"{len(knowledge_base)} items were to be encoded, but {len(index)} embeddings came out.")
    return index


def check_out(folder: Path) -> None:
    """Check that a folder can become an index: it is not there, empty, or an index already.

    Raises:
        FileExistsError: when it holds something else.
    """
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
