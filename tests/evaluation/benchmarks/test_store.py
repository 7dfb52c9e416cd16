"""Predictions on disk: kept, gone on with, shared by processes, never mixed with those of another run."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rablip.evaluation.benchmarks.prediction import JudgedItem, Prediction
from rablip.evaluation.benchmarks.store import PredictionStore, RunMismatchError
from rablip.processing.knowledge_rablip import ImageRef, QuestionExample


def make_questions(count: int) -> list[QuestionExample]:
    return [QuestionExample(id=f"q{number}", question=f"Who built tower {number}?") for number in range(count)]


class Asker:
    """Answers with the question's id and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, questions: list[QuestionExample]) -> list[Prediction]:
        self.asked += [one.id for one in questions]
        return [Prediction(question_id=one.id, text=f"answer to {one.id}") for one in questions]


def make_store(folder: Path, **plan: object) -> PredictionStore:
    store = PredictionStore(folder, {"model": "m", **plan}, shard_size=3)
    store.prepare()
    return store


def test_what_is_there_is_not_asked_again(tmp_path: Path) -> None:
    questions, asker = make_questions(8), Asker()
    make_store(tmp_path).fill(questions, asker)
    assert asker.asked == [one.id for one in questions]
    make_store(tmp_path).fill(questions, asker)
    assert len(asker.asked) == 8
    (tmp_path / "part-00000001.jsonl").unlink()
    make_store(tmp_path).fill(questions, asker)
    assert asker.asked[8:] == ["q3", "q4", "q5"]
    assert [one.question_id for one in make_store(tmp_path).read(questions)] == [one.id for one in questions]


def test_more_questions_ask_what_is_new(tmp_path: Path) -> None:
    asker = Asker()
    make_store(tmp_path).fill(make_questions(4), asker)
    make_store(tmp_path).fill(make_questions(7), asker)
    assert asker.asked[4:] == ["q3", "q4", "q5", "q6"], "whole shards stay, a shard that grew is asked again"


def test_a_changed_question_is_asked_again(tmp_path: Path) -> None:
    questions, asker = make_questions(6), Asker()
    make_store(tmp_path).fill(questions, asker)
    changed = dataclasses.replace(questions[4], images=(ImageRef(data=b"other"),))
    make_store(tmp_path).fill([*questions[:4], changed, questions[5]], asker)
    assert asker.asked[6:] == ["q3", "q4", "q5"]


@pytest.mark.parametrize("place", [0, 40, -2])
def test_damage_is_noticed_and_mended(place: int, tmp_path: Path) -> None:
    questions, asker = make_questions(5), Asker()
    store = make_store(tmp_path)
    store.fill(questions, asker)
    file = tmp_path / "part-00000000.jsonl"
    data = bytearray(file.read_bytes())
    data[place] ^= 1
    file.write_bytes(bytes(data))
    with pytest.raises(RuntimeError, match="part-00000000"):
        list(store.read(questions))
    store.fill(questions, asker)
    assert asker.asked[5:] == ["q0", "q1", "q2"] and len(list(store.read(questions))) == 5


def test_processes_share_the_shards(tmp_path: Path) -> None:
    questions, askers = make_questions(11), [Asker(), Asker()]
    for rank, asker in enumerate(askers):
        make_store(tmp_path).fill(questions, asker, rank=rank, num_processes=2)
    assert askers[0].asked == ["q0", "q1", "q2", "q6", "q7", "q8"]
    assert askers[1].asked == ["q3", "q4", "q5", "q9", "q10"]
    assert [one.text for one in make_store(tmp_path).read(questions)] == [f"answer to {one.id}" for one in questions]


def test_another_run_is_never_mixed_in(tmp_path: Path) -> None:
    make_store(tmp_path).fill(make_questions(2), Asker())
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(RunMismatchError, match="model: 'm' then, 'other' now"):
        make_store(tmp_path, model="other")
    with pytest.raises(RunMismatchError, match="shard_size: 3 then, 4 now"):
        PredictionStore(tmp_path, {"model": "m"}, shard_size=4).prepare()
    (tmp_path / "plan.json").write_text("{", encoding="utf-8")
    with pytest.raises(RunMismatchError, match="plan.json"):
        make_store(tmp_path)
    (tmp_path / "plan.json").unlink()
    with pytest.raises(RunMismatchError, match="plan.json"):
        make_store(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()}.items() <= before.items()


def test_a_system_that_answers_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="3 questions were asked"):
        make_store(tmp_path).fill(make_questions(3), lambda some: [Prediction(question_id="q1")])


ids = st.text(min_size=1, max_size=8).filter(str.strip)
floats = st.none() | st.floats(-2, 2)
items = st.builds(
    JudgedItem, id=ids, score=floats, rerank_relevance=floats, relevance=floats, hop=st.sampled_from([1, 2])
)


@settings(max_examples=60, deadline=None)
@given(
    st.builds(
        Prediction,
        question_id=st.just("q0"),
        text=st.none() | st.text(),
        abstained=st.booleans(),
        reason=st.none() | st.just("no_answer"),
        ranking=st.lists(items, max_size=3).map(tuple),
        evidence=st.lists(items, max_size=3).map(tuple),
        citations=st.lists(ids, max_size=3).map(tuple),
        num_unknown=st.integers(0, 3),
        problem=st.text(max_size=9),
    )
)
def test_everything_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, made: Prediction) -> None:
    """Texts of a model hold anything: line separators, quotes, nothing."""
    expected = dataclasses.replace(made, text=made.text or None)
    assert Prediction.from_json(json.loads(json.dumps(made.to_json()))) == expected
    store = make_store(tmp_path_factory.mktemp("store"))
    store.fill(make_questions(1), lambda some: [made])
    assert list(store.read(make_questions(1))) == [expected]
