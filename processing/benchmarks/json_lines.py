"""JSON Lines files as benchmarks ship them, plain or compressed with gzip, one object at a time."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from ..readers_records import Problem, ReaderError, report_problem

__all__ = ["find_json_lines", "iterate_json_objects"]

_GZIP_START = b"\x1f\x8b"
_MAX_LINE = 1 << 27  # bytes: a longer line is no row but a broken file


def find_json_lines(folders: Iterable[Path], stems: Iterable[str]) -> Path | None:
    """Return the first file there is, of the folders in turn and of `<stem>.jsonl`, then `<stem>.jsonl.gz`.

    Example:
        >>> find_json_lines([Path("none")], ["MMQA_dev"]) is None
        True
    """
    names = [f"{stem}.jsonl{ending}" for stem in stems for ending in ("", ".gz")]
    return next((folder / name for folder in folders for name in names if (folder / name).is_file()), None)


def iterate_json_objects(path: Path, *, problems: list[Problem] | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number from 1, object) for every non-blank line.

    Whether the file is compressed is seen in its first two bytes, not in its name: browsers unpack without renaming.

    Args:
        path: the file.
        problems: where lines that are no JSON object are reported; None raises at the first.

    Raises:
        ReaderError: the compressed data is damaged or cut off, or a line is no JSON object and `problems` is None;
            names file and line.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "rows.jsonl.gz")
        >>> _ = file.write_bytes(gzip.compress(b'{"qid": "a"}'))
        >>> list(iterate_json_objects(file))
        [(1, {'qid': 'a'})]
    """
    number = 0
    with open(path, "rb") as raw:
        compressed = raw.read(2) == _GZIP_START
        raw.seek(0)
        handle = cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if compressed else raw
        while True:
            number += 1
            try:
                line = handle.readline(_MAX_LINE)
            except (OSError, EOFError, zlib.error) as error:
                raise ReaderError(
                    f"{path}: line {number}: the compressed data is damaged or cut off: {error}"
                ) from error
            if not line:
                return
            if len(line) == _MAX_LINE:
                raise ReaderError(f"{path}: line {number}: longer than {_MAX_LINE} bytes, which no row is")
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if line.strip():
                try:
                    row = json.loads(line.decode("utf-8"))
                    if not isinstance(row, dict):
                        raise ValueError(f"expected one JSON object, found a JSON {type(row).__name__}")
                except (ValueError, RecursionError) as error:
                    report_problem(Problem(f"line {number}", str(path), f"not a JSON object: {error}"), problems)
                    continue
                yield number, row
