"""What a stage has trained, whole and on disk, so that it loads as it is: also with adapters, also from shards."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from peft import PeftModel
from peft.utils import CONFIG_NAME, SAFETENSORS_WEIGHTS_NAME

from ..fusion.pretraining import FusionPretraining
from ..trainers.stage_trainer import StageTrainer
from .adapters import SUMMARY_NAME, load_adapter
from .loading import StartingPoint

_GATHERED = "gathered"


def save_trained(
    trained: Any,
    start: StartingPoint,
    out: str | Path,
    *,
    fitted: Mapping[str, float] | None = None,
    summary: Mapping[str, Any] | None = None,
) -> Any:
    """Save what a stage has trained with its processor, and what was fitted where `merge_adapter` reads it.

    An adapter is saved as such where the model that it began with is on disk: `rablip merge` or `merge_adapter` make a
    plain model of the two. Where that model was put together for this run (from one of another class, or with more
    image slots) the adapter is merged and a plain model is saved. Of fusion pre-training a re-ranker is saved.

    Args:
        trained: the trained model, with or without adapters, whole (`gather_trained`).
        start: what training began with.
        out: the folder to write.
        fitted: temperature and thresholds that `fit_reranker` or `fit_generator` give; the configuration has them, but
            an adapter has none.
        summary: what else `training.json` says.

    Returns:
        The model that was saved, to be saved again once more is known: merged where that was necessary.

    Example (after `trainer.train()`, in the first process):
        `save_trained(trained, start, "my_adapter", fitted=fit_reranker(trained, start.processor, validation))`
    """
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(trained, PeftModel) and start.new_weights is not None:
        trained = trained.merge_and_unload()
    saved = trained.to_reranker() if isinstance(trained, FusionPretraining) else trained
    saved.save_pretrained(folder)
    start.processor.save_pretrained(folder)
    if not isinstance(trained, PeftModel):
        # Of an earlier run into this folder; with them it would load as that run's adapter.
        for name in (CONFIG_NAME, SAFETENSORS_WEIGHTS_NAME):
            (folder / name).unlink(missing_ok=True)
    facts = {**(summary or {}), **({} if fitted is None else {"fitted": dict(fitted)})}
    (folder / SUMMARY_NAME).write_text(json.dumps(facts, indent=2, default=str) + "\n", encoding="utf-8")
    return trained


def gather_trained(trainer: StageTrainer, *, reload: Callable[[], StartingPoint]) -> Any | None:
    """The model that a trainer has trained, whole: every process has to come here, and the first one gets it.

    Where FSDP has spread the weights over the processes, no process can use or save the model alone: the shards are
    brought together on disk, and a plain model is loaded from there.

    Args:
        trainer: after `train` and `evaluate`.
        reload: gives once more what training began with, as `load_start` did; called where the weights are spread.

    Returns:
        The model in evaluation mode, with its adapters where it has some, on the device of the run; None in all
        processes but the first.
    """
    if not trainer.is_fsdp_enabled:
        model = trainer.accelerator.unwrap_model(trainer.model)
        return model.eval() if trainer.is_world_process_zero() else None
    folder = Path(trainer.args.output_dir or ".") / _GATHERED
    # Anything else that accelerate may be set to leaves each process with its own part.
    trainer.accelerator.state.fsdp_plugin.set_state_dict_type("FULL_STATE_DICT")
    trainer.save_model(str(folder))
    if not trainer.is_world_process_zero():
        return None
    base = reload().model
    if (folder / CONFIG_NAME).is_file():
        model = load_adapter(base, folder)
    else:
        options = {"captioning": base.captioning} if isinstance(base, FusionPretraining) else {}
        model = type(base).from_pretrained(folder, **options)
    shutil.rmtree(folder)
    return model.to(trainer.args.device).eval()


__all__ = ["gather_trained", "save_trained"]
