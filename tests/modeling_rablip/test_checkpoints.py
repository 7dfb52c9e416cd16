"""Saving, loading, warm starts and adapters: nothing is lost and nothing is guessed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoModelForImageTextToText

from rablip import RablipForConditionalGeneration, RablipReranker, RablipRetriever
from rablip.training import TRAINED_PARTS, add_lora
from tests.tiny import make_generator, make_reranker, make_retriever
from tests.tiny_inputs import generator_rows, join_generator_rows, join_trunk_rows, trunk_rows

# PEFT 0.21 asks transformers by a name that is deprecated there; nothing of ours does.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

MAKERS = {
    "retriever": make_retriever,
    "reranker": make_reranker,
    "generator-t5": lambda: make_generator("t5"),
    "generator-llama": lambda: make_generator("llama"),
}


@torch.no_grad()
def _run(model) -> torch.Tensor:
    if isinstance(model, RablipForConditionalGeneration) or isinstance(model, PeftModel):
        return model(**join_generator_rows(generator_rows())).relevance_logits
    output = model(**join_trunk_rows(trunk_rows()))
    return output.question_embeds if "question_embeds" in output else output.relevance_logits


@pytest.mark.parametrize("name", MAKERS)
def test_a_saved_model_is_the_same_when_loaded(name: str, tmp_path: Path) -> None:
    model = MAKERS[name]()
    model.save_pretrained(tmp_path)
    assert not list(tmp_path.glob("*.py")) and not list(tmp_path.glob("*.bin"))
    for loader in (type(model), AutoModel):
        loaded = loader.from_pretrained(tmp_path)
        assert type(loaded) is type(model)
        assert loaded.state_dict().keys() == model.state_dict().keys()
        assert torch.equal(_run(loaded.eval()), _run(model))
    for buffer_name, buffer in model.named_buffers():
        torch.testing.assert_close(loaded.get_buffer(buffer_name), buffer)


def test_the_generator_is_an_image_text_to_text_model(tmp_path: Path) -> None:
    make_generator("t5").save_pretrained(tmp_path)
    assert isinstance(AutoModelForImageTextToText.from_pretrained(tmp_path), RablipForConditionalGeneration)


def test_the_saved_dtype_comes_back(tmp_path: Path) -> None:
    make_retriever().to(torch.bfloat16).save_pretrained(tmp_path)
    assert RablipRetriever.from_pretrained(tmp_path).dtype == torch.bfloat16


def test_missing_unexpected_and_misshapen_weights_raise(tmp_path: Path) -> None:
    make_retriever().save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    weights = load_file(path)
    metadata = {"format": "pt"}
    cases = {
        "1 missing .*query_tokens.weight": {k: v for k, v in weights.items() if k != "query_tokens.weight"},
        "1 unexpected .*stray": {**weights, "stray": torch.zeros(1)},
    }
    for message, changed in cases.items():
        save_file(changed, path, metadata=metadata)
        with pytest.raises(ValueError, match=message):
            RablipRetriever.from_pretrained(tmp_path)
    save_file({**weights, "query_tokens.weight": torch.zeros(1, 9, 32)}, path, metadata=metadata)
    with pytest.raises(ValueError, match="1 mismatched .*query_tokens"):
        RablipRetriever.from_pretrained(tmp_path)


@pytest.mark.parametrize("keep", [0.5, 0.999, 10])
def test_a_truncated_checkpoint_is_named(keep: float, tmp_path: Path) -> None:
    make_reranker().save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep) if keep < 1 else int(keep)])
    with pytest.raises(OSError, match="truncated or damaged"):
        RablipReranker.from_pretrained(tmp_path)


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    model = make_reranker()
    model.config.save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(OSError):
        RablipReranker.from_pretrained(tmp_path)


def test_a_warm_start_copies_the_trunk_and_lists_what_is_new() -> None:
    retriever, reranker = make_retriever(seed=1), make_reranker(seed=2)
    new = reranker.load_trunk(retriever)
    assert {name.split(".")[0] for name in new} == {"relevance_head", "matching_head", "similarity_threshold"}
    for name, value in reranker.state_dict().items():
        assert name in new or torch.equal(value, retriever.state_dict()[name])
    with pytest.raises(ValueError, match="query_tokens.weight"):
        make_reranker(num_query_tokens=5).load_trunk(retriever)


@pytest.mark.parametrize("name", MAKERS)
def test_every_trainable_weight_belongs_to_a_module_that_modules_to_save_can_name(name: str) -> None:
    model = MAKERS[name]()
    bare = [parameter for parameter, _ in model.named_parameters() if "." not in parameter]
    assert not bare
    children = {child for child, _ in model.named_children()}
    assert {parameter.split(".")[0] for parameter, _ in model.named_parameters()} <= children


@pytest.mark.parametrize("name", ["retriever", "reranker"])
def test_a_peft_round_trip_keeps_every_trained_weight(name: str, tmp_path: Path) -> None:
    model = MAKERS[name]()
    parts = [child for child, _ in model.named_children() if child not in ("vision_model", "qformer")]
    config = LoraConfig(r=2, target_modules=r"qformer\..*\.(query|value)", modules_to_save=parts)
    adapted = get_peft_model(model, config)
    _check_round_trip(adapted, MAKERS[name](), tmp_path, run=lambda one: _run(one.base_model.model))


@pytest.mark.parametrize("language_model", ["t5", "llama"])
def test_lora_on_the_language_model_trains_the_right_parts_and_comes_back(language_model: str, tmp_path: Path) -> None:
    model = make_generator(language_model)
    adapted = add_lora(model, rank=2)
    trained = {name for name, parameter in adapted.named_parameters() if parameter.requires_grad}
    assert not any("vision_model" in name for name in trained)
    assert all("lora_" in name for name in trained if "language_model" in name)
    assert all(any(f".{part}." in name for name in trained) for part in TRAINED_PARTS)
    _check_round_trip(adapted, make_generator(language_model), tmp_path, run=_run)
    merged = adapted.merge_and_unload()
    assert isinstance(merged, RablipForConditionalGeneration)


def test_a_language_model_without_a_preset_is_refused_by_name() -> None:
    model = make_generator("t5")
    model.config.text_config.model_type = "strange"
    with pytest.raises(ValueError, match="strange"):
        add_lora(model)


def _check_round_trip(adapted: PeftModel, fresh, tmp_path: Path, *, run) -> None:
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.05)
    adapted.eval()
    adapted.save_pretrained(tmp_path)
    stored = load_file(tmp_path / "adapter_model.safetensors")
    trained = {name for name, parameter in adapted.named_parameters() if parameter.requires_grad}
    plain = {name.replace(".default", "").replace(".modules_to_save", "") for name in trained}
    assert plain == set(stored)
    loaded = PeftModel.from_pretrained(fresh, tmp_path).eval()
    for name, weight in adapted.state_dict().items():
        assert torch.equal(weight, loaded.state_dict()[name]), name
    # Equal weights at other addresses may take another kernel: the last bit is the machine's, not ours.
    expected = run(adapted)
    torch.testing.assert_close(run(loaded), expected, atol=1e-6, rtol=1e-6)
    with loaded.disable_adapter():
        assert (run(loaded) - expected).abs().max() > 1e-3
