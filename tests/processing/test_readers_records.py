"""JSON lines and one large JSON object are streamed, and broken ones are reported with file and line."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rablip.processing import readers_records
from rablip.processing.readers_records import (
    Problem,
    ReaderError,
    iterate_json_entries,
    iterate_json_lines,
    iterate_json_members,
)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def write(folder: Path, text: str | bytes, name: str = "data.json") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@given(
    content=st.dictionaries(st.text(), VALUES, max_size=6), chunk=st.integers(1, 40), indent=st.sampled_from([None, 2])
)
@settings(max_examples=60, deadline=None)
def test_members_equal_json_load_for_any_window(
    tmp_path_factory: pytest.TempPathFactory, content: dict[str, Any], chunk: int, indent: int | None
) -> None:
    path = write(tmp_path_factory.mktemp("json"), json.dumps(content, indent=indent, ensure_ascii=False))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(readers_records, "_CHUNK", chunk)
        assert dict(iterate_json_members(path)) == content


def test_members_of_a_large_file_never_fill_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.json"
    with open(path, "w") as handle:
        handle.write("{")
        for number in range(4000):
            handle.write(f'{", " if number else ""}"{number}": {{"text": "{"x" * 4000}"}}')
        handle.write("}")
    tracemalloc.start()
    assert sum(1 for _ in iterate_json_members(path)) == 4000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert path.stat().st_size > 16_000_000
    assert peak < 8_000_000


@pytest.mark.parametrize(
    ("text", "line", "cause"),
    [
        ('{"a": 1,\n"b": tru', 2, "Expecting value"),
        ('{"a": 1,\n\n"b": {"c": ]}}', 3, "Expecting value"),
        ('{"a": "never ends', 1, "Unterminated string"),
        ('{"a": 1\n', 2, "truncated"),
        ('{"a": 1}\n{"b": 2}', 2, "after the end"),
        ('{"a": 1, "a": 2}', 1, "twice"),
        ("[1, 2]", 1, "expected '{'"),
        ("", 1, "truncated"),
        ('{"a":\n' + "9" * 5000 + "}", 2, "integer"),
    ],
)
def test_a_malformed_object_is_an_error_with_file_and_line(tmp_path: Path, text: str, line: int, cause: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ReaderError) as caught:
        list(iterate_json_members(path))
    assert f"{path}: line {line}:" in str(caught.value)
    assert cause in str(caught.value)


def test_broken_lines_are_named_and_the_others_read(tmp_path: Path) -> None:
    path = write(tmp_path, b'\xef\xbb\xbf{"a": 1}\r\n\n{"a": \n[1]\n{"a": "\xff"}\n{"a": 2}', "rows.jsonl")
    problems: list[Problem] = []
    assert list(iterate_json_lines(path, problems=problems)) == [(1, {"a": 1}), (6, {"a": 2})]
    assert [problem.id for problem in problems] == ["line 3", "line 4", "line 5"]
    assert all(problem.file == str(path) for problem in problems)
    with pytest.raises(ReaderError, match="rows.jsonl: line 3: not a JSON object"):
        list(iterate_json_lines(path))


def test_line_separators_inside_texts_do_not_split_lines(tmp_path: Path) -> None:
    path = write(tmp_path, json.dumps({"a": "one\u2028two\x85three"}, ensure_ascii=False), "rows.jsonl")
    assert list(iterate_json_lines(path)) == [(1, {"a": "one\u2028two\x85three"})]


@given(entries=st.lists(VALUES, max_size=6), chunk=st.integers(1, 40), indent=st.sampled_from([None, 2]))
@settings(max_examples=60, deadline=None)
def test_entries_equal_json_load_for_any_window(
    tmp_path_factory: pytest.TempPathFactory, entries: list[Any], chunk: int, indent: int | None
) -> None:
    folder = tmp_path_factory.mktemp("json")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(readers_records, "_CHUNK", chunk)
        alone = write(folder, json.dumps(entries, indent=indent, ensure_ascii=False))
        assert list(iterate_json_entries(alone)) == list(enumerate(entries, start=1))
        content = {"info": {"a": [1, {"b": "]"}]}, "questions": entries, "rest": ["}", [None], 1e5], "last": -1.5}
        inside = write(folder, json.dumps(content, indent=indent, ensure_ascii=False), "inside.json")
        assert list(iterate_json_entries(inside, "questions")) == list(enumerate(entries, start=1))


@given(entries=st.lists(VALUES, min_size=1, max_size=4), data=st.data())
@settings(max_examples=60, deadline=None)
def test_no_file_that_is_cut_off_is_read_to_its_end(
    tmp_path_factory: pytest.TempPathFactory, entries: list[Any], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("json")
    for content, member in ((entries, None), ({"info": {}, "questions": entries, "rest": [1]}, "questions")):
        text = json.dumps(content)
        cut = text[: data.draw(st.integers(0, len(text) - 1))]
        with pytest.raises(ReaderError):
            list(iterate_json_entries(write(folder, cut), member))
        if member:
            with pytest.raises(ReaderError):
                list(iterate_json_members(write(folder, cut)))


@pytest.mark.parametrize(
    ("text", "line", "cause"),
    [
        ('[{"a": 1},\n{"b": 2}', 2, "truncated"),
        ('[{"a": 1}\n{"b": 2}]', 2, "expected ']'"),
        ('[{"a": 1},\n]', 2, "malformed JSON"),
        ("[1, 2]\n[3]", 2, "after the end"),
        ('{"questions": []}', 1, "expected '['"),
        ("[" + "9" * 5000 + "]", 1, "malformed JSON: Exceeds the limit"),
        ("", 1, "truncated"),
    ],
)
def test_a_malformed_list_is_an_error_with_file_and_line(tmp_path: Path, text: str, line: int, cause: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ReaderError, match=f"line {line}:") as caught:
        list(iterate_json_entries(path))
    assert str(path) in str(caught.value) and cause in str(caught.value)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (
            '{"info": {}, "annotations": []}',
            "expected the member 'questions' with a list, found 'info', 'annotations'",
        ),
        ("{}", "found no member at all"),
        ('{"questions": {"a": 1}}', "expected '[', found '{'"),
        ('{"questions": [1], "questions": [2]}', "appears twice"),
        ('{"info": {"a": [1, 2}, "questions": []}', "malformed JSON"),
        ('{"questions": [1], "info": "cut o', "Unterminated string"),
        ("[1]", "expected '{'"),
    ],
)
def test_a_list_that_is_not_where_it_should_be_is_an_error(tmp_path: Path, text: str, cause: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ReaderError) as caught:
        list(iterate_json_entries(path, "questions"))
    assert str(path) in str(caught.value) and cause in str(caught.value)


def peak_of(path: Path, read: Callable[[Path], Iterator[Any]]) -> int:
    tracemalloc.start()
    try:
        assert sum(1 for _ in read(path)) > 100
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("reader", ["list", "member", "members", "skipped"])
def test_memory_stays_flat_in_the_size_of_the_file(tmp_path: Path, reader: str) -> None:
    peaks = []
    for count in (1_000, 10_000):
        path = tmp_path / f"{count}.json"
        rows = (f'"key {number}": {{"text": "{"x" * 200}"}}' for number in range(count))
        with open(path, "w") as handle:
            if reader == "members":
                handle.write("{" + ",".join(rows) + "}")
            else:
                listed = "[" + ",".join(f"{{{row}}}" for row in rows) + "]"
                wanted = "[" + ",".join(map(str, range(200))) + "]"
                forms = {
                    "list": listed,
                    "member": f'{{"questions": {listed}}}',
                    "skipped": f'{{"x": {listed}, "questions": {wanted}}}',
                }
                handle.write(forms[reader])
        reads: dict[str, Callable[[Path], Iterator[Any]]] = {
            "list": iterate_json_entries,
            "members": iterate_json_members,
        }
        peaks.append(peak_of(path, reads.get(reader, lambda path: iterate_json_entries(path, "questions"))))
    assert peaks[1] < 1.3 * peaks[0], peaks


def test_compressed_files_are_read_as_they_are(tmp_path: Path) -> None:
    rows = write(tmp_path, gzip.compress(b'{"id": "a"}\n\n{"id": "b"}\n'), "rows.jsonl")
    assert list(iterate_json_lines(rows)) == [(1, {"id": "a"}), (3, {"id": "b"})]
    members = write(tmp_path, gzip.compress(b'{"a": 1}'), "members.json.gz")
    assert list(iterate_json_members(members)) == [("a", 1)]


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_compressed_files_that_are_damaged_are_errors_with_the_place(tmp_path: Path, damage: str) -> None:
    lines = b"".join(json.dumps({"id": number, "text": f"{number * 7919}"}).encode() + b"\n" for number in range(999))
    data = gzip.compress(lines)
    data = data[: len(data) // 2] if damage == "cut" else data[:-8] + b"\0" * 8
    path = write(tmp_path, data, "rows.jsonl.gz")
    problems: list[Problem] = []
    with pytest.raises(ReaderError, match=r"rows\.jsonl\.gz: line \d+: the compressed data is damaged or cut off"):
        list(iterate_json_lines(path, problems=problems))
    assert problems == []
    listed = b'{"a": [' + lines.replace(b"\n", b",\n") + b"0]}"
    members = write(tmp_path, gzip.compress(listed)[:-20], "members.json")
    with pytest.raises(ReaderError, match=r"members\.json: line \d+: the compressed data is damaged or cut off"):
        list(iterate_json_members(members))


def test_a_line_that_never_ends_is_an_error_and_not_read_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers_records, "_MAX_RECORD", 1000)
    path = write(tmp_path, b'{"id": "a"}\n{"id": "' + b"x" * 5000)
    with pytest.raises(ReaderError, match=r"line 2: it has 1000 bytes or more"):
        list(iterate_json_lines(path))
