"""Pictures of every kind through the WebQA reader, and those that are cut off, as the official code shows them."""

from __future__ import annotations

import io
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile

from rablip.processing import ImageError, ImageRef, KnowledgeItem, load_image
from rablip.processing.benchmarks import Benchmark
from rablip.processing.benchmarks.truncated_pictures import TRUNCATED_KEY, mend_pictures
from rablip.processing.benchmarks.webqa import open_webqa
from rablip.processing.readers_records import Problem, ReaderError
from tests.processing.benchmarks.webqa_folder import image_fact, make_guid, make_record, write_json, write_pictures

GUID = make_guid(1)


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


NOISE = Image.fromarray(np.random.default_rng(3).integers(0, 256, (40, 32, 3), dtype=np.uint8))
KINDS = {
    "JPEG": encode(NOISE, "JPEG"),
    "PNG with alpha": encode(NOISE.convert("RGBA"), "PNG"),
    "palette": encode(NOISE.convert("P"), "PNG"),
    "grey": encode(NOISE.convert("L"), "JPEG"),
    "CMYK": encode(NOISE.convert("CMYK"), "JPEG"),
    "GIF": encode(NOISE.convert("P"), "GIF"),
    "TIFF": encode(NOISE, "TIFF"),
}


def open_pictures(folder: Path, *pictures: bytes, **options: Any) -> Benchmark:
    facts = [image_fact(row) for row in range(len(pictures))]
    write_json(folder, make_record(GUID, img_posFacts=facts, Qcate="color"))
    write_pictures(folder, *pictures)
    return open_webqa(folder, split="val", setting="distractor", **options)


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    """Unlike `convert("RGB")` of the official code, which shows the color that is hidden under it."""
    (item,) = open_pictures(tmp_path, encode(Image.new("RGBA", (4, 4), (9, 9, 9, 0)), "PNG")).knowledge()
    assert load_image(item.image).getpixel((0, 0)) == (255, 255, 255)


def test_pictures_of_every_kind_come_through_the_reader(tmp_path: Path) -> None:
    for mend in (False, True):
        items = list(open_pictures(tmp_path, *KINDS.values(), mend_truncated=mend).knowledge())
        assert [item.image.data for item in items] == list(KINDS.values())  # whole pictures are left as they are
        for item, data in zip(items, KINDS.values(), strict=True):
            expected = Image.open(io.BytesIO(data)).convert("RGB")
            assert np.array_equal(np.asarray(load_image(item.image)), np.asarray(expected))
            assert TRUNCATED_KEY not in item.metadata


@pytest.mark.parametrize("kind", ["JPEG", "grey", "CMYK", "PNG with alpha", "palette", "GIF"])
def test_a_cut_picture_is_what_the_official_code_shows_and_is_said_aloud(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cut = KINDS[kind][: len(KINDS[kind]) * 7 // 10]
    (item,) = open_pictures(tmp_path, cut).knowledge()
    with pytest.raises(ImageError, match="damaged"):
        load_image(item.image)
    problems: list[Problem] = []
    with caplog.at_level(logging.WARNING, logger="rablip"):
        (item,) = open_pictures(tmp_path, cut, mend_truncated=True).knowledge(problems=problems)
    assert item.metadata[TRUNCATED_KEY] is True
    assert [problem.id for problem in problems] == ["30000000"] and "cut off" in problems[0].cause
    assert "is cut off; it is used as far as it goes" in caplog.text
    mended = np.asarray(load_image(item.image))
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    official = Image.open(io.BytesIO(cut))
    official.load()
    assert np.array_equal(mended, np.asarray(load_image(official)))
    whole = np.asarray(load_image(ImageRef(data=KINDS[kind])))
    assert np.array_equal(mended[0], whole[0]) and not np.array_equal(mended, whole)


def test_what_is_no_picture_is_reported_when_pictures_are_looked_at(tmp_path: Path) -> None:
    items = [KnowledgeItem(id="30000000", image=ImageRef(data=b"no picture")), KnowledgeItem(id="t", text="Text.")]
    problems: list[Problem] = []
    assert [item.id for item in mend_pictures(items, root=None, problems=problems)] == ["t"]
    assert [problem.id for problem in problems] == ["30000000"]
    with pytest.raises(ReaderError, match="cannot be opened"):
        list(mend_pictures(items, root=None))
