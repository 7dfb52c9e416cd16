"""`index build --lexical`, `index lexical`, `index scales` and `--retrieval`, with random tiny models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rablip.answering.types import RETRIEVALS
from tests.cli.test_commands import one_line_error, run


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts and one question more than there is room for in a shell line."""
    folder = tmp_path_factory.mktemp("source")
    rows = [{"id": f"i{number}", "text": f"Tower {number} is of 18{number:02}."} for number in range(6)]
    (folder / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    questions = [{"id": f"q{number}", "question": f"When was tower {number} built?"} for number in range(4)]
    (folder / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in questions), encoding="utf-8")
    return folder


def test_every_way_of_searching(source: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    index = tmp_path / "index"
    built = run("index", "build", source / "items.jsonl", "-m", tiny_bundle, "--out", index, "--lexical", "--json")
    assert built.exit_code == 0, built.output
    fitted = run("index", "scales", index, "--questions", source / "questions.jsonl", "-m", tiny_bundle, "--json")
    assert fitted.exit_code == 0, fitted.output
    assert json.loads(fitted.stdout)["text"]["num_questions"] == 4
    for retrieval in RETRIEVALS:
        arguments = ("--index", index, "-m", tiny_bundle, "--retrieval", retrieval, "--json")
        found = run("search", "Which is of 1803?", *arguments, "-k", 2)
        assert found.exit_code == 0, found.output
        ids = [one["id"] for one in json.loads(found.stdout)["candidates"]]
        assert len(ids) == 2 and (retrieval != "hybrid" or "i3" in ids)
        answered = run("answer", "Which is of 1803?", *arguments)
        assert answered.exit_code == 0, answered.output
        json.loads(answered.stdout)


def test_missing_and_stale_parts_name_the_command(source: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    index = tmp_path / "index"
    assert run("index", "build", source / "items.jsonl", "-m", tiny_bundle, "--out", index).exit_code == 0
    search = ("search", "Who?", "--index", index, "-m", tiny_bundle, "--retrieval")
    assert f"rablip index lexical {index}" in one_line_error(run(*search, "hybrid"))
    assert f"rablip index scales {index}" in one_line_error(run(*search, "by_modality_scores"))
    assert "by_modality_ranks" in one_line_error(run(*search, "sparse"))
    built = run("index", "lexical", index)
    assert built.exit_code == 0 and "6 knowledge items" in built.stdout
    assert run(*search, "hybrid").exit_code == 0
    assert run("index", "delete", index, "i3").exit_code == 0
    assert f"rablip index lexical {index}" in one_line_error(run(*search, "hybrid"))
    again = run("index", "lexical", index, "--json")
    assert again.exit_code == 0 and json.loads(again.stdout)["num_items"] == 5
    assert "i3" not in run(*search, "hybrid", "-k", 9).stdout


def test_the_lexical_part_is_verified_and_counted(source: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    index = tmp_path / "index"
    assert run("index", "build", source / "items.jsonl", "-m", tiny_bundle, "--out", index).exit_code == 0
    assert json.loads(run("index", "stats", index, "--json").stdout)["lexical"] is None
    bare = json.loads(run("index", "verify", index, "--json").stdout)["num_bytes"]
    assert run("index", "lexical", index).exit_code == 0
    counted = json.loads(run("index", "stats", index, "--json").stdout)["lexical"]
    assert counted["num_items"] == 6 and counted["num_words"] > 6 and not counted["is_stale"]
    assert "up to date" in run("index", "stats", index).stdout
    assert json.loads(run("index", "verify", index, "--json").stdout)["num_bytes"] == bare + counted["disk_bytes"]
    for file in sorted(index.glob("lexical-*/*")):
        original = file.read_bytes()
        file.write_bytes(original[:-1] + bytes([original[-1] ^ 1]))
        assert file.name in one_line_error(run("index", "verify", index))
        file.write_bytes(original)
    assert run("index", "delete", index, "i3").exit_code == 0
    assert f"rablip index lexical {index}" in run("index", "stats", index).stdout
    assert run("index", "verify", index).exit_code == 0


def test_searching_and_answering_from_the_engine(source: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    pytest.importorskip("lancedb", reason="the extra `engine` is not installed")
    index, engine = tmp_path / "index", tmp_path / "engine"
    assert run("index", "build", source / "items.jsonl", "-m", tiny_bundle, "--out", index).exit_code == 0
    assert run("index", "export", index, "--to", engine, "--table", "towers").exit_code == 0
    question = ("Which is of 1803?", "--index", index, "-m", tiny_bundle, "--json")
    there = ("--engine", engine, "--engine-table", "towers")
    found, expected = (
        [one["id"] for one in json.loads(run("search", *question, *more).stdout)["candidates"]] for more in (there, ())
    )
    assert found == expected and len(found) == 5
    answered = run("answer", *question, *there)
    assert answered.exit_code == 0 and json.loads(answered.stdout)["index"] == str(index)
    assert "towns" in one_line_error(run("search", *question[:-1], "--engine", engine, "--engine-table", "towns"))


def test_bad_input(source: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    assert "no-such-index" in one_line_error(run("index", "lexical", tmp_path / "no-such-index"))
    line = one_line_error(run("index", "scales", tmp_path, "--questions", tmp_path / "none.jsonl", "-m", tiny_bundle))
    assert "none.jsonl" in line
