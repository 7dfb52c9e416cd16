"""The trainers of the stages whose batches are pairs: the re-ranker, and fusion pre-training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch

from .gathering import num_processes, sum_over_processes
from .stage_trainer import StageTrainer


class RerankerTrainer(StageTrainer):
    """Trainer of `RablipReranker`: the loss is the mean over all judged pairs of a step, on however many devices.

    Predictions are relevance logits, labels relevance, 1 or 0; both (num_questions, max_candidates), filled up with
    -100, which counts nowhere. Which pairs are a question's is what `num_candidates` of `RerankerCollator` says;
    without it, every pair is a question of its own.
    """

    stage_label_names: ClassVar[tuple[str, ...]] = ("relevance_labels",)

    def count_terms(self, inputs: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        """Judged pairs."""
        return {"relevance": (inputs["relevance_labels"] != -100).sum()}

    def split_loss(self, outputs: Any) -> dict[str, torch.Tensor]:
        """The one term that there is."""
        return {"relevance": outputs["loss"]}

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **kwargs: Any) -> Any:
        """As in `StageTrainer`; the model need not know whose the pairs are."""
        inputs = {name: value for name, value in inputs.items() if name != "num_candidates"}
        return super().compute_loss(model, inputs, return_outputs, **kwargs)

    def prediction_step(
        self, model: Any, inputs: Any, prediction_loss_only: bool, ignore_keys: Any = None
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        """Loss, logits and labels of one batch; a row per question, since it is questions that Trainer counts.

        Args:
            model: the model, maybe wrapped.
            inputs: a batch of `RerankerCollator`.
            prediction_loss_only: leave out logits and labels.
            ignore_keys: not used.
        """
        inputs = self._prepare_inputs(inputs)
        labels = inputs["relevance_labels"]
        counts = inputs.get("num_candidates")
        if counts is None:
            counts = torch.ones_like(labels, dtype=torch.long)
        num_pairs = int(counts[: self._count_new_rows(len(counts))].sum())
        judged = labels.clone()
        judged[num_pairs:] = -100
        with torch.no_grad(), self.compute_loss_context_manager():
            loss, outputs = self.compute_loss(model, {**inputs, "relevance_labels": judged}, return_outputs=True)
        loss = loss.detach().mean()
        if prediction_loss_only:
            return loss, None, None
        return loss, _fill_rows(outputs["relevance_logits"].float(), counts), _fill_rows(labels, counts)


class FusionTrainer(StageTrainer):
    """Trainer of `FusionPretraining`, whose losses already are those of all processes' pairs; it has no labels."""

    stage_label_names: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.can_return_loss = True

    def prediction_step(self, *args: Any, **kwargs: Any) -> tuple[Any, Any, Any]:
        """As in Trainer; the loss is that of all processes' pairs, not this process's part of it.

        Args:
            args, kwargs: as in `Trainer.prediction_step`.
        """
        loss, predictions, labels = super().prediction_step(*args, **kwargs)
        # Trainer drops what later processes say of a last batch, where they repeat pairs.
        return None if loss is None else sum_over_processes(loss) / num_processes(), predictions, labels


def _fill_rows(values: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """Values (num_pairs,), the first `counts[0]` in the first row and so on: (num_rows, largest count), else -100."""
    places = torch.arange(int(counts.max()), device=counts.device)
    rows = values.new_full((len(counts), len(places)), -100.0)
    rows[places < counts[:, None]] = values
    return rows


__all__ = ["FusionTrainer", "RerankerTrainer"]
