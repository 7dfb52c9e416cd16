"""Records of data files, one at a time, with errors that name file and line: what every reader is built on."""

from __future__ import annotations

import difflib
import gzip
import io
import itertools
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from .readers_ids import SeenIds

__all__ = [
    "DAMAGED_GZIP",
    "Problem",
    "ReaderError",
    "check_fields",
    "iterate_json_entries",
    "iterate_json_lines",
    "iterate_json_members",
    "open_data_file",
    "optional_text",
    "report_problem",
    "text_tuple",
]

_CHUNK = 1 << 14  # characters read at a time from one large JSON value, more where a record is longer
_WHITE_SPACE = re.compile(r"[ \t\r\n]*")
_MAX_RECORD = 1 << 26  # characters: a single record beyond this is a broken file, not data
# What reading a gzip file that is damaged or cut off raises.
DAMAGED_GZIP = (EOFError, gzip.BadGzipFile, zlib.error)


class ReaderError(ValueError):
    """A data file does not hold what its format says; the message names the file and the line or record."""


@dataclass(frozen=True)
class Problem:
    """One knowledge item (or row) that cannot be used, and why.

    Args:
        id: the item, or "line 7" where a row has no usable id.
        file: the file that is damaged, missing or malformed.
        cause: what is wrong, in words.

    Example:
        >>> str(Problem("tower", "pictures/tower.png", "the file does not exist"))
        'tower: pictures/tower.png: the file does not exist'
    """

    id: str
    file: str
    cause: str

    def __str__(self) -> str:
        return f"{self.id}: {self.file}: {self.cause}"


def report_problem(problem: Problem, problems: list[Problem] | None) -> None:
    """Append the problem to `problems`, or raise it when no list is given.

    Raises:
        ReaderError: when `problems` is None.

    Example:
        >>> found = []
        >>> report_problem(Problem("line 3", "items.jsonl", "not JSON"), found)
        >>> len(found)
        1
    """
    if problems is None:
        raise ReaderError(f"{problem.file}: {problem.id}: {problem.cause}")
    problems.append(problem)


def open_data_file(path: Path) -> BinaryIO:
    """Open a data file for reading bytes; one that is compressed with gzip is decompressed as it is read.

    Whether it is compressed is seen from its first two bytes, not from its name.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "rows.jsonl.gz")
        >>> _ = file.write_bytes(gzip.compress(b"one row"))
        >>> with open_data_file(file) as handle:
        ...     handle.read()
        b'one row'
    """
    with open(path, "rb") as handle:
        compressed = handle.read(2) == b"\x1f\x8b"
    return cast(BinaryIO, gzip.open(path, "rb")) if compressed else open(path, "rb")


def iterate_json_lines(path: Path, *, problems: list[Problem] | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number from 1, object) for every non-blank line of a JSONL file, read as a stream.

    Args:
        path: a UTF-8 file with one JSON object a line, as it is or compressed with gzip.
        problems: where broken lines are reported; None raises at the first.

    Raises:
        ReaderError: when a line is not UTF-8 or not a JSON object and `problems` is None; when compressed data is
            damaged or cut off, or a line is longer than any record may be.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "rows.jsonl")
        >>> _ = file.write_text('{"id": "a"}' + chr(10))
        >>> list(iterate_json_lines(file))
        [(1, {'id': 'a'})]
    """
    with open_data_file(path) as handle:
        for number in itertools.count(1):
            try:
                line = handle.readline(_MAX_RECORD)
            except DAMAGED_GZIP as error:
                raise ReaderError(
                    f"{path}: line {number}: the compressed data is damaged or cut off: {error}"
                ) from error
            if not line:
                return
            if len(line) == _MAX_RECORD:
                raise ReaderError(
                    f"{path}: line {number}: it has {_MAX_RECORD} bytes or more: is this one row a line?"
                )
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if not line.strip():
                continue
            try:
                row = json.loads(line.decode("utf-8"))
                if not isinstance(row, dict):
                    raise ValueError(f"expected one JSON object, found a JSON {type(row).__name__}")
            except (ValueError, RecursionError) as error:
                report_problem(Problem(f"line {number}", str(path), f"not a JSON object: {error}"), problems)
                continue
            yield number, row


def iterate_json_members(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield (key, value) of a file that holds one JSON object, without loading the file as a whole.

    The WebQA files are single objects of hundreds of megabytes, the knowledge base of Encyclopedic-VQA is one of
    several gigabytes; memory stays at about one record and a few bytes a key.

    Raises:
        ReaderError: when the file is not one JSON object, is truncated, or repeats a key.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "records.json")
        >>> _ = file.write_text('{"a": {"n": 1}, "b": {"n": 2}}')
        >>> [key for key, value in iterate_json_members(file)]
        ['a', 'b']
    """
    stream = _JsonStream(path)
    try:
        for key in stream.keys():
            yield key, stream.decode()
        stream.end()
    finally:
        stream.close()


