"""JSON Lines, plain or compressed: damage is named by file and line, and memory stays at about a line."""

from __future__ import annotations

import gzip
import json
import random
import tracemalloc
from pathlib import Path

import pytest

from rablip.processing.benchmarks import json_lines
from rablip.processing.benchmarks.json_lines import find_json_lines, iterate_json_objects
from rablip.processing.readers_records import Problem, ReaderError

ROWS = [{"id": f"row {number}", "text": "é\u2028" * number} for number in range(40)]
PLAIN = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS).encode()


@pytest.mark.parametrize("data", [PLAIN, gzip.compress(PLAIN), b"\xef\xbb\xbf" + PLAIN, PLAIN[:-1]])
@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz"])
def test_the_content_decides_and_not_the_name(tmp_path: Path, data: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(data)
    assert list(iterate_json_objects(tmp_path / name)) == list(enumerate(ROWS, start=1))


def test_blank_lines_are_counted_and_broken_ones_reported(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl.gz"
    file.write_bytes(
        gzip.compress(b'\n{"a": 1}\r\n[1]\n{"a": \n\xff\n' + b'{"a": ' + b"9" * 5000 + b"}\n" + b'{"b": 2}')
    )
    problems: list[Problem] = []
    assert list(iterate_json_objects(file, problems=problems)) == [(2, {"a": 1}), (7, {"b": 2})]
    assert [problem.id for problem in problems] == ["line 3", "line 4", "line 5", "line 6"]
    with pytest.raises(ReaderError, match="line 3: not a JSON object: expected one JSON object, found a JSON list"):
        list(iterate_json_objects(file))


def test_damaged_compressed_data_is_never_a_shorter_file(tmp_path: Path, full: bool) -> None:
    whole = gzip.compress(PLAIN, mtime=0)
    rng = random.Random(5)
    for case in range(400 if full else 60):
        data = bytearray(whole)
        if case % 2:
            del data[rng.randrange(2, len(data)) :]
        else:
            data[rng.randrange(2, len(data))] ^= 1 << rng.randrange(8)
        file = tmp_path / "rows.jsonl.gz"
        file.write_bytes(data)
        try:
            rows = list(iterate_json_objects(file))
        except ReaderError as error:
            assert f"{file}: line " in str(error)
        else:  # a flag or the time in the header
            assert [row for _, row in rows] == ROWS


def test_a_line_that_never_ends_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_lines, "_MAX_LINE", 100)
    (tmp_path / "rows.jsonl").write_bytes(b'{"a": 1}\n' + b"x" * 500)
    with pytest.raises(ReaderError, match="line 2: longer than 100 bytes"):
        list(iterate_json_objects(tmp_path / "rows.jsonl"))


def test_memory_stays_at_a_line(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl.gz"
    with gzip.open(file, "wb", compresslevel=1) as handle:
        for number in range(4000):
            handle.write(b'{"id": "%d", "text": "%s"}\n' % (number, b"x" * 4000))
    tracemalloc.start()
    assert sum(1 for _ in iterate_json_objects(file)) == 4000  # 16 million bytes
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()


def test_the_first_file_there_is(tmp_path: Path) -> None:
    for name in ("b.jsonl", "b.jsonl.gz", "c.jsonl.gz"):
        (tmp_path / name).touch()
    assert find_json_lines([tmp_path / "none", tmp_path], ["a", "b"]) == tmp_path / "b.jsonl"
    assert find_json_lines([tmp_path], ["c"]) == tmp_path / "c.jsonl.gz"
    assert find_json_lines([tmp_path], ["d"]) is None
