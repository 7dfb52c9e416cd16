"""Qrels in both forms, and runs that come back ranked as trec_eval ranks them."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rablip.processing.benchmarks.trec_files import read_qrels, read_trec_run, write_trec_run
from rablip.processing.readers_records import Problem, ReaderError

BEIR = "query-id\tcorpus-id\tscore\nq1\td7\t1\nq1\td 2\t0\nq 2\td7\t2.0\n"
TREC = "q1 0 d7 1\nq1\t0\td2   0\n\nq2 Q0 d7 -2\n"


def write(folder: Path, text: str | bytes, name: str = "file") -> Path:
    (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return folder / name


def test_qrels_with_a_header(tmp_path: Path) -> None:
    expected = {"q1": {"d7": 1, "d 2": 0}, "q 2": {"d7": 2}}  # ids may hold spaces: tabs separate
    for text in (BEIR, BEIR.replace("\n", "\r\n"), "\ufeff" + BEIR, BEIR.replace("-", "_"), BEIR[:-1]):
        assert read_qrels(write(tmp_path, text)) == expected
    assert read_qrels(write(tmp_path, gzip.compress(BEIR.encode()))) == expected
    moved = "score\tdifficulty\tcorpus-id\tquery-id\n3\thard\td1\tq1\n"
    assert read_qrels(write(tmp_path, moved)) == {"q1": {"d1": 3}}
    assert read_qrels(write(tmp_path, "query-id\tcorpus-id\tscore\n")) == {}


def test_qrels_without_a_header(tmp_path: Path) -> None:
    assert read_qrels(write(tmp_path, TREC)) == {"q1": {"d7": 1, "d2": 0}, "q2": {"d7": -2}}
    assert read_qrels(write(tmp_path, "")) == {}


@pytest.mark.parametrize("text", ["q1\td7\t1\n", "query,corpus,score\n", "query-id\tcorpus\tscore\n"])
def test_qrels_of_no_known_form(tmp_path: Path, text: str) -> None:
    with pytest.raises(ReaderError, match="line 1: qrels begin with a header"):
        read_qrels(write(tmp_path, text))


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("q1\td9", "expected 3 columns, found 2"),
        ("q1\td9\thigh", "whole number, found 'high'"),
        ("q1\td9\t0.5", "whole number, found '0.5'"),
        ("q1\td9\tnan", "whole number"),
        ("q1\t\t1", "an id is empty"),
        ("q1\td7\t0", "is judged twice"),
    ],
)
def test_a_malformed_judgement_is_named(tmp_path: Path, line: str, cause: str) -> None:
    file = write(tmp_path, f"query-id\tcorpus-id\tscore\nq1\td7\t1\n{line}\nq2\td2\t1\n")
    problems: list[Problem] = []
    assert read_qrels(file, problems=problems) == {"q1": {"d7": 1}, "q2": {"d2": 1}}
    (problem,) = problems
    assert (problem.id, problem.file) == ("line 3", str(file)) and cause in problem.cause
    with pytest.raises(ReaderError, match="line 3"):
        read_qrels(file)


def test_a_run_is_ranked_by_score_and_then_by_falling_id(tmp_path: Path) -> None:
    file = write(tmp_path, "q1 Q0 a 1 0.5 x\nq1 Q0 b 2 0.5 x\nq2 Q0 z 9 -1e-3 x\nq1 Q0 c 3 2 x\n")
    assert read_trec_run(file) == {"q1": [("c", 2.0), ("b", 0.5), ("a", 0.5)], "q2": [("z", -0.001)]}
    write_trec_run({"q1": [("a", 0.5), ("c", 2), ("b", 0.5)]}, file, tag="mine")
    assert file.read_text() == "q1 Q0 c 1 2.0 mine\nq1 Q0 b 2 0.5 mine\nq1 Q0 a 3 0.5 mine\n"


names = st.text(st.characters(exclude_categories=["Z", "C"]), min_size=1, max_size=5)
runs = st.dictionaries(
    names, st.dictionaries(names, st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=6), max_size=4
)


@given(runs)
def test_a_run_comes_back_ranked_and_to_the_last_digit(
    tmp_path_factory: pytest.TempPathFactory, run: dict[str, dict[str, float]]
) -> None:
    file = tmp_path_factory.mktemp("run") / "run.trec"
    write_trec_run({question: scores.items() for question, scores in run.items()}, file)
    read = read_trec_run(file)
    assert {question: dict(pairs) for question, pairs in read.items()} == run
    for pairs in read.values():
        for (first, higher), (second, lower) in zip(pairs, pairs[1:], strict=False):
            assert higher > lower or (higher == lower and first > second)
    ranks = [line.split()[3] for line in file.read_text(encoding="utf-8").split("\n") if line]
    assert ranks == [str(rank) for scores in run.values() for rank in range(1, len(scores) + 1)]


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("q1 Q0 a 1 0.5", "expected 6 columns"),
        ("q1 Q0 a 1 high x", "finite number, found 'high'"),
        ("q1 Q0 a 1 inf x", "finite number, found 'inf'"),
        ("q1 Q0 c 4 1 x", "'c' is there twice for the question 'q1'"),
    ],
)
def test_a_malformed_line_of_a_run_is_named(tmp_path: Path, line: str, cause: str) -> None:
    file = write(tmp_path, f"q1 Q0 c 3 2 x\n{line}\n")
    problems: list[Problem] = []
    assert read_trec_run(file, problems=problems) == {"q1": [("c", 2.0)]}
    assert [problem.id for problem in problems] == ["line 2"] and cause in problems[0].cause


@pytest.mark.parametrize(
    ("run", "tag"),
    [
        ({"q 1": [("a", 1.0)]}, "x"),
        ({"q1": [("a b", 1.0)]}, "x"),
        ({"q1": [("", 1.0)]}, "x"),
        ({"q1": [("a", 1.0)]}, "my run"),
        ({"q1": [("a", float("nan"))]}, "x"),
        ({"q1": [("a", 1.0), ("a", 2.0)]}, "x"),
        ({"q1": [(7, 1.0)]}, "x"),
    ],
)
def test_what_a_run_file_cannot_hold_is_not_written(tmp_path: Path, run: Any, tag: str) -> None:
    with pytest.raises(ValueError):
        write_trec_run(run, tmp_path / "run.trec", tag=tag)
    assert not (tmp_path / "run.trec").exists()


def test_damage_is_named(tmp_path: Path) -> None:
    for data, cause in ((gzip.compress(BEIR.encode())[:-12], "damaged"), (b"q1 0 d\xff 1\n", "line 1: not UTF-8")):
        with pytest.raises(ReaderError, match=cause):
            read_qrels(write(tmp_path, data))
    for read in (read_qrels, read_trec_run):
        with pytest.raises(FileNotFoundError, match="no file .*none"):
            read(tmp_path / "none")
