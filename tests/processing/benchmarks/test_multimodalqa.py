"""MultimodalQA as a benchmark: its settings, subsets and files, on a small folder and on the real questions."""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from rablip.processing import KnowledgeItem, load_image
from rablip.processing.benchmarks import Benchmark
from rablip.processing.benchmarks.multimodalqa import SUBSETS, open_multimodalqa
from rablip.processing.benchmarks.multimodalqa_documents import read_multimodalqa_images
from rablip.processing.benchmarks.multimodalqa_questions import QUESTION_TYPES
from rablip.processing.benchmarks.truncated_pictures import TRUNCATED_KEY
from rablip.processing.readers_records import Problem, ReaderError
from tests.processing.benchmarks.multimodalqa_folder import (
    make_answer,
    make_hidden_row,
    make_row,
    picture,
    write_documents,
    write_lines,
)


def open_dev(folder: Path, *rows: dict[str, Any], setting: str = "distractor", **options: Any) -> Benchmark:
    if rows:
        write_lines(folder / "MMQA_dev.jsonl", list(rows))
    return open_multimodalqa(folder, split="dev", setting=setting, **options)


def test_a_question(tmp_path: Path) -> None:
    entities = [{"text": "Mask", "wiki_title": "Mask (film)", "url": "u", "table_cells": [[1, 2]]}, "A bare name"]
    row = make_row(
        question="  Which of them opened in 1889 \n",
        answers=[make_answer("The Light", "image"), make_answer("Pier\nThree", "image"), make_answer("Pier", "image")],
        supporting_context=[
            {"doc_id": "b1", "doc_part": "table"},
            {"doc_id": "i2", "doc_part": "image"},
            {"doc_id": "b1", "doc_part": "table"},
        ],
        metadata={
            "type": "Compose(TableQ,ImageListQ)",
            "modalities": ["image", "table"],
            "wiki_entities_in_answers": entities,
            "intermediate_answers": [[make_answer(300.0), make_answer("Harbor")], [make_answer("x")]],
        },
    )
    (question,) = open_dev(tmp_path, row).questions()
    assert question.question == "Which of them opened in 1889"
    assert question.answers == ("The Light", "Pier\nThree", "Pier")
    assert (question.category, question.positive_ids) == ("Compose(TableQ,ImageListQ)", ("b1", "i2"))
    assert set(question.negative_ids) == {"t1", "t2", "i1"}
    metadata = dict(question.metadata)
    pool = dict(zip(metadata.pop("candidate_ids"), metadata.pop("candidate_modalities"), strict=True))
    assert pool == {"t1": "text", "t2": "text", "i1": "image", "i2": "image", "b1": "table"}
    assert metadata == {
        "modalities": ("image", "table"),
        "hop": "multi",
        "answer_modality": "image",
        "answer_type": "string",
        "positive_modalities": ("table", "image"),
        "intermediate_answers": (("300.0", "Harbor"), ("x",)),
        "question_entities": ("Harbor",),
        "answer_entities": ("Mask", "A bare name"),
        "all_answers": True,
    }


@pytest.mark.parametrize(
    ("value", "text"), [(300.0, "300.0"), (1.1440000000000001, "1.1440000000000001"), (7, "7"), ("Yes", "Yes")]
)
def test_answers_are_the_texts_that_the_official_scorer_compares(tmp_path: Path, value: Any, text: str) -> None:
    kind = "yesno" if value == "Yes" else "number"
    (question,) = open_dev(tmp_path, make_row(answers=[make_answer(value, "table", kind)])).questions()
    assert question.answers == (text,) and question.metadata["answer_type"] == kind
    assert "all_answers" not in question.metadata


def test_the_pool_does_not_tell_the_label_by_its_order(tmp_path: Path) -> None:
    ids = [[f"{name}{number}" for name in "abcd"] for number in range(200)]
    rows = [
        make_row(
            f"q{number}",
            metadata={"image_doc_ids": names},
            supporting_context=[{"doc_id": names[0], "doc_part": "image"}],
        )
        for number, names in enumerate(ids)
    ]
    places = Counter(
        question.metadata["candidate_ids"].index(question.positive_ids[0]) - 2
        for question in open_dev(tmp_path, *rows).questions()
    )
    assert set(places) == {0, 1, 2, 3} and all(19 <= count <= 81 for count in places.values())


