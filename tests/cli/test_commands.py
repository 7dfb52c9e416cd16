"""The commands from pictures to a cited answer, with random tiny models: their output, their JSON, their errors."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from rablip.cli import app

ROOT = Path(__file__).parent.parent.parent
COMMANDS = [
    ["env"],
    ["world", "make"],
    ["index", "build"],
    ["search"],
    ["answer"],
    ["eval", "world"],
    ["train", "tiny"],
    ["quickstart"],
]


def run(*arguments: str | Path) -> Any:
    """Run the command in this process; `.stdout`, `.stderr`, `.exit_code`."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def one_line_error(result: Any) -> str:
    """The error line of a run that must end with exit code 2, nothing on stdout and no traceback."""
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    lines = [line for line in result.stderr.splitlines() if "rablip: error:" in line]
    assert len(lines) == 1 and "Traceback" not in result.stderr
    assert result.stderr.splitlines()[-1] == lines[0]
    return lines[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's own folder: a few picture modes, text rows, one corrupt and one missing picture."""
    folder = tmp_path_factory.mktemp("own")
    for name, mode, color in (("mill.png", "RGB", (200, 30, 30)), ("barn.png", "LA", (90, 128)), ("well.png", "1", 1)):
        Image.new(mode, (20, 16), color).save(folder / name)
    Image.new("CMYK", (16, 20), (0, 90, 90, 0)).save(folder / "tower.jpg")
    (folder / "broken.png").write_bytes((folder / "mill.png").read_bytes()[:40])
    rows = [
        {"file_name": "mill.png", "caption": "The mill in Kestrel"},
        {"file_name": "barn.png", "title": "Barn"},
        {"file_name": "well.png", "caption": "A well"},
        {"file_name": "tower.jpg", "caption": "A tower", "text": "It holds 340 barrels."},
        {"file_name": "broken.png", "caption": "A damaged file"},
        {"file_name": "gone.png", "caption": "A file that is not there"},
        {"id": "fact", "text": "The mill was built by Marlow.", "source": "chronicle"},
    ]
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def index(folder: Path, tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of the user's own folder."""
    out = tmp_path_factory.mktemp("index") / "mine"
    result = run("index", "build", folder, "--model", tiny_bundle, "--out", out, "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["num_items"] == 5
    assert {Path(problem["file"]).name for problem in report["problems"]} == {"broken.png", "gone.png"}
    assert "broken.png" in result.stderr and "gone.png" in result.stderr
    return out


def test_index_build_can_stop_at_broken_items(folder: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "none"
    line = one_line_error(run("index", "build", folder, "-m", tiny_bundle, "--out", out, "--on-error", "raise"))
    assert "broken.png" in line and "gone.png" in line
    assert not (out / "manifest.json").exists()


def test_search(index: Path, tiny_bundle: Path) -> None:
    result = run("search", "Who built the mill?", "--index", index, "--model", tiny_bundle, "-k", "3")
    assert result.exit_code == 0, result.output
    assert len(result.stdout.splitlines()) == 3


def test_search_json_with_picture_and_k_beyond_the_index(index: Path, tiny_bundle: Path, folder: Path) -> None:
    arguments = ("--index", index, "--model", tiny_bundle, "-k", 50, "--image", folder / "mill.png", "--json")
    result = run("search", "Who built this?", *arguments)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["question"] == "Who built this?" and found["k"] == 50
    assert {one["id"] for one in found["candidates"]} == {"mill.png", "barn.png", "well.png", "tower.jpg", "fact"}
    scores = [one["score"] for one in found["candidates"]]
    assert scores == sorted(scores, reverse=True)
    assert [one["rank"] for one in found["candidates"]] == [1, 2, 3, 4, 5]
    plain = json.loads(run("search", "Who built this?", *arguments[:6], "--json").stdout)
    assert [one["score"] for one in plain["candidates"]] != scores, "the picture of the question is read"


def test_answer_json(index: Path, tiny_bundle: Path) -> None:
    result = run("answer", "Who built the mill?", "--index", index, "--model", tiny_bundle, "--json")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    shown = {one["id"] for one in answer["evidence"]}
    assert set(answer["citations"]) <= shown
    assert answer["abstained"] == (answer["reason"] is not None)


def test_answer_for_people(index: Path, tiny_bundle: Path) -> None:
    result = run("answer", "Who built the mill?", "--index", index, "--model", tiny_bundle)
    assert result.exit_code == 0, result.output
    assert result.stdout.strip()


def test_generator_alone_takes_the_retriever_of_the_index(index: Path, tiny_bundle: Path) -> None:
    result = run("answer", "Who built the mill?", "--index", index, "--model", tiny_bundle / "generator", "--json")
    assert result.exit_code == 0, result.output
    json.loads(result.stdout)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["search", "   "], "question"),
        (["answer", ""], "question"),
        (["search", "Who?", "-k", "0"], "-k"),
        (["search", "Who?", "--image", "no.png"], "no.png"),
        (["answer", "Who?", "--index", "no-such-index"], "no-such-index"),
        (["answer", "Who?", "--model", "./no-such-model"], "no-such-model"),
        (["answer", "Who?", "--model", "README.md"], "README.md"),
        (["search", "Who?", "--no-such-option"], "--no-such-option"),
        (["search"], "QUESTION"),
        (["index", "build", "no-such-source", "--out", "x"], "no-such-source"),
        (["world", "make", "tests", "--seed", "1", "--entities", "5"], "tests"),
        (["world", "make", "new", "--seed", "1", "--entities", "0"], "--entities"),
        (["world", "make", "new", "--seed", "1"], "--entities"),
        (["eval", "world", "--seed", "1", "--entities", "10", "--model", "./no-such-model"], "no-such-model"),
        (["train", "tiny", "--out", "x", "--scale", "0"], "--scale"),
        (["no-such-command"], "no-such-command"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: list[str], words: str, index: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    complete = list(arguments)
    needs_model = arguments[0] in ("search", "answer", "index") and len(arguments) > 1
    if needs_model and "--model" not in arguments:
        complete += ["--model", str(tiny_bundle)]
    if arguments[0] in ("search", "answer") and len(arguments) > 1 and "--index" not in arguments:
        complete += ["--index", str(index)]
    assert words in one_line_error(run(*complete))


def test_a_fault_of_the_program_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    import rablip.cli.environment as environment

    def fail() -> dict[str, Any]:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(environment, "collect_environment", fail)
    result = run("env")
    assert isinstance(result.exception, ZeroDivisionError)


def test_index_of_another_model_is_refused(index: Path, tmp_path: Path) -> None:
    from tests import tiny
    from tests.processing import tiny_tokenizers

    other = tmp_path / "other"
    tiny.make_retriever(seed=1).save_pretrained(other)
    tiny_tokenizers.make_retriever_processor().save_pretrained(other)
    line = one_line_error(run("search", "Who?", "--index", index, "--model", other))
    assert "another" in line or "fingerprint" in line or "built" in line


def test_truncated_checkpoint_is_named(index: Path, folder: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(tiny_bundle, broken)
    weights = broken / "retriever" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    for command in (["index", "build", folder, "--out", tmp_path / "out"], ["answer", "Who?", "--index", index]):
        line = one_line_error(run(*command, "--model", broken))
        assert "model.safetensors" in line


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_of_every_command(command: list[str]) -> None:
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert "Usage" in result.stdout


def test_as_a_process(index: Path, tiny_bundle: Path) -> None:
    """stdout holds the one JSON object and nothing else, warnings and bars of other libraries included."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "rablip", "answer", "Who built the mill?", "--json"]
    command += ["--index", str(index), "--model", str(tiny_bundle)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=index)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["question"] == "Who built the mill?"
    command = [sys.executable, "-m", "rablip", "answer", " ", "--index", str(index), "--model", str(tiny_bundle)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=index)
    assert done.returncode == 2 and done.stdout == ""
    assert "Traceback" not in done.stderr and done.stderr.strip().splitlines()[-1].startswith("rablip: error:")


def test_from_a_made_world_to_figures(tiny_bundle: Path, tmp_path: Path) -> None:
    """`world make` writes what `index build` reads; `eval world` has its fixed keys, with random models too."""
    made = run("world", "make", tmp_path / "world", "--seed", 5, "--entities", 12, "--json")
    assert made.exit_code == 0, made.output
    world = json.loads(made.stdout)
    assert world["items"] > 40 and world["questions"] >= 20 and world["split"] == "test"
    built = run("index", "build", tmp_path / "world", "--model", tiny_bundle, "--out", tmp_path / "index", "--json")
    assert built.exit_code == 0, built.output
    assert json.loads(built.stdout)["num_items"] == world["items"]

    written = tmp_path / "results.json"
    result = run("eval", "world", "--seed", 5, "--entities", 12, "--model", tiny_bundle, "--out", written, "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert json.loads(written.read_text(encoding="utf-8")) == report
    assert report["world_version"] == world["world_version"]
    recall = [report["retriever"], *report["baselines"].values()]
    figures = [one["recall@5"][name] for one in recall for name in ("overall", "text", "image", "visual_only")]
    for name in ("retrieved", "oracle", "closed_book", "shuffled_pictures"):
        accuracy = report["answer"]["accuracy"][name]
        figures += [accuracy["overall"], *accuracy["by_kind"].values()]
    figures += [report["abstain"]["f1"], report["citation"]["precision"]]
    for figure in figures:
        assert {"value", "n", "interval"} <= set(figure)
