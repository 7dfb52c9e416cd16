"""Numbers that are none, T5 in half precision, and features that are computed once."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch

from rablip.answering.features import PictureFeatures, make_parts
from rablip.answering.numerics import FiniteLogits, NonFiniteLogitsError, check_finite, protect_half_precision

from .tiny_stack import make_answerer, picture
from .tiny_stack import make_parts as make_tiny_parts

NAN, INF = float("nan"), float("inf")


def test_scores_must_be_numbers() -> None:
    scores = torch.tensor([0.1, 0.2])
    assert check_finite(scores, "relevance") is scores
    for wrong in (NAN, INF, -INF):
        with pytest.raises(NonFiniteLogitsError, match="1 of 2 relevance"):
            check_finite(torch.tensor([0.1, wrong]), "relevance")


def test_a_forbidden_token_is_not_a_fault() -> None:
    ids = torch.zeros(2, 3, dtype=torch.long)
    allowed = torch.tensor([[0.1, -INF], [-INF, 3.0]])
    assert FiniteLogits()(ids, allowed) is allowed
    for wrong in ([[0.1, NAN], [0.0, 1.0]], [[0.1, INF], [0.0, 1.0]], [[0.0, 1.0], [-INF, -INF]]):
        with pytest.raises(NonFiniteLogitsError, match="Step 3"):
            FiniteLogits()(ids, torch.tensor(wrong))


def wo_types(model: Any) -> set[torch.dtype]:
    return {module.weight.dtype for name, module in model.named_modules() if name.endswith(".wo")}


def test_t5_in_half_precision_keeps_its_wo_layers(caplog: pytest.LogCaptureFixture) -> None:
    generator = make_tiny_parts()["generator"]
    assert not protect_half_precision(generator), "nothing to protect in float32"
    generator.language_model.half()  # reaches the layers that from_pretrained and .half() of the whole model keep
    assert wo_types(generator) == {torch.float16}
    with caplog.at_level(logging.WARNING):
        assert protect_half_precision(generator)
    assert wo_types(generator) == {torch.float32}
    assert next(generator.language_model.parameters()).dtype == torch.float16
    assert caplog.text.count("float16") == 1
    assert not protect_half_precision(generator)
    assert not protect_half_precision(make_tiny_parts("llama")["generator"].half())


@pytest.mark.parametrize("how", ["half", "from_pretrained"])
def test_the_answerer_answers_in_half_precision(how: str, tmp_path: Any) -> None:
    answerer = make_answerer(num_hops=1)
    if how == "half":
        answerer.generator.half()
    else:
        answerer.generator.save_pretrained(tmp_path)
        loaded = type(answerer.generator).from_pretrained(tmp_path, dtype=torch.float16)
        answerer = type(answerer)(generator=loaded, generator_processor=answerer.generator_processor)
    whole = make_answerer(num_hops=1)
    evidence = [item for item in whole.knowledge_base.items.values()][:4]
    answer, expected = (one.generate(["Who built it?"], [evidence])[0] for one in (answerer, whole))
    assert wo_types(answerer.generator) == {torch.float32}
    assert answer.evidence, answer.reason
    for one, other in zip(answer.evidence, expected.evidence, strict=True):
        assert one.relevance == pytest.approx(other.relevance, abs=0.02)


def count_pictures(model: Any) -> list[int]:
    counts: list[int] = []
    run = model.encode_images

    def spy(pixel_values: torch.Tensor, *args: Any) -> torch.Tensor:
        counts.append(len(pixel_values))
        return run(pixel_values, *args)

    model.encode_images = spy
    return counts


def test_each_picture_goes_through_a_shared_tower_once() -> None:
    answerer = make_answerer(num_hops=2)
    shared = {name: (getattr(answerer, name), getattr(answerer, f"{name}_processor")) for name in answerer._parts}
    for name in ("reranker", "generator"):
        shared[name][0].vision_model = answerer.retriever.vision_model
    answerer._parts = make_parts(shared)
    features = {id(part.features) for part in answerer._parts.values()}
    assert len(features) == 1
    counts = [count_pictures(model) for model, _ in shared.values()]
    answerer.answer_batch(["Who built it?", "What color is it?"], [picture("red"), None])
    first = sum(map(sum, counts))
    assert first == 6, "five pictures of items and one of a question, for three models and two searches"
    answerer.answer_batch(["Who opened it?"])
    assert sum(map(sum, counts)) == first


def test_features_are_the_models_own_and_follow_its_weights() -> None:
    parts = make_tiny_parts()
    retriever, processor = parts["retriever"], parts["retriever_processor"]
    features = PictureFeatures(retriever, processor)
    pictures = [picture("red"), picture("blue"), picture("red")]
    rows = features.replace([[pictures[0], None], [], [pictures[1], pictures[0]]])
    assert rows[0][1] is None and rows[1] == [] and torch.equal(rows[0][0], rows[2][1])
    pixels = processor.image_processor(pictures, return_tensors="pt")["pixel_values"]
    expected = retriever.encode_images(pixels.unsqueeze(1))[:, 0]
    torch.testing.assert_close(torch.stack(features.encode(pictures)), expected, atol=1e-5, rtol=1e-5)
    before = features.encode(pictures[:1])[0]
    with torch.no_grad():
        retriever.vision_model.embeddings.patch_embedding.weight.mul_(2)
    assert not torch.allclose(features.encode(pictures[:1])[0], before), "old features of new weights"


def test_kept_features_stay_within_their_bytes() -> None:
    parts = make_tiny_parts()
    features = PictureFeatures(parts["retriever"], parts["retriever_processor"], max_bytes=5000)
    pictures = [picture("red") for _ in range(20)]
    assert len(features.encode(pictures)) == 20
    assert 0 < features._num_bytes <= 5000 and len(features._kept) < 20
