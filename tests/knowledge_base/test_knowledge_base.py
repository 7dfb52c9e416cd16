"""The knowledge base keeps what it is given, finds every bad picture before anything is encoded, stays confined."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from PIL import Image

from rablip.knowledge_base import KnowledgeBase, KnowledgeBaseError, Problem
from rablip.processing import ImageError, ImageRef, KnowledgeItem
from tests.processing.test_readers_jsonl import METADATA, WORDS


def png(size: tuple[int, int] = (6, 5), color: str = "red", mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size, color).save(buffer, "PNG")
    return buffer.getvalue()


def some_items(folder: Path) -> list[KnowledgeItem]:
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    (folder / "pictures" / "a.png").write_bytes(png())
    return [
        KnowledgeItem(
            id="text", text="It opened in 1889.", title="Tower", source="s", metadata={"n": [1, {"x": None}]}
        ),
        KnowledgeItem(id="image", image=ImageRef(path="pictures/a.png"), caption="A view"),
        KnowledgeItem(id="both", text="words", image=ImageRef(data=png(color="blue"))),
    ]


@given(text=WORDS, title=WORDS, item_id=WORDS, metadata=METADATA)
@settings(max_examples=12, deadline=None)
def test_any_text_comes_back(
    tmp_path_factory: pytest.TempPathFactory, text: str, title: str, item_id: str, metadata: dict[str, Any]
) -> None:
    item = KnowledgeItem(id=item_id, text=text, title=title, metadata=metadata)
    base, problems = KnowledgeBase.write([item], tmp_path_factory.mktemp("base"))
    assert (list(base), base[item_id], problems) == ([item], item, [])


def test_texts_are_read_without_pictures(tmp_path: Path) -> None:
    items = some_items(tmp_path / "source")
    KnowledgeBase.write(items, tmp_path / "base", root=tmp_path / "source")
    KnowledgeBase.write([KnowledgeItem(id="text", text="It opened in 1890.")], tmp_path / "later")
    base = KnowledgeBase.load(tmp_path / "base", tmp_path / "later")
    ids = ["both", "text", "image", "both"]
    expected = [(base[item_id].title, base[item_id].caption, base[item_id].text) for item_id in ids]
    assert base.read_texts(ids) == expected and expected[1] == (None, None, "It opened in 1890.")
    assert base.read_texts([]) == []
    with pytest.raises(KeyError, match="nobody"):
        base.read_texts(["nobody"])


def test_embedded_items_come_back_after_the_pictures_are_gone(tmp_path: Path) -> None:
    items = some_items(tmp_path / "source")
    written, problems = KnowledgeBase.write(items, tmp_path / "base", root=tmp_path / "source")
    (tmp_path / "source" / "pictures" / "a.png").unlink()
    (tmp_path / "base").rename(tmp_path / "moved")
    base = KnowledgeBase.load(tmp_path / "moved")
    assert problems == []
    assert base.ids == [item.id for item in base] == ["text", "image", "both"]
    assert (base["text"], base["both"]) == (items[0], items[2])
    assert base["image"].image == ImageRef(data=png())
    assert "image" in base and "nobody" not in base and len(base) == len(written) == 3
    assert base.open_image("text") is None
    assert base.open_image("image").getpixel((0, 0)) == (255, 0, 0)
    assert base.validate() == []
    with pytest.raises(KeyError, match="nobody"):
        base["nobody"]


def test_referenced_pictures_stay_where_they_are(tmp_path: Path) -> None:
    items = some_items(tmp_path / "source")
    KnowledgeBase.write(items, tmp_path / "base", root=tmp_path / "source", images="reference")
    base = KnowledgeBase.load(tmp_path / "base")
    assert base["image"] == items[1]
    assert base.open_image("image").size == (6, 5)
    (tmp_path / "source").rename(tmp_path / "elsewhere")
    assert [(problem.id, problem.file) for problem in base.validate()] == [("image", "pictures/a.png")]
    with pytest.raises(ImageError, match=r"'image': .*pictures/a\.png is missing"):
        base.open_image("image")
    moved = KnowledgeBase.load(tmp_path / "base", root=tmp_path / "elsewhere")
    assert moved.open_image("image").size == (6, 5)


def test_a_reference_without_a_root_does_not_depend_on_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some_items(tmp_path)
    monkeypatch.chdir(tmp_path / "pictures")
    item = KnowledgeItem(id="a", image=ImageRef(path="a.png"))
    base, _ = KnowledgeBase.write([item], tmp_path / "base", images="reference")
    monkeypatch.chdir("/")
    assert base.open_image("a").size == (6, 5)


def bad_items(folder: Path) -> list[KnowledgeItem]:
    whole = png((64, 64))
    (folder / "truncated.png").write_bytes(whole[:-30])
    (folder / "empty.png").touch()
    (folder / "words.png").write_text("no picture")
    (folder.parent / "secret.png").write_bytes(whole)
    (folder / "link.png").symlink_to(folder.parent / "secret.png")
    names = ["truncated.png", "missing.png", "empty.png", "words.png", "../secret.png", "link.png", "."]
    return [KnowledgeItem(id=f"id of {name}", image=ImageRef(path=name)) for name in names]


def test_every_bad_picture_is_named_and_the_rest_works(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    bad = bad_items(tmp_path / "source")
    good = some_items(tmp_path / "source")
    mixed = [*good[:1], *bad[:4], good[1], *bad[4:], good[2]]
    with pytest.raises(KnowledgeBaseError, match=r"7 of 10 .*(\n.*)*on_error=\"skip\"") as caught:
        KnowledgeBase.write(mixed, tmp_path / "base", root=tmp_path / "source")
    assert [problem.id for problem in caught.value.problems] == [item.id for item in bad]
    for item in bad:
        assert f"{item.id}: {item.image.path}: " in str(caught.value)
    assert not (tmp_path / "base").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["secret.png", "source"]
    base, problems = KnowledgeBase.write(mixed, tmp_path / "base", root=tmp_path / "source", on_error="skip")
    assert base.ids == [item.id for item in good]
    assert [problem.file for problem in problems] == [item.image.path for item in bad]
    assert "missing" in problems[1].cause


def test_when_all_are_bad_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    with pytest.raises(KnowledgeBaseError, match="None of the 7"):
        KnowledgeBase.write(
            bad_items(tmp_path / "source"), tmp_path / "base", root=tmp_path / "source", on_error="skip"
        )
    assert not (tmp_path / "base").exists()


def test_problems_of_a_reader_count_like_the_bases_own(tmp_path: Path) -> None:
    problems: list[Problem] = []

    def reader() -> Iterator[KnowledgeItem]:
        yield KnowledgeItem(id="a", text="x")
        problems.append(Problem("line 2", "rows.jsonl", "not JSON"))
        yield KnowledgeItem(id="b", text="y")

    with pytest.raises(KnowledgeBaseError, match=r"line 2: rows\.jsonl: not JSON"):
        KnowledgeBase.write(reader(), tmp_path / "base", problems=problems)
    problems.clear()
    base, found = KnowledgeBase.write(reader(), tmp_path / "base", problems=problems, on_error="skip")
    assert (base.ids, found) == (["a", "b"], [Problem("line 2", "rows.jsonl", "not JSON")])


@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_an_id_that_is_there_twice_is_an_error_under_every_policy(tmp_path: Path, on_error: Any) -> None:
    items = [KnowledgeItem(id=name, text="x") for name in ("a", "b", "a")]
    with pytest.raises(KnowledgeBaseError, match="'a' is there twice"):
        KnowledgeBase.write(items, tmp_path / "base", on_error=on_error)
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_source_is_passed_on_and_leaves_nothing(tmp_path: Path) -> None:
    def reader(fail_at: int) -> Iterator[KnowledgeItem]:
        for number in range(3):
            if number == fail_at:
                raise ZeroDivisionError("of the reader")
            yield KnowledgeItem(id=str(number), text="x")

    for fail_at in (0, 2):
        with pytest.raises(ZeroDivisionError, match="of the reader"):
            KnowledgeBase.write(reader(fail_at), tmp_path / "base")
    assert list(tmp_path.iterdir()) == []


def test_two_sources_that_look_alike_are_not_confused(tmp_path: Path) -> None:
    bases = [
        KnowledgeBase.write((KnowledgeItem(id="a", text=text) for text in texts), tmp_path / texts[0])[0]
        for texts in (["one"], ["two"])
    ]
    assert [base["a"].text for base in bases] == ["one", "two"]


def test_wrong_arguments(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="holds KnowledgeItem, got str"):
        KnowledgeBase.write(["a"], tmp_path / "base")
    with pytest.raises(ValueError, match="images must be"):
        KnowledgeBase.write([], tmp_path / "base", images="copy")
    with pytest.raises(KnowledgeBaseError, match="metadata of 'a' cannot be stored"):
        KnowledgeBase.write([KnowledgeItem(id="a", text="x", metadata={"x": object()})], tmp_path / "base")
    (tmp_path / "notes.txt").touch()
    with pytest.raises(FileExistsError, match="not an empty folder"):
        KnowledgeBase.write([], tmp_path)
    with pytest.raises(FileNotFoundError, match="is not a knowledge base"):
        KnowledgeBase.load(tmp_path)


def test_an_empty_base_can_be_kept(tmp_path: Path) -> None:
    base, problems = KnowledgeBase.write([], tmp_path / "base")
    assert (len(base), base.ids, list(base), base.validate(), problems) == (0, [], [], [], [])


def test_a_damaged_base_is_an_error_that_names_it(tmp_path: Path) -> None:
    KnowledgeBase.write(some_items(tmp_path), tmp_path / "base", root=tmp_path)
    (table,) = (tmp_path / "base").glob("*.arrow")
    table.write_bytes(table.read_bytes()[:100])
    with pytest.raises(KnowledgeBaseError, match="base cannot be read"):
        KnowledgeBase.load(tmp_path / "base")


def test_writing_streams(tmp_path: Path) -> None:
    noise = [Image.effect_noise((180, 180), 90 + number) for number in range(4)]
    buffers = [io.BytesIO() for _ in noise]
    for picture, buffer in zip(noise, buffers, strict=True):
        picture.save(buffer, "PNG")

    def source(count: int) -> Iterator[KnowledgeItem]:
        for number in range(count):
            data = buffers[number % 4].getvalue() + bytes(number % 7)  # trailing bytes: never the same object
            yield KnowledgeItem(id=str(number), image=ImageRef(data=data))

    def peak(count: int) -> int:
        tracemalloc.start()
        base, _ = KnowledgeBase.write(source(count), tmp_path / str(count))
        assert sum(len(item.image.data) for item in base) > 20_000 * count
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    peak(10)  # what is imported on first use does not count
    assert peak(1000) < 1.3 * peak(200) + 500_000
