"""Rows of a CSV file, one at a time, with fields of any size and errors that name file and line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..readers_records import DAMAGED_GZIP, Problem, ReaderError, open_data_file, report_problem

__all__ = ["csv_reader", "iterate_csv_rows"]

_MAX_FIELD = 1 << 26  # characters: a field beyond this is a quote that never ends, not data


def csv_reader(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number from 1, cells) of every row of a CSV file that is not empty, read as a stream.

    A row may go over several lines; its number is that of its first line.

    Args:
        path: a UTF-8 file with commas and double quotes, as it is or compressed with gzip.

    Raises:
        ReaderError: the file is not UTF-8, a quote never ends, or something follows a closing quote.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "rows.csv")
        >>> _ = file.write_text('1,"a, b"')
        >>> list(csv_reader(file))
        [(1, ['1', 'a, b'])]
    """
    # The limit is a guard of the whole process, 131072 characters when nobody has set it; it is never lowered here.
    csv.field_size_limit(max(_MAX_FIELD, csv.field_size_limit()))
    with io.TextIOWrapper(open_data_file(path), encoding="utf-8-sig", newline="") as handle:
        reader = csv.reader(handle, strict=True)
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader, None)
            except csv.Error as error:
                raise ReaderError(
                    f"{path}: line {line}: malformed CSV: {error} (at line {reader.line_num})"
                ) from error
            except UnicodeDecodeError as error:
                raise ReaderError(f"{path}: after line {line - 1}: not UTF-8: {error}") from error
            except DAMAGED_GZIP as error:
                raise ReaderError(
                    f"{path}: after line {line - 1}: the compressed data is damaged or cut off: {error}"
                ) from error
            if cells is None:
                return
            if cells:
                yield line, cells


def iterate_csv_rows(
    path: Path, required: Sequence[str], *, problems: list[Problem] | None = None
) -> Iterator[tuple[int, int, dict[str, str]]]:
    """Yield (row number from 0, line number from 1, row by column name) of a CSV file with a header, as a stream.

    Rows with too many or too few cells are counted and not given.

    Args:
        path: the file.
        required: columns that it must have; it may have others.
        problems: where rows with too many or too few cells are reported; None raises at the first.

    Raises:
        ReaderError: a column is missing or there twice, the file is malformed, or a row has another number of cells
            than the header and `problems` is None.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "corpus.csv")
        >>> _ = file.write_text("kid,text" + chr(10) + "7,It opened in 1889.")
        >>> list(iterate_csv_rows(file, ["kid", "text"]))
        [(0, 2, {'kid': '7', 'text': 'It opened in 1889.'})]
    """
    rows = csv_reader(path)
    line, header = next(rows, (1, []))
    missing = [name for name in required if name not in header]
    if missing:
        raise ReaderError(f"{path}: line {line}: the header has no column {missing}; it has {header[:20]}")
    if len(set(header)) != len(header):
        twice = sorted({name for name in header if header.count(name) > 1})
        raise ReaderError(f"{path}: line {line}: the header has the column {twice[0]!r} twice")
    for number, (line, cells) in enumerate(rows):
        if len(cells) != len(header):
            cause = f"expected {len(header)} cells as in the header, found {len(cells)}"
            report_problem(Problem(f"line {line}", str(path), cause), problems)
            continue
        yield number, line, dict(zip(header, cells, strict=True))
