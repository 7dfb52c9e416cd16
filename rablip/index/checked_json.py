"""JSON files that hold the hash of their own content, so that one that was altered is noticed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from .errors import IndexCorruptError

__all__ = ["dump_checked", "parse_checked"]


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


def _dump(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=2) + "\n"


def _checksum(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
