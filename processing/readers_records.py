"""Records of data files, one at a time, with errors that name file and line: what every reader is built on."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = [
    "Problem",
    "ReaderError",
    "check_fields",
    "iterate_json_lines",
    "iterate_json_members",
    "optional_text",
    "report_problem",
    "text_tuple",
]

_CHUNK = 1 << 20  # characters read at a time from one large JSON object
_WHITE_SPACE = re.compile(r"[ \t\r\n]*")
_MAX_RECORD = 1 << 26  # characters: a single record beyond this is a broken file, not data


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


def iterate_json_lines(path: Path, *, problems: list[Problem] | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number from 1, object) for every non-blank line of a JSONL file, read as a stream.

    Args:
        path: a UTF-8 file with one JSON object a line.
        problems: where broken lines are reported; None raises at the first.

    Raises:
        ReaderError: when a line is not UTF-8 or not a JSON object and `problems` is None.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "rows.jsonl")
        >>> _ = file.write_text('{"id": "a"}' + chr(10))
        >>> list(iterate_json_lines(file))
        [(1, {'id': 'a'})]
    """
    with open(path, "rb") as handle:
        for number, line in enumerate(handle, start=1):
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

    The WebQA files are single objects of hundreds of megabytes; memory stays at about one record.

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
        seen: set[str] = set()
        stream.expect("{")
        more = stream.peek() != "}"
        if not more:
            stream.expect("}")
        while more:
            key = stream.decode()
            if not isinstance(key, str):
                raise stream.error(f"expected a record name in quotes, found {key!r}")
            if key in seen:
                raise stream.error(f"the record {key!r} appears twice")
            seen.add(key)
            stream.expect(":")
            yield key, stream.decode()
            more = stream.peek() == ","
            stream.expect("," if more else "}")
        if stream.peek():
            raise stream.error("there is more text after the end of the JSON object")
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
        self.handle = open(path, encoding="utf-8-sig", newline="\n")
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

    def decode(self) -> Any:
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
            text = self.handle.read(_CHUNK)
        except UnicodeDecodeError as error:
            raise self.error(f"not UTF-8: {error}") from error
        if text:
            self.line += self.window.count("\n", 0, self.position)
            self.window, self.position = self.window[self.position :] + text, 0
        return bool(text)