def iterate_json_entries(path: Path, member: str | None = None) -> Iterator[tuple[int, Any]]:
    """Yield (number from 1, entry) of a JSON list, without loading the file as a whole.

    Args:
        path: a file that holds one list; with `member`, one object.
        member: name of the list inside the object, as `"questions"` of `{"info": {}, "questions": []}`. The other
            members are passed over, lists and objects among them by their entries.

    Raises:
        ReaderError: when the file is not one JSON list (object), is truncated, repeats a key, or has no such list.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "questions.json")
        >>> _ = file.write_text('{"info": {"version": 1}, "questions": ["Who?", "When?"]}')
        >>> list(iterate_json_entries(file, "questions"))
        [(1, 'Who?'), (2, 'When?')]
    """
    stream = _JsonStream(path)
    try:
        if member is None:
            yield from enumerate(stream.entries(), start=1)
        else:
            others = []
            found = False
            for key in stream.keys():
                if key == member:
                    found = True
                    yield from enumerate(stream.entries(), start=1)
                else:
                    others.append(key)
                    stream.skip()
            if not found:
                shown = ", ".join(map(repr, others[:8])) or "no member at all"
                raise ReaderError(f"{path}: expected the member {member!r} with a list, found {shown}")
        stream.end()
    finally:
        stream.close()


