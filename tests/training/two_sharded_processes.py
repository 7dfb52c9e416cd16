"""An adapter whose weights are spread over two processes, to be run by torchrun; `test_saving.py` starts it.

accelerate shards on GPUs and their like only, so torch's `fully_shard` is called here as accelerate calls it.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from safetensors.torch import save_file
from torch import distributed
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from transformers import Seq2SeqTrainingArguments

from rablip.processing import GeneratorCollator
from rablip.training import (
    GeneratorTrainer,
    QuestionRows,
    TrainingPool,
    add_lora,
    fit_generator,
    gather_trained,
    load_start,
    make_generator_row,
    save_trained,
)
from rablip.world import make_world


def take_step(model: Any, batch: Any) -> None:
    """One step of SGD on a batch, the same in every process."""
    torch.manual_seed(0)
    model.eval()  # no dropout, whose masks would differ with the shards
    model(**batch).loss.backward()
    torch.optim.SGD([value for value in model.parameters() if value.requires_grad], lr=0.1).step()


def main() -> None:
    """Two processes train a generator in shards; the first one saves it whole, beside one that never was in shards."""
    folder, bundle = map(Path, sys.argv[1:])
    world = make_world(5, 10, split="validation")
    pool = TrainingPool(items={item.id: item for item in world.items}, examples=list(world.questions)[:10])
    load = partial(load_start, "generator", bundle)
    start = load()
    make_row = partial(make_generator_row, max_candidates=3, max_pictures=start.processor.max_images)
    rows = QuestionRows(pool, make_row, seed=0)
    arguments = Seq2SeqTrainingArguments(str(folder / "run"), use_cpu=True, report_to="none")
    rank, mesh = arguments.process_index, init_device_mesh("cpu", (2,))
    batch = GeneratorCollator(start.processor, generator=None)([rows[place] for place in range(4)])

    start.model.freeze_vision_tower()
    torch.manual_seed(1)
    adapted = add_lora(start.model, rank=2)
    language_model = start.model.language_model
    for block in [*language_model.encoder.block, *language_model.decoder.block]:
        fully_shard(block, mesh=mesh)
    fully_shard(adapted, mesh=mesh)
    take_step(adapted, batch)
    assert any(isinstance(value, DTensor) for value in adapted.parameters())
    trainer = GeneratorTrainer(model=adapted, args=arguments, processing_class=start.processor)
    trainer.is_fsdp_enabled = True
    plugin = SimpleNamespace(state_dict_type="SHARDED_STATE_DICT")
    plugin.set_state_dict_type = partial(setattr, plugin, "state_dict_type")
    trainer.accelerator.state.fsdp_plugin = plugin
    options = StateDictOptions(full_state_dict=True, broadcast_from_rank0=True, cpu_offload=True)
    trainer.accelerator.get_state_dict = lambda model: get_model_state_dict(model, options=options)

    whole = gather_trained(trainer, reload=load)
    assert (whole is None) == (rank > 0)
    if whole is not None:
        fitted = fit_generator(whole, start.processor, pool, seed=0, num_batches=1, num_rows=4)
        save_trained(whole, start, folder / "out", fitted=fitted)
        reference = load().model
        reference.freeze_vision_tower()
        torch.manual_seed(1)
        reference = add_lora(reference, rank=2)
        take_step(reference, batch)
        weights = {name: value.detach() for name, value in reference.merge_and_unload().state_dict().items()}
        save_file({name: value.contiguous().clone() for name, value in weights.items()}, folder / "whole.safetensors")
    distributed.barrier()


if __name__ == "__main__":
    main()
