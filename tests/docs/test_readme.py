"""Every command and snippet of the README runs, and the tables say what setup.py and constraints.txt say."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from typer.testing import CliRunner

from rablip.cli import app
from tests.evaluation.benchmarks.tiny_benchmarks import write_multimodalqa, write_webqa
from tests.tiny_checkpoints import spell_markers

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
# Run by other tests and make targets (push in tests/hub, against a Hub on this machine); here options are checked.
ELSEWHERE = ("eval world", "train tiny", "quickstart", "push")


def blocks(language: str, text: str = README) -> list[str]:
    """The fenced code blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def make_targets() -> set[str]:
    """The targets of the Makefile."""
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Path) -> Path:
    """A folder as the README supposes it: the checkpoint (or random tiny models) and `my_folder`."""
    place = tmp_path_factory.mktemp("readme")
    trained = ROOT / "examples" / "checkpoints" / "rablip-tiny"
    (place / "examples" / "checkpoints").mkdir(parents=True)
    model = trained if (trained / "generator" / "config.json").is_file() else tiny_bundle
    (place / "examples" / "checkpoints" / "rablip-tiny").symlink_to(model)
    folder = place / "my_folder"
    folder.mkdir()
    (folder / "metadata.jsonl").write_text(blocks("json")[0], encoding="utf-8")
    Image.new("RGB", (40, 40), "red").save(folder / "mill.png")
    Image.new("L", (40, 30), 90).save(folder / "boat.jpg")
    put_questions(folder)
    put_public_checkpoints(place)
    for name, write in (("webqa", write_webqa), ("mmqa", write_multimodalqa)):
        (place / "data" / name).mkdir(parents=True)
        write(place / "data" / name)
    return place


def put_questions(folder: Path) -> None:
    """The README's questions, enough of them to train and to validate on, and some more pictures with captions."""
    rows = [json.loads(line) for line in blocks("json")[1].splitlines()]
    asked = [{**row, "id": f"{row['id']}-{number}"} for number in range(12) for row in rows]
    (folder / "questions.jsonl").write_text("\n".join(map(json.dumps, asked)), encoding="utf-8")
    with (folder / "metadata.jsonl").open("a", encoding="utf-8") as file:
        for number, color in enumerate(("blue", "green", "white", "black", "yellow")):
            Image.new("RGB", (40, 40), color).save(folder / f"{color}.png")
            file.write(
                json.dumps({"file_name": f"{color}.png", "caption": f"The {color} barn number {number}"}) + "\n"
            )


def put_public_checkpoints(place: Path) -> None:
    """Tiny checkpoints under the names of the public ones, which a command takes for folders when they are there."""
    golden = ROOT / "tests" / "fixtures" / "golden"
    for owner in ("Salesforce", "google"):
        (place / owner).mkdir()
    (place / "Salesforce" / "blip2-itm-vit-g").symlink_to(golden / "blip2-itm-tiny" / "checkpoint")
    spell_markers(golden / "instructblip-t5-tiny" / "checkpoint", place / "Salesforce" / "instructblip-flan-t5-xl")
    official = golden / "rablip-official-tiny"
    spell_markers(official / "flan-t5", place / "google" / "flan-t5-xl")
    (place / "bert-base-uncased").symlink_to(official / "bert-base-uncased")
    torch.save(load_file(official / "checkpoint" / "model_state.safetensors"), place / "t5_model_epoch_0.pth")


