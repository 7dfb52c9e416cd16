"""Guards against numbers that would give a fluent wrong answer: non-finite logits, and T5 in half precision."""

from __future__ import annotations

import logging

import torch
from torch import nn
from transformers import LogitsProcessor

__all__ = ["FiniteLogits", "NonFiniteLogitsError", "check_finite", "protect_half_precision"]

logger = logging.getLogger(__name__)

_ADVICE = (
    "The weights or the number format are at fault (T5 overflows in float16): load the model in bfloat16 or float32, "
    "or load the checkpoint again."
)


class NonFiniteLogitsError(ValueError):
    """A model computed NaN or infinity where a score should be.

    Example:
        >>> issubclass(NonFiniteLogitsError, ValueError)
        True
    """


def check_finite(scores: torch.Tensor, what: str) -> torch.Tensor:
    """Returns `scores` unchanged when every one is finite.

    Args:
        scores: any shape.
        what: what the scores are, for the message.

    Raises:
        NonFiniteLogitsError: when a score is NaN or infinite.

    Example:
        >>> check_finite(torch.ones(2), "relevance").tolist()
        [1.0, 1.0]
    """
    bad = int((~torch.isfinite(scores)).sum())
    if bad:
        raise NonFiniteLogitsError(f"{bad} of {scores.numel()} {what} values are not finite. {_ADVICE}")
    return scores


class FiniteLogits(LogitsProcessor):
    """Stops a generation at the first step whose scores are not numbers, before a token is picked from them.

    Minus infinity is how other processors forbid a token, so only a row without any finite score is refused.

    Example:
        >>> FiniteLogits()(torch.zeros(1, 1, dtype=torch.long), torch.ones(1, 3)).tolist()
        [[1.0, 1.0, 1.0]]
    """

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """Checks one step; input_ids (batch_size, seq_len), scores (batch_size, vocabulary_size), returned unchanged.

        Raises:
            NonFiniteLogitsError: on NaN, plus infinity, or a row that is minus infinity throughout.
        """
        wrong = torch.isnan(scores).any() | torch.isposinf(scores).any() | torch.isneginf(scores).all(dim=-1).any()
        if wrong:
            raise NonFiniteLogitsError(
                f"Step {input_ids.shape[-1]} of the answer has scores that are not finite. {_ADVICE}"
            )
        return scores


def protect_half_precision(generator: nn.Module) -> bool:
    """Keeps the output projections of T5 feed-forwards in float32 when the generator is in float16.

    T5 overflows there in float16 and then answers with repeated or no tokens. Loading keeps them in float32 already;
    this covers `.half()` after loading. Says so in one warning.

    Args:
        generator: the generator; other language models than T5 are left as they are.

    Returns:
        Whether anything was changed.

    Example:
        >>> protect_half_precision(nn.Linear(2, 2))
        False
    """
    text_config = getattr(getattr(generator, "config", None), "text_config", None)
    if "t5" not in str(getattr(text_config, "model_type", "")):
        return False
    changed = False
    for name, module in generator.named_modules():
        if name.rpartition(".")[2] == "wo" and isinstance(module, nn.Linear) and module.weight.dtype == torch.float16:
            module.float()
            changed = True
    if changed:
        logger.warning(
            "The T5 generator is in float16: its `wo` layers were put back to float32, where they do not overflow."
        )
    return changed