def test_the_test_split(tmp_path: Path) -> None:
    write_lines(tmp_path / "MMQA_test.jsonl", [make_hidden_row()])
    (question,) = open_multimodalqa(tmp_path, split="test", setting="distractor").questions()
    assert (question.answers, question.positive_ids, question.negative_ids, question.category) == ((), (), (), "")
    assert question.metadata["hidden_labels"] is True and len(question.metadata["candidate_ids"]) == 5
    (question,) = open_multimodalqa(tmp_path, split="test", setting="full").questions()
    assert question.metadata == {"hidden_labels": True}


@pytest.mark.parametrize("family", ["MMQA_", "MultiModalQA_", ""])
@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz"])
@pytest.mark.parametrize("sub_folder", ["", "dataset"])
def test_names_of_the_files(tmp_path: Path, family: str, ending: str, sub_folder: str) -> None:
    folder = tmp_path / sub_folder
    folder.mkdir(exist_ok=True)
    write_documents(folder, family, ending)
    write_lines(folder / f"{family or 'MMQA_'}dev{ending}", [make_row()])
    benchmark = open_dev(tmp_path, images=folder / "final_dataset_images")
    assert len(list(benchmark.questions())) == 1
    assert [item.id for item in benchmark.knowledge()] == ["t1", "t2", "i1", "i2", "b1"]
    assert sorted(benchmark.files) == ["images", "questions", "tables", "texts"]


def test_documents(tmp_path: Path) -> None:
    write_documents(tmp_path)
    benchmark = open_dev(tmp_path, make_row(), setting="full")
    items = {item.id: item for item in benchmark.knowledge()}
    assert list(items) == ["t1", "t2", "t3", "t4", "i1", "i2", "i3", "i4", "b1", "b2"]
    assert items["t1"] == KnowledgeItem(
        id="t1", text="It opened in 1881.", title="Harbor", source="u1", metadata={"kind": "text"}
    )
    assert items["b2"].text == "Keepers\nYear | Keeper\n1889 | Keeper 0\n1890 | Keeper 1"
    assert (items["b2"].title, items["b2"].metadata) == ("Light", {"kind": "table"})
    assert (items["i1"].title, items["i1"].image.path, items["i4"].title) == ("Pier", "i1.JPG", None)
    assert benchmark.root == tmp_path / "final_dataset_images"
    for name in ("i1", "i2", "i3", "i4"):
        assert load_image(items[name].image, root=benchmark.root).size == (8, 6)
    (question,) = benchmark.questions()
    assert "candidate_ids" not in question.metadata
    short = {item.id: item for item in open_dev(tmp_path, table_characters=40).knowledge()}
    assert short["b1"].text == "Keepers\nYear | Keeper\n1889 | Keeper 0"
    wide = {item.id: item for item in open_dev(tmp_path, setting="full", table_characters=50).knowledge()}
    assert wide["b2"].text == "Keepers\nYear | Keeper\n1889 | Keeper 0\n(1 more row)"
    assert wide["b2"].metadata == {"kind": "table", "rows_left_out": 1}


def test_what_is_listed_and_not_there_is_counted(tmp_path: Path) -> None:
    write_documents(tmp_path)
    row = make_row(
        metadata={"image_doc_ids": ["i1", "i9"], "text_doc_ids": ["t1"]},
        supporting_context=[{"doc_id": "i3", "doc_part": "image"}],
    )
    (tmp_path / "final_dataset_images" / "i3.tiff").unlink()
    (tmp_path / "final_dataset_images" / "i4.png").unlink()  # listed by no question
    benchmark = open_dev(tmp_path, row)
    (question,) = benchmark.questions()
    assert question.metadata["outside_context"] == ("i3",) and question.positive_ids == ("i3",)
    assert "i3" not in question.metadata["candidate_ids"]
    problems: list[Problem] = []
    assert [item.id for item in benchmark.knowledge(problems=problems)] == ["t1", "i1", "b1"]
    assert [problem.id for problem in problems] == ["line 3 (id i3)", "i9"]
    assert "the picture is missing" in problems[0].cause and problems[0].file.endswith("i3.tiff")
    assert problems[1].cause == "a question lists this image, and no row has it"
    with pytest.raises(ReaderError, match=r"i3\.tiff: line 3 \(id i3\)"):
        list(benchmark.knowledge())
    problems = []
    everything = open_dev(tmp_path, setting="full")
    assert [item.id for item in everything.knowledge(problems=problems)] == [
        "t1",
        "t2",
        "t3",
        "t4",
        "i1",
        "i2",
        "b1",
        "b2",
    ]
    assert [problem.id for problem in problems] == ["line 3 (id i3)", "line 4 (id i4)", "i9"]


