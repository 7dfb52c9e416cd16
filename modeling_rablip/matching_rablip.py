"""How well a candidate answers to a question: their vectors compared by their angle, and feature by feature."""

from __future__ import annotations

import math

import torch
from torch import nn

from .visual_extraction_rablip import project, start_at_zero


class RablipLearnedScalar(nn.Module):
    """One learned number, as a module so that PEFT's `modules_to_save` can name it.

    Args:
        initial_value: what it starts from.
    """

    def __init__(self, initial_value: float) -> None:
        super().__init__()
        self.initial_value = initial_value
        self.weight = nn.Parameter(torch.full((1,), initial_value))


class RablipLogitScale(RablipLearnedScalar):
    """The learned log(1 / temperature).

    Args:
        initial_temperature: divisor of the inner products at the start.
        max_logit_scale: upper bound of 1 / temperature.
    """

    def __init__(self, initial_temperature: float, max_logit_scale: float) -> None:
        super().__init__(math.log(1 / initial_temperature))
        self.max_value = math.log(max_logit_scale)

    def forward(self, scores: torch.Tensor) -> torch.Tensor:
        """Divide inner products by the temperature; the same shape."""
        return scores * self.weight.clamp(max=self.max_value).exp()


class RablipSimilarityThreshold(RablipLearnedScalar):
    """The learned similarity from which two vectors belong together; between none (0) and full (1) at first."""

    def __init__(self) -> None:
        super().__init__(0.5)

    def forward(self, similarity: torch.Tensor) -> torch.Tensor:
        """How far similarities lie above the threshold; the same shape."""
        return similarity - self.weight


class RablipMatchingHead(nn.Module):
    """A logit from how two vectors agree, feature by feature; 0 until it is trained.

    Args:
        embedding_dim: size of the two vectors.
        hidden_size: width of the hidden layer.
    """

    def __init__(self, embedding_dim: int, hidden_size: int) -> None:
        super().__init__()
        self.dense = nn.Linear(2 * embedding_dim, hidden_size)
        self.output = start_at_zero(nn.Linear(hidden_size, 1))

    def forward(self, question: torch.Tensor, candidate: torch.Tensor) -> torch.Tensor:
        """Two vectors `(..., embedding_dim)` that broadcast against each other, to logits `(...)`."""
        question, candidate = torch.broadcast_tensors(question, candidate)
        scale = question.shape[-1] ** 0.5
        question = nn.functional.normalize(question, dim=-1) * scale
        candidate = nn.functional.normalize(candidate, dim=-1) * scale
        agreement = torch.cat([question * candidate, (question - candidate).abs()], dim=-1)
        return self.output(nn.functional.gelu(project(self.dense, agreement))).squeeze(-1)


__all__ = ["RablipLearnedScalar", "RablipLogitScale", "RablipMatchingHead", "RablipSimilarityThreshold"]
