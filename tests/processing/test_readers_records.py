"""JSON lines and one large JSON object are streamed, and broken ones are reported with file and line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rablip.processing import readers_records
from rablip.processing.readers_records import Problem, ReaderError, iterate_json_lines, iterate_json_members

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
    import tracemalloc

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
