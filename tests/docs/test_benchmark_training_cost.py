"""The cost benchmark measures what it says: its loop is the release's, its arms differ only where they claim to."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig

from rablip import RablipForConditionalGeneration
from rablip.modeling_rablip.conversion_official_rablip import configure_from_official
from rablip.training.features.cache import FeatureCache

# peft asks for it
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

ROOT = Path(__file__).parent.parent.parent
GOLDEN = ROOT / "tests" / "fixtures" / "golden" / "rablip-official-tiny"
BATCH_SIZE = 2

# The benchmark's files import each other as scripts in one folder do.
sys.path.insert(0, str(ROOT / "examples" / "benchmarks"))
import cost_arms  # noqa: E402
import cost_measures  # noqa: E402
import cost_report  # noqa: E402
import cost_setup  # noqa: E402
import release_loop  # noqa: E402
import training_cost  # noqa: E402


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("pictures")
    return cost_setup.CostData(cost_setup.DIMS["tiny"], seed=3, folder=folder, num_batches=2, batch_size=BATCH_SIZE)


@pytest.fixture(scope="module")
def make(data: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Makes an arm; the cache is stored in fp32, so that nothing is lost in it."""
    owner = cost_arms.make_tower_owner(data, seed=0, dtype=torch.float32)
    processor = cost_setup.make_image_processor(data.dims)
    folder = tmp_path_factory.mktemp("features")
    cache = FeatureCache.open(folder, model=owner, image_processor=processor, dtype=torch.float32)
    cache.build(data.pictures, progress=False)
    features = cache.view(data.pictures)

    def make_one(name: str, **options: Any) -> Any:
        return cost_arms.make_arm(name, data, seed=0, features=features, **options)

    return make_one


def golden_loop(**options: Any) -> tuple[Any, Any, dict[str, torch.Tensor]]:
    """The loop with the release's tiny weights, the batch that the release was given, and what it gave."""
    inputs, outputs = (load_file(GOLDEN / f"{side}.safetensors") for side in ("inputs", "outputs"))
    state = load_file(GOLDEN / "checkpoint" / "model_state.safetensors")
    config = configure_from_official(
        state,
        qformer_config=json.loads((GOLDEN / "bert-base-uncased" / "config.json").read_text()),
        text_config=AutoConfig.from_pretrained(GOLDEN / "flan-t5"),
        image_token_index=400,
        num_vision_heads=4,
    )
    model = RablipForConditionalGeneration.from_official_state_dict(state, config, dtype=torch.float32)

    def texts(step: str) -> Any:
        return release_loop.ReleaseTexts(
            instruction=inputs[f"{step}.qformer_input_ids"],
            instruction_mask=inputs[f"{step}.qformer_attention_mask"],
            prompt=inputs[f"{step}.t5_input_ids"],
            prompt_mask=inputs[f"{step}.t5_attention_mask"],
            labels=inputs[f"{step}.labels"],
            labels_mask=inputs[f"{step}.decoder_attention_mask"],
        )

    shown = outputs["askg.image_attention_mask"].unflatten(1, (2, -1))[:, :, 0].argmax(dim=1)
    batch = release_loop.ReleaseBatch(
        images=inputs["image"],
        num_images=inputs["valid_image_num"].tolist(),
        askg_images=torch.stack([inputs["askg.image_pos"], inputs["askg.image_neg"]], dim=1),
        askg_shown=shown.tolist(),
        qa=texts("qa"),
        askg=texts("askg"),
    )
    return release_loop.ReleaseLoop(model, **options).eval(), batch, outputs


def take_row(batch: Any, row: int) -> Any:
    """One row of a batch without its padding."""

    def texts(given: Any) -> Any:
        cut = {}
        for name in ("instruction", "prompt", "labels"):
            kept = getattr(given, f"{name}_mask")[row].bool()
            cut[name] = getattr(given, name)[row : row + 1, kept]
            cut[f"{name}_mask"] = torch.ones_like(cut[name])
        return release_loop.ReleaseTexts(**cut)

    return release_loop.ReleaseBatch(
        images=batch.images[row : row + 1],
        num_images=batch.num_images[row : row + 1],
        askg_images=batch.askg_images[row : row + 1],
        askg_shown=batch.askg_shown[row : row + 1],
        qa=texts(batch.qa),
        askg=texts(batch.askg),
    )


