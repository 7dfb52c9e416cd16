"""Every script in examples/ runs on random tiny models and a small folder."""

from __future__ import annotations

import json
import runpy
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from transformers import AutoModel, AutoProcessor

from rablip import training
from rablip.training import merge_adapter
from tests.world_reports import make_report

ROOT = Path(__file__).parent.parent.parent
LIMITS = ["--max_steps", "2", "--per_device_train_batch_size", "4", "--report_to", "none", "--use_cpu"]
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
    files = ["--output_dir", tmp_path / "out", "--feature_cache", tmp_path / "cache"]
    output = run(script, "--data", asked, "--model", tiny_bundle, *files, *LIMITS, *options)
    assert shown in output
    saved = {path.name for path in (tmp_path / "out").iterdir()}
    assert "processor_config.json" in saved
    assert saved & {"model.safetensors", "adapter_model.safetensors"}


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # peft
@pytest.mark.parametrize(
    ("script", "fields"),
    [
        ("train_reranker.py", ["relevance_temperature", "relevance_threshold"]),
        ("train_generator.py", ["relevance_temperature", "citation_threshold", "abstain_threshold"]),
    ],
)
def test_what_was_fitted_survives_merging(
    script: str, fields: list[str], run: Callable[..., str], asked: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    """An adapter has no configuration for temperature and thresholds; the merged model has them all the same."""
    out = tmp_path / "out"
    run(script, "--data", asked, "--model", tiny_bundle, "--output_dir", out, "--lora", *LIMITS)
    assert (out / "adapter_model.safetensors").is_file() and not (out / "model.safetensors").exists()
    fitted = json.loads((out / "training.json").read_text())["fitted"]
    config = merge_adapter(out).config
    assert [getattr(config, name) for name in fields] == [fitted[name] for name in fields]
    assert len({fitted[name] for name in fields} - {1.0, 0.5}) > 0, "defaults would show nothing"


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # peft
@pytest.mark.parametrize(
    ("script", "part", "options"),
    [("train_retriever.py", "reranker", []), ("train_generator.py", "generator", ["--max_images", "5"])],
)
def test_adapters_without_a_base_on_disk_are_merged(
    script: str,
    part: str,
    options: list[str],
    run: Callable[..., str],
    asked: Path,
    tiny_bundle: Path,
    tmp_path: Path,
) -> None:
    """A model that was put together for the run is stored nowhere, so its adapter alone would be lost."""
    bundle = Path(shutil.copytree(tiny_bundle / part, tmp_path / "start"))
    files: list[str | Path] = ["--model", bundle, "--output_dir", tmp_path / "out"]
    if part == "generator":
        files += ["--retriever", tiny_bundle]
    run(script, "--data", asked, *files, "--lora", *LIMITS, *options)
    shutil.rmtree(bundle)
    assert not (tmp_path / "out" / "adapter_config.json").exists()
    model, processor = AutoModel.from_pretrained(tmp_path / "out"), AutoProcessor.from_pretrained(tmp_path / "out")
    assert processor.max_images == model.config.max_images == (5 if options else 3)
    fitted = json.loads((tmp_path / "out" / "training.json").read_text()).get("fitted", {})
    assert bool(fitted) == (part == "generator")
    if fitted:
        assert model.config.citation_threshold == fitted["citation_threshold"]


def test_thresholds_are_fitted_on_as_many_candidates_as_were_trained_on(
    run: Callable[..., str], asked: Path, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: dict[str, Any] = {}
    monkeypatch.setattr(training, "fit_generator", lambda *args, **options: shown.update(options) or {})
    files = ["--data", asked, "--model", tiny_bundle, "--output_dir", tmp_path / "out"]
    run("train_generator.py", *files, "--candidates", "2", *LIMITS)
    assert shown["max_candidates"] == 2 and shown["noise"].max_distractors == 1


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
