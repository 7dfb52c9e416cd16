"""Where the pictures of a benchmark are: names confined to one folder, looked for, and found by their ids."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from ..readers_ids import SeenIds
from ..readers_records import Problem, ReaderError, iterate_json_entries, iterate_json_lines, iterate_json_members
from .csv_rows import csv_reader
from .fields import identifier, required_text

__all__ = ["MissingPictureError", "confined_name", "find_picture", "read_picture_map", "row_problem"]


class MissingPictureError(ValueError):
    """A picture is not there; `file` is where it was looked for first.

    Args:
        file: the file.
        cause: what is wrong, in words.

    Example:
        >>> MissingPictureError(Path("val2014/1.jpg"), "the picture is missing").file.name
        '1.jpg'
    """

    def __init__(self, file: Path, cause: str) -> None:
        super().__init__(cause)
        self.file = file


def confined_name(name: str) -> str:
    """A picture's name in a data file, once it is sure that it stays inside the folder of the pictures.

    Args:
        name: path relative to the folder.

    Raises:
        ValueError: the path is empty, absolute, or climbs up with "..".

    Example:
        >>> confined_name("./train/1/2.jpg")
        'train/1/2.jpg'
        >>> confined_name("../secret.jpg")
        Traceback (most recent call last):
        ...
        ValueError: the picture path '../secret.jpg' leads out of the folder of the pictures
    """
    windows = PureWindowsPath(name)
    if name.startswith(("/", "\\")) or windows.drive or ".." in windows.parts:
        raise ValueError(f"the picture path {name[:120]!r} leads out of the folder of the pictures")
    path = PurePosixPath(name)
    if not path.parts or "\0" in name:
        raise ValueError(f"the picture path {name[:120]!r} names no file")
    return path.as_posix()


def find_picture(folder: Path, names: Sequence[str]) -> str:
    """The first of the names that is a file in the folder.

    Args:
        folder: the folder of the pictures.
        names: paths relative to it, the likeliest first.

    Raises:
        MissingPictureError: none of them is there; names all that were looked for.
        ValueError: a name, or the link that it is, leads out of the folder.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "1.JPEG").write_bytes(b"picture")
        >>> find_picture(folder, ["1.jpg", "1.JPEG"])
        '1.JPEG'
    """
    confined = [confined_name(name) for name in names]
    inside = folder.resolve()
    for name in confined:
        try:
            file = (inside / name).resolve()
            there = file.is_file()
        except (OSError, RuntimeError) as error:  # too long a name, a circle of symbolic links
            raise ValueError(f"the picture {name[:120]!r} cannot be looked for: {error}") from error
        if there and not file.is_relative_to(inside):
            raise ValueError(f"the picture {name!r} is a link that leads out of the folder of the pictures, {folder}")
        if there:
            return name
    others = f" (nor {', '.join(confined[1:])})" if confined[1:] else ""
    raise MissingPictureError(folder / confined[0], f"the picture is missing: {folder} has no {confined[0]}{others}")


def read_picture_map(files: Iterable[Path], wanted: SeenIds) -> dict[str, str]:
    """The paths of wanted pictures by their ids; memory grows with what is wanted, not with the files.

    Args:
        files: each one of `.csv` with two columns and no header (id, path), `.jsonl` (`image_id`, `image_path`),
            `.json` with one object (id to path), or an annotation file of iNaturalist (`.json` with a list `images`
            of `id` and `file_name`).
        wanted: the ids to keep.

    Raises:
        ReaderError: a file is malformed, or an id stands for two different pictures; names file and id.
        FileNotFoundError: there is no such file.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "map.csv")
        >>> _ = file.write_text("oven_1,inat/1.jpg" + chr(10) + "oven_2,inat/2.jpg" + chr(10))
        >>> wanted = SeenIds()
        >>> _ = wanted.add("oven_2")
        >>> read_picture_map([file], wanted)
        {'oven_2': 'inat/2.jpg'}
    """
    found: dict[str, str] = {}
    for file in files:
        if not file.is_file():
            raise FileNotFoundError(f"There is no file {file}: give a map of picture ids to paths, or leave it out.")
        for place, image_id, name in _pairs(file):
            if image_id in wanted:
                try:
                    name = confined_name(name)
                except ValueError as error:
                    raise ReaderError(f"{file}: {place}: {error}") from error
                if found.setdefault(image_id, name) != name:
                    raise ReaderError(
                        f"{file}: {place}: the picture {image_id!r} is {name!r} here and {found[image_id]!r} before"
                    )
    return found


def row_problem(place: str, file: Path, error: Exception) -> Problem:
    """Why a row cannot be used; the file is that of its picture where that is what is missing.

    Args:
        place: the row, as "line 7" or "question 12".
        file: the file of the row.
        error: what went wrong.

    Example:
        >>> str(row_problem("line 7", Path("val.jsonl"), ValueError("no question")))
        'line 7: val.jsonl: no question'
    """
    return Problem(place, str(error.file if isinstance(error, MissingPictureError) else file), str(error))


def _pairs(file: Path) -> Iterator[tuple[str, str, str]]:
    """Place, id and path of every entry of a map."""
    suffix = file.suffix.lower()
    if suffix == ".csv":
        for line, cells in csv_reader(file):
            if len(cells) != 2 or not all(cell.strip() for cell in cells):
                raise ReaderError(f"{file}: line {line}: expected an id and a path, found {cells[:4]!r}")
            yield f"line {line}", cells[0], cells[1]
    elif suffix == ".jsonl":
        for line, row in iterate_json_lines(file):
            yield f"line {line}", *_fields(row, "image_id", "image_path", f"{file}: line {line}")
    elif suffix == ".json":
        first = next(iterate_json_members(file), None)
        if first is None or isinstance(first[1], str):
            for image_id, name in iterate_json_members(file):
                if not isinstance(name, str) or not name.strip():
                    raise ReaderError(f"{file}: id {image_id!r}: expected a path, found {str(name)[:80]!r}")
                yield f"id {image_id!r}", image_id, name
        else:
            for number, row in iterate_json_entries(file, "images"):
                yield f"image {number}", *_fields(row, "id", "file_name", f"{file}: image {number}")
    else:
        raise ValueError(f"A map of pictures is a .csv, .jsonl or .json file, got {file}.")


def _fields(row: Any, id_field: str, path_field: str, place: str) -> tuple[str, str]:
    try:
        if not isinstance(row, dict):
            raise ValueError(f"expected an object, found {str(row)[:80]!r}")
        return identifier(row, id_field), required_text(row, path_field)
    except ValueError as error:
        raise ReaderError(f"{place}: {error}") from error