def test_the_loop_has_the_losses_and_gradients_of_the_release() -> None:
    loop, batch, expected = golden_loop(language_dtype=torch.float32)
    qa_loss, askg_loss = loop(batch)
    torch.testing.assert_close(qa_loss.reshape(1), expected["qa.loss"], atol=1e-4, rtol=0)
    torch.testing.assert_close(askg_loss.reshape(1), expected["askg.loss"], atol=1e-4, rtol=0)
    total = qa_loss + release_loop.ASKG_LOSS_WEIGHT * askg_loss
    torch.testing.assert_close(total.reshape(1), expected["total_loss"], atol=1e-4, rtol=0)
    total.backward()
    slots = loop.image_slots
    for name, parameter in {
        "t5_proj.weight": loop.language_projection.weight,
        "ln_vision.weight": loop.vision_model.post_layernorm.weight,
        "pos_embeds": slots.position_embeddings.weight,
        "type_embeds": slots.slot_embeddings.weight,
        "query_tokens": loop.query_tokens.weight,
    }.items():
        wanted = expected[f"grad.{name}"].reshape(parameter.shape)
        torch.testing.assert_close(parameter.grad, wanted, atol=2e-3 * float(wanted.abs().max()), rtol=0)


def test_the_loop_has_the_release_s_precisions_and_frozen_parts() -> None:
    loop, batch, _ = golden_loop()
    assert {parameter.dtype for parameter in loop.language_model.parameters()} == {torch.bfloat16}
    assert {parameter.dtype for parameter in loop.qformer.parameters()} == {torch.float32}
    learns = {name for name, parameter in loop.named_parameters() if parameter.requires_grad}
    frozen = {name for name, _ in loop.named_parameters()} - learns
    assert {name for name in learns if name.startswith("vision_model.")} == {
        "vision_model.post_layernorm.weight",
        "vision_model.post_layernorm.bias",
    }
    assert all(name.startswith(("vision_model.", "language_model.")) for name in frozen)
    assert loop.train().qformer.training and not loop.vision_model.training
    single = golden_loop(language_dtype=torch.float32)[0]
    row = take_row(batch, 0)
    with torch.no_grad():
        for half, full in zip(loop.eval()(row), single(row), strict=True):
            assert half.dtype == torch.bfloat16 and (half - full).abs() < 0.1
    with pytest.raises(ValueError, match="two picture slots"):
        release_loop.ReleaseLoop(
            SimpleNamespace(
                config=SimpleNamespace(
                    max_images=3, is_encoder_decoder=True, text_config=SimpleNamespace(model_type="t5")
                )
            )
        )


@pytest.mark.parametrize(
    ("name", "calls"),
    [
        ("release", (4, 4 * BATCH_SIZE, 2, 2)),
        ("release_fp32", (4, 4 * BATCH_SIZE, 2, 2)),
        ("cache_off", (1, 2 * BATCH_SIZE, 1, 2)),
        ("cache_on", (0, 0, 1, 2)),
        ("cache_on_one_pass", (0, 0, 1, 1)),
        ("cache_on_lora", (0, 0, 1, 2)),
    ],
)
def test_calls_of_a_step(make: Callable[..., Any], name: str, calls: tuple[int, ...]) -> None:
    found = cost_measures.count_calls(make(name))
    parts = ("vision_calls", "pictures_encoded", "qformer_calls", "language_model_calls")
    assert found == dict(zip(parts, calls, strict=True))


def test_the_cache_changes_no_loss(make: Callable[..., Any]) -> None:
    """Nor does LoRA before its first step; other pictures do."""
    arms = {name: make(name) for name in ("cache_off", "cache_on", "cache_on_lora")}
    losses = {}
    for name, arm in arms.items():
        arm.model.eval()
        losses[name] = [torch.stack(arm.losses(number)) for number in (0, 1)]
    for number in (0, 1):
        torch.testing.assert_close(losses["cache_on"][number], losses["cache_off"][number], atol=1e-6, rtol=0)
        torch.testing.assert_close(losses["cache_on_lora"][number], losses["cache_on"][number], atol=1e-6, rtol=0)
    assert (losses["cache_on"][0] - losses["cache_on"][1]).abs().min() > 1e-3


