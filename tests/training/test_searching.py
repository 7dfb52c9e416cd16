"""Candidates, labels and distractors are found on the device of the run, once for all processes and pools."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from rablip.training import (
    MinedLabels,
    RunSettings,
    TrainingPool,
    find_candidates,
    find_distractors,
    load_start,
    mine_candidates,
    open_searcher,
    split_pool,
)
from rablip.training.runs import searching, stage_parts
from rablip.training.runs.processes import compute_once, on_device
from rablip.world import make_world, write_world
from tests.module_processes import run_module


@pytest.fixture
def pool() -> TrainingPool:
    world = make_world(3, 8, split="train")
    return TrainingPool(items={item.id: item for item in world.items}, examples=list(world.questions)[:12])


@pytest.fixture
def placed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """Which models work on which device, in turn; nothing is moved."""
    seen: list[tuple[str, Any]] = []

    @contextlib.contextmanager
    def note(model: Any, device: Any) -> Iterator[Any]:
        seen.append((type(model).__name__, device))
        yield model

    monkeypatch.setattr(searching, "on_device", note)
    return seen


def test_the_parts_alone_find_the_same(pool: TrainingPool, tiny_bundle: Path) -> None:
    searcher, start = open_searcher(tiny_bundle), load_start("generator", tiny_bundle)
    found, figures = find_candidates(pool, searcher, start, distractors=True)
    assert not pool.mined and not pool.distractors, "the pool that is given stays as it is"
    assert figures["recall@5"] == mine_candidates(searcher.model, searcher.processor, pool)
    find_distractors(searcher.model, searcher.processor, pool)
    assert found.mined == pool.mined and found.distractors == pool.distractors
    assert found.examples == pool.examples


def test_labels_come_before_distractors(
    pool: TrainingPool, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was found to be relevant misleads nobody; the generator is asked with followups of the first search."""
    asked: dict[str, Any] = {}

    def label(model: Any, processor: Any, pool: TrainingPool, **options: Any) -> Any:
        asked.update(options)
        relevant = {example.id: (pool.mined[example.id, 0][0],) for example in pool.examples if example.answerable}
        return MinedLabels(relevant=relevant, needed=relevant, irrelevant={}, known=frozenset())

    monkeypatch.setattr(searching, "mine_labels", label)
    start = load_start("generator", tiny_bundle)
    found, figures = find_candidates(pool, open_searcher(tiny_bundle), start, labels=True, distractors=True)
    answerable = [example for example in found.examples if example.answerable]
    assert figures["labelled"] == len(answerable) > 0 and "followups" in asked
    for example in answerable:
        assert example.positive_ids == (found.mined[example.id, 0][0],)
        assert not set(example.positive_ids) & {item for ids in found.distractors[example.id].values() for item in ids}


def test_models_work_on_the_device_that_is_given(
    pool: TrainingPool, tiny_bundle: Path, placed: list[tuple[str, Any]]
) -> None:
    start = load_start("generator", tiny_bundle)
    options: Any = {"device": "cuda:3", "labels": True, "distractors": True}
    find_candidates(pool, open_searcher(tiny_bundle), start, **options)
    retriever, generator = (("RablipRetriever", "cuda:3"), ("RablipForConditionalGeneration", "cuda:3"))
    assert placed == [retriever, generator, retriever]


@pytest.mark.parametrize("stage", ["retriever", "reranker", "generator"])
def test_every_stage_searches_on_the_device_of_the_run(
    stage: Any,
    pool: TrainingPool,
    tiny_bundle: Path,
    placed: list[tuple[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stage_parts, "PartialState", lambda: SimpleNamespace(device="cuda:1"))
    indexed: list[Any] = []
    index_pool = searching.index_pool
    monkeypatch.setattr(searching, "index_pool", lambda *args: indexed.append(args) or index_pool(*args))
    learned, validation = split_pool(pool, 0.5, seed=0)
    start = load_start(stage, tiny_bundle)
    stage_parts.PREPARE[stage](start, learned, validation, RunSettings(), tiny_bundle)
    assert placed and {device for _, device in placed} == {"cuda:1"}
    assert len(indexed) == 1, "two pools of the same items share an index"


def test_a_model_goes_back_to_where_it_was() -> None:
    class Model(torch.nn.Linear):
        moves: list[Any]

        def to(self, *args: Any, **kwargs: Any) -> Any:
            self.moves.append(args[0])
            return self

    model = Model(1, 1)
    model.moves = []
    with pytest.raises(KeyError), on_device(model, "cuda:1") as moved:
        assert moved is model and model.moves == ["cuda:1"]
        raise KeyError
    assert model.moves == ["cuda:1", torch.device("cpu")]


@pytest.mark.gpu
def test_searching_on_a_gpu(pool: TrainingPool, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    devices: list[str] = []
    index_pool = searching.index_pool
    monkeypatch.setattr(
        searching, "index_pool", lambda model, *rest: devices.append(model.device.type) or index_pool(model, *rest)
    )
    searcher, start = open_searcher(tiny_bundle), load_start("generator", tiny_bundle)
    find_candidates(pool, searcher, start, device="cuda", labels=True, distractors=True)
    assert devices == ["cuda"] and searcher.model.device.type == start.model.device.type == "cpu"


def test_one_process_computes_by_itself() -> None:
    with pytest.raises(KeyError):
        compute_once(lambda: {}["missing"])


@pytest.mark.slow
def test_two_processes_search_once(tiny_bundle: Path, tmp_path: Path) -> None:
    world = write_world(make_world(3, 12, split="train"), tmp_path / "world")
    run_module("tests.training.two_run_processes", tmp_path, world, tiny_bundle)
    first, second = (json.loads((tmp_path / f"mined-{rank}.json").read_text()) for rank in (0, 1))
    assert first == second and all(first)
    assert (tmp_path / "out" / "model.safetensors").is_file()
