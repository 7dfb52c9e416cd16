"""The WebQA files are read to the letter: by byte offset, in both forms, with errors that name file and record."""

from __future__ import annotations

import base64
import json
import pickle  # noqa: TID251 (what a DataLoader does to send the reader to a worker)
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from rablip.processing import Modality
from rablip.processing.readers_records import Problem, ReaderError
from rablip.processing.readers_webqa import (
    WebQAPictures,
    read_webqa_knowledge,
    read_webqa_questions,
    strip_outer_quotes,
)

GUID = "d5aaaaaa0dba11ecb1e81171463288e9"
PICTURES = [b"first picture", b"second", b"third" * 1000]


def image_fact(number: int, **extra: Any) -> dict[str, Any]:
    name = f"Harbor Light {number}"
    return {
        "image_id": 30_000_000 + number,
        "title": name,
        "caption": f"{name} in 2011",
        "url": "u",
        "imgUrl": "i",
        **extra,
    }


def text_fact(number: int, fact: str = "It opened in 1889.") -> dict[str, Any]:
    return {"snippet_id": f"{GUID}_{number}", "title": "Harbor Light", "fact": fact, "url": "https://en.wikipedia.org"}


def record(**changes: Any) -> dict[str, Any]:
    return {
        "Guid": GUID,
        "split": "train",
        "Qcate": "color",
        "topic": "lighthouse",
        "Q": '"What color is the "door"?"',
        "A": ['"It is green."'],
        "img_posFacts": [image_fact(0)],
        "img_negFacts": [image_fact(2), image_fact(0)],
        "txt_posFacts": [],
        "txt_negFacts": [text_fact(8)],
    } | changes


def write_files(folder: Path, records: dict[str, Any], pictures: list[bytes] = PICTURES) -> tuple[Path, Path, Path]:
    files = folder / "WebQA_train_val.json", folder / "imgs.tsv", folder / "imgs.lineidx"
    files[0].write_text(json.dumps(records))
    offsets, content = [], b""
    for number, picture in enumerate(pictures):
        offsets.append(len(content))
        content += f"{30_000_000 + number}\t".encode() + base64.b64encode(picture) + b"\n"
    files[1].write_bytes(content)
    files[2].write_text("".join(f"{offset}\n" for offset in offsets))
    return files


def test_items_of_a_train_record(tmp_path: Path) -> None:
    other = record(Guid="b" * 32, img_posFacts=[image_fact(2)], img_negFacts=[], txt_negFacts=[])
    items = list(read_webqa_knowledge(*write_files(tmp_path, {GUID: record(), "b" * 32: other})))
    assert [item.id for item in items] == ["30000000", "30000002", f"{GUID}_8"]
    picture, _, text = items
    assert (picture.image.data, picture.title, picture.caption, picture.source) == (
        PICTURES[0],
        "Harbor Light 0",
        "Harbor Light 0 in 2011",
        "u",
    )
    assert (text.text, text.title, text.source) == ("It opened in 1889.", "Harbor Light", "https://en.wikipedia.org")
    assert (picture.modality, text.modality) == (Modality.IMAGE, Modality.TEXT)


def test_question_of_a_train_record(tmp_path: Path) -> None:
    (example,) = read_webqa_questions(write_files(tmp_path, {GUID: record(Keywords_A="green")})[0])
    assert (example.id, example.question) == (GUID, 'What color is the "door"?')
    assert (example.answers, example.category) == (("It is green.",), "color")
    assert example.positive_ids == ("30000000",)
    assert example.negative_ids == ("30000002", f"{GUID}_8")  # listed on both sides: positive
    assert example.metadata == {"split": "train", "topic": "lighthouse", "keywords": "green"}


def test_the_test_form_has_candidates_and_no_labels(tmp_path: Path) -> None:
    row = {"Guid": GUID, "split": "test", "Q": "Who?", "img_Facts": [image_fact(1)], "txt_Facts": [text_fact(3)]}
    files = write_files(tmp_path, {GUID: row})
    (example,) = read_webqa_questions(files[0])
    assert (example.answers, example.positive_ids, example.category) == ((), (), "")
    assert example.metadata["candidate_ids"] == ("30000001", f"{GUID}_3")
    assert example.metadata["hidden_labels"] is True
    assert [item.id for item in read_webqa_knowledge(*files)] == ["30000001", f"{GUID}_3"]


