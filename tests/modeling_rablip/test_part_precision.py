"""Parts in precisions of their own, as in training on a frozen half-precision tower or language model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from rablip.training import FusionPretraining
from tests import tiny
from tests.tiny_inputs import generator_rows, join_generator_rows, join_trunk_rows, trunk_rows

BLIP2_VECTORS = {"retrieval_config": {"embedding_dim": 16, "vectors": "per_query"}}


def make_fusion() -> Any:
    return tiny.stir(FusionPretraining(tiny.make_reranker().config, captioning=True)).eval()


MAKERS: dict[str, Any] = {
    "retriever": tiny.make_retriever,
    "retriever-blip2": lambda: tiny.make_retriever(**BLIP2_VECTORS),
    "reranker": tiny.make_reranker,
    "generator-t5": lambda: tiny.make_generator("t5"),
    "generator-llama": lambda: tiny.make_generator("llama"),
    "fusion": make_fusion,
}


def run(name: str, model: Any) -> Any:
    """The model's output with a loss, over rows with pictures and without; where it needs them, with pictures only."""
    if name.startswith("generator"):
        rows = join_generator_rows(generator_rows())
        labels = torch.where(rows["candidate_mask"] == 0, -100.0, 1.0)
        return model(**rows, labels=rows["input_ids"], relevance_labels=labels)
    batch = join_trunk_rows(trunk_rows())
    if name == "fusion":
        shown = batch["image_mask"].any(dim=1)
        return model(
            batch["input_ids"][shown],
            batch["attention_mask"][shown],
            pixel_values=batch["pixel_values"][shown],
            image_mask=batch["image_mask"][shown],
            negative_seed=torch.tensor([0]),
        )
    texts = {name: batch[name] for name in ("input_ids", "attention_mask")}
    if name == "reranker":
        apart = {f"{side}_{key}": value for side in ("question", "knowledge") for key, value in texts.items()}
        return model(**batch, **apart, relevance_labels=torch.ones(len(batch["input_ids"])))
    knowledge = {f"knowledge_{key}": value for key, value in batch.items()}
    return model(**texts, **knowledge)


def parts(name: str) -> list[str]:
    return [child for child, module in MAKERS[name]().named_children() if any(True for _ in module.parameters())]


@pytest.mark.parametrize(("name", "part"), [(name, part) for name in MAKERS for part in parts(name)])
@pytest.mark.parametrize("narrow", [torch.bfloat16, torch.float16])
def test_any_part_may_be_in_half_precision(name: str, part: str, narrow: torch.dtype) -> None:
    expected = run(name, MAKERS[name]()).loss
    model = MAKERS[name]()
    getattr(model, part).to(narrow).requires_grad_(False)
    with torch.autocast("cpu", enabled=False):
        loss = run(name, model).loss
    loss.backward()
    torch.testing.assert_close(loss, expected, rtol=0.05, atol=0.05)
    gradients = [value.grad for value in model.parameters() if value.grad is not None]
    assert gradients and all(gradient.isfinite().all() for gradient in gradients)
    # torch mixes no two half precisions under autocast; the two large parts keep to themselves.
    if narrow == torch.bfloat16 or part in ("vision_model", "language_model"):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = run(name, model).loss
        loss.backward()
        torch.testing.assert_close(loss, expected, rtol=0.05, atol=0.1)


@pytest.mark.parametrize("name", ["retriever", "generator-t5", "generator-llama"])
def test_a_model_in_two_precisions_loads_without_rounding(name: str, tmp_path: Path) -> None:
    model = MAKERS[name]()
    model.vision_model.to(torch.bfloat16)
    assert model.dtype == torch.float32
    model.save_pretrained(tmp_path)
    loaded = type(model).from_pretrained(tmp_path)
    for key, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value.float()), key
    asked = type(model).from_pretrained(tmp_path, dtype=torch.bfloat16)
    assert {value.dtype for value in asked.parameters()} == {torch.bfloat16} and asked.dtype == torch.bfloat16