@pytest.mark.parametrize(
    "path", ["../secret.png", "/etc/hosts", "link.png", "folder", "https://x.invalid/a.png", "a\0b"]
)
def test_a_picture_never_lies_outside_its_folder(tmp_path: Path, path: str) -> None:
    write_documents(tmp_path)
    (tmp_path / "secret.png").write_bytes(picture())
    images = tmp_path / "final_dataset_images"
    (images / "link.png").symlink_to(tmp_path / "secret.png")
    (images / "folder").mkdir()
    file = write_lines(tmp_path / "MMQA_images.jsonl", [{"title": "a", "url": "", "id": "i1", "path": path}])
    problems: list[Problem] = []
    assert list(read_multimodalqa_images(file, images, problems=problems)) == []
    assert [problem.id for problem in problems] == ["line 1 (id i1)"]


def test_questions_need_no_documents_and_knowledge_says_what_is_missing(tmp_path: Path) -> None:
    benchmark = open_dev(tmp_path, make_row())
    assert len(list(benchmark.questions())) == 1
    with pytest.raises(FileNotFoundError) as caught:
        benchmark.knowledge(problems=[])
    for name in ("MMQA_texts.jsonl", "MMQA_tables.jsonl", "MMQA_images.jsonl", "final_dataset_images"):
        assert name in str(caught.value)
    write_documents(tmp_path)
    (tmp_path / "MMQA_tables.jsonl").unlink()
    with pytest.raises(FileNotFoundError, match=r"is missing MMQA_tables\.jsonl\[\.gz\]\. Put it there"):
        benchmark = open_dev(tmp_path)
        benchmark.knowledge()
    assert [item.id for item in open_dev(tmp_path, modalities=["text", "image"]).knowledge()] == [
        "t1",
        "t2",
        "i1",
        "i2",
    ]
    with pytest.raises(FileNotFoundError, match=r"no file MMQA_train\.jsonl or \.jsonl\.gz"):
        open_multimodalqa(tmp_path, split="train", setting="full")


def test_fewer_modalities_and_no_pictures(tmp_path: Path) -> None:
    write_documents(tmp_path)
    benchmark = open_dev(tmp_path, make_row(), modalities=["image"], pictures=False)
    (question,) = benchmark.questions()
    assert set(question.metadata["candidate_ids"]) == set(question.negative_ids) == {"i1", "i2"}
    assert question.positive_ids == ("t1",)
    assert [(item.id, item.image, item.title) for item in benchmark.knowledge()] == [
        ("i1", None, "Pier"),
        ("i2", None, "Pier"),
    ]
    assert "texts" not in benchmark.files


def test_a_cut_picture_can_be_mended(tmp_path: Path) -> None:
    write_documents(tmp_path)
    file = tmp_path / "final_dataset_images" / "i1.JPG"
    buffer = io.BytesIO()
    Image.effect_noise((40, 30), 90).save(buffer, "JPEG")
    file.write_bytes(buffer.getvalue()[:-200])
    benchmark = open_dev(tmp_path, make_row(), modalities=["image"], mend_truncated=True)
    problems: list[Problem] = []
    first, second = benchmark.knowledge(problems=problems)
    assert first.metadata == {"kind": "image", TRUNCATED_KEY: True} and load_image(first.image).size == (40, 30)
    assert second.image.path == "i2.gif"
    assert [(problem.id, problem.file) for problem in problems] == [("i1", "i1.JPG")]