@pytest.mark.parametrize("name", list(cost_arms.ARMS))
def test_a_step_trains_what_is_not_frozen(make: Callable[..., Any], name: str) -> None:
    arm = make(name)
    before = {key: parameter.detach().clone() for key, parameter in arm.model.named_parameters()}
    # Zeroed gates hide what lies behind them from the first gradients.
    losses = [arm.step(number) for number in range(3)]
    assert all(map(math.isfinite, losses))
    changed = {key for key, parameter in arm.model.named_parameters() if not torch.equal(before[key], parameter)}
    learns = {key for key, parameter in arm.model.named_parameters() if parameter.requires_grad}
    assert changed and changed <= learns
    assert any("qformer" in key for key in changed) and any("language_projection" in key for key in changed)
    assert any("lora_B" in key for key in changed) == (name == "cache_on_lora")
    assert any("post_layernorm" in key for key in changed) == name.startswith("release")


def test_a_step_in_bf16(make: Callable[..., Any]) -> None:
    """As on a GPU: frozen parts in bf16, the rest in fp32 under autocast; close to fp32."""
    half, full = make("cache_off", dtype=torch.bfloat16), make("cache_off")
    assert next(half.parts["language_model"].parameters()).dtype == torch.bfloat16
    assert {parameter.dtype for parameter in half.trained} == {torch.float32}
    half.model.eval()
    full.model.eval()
    with torch.no_grad():
        assert (half.losses(0)[0] - full.losses(0)[0]).abs() < 0.1
    half.model.train()
    assert math.isfinite(half.step(0)) and all(parameter.isfinite().all() for parameter in half.trained)


def test_saved_bytes_and_flops_of_a_known_layer() -> None:
    layer = torch.nn.Linear(4, 8, bias=False)
    shown = torch.randn(3, 4)
    arm = cost_arms.Arm(
        name="known",
        model=layer,
        parts={"layer": layer},
        # The first loss is of a part of the graph that goes at once, and with it what was kept for it.
        losses=lambda number: (layer(shown).exp().detach().sum(), layer(shown).pow(2).sum()),
        step=lambda number: 0.0,
        optimizer=torch.optim.SGD(layer.parameters()),
    )
    # The input, for the weight's gradient, and the output, for that of the square; the weight itself is not counted.
    assert cost_measures.count_saved_bytes(arm) == 4 * (3 * 4 + 3 * 8)
    product = 2 * 3 * 4 * 8
    assert cost_measures.count_flops(arm)["backward"] == product
    assert cost_measures.count_flops(arm)["total"] == 3 * product


def test_memory_of_an_arm(make: Callable[..., Any]) -> None:
    measured = cost_measures.measure_memory(lambda: make("cache_on"), steps=1)
    arm = make("cache_on")
    assert measured["weights"] == round(sum(parameter.nbytes for parameter in arm.model.parameters()) / 1e6, 1)
    assert measured["trained_parameters"] == sum(parameter.numel() for parameter in arm.trained)
    # AdamW has two states for each weight (and a count of steps).
    assert measured["optimizer_states"] == pytest.approx(2 * measured["gradients"], abs=0.11)
    assert measured["training_peak"] >= measured["weights"] and measured["saved_for_backward"] > 0
    saved = {name: cost_measures.count_saved_bytes(make(name)) for name in ("cache_off", "cache_on")}
    assert 0 < saved["cache_on"] == saved["cache_off"]  # nothing of the frozen tower is kept for the backward pass


def test_operations_are_counted_without_weights(make: Callable[..., Any]) -> None:
    on_meta = cost_measures.count_flops_on_meta("tiny", batch_size=BATCH_SIZE, seed=0)
    for name in ("release", "cache_off", "cache_on"):
        counted = cost_measures.count_flops(make("release_fp32" if name == "release" else name))
        assert on_meta["flops"][name] == counted, name
    parts = {name: on_meta["flops"][name]["language_model"] for name in ("release", "cache_on")}
    assert parts["release"] == parts["cache_on"] > 0  # prompts of the same length
    vision = on_meta["flops"]["release"]["vision"]
    assert on_meta["flops"]["cache_off"]["vision"] * 2 == vision > 0 == on_meta["flops"]["cache_on"]["vision"]


