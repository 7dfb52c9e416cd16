"""Encyclopedic-VQA: its CSV with alternatives, parts and two hops, its pictures, its knowledge base as a stream."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from rablip.processing.benchmarks.encyclopedic_kb import article_url_of, read_encyclopedic_kb
from rablip.processing.benchmarks.encyclopedic_vqa import open_encyclopedic_vqa
from rablip.processing.readers_records import Problem, ReaderError
from tests.processing.benchmarks.benchmark_files import causes, items_of, peak, questions_of, touch, write_json

WIKI = "https://en.wikipedia.org/wiki/"
COLUMNS = (
    "question",
    "answer",
    "dataset_image_ids",
    "dataset_name",
    "dataset_category_id",
    "question_type",
    "wikipedia_url",
    "wikipedia_title",
    "evidence",
    "evidence_section_id",
    "evidence_section_title",
    "encyclopedic_vqa_split",
    "question_original",
    "wikipedia_url_used_in_train",
)


def row(**changes: str) -> dict[str, str]:
    return {
        "question": 'How "big", in cm, can this get?',
        "answer": "20 cm|8 inches",
        "dataset_image_ids": "2686843|2686844",
        "dataset_name": "inaturalist",
        "dataset_category_id": "4711",
        "question_type": "templated",
        "wikipedia_url": f"{WIKI}Dwarf_cornel",
        "wikipedia_title": "Dwarf cornel",
        "evidence": "It grows to\n20 cm.",
        "evidence_section_id": "1",
        "evidence_section_title": "Description",
        "encyclopedic_vqa_split": "test",
        "question_original": "How big can Dwarf cornel get?",
        "wikipedia_url_used_in_train": "False",
    } | changes


def write_files(root: Path, rows: list[dict[str, str]], columns: tuple[str, ...] = COLUMNS) -> Path:
    with open(root / "test.csv", "w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return root


def test_a_templated_question(tmp_path: Path) -> None:
    write_files(tmp_path, [row()])
    write_json(tmp_path / "val_id2name.json", {"2686843": "val/1/a.jpg", "2686844": "val/1/b.jpg", "9": "val/9.jpg"})
    touch(tmp_path / "inaturalist" / "val" / "1" / "a.jpg")
    benchmark = open_encyclopedic_vqa(tmp_path, split="test")
    (example,), problems = questions_of(benchmark)
    assert problems == []
    assert (example.id, example.question) == ("test-0", 'How "big", in cm, can this get?')
    assert [image.path for image in example.images] == ["inaturalist/val/1/a.jpg"]
    assert (example.answers, example.category) == (("20 cm", "8 inches"), "templated")
    assert example.positive_ids == (f"{WIKI}Dwarf_cornel#1",)
    assert example.hops == [[f"{WIKI}Dwarf_cornel#1"]]
    assert example.metadata == {
        "answer": "20 cm|8 inches",
        "references": ("20 cm", "8 inches"),
        "question_type": "templated",
        "wikipedia_urls": (f"{WIKI}Dwarf_cornel",),
        "evidence_section_ids": (1,),
        "hops": [[f"{WIKI}Dwarf_cornel#1"]],
        "dataset_name": "inaturalist",
        "dataset_image_ids": ("2686843", "2686844"),
        "image_id": "2686843",
        "dataset_category_id": "4711",
        "wikipedia_title": "Dwarf cornel",
        "evidence": "It grows to\n20 cm.",
        "evidence_section_title": "Description",
        "question_original": "How big can Dwarf cornel get?",
        "wikipedia_url_used_in_train": False,
    }


def test_a_question_of_two_hops(tmp_path: Path) -> None:
    two = {"question_type": "2_hop", "wikipedia_url": f"{WIKI}A|{WIKI}B", "evidence_section_title": "x|y"}
    rows = [row(evidence_section_id=ids, **two) for ids in ("2|5", "|5", "")] + [row()]
    write_files(tmp_path, rows)
    examples = list(open_encyclopedic_vqa(tmp_path, split="test", pictures=False).questions())
    assert [example.hops for example in examples[:3]] == [
        [[f"{WIKI}A#2"], [f"{WIKI}B#5"]],
        [[], [f"{WIKI}B#5"]],
        [[], []],
    ]
    assert [example.positive_ids for example in examples[:3]] == [(f"{WIKI}A#2", f"{WIKI}B#5"), (f"{WIKI}B#5",), ()]
    assert examples[1].metadata["evidence_section_ids"] == (None, 5)
    assert examples[0].metadata["wikipedia_urls"] == (f"{WIKI}A", f"{WIKI}B")
    articles = list(open_encyclopedic_vqa(tmp_path, split="test", units="article", pictures=False).questions())
    assert [example.positive_ids for example in articles[:3]] == [(f"{WIKI}A", f"{WIKI}B")] * 3
    single = ("templated", "automatic", "multi_answer")
    kept = open_encyclopedic_vqa(tmp_path, split="test", question_types=single, pictures=False).questions()
    assert [example.id for example in kept] == ["test-3"], "a row keeps its number whatever is left out"


def test_parts_of_an_answer_stay_joined(tmp_path: Path) -> None:
    write_files(tmp_path, [row(question_type="multi_answer", answer="red&&blue and green|red&&teal", evidence="")])
    (example,) = open_encyclopedic_vqa(tmp_path, split="test", pictures=False).questions()
    assert example.metadata["answer"] == "red&&blue and green|red&&teal"
    assert example.metadata["references"] == example.answers == ("red&&blue and green", "red&&teal")
    assert "evidence" not in example.metadata


def test_each_picture_of_a_row(tmp_path: Path) -> None:
    ids = "abcd01|abcd02|xyz"
    write_files(tmp_path, [row(dataset_name="landmarks", dataset_image_ids=ids)])
    touch(*(tmp_path / "landmarks" / path for path in ("a/b/c/abcd01.jpg", "x/y/z/xyz.jpg")))
    examples, problems = questions_of(open_encyclopedic_vqa(tmp_path, split="test", each_picture=True))
    assert [(example.id, example.images[0].path) for example in examples] == [
        ("test-0#0", "landmarks/a/b/c/abcd01.jpg"),
        ("test-0#2", "landmarks/x/y/z/xyz.jpg"),
    ]
    assert [example.metadata["image_id"] for example in examples] == ["abcd01", "xyz"]
    assert [(problem.id, Path(problem.file).name) for problem in problems] == [("line 2 (test-0)", "abcd02.jpg")]


def test_the_map_may_be_an_annotation_file_of_inaturalist(tmp_path: Path) -> None:
    write_files(tmp_path, [row()])
    images = [{"id": 2686843, "width": 500, "file_name": "val/1/a.jpg"}, {"id": 1, "file_name": "../out.jpg"}]
    file = write_json(tmp_path / "val.json", {"info": {"year": 2021}, "annotations": [{"id": 1}], "images": images})
    touch(tmp_path / "pictures" / "inaturalist" / "val" / "1" / "a.jpg")
    benchmark = open_encyclopedic_vqa(tmp_path, split="test", picture_map=file, images=tmp_path / "pictures")
    assert [example.images[0].path for example in benchmark.questions()] == ["inaturalist/val/1/a.jpg"]
    assert benchmark.root == tmp_path / "pictures"


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"question_type": "3_hop"}, "question_type must be one of templated, automatic, multi_answer, 2_hop"),
        ({"dataset_name": "coco"}, "dataset_name must be inaturalist or landmarks"),
        ({"encyclopedic_vqa_split": "val"}, "the row is of the split 'val', the file of 'test'"),
        ({"answer": ""}, "answer has an empty alternative"),
        ({"answer": "20 cm||8 inches"}, "answer has an empty alternative"),
        ({"dataset_image_ids": ""}, "dataset_image_ids has an empty id"),
        ({"dataset_image_ids": "1|"}, "dataset_image_ids has an empty id"),
        ({"wikipedia_url": ""}, "wikipedia_url must hold 1 address(es)"),
        ({"wikipedia_url": f"{WIKI}A|{WIKI}B"}, "wikipedia_url must hold 1 value(s), as the question is templated"),
        ({"wikipedia_url": f"{WIKI}A#b"}, "without '#'"),
        ({"question_type": "2_hop"}, "wikipedia_url must hold 2 value(s), as the question is 2_hop"),
        ({"question_type": "2_hop", "wikipedia_url": "a|b"}, "evidence_section_id must hold 2 value(s)"),
        ({"evidence_section_id": "-1"}, "evidence_section_id must be a whole number"),
        ({"evidence_section_id": "one"}, "evidence_section_id must be a whole number"),
        ({"evidence_section_id": "1.5"}, "evidence_section_id must be a whole number"),
        ({"wikipedia_url_used_in_train": "maybe"}, "must be True or False, found 'maybe'"),
        ({"question": " "}, "'question' must be a text that is not blank"),
    ],
)
def test_a_malformed_row_is_named_and_the_others_read(tmp_path: Path, changes: dict[str, str], cause: str) -> None:
    write_files(tmp_path, [row(evidence_section_id="1.0"), row(**changes), row(evidence_section_id="")])
    benchmark = open_encyclopedic_vqa(tmp_path, split="test", pictures=False)
    examples, problems = questions_of(benchmark)
    assert [example.id for example in examples] == ["test-0", "test-2"]
    assert [example.positive_ids for example in examples] == [(f"{WIKI}Dwarf_cornel#1",), ()]
    # The rows before have a line break in a quoted cell.
    assert [(place, name) for place, name, _ in causes(problems)] == [("line 4 (test-1)", "test.csv")]
    assert cause in problems[0].cause
    with pytest.raises(ReaderError, match=r"test\.csv: line 4 \(test-1\)"):
        list(benchmark.questions())


def test_pictures_that_cannot_be_found_are_counted(tmp_path: Path) -> None:
    rows = [row(), row(dataset_image_ids="5"), row(dataset_name="landmarks", dataset_image_ids="../../etc/passwd")]
    write_files(tmp_path, [*rows, row(dataset_name="landmarks", dataset_image_ids="ab")])
    write_json(tmp_path / "train_id2name.json", {"2686843": "train/a.jpg"})
    examples, problems = questions_of(open_encyclopedic_vqa(tmp_path, split="test"))
    assert examples == []
    for problem, expected in zip(
        problems,
        (
            "has no inaturalist/train/a.jpg",
            "the iNaturalist picture 5 is in no map",
            "three or more letters",
            "or more",
        ),
        strict=True,
    ):
        assert expected in problem.cause


def test_a_file_without_its_columns_or_with_broken_rows(tmp_path: Path) -> None:
    write_files(tmp_path, [row()], tuple(name for name in COLUMNS if name != "wikipedia_url"))
    with pytest.raises(ReaderError, match=r"test\.csv: line 1: the header has no column \['wikipedia_url'\]"):
        list(open_encyclopedic_vqa(tmp_path, split="test").questions(problems=[]))
    file = write_files(tmp_path, [row(evidence="one line"), row(evidence="x"), row(evidence="x")]) / "test.csv"
    lines = file.read_text().splitlines()
    file.write_text("\n".join([lines[0], lines[1], lines[2] + ",more", "", lines[3], "cut off"]))
    examples, problems = questions_of(open_encyclopedic_vqa(tmp_path, split="test", pictures=False))
    assert [example.id for example in examples] == ["test-0", "test-2"]
    assert [(problem.id, problem.cause) for problem in problems] == [
        ("line 3", "expected 14 cells as in the header, found 15"),
        ("line 6", "expected 14 cells as in the header, found 1"),
    ]
    file.write_text("\n".join([lines[0], lines[1], 'no end,"' + lines[2]]))
    with pytest.raises(ReaderError, match=r"test\.csv: line 3: malformed CSV"):
        list(open_encyclopedic_vqa(tmp_path, split="test", pictures=False).questions(problems=[]))
    file.write_bytes(lines[0].encode() + b"\n\xff\xfe,")
    with pytest.raises(ReaderError, match=r"test\.csv: .*not UTF-8"):
        list(open_encyclopedic_vqa(tmp_path, split="test", pictures=False).questions(problems=[]))
    file.write_text(lines[0] + ",answer\n")
    with pytest.raises(ReaderError, match="the column 'answer' twice"):
        list(open_encyclopedic_vqa(tmp_path, split="test", pictures=False).questions(problems=[]))


def test_names_of_splits_and_settings(tmp_path: Path) -> None:
    write_files(tmp_path, [])
    for options, cause in (
        ({"split": "tset"}, "split of Encyclopedic-VQA 'tset'"),
        ({"split": "test", "setting": "distractor"}, "setting of Encyclopedic-VQA 'distractor'"),
        ({"split": "test", "units": "paragraph"}, "unit of Encyclopedic-VQA's knowledge base 'paragraph'"),
        ({"split": "test", "question_types": ["two_hop"]}, "question type of Encyclopedic-VQA 'two_hop'"),
    ):
        with pytest.raises(ValueError, match=cause):
            open_encyclopedic_vqa(tmp_path, **options)  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError, match=r"val\.csv"):
        open_encyclopedic_vqa(tmp_path, split="val")


def article(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "title": name,
        "section_titles": [name, "Description", "Gallery", "Uses"],
        "section_texts": [f"{name} is a plant.", "It grows to 20 cm.", " ", "It is eaten."],
        "image_urls": ["https://upload.wikimedia.org/1.jpg"],
        "image_reference_descriptions": ["a plant"],
        "image_section_indices": [1],
        "url": WIKI + name,
    } | changes


def test_sections_and_articles_are_items(tmp_path: Path) -> None:
    write_files(tmp_path, [row(wikipedia_url=WIKI + "Cornel")])
    write_json(tmp_path / "encyclopedic_kb_wiki.json", {WIKI + "Cornel": article("Cornel")}, crlf=True, bom=True)
    items, problems = items_of(open_encyclopedic_vqa(tmp_path, split="test", pictures=False))
    assert problems == []
    assert [(item.id, item.title, item.text) for item in items] == [
        (f"{WIKI}Cornel#0", "Cornel", "Cornel is a plant."),
        (f"{WIKI}Cornel#1", "Cornel", "Description\nIt grows to 20 cm."),
        (f"{WIKI}Cornel#3", "Cornel", "Uses\nIt is eaten."),
    ]
    assert items[1].metadata == {
        "wikipedia_url": f"{WIKI}Cornel",
        "section_index": 1,
        "section_title": "Description",
    }
    assert {article_url_of(item.id) for item in items} == {f"{WIKI}Cornel"} == {item.source for item in items}
    benchmark = open_encyclopedic_vqa(tmp_path, split="test", units="article", pictures=False)
    ((whole,), _), (example,) = items_of(benchmark), benchmark.questions()
    assert (whole.id, example.positive_ids) == (f"{WIKI}Cornel", (f"{WIKI}Cornel",))
    assert whole.text == "Cornel is a plant.\n\nDescription\nIt grows to 20 cm.\n\nUses\nIt is eaten."
    assert whole.metadata["image_urls"] == ("https://upload.wikimedia.org/1.jpg",) and whole.image is None


def test_articles_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    broken = {
        "A": (article("A", section_texts=["one"]), "4 section_titles and 1 section_texts"),
        "B": (article("B", url=WIKI + "other"), "be that of its field url"),
        "C": (article("C", section_texts=[""] * 4), "none of its sections has a text"),
        "D": (article("D", title=None), "'title' must be a text"),
        "E": ([1], "expected an object"),
        "F": (article("F", section_texts=None), "4 section_titles and 0 section_texts"),
        "G": (article("G", section_titles=["G", None, "x", "y"]), "'section_titles' must hold texts"),
    }
    good = {WIKI + "Good": article("Good")}
    entries = {WIKI + name: value for name, (value, _) in broken.items()} | good
    file = write_json(tmp_path / "kb.json", entries)
    problems: list[Problem] = []
    items = list(read_encyclopedic_kb(file, units="article", problems=problems))
    assert [item.id for item in items] == [WIKI + "Good"]
    for problem, (name, (_, cause)) in zip(problems, broken.items(), strict=True):
        assert problem.id == f"article '{WIKI}{name}'" and cause in problem.cause
    with pytest.raises(ReaderError, match=r"kb\.json: article '.*/A': it has 4 section_titles"):
        list(read_encyclopedic_kb(file))


@pytest.mark.parametrize("damage", ["cut", "twice"])
def test_a_knowledge_base_that_is_damaged_is_an_error_with_its_place(tmp_path: Path, damage: str) -> None:
    text = json.dumps({WIKI + name: article(name) for name in "ABC"}, indent=1)
    text = text[:-300] if damage == "cut" else text.replace(f'"{WIKI}C": {{', f'"{WIKI}A": {{')
    file = tmp_path / "kb.json"
    file.write_text(text)
    with pytest.raises(ReaderError, match=rf"kb\.json: line \d+: .*({'truncated' if damage == 'cut' else 'twice'})"):
        list(read_encyclopedic_kb(file, problems=[]))


def test_memory_stays_flat_in_the_size_of_the_files(tmp_path: Path) -> None:
    peaks = []
    for count in (100, 1_000):
        file = write_json(tmp_path / f"{count}.json", {WIKI + str(n): article(str(n)) for n in range(count)})
        peaks.append(peak(lambda file=file: read_encyclopedic_kb(file)))  # type: ignore[misc]
    assert peaks[1] < 1.3 * peaks[0], peaks
    peaks = []
    for count in (100, 1_000):
        write_files(tmp_path, [row()] * count)
        peaks.append(peak(open_encyclopedic_vqa(tmp_path, split="test", pictures=False).questions))
    assert peaks[1] < 1.3 * peaks[0], peaks