@pytest.mark.parametrize(
    ("subset", "ids"), [("murag", ["q0", "q2"]), ("ramqa", ["q0", "q2", "q3"]), ("ragvl", ["q2"])]
)
def test_subsets(tmp_path: Path, subset: str, ids: list[str]) -> None:
    kinds = [
        ("TextQ", ["text"]),
        ("TableQ", ["table"]),
        ("ImageQ", ["image"]),
        ("Compose(ImageQ,TextQ)", ["image", "text"]),
        ("Compose(ImageQ,TableQ)", ["table", "image"]),
    ]
    rows = [
        make_row(f"q{number}", metadata={"type": kind, "modalities": modalities})
        for number, (kind, modalities) in enumerate(kinds)
    ]
    assert [question.id for question in open_dev(tmp_path, *rows, subset=subset).questions()] == ids
    with pytest.raises(ReaderError, match=f"no usable question of the subset '{subset}'"):
        list(open_dev(tmp_path, rows[1], subset=subset).questions())


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        ({"split": "val"}, "no split of MultimodalQA 'val'"),
        ({"setting": "distracter"}, "Did you mean 'distractor'"),
        ({"subset": "mura"}, "Did you mean 'murag'"),
        ({"modalities": ["texts"]}, "Did you mean 'text'"),
        ({"modalities": "text"}, "must be a list of text, image, table"),
        ({"modalities": []}, "must be a list"),
        ({"split": "test", "subset": "murag"}, "does not say its question types"),
    ],
)
def test_wrong_arguments_are_named(tmp_path: Path, arguments: dict[str, Any], cause: str) -> None:
    with pytest.raises(ValueError, match=cause):
        open_multimodalqa(tmp_path, **{"split": "dev", "setting": "full"} | arguments)


MALFORMED: list[tuple[dict[str, Any], str]] = [
    ({"qid": 7}, "field 'qid' must be"),
    ({"question": " "}, "is empty"),
    ({"answers": []}, "answers must be a list of answers"),
    ({"answers": [make_answer(True)]}, "must be a text or a number, found True"),
    ({"answers": [make_answer(" ")]}, "must be a text or a number"),
    ({"answers": [make_answer(float("nan"))]}, "must be a text or a number, found nan"),
    ({"answers": [make_answer("a"), make_answer("b", "image")]}, "the modality of all answers"),
    ({"answers": [make_answer("a", kind="text")]}, "the type of all answers"),
    ({"answers": [make_answer("a") | {"modality": ["text"]}]}, "the modality of all answers"),
    ({"metadata": {"type": "TextQuestion"}}, "metadata.type must be one of"),
    ({"metadata": {"modalities": ["texts"]}}, "metadata.modalities must be of"),
    ({"metadata": {"table_id": None}}, "metadata.table_id must be a document id"),
    ({"metadata": {"text_doc_ids": "t1"}}, "must be a list of texts"),
    ({"metadata": {"intermediate_answers": [make_answer("a")]}}, "a step of them must be a list of answers"),
    ({"metadata": {"wiki_entities_in_question": [{"title": "x"}]}}, "must be a list of entities"),
    ({"metadata": {"wiki_entities_in_answers": 7}}, "must be a list of entities"),
    ({"supporting_context": []}, "supporting_context must be a list"),
    ({"supporting_context": [{"doc_id": "t1", "doc_part": "texts"}]}, "expected doc_id and doc_part"),
]


@pytest.mark.parametrize(("changes", "cause"), MALFORMED)
def test_a_malformed_question_is_named_by_its_line(tmp_path: Path, changes: dict[str, Any], cause: str) -> None:
    file = write_lines(tmp_path / "MMQA_dev.jsonl", [make_row("q0"), make_row(**changes), make_row("q2")])
    problems: list[Problem] = []
    benchmark = open_dev(tmp_path)
    assert [question.id for question in benchmark.questions(problems=problems)] == ["q0", "q2"]
    (problem,) = problems
    assert problem.id.startswith("line 2") and problem.file == str(file) and cause in problem.cause
    with pytest.raises(ReaderError, match=r"MMQA_dev\.jsonl: line 2"):
        list(benchmark.questions())


@pytest.mark.parametrize("column", ["answers", "metadata", "supporting_context", "question", "qid"])
def test_a_missing_column_is_noticed(tmp_path: Path, column: str) -> None:
    row = make_row()
    del row[column]
    with pytest.raises(ReaderError, match="line 1"):
        list(open_dev(tmp_path, row).questions())


