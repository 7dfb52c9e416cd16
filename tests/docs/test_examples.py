"""Every script in examples/ runs on random tiny models and a small folder."""

from __future__ import annotations

import json
import runpy
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.world_reports import make_report

ROOT = Path(__file__).parent.parent.parent
SCRIPTS = sorted(path.name for path in (ROOT / "examples").glob("*.py"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pictures and a text."""
    folder = tmp_path_factory.mktemp("own")
    rows = [
        {"file_name": "mill.png", "caption": "The mill"},
        {"file_name": "barn.png", "text": "It holds 340 barrels."},
        {"id": "fact", "text": "The mill was built by Marlow."},
    ]
    (folder / "metadata.jsonl").write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    for name in ("mill.png", "barn.png"):
        Image.new("RGB", (30, 30), "blue" if name == "mill.png" else "white").save(folder / name)
    return folder


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs one example as `python examples/<script> <arguments>` does; gives its output."""

    def run_script(script: str, *arguments: str | Path) -> str:
        monkeypatch.setattr(sys, "argv", [script, *(str(argument) for argument in arguments)])
        capsys.readouterr()
        try:
            runpy.run_path(str(ROOT / "examples" / script), run_name="__main__")
        except SystemExit as ended:
            assert not ended.code, ended.code
        return capsys.readouterr().out

    return run_script


def test_every_script_is_tested() -> None:
    tested = Path(__file__).read_text(encoding="utf-8")
    assert SCRIPTS and all(f'"{name}"' in tested for name in SCRIPTS), SCRIPTS


def test_index_then_steps(run: Callable[..., str], folder: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    index = tmp_path / "index"
    shown = run("five_lines.py", folder, "Who built the mill?", "--model", tiny_bundle, "--out", index)
    assert shown
    steps = run("step_by_step.py", index, "Who built the mill?", "--model", tiny_bundle)
    assert [line.split()[0] for line in steps.splitlines()] == ["retrieved", "re-ranked", "kept", "answer"]


def test_own_evidence(run: Callable[..., str], tiny_bundle: Path) -> None:
    shown = run("own_evidence.py", "--model", tiny_bundle)
    assert "mill: relevance" in shown and "barn: relevance" in shown


def test_auto_classes(run: Callable[..., str], tiny_folders: dict[str, Path]) -> None:
    assert run("auto_classes.py", "--model", tiny_folders["retriever"]).startswith("tensor(")


@pytest.fixture(scope="module")
def asked(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with questions about it."""
    asked = Path(shutil.copytree(folder, tmp_path_factory.mktemp("asked") / "folder"))
    facts = [("Who built the mill?", "Marlow", "fact"), ("How many barrels?", "340", "barn.png")]
    rows = [
        {"id": f"q{n}", "question": question, "answers": [answer], "positive_ids": [item]}
        for n, (question, answer, item) in enumerate(facts * 5)
    ]
    (asked / "questions.jsonl").write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    for name in ("shed", "boat"):
        Image.new("RGB", (30, 30), "red" if name == "shed" else "green").save(asked / f"{name}.png")
    with (asked / "metadata.jsonl").open("a", encoding="utf-8") as file:
        for name in ("shed", "boat"):
            file.write("\n" + json.dumps({"file_name": f"{name}.png", "caption": f"The {name}", "title": name}))
    return asked


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # peft
@pytest.mark.parametrize(
    ("script", "options", "shown"),
    [
        ("train_fusion.py", ["--captioning", "--num_validation", "2"], "picture_to_text_recall@1"),
        ("train_retriever.py", ["--chunk_size", "2", "--lora"], "recall@5 after"),
        ("train_reranker.py", ["--candidates", "3"], "relevance_threshold"),
        ("train_generator.py", ["--lora", "--predict_with_generate"], "abstain_threshold"),
    ],
)
def test_training(
    script: str,
    options: list[str],
    shown: str,
    run: Callable[..., str],
    asked: Path,
    tiny_bundle: Path,
    tmp_path: Path,
) -> None:
    """Each stage's script trains, with cached features, and saves a model that loads with its processor."""
    limits = ["--max_steps", "2", "--per_device_train_batch_size", "4", "--report_to", "none", "--use_cpu"]
    files = ["--output_dir", tmp_path / "out", "--feature_cache", tmp_path / "cache"]
    output = run(script, "--data", asked, "--model", tiny_bundle, *files, *limits, *options)
    assert shown in output
    saved = {path.name for path in (tmp_path / "out").iterdir()}
    assert "processor_config.json" in saved
    assert saved & {"model.safetensors", "adapter_model.safetensors"}


def test_readme_table(run: Callable[..., str], tiny_bundle: Path, tmp_path: Path) -> None:
    """The section is written between the marks, again and again the same, and `--check` sees a difference."""
    bundle, readme = tmp_path / "bundle", tmp_path / "README.md"
    shutil.copytree(tiny_bundle, bundle)
    (bundle / "results.json").write_text(json.dumps(make_report(bundle)))
    (bundle / "README.md").write_text("---\nlicense: mit\n---\nHow it was made.\n")
    readme.write_text("before\n<!-- figures:begin (x) -->\nold\n<!-- figures:end -->\nafter\n")
    arguments = ("--checkpoint", bundle, "--readme", readme)
    with pytest.raises(AssertionError, match="out of date"):
        run("update_readme_table.py", *arguments, "--check")
    run("update_readme_table.py", *arguments)
    text = readme.read_text()
    assert text.startswith("before\n<!-- figures:begin (x) -->\n") and text.endswith("<!-- figures:end -->\nafter\n")
    assert "old" not in text and "| color | 4 | 0.250 |" in text and "12 entities" in text
    card = (bundle / "README.md").read_text()
    assert "How it was made." in card and "license: mit" in card
    assert "| color | 4 | 0.250 |" in card and "`retriever/`" in card
    run("update_readme_table.py", *arguments, "--check")
