"""Masked words: how the tiny checkpoint's Q-Former learns to read, while it goes on to look.

At full size the Q-Former starts from BERT and knows which word belongs to which; here it starts from nothing. What a
retriever's loss says of word order is too little: colors were told from each other, but not "a red wall and a blue
roof" from its opposite.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import DataCollatorForLanguageModeling
from transformers.utils import ModelOutput

from ..configuration.configuration_rablip import RablipConfig
from ..modeling_rablip import RablipForConditionalGeneration
from .batches import draw_rows


@dataclass
class WordsAndPicturesOutput(ModelOutput):
    """
    Output of [`WordsAndPictures`].

    Args:
        loss (`torch.FloatTensor` of shape `(1,)`): the sum of the two below.
        words_loss (`torch.FloatTensor` of shape `(1,)`): cross-entropy of the masked words.
        pictures_loss (`torch.FloatTensor` of shape `(1,)`): the generator's own loss.
    """

    loss: torch.Tensor | None = None
    words_loss: torch.Tensor | None = None
    pictures_loss: torch.Tensor | None = None


class WordsAndPictures(RablipForConditionalGeneration):
    """A generator, trained on its own batch and, at the same time, to fill in words that its Q-Former does not see.

    Args:
        config: of the generator.
    """

    def __init__(self, config: RablipConfig) -> None:
        super().__init__(config)
        hidden_size = self.qformer.config.hidden_size
        self.words_transform = nn.Sequential(nn.Linear(hidden_size, hidden_size), nn.GELU(), nn.LayerNorm(hidden_size))
        self.words_bias = nn.Parameter(torch.zeros(self.qformer.config.vocab_size))
        self.post_init()

    def forward(
        self,
        words_input_ids: torch.Tensor,
        words_attention_mask: torch.Tensor,
        words_labels: torch.Tensor,
        pictures: dict[str, torch.Tensor],
    ) -> WordsAndPicturesOutput:
        """Both losses.

        Args:
            words_input_ids (`torch.LongTensor` of shape `(num_texts, seq_len)`): Q-Former tokens, some masked.
            words_attention_mask (`torch.LongTensor` of shape `(num_texts, seq_len)`): 1 = keep.
            words_labels (`torch.LongTensor` of shape `(num_texts, seq_len)`): the masked tokens, -100 elsewhere.
            pictures: the generator's own inputs, with labels.

        Returns:
            [`WordsAndPicturesOutput`].
        """
        states = self.qformer(input_ids=words_input_ids, attention_mask=words_attention_mask).last_hidden_state
        masked = words_labels != -100
        # As in BERT, the words' embeddings are also what they are told by.
        embeddings = self.qformer.get_input_embeddings().weight
        logits = nn.functional.linear(self.words_transform(states[masked]), embeddings, self.words_bias)
        words_loss = nn.functional.cross_entropy(logits, words_labels[masked])
        pictures_loss: torch.Tensor = super().forward(**pictures).loss  # type: ignore[assignment]
        return WordsAndPicturesOutput(
            loss=words_loss + pictures_loss, words_loss=words_loss, pictures_loss=pictures_loss
        )


def make_words_batch(
    pairs: Sequence[tuple[str, str]],
    generator: np.random.Generator,
    tokenizer: Any,
    num_rows: int,
    *,
    mask_share: float = 0.25,
) -> dict[str, torch.Tensor]:
    """Pairs of texts about the same thing with masked words: what one of them hides the other may tell.

    Args:
        pairs: the texts.
        generator: source of randomness.
        tokenizer: the Q-Former's.
        num_rows: pairs in the batch.
        mask_share: expected share of hidden tokens.

    Returns:
        `words_input_ids`, `words_attention_mask` and `words_labels`, each `(num_rows, seq_len)`.
    """
    rows = [pair if generator.random() < 0.5 else pair[::-1] for pair in draw_rows(pairs, generator, num_rows)]
    collator = DataCollatorForLanguageModeling(
        tokenizer, mlm_probability=mask_share, seed=int(generator.integers(2**31))
    )
    encoded = [tokenizer(first, second, truncation=True, max_length=160) for first, second in rows]
    return {f"words_{name}": values for name, values in collator(encoded).items() if name != "token_type_ids"}


__all__ = ["WordsAndPictures", "WordsAndPicturesOutput", "make_words_batch"]
