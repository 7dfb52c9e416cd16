"""`rablip train STAGE` on a folder of one's own questions and on a world, and what it says of wrong ones."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModel, AutoProcessor
from typer.testing import CliRunner

from rablip import RablipAnswerer
from rablip.cli import app
from rablip.training import load_adapter, read_pool, split_pool
from rablip.world import make_world, write_world

# peft asks for what transformers calls deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
STAGES = ("fusion", "retriever", "reranker", "generator")


def run(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_world(make_world(3, 12, split="train"), tmp_path_factory.mktemp("world") / "w")


@pytest.fixture(scope="module")
def own(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in a user's own form: knowledge.jsonl, pictures, questions.jsonl, validation.jsonl."""
    folder = tmp_path_factory.mktemp("own")
    made = make_world(3, 12, split="train")
    (folder / "pictures").mkdir()
    rows = []
    for item in made.items:
        row = {"id": item.id, "title": item.title, "caption": item.caption, "text": item.text}
        if item.image is not None:
            (folder / "pictures" / f"{item.id}.png").write_bytes(item.image.data or b"")
            row["image"] = f"pictures/{item.id}.png"
        rows.append({name: value for name, value in row.items() if value})
    write_lines(folder / "knowledge.jsonl", rows)
    questions = [
        {"id": q.id, "question": q.question, "answers": list(q.answers), "positive_ids": list(q.positive_ids)}
        for q in made.questions
        if q.answerable and not q.images
    ]
    write_lines(folder / "questions.jsonl", questions[:-4])
    write_lines(folder / "validation.jsonl", questions[-4:])
    return folder


def write_lines(file: Path, rows: list[dict[str, Any]]) -> None:
    file.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_trains_saves_and_goes_on(stage: str, world: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ("--batch-size", "4", "--feature-cache", tmp_path / "cache", "--eval-steps", "1", "--json")
    command = ("train", stage, world, "--model", tiny_bundle, "--out", out, *options)
    done = run(*command, "--steps", "2")
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)
    assert summary["stage"] == stage and summary["steps"] == 2
    assert summary == {**json.loads((out / "training.json").read_text()), "out": str(out)}
    assert str(tmp_path) not in (out / "training.json").read_text(), "no path of this machine is published with it"
    assert summary["validation"]["eval_loss"] > 0 and all(value >= 0 for value in summary["fitted"].values())
    model = AutoModel.from_pretrained(out)
    assert (
        type(model).__name__
        == {
            "fusion": "RablipReranker",
            "retriever": "RablipRetriever",
            "reranker": "RablipReranker",
            "generator": "RablipForConditionalGeneration",
        }[stage]
    )
    if stage in ("reranker", "generator"):
        assert model.config.relevance_temperature == pytest.approx(summary["fitted"]["relevance_temperature"])
    assert AutoProcessor.from_pretrained(out).max_images == model.config.max_images
    assert (out / "checkpoints" / "checkpoint-2" / "processor_config.json").is_file()
    # As if it had been stopped; how the work is done may change, what is learned may not.
    shutil.rmtree(out / "checkpoints" / "checkpoint-2")
    further = run(*command, "--steps", "2", "--workers", "1", "--gradient-checkpointing")
    assert json.loads(further.stdout)["steps"] == 2
    assert (out / "checkpoints" / "checkpoint-2").is_dir()
    refused = run(*command, "--steps", "3", "--bf16")
    assert refused.exit_code == 2 and not refused.stdout
    assert "max_steps is 3 and was 2" in refused.stderr and "bf16 is True and was False" in refused.stderr