@pytest.mark.parametrize("column", ["type", "modalities", "text_doc_ids", "image_doc_ids", "table_id"])
def test_a_missing_field_of_metadata_is_noticed(tmp_path: Path, column: str) -> None:
    row = make_row()
    del row["metadata"][column]
    with pytest.raises(ReaderError, match=f"line 1 .*{column}"):
        list(open_dev(tmp_path, row).questions())


def test_a_repeated_id_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(ReaderError, match=r"line 2 \(qid q1\): the qid is that of an earlier row"):
        list(open_dev(tmp_path, make_row(), make_row()).questions())
    write_documents(tmp_path)
    with (tmp_path / "MMQA_texts.jsonl").open("a") as file:
        file.write(json.dumps({"title": "", "url": "", "id": "t2", "text": "Again."}))
    problems: list[Problem] = []
    assert [item.id for item in open_dev(tmp_path).knowledge(problems=problems)].count("t2") == 1
    assert [problem.id for problem in problems] == ["line 2 (qid q1)", "line 5 (id t2)"]


def test_the_real_dev_questions(shared: Path) -> None:
    folder = shared / "data" / "mmqa"
    questions = list(open_multimodalqa(folder, split="dev", setting="distractor").questions())
    assert len(questions) == 2441
    counts = Counter(question.category for question in questions)
    assert set(counts) == set(QUESTION_TYPES) and len(counts) == 16
    singles = {"TextQ": 721, "TableQ": 369, "ImageQ": 230, "ImageListQ": 141}
    assert {name: counts[name] for name in singles} == singles
    assert counts["Compose(TextQ,TableQ)"] == 216 and counts["Intersect(ImageListQ,TextQ)"] == 3
    modalities = Counter(question.metadata["answer_modality"] for question in questions)
    assert modalities == {"text": 1048, "table": 860, "image": 533}
    assert Counter(question.metadata["hop"] for question in questions) == {"single": 1461, "multi": 980}
    numbers = [question.answers for question in questions if question.metadata["answer_type"] == "number"]
    assert len(numbers) == 6 and ("300.0",) in numbers and ("1.1440000000000001",) in numbers
    pools = [Counter(question.metadata["candidate_modalities"]) for question in questions]
    assert all(pool["text"] == 10 and pool["table"] == 1 and pool["image"] <= 15 for pool in pools)
    assert sum(pool["image"] for pool in pools) / 2441 == pytest.approx(9.9, abs=0.05)
    outside = [
        question.metadata["outside_context"] for question in questions if "outside_context" in question.metadata
    ]
    assert outside == [("e51e7755477179a20eab8310a1c25559",)]
    assert sum("\n" in answer for question in questions for answer in question.answers) == 2
    assert sum(not question.question.endswith("?") for question in questions) == 433
    assert {answer for q in questions if q.metadata["answer_type"] == "yesno" for answer in q.answers} == {
        "yes",
        "Yes",
        "no",
        "No",
    }


@pytest.mark.parametrize(("subset", "number"), [("murag", 951), ("ramqa", 1176), ("ragvl", 230)])
def test_the_real_subsets(shared: Path, subset: str, number: int) -> None:
    assert subset in SUBSETS
    benchmark = open_multimodalqa(shared / "data" / "mmqa", split="dev", setting="full", subset=subset)
    assert sum(1 for _ in benchmark.questions()) == number


def test_the_real_test_questions_and_pictures(shared: Path) -> None:
    folder = shared / "data" / "mmqa"
    questions = list(open_multimodalqa(folder, split="test", setting="distractor").questions())
    assert len(questions) == 3660 and all(question.metadata["hidden_labels"] for question in questions)
    problems: list[Problem] = []
    items = list(read_multimodalqa_images(folder / "MMQA_images.jsonl.gz", None, problems=problems))
    # Four pictures have no title, so that without their files nothing of them is left.
    assert len(items) + len(problems) == 57_058 and len(problems) == 4
    titles = open_multimodalqa(folder, split="test", setting="distractor", modalities=["image"], pictures=False)
    problems = []
    # All of the questions' own pictures have a row.
    assert sum(1 for _ in titles.knowledge(problems=problems)) + len(problems) == 14_584 and len(problems) == 3