@pytest.mark.slow
def test_full_size_is_built_and_counted() -> None:
    """ViT-g, Q-Former and Flan-T5-XL on the meta device."""
    at_full = cost_measures.count_flops_on_meta("full", batch_size=2, seed=0)
    # ViT-g needs about 0.52 TFLOP for a picture of 257 tokens; four passes over two rows are eight pictures.
    assert at_full["flops"]["release"]["vision"] / 8 == pytest.approx(0.52e12, rel=0.03)
    assert at_full["release_over"]["cache_on"] > at_full["release_over"]["cache_off"] > 1


def test_full_size_is_refused_on_a_cpu(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, message in (
        (["--dims", "full"], "--device cuda"),
        (["--rounds", "0"], "--rounds must be at least 1, got 0"),
    ):
        with pytest.raises(SystemExit) as ended:
            training_cost.parse_arguments(arguments)
        assert ended.value.code == 2 and message in capsys.readouterr().err


def test_half_precision_is_chosen_where_it_is_faster() -> None:
    rates = {"float32_forward": 2.0, "float32_backward": 2.0, "bfloat16_forward": 3.0, "bfloat16_backward": 1.0}
    assert training_cost.choose_dtype("cpu", rates) == torch.float32
    assert training_cost.choose_dtype("cpu", rates | {"bfloat16_backward": 3.0}) == torch.bfloat16


def test_the_whole_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "figures.json"
    training_cost.main(["--dims", "tiny", "--rounds", "3", "--steps", "1", "--no-memory", "--out", str(out)])
    table = capsys.readouterr().out
    report = json.loads(out.read_text())
    assert list(report["arms"]) == list(cost_arms.ARMS) and all(name in table for name in cost_arms.ARMS)
    for name, arm in report["arms"].items():
        assert len(arm["rounds"]) == 3 and all(row["steps"] == 1 for row in arm["rounds"])
        ratios = [
            theirs["cpu_seconds"] / own["cpu_seconds"]
            for theirs, own in zip(report["arms"]["release"]["rounds"], arm["rounds"], strict=True)
        ]
        assert arm["speed_over_release"]["median"] == pytest.approx(sorted(ratios)[1], abs=1e-4), name
        assert arm["seconds_per_step"]["low"] <= arm["seconds_per_step"]["median"] <= arm["seconds_per_step"]["high"]
    assert report["arms"]["release"]["speed_over_release"] == {"median": 1.0, "low": 1.0, "high": 1.0}
    assert [report["arms"][name]["calls_per_step"]["vision_calls"] for name in cost_arms.ARMS] == [4, 4, 1, 0, 0, 0]
    assert len(report["cache"]["builds"]) == 3 and report["seed"] == 0
    assert report["command"].endswith(
        f"examples/benchmarks/training_cost.py --dims tiny --rounds 3 --steps 1 --no-memory --out {out}"
    )


def test_cache_is_paid_for_when_its_cost_is_saved() -> None:
    """A picture costs 3 s, an example has two, a step two examples and saves 4 s: three epochs."""
    times = {"cache_off": 6.0, "cache_on": 2.0, "release": 8.0}
    arms = {
        name: {
            "what": name,
            "flops_per_step": {"total": 10},
            "calls_per_step": {},
            "rounds": [{"steps": 1, "seconds": 2 * value, "cpu_seconds": value}] * 2,
            "memory_megabytes": {"training_peak": 50 * value, "peak_above_construction": 1, "saved_for_backward": 1},
        }
        for name, value in times.items()
    }
    report = cost_report.make_report(
        arms,
        options=argparse.Namespace(device="cpu", seed=0, rounds=2, dims="tiny", batch_size=2),
        command="",
        machine={},
        precision="float32",
        data=SimpleNamespace(dims=cost_setup.DIMS["tiny"], tokens_per_step=12),
        builds=[{"cpu_seconds": 3.0, "seconds": 9.0}],
        at_full=None,
    )
    assert report["cache"]["paid_for_after_epochs"] == {"over_cache_off": 3.0, "over_release": 2.0}
    assert report["arms"]["cache_on"]["tokens_per_second"]["median"] == 6.0
    found = report["goal"]["found"]
    assert found["cache_on over release"]["speed"] == 4.0 and found["cache_on over release"]["speed_reached"]
    assert found["cache_on over release"]["memory_training_peak"] == 0.25
    assert found["cache_on over release"]["memory_reached"]
    assert (
        not found["cache_off over release"]["memory_reached"] and not found["cache_off over release"]["speed_reached"]
    )