def test_own_questions_and_a_validation_file(own: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    options = ("--steps", "2", "--batch-size", "4", "--lora", "--lora-rank", "2", "--candidates", "6", "--mine-labels")
    done = run("train", "generator", own, "--model", tiny_bundle, "--out", tmp_path / "out", *options)
    if done.exit_code:  # an untrained generator may find no label at all, which is said
        assert "can be trained on" in done.output
    options = tuple(option for option in options if option != "--mine-labels")
    done = run("train", "generator", own, "--model", tiny_bundle, "--out", tmp_path / "out2", *options)
    assert done.exit_code == 0, done.output
    assert "trained:" in done.stdout and "abstain_threshold" in done.stdout
    base = AutoModel.from_pretrained(tiny_bundle / "generator")
    assert load_adapter(base, tmp_path / "out2")


def test_from_scratch_and_from_another_class(world: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    options = ("--steps", "1", "--batch-size", "4")
    scratch = ("--from-scratch", "--seed", "5")
    done = run("train", "fusion", world, "--model", tiny_bundle, "--out", tmp_path / "f", *scratch, *options)
    assert done.exit_code == 0, done.output
    trained, start = AutoModel.from_pretrained(tmp_path / "f"), AutoModel.from_pretrained(tiny_bundle / "reranker")
    name = "vision_model.embeddings.patch_embedding.weight"
    assert not (trained.state_dict()[name] == start.state_dict()[name]).all()
    done = run("train", "retriever", world, "--model", tmp_path / "f", "--out", tmp_path / "r", *options)
    assert done.exit_code == 0, done.output
    # A retriever that has learned nothing finds no right item for a few questions, and for some of many.
    files = ("--model", tmp_path / "r", "--out", tmp_path / "k", "--lora-qformer")
    few = write_world(make_world(8, 2, split="validation"), tmp_path / "few")
    done = run("train", "reranker", world, *files, *options, "--validation", few)
    assert done.exit_code in (0, 2) and (done.exit_code == 0 or "Train the retriever first" in done.stderr)
    many = write_world(make_world(9, 24, split="validation"), tmp_path / "many")
    done = run("train", "reranker", world, *files, *options, "--validation", many, "--no-resume")
    assert done.exit_code == 0, done.output


def test_more_picture_slots(world: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    options = ("--steps", "1", "--batch-size", "4", "--max-images", "5", "--candidates", "5")
    done = run("train", "generator", world, "--model", tiny_bundle, "--out", tmp_path / "out", *options)
    assert done.exit_code == 0, done.output
    assert AutoModel.from_pretrained(tmp_path / "out").config.max_images == 5
    assert RablipAnswerer.from_pretrained(tmp_path / "out") is not None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"positive_ids": ["nowhere"]}, "'nowhere' of question"),
        ({"anwsers": ["x"]}, "did you mean 'answers'"),
        ({"question": ""}, "question"),
        ({"id": None}, "'id'"),
        ({"answers": "1743"}, "answers"),
    ],
)
def test_wrong_columns_are_named(
    change: dict[str, Any], said: str, own: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(own, tmp_path / "own"))
    lines = (folder / "questions.jsonl").read_text().splitlines()
    lines[2] = json.dumps({**json.loads(lines[2]), **change})
    (folder / "questions.jsonl").write_text("\n".join(lines))
    done = run("train", "retriever", folder, "--model", tiny_bundle, "--out", tmp_path / "out")
    assert done.exit_code == 2 and said in done.stderr and "questions.jsonl" in done.stderr, done.stderr
    assert not (tmp_path / "out").exists()


def test_what_is_missing_is_named(own: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    bare = Path(shutil.copytree(own, tmp_path / "bare"))
    (bare / "questions.jsonl").unlink()
    done = run("train", "retriever", bare, "--model", tiny_bundle, "--out", tmp_path / "out")
    assert done.exit_code == 2 and "positive_ids" in done.stderr
    done = run("train", "generator", own, "--model", tiny_bundle / "retriever", "--out", tmp_path / "out")
    assert done.exit_code == 2 and "cannot start" in done.stderr
    done = run("train", "reranker", own, "--model", tiny_bundle / "reranker", "--out", tmp_path / "out")
    assert done.exit_code == 2 and "--retriever" in done.stderr
    shutil.copy(own / "questions.jsonl", tmp_path / "same.jsonl")
    files = ("--model", tiny_bundle, "--out", tmp_path / "out")
    done = run("train", "retriever", own, *files, "--validation", tmp_path / "same.jsonl")
    assert done.exit_code == 2 and "also trained on" in done.stderr
    done = run("train", "fusion", own, *files, "--from-scratch", "--feature-cache", tmp_path / "cache")
    assert done.exit_code == 2 and "cannot be cached" in done.stderr


def test_validation_questions_are_a_seeded_share(own: Path) -> None:
    pool = read_pool(own)
    learned, validation = split_pool(pool, 0.25, seed=1)
    ids = [{example.id for example in one.examples} for one in (learned, validation)]
    assert not ids[0] & ids[1] and len(ids[0] | ids[1]) == len(pool.examples)
    assert len(ids[1]) == round(0.25 * len(pool.examples))
    assert split_pool(pool, 0.25, seed=1)[1].examples == validation.examples
    with pytest.raises(ValueError, match="between 0 and 1"):
        split_pool(pool, 0.0, seed=1)
