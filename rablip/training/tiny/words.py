"""Masked and replaced words: how the tiny checkpoint's Q-Former learns to read, and to compare words with pictures.

At full size the Q-Former starts from BERT and from BLIP-2's own pre-training: it knows which word belongs to which,
and whether a text fits a picture. Here it starts from nothing, and what its later losses say of either is too little.
Colors were told from each other, but not "a red wall and a blue roof" from its opposite. From answers of yes or no
alone nothing was learned of comparing in 3,000 steps; told of every word whether it is the right one (as in ELECTRA,
arXiv 2003.10555, but beside the picture), colors were compared after 500.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import DataCollatorForLanguageModeling
from transformers.utils import ModelOutput

from ...configuration.configuration_rablip import RablipConfig
from ...modeling_rablip import RablipForConditionalGeneration
from ...world import ReplacedRow
from ..data.batches import draw_rows


@dataclass
class WordsAndPicturesOutput(ModelOutput):
    """
    Output of [`WordsAndPictures`].

    Args:
        loss (`torch.FloatTensor` of shape `(1,)`): the sum of those below.
        words_loss (`torch.FloatTensor` of shape `(1,)`): cross-entropy of the masked words.
        replaced_loss (`torch.FloatTensor` of shape `(1,)`): binary cross-entropy of which words were replaced.
        pictures_loss (`torch.FloatTensor` of shape `(1,)`): the generator's own loss.
    """

    loss: torch.Tensor | None = None
    words_loss: torch.Tensor | None = None
    replaced_loss: torch.Tensor | None = None
    pictures_loss: torch.Tensor | None = None


class WordsAndPictures(RablipForConditionalGeneration):
    """A generator, trained on its own batch and, at the same time, on what its Q-Former can say of words.

    The Q-Former fills in words that it does not see, and tells which words the picture beside them makes wrong.

    Args:
        config: of the generator.
    """

    def __init__(self, config: RablipConfig) -> None:
        super().__init__(config)
        hidden_size = self.qformer.config.hidden_size
        self.words_transform = nn.Sequential(nn.Linear(hidden_size, hidden_size), nn.GELU(), nn.LayerNorm(hidden_size))
        self.words_bias = nn.Parameter(torch.zeros(self.qformer.config.vocab_size))
        self.replaced_head = nn.Linear(hidden_size, 1)
        self.post_init()

    def forward(
        self,
        words_input_ids: torch.Tensor,
        words_attention_mask: torch.Tensor,
        words_labels: torch.Tensor,
        replaced: dict[str, torch.Tensor],
        pictures: dict[str, torch.Tensor],
    ) -> WordsAndPicturesOutput:
        """The three losses.

        Args:
            words_input_ids (`torch.LongTensor` of shape `(num_texts, seq_len)`): Q-Former tokens, some masked.
            words_attention_mask (`torch.LongTensor` of shape `(num_texts, seq_len)`): 1 = keep.
            words_labels (`torch.LongTensor` of shape `(num_texts, seq_len)`): the masked tokens, -100 elsewhere.
            replaced: what `make_replaced_batch` gives.
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
        replaced_loss = self._replaced_loss(**replaced)
        pictures_loss: torch.Tensor = super().forward(**pictures).loss  # type: ignore[assignment]
        return WordsAndPicturesOutput(
            loss=words_loss + replaced_loss + pictures_loss,
            words_loss=words_loss,
            replaced_loss=replaced_loss,
            pictures_loss=pictures_loss,
        )

    def _replaced_loss(self, labels: torch.Tensor, **inputs: Any) -> torch.Tensor:
        # Before fusion, so that in it the queries, which are all that the language model gets, can read the verdicts.
        output: Any = self.extract(**inputs, fuse=False)
        logits = self.replaced_head(output.hidden_states[:, output.num_queries :]).squeeze(-1)
        judged = labels != -100
        return nn.functional.binary_cross_entropy_with_logits(logits[judged], labels[judged].to(logits.dtype))


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


def make_replaced_batch(
    rows: Sequence[ReplacedRow],
    features: Mapping[str, torch.Tensor],
    generator: np.random.Generator,
    tokenizer: Any,
    num_rows: int,
) -> dict[str, torch.Tensor]:
    """Questions beside their picture, and which of their words it makes wrong.

    Args:
        rows: the questions.
        features: the frozen tower's features by picture id.
        generator: source of randomness.
        tokenizer: the Q-Former's.
        num_rows: questions in the batch.

    Returns:
        `input_ids` and `attention_mask` `(num_rows, seq_len)`, `image_embeds` `(num_rows, 1, num_image_tokens,
        vision_hidden_size)`, and `labels` `(num_rows, seq_len)`: 1 replaced, 0 as the picture shows it, -100 no value.
    """
    picked = draw_rows(rows, generator, num_rows)
    encoded = tokenizer(
        [list(row.words) for row in picked], is_split_into_words=True, padding=True, return_tensors="pt"
    )
    labels = torch.full_like(encoded["input_ids"], -100)
    for number, row in enumerate(picked):
        for place, word in enumerate(encoded.word_ids(number)):
            told = None if word is None else row.replaced[word]
            if told is not None:
                labels[number, place] = int(told)
    return {
        "input_ids": encoded["input_ids"],
        "attention_mask": encoded["attention_mask"],
        "image_embeds": torch.stack([features[row.picture_id] for row in picked]).float().unsqueeze(1),
        "labels": labels,
    }


__all__ = ["WordsAndPictures", "WordsAndPicturesOutput", "make_replaced_batch", "make_words_batch"]
