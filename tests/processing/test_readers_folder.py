"""A folder of pictures is read in the imagefolder convention, and a source is recognised by its files."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from rablip.processing.readers_folder import read_imagefolder
from rablip.processing.readers_records import Problem, ReaderError
from rablip.processing.readers_sources import open_source, source_root


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def test_rows_become_items(tmp_path: Path) -> None:
    rows = [
        {"file_name": "a.png", "caption": "The tower", "year": 1889, "metadata": {"license": "CC0"}},
        {"file_name": "b.png", "id": "b", "text": "It opened.", "title": "Tower", "source": "https://example.org"},
        {"text": "No picture."},
        {"id": 12, "text": "Numbered."},
    ]
    write_rows(tmp_path / "metadata.jsonl", rows)
    first, second, third, fourth = read_imagefolder(tmp_path)
    assert (first.id, first.image.path, first.caption) == ("a.png", "a.png", "The tower")
    assert first.metadata == {"license": "CC0", "year": 1889}
    assert (second.id, second.text, second.title, second.source) == ("b", "It opened.", "Tower", "https://example.org")
    assert (third.id, third.image, third.text) == ("row-3", None, "No picture.")
    assert fourth.id == "12"


def test_subfolders_have_their_own_rows(tmp_path: Path) -> None:
    for name in ("train", "test"):
        write_rows(tmp_path / name / "metadata.jsonl", [{"file_name": "x.png"}, {"text": "words"}])
    assert [item.id for item in read_imagefolder(tmp_path)] == [
        "test/x.png",
        "test/row-2",
        "train/x.png",
        "train/row-2",
    ]


def test_a_folder_without_metadata_gives_its_pictures(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png", "notes.txt", "in/c.webp", ".hidden/d.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [item.image.path for item in read_imagefolder(tmp_path)] == ["a.png", "b.JPG", "in/c.webp"]


def test_pictures_without_a_row_are_counted_aloud(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "listed.png").touch()
    (tmp_path / "forgotten.png").touch()
    write_rows(tmp_path / "metadata.jsonl", [{"file_name": "listed.png"}])
    with caplog.at_level(logging.WARNING):
        assert len(list(read_imagefolder(tmp_path))) == 1
    assert "1 of 2 picture files" in caplog.text
    assert "forgotten.png" in caplog.text


def test_bad_rows_are_named_and_the_rest_is_read(tmp_path: Path) -> None:
    rows = [
        {"file_name": "a.png"},
        {"file_names": ["a.png", "b.png"]},
        {"file_name": "https://example.org/a.png"},
        {"caption": ""},
        {"file_name": 7},
        {"text": "last"},
    ]
    path = write_rows(tmp_path / "metadata.jsonl", rows)
    problems: list[Problem] = []
    assert [item.id for item in read_imagefolder(tmp_path, problems=problems)] == ["a.png", "row-6"]
    assert [problem.id.split(" (")[0] for problem in problems] == ["line 2", "line 3", "line 4", "line 5"]
    with pytest.raises(ReaderError, match=f"{path}: line 2"):
        list(read_imagefolder(tmp_path))


def test_nothing_to_read_is_an_error_that_helps(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no folder"):
        read_imagefolder(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match=r"no metadata\.jsonl and no picture files"):
        read_imagefolder(tmp_path)
    (tmp_path / "metadata.csv").touch()
    with pytest.raises(FileNotFoundError, match=r"metadata\.csv: save it as metadata\.jsonl"):
        read_imagefolder(tmp_path)


def test_open_source_recognises_each_format(tmp_path: Path) -> None:
    knowledge = write_rows(tmp_path / "own" / "towers.jsonl", [{"id": "j", "text": "words"}])
    folder = write_rows(tmp_path / "folder" / "metadata.jsonl", [{"file_name": "x.png"}]).parent
    webqa = tmp_path / "webqa"
    fact = {"snippet_id": "g_0", "fact": "words", "title": "t"}
    webqa.mkdir()
    (webqa / "WebQA_train_val.json").write_text(json.dumps({"g": {"Q": "Who?", "txt_posFacts": [fact]}}))
    (webqa / "imgs.tsv").touch()
    (webqa / "imgs.lineidx").touch()
    assert [item.id for item in open_source(knowledge)] == ["j"]
    assert [item.id for item in open_source(folder)] == ["x.png"]
    assert [item.id for item in open_source(folder / "metadata.jsonl")] == ["x.png"]
    assert [item.id for item in open_source(webqa)] == ["g_0"]
    write_rows(webqa / "knowledge.jsonl", [{"id": "extra", "text": "words"}])
    assert sorted(item.id for item in open_source(webqa)) == ["extra", "g_0"]
    assert source_root(knowledge) == tmp_path / "own"
    assert source_root(webqa) == webqa


def test_open_source_says_what_it_looked_for(tmp_path: Path) -> None:
    (tmp_path / "table.xlsx").touch()
    for path, cause in (
        (tmp_path, "no picture files"),
        (tmp_path / "no", "does not exist"),
        (tmp_path / "table.xlsx", "unknown kind"),
    ):
        with pytest.raises(FileNotFoundError, match="Looked for: a .jsonl file") as caught:
            open_source(path)
        assert cause in str(caught.value)


def test_a_webqa_folder_without_its_pictures_says_so(tmp_path: Path) -> None:
    (tmp_path / "WebQA_test.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match=r"imgs\.tsv"):
        open_source(tmp_path)