def test_splits_are_chosen(tmp_path: Path) -> None:
    rows = {
        str(n): record(Guid=str(n), split=split, img_negFacts=[]) for n, split in enumerate(["train", "val", "val"])
    }
    path = write_files(tmp_path, rows)[0]
    assert [example.id for example in read_webqa_questions(path, "val")] == ["1", "2"]
    assert len(list(read_webqa_questions(path))) == 3


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"img_posFacts": [{"title": "no id"}]}, "image_id must be a whole number, found None"),
        ({"img_posFacts": "none"}, "img_posFacts must be a list of objects"),
        ({"img_posFacts": [], "txt_posFacts": [{"fact": "x"}]}, "snippet_id must be a text"),
        ({"txt_posFacts": [text_fact(1)]}, "positive facts of both modalities"),
        ({"A": "green"}, "A must be a list of texts"),
        ({"Q": '""'}, "is empty"),
        ({"Guid": "another"}, "its field Guid says 'another'"),
    ],
)
def test_a_malformed_record_names_file_and_guid(tmp_path: Path, changes: dict[str, Any], cause: str) -> None:
    path = write_files(tmp_path, {GUID: record(img_negFacts=[], **{}) | changes})[0]
    with pytest.raises(ReaderError) as caught:
        list(read_webqa_questions(path))
    assert f"{path}: Guid {GUID}: " in str(caught.value)
    assert cause in str(caught.value)


def test_one_snippet_id_for_two_texts_is_an_error(tmp_path: Path) -> None:
    facts = [text_fact(1), text_fact(1)]
    assert (
        len(list(read_webqa_knowledge(write_files(tmp_path, {GUID: record(txt_negFacts=facts)})[0], None, None))) == 1
    )
    facts[1] = text_fact(1, "Another text.")
    with pytest.raises(ReaderError, match=f"{GUID}_1 stands for two different texts"):
        list(read_webqa_knowledge(write_files(tmp_path, {GUID: record(txt_negFacts=facts)})[0], None, None))


def test_equal_snippets_of_several_questions_are_merged_when_asked(tmp_path: Path) -> None:
    facts = [text_fact(1), text_fact(2), text_fact(3, "Another text."), text_fact(4) | {"title": "Another page"}]
    path = write_files(tmp_path, {GUID: record(txt_negFacts=facts)})[0]
    assert len(list(read_webqa_knowledge(path, None, None))) == 4
    merged = read_webqa_knowledge(path, None, None, merge_equal_texts=True)
    assert [item.id for item in merged] == [f"{GUID}_{number}" for number in (1, 3, 4)]


def test_a_missing_picture_is_reported_by_id_and_the_rest_is_read(tmp_path: Path) -> None:
    files = write_files(tmp_path, {GUID: record(img_negFacts=[image_fact(99)])})
    problems: list[Problem] = []
    assert [item.id for item in read_webqa_knowledge(*files, problems=problems)] == ["30000000", f"{GUID}_8"]
    assert [(problem.id, problem.file) for problem in problems] == [("30000099", str(files[1]))]
    with pytest.raises(ReaderError, match="image 30000099 is not in"):
        list(read_webqa_knowledge(*files))


def test_damage_in_the_picture_files_is_named(tmp_path: Path) -> None:
    _, tsv, lineidx = write_files(tmp_path, {})
    tsv.write_bytes(tsv.read_bytes().replace(b"30000001", b"30000007"))
    pictures = WebQAPictures(tsv, lineidx)
    with pytest.raises(ReaderError, match=r"line 2: expected image 30000001, found b'30000007'"):
        pictures.read(30_000_001)
    assert pictures.read(30_000_002) == PICTURES[2]
    tsv.write_bytes(tsv.read_bytes().replace(b"30000000\t", b"30000000\t*"))
    with pytest.raises(ReaderError, match="line 1: image 30000000 is not base64"):
        WebQAPictures(tsv, lineidx).read(30_000_000)
    lineidx.write_text("0\nx\n")
    with pytest.raises(ReaderError, match="imgs.lineidx: line 2: expected a byte offset"):
        WebQAPictures(tsv, lineidx)
    lineidx.write_text("0\n999999999\n")
    with pytest.raises(ReaderError, match="below"):
        WebQAPictures(tsv, lineidx)


