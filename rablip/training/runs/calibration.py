"""Temperature and threshold of relevance, fitted on validation data."""

from __future__ import annotations

import torch
from torch import nn


def fit_temperature(logits: torch.Tensor, labels: torch.Tensor, *, num_steps: int = 100) -> float:
    """The divisor of the logits that minimises the negative log-likelihood (temperature scaling).

    Args:
        logits (`torch.Tensor` of shape `(num_pairs,)`): relevance logits.
        labels (`torch.Tensor` of shape `(num_pairs,)`): 1 relevant, 0 not.
        num_steps: L-BFGS iterations.

    Returns:
        A temperature in [0.05, 20]; the order of candidates never changes.

    Raises:
        ValueError: the shapes differ or there is no pair.

    Example:

    ```python
    >>> import torch
    >>> from rablip.training import fit_temperature

    >>> labels = torch.tensor([1.0, 1.0, 1.0, 0.0] * 50)  # three of four are right: log-odds log(3)
    >>> logits = torch.full((200,), 4 * torch.log(torch.tensor(3.0)).item())
    >>> round(fit_temperature(logits, labels), 2)
    4.0

    ```
    """
    if logits.shape != labels.shape or logits.numel() == 0:
        raise ValueError(
            f"Got logits of shape {tuple(logits.shape)} and labels of shape {tuple(labels.shape)}; give one label per "
            "logit and at least one pair."
        )
    logits, labels = logits.detach().double(), labels.detach().double()
    log_temperature = nn.Parameter(torch.zeros((), dtype=torch.float64))
    optimizer = torch.optim.LBFGS([log_temperature], max_iter=num_steps, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits(logits / log_temperature.exp(), labels)
        loss.backward()
        return loss

    optimizer.step(closure)
    return float(log_temperature.detach().exp().clamp(0.05, 20.0))


def fit_threshold(
    probabilities: torch.Tensor, labels: torch.Tensor, *, num_missed: int = 0, beta: float = 1.0
) -> tuple[float, float]:
    """The probability from which "relevant" gives the best F-beta.

    Args:
        probabilities (`torch.Tensor` of shape `(num_pairs,)`): calibrated relevance.
        labels (`torch.Tensor` of shape `(num_pairs,)`): 1 relevant, 0 not.
        num_missed: relevant pairs that were never judged, so that no threshold can find them.
        beta: how many times as much recall counts as precision.

    Returns:
        The threshold (half-way between the two probabilities that it separates) and its F-beta.

    Raises:
        ValueError: the shapes differ, or no label is positive.

    Example:

    ```python
    >>> import torch
    >>> from rablip.training import fit_threshold

    >>> fit_threshold(torch.tensor([0.9, 0.7, 0.3, 0.1]), torch.tensor([1, 1, 0, 0]))
    (0.5, 1.0)

    ```
    """
    if probabilities.shape != labels.shape:
        raise ValueError(
            f"Got {tuple(probabilities.shape)} probabilities and {tuple(labels.shape)} labels; give one label each."
        )
    num_positives = int(labels.sum())
    if num_positives == 0:
        raise ValueError("No label is positive, so F1 is 0 at every threshold. Give validation pairs of both kinds.")
    order = torch.argsort(probabilities.double(), descending=True, stable=True)
    ranked = probabilities.double()[order]
    hits = labels.double()[order].cumsum(0)
    chosen = torch.arange(1, len(ranked) + 1, dtype=torch.float64)
    scores = (1 + beta**2) * hits / (chosen + beta**2 * (num_positives + num_missed))
    # A threshold can only fall between different probabilities.
    separable = torch.ones_like(scores, dtype=torch.bool)
    separable[:-1] = ranked[:-1] > ranked[1:]
    best = int(torch.where(separable, scores, torch.full_like(scores, -1)).argmax())
    below = float(ranked[best + 1]) if best + 1 < len(ranked) else 0.0
    return round((float(ranked[best]) + below) / 2, 6), float(scores[best])


__all__ = ["fit_temperature", "fit_threshold"]
