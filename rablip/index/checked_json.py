"""JSON files that hold the hash of their own content, so that one that was altered is noticed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from .errors import IndexCorruptError, IndexMismatchError

__all__ = ["dump_checked", "parse_checked", "parse_versioned", "read_parsed"]

Parsed = TypeVar("Parsed")


def dump_checked(content: Mapping[str, Any]) -> str:
    """JSON text of `content` and its `checksum`.

    Example:
        >>> parse_checked(dump_checked({"generation": 3}))
        ({'generation': 3}, True)
    """
    return _dump({**content, "checksum": _checksum(content)})


def parse_checked(text: str) -> tuple[dict[str, Any], bool]:
    """The content of JSON text that `dump_checked` wrote, and whether it is unaltered.

    Raises:
        IndexCorruptError: when it is no JSON object with a checksum.

    Example:
        >>> parse_checked(dump_checked({"generation": 3}).replace("3", "4", 1))
        ({'generation': 4}, False)
    """
    try:
        content = json.loads(text)
        is_written_so = _dump(content) == text  # also notices what JSON does not mind: white space, doubled fields
        checksum = content.pop("checksum")
        return content, is_written_so and _checksum(content) == checksum
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise IndexCorruptError(f"no JSON object with a checksum: {error!r}") from error


def parse_versioned(text: str, version: int, *, what: str) -> dict[str, Any]:
    """The content of JSON text that `dump_checked` wrote with a `format_version`, without it.

    Args:
        text: of the file.
        version: the one that is read here.
        what: what the file is, in error messages.

    Raises:
        IndexCorruptError: when it is something else, or was altered.
        IndexMismatchError: when it has another format version.

    Example:
        >>> parse_versioned(dump_checked({"format_version": 1, "generation": 3}), 1, what="a note")
        {'generation': 3}
    """
    content, is_unaltered = parse_checked(text)
    found = content.pop("format_version", None)
    if found != version:
        raise IndexMismatchError(f"{what} in format version {found!r}, this rablip reads {version}")
    if not is_unaltered:
        raise IndexCorruptError(f"{what} whose content does not match its checksum: it was altered")
    return content


def read_parsed(path: Path, parse: Callable[[str], Parsed]) -> Parsed:
    """What a text file holds; errors name the file.

    Args:
        path: the file.
        parse: makes it of the text.

    Raises:
        IndexCorruptError, IndexMismatchError: as `parse` raises them, or when the file is not UTF-8.
    """
    try:
        return parse(path.read_text(encoding="utf-8"))
    except (IndexCorruptError, IndexMismatchError) as error:
        raise type(error)(f"{path}: {error}") from error
    except UnicodeDecodeError as error:
        raise IndexCorruptError(f"{path}: not UTF-8: {error}") from error


def _dump(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=2) + "\n"


def _checksum(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
