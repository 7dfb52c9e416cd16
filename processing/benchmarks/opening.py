"""What every reader checks before it reads: the names it was given, and that the files are there."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

__all__ = ["check_choice", "existing_file", "existing_folder"]


def check_choice(what: str, value: str, allowed: Sequence[str], reason: str = "") -> str:
    """The value, once it is one of those allowed.

    Args:
        what: of what it is the name, as "split of OK-VQA".
        value: the name that was given.
        allowed: the names there are.
        reason: why there are no others, as a sentence; appended to the error.

    Raises:
        ValueError: it is none of them; names the nearest.

    Example:
        >>> check_choice("split of A-OKVQA", "trian", ["train", "val"])
        Traceback (most recent call last):
        ...
        ValueError: There is no split of A-OKVQA called 'trian' (did you mean 'train'?); there is: train, val.
    """
    if value not in allowed:
        near = difflib.get_close_matches(str(value), allowed, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        tail = f" {reason}" if reason else ""
        raise ValueError(f"There is no {what} called {value!r}{hint}; there is: {', '.join(allowed)}.{tail}")
    return value


def existing_file(candidates: Sequence[Path], advice: str) -> Path:
    """The first of the candidates that is a file.

    Args:
        candidates: where it may be.
        advice: what the file is and where it comes from, as a sentence.

    Raises:
        FileNotFoundError: none of them is there; names them.

    Example:
        >>> existing_file([Path("missing.json")], "It is part of the release.")
        Traceback (most recent call last):
        ...
        FileNotFoundError: There is no file missing.json. It is part of the release.
    """
    for path in candidates:
        if path.is_file():
            return path
    raise FileNotFoundError(f"There is no file {' or '.join(map(str, candidates))}. {advice}")


def existing_folder(path: str | Path, advice: str) -> Path:
    """The path, once it is a folder.

    Args:
        path: the folder.
        advice: what it should hold, as a sentence.

    Raises:
        FileNotFoundError: there is no such folder.

    Example:
        >>> existing_folder(".", "It holds the files.").as_posix()
        '.'
    """
    folder = Path(path)
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder}. {advice}")
    return folder
