"""What a stage mines is what its retriever finds: with its own tower, in its own index."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from rablip import build_index
from rablip.index import IndexMismatchError
from rablip.training import RunSettings, TrainingPool, encode_pictures, load_start, mine_candidates, read_pool
from rablip.training.runs.stage_parts import prepare_generator, prepare_reranker, prepare_retriever
from rablip.world import make_world, write_world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_world(make_world(3, 14, split="train"), tmp_path_factory.mktemp("world") / "w")


@pytest.fixture(scope="module")
def own_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts and questions about them, under ids that an index keeps."""
    folder = tmp_path_factory.mktemp("own")
    facts = {f"t{number}": f"mill {number} was built in {1700 + number}" for number in range(12)}
    items = [json.dumps({"id": key, "text": text}) for key, text in facts.items()]
    asked = [
        {"id": f"q{key}", "question": f"when was {text[:7]} built?", "answers": [text[-4:]], "positive_ids": [key]}
        for key, text in facts.items()
    ]
    (folder / "knowledge.jsonl").write_text("\n".join(items), encoding="utf-8")
    (folder / "questions.jsonl").write_text("\n".join(map(json.dumps, asked)), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def other(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A retriever with another vision tower than the bundle's models."""
    folder = tmp_path_factory.mktemp("other")
    start = load_start("retriever", tiny_bundle)
    model = start.model
    torch.manual_seed(11)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    model.save_pretrained(folder)
    start.processor.save_pretrained(folder)
    return folder


def with_features(pool: TrainingPool, start: Any) -> TrainingPool:
    features = encode_pictures(start.model, start.processor.image_processor, pool.pictures())
    return dataclasses.replace(pool, features=features)


@pytest.mark.parametrize("stage", ["reranker", "generator"])
def test_a_retriever_never_gets_features_of_another_tower(
    stage: Any, world: Path, other: Path, tiny_bundle: Path
) -> None:
    start = load_start(stage, tiny_bundle)
    settings = RunSettings(retriever=other, max_candidates=3)
    bare = read_pool(world)
    theirs = load_start("retriever", other)
    mine_candidates(theirs.model.eval(), theirs.processor, bare)
    cached = with_features(read_pool(world), start)
    prepare = {"reranker": prepare_reranker, "generator": prepare_generator}[stage]
    parts = prepare(start, cached, with_features(read_pool(world), start), settings, tiny_bundle)
    pool = parts.train_dataset.pool
    assert pool.mined == bare.mined and pool.features
    wrong = dataclasses.replace(read_pool(world), features=cached.features)
    mine_candidates(theirs.model, theirs.processor, wrong)
    assert wrong.mined != bare.mined, "with the other tower's features it would find other items"
    if stage == "generator":
        assert set(pool.distractors) == {example.id for example in pool.examples}


def test_an_index_of_another_retriever_is_refused(
    own_folder: Path, other: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    build_index(own_folder, model=tiny_bundle, out=tmp_path / "index")
    start, pool = load_start("reranker", tiny_bundle), read_pool(own_folder)
    own = RunSettings(index=tmp_path / "index")
    assert prepare_reranker(start, pool, pool, own, tiny_bundle).train_dataset.pool.mined
    with pytest.raises(IndexMismatchError, match="fingerprint"):
        prepare_reranker(start, pool, pool, dataclasses.replace(own, retriever=other), tiny_bundle)
    retriever = load_start("retriever", tiny_bundle)
    assert prepare_retriever(retriever, pool, pool, own, tiny_bundle).train_dataset.pool.mined
    anew = load_start("retriever", tiny_bundle / "reranker")
    assert anew.new_weights is not None
    with pytest.raises(IndexMismatchError):
        prepare_retriever(anew, pool, pool, own, tiny_bundle)
