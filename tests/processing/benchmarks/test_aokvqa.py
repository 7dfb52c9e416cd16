"""A-OKVQA: every split, labels hidden in test only, lists that a mirror wrote as text parsed and never evaluated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rablip.processing.benchmarks.aokvqa import open_aokvqa, parse_text_list, write_aokvqa_predictions
from rablip.processing.readers_records import ReaderError
from tests.processing.benchmarks.benchmark_files import causes, questions_of, touch, write_json, write_parquet

ANSWERS = ["cab", "cab", "taxi", "cab", "cab", "driver's cab", "bus", "cab", "cab", "cab"]


def row(name: str = "22MexNkBPpdZGX6sxbxVBH", **changes: Any) -> dict[str, Any]:
    return {
        "split": "train",
        "image_id": 299207,
        "question_id": name,
        "question": "What is the man awaiting?",
        "choices": ["skateboarder", "train", "delivery", "cab"],
        "correct_choice_idx": 3,
        "direct_answers": ANSWERS,
        "difficult_direct_answer": False,
        "rationales": ["r1", "r2", "r3"],
    } | changes


def hidden(name: str = "q1") -> dict[str, Any]:
    labels = ("correct_choice_idx", "direct_answers", "rationales")
    return {field: value for field, value in row(name).items() if field not in labels}


@pytest.mark.parametrize(
    ("split", "place"),
    [("train", "train2017/"), ("val", "val2017/"), ("test_w_ans", "test2017/"), ("val", "")],
)
def test_a_labelled_question(tmp_path: Path, split: str, place: str) -> None:
    write_json(tmp_path / f"aokvqa_v1p0_{split}.json", [row()], bom=True)
    touch(tmp_path / "coco" / f"{place}000000299207.jpg")
    benchmark = open_aokvqa(tmp_path, split=split, images=tmp_path / "coco")
    (example,), problems = questions_of(benchmark)
    assert problems == [] and (benchmark.split, benchmark.root) == (split, tmp_path / "coco")
    assert [image.path for image in example.images] == [f"{place}000000299207.jpg"]
    assert example.answers == ("cab", "taxi", "driver's cab", "bus")
    assert example.metadata == {
        "choices": ("skateboarder", "train", "delivery", "cab"),
        "correct_choice_idx": 3,
        "correct_choice": "cab",
        "direct_answers": tuple(ANSWERS),
        "difficult_direct_answer": False,
        "rationales": ("r1", "r2", "r3"),
        "image_id": 299207,
    }


def test_the_test_split_hides_its_labels_and_no_other_does(tmp_path: Path) -> None:
    for split in ("test", "val"):
        write_json(tmp_path / f"aokvqa_v1p0_{split}.json", [hidden()])
    (example,) = open_aokvqa(tmp_path, split="test", pictures=False).questions()
    assert (example.answers, example.answerable) == ((), False)
    assert example.metadata == {
        "choices": ("skateboarder", "train", "delivery", "cab"),
        "hidden_labels": True,
        "difficult_direct_answer": False,
        "image_id": 299207,
    }
    with pytest.raises(ReaderError, match=r"entry 1 \(question_id q1\): it has no direct_answers"):
        list(open_aokvqa(tmp_path, split="val", pictures=False).questions())


def test_splits_and_settings_have_names(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="split of A-OKVQA 'validation'.*Known: train, val, test, test_w_ans"):
        open_aokvqa(tmp_path, split="validation")
    with pytest.raises(ValueError, match="setting of A-OKVQA 'distractor'"):
        open_aokvqa(tmp_path, split="val", setting="distractor")
    with pytest.raises(FileNotFoundError, match=r"aokvqa_v1p0_val\.json\. A-OKVQA's files come from"):
        open_aokvqa(tmp_path, split="val")


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"correct_choice_idx": 4}, "correct_choice_idx is 4, and it has 4 choices"),
        ({"correct_choice_idx": -1}, "'correct_choice_idx' must be a whole number"),
        ({"correct_choice_idx": None}, "it has no correct_choice_idx"),
        ({"direct_answers": []}, "it has no direct_answers"),
        ({"direct_answers": "[cab]"}, "expected a list of quoted texts"),
        ({"direct_answers": ["cab", None]}, "'direct_answers' must hold texts or numbers"),
        ({"choices": ["cab"]}, "'choices' must be a list of at least two texts"),
        ({"choices": "cab"}, "'choices' must be a list, found 'cab'"),
        ({"difficult_direct_answer": "False"}, "'difficult_direct_answer' must be true or false"),
        ({"difficult_direct_answer": None}, "'difficult_direct_answer' must be true or false"),
        ({"question": ""}, "'question' must be a text that is not blank"),
        ({"question_id": None}, "'question_id' must be an id"),
        ({"image_id": "../1"}, "'image_id' must be a whole number"),
    ],
)
def test_a_malformed_row_is_named_and_the_others_read(tmp_path: Path, changes: dict[str, Any], cause: str) -> None:
    file = write_json(tmp_path / "aokvqa_v1p0_val.json", [row("a"), row("b", **changes), row("a"), "text", row("c")])
    benchmark = open_aokvqa(tmp_path, split="val", pictures=False)
    examples, problems = questions_of(benchmark)
    assert [example.id for example in examples] == ["a", "c"]
    assert [(place.split(" (")[0], name) for place, name, _ in causes(problems)] == [
        ("entry 2", file.name),
        ("entry 3", file.name),
        ("entry 4", file.name),
    ]
    assert cause in problems[0].cause and "appears twice" in problems[1].cause and "'text'" in problems[2].cause
    with pytest.raises(ReaderError, match=r"aokvqa_v1p0_val\.json: entry 2"):
        list(benchmark.questions())


def test_metadata_holds_what_the_official_scores_need(tmp_path: Path) -> None:
    """Direct answers: 8, 1 and 0 equal ones give 1, 1/3 and 0; the difficult question leaves that mean only."""
    rows = [row("a"), row("b"), row("c", difficult_direct_answer=True), row("d")]
    write_json(tmp_path / "aokvqa_v1p0_val.json", rows)
    examples = list(open_aokvqa(tmp_path, split="val", pictures=False).questions())
    predictions = {"a": "cab", "b": "bus", "c": "cab", "d": "Cab"}  # nothing is normalised: "Cab" is wrong
    scores = [
        min(1, example.metadata["direct_answers"].count(predictions[example.id]) / 3)
        for example in examples
        if not example.metadata["difficult_direct_answer"]
    ]
    assert sum(scores) / len(scores) == pytest.approx((1 + 1 / 3 + 0) / 3)
    chosen = [example.metadata["correct_choice"] == predictions[example.id] for example in examples]
    assert sum(chosen) / len(examples) == 0.5


def test_missing_pictures_are_counted(tmp_path: Path) -> None:
    write_json(tmp_path / "aokvqa_v1p0_val.json", [row("a"), row("b", image_id=1), row("c", image_id=2)])
    touch(tmp_path / "val2017" / "000000299207.jpg")
    examples, problems = questions_of(open_aokvqa(tmp_path, split="val"))
    assert [example.id for example in examples] == ["a"]
    assert [Path(problem.file).name for problem in problems] == ["000000000001.jpg", "000000000002.jpg"]


def test_a_mirror_with_lists_written_as_text(tmp_path: Path) -> None:
    labels = {"direct_answers": repr(ANSWERS), "image": {"bytes": b"\xff\xd8", "path": "299207.jpg"}}
    rows = [{key: value for key, value in row(name).items() if key not in ("image_id", "split")} for name in "ab"]
    rows[1]["direct_answers"] = "__import__('os').getcwd()"
    write_parquet(
        tmp_path / "data" / "validation-00000-of-00001-b2bd0de231b6326a.parquet", [rows[0] | labels, labels | rows[1]]
    )
    examples, problems = questions_of(open_aokvqa(tmp_path, split="val"))
    assert [example.metadata["direct_answers"] for example in examples] == [tuple(ANSWERS)]
    assert examples[0].images[0].data == b"\xff\xd8" and "image_id" not in examples[0].metadata
    assert problems[0].cause.startswith("expected a list of quoted texts with commas between them, found")


def test_the_hidden_split_of_a_mirror(tmp_path: Path) -> None:
    rows = [
        {"question_id": "a", "question": "What?", "choices": ["x", "y"], "difficult_direct_answer": False}
        | {"correct_choice_idx": None, "direct_answers": None, "rationales": []}
    ]
    file = write_parquet(tmp_path / "test.parquet", rows)
    (example,) = open_aokvqa(tmp_path, split="test", parquet=str(file), pictures=False).questions()
    assert example.metadata["hidden_labels"] is True


@given(st.lists(st.text(), max_size=12))
def test_any_list_of_texts_comes_back_from_its_repr(texts: list[str]) -> None:
    assert parse_text_list(f" {texts!r}\n") == tuple(texts)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cab",
        "'cab'",
        "('cab', 'taxi')",
        "{'cab'}",
        "['cab' 'taxi']",  # how NumPy writes it: Python would make one text of the two
        "['cab', 'taxi'",
        "['cab', 1]",
        "['cab', b'taxi']",
        "['cab', f'{1}']",
        "['cab', ['taxi']]",
        "['cab'] + ['taxi']",
        "['cab' for _ in range(10)]",
        "[*['cab']]",
        "['cab'] # ['taxi']\n['bus']",
        "[__import__('os')]",
        "[" * 5000,
        "['" + "x" * 70_000 + "']",
        "['\0']",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a list of quoted texts"):
        parse_text_list(text)


def test_predictions_are_written_in_the_official_form(tmp_path: Path) -> None:
    file = tmp_path / "predictions_val.json"
    write_aokvqa_predictions(
        file, multiple_choice={"a": "cab", "b": "bus"}, direct_answer={"c": "caf\u00e9", "a": "taxi"}
    )
    assert json.loads(file.read_text("ascii")) == {
        "a": {"multiple_choice": "cab", "direct_answer": "taxi"},
        "b": {"multiple_choice": "bus"},
        "c": {"direct_answer": "caf\u00e9"},
    }
    with pytest.raises(ValueError, match="an empty file has no score"):
        write_aokvqa_predictions(file)
    with pytest.raises(TypeError, match="multiple_choice must map a str to a str, got 'a': 3"):
        write_aokvqa_predictions(file, multiple_choice={"a": 3})  # type: ignore[dict-item]