def check_fields(row: Mapping[str, Any], allowed: Iterable[str]) -> None:
    """Refuse a row with a field that its format does not have, naming the nearest one that it has.

    Raises:
        ValueError: when there is such a field.

    Example:
        >>> check_fields({"titel": "Harbor"}, ["id", "title"])
        Traceback (most recent call last):
        ...
        ValueError: unknown field 'titel' (did you mean 'title'?); the fields are id, title
    """
    names = list(allowed)
    for field in row:
        if field not in names:
            near = difflib.get_close_matches(field, names, n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise ValueError(f"unknown field {field!r}{hint}; the fields are {', '.join(names)}")


def optional_text(row: Mapping[str, Any], field: str) -> str | None:
    """Return the text of a field; missing, null and blank are None.

    Raises:
        ValueError: when the field holds something else than text.

    Example:
        >>> optional_text({"title": "Harbor"}, "title"), optional_text({"title": " "}, "title")
        ('Harbor', None)
    """
    value = row.get(field)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if not isinstance(value, str):
        raise ValueError(f"field {field!r} must be text, found {value!r}; put it in quotes")
    return value


def text_tuple(row: Mapping[str, Any], field: str) -> tuple[str, ...]:
    """Return the texts of a list field; missing and null are ().

    Raises:
        ValueError: when the field is not a list of texts.

    Example:
        >>> text_tuple({"answers": ["red"]}, "answers")
        ('red',)
    """
    value = row.get(field)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise ValueError(f"field {field!r} must be a list of texts, found {str(value)[:80]!r}")
    return tuple(value)


class _JsonStream:
    """A window over one large JSON text: decodes the next value as soon as the window holds all of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.decoder = json.JSONDecoder()
        self.handle = io.TextIOWrapper(open_data_file(path), encoding="utf-8-sig", newline="\n")
        self.window = ""
        self.position = 0  # everything of the window before it has been read
        self.line = 1  # of the window's first character

    def close(self) -> None:
        self.handle.close()

    def error(self, cause: str, position: int | None = None) -> ReaderError:
        line = self.line + self.window.count("\n", 0, self.position if position is None else position)
        return ReaderError(f"{self.path}: line {line}: {cause}")

    def expect(self, character: str) -> None:
        found = self.peek()
        if found != character:
            shown = repr(found) if found else "the end of the file (is it truncated?)"
            raise self.error(f"expected {character!r}, found {shown}")
        self.position += 1

    def peek(self) -> str:
        """The next character that is no white space, or "" at the end of the file."""
        while True:
            match = _WHITE_SPACE.match(self.window, self.position)
            self.position = match.end() if match else self.position
            if self.position < len(self.window) or not self._read_more():
                return self.window[self.position : self.position + 1]

    def keys(self) -> Iterator[str]:
        """The keys of the object that comes next; the value of each is read before the next key is asked for."""
        seen = SeenIds()
        self.expect("{")
        more = self.peek() != "}"
        if not more:
            self.expect("}")
        while more:
            key = self.decode()
            if not isinstance(key, str):
                raise self.error(f"expected a record name in quotes, found {key!r}")
            if not seen.add(key):
                raise self.error(f"the record {key!r} appears twice")
            self.expect(":")
            yield key
            more = self.peek() == ","
            self.expect("," if more else "}")

    def entries(self) -> Iterator[Any]:
        """The entries of the list that comes next."""
        self.expect("[")
        more = self.peek() != "]"
        if not more:
            self.expect("]")
        while more:
            yield self.decode()
            more = self.peek() == ","
            self.expect("," if more else "]")

    def skip(self) -> None:
        """Pass over the value that comes next; of a list or object one entry at a time is held."""
        found = self.peek()
        if found == "[":
            for _ in self.entries():
                pass
        elif found == "{":
            for _ in self.keys():
                self.decode()
        else:
            self.decode()

    def end(self) -> None:
        """Check that nothing follows."""
        if self.peek():
            raise self.error("there is more text after the end of the JSON value")

    def decode(self) -> Any:
        """The value that comes next."""
        self.peek()
        while True:
            try:
                value, end = self.decoder.raw_decode(self.window, self.position)
                # A number at the edge of the window may go on: 1 | 2, or 1e | 10.
                if not isinstance(value, (int, float)) or end + 3 < len(self.window) or not self._read_more():
                    self.position = end
                    return value
            except json.JSONDecodeError as error:
                # Only an error at the edge of the window, or a string that does not end, can be cured by more text.
                cut_off = error.msg.startswith("Unterminated string") or error.pos >= len(self.window) - 16
                too_long = len(self.window) - self.position > _MAX_RECORD
                at, hint = error.pos, " (is the file truncated?)" if cut_off else ""
                failure = self.error(f"malformed JSON: {error.msg}{hint}", at)
                if not cut_off or too_long or not self._read_more():
                    raise failure from error
            except RecursionError as error:
                raise self.error("malformed JSON: nested too deeply") from error
            except ValueError as error:  # a whole number of thousands of digits
                raise self.error(f"malformed JSON: {error}") from error

    def _read_more(self) -> bool:
        try:
            # As much again as is held, so that a long record is tried a few times only.
            text = self.handle.read(max(_CHUNK, len(self.window) - self.position))
        except UnicodeDecodeError as error:
            raise self.error(f"not UTF-8: {error}") from error
        except DAMAGED_GZIP as error:
            raise self.error(f"the compressed data is damaged or cut off: {error}") from error
        if text:
            self.line += self.window.count("\n", 0, self.position)
            self.window, self.position = self.window[self.position :] + text, 0
        return bool(text)
