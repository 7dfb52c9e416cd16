"""How well a candidate answers to a question: their vectors compared feature by feature."""

from __future__ import annotations

import torch
from torch import nn

from .visual_extraction_rablip import start_at_zero


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
        return self.output(nn.functional.gelu(self.dense(agreement))).squeeze(-1)


__all__ = ["RablipMatchingHead"]
