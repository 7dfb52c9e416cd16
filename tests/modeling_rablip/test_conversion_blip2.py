"""BLIP-2's matching checkpoints retrieve and match here as they do in transformers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers import AutoModel, Blip2Config, Blip2ForImageTextRetrieval

from rablip import (
    ImageRef,
    KnowledgeItem,
    RablipForConditionalGeneration,
    RablipReranker,
    RablipRetriever,
    RablipRetrieverConfig,
    RablipRetrieverProcessor,
)
from rablip.conversion import make_blip2_processor
from rablip.modeling_rablip.conversion_blip2_rablip import MODULES_NEW_TO_BLIP2, configure_from_blip2
from rablip.modeling_rablip.modeling_rablip_retriever import score_largest

GOLDEN = Path(__file__).parent.parent / "fixtures" / "golden"
CHECKPOINT = GOLDEN / "blip2-itm-tiny" / "checkpoint"
INPUTS, OUTPUTS = (load_file(GOLDEN / "blip2-itm-tiny" / f"{side}.safetensors") for side in ("inputs", "outputs"))
TEXTS = {name: INPUTS[name] for name in ("input_ids", "attention_mask")}
PIXELS = INPUTS["pixel_values"].unsqueeze(1)
TOLERANCE = {"atol": 2e-5, "rtol": 0}


@pytest.fixture(scope="module")
def retriever() -> RablipRetriever:
    return RablipRetriever.from_blip2_itm(CHECKPOINT)


@torch.no_grad()
def test_embeddings_and_scores_are_those_of_blip2(retriever: RablipRetriever) -> None:
    texts = retriever.encode_questions(**TEXTS)
    pictures = retriever.encode_knowledge(pixel_values=PIXELS)
    torch.testing.assert_close(texts, OUTPUTS["text_embeds"], **TOLERANCE)
    torch.testing.assert_close(pictures, OUTPUTS["image_embeds"], **TOLERANCE)
    scores = score_largest(texts, pictures)
    torch.testing.assert_close(scores.T, OUTPUTS["itc.logits_per_image"], **TOLERANCE)
    whole = retriever(**TEXTS, knowledge_pixel_values=PIXELS, return_loss=False)
    torch.testing.assert_close(whole.scores, scores * retriever.logit_scale.weight.exp(), **TOLERANCE)


@torch.no_grad()
def test_picture_and_text_of_an_item_keep_the_vectors_that_they_have_alone(retriever: RablipRetriever) -> None:
    both = retriever.encode_knowledge(**{name: ids[:3] for name, ids in TEXTS.items()}, pixel_values=PIXELS)
    torch.testing.assert_close(both[:, :-1], OUTPUTS["image_embeds"], **TOLERANCE)
    torch.testing.assert_close(both[:, -1], OUTPUTS["text_embeds"][:3], **TOLERANCE)
    mask = torch.tensor([[1], [0], [1]])
    mixed = retriever.encode_knowledge(
        **{name: ids[:3] for name, ids in TEXTS.items()}, pixel_values=PIXELS, image_mask=mask
    )
    assert (mixed[1, :-1] == 0).all()
    torch.testing.assert_close(mixed[[0, 2]], both[[0, 2]], **TOLERANCE)
    torch.testing.assert_close(mixed[1, -1], OUTPUTS["text_embeds"][1], **TOLERANCE)


@torch.no_grad()
def test_a_question_with_a_picture_lies_between_its_words_and_its_picture(retriever: RablipRetriever) -> None:
    arguments = {name: ids[:3] for name, ids in TEXTS.items()}
    asked = retriever.encode_questions(**arguments, pixel_values=PIXELS)
    picture = torch.nn.functional.normalize(OUTPUTS["image_embeds"].sum(dim=1), dim=-1)
    expected = torch.nn.functional.normalize(picture + OUTPUTS["text_embeds"][:3], dim=-1)
    torch.testing.assert_close(asked, expected, **TOLERANCE)


@torch.no_grad()
def test_a_trained_fusion_carries_picture_into_text() -> None:
    """The fusion layers leave everything as it is at first, and are there to be trained."""
    model = RablipRetriever.from_blip2_itm(CHECKPOINT)
    before = model.encode_knowledge(**{name: ids[:3] for name, ids in TEXTS.items()}, pixel_values=PIXELS)
    generator = torch.Generator().manual_seed(0)
    for parameter in model.fusion.parameters():
        parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.3)
    after = model.encode_knowledge(**{name: ids[:3] for name, ids in TEXTS.items()}, pixel_values=PIXELS)
    swapped = model.encode_knowledge(**{name: ids[:3] for name, ids in TEXTS.items()}, pixel_values=PIXELS.flip(0))
    assert not torch.allclose(before[:, -1], after[:, -1], atol=1e-3)
    assert not torch.allclose(swapped[0, -1], after[0, -1], atol=1e-5), "the text's vector knows its picture"


def test_the_loss_reaches_every_part() -> None:
    model = RablipRetriever.from_blip2_itm(CHECKPOINT)
    texts = {name: ids[:3] for name, ids in TEXTS.items()}
    model(**texts, knowledge_pixel_values=PIXELS).loss.backward()
    for name in ("vision_projection", "text_projection", "query_tokens", "logit_scale", "qformer"):
        gradients = [parameter.grad for parameter in getattr(model, name).parameters()]
        assert any(gradient is not None and gradient.abs().sum() > 0 for gradient in gradients), name


@torch.no_grad()
def test_the_reranker_matches_as_blip2() -> None:
    reranker = RablipReranker.from_blip2_itm(CHECKPOINT)
    for row in range(3):
        pixels = PIXELS[row : row + 1].expand(4, -1, -1, -1, -1)
        logits = reranker(**TEXTS, pixel_values=pixels).relevance_logits
        expected = OUTPUTS["itm.logits"][row]
        torch.testing.assert_close(logits, expected[:, 1] - expected[:, 0], **TOLERANCE)
        relevance = reranker.predict_relevance(**TEXTS, pixel_values=pixels)
        torch.testing.assert_close(relevance, expected.softmax(dim=-1)[:, 1], **TOLERANCE)
    with pytest.raises(ValueError, match="Row 0 has no picture"):
        reranker(**TEXTS)
    with pytest.raises(ValueError, match="Row 2 has no picture"):
        mask = torch.tensor([[1], [1], [0]])
        reranker(**{name: ids[:3] for name, ids in TEXTS.items()}, pixel_values=PIXELS, image_mask=mask)


@pytest.mark.parametrize("model_class", [RablipRetriever, RablipReranker])
def test_saved_and_loaded_without_a_change(model_class: type, tmp_path: Path) -> None:
    model = model_class.from_blip2_itm(CHECKPOINT)
    model.save_pretrained(tmp_path)
    loaded = AutoModel.from_pretrained(tmp_path)
    assert type(loaded) is model_class and loaded.config.retrieval_config.vectors == "per_query"
    assert loaded.state_dict().keys() == model.state_dict().keys()
    assert all(torch.equal(value, model.state_dict()[key]) for key, value in loaded.state_dict().items())


def test_the_processor_prepares_what_blip2s_does(tmp_path: Path) -> None:
    make_blip2_processor(CHECKPOINT).save_pretrained(tmp_path)
    processor = RablipRetrieverProcessor.from_pretrained(tmp_path)
    captions = json.loads((CHECKPOINT.parent / "meta.json").read_text())["texts"]["captions"]
    batch = processor.process_questions([captions[0], captions[1], captions[3]])
    for name, ids in TEXTS.items():
        assert torch.equal(batch[name], ids[[0, 1, 3], : batch[name].shape[1]])
    pictures = [Image.fromarray(INPUTS[f"raw_image.{number}"].numpy()) for number in range(3)]
    captions = (None, "a dog", None)
    items = [
        KnowledgeItem(id=str(number), image=ImageRef(path="x.png"), caption=caption)
        for number, caption in enumerate(captions)
    ]
    prepared = processor.process_knowledge(items, pictures)
    torch.testing.assert_close(prepared["pixel_values"], PIXELS, atol=0, rtol=0)
    assert prepared["attention_mask"].sum(dim=1).tolist() == [0, 4, 0], "a picture without words has no text"


def test_no_text_is_longer_than_the_q_former_has_positions(retriever: RablipRetriever) -> None:
    processor = make_blip2_processor(CHECKPOINT)
    num_positions = retriever.config.qformer_config.max_position_embeddings
    item = KnowledgeItem(id="a", text="tower " * 400)
    batch = processor.process_pairs(["red " * 400], [item])
    assert batch["input_ids"].shape[1] <= num_positions
    with torch.no_grad():
        assert torch.isfinite(retriever.encode_knowledge(**processor.process_knowledge([item]))).all()


def test_what_cannot_be_converted_is_refused(tmp_path: Path) -> None:
    RablipRetrieverConfig().save_pretrained(tmp_path)
    with pytest.raises(TypeError, match="'blip-2'.*'rablip_retriever'"):
        RablipRetriever.from_blip2_itm(tmp_path)
    with pytest.raises(TypeError, match="'instructblip'.*'blip-2'"):
        RablipForConditionalGeneration.from_instructblip(CHECKPOINT)
    with pytest.raises(ValueError, match="reads no text"):
        configure_from_blip2(Blip2Config())


def test_full_size_has_the_keys_of_blip2() -> None:
    config = Blip2Config(
        qformer_config={"use_qformer_text_input": True, "vocab_size": 30523}, image_text_hidden_size=256
    )
    with torch.device("meta"):
        theirs = Blip2ForImageTextRetrieval(config).state_dict()
        ours = RablipRetriever(RablipRetrieverConfig(**configure_from_blip2(config))).state_dict()
    renamed = {}
    for key, value in theirs.items():
        key = key.replace("qformer.layernorm", "embeddings.layernorm")
        key = f"qformer.{key}" if key.startswith("embeddings.") else key
        renamed["query_tokens.weight" if key == "query_tokens" else key] = value.shape
    extra = {key for key in renamed if key.startswith("itm_head.")}
    assert {key: ours[key].shape for key in renamed.keys() - extra} == {
        key: shape for key, shape in renamed.items() if key not in extra
    }
    assert {key.split(".")[0] for key in ours.keys() - renamed.keys()} == set(MODULES_NEW_TO_BLIP2)
    assert sum(value.numel() for value in theirs.values()) > 1.1e9
