"""The trainers of the stages whose batches are pairs: the re-ranker, and fusion pre-training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch

from .stage_trainer import StageTrainer


class RerankerTrainer(StageTrainer):
    """Trainer of `RablipReranker`: the loss is the mean over all judged pairs of a step, on however many devices.

    Predictions are relevance logits, labels relevance, 1 or 0; -100 counts nowhere.
    """

    stage_label_names: ClassVar[tuple[str, ...]] = ("relevance_labels",)

    def count_terms(self, inputs: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        """Judged pairs."""
        return {"relevance": (inputs["relevance_labels"] != -100).sum()}


class FusionTrainer(StageTrainer):
    """Trainer of `FusionPretraining`, whose losses already are those of all processes' pairs; it has no labels."""

    stage_label_names: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.can_return_loss = True


__all__ = ["FusionTrainer", "RerankerTrainer"]
