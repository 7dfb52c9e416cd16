"""Which pictures and captions of a batch belong together, and which wrong ones of them to learn from.

The batch may be spread over processes that train together: each holds some of its pairs and compares them with all.
"""

from __future__ import annotations

import torch

from ..trainers.gathering import gather_rows, num_processes, process_rank, sum_over_processes

# The finalizer of splitmix64 (Steele et al., 2014), its factors as signed 64-bit numbers.
_FACTORS = (0xBF58476D1CE4E5B9 - 2**64, 0x94D049BB133111EB - 2**64)
_SHIFTS = (30, 27, 31)
_STEP = 0x9E3779B97F4A7C15 - 2**64
_NOISE_BITS = 23  # what fp32 can tell from 0 and from 1 after half a step is added


def mark_known_pairs(picture_keys: torch.Tensor, caption_keys: torch.Tensor) -> torch.Tensor:
    """Which captions are known to be right for which pictures, where pair *i* says that its own two are.

    Equal pictures share their captions, equal captions their pictures.

    Args:
        picture_keys (`torch.LongTensor` of shape `(num_pairs,)`): equal where the pictures are.
        caption_keys (`torch.LongTensor` of shape `(num_pairs,)`): equal where the captions are.

    Returns:
        `torch.BoolTensor` of shape `(num_pairs, num_pairs)`: pictures by captions.

    Example:

    ```python
    >>> import torch
    >>> mark_known_pairs(torch.tensor([1, 1, 2]), torch.tensor([7, 8, 9])).int().tolist()
    [[1, 1, 0], [1, 1, 0], [0, 0, 1]]

    ```
    """
    same_picture = picture_keys[:, None] == picture_keys
    same_caption = caption_keys[:, None] == caption_keys
    # Through any pair that has this picture and this caption.
    return (same_picture.float() @ same_caption.float()) > 0


def mark_own_pairs(picture_keys: torch.Tensor, caption_keys: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """`mark_known_pairs` of this process's pairs against those of all processes; every process has to call it.

    Args:
        picture_keys (`torch.LongTensor` of shape `(num_pairs,)`): of this process's pairs.
        caption_keys (`torch.LongTensor` of shape `(num_pairs,)`): likewise.

    Returns:
        Right captions for this process's pictures, and right pictures for its captions, each `torch.BoolTensor` of
        shape `(num_pairs, num_pairs of all processes)`.
    """
    known = mark_known_pairs(gather_rows(picture_keys), gather_rows(caption_keys))
    own = find_own_rows(picture_keys)
    return known[own], known.T[own]


def find_own_rows(rows: torch.Tensor) -> torch.Tensor:
    """Where this process's rows stand in what `gather_rows` gives; every process has to call it.

    Args:
        rows (`torch.Tensor` of shape `(num_rows, ...)`): any tensor with this process's rows.

    Returns:
        `torch.LongTensor` of shape `(num_rows,)`; 0 to `num_rows` - 1 without other processes.
    """
    ranks = torch.full((len(rows),), process_rank(), device=rows.device)
    return (gather_rows(ranks) == process_rank()).nonzero()[:, 0]


def share_loss(mean: torch.Tensor, counted: torch.Tensor) -> torch.Tensor:
    """This process's part of a loss; the mean of the parts is the mean over what counts in any process.

    Args:
        mean: scalar, the mean over what counts in this process; every process has to call this.
        counted (`torch.Tensor` of any shape): non-zero entries count.

    Returns:
        Scalar; without other processes `mean` itself.
    """
    count = (counted != 0).sum()
    return mean * (count * num_processes() / sum_over_processes(count).clamp(min=1))


def draw_negatives(
    scores: torch.Tensor,
    known: torch.Tensor,
    seed: torch.Tensor,
    *,
    row_keys: torch.Tensor,
    column_keys: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """For every row one column that is not known to be right, with the probability of the softmax of its score.

    The draw is a function of the seed and of the two keys, not of places in the batch: another order of the batch, or
    another device, draws the same pairs.

    Args:
        scores (`torch.Tensor` of shape `(num_rows, num_columns)`): logits.
        known (`torch.BoolTensor` of shape `(num_rows, num_columns)`): True where the column is right for the row.
        seed (`torch.LongTensor` of shape `(1,)`): another one draws others.
        row_keys (`torch.LongTensor` of shape `(num_rows,)`): what each row holds.
        column_keys (`torch.LongTensor` of shape `(num_columns,)`): what each column holds.

    Returns:
        The columns, `torch.LongTensor` of shape `(num_rows,)`, and `torch.BoolTensor` of the same shape: False where
        every column is right, so that there was none to draw (the column is 0 then).

    Example:

    ```python
    >>> import torch
    >>> keys = torch.arange(2)
    >>> known = torch.eye(2).bool()
    >>> drawn, found = draw_negatives(torch.zeros(2, 2), known, torch.tensor([0]), row_keys=keys, column_keys=keys)
    >>> drawn.tolist(), found.tolist()
    ([1, 0], [True, True])

    ```
    """
    noise = _draw_gumbel(seed, row_keys, column_keys)
    # The largest of scores with Gumbel noise is a draw from their softmax.
    drawn = (scores.detach().float() + noise).masked_fill(known, -torch.inf).argmax(dim=1)
    return drawn, ~known.all(dim=1)


def _draw_gumbel(seed: torch.Tensor, row_keys: torch.Tensor, column_keys: torch.Tensor) -> torch.Tensor:
    """Gumbel noise `(num_rows, num_columns)`, a hash of the seed and both keys."""
    rows = _scramble(_scramble(seed) ^ row_keys)
    bits = _scramble(rows[:, None] ^ _scramble(column_keys)[None]) & (2**_NOISE_BITS - 1)
    uniform = (bits.float() + 0.5) / 2**_NOISE_BITS
    return -torch.log(-torch.log(uniform))


def _scramble(values: torch.Tensor) -> torch.Tensor:
    values = values + _STEP
    for shift, factor in zip(_SHIFTS, (*_FACTORS, 1), strict=True):
        # `>>` copies the sign: the mask makes it the shift of an unsigned number.
        values = (values ^ ((values >> shift) & (2 ** (64 - shift) - 1))) * factor
    return values


__all__ = ["draw_negatives", "find_own_rows", "mark_known_pairs", "mark_own_pairs", "share_loss"]
