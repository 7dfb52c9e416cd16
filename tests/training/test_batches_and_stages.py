"""Batches fit the models, stages learn, and an interrupted stage goes on as if nothing had happened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rablip.training import (
    StepDataset,
    TrainingPool,
    encode_pictures,
    fit_generator,
    fit_reranker,
    make_generator_batch,
    make_reranker_batch,
    make_retriever_batch,
    mine_candidates,
    run_stage,
)
from tests.processing.tiny_tokenizers import make_processor, make_retriever_processor
from tests.tiny import NUM_QUERY_TOKENS, make_generator, make_reranker, make_retriever
from tests.training.tiny_pool import make_pool


@pytest.fixture(scope="module")
def pool() -> TrainingPool:
    return make_pool()


@pytest.fixture(scope="module")
def retriever_processor() -> Any:
    processor = make_retriever_processor()
    processor.max_images = 3
    return processor


@pytest.fixture(scope="module")
def processor() -> Any:
    processor = make_processor("t5")
    processor.max_images = 3
    assert processor.num_query_tokens == NUM_QUERY_TOKENS
    return processor


def _retriever_batch(pool: TrainingPool, processor: Any, seed: int) -> dict[str, torch.Tensor]:
    return make_retriever_batch(pool, np.random.default_rng(seed), processor, num_questions=8)


def test_retriever_batches_mark_every_right_answer(pool: TrainingPool, retriever_processor: Any) -> None:
    batch = _retriever_batch(pool, retriever_processor, 0)
    assert batch["positive_mask"].shape == (8, len(batch["knowledge_input_ids"]))
    assert (batch["positive_mask"].sum(dim=1) >= 1).all()
    output = make_retriever()(**batch)
    assert output.loss.isfinite() and output.scores.shape == batch["positive_mask"].shape


def test_reranker_batches_hold_both_labels(pool: TrainingPool, retriever_processor: Any) -> None:
    batch = make_reranker_batch(pool, np.random.default_rng(0), retriever_processor, num_questions=12)
    assert set(batch["relevance_labels"].tolist()) == {0.0, 1.0}
    assert make_reranker()(**batch).loss.isfinite()


def test_generator_batches_hold_both_passes(pool: TrainingPool, processor: Any) -> None:
    batch = make_generator_batch(pool, np.random.default_rng(0), processor, num_questions=12, max_candidates=3)
    output = make_generator("t5", image_token_index=processor.image_token_id)(**batch)
    for name in ("qa_loss", "askg_loss", "relevance_loss"):
        assert output[name].isfinite()


def test_a_batch_is_a_function_of_seed_and_step(pool: TrainingPool, retriever_processor: Any) -> None:
    def make(generator: np.random.Generator) -> dict[str, torch.Tensor]:
        return make_retriever_batch(pool, generator, retriever_processor, num_questions=4)

    dataset = StepDataset(make, num_steps=5, seed=3)
    again = StepDataset(make, num_steps=5, seed=3)[2]
    for name, value in dataset[2].items():
        assert torch.equal(again[name], value)
    assert not torch.equal(dataset[3]["input_ids"][:, :3], again["input_ids"][:, :3])


def test_a_stage_learns_and_resumes_on_the_same_curve(
    pool: TrainingPool, retriever_processor: Any, tmp_path: Path
) -> None:
    def make(generator: np.random.Generator) -> dict[str, torch.Tensor]:
        return make_retriever_batch(pool, generator, retriever_processor, num_questions=8)

    def train(folder: Path) -> dict[str, torch.Tensor]:
        model = make_retriever()
        model.freeze_vision_tower()
        arguments = {"num_steps": 12, "learning_rate": 1e-3, "seed": 1, "save_steps": 6, "logging_steps": 6}
        trained = run_stage(model, make, output_dir=folder, **arguments)
        return {name: value.clone() for name, value in trained.state_dict().items()}

    straight = train(tmp_path / "straight")
    interrupted = tmp_path / "interrupted"
    calls = 0

    def stop_half_way(generator: np.random.Generator) -> dict[str, torch.Tensor]:
        nonlocal calls
        calls += 1
        if calls > 9:
            raise KeyboardInterrupt
        return make(generator)

    model = make_retriever()
    model.freeze_vision_tower()
    with pytest.raises(KeyboardInterrupt):
        run_stage(model, stop_half_way, output_dir=interrupted, num_steps=12, learning_rate=1e-3, seed=1, save_steps=6)
    assert (interrupted / "checkpoint-6").is_dir()
    resumed = train(interrupted)
    for name, value in straight.items():
        torch.testing.assert_close(resumed[name], value, atol=1e-6, rtol=1e-5, msg=name)
    untouched = make_retriever().state_dict()
    moved = {name.split(".")[0] for name, value in straight.items() if not torch.equal(value, untouched[name])}
    assert "vision_model" not in moved and {"qformer", "fusion", "pooler", "retrieval_projection"} <= moved


def test_mining_and_fitting_write_what_they_found(
    pool: TrainingPool, retriever_processor: Any, processor: Any
) -> None:
    recall = mine_candidates(make_retriever(), retriever_processor, pool, k=4)
    assert 0.0 <= recall <= 1.0
    assert all(len(found) == len(set(found)) == 4 for found in pool.mined.values())
    hops = {key for key in pool.mined if key[1] == 1}
    assert {question for question, _ in hops} == {example.id for example in pool.examples if len(example.hops) == 2}
    reranker = make_reranker()
    fitted = fit_reranker(reranker, retriever_processor, pool, k=4)
    assert reranker.config.relevance_threshold == fitted["relevance_threshold"]
    generator = make_generator("t5", image_token_index=processor.image_token_id)
    fitted = fit_generator(generator, processor, pool, seed=0, num_batches=2, num_rows=12)
    assert generator.config.citation_threshold == fitted["citation_threshold"]
    assert generator.config.abstain_threshold == fitted["abstain_threshold"]
    pool.mined.clear()


def test_features_are_the_towers_own_and_do_not_share_memory(retriever_processor: Any) -> None:
    from rablip.processing.images_rablip import load_image
    from rablip.world import make_world

    model = make_retriever()
    pictures = {item.id: item.image for item in make_world(0, 3).items if item.image is not None}
    features = encode_pictures(model, retriever_processor.image_processor, pictures, batch_size=2)
    for key, image in pictures.items():
        pixels = retriever_processor.image_processor([load_image(image)], return_tensors="pt")["pixel_values"]
        with torch.no_grad():
            torch.testing.assert_close(features[key], model.encode_images(pixels)[0, 0])
        assert features[key].untyped_storage().nbytes() == features[key].numel() * 4
