"""WebQA as a benchmark: splits, both settings, equal facts once and mapped back, pictures of every kind."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rablip.processing import ImageRef, KnowledgeItem
from rablip.processing.benchmarks.webqa import DUMMY_SOURCE, open_webqa, source_ids
from rablip.processing.readers_records import Problem, ReaderError
from tests.processing.benchmarks.webqa_folder import (
    FIRST,
    NUM_PICTURES,
    image_fact,
    make_files,
    make_guid,
    make_record,
    make_records,
    make_text_fact,
    write_files,
    write_json,
    write_pictures,
)

GUID, OTHER, THIRD = make_guid(1), make_guid(2), make_guid(3)
OPENED, RED = "The light opened in 1889 &amp; burned down.", "It is red."


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_files(tmp_path, make_files(4))


@pytest.mark.parametrize("setting", ["distractor", "full"])
@pytest.mark.parametrize(("split", "numbers"), [("train", [0, 2, 4]), ("val", [1, 3, 5]), ("test", [6, 7, 8])])
def test_splits(folder: Path, split: str, numbers: list[int], setting: str) -> None:
    benchmark = open_webqa(folder, split=split, setting=setting)
    assert (benchmark.name, benchmark.split, benchmark.setting, benchmark.root) == ("webqa", split, setting, folder)
    for _ in range(2):  # a stream can be read again
        assert [question.id for question in benchmark.questions()] == [make_guid(number) for number in numbers]
    assert all(path.is_file() for path in benchmark.files.values())


def test_a_labelled_question(tmp_path: Path) -> None:
    facts = {"txt_posFacts": [make_text_fact(GUID, 7, OPENED)], "txt_negFacts": [make_text_fact(GUID, 2, RED)]}
    record = make_record(GUID, **facts, img_negFacts=[image_fact(5), image_fact(1)], Keywords_A="1889", topic="light")
    (question,) = open_webqa(write_json(tmp_path, record), split="val", setting="distractor").questions()
    assert (question.question, question.answers) == ("When &quot;did&quot; it open?", ("In 1889.",))
    assert (question.category, question.positive_ids) == ("text", (f"{GUID}_7",))
    assert question.negative_ids == ("30000005", "30000001", f"{GUID}_2")
    pool = question.metadata["candidate_ids"]
    assert set(pool[:2]) == {"30000005", "30000001"} and set(pool[2:]) == {f"{GUID}_7", f"{GUID}_2"}
    others = {key: value for key, value in question.metadata.items() if key != "candidate_ids"}
    assert others == {"split": "val", "topic": "light", "keywords": "1889"}


def test_the_pool_does_not_tell_the_label_by_its_order(tmp_path: Path) -> None:
    records = []
    for number in range(200):
        guid = make_guid(number)
        texts = [make_text_fact(guid, index, f"{RED} {index}") for index in range(4)]
        records.append(make_record(guid, txt_posFacts=texts[:1], txt_negFacts=texts[1:]))
    questions = list(open_webqa(write_json(tmp_path, *records), split="val", setting="distractor").questions())
    places = [question.metadata["candidate_ids"].index(question.positive_ids[0]) for question in questions]
    # Of 200 questions about 50 have their positive at each of the four places; 5 standard deviations are 31.
    assert all(19 <= places.count(place) <= 81 for place in range(4))


def test_the_test_form(tmp_path: Path) -> None:
    record = {"Guid": GUID, "split": "test", "Q": "Who?", "img_Facts": [image_fact(3)]}
    record["txt_Facts"] = [make_text_fact(GUID, 4, RED), make_text_fact(GUID, 1, OPENED)]
    (question,) = open_webqa(write_json(tmp_path, test=(record,)), split="test", setting="distractor").questions()
    assert (question.answers, question.positive_ids, question.negative_ids, question.category) == ((), (), (), "")
    pool = question.metadata["candidate_ids"]
    assert pool[0] == "30000003" and set(pool[1:]) == {f"{GUID}_4", f"{GUID}_1"}
    assert question.metadata["hidden_labels"] is True


def test_keywords_that_are_not_known_are_not_there(tmp_path: Path) -> None:
    facts = {"txt_posFacts": [make_text_fact(GUID, 0, RED)]}
    write_json(tmp_path, make_record(GUID, Keywords_A="TBD", **facts))
    (question,) = open_webqa(tmp_path, split="val", setting="full").questions()
    assert "keywords" not in question.metadata


def test_the_number_of_candidates_can_be_limited(tmp_path: Path) -> None:
    texts = [make_text_fact(GUID, number, f"{RED} {number}") for number in range(25)]
    images = [image_fact(number) for number in range(20)]
    record = make_record(GUID, txt_posFacts=texts[23:], txt_negFacts=texts[:23], img_negFacts=images)
    write_json(tmp_path, record)
    (question,) = open_webqa(tmp_path, split="val", setting="distractor", max_candidates=16).questions()
    pool = question.metadata["candidate_ids"]
    assert len(set(pool)) == 32 and sum(name.startswith(GUID) for name in pool) == 16
    assert {f"{GUID}_23", f"{GUID}_24"} <= set(pool) and len(question.negative_ids) == 43
    (question,) = open_webqa(tmp_path, split="val", setting="distractor").questions()
    assert len(set(question.metadata["candidate_ids"])) == 45 and set(pool) < set(question.metadata["candidate_ids"])


def test_in_the_full_setting_equal_facts_are_one_item_whatever_title_and_address(tmp_path: Path) -> None:
    same = make_text_fact(OTHER, 0, OPENED) | {"title": "Another page", "url": "https://elsewhere.invalid"}
    train_val = [
        make_record(GUID, "train", txt_posFacts=[make_text_fact(GUID, 3, OPENED)], img_negFacts=[image_fact(0)]),
        make_record(OTHER, "val", txt_posFacts=[same], txt_negFacts=[make_text_fact(OTHER, 1, OPENED + " ")]),
    ]
    test = {"Guid": THIRD, "split": "test", "Q": "Who?", "img_Facts": [image_fact(0), image_fact(1)]}
    test["txt_Facts"] = [make_text_fact(THIRD, 0, RED), make_text_fact(THIRD, 9, OPENED)]
    write_json(tmp_path, *train_val, test=(test,))
    write_pictures(tmp_path, b"zero", b"one", b"listed by none")
    expected = ["30000000", f"{GUID}_3", f"{OTHER}_1", "30000001", f"{THIRD}_0", "30000002"]
    for split in ("train", "val", "test"):  # one index serves them all
        items = list(open_webqa(tmp_path, split=split, setting="full").knowledge())
        assert [item.id for item in items] == expected
    assert [item.image.data for item in items if item.image] == [b"zero", b"one", b"listed by none"]
    distractor = open_webqa(tmp_path, split="val", setting="distractor").knowledge()
    assert [item.id for item in distractor] == [f"{OTHER}_0", f"{OTHER}_1"]
    (question,) = open_webqa(tmp_path, split="test", setting="full").questions()
    assert question.metadata["facts"] == {f"{THIRD}_0": RED, f"{THIRD}_9": OPENED}
    assert "candidate_ids" not in question.metadata
    assert source_ids(question.metadata["facts"], items) == [
        30000000,
        f"{THIRD}_9",
        DUMMY_SOURCE,
        30000001,
        f"{THIRD}_0",
        30000002,
    ]


def test_hits_are_mapped_by_the_text_alone() -> None:
    facts = {"q_1": OPENED, "q_2": RED, "q_8": OPENED}
    hits = [KnowledgeItem(id="q_2", text=OPENED + "."), KnowledgeItem(id="z_0", text=OPENED, title="Any")]
    assert source_ids(facts, hits) == [DUMMY_SOURCE, "q_1", "q_8"]
    unknown = [KnowledgeItem(id=str(number), text=f"Fact {number}") for number in range(3)]
    assert source_ids(facts, unknown) == [DUMMY_SOURCE] * 3
    assert source_ids({}, []) == []
    with pytest.raises(ValueError, match="'harbor' is neither a text nor a picture of WebQA"):
        source_ids(facts, [KnowledgeItem(id="harbor", image=ImageRef(data=b"x"))])


@given(st.lists(st.sampled_from(["a", "b", "c", "d"]), unique=True), st.lists(st.sampled_from("abcd"), max_size=6))
def test_every_hit_has_its_source(own: list[str], retrieved: list[str]) -> None:
    facts = {f"q_{number}": fact for number, fact in enumerate(own)}
    hits = [KnowledgeItem(id=f"x_{number}", text=text) for number, text in enumerate(dict.fromkeys(retrieved))]
    sources = source_ids(facts, hits)
    assert len(sources) == len(hits)
    for hit, source in zip(hits, sources, strict=True):
        assert source == DUMMY_SOURCE if hit.text not in own else facts[str(source)] == hit.text


def test_items_carry_what_the_facts_say(tmp_path: Path) -> None:
    picture = image_fact(0, url="https://commons.invalid", old_image_id="40000077", imgUrl="https://x.invalid/0.jpg")
    write_json(tmp_path, make_record(GUID, img_posFacts=[picture], Qcate="color"))
    write_pictures(tmp_path, b"zero")
    (item,) = open_webqa(tmp_path, split="val", setting="distractor").knowledge()
    assert (item.title, item.caption, item.source) == ("Light 0", "Light 0 in 2011", "https://commons.invalid")
    assert item.metadata == {"old_image_id": "40000077"}
    (item,) = open_webqa(tmp_path, split="val", setting="distractor", pictures=False).knowledge()
    assert (item.id, item.image, item.text, item.caption) == ("30000000", None, None, "Light 0 in 2011")
    assert source_ids({}, [item]) == [30000000]


def test_without_pictures_no_picture_file_is_needed(folder: Path) -> None:
    (folder / "imgs.tsv").unlink()
    benchmark = open_webqa(folder, split="val", setting="full")
    assert "pictures" not in benchmark.files
    with pytest.raises(FileNotFoundError, match=r"imgs\.tsv, which holds WebQA's pictures.*pictures=False"):
        benchmark.knowledge(problems=[])
    items = list(open_webqa(folder, split="val", setting="full", pictures=False).knowledge())
    listed = {
        fact["image_id"] for records in make_records(4) for record in records.values() for fact in images(record)
    }
    assert sum(item.caption is not None for item in items) == len(listed) < NUM_PICTURES


def images(record: dict[str, Any]) -> list[dict[str, Any]]:
    return [fact for name, facts in record.items() if name.startswith("img_") for fact in facts]


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "WebQA_test.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"WebQA_test\.json\. A WebQA folder holds"):
        open_webqa(folder, split="test", setting="full")
    benchmark = open_webqa(folder, split="val", setting="full")
    with pytest.raises(FileNotFoundError, match=r"WebQA_test\.json is missing: the full knowledge"):
        list(benchmark.knowledge())
    problems: list[Problem] = []
    assert len(list(benchmark.knowledge(problems=problems))) > NUM_PICTURES
    assert [problem.id for problem in problems] == ["WebQA_test.json"]


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        ({"split": "vak"}, "no split of WebQA 'vak'. Did you mean 'val'"),
        ({"setting": "ful"}, "no setting of WebQA 'ful'. Did you mean 'full'"),
        ({"max_candidates": 0}, "max_candidates must be a positive number"),
        ({"max_candidates": 16, "setting": "full"}, "in the distractor setting, got 16 with setting 'full'"),
    ],
)
def test_wrong_arguments_are_named(folder: Path, arguments: dict[str, Any], cause: str) -> None:
    with pytest.raises(ValueError, match=cause):
        open_webqa(folder, **{"split": "val", "setting": "distractor"} | arguments)


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"img_negFacts": None}, "img_negFacts must be a list of objects, found 'None'"),
        ({"txt_negFacts": [{"fact": RED}]}, "snippet_id must be a text"),
        ({"txt_negFacts": [make_text_fact(OTHER, 1, RED)]}, "it is another question's"),
        (
            {"txt_negFacts": [make_text_fact(GUID, 1, RED), make_text_fact(GUID, 1, OPENED)]},
            "stands for two different texts",
        ),
        ({"img_negFacts": [{"image_id": FIRST, "titel": "x", "caption": "y"}]}, "'titel' and no field 'title'"),
        ({"img_negFacts": [image_fact(-1)]}, "image id 29999999 is not one of 30000000..39999999"),
        ({"img_negFacts": [image_fact(0, image_id="²")]}, "image_id must be a whole number"),
        ({"img_Facts": []}, "lists of both forms"),
        ({"split": "vak"}, "split must be one of train, val, test, found 'vak'"),
        ({"Qcate": "colour"}, "Qcate must be one of .*, found 'colour'"),
        ({"A": []}, "A must be a list with an answer"),
        ({"A": [1]}, "A must be a list with an answer"),
        ({"Keywords_A": ["red"]}, "Keywords_A must be a text"),
        ({"Q": '""'}, "is empty"),
        ({"Q": "\ud800?"}, "half a character"),
        ({"Guid": OTHER}, "its field Guid says"),
    ],
)
def test_a_malformed_record_is_reported_by_its_guid(tmp_path: Path, changes: dict[str, Any], cause: str) -> None:
    records = {
        GUID: make_record(GUID) | changes,
        THIRD: make_record(THIRD, txt_posFacts=[make_text_fact(THIRD, 0, RED)]),
    }
    file = tmp_path / "WebQA_train_val.json"
    file.write_text(json.dumps(records))
    benchmark = open_webqa(tmp_path, split="val", setting="distractor", pictures=False)
    for stream, ids in ((benchmark.questions, [THIRD]), (benchmark.knowledge, [f"{THIRD}_0"])):
        problems: list[Problem] = []
        assert [entry.id for entry in stream(problems=problems)] == ids
        (problem,) = problems
        assert (problem.id, problem.file) == (f"Guid {GUID}", str(file))
        with pytest.raises(ReaderError, match=cause):
            list(stream())


FAULTS = [
    ({"txt_negFacts": [make_text_fact(GUID, 4, " ")]}, f"{GUID}_4", "it has no fact"),
    ({"txt_negFacts": [make_text_fact(GUID, 4, RED) | {"title": 7}]}, f"{GUID}_4", "field 'title' must be text"),
    ({"txt_negFacts": [make_text_fact(GUID, 4, "\ud800")]}, f"{GUID}_4", "half a character"),
    ({"img_negFacts": [{"image_id": FIRST, "title": "x"}]}, "30000000", "no field 'caption'"),
    ({"img_negFacts": [image_fact(0, caption=7)]}, "30000000", "field 'caption' must be text"),
]


@pytest.mark.parametrize(("changes", "name", "cause"), FAULTS)
def test_a_fact_without_usable_words_is_reported_and_its_question_kept(
    tmp_path: Path, changes: dict[str, Any], name: str, cause: str
) -> None:
    record = make_record(GUID, txt_posFacts=[make_text_fact(GUID, 1, OPENED)]) | changes
    benchmark = open_webqa(write_json(tmp_path, record), split="val", setting="distractor", pictures=False)
    for stream in (benchmark.questions, benchmark.knowledge):
        problems: list[Problem] = []
        (entry,) = stream(problems=problems)
        assert entry.id in (GUID, f"{GUID}_1")
        (problem,) = problems
        assert problem.id == name and problem.cause.startswith(f"Guid {GUID}: ") and cause in problem.cause
        with pytest.raises(ReaderError, match=f"WebQA_train_val.json: {name}: Guid {GUID}: "):
            list(stream())
    (question,) = benchmark.questions(problems=[])
    assert question.metadata["candidate_ids"] == (f"{GUID}_1",) and question.negative_ids == (name,)


def test_records_of_other_splits_are_no_concern_and_the_test_form_needs_no_split(tmp_path: Path) -> None:
    broken = make_record(OTHER, "train", A="no list")
    hidden = {"Guid": THIRD, "Q": "Who?", "img_Facts": [], "txt_Facts": [make_text_fact(THIRD, 0, RED)]}
    write_json(tmp_path, broken, make_record(GUID, txt_posFacts=[make_text_fact(GUID, 0, RED)]), test=(hidden,))
    assert [question.id for question in open_webqa(tmp_path, split="val", setting="full").questions()] == [GUID]
    with pytest.raises(ReaderError, match=OTHER):
        list(open_webqa(tmp_path, split="train", setting="full").questions())
    (question,) = open_webqa(tmp_path, split="test", setting="distractor").questions()
    assert (question.id, question.metadata["split"]) == (THIRD, "test")


def test_a_split_without_questions_is_an_error(folder: Path) -> None:
    write_json(folder, make_record(GUID, "train"))
    with pytest.raises(ReaderError, match="no usable question of the split 'val'"):
        list(open_webqa(folder, split="val", setting="full").questions())


def peak_of_reading(folder: Path, number: int) -> int:
    texts = [make_text_fact(GUID, index, f"{RED} {index} " * 60) for index in range(7)]
    with (folder / "WebQA_train_val.json").open("w") as file:
        for index in range(number):
            guid = make_guid(index)
            facts = [fact | {"snippet_id": f"{guid}_{place}"} for place, fact in enumerate(texts)]
            record = json.dumps({guid: make_record(guid, txt_posFacts=facts)})
            file.write(("{" if not index else ",") + record[1:-1])
        file.write("}")
    benchmark = open_webqa(folder, split="val", setting="distractor", pictures=False)
    tracemalloc.start()
    count = sum(1 for _ in benchmark.questions()) + sum(1 for _ in benchmark.knowledge())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == number * 8
    return peak


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    small, large = peak_of_reading(tmp_path, 100), peak_of_reading(tmp_path, 300)
    assert (tmp_path / "WebQA_train_val.json").stat().st_size > 1_900_000
    assert large < small + 200_000  # the file grew by more than a million bytes
