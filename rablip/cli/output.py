"""What goes to stdout: with `--json` exactly one JSON object and nothing else; logs and progress go to stderr."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import typer

__all__ = ["one_json_object", "shorten", "write_json"]


def write_json(values: Mapping[str, Any], *, file: Any = None) -> None:
    """Write one JSON object; numbers that JSON does not know (NaN, infinity) are refused.

    Raises:
        ValueError: when `values` holds a number that is not finite.

    Example:
        >>> write_json({"k": 5})
        {
          "k": 5
        }
    """
    text = json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False, default=_plain)
    typer.echo(text, file=file if file is not None else sys.stdout)


def _plain(value: Any) -> Any:
    """Paths as text and numpy numbers as numbers."""
    return value.item() if hasattr(value, "item") else str(value)


@contextlib.contextmanager
def one_json_object(wanted: bool) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """While `wanted`, whatever prints to stdout lands on stderr; the given function writes the one object.

    Example:
        >>> with one_json_object(True) as write:
        ...     write({"k": 5})
        {
          "k": 5
        }
    """
    stdout = sys.stdout
    with contextlib.redirect_stdout(sys.stderr) if wanted else contextlib.nullcontext():
        yield lambda values: write_json(values, file=stdout)


def shorten(text: str | None, *, width: int = 90) -> str:
    """Return the text on one line, cut to `width` characters.

    Example:
        >>> shorten("a long  text", width=6)
        'a lon…'
    """
    line = " ".join((text or "").split())
    return line if len(line) <= width else f"{line[: width - 1]}…"
