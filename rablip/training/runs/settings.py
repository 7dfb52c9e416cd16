"""The settings of one run of a stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..data.candidates import NegativeStrategy
from .adapters import LoraPart


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """How a stage is run; every field has a default that suits a first try.

    Args:
        learning_rate: peak; None for the preset of stage and model.
        num_epochs, max_steps, batch_size, accumulate, eval_steps, report_to: as in `make_arguments`.
        bf16: whether the model computes in bfloat16 where it can; its weights stay as they are.
        workers: processes that make batches beside each training process; 0 makes them in turn with the steps.
        gradient_checkpointing: whether activations are computed again in the backward pass instead of kept, for less
            memory and more time; the gradients are the same.
        seed: of rows, dropout and new weights.
        validation: a folder or a JSONL file of validation questions; None takes `validation.jsonl` of the data, or
            else keeps a share of the questions.
        validation_share: of the questions kept where there is no such file.
        patience: evaluations without a better one after which training ends; None never.
        lora: parts that get LoRA instead of being frozen (language model) or trained whole (Q-Former).
        lora_rank: of it.
        feature_cache: folder of the frozen tower's features; None opens and encodes pictures in every step.
        index: an index folder of the same knowledge base by the same retriever, for mining; None builds one in memory.
        retriever: the retriever that finds candidates for re-ranker and generator; None takes the bundle's.
        from_scratch: start with random weights, all of which are trained: vision tower and language model too.
        max_images: image slots of the model, its pictures included.
        negatives: hard negatives per question (retriever), or candidates per question (re-ranker).
        strategy: how hard negatives are chosen.
        chunk_size: gradient caching: rows that the retriever embeds at a time; None for the whole batch.
        captioning: whether fusion pre-training also writes captions.
        max_candidates: most candidates shown to the generator.
        noise: whether distractors by kind are injected (needs a retriever).
        askg_pass: whether the generator also writes the list of relevant references, in a second pass of the language
            model; without it relevance is learned in the answer's pass alone, at about half the cost.
        mine_labels: whether relevance labels are found with the generator as it starts (`mine_labels`), in the place
            of the questions' `positive_ids` (needs a retriever).
        resume: go on from the last checkpoint in the output folder.
        arguments: further fields of `Seq2SeqTrainingArguments`.

    Raises:
        ValueError: settings contradict each other.
    """

    learning_rate: float | None = None
    num_epochs: float = 3.0
    max_steps: int = -1
    batch_size: int | None = None
    accumulate: int = 1
    eval_steps: int | None = None
    report_to: Sequence[str] = ()
    bf16: bool = False
    workers: int = 0
    gradient_checkpointing: bool = False
    seed: int = 0
    validation: str | Path | None = None
    validation_share: float = 0.1
    patience: int | None = None
    lora: Sequence[LoraPart] = ()
    lora_rank: int = 16
    feature_cache: str | Path | None = None
    index: str | Path | None = None
    retriever: str | Path | None = None
    from_scratch: bool = False
    max_images: int | None = None
    negatives: int = 2
    strategy: NegativeStrategy = "modality"
    chunk_size: int | None = None
    captioning: bool = False
    max_candidates: int = 4
    noise: bool = True
    askg_pass: bool = True
    mine_labels: bool = False
    resume: bool = True
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # An adapter leaves what it adapts as it is, and random weights that never learn show nothing.
        if self.from_scratch and self.lora:
            raise ValueError(
                f"Got from_scratch (--from-scratch) with LoRA on {', '.join(self.lora)}, but an adapter leaves the "
                "random weights below it as they are. From scratch every part is trained whole: leave out LoRA "
                "(--lora, --lora-qformer), or start from a trained checkpoint."
            )


__all__ = ["RunSettings"]
