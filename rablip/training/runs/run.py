"""One whole run of a stage, from folders to a saved model: what `rablip train` calls, and a model for own scripts."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import torch
from transformers import EarlyStoppingCallback, Seq2SeqTrainingArguments
from transformers.utils import logging

from ...processing.knowledge_rablip import KnowledgeItem
from ...processing.readers_sources import open_source, source_root
from ..data.pools import TrainingPool
from ..data.sources import VALIDATION_NAME, WORLD_NAME, read_pool, split_pool
from ..features.building import build_features
from .adapters import SUMMARY_NAME, add_lora
from .identity import claim_checkpoints, describe_run
from .loading import StartingPoint, load_start
from .presets import Stage, choose_learning_rate, make_arguments
from .processes import compute_once
from .saving import gather_trained, save_trained
from .settings import RunSettings
from .stage_parts import PREPARE

logger = logging.get_logger(__name__)

# Where things lie on this machine; what is saved may be published.
_PLACES = ("feature_cache", "index", "retriever", "validation")


def run_training(
    stage: Stage, data: str | Path, model: str | Path, out: str | Path, settings: RunSettings | None = None
) -> dict[str, Any]:
    """Train one stage on a folder of questions and save the model, its processor and what was measured.

    Args:
        stage: "fusion", "retriever", "reranker" or "generator".
        data: the folder (`read_pool`); fusion pre-training reads its knowledge items only.
        model: what to start from (`load_start`).
        out: the model folder to write; checkpoints go to its `checkpoints/`, so that an interrupted run goes on. With
            LoRA it holds the adapter (`rablip merge` makes a plain model of it), unless the model had new weights.
        settings: how.

    Returns:
        `dict`: the stage, its figures on validation questions, and what was fitted; also in `training.json`.

    Raises:
        FileNotFoundError, ValueError: data, model and settings do not fit together; says what to change.
    """
    settings = RunSettings() if settings is None else settings
    out = Path(out)

    def load() -> StartingPoint:
        return load_start(
            stage,
            model,
            from_scratch=settings.from_scratch,
            seed=settings.seed,
            max_images=settings.max_images,
            **({"captioning": settings.captioning} if stage == "fusion" else {}),
        )

    start = load()
    _freeze(stage, start.model, settings)
    learning_rate = settings.learning_rate or choose_learning_rate(stage, start.model, lora=bool(settings.lora))
    # The processes meet and choose their devices here, before anything is computed.
    arguments = _make_arguments(stage, out, learning_rate, settings)
    pool, validation = read_item_pools(data, settings) if stage == "fusion" else read_pools(data, settings)
    checkpoint = compute_once(
        lambda: claim_checkpoints(
            out / "checkpoints",
            describe_run(stage, start, pool, validation, settings, model, learning_rate=learning_rate),
            resume=settings.resume,
        )
    )
    if settings.feature_cache is not None:
        pool, validation = _add_features(settings.feature_cache, start, pool, validation)
    parts = PREPARE[stage](start, pool, validation, settings, model)
    trained = add_lora(start.model, parts=settings.lora, rank=settings.lora_rank) if settings.lora else start.model
    num_trainable = sum(value.numel() for value in trained.parameters() if value.requires_grad)
    callbacks = [] if settings.patience is None else [EarlyStoppingCallback(settings.patience)]
    trainer = parts.trainer_class(
        model=trained,
        args=arguments,
        train_dataset=parts.train_dataset,
        eval_dataset=parts.eval_dataset,
        data_collator=parts.collator,
        processing_class=start.processor,
        callbacks=callbacks,
        **parts.trainer_options,
    )
    result = trainer.train(resume_from_checkpoint=checkpoint)
    summary: dict[str, Any] = {
        "stage": stage,
        "steps": int(trainer.state.global_step),
        "train_loss": float(result.training_loss),
        "trainable_parameters": num_trainable,
        "validation": {key: value for key, value in trainer.evaluate().items() if isinstance(value, (int, float))},
        "settings": {key: value for key, value in dataclasses.asdict(settings).items() if key not in _PLACES},
    }
    ended_before = checkpoint is not None and checkpoint.endswith(f"-{trainer.state.global_step}")
    if ended_before:
        logger.warning(
            "This run had ended before, with %s: nothing was trained, the model is measured and saved again. To train "
            "it anew, give another --out, or --no-resume.",
            checkpoint,
        )
    whole = gather_trained(trainer, reload=load)
    if whole is not None:
        if ended_before:
            # Of no step at all it would be 0.
            summary["train_loss"] = _read_train_loss(out)
        # Saved before anything is fitted, which may find that the validation data do not suffice.
        whole = save_trained(whole, start, out, summary=summary)
        summary["fitted"] = parts.finish(whole.eval())
        save_trained(whole, start, out, summary=summary)
    return summary


def _make_arguments(stage: Stage, out: Path, learning_rate: float, settings: RunSettings) -> Seq2SeqTrainingArguments:
    fields: dict[str, Any] = {
        # Without it, processes that work on CPUs would not see each other, and all of them do all the work.
        "use_cpu": not torch.accelerator.is_available(),
        "bf16": settings.bf16,
        "dataloader_num_workers": settings.workers,
        **(_checkpoint_activations() if settings.gradient_checkpointing else {}),
        **settings.arguments,
    }
    return make_arguments(
        stage,
        out / "checkpoints",
        learning_rate=learning_rate,
        seed=settings.seed,
        num_epochs=settings.num_epochs,
        max_steps=settings.max_steps,
        batch_size=settings.batch_size,
        accumulate=settings.accumulate,
        eval_steps=settings.eval_steps,
        report_to=settings.report_to,
        **fields,
    )


def _checkpoint_activations() -> dict[str, Any]:
    """Of TrainingArguments, under the name that this version of transformers has for it."""
    names = {field.name for field in dataclasses.fields(Seq2SeqTrainingArguments)}
    name = "activation_checkpointing" if "activation_checkpointing" in names else "gradient_checkpointing"
    # The reentrant kind gives no gradients where a block's inputs need none, as above a frozen vision tower.
    return {name: True, f"{name}_kwargs": {"use_reentrant": False}}


def _read_train_loss(out: Path) -> float | None:
    """What the run said when it trained; None where it was stopped before it said anything."""
    file = out / SUMMARY_NAME
    return json.loads(file.read_text(encoding="utf-8")).get("train_loss") if file.is_file() else None


def read_pools(data: str | Path, settings: RunSettings) -> tuple[TrainingPool, TrainingPool]:
    """The training pool of a folder, and the one that is validated on."""
    given = settings.validation
    if given is None and (Path(data) / VALIDATION_NAME).is_file():
        given = Path(data) / VALIDATION_NAME
    pool = read_pool(data)
    if given is None:
        return split_pool(pool, settings.validation_share, seed=settings.seed)
    validation = read_pool(given) if Path(given).is_dir() else read_pool(data, questions=given)
    shared = {example.id for example in pool.examples} & {example.id for example in validation.examples}
    if shared:
        raise ValueError(
            f"{len(shared)} questions of {given} are also trained on, such as {min(shared)!r}: figures on them would "
            "say nothing. Leave them out of one of the two, or give them other ids."
        )
    return pool, validation


def read_item_pools(data: str | Path, settings: RunSettings) -> tuple[TrainingPool, TrainingPool]:
    """A folder's knowledge items twice, without questions: fusion pre-training parts its pictures itself."""
    if settings.validation is not None:
        raise ValueError(
            f"Got the validation questions {settings.validation}, but fusion pre-training looks at no questions: a "
            "share of the pictures is held out. Leave them out; `validation_share` says how many pictures."
        )
    if (Path(data) / WORLD_NAME).is_file():
        pool = dataclasses.replace(read_pool(data), examples=[])
    else:
        items: dict[str, KnowledgeItem] = {}
        for item in open_source(data):
            if item.id in items:
                raise ValueError(f"The knowledge item {item.id!r} is there twice. Give every item an id of its own.")
            items[item.id] = item
        pool = TrainingPool(items=items, examples=[], root=source_root(data))
    return pool, pool


def _freeze(stage: Stage, model: Any, settings: RunSettings) -> None:
    model.requires_grad_(True)
    if stage == "fusion":
        model.freeze_unused()
    # Random weights that never learn would show and say nothing.
    model.vision_model.requires_grad_(settings.from_scratch)
    if stage == "generator":
        model.language_model.requires_grad_(settings.from_scratch)
    if settings.from_scratch and settings.feature_cache is not None:
        raise ValueError(
            "From scratch the vision tower is trained, so its features change in every step and cannot be cached. "
            "Leave out the feature cache, or start from a trained checkpoint."
        )


def _add_features(
    folder: str | Path, start: StartingPoint, pool: TrainingPool, validation: TrainingPool
) -> tuple[TrainingPool, TrainingPool]:
    filled = []
    for one in (pool, validation):
        pictures = one.pictures()
        cache, report = build_features(
            folder, pictures, model=start.model, image_processor=start.processor.image_processor, root=one.root
        )
        logger.info("Features of %d pictures: %d encoded now.", report.num_pictures, report.num_encoded)
        filled.append(one.add_features(cache.view(pictures, root=one.root)))
    return filled[0], filled[1]


__all__ = ["read_pools", "run_training"]