def test_a_line_that_ends_where_no_line_begins_is_damaged(tmp_path: Path) -> None:
    _, tsv, lineidx = write_files(tmp_path, {}, [b"first picture", b"123456789", b"third"])
    whole, starts = tsv.read_bytes(), lineidx.read_text()
    # Four characters of base64 more or less are base64 again: only the places of the lines tell.
    tsv.write_bytes(whole.replace(b"MTIzNDU2Nzg5", b"MTIzNDU2\nzg5"))
    with pytest.raises(ReaderError, match=r"image 30000001 ends at byte \d+, where no line begins"):
        WebQAPictures(tsv, lineidx).read(30_000_001)
    tsv.write_bytes(whole)
    lineidx.write_text("\n".join(starts.splitlines()[:2]) + "\n")
    pictures = WebQAPictures(tsv, lineidx)
    assert pictures.read(30_000_000) == b"first picture"
    with pytest.raises(ReaderError, match="30000001 ends at byte"):
        pictures.read(30_000_001)
    lineidx.write_text("")
    with pytest.raises(ReaderError, match=r"imgs\.lineidx: it is empty and imgs\.tsv is not"):
        WebQAPictures(tsv, lineidx)
    lineidx.write_text("9" * 5000)
    with pytest.raises(ReaderError, match="line 1: expected a byte offset"):
        WebQAPictures(tsv, lineidx)


@pytest.mark.parametrize("image_id", [-1, 0, 29_999_999, 30_000_003, 40_000_000])
def test_ids_outside_the_files_are_unknown(tmp_path: Path, image_id: int) -> None:
    _, tsv, lineidx = write_files(tmp_path, {})
    with pytest.raises(KeyError, match=str(image_id)):
        WebQAPictures(tsv, lineidx).read(image_id)


def _read_many(pictures: WebQAPictures, number: int, results: Any) -> None:
    try:
        results.put(all(pictures.read(30_000_000 + number) == bytes([number]) * 100_000 for _ in range(300)))
    except ReaderError:
        results.put(False)


def test_workers_do_not_share_a_file_position(tmp_path: Path) -> None:
    large = [bytes([number]) * 100_000 for number in range(3)]  # beyond any read buffer
    pictures = WebQAPictures(*write_files(tmp_path, {}, large)[1:])
    assert pictures.read(30_000_000) == large[0]  # the handle is open before the fork
    context = get_context("fork")
    results = context.Queue()
    workers = [context.Process(target=_read_many, args=(pictures, number, results)) for number in range(3)]
    for worker in workers:
        worker.start()
    assert all(results.get(timeout=30) for _ in workers)
    for worker in workers:
        worker.join()
    copy = pickle.loads(pickle.dumps(pictures))
    assert copy.read(30_000_002) == large[2]


def test_only_the_lines_asked_for_are_read(tmp_path: Path) -> None:
    _, tsv, lineidx = write_files(tmp_path, {})
    damaged = bytearray(tsv.read_bytes())
    damaged[0:20] = b"\xff" * 20
    tsv.write_bytes(damaged)
    assert WebQAPictures(tsv, lineidx).read(30_000_002) == PICTURES[2]


@pytest.mark.parametrize(
    ("given", "stripped"), [('"a"', "a"), ('"a', '"a'), ("a", "a"), ('""', ""), ('"', '"'), (' "a" ', "a")]
)
def test_outer_quotes(given: str, stripped: str) -> None:
    assert strip_outer_quotes(given) == stripped


def test_the_arguments_must_fit(tmp_path: Path) -> None:
    path, tsv, _ = write_files(tmp_path, {GUID: record()})
    with pytest.raises(ValueError, match="both or none"):
        read_webqa_knowledge(path, tsv, None)
    with pytest.raises(FileNotFoundError, match="no.lineidx"):
        read_webqa_knowledge(path, tsv, tmp_path / "no.lineidx")
