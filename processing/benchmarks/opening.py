"""What every reader checks before it reads: that the files and folders are there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

__all__ = ["existing_file", "existing_folder"]


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
