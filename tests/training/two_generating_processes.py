"""A generator in shards of two processes answers, to be run by torchrun; `test_sharded_generation.py` starts it."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from transformers import Seq2SeqTrainingArguments

from rablip.training import AnswerMetrics, GeneratorTrainer, add_lora, widen_trained
from tests.processing.tiny_tokenizers import make_processor
from tests.training.stage_inputs import collator, generator_model, generator_rows
from tests.training.tiny_pool import make_pool

NUM_ROWS, NEW_TOKENS = 7, 4


def make_model(processor: Any, language_model: str, *, lora: bool, narrow: bool) -> Any:
    """A generator, with random adapters, or stored in half precision, if so asked."""
    model = generator_model(processor, language_model)
    if narrow:
        model.freeze_language_model()
        model = model.to(torch.bfloat16)
    if not lora:
        return model.eval()
    model = add_lora(model, rank=2)
    generator = torch.Generator().manual_seed(0)
    for name, value in model.named_parameters():
        if "lora_B" in name:
            value.data.copy_(torch.randn(value.shape, generator=generator))
    return model.eval()


def shard(model: Any, language_model: str, mesh: Any) -> None:
    """Spread a model over the mesh as accelerate would: block by block, words and head, and what is left."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    if language_model == "t5":
        # T5's words are tied to both of its stacks, so they stay in the group of what is left.
        groups = [*inner.language_model.encoder.block, *inner.language_model.decoder.block]
    else:
        groups = [*inner.language_model.model.layers, [inner.get_input_embeddings(), inner.get_output_embeddings()]]
    for part in (*groups, model):
        # Of itself torch keeps what is outside the blocks after a forward pass, and drops it after a training step.
        fully_shard(part, mesh=mesh, reshard_after_forward=True)


def check(language_model: str, folder: Path, mesh: Any, *, lora: bool, narrow: bool) -> None:
    """Answers and relevance of shards are those of the whole model."""
    pool, processor = make_pool(), make_processor(language_model, max_images=3)
    rows, collate = generator_rows(pool, processor, shuffle=False), collator(pool, processor)
    rows.examples = rows.examples[:NUM_ROWS]
    make = partial(make_model, processor, language_model, lora=lora, narrow=narrow)
    whole = make()
    widen_trained(whole)
    batch = collate([rows[place] for place in range(NUM_ROWS)])
    prompts = {name: value for name, value in batch.items() if "label" not in name}
    expected = whole.predict_relevance(**prompts)
    model = make()
    widen_trained(model)
    shard(model, language_model, mesh)
    assert all(isinstance(value, DTensor) for value in model.parameters())
    arguments = Seq2SeqTrainingArguments(
        str(folder),
        use_cpu=True,
        per_device_eval_batch_size=2,
        predict_with_generate=True,
        report_to="none",
    )
    answers = []
    for one in (whole, model):
        trainer = GeneratorTrainer(
            model=one,
            args=arguments,
            eval_dataset=rows,
            data_collator=collate,
            processing_class=processor,
            compute_metrics=AnswerMetrics(processor),
        )
        for _ in range(2):  # the second time, hooks are there already
            measured = trainer.evaluate(max_new_tokens=NEW_TOKENS)
            assert "eval_exact_match" in measured and np.isfinite(measured["eval_loss"])
        predicted = trainer.predict(rows, max_new_tokens=NEW_TOKENS)
        answers.append((predicted.predictions[0], measured["eval_loss"]))  # type: ignore[index]
    np.testing.assert_array_equal(answers[0][0], answers[1][0])
    np.testing.assert_allclose(answers[0][1], answers[1][1], rtol=1e-5)
    torch.testing.assert_close(model.predict_relevance(**prompts), expected)
    if narrow:
        late = make()
        shard(late, language_model, mesh)
        try:
            GeneratorTrainer(model=late, args=arguments)
        except ValueError as error:
            assert "`widen_trained` before `fully_shard`" in str(error)
        else:
            raise AssertionError("half-precision shards are trained in half precision")


def main() -> None:
    """Every case in both processes."""
    folder = Path(sys.argv[1])
    rank = Seq2SeqTrainingArguments(str(folder), use_cpu=True, report_to="none").process_index
    mesh = init_device_mesh("cpu", (2,))
    for language_model, lora, narrow in (
        ("t5", False, False),
        ("t5", True, True),
        ("llama", False, True),
        ("llama", True, False),
    ):
        check(language_model, folder, mesh, lora=lora, narrow=narrow)
    (folder / f"done-{rank}").touch()


if __name__ == "__main__":
    main()
