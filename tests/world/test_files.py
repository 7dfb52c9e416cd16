"""A world written to files and read back is the same world, and its WebQA part is WebQA."""

from __future__ import annotations

import base64
import json
import re

import pytest

from rablip.processing.readers_webqa import read_webqa_questions
from rablip.world import PICTURE_KINDS, WorldKnobs, make_world, read_world, write_world


@pytest.fixture(scope="module")
def folder(small_world, tmp_path_factory):
    return write_world(small_world, tmp_path_factory.mktemp("files") / "world")


def test_round_trip(small_world, folder):
    again = read_world(folder)
    assert again.items == small_world.items
    assert again.questions == small_world.questions
    assert again == small_world


@pytest.mark.parametrize("modality", ["text", "image", "image_text"])
def test_round_trip_without_a_modality(modality, tmp_path):
    world = make_world(2, 8, knobs=WorldKnobs(dropped_modality=modality))
    assert read_world(write_world(world, tmp_path / "world")) == world


def test_records_are_webqa_records(small_world, folder):
    records = json.loads((folder / "WebQA_train_val.json").read_text())
    single = [q for q in small_world.questions if q.category in (*PICTURE_KINDS, "text")]
    assert set(records) <= {question.id for question in single}
    assert {record["Qcate"] for record in records.values()} == {*PICTURE_KINDS, "text"}
    for guid, record in records.items():
        assert re.fullmatch(r"[0-9a-f]{8}0dba11ecb1e81171463288e9", guid) and record["Guid"] == guid
        assert record["split"] in ("train", "val") and isinstance(record["A"], list)
        assert (record["Qcate"] == "text") == bool(record["txt_posFacts"]) != bool(record["img_posFacts"])
        for fact in record["img_posFacts"] + record["img_negFacts"]:
            assert isinstance(fact["image_id"], int) and fact["image_id"] >= 30_000_000
            assert set(fact) == {"image_id", "title", "caption", "url", "imgUrl"}
        snippets = [fact["snippet_id"] for fact in record["txt_posFacts"] + record["txt_negFacts"]]
        assert snippets == [f"{guid}_{number}" for number in range(len(snippets))]


def test_a_text_listed_by_two_questions_has_two_snippet_ids(folder):
    records = json.loads((folder / "WebQA_train_val.json").read_text())
    facts = [fact for record in records.values() for fact in record["txt_posFacts"] + record["txt_negFacts"]]
    assert len({fact["url"] for fact in facts}) < len({fact["snippet_id"] for fact in facts}) == len(facts)


def test_pictures_are_found_by_offset(small_world, folder):
    offsets = [int(line) for line in (folder / "imgs.lineidx").read_text().split()]
    data = (folder / "imgs.tsv").read_bytes()
    images = {item.id: item.image.data for item in small_world.items if item.id.startswith("3")}
    assert len(offsets) == len(images) == 40
    for row in (0, 17, 39):
        image_id, encoded = data[offsets[row] :].split(b"\n", 1)[0].split(b"\t")
        assert image_id == str(30_000_000 + row).encode()
        assert base64.b64decode(encoded) == images[image_id.decode()]


def test_every_kind_that_webqa_cannot_hold_is_in_the_other_file(small_world, folder):
    webqa = {question.id for question in read_webqa_questions(folder / "WebQA_train_val.json")}
    rows = [json.loads(line) for line in (folder / "questions.jsonl").read_text().splitlines()]
    assert not webqa & {row["id"] for row in rows}
    assert len(webqa) + len(rows) == len(small_world.questions)
    assert {"two_hop", "question_picture", "unanswerable"} <= {row["category"] for row in rows}
    assert (folder / next(row["images"][0] for row in rows if "images" in row)).is_file()


def test_a_used_folder_is_refused(small_world, folder):
    with pytest.raises(FileExistsError, match="not empty"):
        write_world(small_world, folder)


def test_missing_and_mixed_up_files_are_named(tmp_path, caplog):
    folder = write_world(make_world(1, 4), tmp_path / "world")
    header = json.loads((folder / "world.json").read_text())
    (folder / "world.json").write_text(json.dumps({**header, "world_version": "another"}))
    assert len(read_world(folder).items) == len(header["item_ids"])
    assert "another" in caplog.text
    (folder / "world.json").write_text(json.dumps({**header, "item_ids": [*header["item_ids"], "ghost"]}))
    with pytest.raises(ValueError, match="ghost"):
        read_world(folder)
    (folder / "world.json").write_text(json.dumps({**header, "format_version": 9}))
    with pytest.raises(ValueError, match="format_version 9"):
        read_world(folder)
    (folder / "imgs.lineidx").unlink()
    with pytest.raises(FileNotFoundError, match=r"imgs\.lineidx missing"):
        read_world(folder)


def test_a_picture_outside_the_folder_is_not_read(tmp_path):
    folder = write_world(make_world(1, 4), tmp_path / "world")
    (tmp_path / "secret.png").write_bytes(b"secret")
    lines = (folder / "knowledge.jsonl").read_text().splitlines()
    row = {**json.loads(lines[0]), "image": "pictures/../../secret.png"}
    (folder / "knowledge.jsonl").write_text("\n".join([json.dumps(row), *lines[1:]]))
    with pytest.raises(ValueError, match="outside"):
        read_world(folder)
