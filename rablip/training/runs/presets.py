"""What each stage and backbone is trained with unless told otherwise: LoRA targets, learning rates, arguments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from transformers import Seq2SeqTrainingArguments

Stage = Literal["fusion", "retriever", "reranker", "generator"]
STAGES: tuple[Stage, ...] = ("fusion", "retriever", "reranker", "generator")

# Every linear layer of a language model's blocks, by its `model_type`.
LORA_TARGETS: dict[str, str] = {
    "gpt_neox": r"language_model\..*\.(query_key_value|dense|dense_h_to_4h|dense_4h_to_h)",
    "llama": r"language_model\..*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)",
    "mistral": r"language_model\..*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)",
    "opt": r"language_model\..*\.(q_proj|k_proj|v_proj|out_proj|fc1|fc2)",
    "qwen2": r"language_model\..*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)",
    "qwen3": r"language_model\..*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)",
    "t5": r"language_model\..*\.(q|k|v|o|wi|wi_0|wi_1|wo)",
}
QFORMER_TARGET = r"qformer\.encoder\..*\.(query|key|value|dense)"


@dataclass(frozen=True)
class StagePreset:
    """Where a stage starts.

    Args:
        learning_rate: peak, where parts are trained whole.
        lora_learning_rate: peak with LoRA.
        batch_size: questions (or pictures) per process and step.
        metric: what `load_best_model_at_end` goes by.
        greater_is_better: whether more of it is better.
    """

    learning_rate: float
    lora_learning_rate: float
    batch_size: int
    metric: str = "eval_loss"
    greater_is_better: bool = False


# For a BERT-base Q-Former beside a ViT-g; narrow models learn at about the rate of the tiny checkpoint's recipe.
PRESETS: dict[Stage, StagePreset] = {
    "fusion": StagePreset(1e-4, 2e-4, 64),
    "retriever": StagePreset(2e-5, 1e-4, 64),
    "reranker": StagePreset(2e-5, 1e-4, 16),
    "generator": StagePreset(2e-5, 1e-4, 16),
}
_SMALL_WIDTH, _SMALL_LEARNING_RATE = 256, 5e-4


def choose_learning_rate(stage: Stage, model: Any, *, lora: bool) -> float:
    """The stage's learning rate for a model of this width.

    Args:
        stage: one of `STAGES`.
        model: the model to train.
        lora: whether adapters are trained.

    Example:
        >>> from types import SimpleNamespace as Config
        >>> wide = Config(config=Config(qformer_config=Config(hidden_size=768)))
        >>> choose_learning_rate("generator", wide, lora=True)
        0.0001
    """
    if model.config.qformer_config.hidden_size < _SMALL_WIDTH:
        return _SMALL_LEARNING_RATE
    preset = PRESETS[stage]
    return preset.lora_learning_rate if lora else preset.learning_rate


def make_arguments(
    stage: Stage,
    output_dir: str | Path,
    *,
    learning_rate: float,
    seed: int = 0,
    num_epochs: float = 3.0,
    max_steps: int = -1,
    batch_size: int | None = None,
    accumulate: int = 1,
    eval_steps: int | None = None,
    validates: bool = True,
    report_to: Sequence[str] = (),
    **kwargs: Any,
) -> Seq2SeqTrainingArguments:
    """Training arguments of a stage; any other field of `Seq2SeqTrainingArguments` can be given too.

    The order of the rows is the data set's (`QuestionRows` shuffles by seed and epoch), the best checkpoint is loaded
    at the end where there is validation, and a batch that does not fit in memory is halved.

    Args:
        stage: one of `STAGES`.
        output_dir: checkpoints and logs.
        learning_rate: peak of the cosine schedule, after a warm-up over a twentieth of the steps.
        seed: of rows, dropout and new weights.
        num_epochs: passes over the questions, unless `max_steps` is given.
        max_steps: optimizer steps.
        batch_size: questions per process; the stage's own by default.
        accumulate: batches per optimizer step.
        eval_steps: steps between evaluations and checkpoints; every epoch by default.
        validates: whether there are validation questions.
        report_to: where Trainer logs to: "tensorboard", "wandb", "trackio", ...
        kwargs: further fields, which win over those set here.

    Returns:
        `Seq2SeqTrainingArguments`.
    """
    preset = PRESETS[stage]
    rhythm = "epoch" if eval_steps is None else "steps"
    fields: dict[str, Any] = {
        "output_dir": str(output_dir),
        "num_train_epochs": num_epochs,
        "max_steps": max_steps,
        "per_device_train_batch_size": preset.batch_size if batch_size is None else batch_size,
        "per_device_eval_batch_size": preset.batch_size if batch_size is None else batch_size,
        "gradient_accumulation_steps": accumulate,
        "learning_rate": learning_rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": 0.05,
        "weight_decay": 0.01,
        "max_grad_norm": 1.0,
        "seed": seed,
        "data_seed": seed,
        "train_sampling_strategy": "sequential",
        "remove_unused_columns": False,
        "eval_strategy": rhythm if validates else "no",
        "save_strategy": rhythm,
        "logging_steps": 10,
        "save_total_limit": 2,
        "load_best_model_at_end": validates,
        "auto_find_batch_size": True,
        "predict_with_generate": stage == "generator",
        "report_to": list(report_to) or "none",
        "ddp_find_unused_parameters": True,
    }
    if eval_steps is not None:
        fields |= {"eval_steps": eval_steps, "save_steps": eval_steps}
    if validates:
        fields |= {"metric_for_best_model": preset.metric, "greater_is_better": preset.greater_is_better}
    return Seq2SeqTrainingArguments(**(fields | kwargs))


__all__ = [
    "LORA_TARGETS",
    "PRESETS",
    "QFORMER_TARGET",
    "STAGES",
    "Stage",
    "StagePreset",
    "choose_learning_rate",
    "make_arguments",
]
