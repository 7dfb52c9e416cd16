"""The question-instructed re-ranker: does this candidate help to answer this question?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers.utils import ModelOutput

from ..configuration.configuration_rablip import RablipRerankerConfig
from .fusion_rablip import RablipPooler
from .losses_rablip import relevance_loss
from .modeling_rablip_base import RablipPreTrainedModel
from .visual_extraction_rablip import start_at_zero


@dataclass
class RablipRerankerOutput(ModelOutput):
    """
    Output of [`RablipReranker`].

    Args:
        loss (`torch.FloatTensor` of shape `(1,)`, *optional*): binary cross-entropy, when labels are given.
        relevance_logits (`torch.FloatTensor` of shape `(batch_size,)`): uncalibrated logits; `predict_relevance`
            gives probabilities.
    """

    loss: torch.FloatTensor | None = None
    relevance_logits: torch.FloatTensor | None = None


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
        """Two `(batch_size, embedding_dim)` vectors to `(batch_size,)` logits."""
        scale = question.shape[-1] ** 0.5
        question = nn.functional.normalize(question, dim=-1) * scale
        candidate = nn.functional.normalize(candidate, dim=-1) * scale
        agreement = torch.cat([question * candidate, (question - candidate).abs()], dim=-1)
        return self.output(nn.functional.gelu(self.dense(agreement))).squeeze(-1)


class RablipReranker(RablipPreTrainedModel):
    r"""
    Relevance classifier over (question, candidate) pairs: the question and the candidate's text instruct the Q-Former
    while it looks at the candidate's picture (and the question's), and the fusion module mixes both. A pooled state
    gives one logit; where the question's tokens are known (`question_mask`), question and candidate are also pooled
    apart, projected as the retriever projects them, and compared feature by feature. The classifier decides which and
    how many candidates become evidence, not only their order.

    Example:

    ```python
    >>> import torch
    >>> from rablip import RablipReranker, RablipRerankerConfig

    >>> config = RablipRerankerConfig(
    ...     vision_config={"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
    ...                    "num_attention_heads": 2, "image_size": 16, "patch_size": 8},
    ...     qformer_config={"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
    ...                     "intermediate_size": 16},
    ...     adaptive_fusion_config={"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16},
    ...     num_query_tokens=2,
    ... )
    >>> reranker = RablipReranker(config).eval()
    >>> reranker.predict_relevance(input_ids=torch.tensor([[2, 7, 3]])).shape
    torch.Size([1])

    ```
    """

    config_class = RablipRerankerConfig

    def __init__(self, config: RablipRerankerConfig) -> None:
        super().__init__(config)
        hidden_size = config.qformer_config.hidden_size
        self.pooler = RablipPooler(hidden_size)
        self.relevance_head = nn.Linear(hidden_size, 1)
        # The retriever's name for the retriever's part, so that a warm start brings what it has learned to compare.
        self.retrieval_projection = nn.Linear(hidden_size, config.matching_dim)
        self.matching_head = RablipMatchingHead(config.matching_dim, hidden_size)
        self.post_init()

    def _match(self, states: torch.Tensor, mask: torch.Tensor, question_mask: torch.Tensor) -> torch.Tensor:
        """Logits `(batch_size,)` from the question's states against all others (candidate's words, query outputs)."""
        num_queries = states.shape[1] - question_mask.shape[1]
        of_question = nn.functional.pad(question_mask.to(mask.dtype), (num_queries, 0)) * mask
        pooled = (self.pooler(states, part) for part in (of_question, mask - of_question))
        return self.matching_head(*(self.retrieval_projection(vector) for vector in pooled))

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        *,
        pixel_values: torch.Tensor | None = None,
        image_embeds: torch.Tensor | None = None,
        image_mask: torch.Tensor | None = None,
        question_mask: torch.Tensor | None = None,
        relevance_labels: torch.Tensor | None = None,
    ) -> RablipRerankerOutput:
        """Judge pairs.

        Args:
            input_ids (`torch.LongTensor` of shape `(batch_size, seq_len)`): Q-Former tokens of question and item.
            attention_mask (`torch.LongTensor` of shape `(batch_size, seq_len)`, *optional*): 1 = keep.
            pixel_values (`torch.FloatTensor` of shape `(batch_size, num_images, 3, height, width)`, *optional*).
            image_embeds (`torch.FloatTensor` of shape `(batch_size, num_images, num_image_tokens,
                vision_hidden_size)`, *optional*): features of the frozen tower instead of pictures.
            image_mask (`torch.LongTensor` of shape `(batch_size, num_images)`, *optional*): 1 = a picture.
            question_mask (`torch.LongTensor` of shape `(batch_size, seq_len)`, *optional*): 1 = a token of the
                question; without it question and candidate are not compared apart.
            relevance_labels (`torch.FloatTensor` of shape `(batch_size,)`, *optional*): 1 relevant, 0 not,
                -100 ignored.

        Returns:
            [`RablipRerankerOutput`].
        """
        extracted = self.extract(
            input_ids,
            attention_mask,
            pixel_values=pixel_values,
            image_embeds=image_embeds,
            image_mask=image_mask,
        )
        pooled = self.pooler(extracted.hidden_states, extracted.attention_mask)
        relevance_logits = self.relevance_head(pooled).squeeze(-1)
        if question_mask is not None:
            relevance_logits = relevance_logits + self._match(
                extracted.hidden_states, extracted.attention_mask, question_mask
            )
        loss = None if relevance_labels is None else relevance_loss(relevance_logits, relevance_labels)
        return RablipRerankerOutput(loss=loss, relevance_logits=relevance_logits)

    @torch.no_grad()
    def predict_relevance(self, **inputs: Any) -> torch.Tensor:
        """Calibrated relevance: sigmoid(logit / `config.relevance_temperature`).

        Args:
            inputs: as in `forward`, without labels.

        Returns:
            `torch.FloatTensor` of shape `(batch_size,)`, fp32 probabilities.
        """
        logits = self(**inputs).relevance_logits.float()
        return torch.sigmoid(logits / self.config.relevance_temperature)


__all__ = ["RablipMatchingHead", "RablipReranker", "RablipRerankerOutput"]