def run(command: list[str], cwd: Path) -> None:
    """Run a command in a fresh interpreter, offline; fail with its error."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=environment, timeout=600)
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}\n{done.stderr}"


def test_there_is_something_to_run() -> None:
    assert blocks("bash") and blocks("python") and blocks("json")


def test_two_commands_come_first() -> None:
    assert blocks("bash")[0].split() == ["make", "quickstart", "make", "test"]


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_make_targets_exist(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    lines = [line for block in blocks("bash", text) for line in block.splitlines()]
    named = {line.split()[1] for line in lines if line.startswith("make ")}
    # Within the text, variables may stand before the target.
    for command in re.findall(r"`make ((?:[A-Z_]+=\S* )*[a-z-]+)`", text):
        named.add(command.split()[-1])
    assert named and named <= make_targets(), named - make_targets()


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # peft
def test_commands_run(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All blocks in their order, since a later one needs the index of an earlier one."""
    monkeypatch.chdir(place)
    ran = 0
    for line in (line for block in blocks("bash") for line in block.splitlines() if line.startswith("rablip ")):
        words = shlex.split(line)[1:]
        if any(" ".join(words).startswith(command) for command in ELSEWHERE):
            continue
        if words[:2] == ["convert", "official"]:
            words += ["--num-vision-heads", "4"]  # no shape tells them, and the tiny one has not ViT-g's
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, f"{line}\n{result.output}"
        ran += 1
    assert ran >= 10


def test_commands_in_the_text_have_their_options() -> None:
    for command in re.findall(r"`rablip ([a-z][^`]*)`", README):
        words = shlex.split(command)
        names = [word for word in words if not word.startswith("-")]
        options = [word for word in words if word.startswith("-") and word != "--help"]
        path = names[:2] if names[0] in ("world", "index", "eval", "train", "convert", "report") else names[:1]
        if not names[0].isalpha():
            continue
        shown = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "200"})
        assert shown.exit_code == 0, command
        for option in options:
            assert option in shown.stdout, f"{command}: no {option}"


def test_python_runs(place: Path) -> None:
    for code in blocks("python"):
        run([sys.executable, "-c", code], place)


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_dependency_table_is_setup_py() -> None:
    """Each requirement has a line with a reason and a tested version, the one of the constraints."""
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    required = {name.lower() for name in re.findall(r'^    "([A-Za-z_-]+)[>=<]', setup, flags=re.MULTILINE)}
    required |= {name.lower() for name in re.findall(r'"([a-z0-9_-]+)>=[0-9.]+"', setup)} - {"python"}
    section = README[README.index("## Dependencies") :]
    constraints = dict(re.findall(r"^([A-Za-z0-9_.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    constraints = {name.lower(): version for name, version in constraints.items()}
    rows = [line for line in section.splitlines() if line.startswith("|")]
    for name in required:
        lines = [row for row in rows if re.search(rf"\b{re.escape(name)}\b", row.split("|")[1])]
        assert lines, f"{name} has no line in the README's dependency table"
        reason, tested = (cell.strip() for cell in lines[0].split("|")[2:4])
        assert reason and tested
        assert tested == "see constraints.txt" or constraints[name] in tested, f"{name}: {constraints[name]}"


def test_bounds_are_versions_that_were_run() -> None:
    """No bound below what is pinned, but for transformers and what goes with it, which have a run of their own."""
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    constraints = dict(re.findall(r"^([A-Za-z0-9_.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    constraints = {name.lower(): version for name, version in constraints.items()}
    for name, bound in re.findall(r'"([A-Za-z0-9_-]+)>=([0-9.]+)', setup):
        if name in ("setuptools", "build"):
            continue  # tools of the build, not of the package
        if name == "transformers":
            assert f"TRANSFORMERS_VERSIONS ?= {bound}" in (ROOT / "Makefile").read_text(encoding="utf-8")
            continue
        if name == "huggingface_hub":
            continue  # decided by transformers: 1.x up to transformers 5.17, see test-with-transformers
        tested = constraints[name.lower()]
        assert tested.startswith(bound), f"{name}>={bound}, but the suite runs with {tested}"


def test_figures_are_those_of_the_checkpoint() -> None:
    results = ROOT / "examples" / "checkpoints" / "rablip-tiny" / "results.json"
    if not results.is_file():
        pytest.skip("no results.json: the checkpoint is not measured yet")
    json.loads(results.read_text(encoding="utf-8"))
    run([sys.executable, str(ROOT / "examples" / "update_readme_table.py"), "--check"], ROOT)
