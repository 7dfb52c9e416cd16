"""`rablip train`: every stage on your own questions, and the recipe of the tiny checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .errors import OneLineErrors
from .options import JsonOption, ModelOption, check_model
from .output import one_json_object

__all__ = ["fusion", "generator", "reranker", "retriever", "tiny", "train_app"]

train_app = typer.Typer(cls=OneLineErrors, help="Train models.", no_args_is_help=True)

DataArgument = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        help="A folder with a knowledge base (as for `rablip index build`) and questions.jsonl (columns id, question, "
        "answers, positive_ids; images, negative_ids, category, metadata where there are any), or a world.",
    ),
]
ItemsArgument = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        help="A knowledge base with pictures (as for `rablip index build`), or a world; questions are not read.",
    ),
]
OutOption = Annotated[Path, typer.Option("--out", help="The model folder to write; checkpoints go beside it.")]
ValidationOption = Annotated[
    Path | None,
    typer.Option("--validation", help="A folder or a .jsonl file of validation questions; else a tenth is kept."),
]
EpochsOption = Annotated[float, typer.Option("--epochs", help="Passes over the questions.")]
StepsOption = Annotated[int, typer.Option("--steps", help="Optimizer steps, instead of epochs.")]
RateOption = Annotated[float | None, typer.Option("--learning-rate", help="Peak; by default the stage's preset.")]
BatchOption = Annotated[int | None, typer.Option("--batch-size", min=1, help="Questions per device and step.")]
AccumulateOption = Annotated[int, typer.Option("--accumulate", min=1, help="Batches per optimizer step.")]
EvalOption = Annotated[int | None, typer.Option("--eval-steps", min=1, help="Steps between evaluations.")]
PatienceOption = Annotated[
    int | None, typer.Option("--patience", min=1, help="End after so many evaluations without a better one.")
]
ReportOption = Annotated[
    list[str] | None, typer.Option("--report-to", help="tensorboard, wandb, trackio, ...; may be given again.")
]
Bf16Option = Annotated[bool, typer.Option("--bf16", help="Compute in bfloat16; weights stay as they are.")]
WorkersOption = Annotated[
    int, typer.Option("--workers", min=0, help="Processes that make batches beside each training process.")
]
CheckpointingOption = Annotated[
    bool, typer.Option("--gradient-checkpointing", help="Less memory for more time: activations are computed twice.")
]
CacheOption = Annotated[
    Path | None, typer.Option("--feature-cache", help="Folder of the frozen vision tower's features.")
]
IndexOption = Annotated[
    Path | None, typer.Option("--index", help="An index of the same items, to mine from; else one is made in memory.")
]
RetrieverOption = Annotated[
    str | None, typer.Option("--retriever", help="The retriever that finds candidates; by default the bundle's.")
]
ScratchOption = Annotated[
    bool,
    typer.Option("--from-scratch", help="Start with random weights and train all, tower and language model included."),
]
SeedOption = Annotated[int, typer.Option("--seed", help="Seed of rows, dropout and new weights.")]
QformerOption = Annotated[bool, typer.Option("--lora-qformer", help="Adapters on the Q-Former instead of all of it.")]
RankOption = Annotated[int, typer.Option("--lora-rank", min=1, help="Rank of the adapters.")]
ResumeOption = Annotated[
    bool,
    typer.Option(
        "--resume/--no-resume",
        help="Go on from the last checkpoint in --out, which must be of this very run, or delete it and start anew.",
    ),
]


def _train(stage: Any, *, data: Path, model: str, out: Path, as_json: bool, **options: Any) -> None:
    """Run a stage; options are the fields of `RunSettings`, but for the flags of LoRA."""
    with one_json_object(as_json) as write:
        model = check_model(model)
        from ..training import RunSettings, run_training
        from ..training.trainers.gathering import process_rank

        parts: tuple[Any, ...] = ("language_model", "qformer")
        lora = tuple(part for part in parts if options.pop(f"lora_{part}", False))
        options["report_to"] = tuple(options["report_to"] or ())
        settings = RunSettings(**options, lora=lora)
        summary = run_training(stage, data, model, out, settings)
        if process_rank() > 0:
            return  # under torchrun the first process speaks for all
        if as_json:
            write({"out": str(out), **summary})
            return
        figures = {**summary["validation"], **summary.get("fitted", {})}
        shown = ", ".join(f"{name} {value:.4g}" for name, value in figures.items() if "second" not in name)
        typer.echo(f"trained: {out} ({summary['steps']} steps; {shown})")


@train_app.command("fusion")
def fusion(
    data: ItemsArgument,
    model: ModelOption,
    out: OutOption,
    captioning: Annotated[bool, typer.Option("--captioning", help="Also learn to write captions.")] = False,
    num_epochs: EpochsOption = 3.0,
    max_steps: StepsOption = -1,
    learning_rate: RateOption = None,
    batch_size: BatchOption = None,
    accumulate: AccumulateOption = 1,
    eval_steps: EvalOption = None,
    patience: PatienceOption = None,
    report_to: ReportOption = None,
    bf16: Bf16Option = False,
    workers: WorkersOption = 0,
    gradient_checkpointing: CheckpointingOption = False,
    feature_cache: CacheOption = None,
    from_scratch: ScratchOption = False,
    seed: SeedOption = 0,
    resume: ResumeOption = True,
    as_json: JsonOption = False,
) -> None:
    """Stage 1: contrast and matching of pictures and their texts, over Q-Former and fusion layers."""
    _train("fusion", **locals())


@train_app.command("retriever")
def retriever(
    data: DataArgument,
    model: ModelOption,
    out: OutOption,
    negatives: Annotated[int, typer.Option("--negatives", min=0, help="Hard negatives per question.")] = 2,
    strategy: Annotated[
        str, typer.Option("--strategy", help="Of hard negatives: modality, random_hard, mixed or random.")
    ] = "modality",
    chunk_size: Annotated[
        int | None, typer.Option("--chunk-size", min=1, help="Gradient caching: rows embedded at a time.")
    ] = None,
    validation: ValidationOption = None,
    num_epochs: EpochsOption = 3.0,
    max_steps: StepsOption = -1,
    learning_rate: RateOption = None,
    batch_size: BatchOption = None,
    accumulate: AccumulateOption = 1,
    eval_steps: EvalOption = None,
    patience: PatienceOption = None,
    report_to: ReportOption = None,
    bf16: Bf16Option = False,
    workers: WorkersOption = 0,
    gradient_checkpointing: CheckpointingOption = False,
    feature_cache: CacheOption = None,
    index: IndexOption = None,
    lora_qformer: QformerOption = False,
    lora_rank: RankOption = 16,
    from_scratch: ScratchOption = False,
    seed: SeedOption = 0,
    resume: ResumeOption = True,
    as_json: JsonOption = False,
) -> None:
    """Stage 2: questions and items of every modality in one space, with hard negatives mined from the index."""
    _train("retriever", **locals())


@train_app.command("reranker")
def reranker(
    data: DataArgument,
    model: ModelOption,
    out: OutOption,
    negatives: Annotated[int, typer.Option("--candidates", min=2, help="Candidates per question.")] = 4,
    validation: ValidationOption = None,
    num_epochs: EpochsOption = 3.0,
    max_steps: StepsOption = -1,
    learning_rate: RateOption = None,
    batch_size: BatchOption = None,
    accumulate: AccumulateOption = 1,
    eval_steps: EvalOption = None,
    patience: PatienceOption = None,
    report_to: ReportOption = None,
    bf16: Bf16Option = False,
    workers: WorkersOption = 0,
    gradient_checkpointing: CheckpointingOption = False,
    feature_cache: CacheOption = None,
    index: IndexOption = None,
    retriever: RetrieverOption = None,
    lora_qformer: QformerOption = False,
    lora_rank: RankOption = 16,
    from_scratch: ScratchOption = False,
    seed: SeedOption = 0,
    resume: ResumeOption = True,
    as_json: JsonOption = False,
) -> None:
    """Stage 3: relevance of what the retriever finds; temperature and threshold are fitted on validation questions."""
    _train("reranker", **locals())


@train_app.command("generator")
def generator(
    data: DataArgument,
    model: ModelOption,
    out: OutOption,
    max_candidates: Annotated[int, typer.Option("--candidates", min=1, help="Most candidates shown.")] = 4,
    noise: Annotated[bool, typer.Option("--noise/--no-noise", help="Inject distractors by kind.")] = True,
    askg_pass: Annotated[
        bool,
        typer.Option("--askg-pass/--one-pass", help="A second pass lists the relevant references, or half the cost."),
    ] = True,
    mine_labels: Annotated[
        bool, typer.Option("--mine-labels", help="Find relevance labels with the generator; positive_ids go unread.")
    ] = False,
    lora_language_model: Annotated[
        bool, typer.Option("--lora", help="Adapters on the language model, which is frozen else.")
    ] = False,
    max_images: Annotated[int | None, typer.Option("--max-images", min=1, help="Picture slots of the model.")] = None,
    validation: ValidationOption = None,
    num_epochs: EpochsOption = 3.0,
    max_steps: StepsOption = -1,
    learning_rate: RateOption = None,
    batch_size: BatchOption = None,
    accumulate: AccumulateOption = 1,
    eval_steps: EvalOption = None,
    patience: PatienceOption = None,
    report_to: ReportOption = None,
    bf16: Bf16Option = False,
    workers: WorkersOption = 0,
    gradient_checkpointing: CheckpointingOption = False,
    feature_cache: CacheOption = None,
    index: IndexOption = None,
    retriever: RetrieverOption = None,
    lora_qformer: QformerOption = False,
    lora_rank: RankOption = 16,
    from_scratch: ScratchOption = False,
    seed: SeedOption = 0,
    resume: ResumeOption = True,
    as_json: JsonOption = False,
) -> None:
    """Stage 4: answers and ASKG, with distractors from the index; thresholds are fitted on validation questions."""
    _train("generator", **locals())


@train_app.command("tiny")
def tiny(
    out: Annotated[Path, typer.Option("--out", help="The folder of the bundle: retriever/, reranker/, generator/.")],
    seed: Annotated[int, typer.Option("--seed", help="Seed of the worlds, the weights and the order.")] = 0,
    scale: Annotated[float, typer.Option("--scale", help="Fraction of the steps; below 1 only to try it out.")] = 1.0,
) -> None:
    """Train the tiny checkpoint that ships with the repository."""
    if scale <= 0:
        raise ValueError(f"--scale is {scale}; it must be above 0.")
    from ..tiny_checkpoint import train_tiny

    train_tiny(out, seed=seed, scale=scale)
    typer.echo(f"trained: {out}")
