"""What a path holds: chooses the reader of a knowledge source by its files."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from .knowledge_rablip import KnowledgeItem
from .readers_folder import find_metadata_files, read_imagefolder
from .readers_jsonl import read_jsonl
from .readers_records import Problem
from .readers_webqa import read_webqa_knowledge

__all__ = ["open_source", "source_root"]

KNOWLEDGE_NAME = "knowledge.jsonl"
_LOOKED_FOR = (
    "a .jsonl file of knowledge items; a folder with knowledge.jsonl; a folder with WebQA*.json, imgs.tsv and "
    "imgs.lineidx; a folder of pictures with or without metadata.jsonl"
)


def open_source(path: str | Path, *, problems: list[Problem] | None = None) -> Iterator[KnowledgeItem]:
    """Read the knowledge items of a file or folder, whatever known format it has.

    A folder may hold `knowledge.jsonl` and the WebQA files side by side: both are read, and of WebQA's text snippets
    that are equal only the first. Otherwise it is read as an `imagefolder`. Picture paths of the items are relative to
    `source_root(path)`.

    Args:
        path: the file or folder.
        problems: where unusable rows and pictures are reported; None raises at the first.

    Raises:
        FileNotFoundError: when the path does not exist, or holds nothing of the formats looked for.
        ReaderError: when a row is malformed and `problems` is None.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "towers.jsonl")
        >>> _ = file.write_text('{"id": "t1", "text": "The tower opened in 1889."}')
        >>> [item.id for item in open_source(file)]
        ['t1']
    """
    source = Path(path)
    if source.is_file() and source.suffix.lower() in (".jsonl", ".ndjson"):
        if source.name == "metadata.jsonl":
            return read_imagefolder(source.parent, problems=problems)
        return read_jsonl(source, problems=problems)
    if not source.is_dir():
        state = "is a file of an unknown kind" if source.exists() else "does not exist"
        raise FileNotFoundError(f"The source {source} {state}. Looked for: {_LOOKED_FOR}.")
    parts: list[Iterator[KnowledgeItem]] = []
    if (source / KNOWLEDGE_NAME).is_file():
        parts.append(read_jsonl(source / KNOWLEDGE_NAME, problems=problems))
    records = sorted(source.glob("WebQA*.json"))
    if records:
        pictures = source / "imgs.tsv", source / "imgs.lineidx"
        parts.append(read_webqa_knowledge(records, *pictures, merge_equal_texts=True, problems=problems))
    if parts:
        if find_metadata_files(source):
            raise ValueError(
                f"The folder {source} has a metadata.jsonl beside {KNOWLEDGE_NAME} or WebQA files, so it is unclear "
                "which describes its pictures. Keep one of them, or give the file itself."
            )
        return chain.from_iterable(parts)
    try:
        return read_imagefolder(source, problems=problems)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error} Looked for: {_LOOKED_FOR}.") from error


def source_root(path: str | Path) -> Path:
    """Return the folder that picture paths of a source are relative to, and confined to.

    Example:
        >>> source_root("data/towers.jsonl").as_posix()
        'data'
    """
    source = Path(path)
    return source if source.is_dir() else source.parent
