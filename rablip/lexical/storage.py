"""The lexical part of an index on disk: its record, with the hash of every file, and how it changes by one rename.

`lexical.json` in the folder of the index names a folder beside it (`lexical-...`) in which the files of BM25 lie. A
new one is written whole before the record names it, and the old one goes after.
"""

from __future__ import annotations

import dataclasses
import os
import secrets
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..index.checked_json import dump_checked, parse_versioned, read_parsed
from ..index.checksums import FileRecord
from ..index.errors import IndexCorruptError, IndexMismatchError
from ..index.files import sync_folder, write_text_atomically
from ..index.verified_file import VerifiedFile, check_name

__all__ = ["LEXICAL_NAME", "LEXICAL_PREFIX", "LexicalRecord", "remove_lexical_index", "store_files", "verify_files"]

LEXICAL_NAME, LEXICAL_PREFIX = "lexical.json", "lexical-"
_FORMAT_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class LexicalRecord:
    """What the lexical part of an index is, and what it was made of.

    Args:
        index_id, generation: of the index; another generation has other items.
        num_items: items of the index, those without words included.
        num_words: different words.
        tokenizer: the rule by which texts were cut into words.
        folder_name: where the files lie, beside the record; "" where there are no words and so no files.
        files: their names in that folder, with size and hash.

    Example:
        >>> record = LexicalRecord(index_id="7", generation=2, num_items=0, num_words=0, tokenizer="words-1")
        >>> LexicalRecord.from_json(record.to_json()) == record
        True
    """

    index_id: str
    generation: int
    num_items: int
    num_words: int
    tokenizer: str
    folder_name: str = ""
    files: Mapping[str, FileRecord] = dataclasses.field(default_factory=dict)

    def to_json(self) -> str:
        """The record as JSON text with a checksum."""
        return dump_checked({"format_version": _FORMAT_VERSION, **dataclasses.asdict(self)})

    @classmethod
    def from_json(cls, text: str) -> LexicalRecord:
        """Read what `to_json` wrote.

        Raises:
            IndexCorruptError: when it is something else, or was altered.
            IndexMismatchError: when it has another format version.
        """
        content = parse_versioned(text, _FORMAT_VERSION, what="the lexical part of an index")
        try:
            files = {name: FileRecord(**record) for name, record in content.pop("files").items()}
            return cls(files=files, **content)
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise IndexCorruptError(f"no record of a lexical part: {error}") from error

    @classmethod
    def load(cls, folder: Path) -> LexicalRecord:
        """Read the record in the folder of an index.

        Raises:
            FileNotFoundError: when there is none; says which command builds it.
            IndexCorruptError, IndexMismatchError: as `from_json`; names the file.
        """
        path = folder / LEXICAL_NAME
        if not path.is_file():
            raise FileNotFoundError(f"The index {folder} has no lexical part. {_build_hint(folder)}")
        try:
            return read_parsed(path, cls.from_json)
        except (IndexCorruptError, IndexMismatchError) as error:
            raise type(error)(f"{error}. {_build_hint(folder)}") from error

    def check_state(self, state: tuple[str, int, int], tokenizer: str, folder: Path) -> None:
        """Check that this part was made of an index as it is now, by the tokenizer that will cut the questions.

        Args:
            state: `KnowledgeIndex.state`.
            tokenizer: the rule of this version.
            folder: of the index.

        Raises:
            IndexMismatchError: when it was not; has both values and the command that builds it again.
        """
        here = (self.index_id, self.generation, 0)
        if here != state:
            now = f"generation {state[1]}" + (f" with {state[2]} unsaved changes" if state[2] else "")
            raise IndexMismatchError(
                f"The lexical part of {folder} is stale: it was built for generation {self.generation} of the index "
                f"{self.index_id}, and the index is {state[0]} at {now}. {_build_hint(folder)}"
            )
        if self.tokenizer != tokenizer:
            raise IndexMismatchError(
                f"The lexical part of {folder} was cut into words by {self.tokenizer!r}, questions are by "
                f"{tokenizer!r}. {_build_hint(folder)}"
            )


def store_files(folder: Path, record: LexicalRecord, write: Callable[[Path], None]) -> LexicalRecord:
    """Put files and their record into the folder of an index; the caller holds its lock.

    Args:
        folder: the index.
        record: without folder and files.
        write: fills the new folder that it is given.

    Returns:
        The record as written.

    Raises:
        OSError: when the disk is full or read-only; what was there before is as it was.
    """
    place = folder / f"{LEXICAL_PREFIX}{secrets.token_hex(8)}"
    try:
        if record.num_words:
            place.mkdir()
            write(place)
            files = {path.name: FileRecord.of(path) for path in sorted(place.iterdir())}
            for name in files:
                with open(place / name, "rb+") as handle:
                    os.fsync(handle.fileno())
            sync_folder(place)
            record = dataclasses.replace(record, folder_name=place.name, files=files)
        write_text_atomically(folder / LEXICAL_NAME, record.to_json())
    finally:
        _remove_unnamed(folder)
    return record


def verify_files(folder: Path, record: LexicalRecord) -> Path:
    """Check size and hash of every file; returns the folder in which they lie.

    Raises:
        IndexCorruptError: names the first that is missing or altered.
    """
    place = folder / record.folder_name
    for name, entry in record.files.items():
        check_name(folder, f"{record.folder_name}/{name}")
        try:
            VerifiedFile(place / name, entry).verify_whole()
        except IndexCorruptError as error:
            raise IndexCorruptError(f"{error} {_build_hint(folder)}") from error
    return place


def remove_lexical_index(folder: str | Path) -> None:
    """Take the lexical part of an index away, where there is one; the caller holds the lock of the folder."""
    (Path(folder) / LEXICAL_NAME).unlink(missing_ok=True)
    _remove_unnamed(Path(folder))


def _remove_unnamed(folder: Path) -> None:
    try:
        kept = LexicalRecord.load(folder).folder_name
    except (FileNotFoundError, ValueError):
        kept = ""
    for path in folder.glob(f"{LEXICAL_PREFIX}*"):
        if path.name != kept:
            shutil.rmtree(path, ignore_errors=True)


def _build_hint(folder: Path) -> str:
    return f"Build it: rablip index lexical {folder}."
