"""Checkpoints are gone on from by the very run that they are of, and by no other."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from rablip import ImageRef, KnowledgeItem
from rablip.training import RunSettings, StartingPoint, TrainingPool, load_start
from rablip.training.runs.identity import claim_checkpoints, describe_run
from rablip.world import make_world


@pytest.fixture(scope="module")
def start(tiny_bundle: Path) -> StartingPoint:
    return load_start("retriever", tiny_bundle)


@pytest.fixture(scope="module")
def pool() -> TrainingPool:
    world = make_world(3, 8, split="train")
    return TrainingPool(items={item.id: item for item in world.items}, examples=list(world.questions))


def describe(start: StartingPoint, pool: TrainingPool, model: Path, **changes: Any) -> dict[str, Any]:
    stage, validation = changes.pop("stage", "retriever"), changes.pop("validation_pool", pool)
    rate = changes.pop("rate", 1e-4)
    return describe_run(stage, start, pool, validation, RunSettings(**changes), model, learning_rate=rate)


def claim(folder: Path, run: dict[str, Any], *, resume: bool = True) -> str | None:
    """As a run does that then saves a checkpoint."""
    last = claim_checkpoints(folder, run, resume=resume)
    (folder / "checkpoint-7").mkdir(exist_ok=True)
    return last


def test_the_same_run_goes_on(start: StartingPoint, pool: TrainingPool, tiny_bundle: Path, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    assert claim(folder, describe(start, pool, tiny_bundle)) is None
    assert claim(folder, describe(start, pool, tiny_bundle)) == str(folder / "checkpoint-7")
    # What is looked on with, and where things lie, is no other run.
    without_effect: Any = {
        "report_to": ("tensorboard",),
        "workers": 3,
        "gradient_checkpointing": True,
        "feature_cache": tmp_path,
        "arguments": {"logging_steps": 1, "disable_tqdm": True, "dataloader_pin_memory": False},
    }
    assert claim(folder, describe(start, pool, tiny_bundle, **without_effect)) is not None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rate": 0.01}, "learning_rate is 0.01 and was 0.0001"),
        ({"seed": 7}, "seed is 7 and was 0"),
        ({"max_steps": 9}, "max_steps is 9 and was -1"),
        ({"num_epochs": 4.0}, "num_epochs is 4.0 and was 3.0"),
        ({"batch_size": 2}, "batch_size is 2 and was None"),
        ({"bf16": True}, "bf16 is True and was False"),
        ({"lora": ("qformer",)}, r"lora is \['qformer'\] and was \[\]"),
        ({"arguments": {"weight_decay": 0.5}}, "weight_decay is 0.5 and was left open"),
        ({"stage": "fusion"}, "stage is 'fusion' and was 'retriever'"),
        ({"stage": "reranker"}, "retriever is '[0-9a-f]{12}' and was None"),
    ],
)
def test_another_run_is_refused_by_name_and_values(
    changes: dict[str, Any], said: str, start: StartingPoint, pool: TrainingPool, tiny_bundle: Path, tmp_path: Path
) -> None:
    claim(tmp_path, describe(start, pool, tiny_bundle))
    with pytest.raises(ValueError, match=said) as caught:
        claim(tmp_path, describe(start, pool, tiny_bundle, **changes))
    assert "--out" in str(caught.value) and "--no-resume" in str(caught.value)
    # Refused, it leaves the folder to the run whose it is.
    assert claim(tmp_path, describe(start, pool, tiny_bundle)) is not None


def test_other_data_are_refused(start: StartingPoint, pool: TrainingPool, tiny_bundle: Path, tmp_path: Path) -> None:
    claim(tmp_path, describe(start, pool, tiny_bundle))
    first, *others = pool.examples
    asked = dataclasses.replace(first, answers=("something else",))
    items = dict(pool.items)
    items["more"] = KnowledgeItem(id="more", text="one more")
    for changed, said in (
        (dataclasses.replace(pool, examples=others), "questions is"),
        (dataclasses.replace(pool, examples=[asked, *others]), "questions is"),
        (dataclasses.replace(pool, items=items), f"items is '{len(items)}, .* and was '{len(items) - 1}, "),
    ):
        with pytest.raises(ValueError, match=said):
            claim(tmp_path, describe(start, changed, tiny_bundle))
    with pytest.raises(ValueError, match="validation questions is"):
        held_out = dataclasses.replace(pool, examples=others)
        claim(tmp_path, describe(start, pool, tiny_bundle, validation_pool=held_out))


def test_another_picture_under_the_same_name_is_refused(
    start: StartingPoint, tiny_bundle: Path, tmp_path: Path
) -> None:
    Image.new("RGB", (8, 8), "red").save(tmp_path / "p.png")
    items = {"p": KnowledgeItem(id="p", image=ImageRef(path="p.png"))}
    pool = TrainingPool(items=items, examples=[], root=tmp_path)
    claim(tmp_path / "c", describe(start, pool, tiny_bundle))
    assert claim(tmp_path / "c", describe(start, pool, tiny_bundle)) is not None
    Image.effect_noise((40, 40), 90).save(tmp_path / "p.png")
    with pytest.raises(ValueError, match="items is"):
        claim(tmp_path / "c", describe(start, pool, tiny_bundle))


def test_another_starting_point_is_refused(
    start: StartingPoint, pool: TrainingPool, tiny_bundle: Path, tmp_path: Path
) -> None:
    claim(tmp_path, describe(start, pool, tiny_bundle))
    other = start._replace(folder=tiny_bundle / "reranker")
    with pytest.raises(ValueError, match="model is '[0-9a-f]{12}' and was '[0-9a-f]{12}'"):
        claim(tmp_path, describe(other, pool, tiny_bundle))


def test_checkpoints_of_nobody_are_refused(
    start: StartingPoint, pool: TrainingPool, tiny_bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "checkpoint-3").mkdir()
    with pytest.raises(ValueError, match="no run.json says"):
        claim(tmp_path, describe(start, pool, tiny_bundle))


def test_a_new_start_leaves_no_checkpoint_behind(
    start: StartingPoint, pool: TrainingPool, tiny_bundle: Path, tmp_path: Path
) -> None:
    """Trainer would take one with a higher number for the last of the new run."""
    claim(tmp_path, describe(start, pool, tiny_bundle))
    (tmp_path / "checkpoint-500").mkdir()
    assert claim_checkpoints(tmp_path, describe(start, pool, tiny_bundle, seed=1), resume=False) is None
    assert not list(tmp_path.glob("checkpoint-*"))
    (tmp_path / "checkpoint-2").mkdir()
    assert claim(tmp_path, describe(start, pool, tiny_bundle, seed=1)) == str(tmp_path / "checkpoint-2")
