"""Pictures are named by data files, looked for in one folder, and never outside it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rablip.processing.benchmarks.picture_files import (
    MissingPictureError,
    confined_name,
    find_picture,
    read_picture_map,
)
from rablip.processing.readers_ids import SeenIds
from tests.processing.benchmarks.benchmark_files import touch


@given(st.lists(st.sampled_from(["a", "b.jpg", ".", "..", "", "/", "\\", "C:", "~", "http:", "\0"]), max_size=6))
def test_no_name_leads_out(parts: list[str]) -> None:
    for name in ("/".join(parts), "\\".join(parts), "".join(parts)):
        try:
            kept = confined_name(name)
        except ValueError as error:
            assert "leads out" in str(error) or "names no file" in str(error)
        else:
            inside = Path("folder").resolve()
            assert (inside / kept).resolve().is_relative_to(inside) and (inside / kept).resolve() != inside


@pytest.mark.parametrize(
    "name", ["../a.jpg", "a/../../b.jpg", "/a.jpg", "\\a.jpg", "C:\\a.jpg", "C:a.jpg", "a\\..\\b"]
)
def test_names_that_lead_out(name: str) -> None:
    with pytest.raises(ValueError, match="leads out of the folder"):
        confined_name(name)


def test_the_first_that_is_there_is_found(tmp_path: Path) -> None:
    touch(tmp_path / "b.jpg", tmp_path / "sub" / "c.JPEG")
    (tmp_path / "d.jpg").mkdir()
    assert find_picture(tmp_path, ["a.jpg", "d.jpg", "./sub/c.JPEG", "b.jpg"]) == "sub/c.JPEG"
    with pytest.raises(MissingPictureError, match=r"has no a\.jpg \(nor d\.jpg\)") as caught:
        find_picture(tmp_path, ["a.jpg", "d.jpg"])
    assert caught.value.file == tmp_path / "a.jpg"
    with pytest.raises(ValueError, match="cannot be looked for"):
        find_picture(tmp_path, ["x" * 5000])


def test_a_link_that_leads_out_is_refused_and_one_that_stays_is_followed(tmp_path: Path) -> None:
    touch(tmp_path / "outside.jpg", tmp_path / "folder" / "a.jpg")
    (tmp_path / "folder" / "link.jpg").symlink_to(tmp_path / "outside.jpg")
    (tmp_path / "folder" / "inside.jpg").symlink_to("a.jpg")
    (tmp_path / "folder" / "circle.jpg").symlink_to("circle.jpg")
    (tmp_path / "other name").symlink_to("folder")
    for folder in (tmp_path / "folder", tmp_path / "other name"):
        assert find_picture(folder, ["inside.jpg"]) == "inside.jpg"
        with pytest.raises(ValueError, match="is a link that leads out of the folder"):
            find_picture(folder, ["link.jpg"])
        with pytest.raises(ValueError, match="is missing|cannot be looked for"):
            find_picture(folder, ["circle.jpg"])


def test_a_map_gives_what_is_wanted_and_no_more(tmp_path: Path) -> None:
    wanted = SeenIds()
    for name in ("1", "2"):
        wanted.add(name)
    first, second = tmp_path / "a.csv", tmp_path / "b.json"
    first.write_text("1,a/1.jpg\n\n3,a/3.jpg\n1,a/1.jpg\n")
    second.write_text('{"2": "b/2.jpg", "1": "a/1.jpg", "9": ""}')
    with pytest.raises(ValueError, match=r"b\.json: id '9': expected a path"):
        read_picture_map([first, second], wanted)
    second.write_text('{"2": "b/2.jpg", "1": "a/1.jpg"}')
    assert read_picture_map([first, second], wanted) == {"1": "a/1.jpg", "2": "b/2.jpg"}
    second.write_text("{}")
    assert read_picture_map([second], wanted) == {}
    with pytest.raises(FileNotFoundError, match="give a map of picture ids to paths"):
        read_picture_map([tmp_path / "none.csv"], wanted)
