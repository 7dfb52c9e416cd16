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


class RablipReranker(RablipPreTrainedModel):
    r"""
    Relevance classifier over (question, candidate) pairs: the question and the candidate's text instruct the Q-Former
    while it looks at the candidate's picture (and the question's), the fusion module mixes both, a pooled state gives
    one logit. The classifier decides which and how many candidates become evidence, not only their order.

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
        self.post_init()

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        *,
        pixel_values: torch.Tensor | None = None,
        image_embeds: torch.Tensor | None = None,
        image_mask: torch.Tensor | None = None,
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


__all__ = ["RablipReranker", "RablipRerankerOutput"]
