"""The dense retriever: questions, texts, pictures and picture+text items in one space."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from transformers.utils import ModelOutput

from ..configuration.configuration_rablip import RablipRetrieverConfig
from .fusion_rablip import RablipPooler
from .losses_rablip import contrastive_loss
from .matching_rablip import RablipLogitScale
from .modeling_rablip_base import RablipPreTrainedModel


@dataclass
class RablipRetrieverOutput(ModelOutput):
    """
    Output of [`RablipRetriever`].

    Args:
        loss (`torch.FloatTensor` of shape `(1,)`, *optional*): contrastive loss, when `return_loss` and knowledge
            items are given.
        scores (`torch.FloatTensor` of shape `(num_questions, num_items)`, *optional*): inner products divided by the
            learned temperature.
        question_embeds (`torch.FloatTensor` of shape `(num_questions, embedding_dim)`): L2-normalised.
        knowledge_embeds (`torch.FloatTensor` of shape `(num_items, embedding_dim)`, *optional*): L2-normalised.
    """

    loss: torch.FloatTensor | None = None
    scores: torch.FloatTensor | None = None
    question_embeds: torch.FloatTensor | None = None
    knowledge_embeds: torch.FloatTensor | None = None


class RablipRetriever(RablipPreTrainedModel):
    r"""
    Dense retriever of RA-BLIP: the Q-Former reads text, pictures or both, the fusion module mixes them, a learned
    pooling and a projection give one L2-normalised vector; retrieval is maximum inner product search.

    An item's embedding never depends on a question, so an index is built once. A question with a picture is encoded
    by the same fusion as a picture+text item.

    Example:

    ```python
    >>> import torch
    >>> from rablip import RablipRetriever, RablipRetrieverConfig

    >>> config = RablipRetrieverConfig(
    ...     vision_config={"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
    ...                    "num_attention_heads": 2, "image_size": 16, "patch_size": 8},
    ...     qformer_config={"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
    ...                     "intermediate_size": 16},
    ...     adaptive_fusion_config={"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16},
    ...     retrieval_config={"embedding_dim": 8}, num_query_tokens=2,
    ... )
    >>> retriever = RablipRetriever(config).eval()
    >>> retriever.encode_questions(torch.tensor([[2, 7, 3]])).shape
    torch.Size([1, 8])
    >>> retriever.encode_knowledge(pixel_values=torch.zeros(1, 1, 3, 16, 16)).shape
    torch.Size([1, 8])

    ```
    """

    config_class = RablipRetrieverConfig

    def __init__(self, config: RablipRetrieverConfig) -> None:
        super().__init__(config)
        hidden_size = config.qformer_config.hidden_size
        self.pooler = RablipPooler(hidden_size)
        self.retrieval_projection = nn.Linear(hidden_size, config.embedding_dim)
        self.logit_scale = RablipLogitScale(
            config.retrieval_config.initial_temperature, config.retrieval_config.max_logit_scale
        )
        self.post_init()

    def _encode(
        self,
        input_ids: torch.Tensor | None,
        attention_mask: torch.Tensor | None,
        pixel_values: torch.Tensor | None,
        image_embeds: torch.Tensor | None,
        image_mask: torch.Tensor | None,
    ) -> torch.Tensor:
        extracted = self.extract(
            input_ids,
            attention_mask,
            pixel_values=pixel_values,
            image_embeds=image_embeds,
            image_mask=image_mask,
        )
        pooled = self.pooler(extracted.hidden_states, extracted.attention_mask)
        return nn.functional.normalize(self.retrieval_projection(pooled).float(), dim=-1)

    def encode_questions(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        *,
        pixel_values: torch.Tensor | None = None,
        image_embeds: torch.Tensor | None = None,
        image_mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Embed questions, with or without pictures.

        Args:
            input_ids (`torch.LongTensor` of shape `(num_questions, seq_len)`): Q-Former tokens.
            attention_mask (`torch.LongTensor` of shape `(num_questions, seq_len)`, *optional*): 1 = keep.
            pixel_values (`torch.FloatTensor` of shape `(num_questions, num_images, 3, height, width)`, *optional*).
            image_embeds (`torch.FloatTensor` of shape `(num_questions, num_images, num_image_tokens,
                vision_hidden_size)`, *optional*): features of the frozen tower instead of pictures.
            image_mask (`torch.LongTensor` of shape `(num_questions, num_images)`, *optional*): 1 = a picture.

        Returns:
            `torch.FloatTensor` of shape `(num_questions, embedding_dim)`, fp32, L2-normalised.
        """
        return self._encode(input_ids, attention_mask, pixel_values, image_embeds, image_mask)

    def encode_knowledge(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        *,
        pixel_values: torch.Tensor | None = None,
        image_embeds: torch.Tensor | None = None,
        image_mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Embed knowledge items: text, picture, or both; the instruction is the item's own caption or title.

        Args:
            input_ids (`torch.LongTensor` of shape `(num_items, seq_len)`, *optional*): Q-Former tokens.
            attention_mask (`torch.LongTensor` of shape `(num_items, seq_len)`, *optional*): 1 = keep.
            pixel_values, image_embeds, image_mask: as in `encode_questions`.

        Returns:
            `torch.FloatTensor` of shape `(num_items, embedding_dim)`, fp32, L2-normalised.

        Raises:
            ValueError: neither text nor pictures are given.
        """
        return self._encode(input_ids, attention_mask, pixel_values, image_embeds, image_mask)

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        *,
        pixel_values: torch.Tensor | None = None,
        image_embeds: torch.Tensor | None = None,
        image_mask: torch.Tensor | None = None,
        knowledge_input_ids: torch.Tensor | None = None,
        knowledge_attention_mask: torch.Tensor | None = None,
        knowledge_pixel_values: torch.Tensor | None = None,
        knowledge_image_embeds: torch.Tensor | None = None,
        knowledge_image_mask: torch.Tensor | None = None,
        positive_mask: torch.Tensor | None = None,
        return_loss: bool = True,
    ) -> RablipRetrieverOutput:
        """Embed questions and, where given, knowledge items; score them and compute the contrastive loss.

        Args:
            input_ids, attention_mask, pixel_values, image_embeds, image_mask: the questions, as in
                `encode_questions`.
            knowledge_input_ids (`torch.LongTensor` of shape `(num_items, knowledge_seq_len)`, *optional*): items;
                likewise `knowledge_attention_mask`, `knowledge_pixel_values`, `knowledge_image_embeds`,
                `knowledge_image_mask`.
            positive_mask (`torch.Tensor` of shape `(num_questions, num_items)`, *optional*): which items answer
                which question; by default item *i* answers question *i* and every other item is a negative.
            return_loss (`bool`, defaults to `True`): compute the loss when items are given.

        Returns:
            [`RablipRetrieverOutput`].

        Raises:
            ValueError: fewer items than questions without a `positive_mask`.
        """
        question_embeds = self.encode_questions(
            input_ids, attention_mask, pixel_values=pixel_values, image_embeds=image_embeds, image_mask=image_mask
        )
        if knowledge_input_ids is None and knowledge_pixel_values is None and knowledge_image_embeds is None:
            return RablipRetrieverOutput(question_embeds=question_embeds)
        knowledge_embeds = self.encode_knowledge(
            knowledge_input_ids,
            knowledge_attention_mask,
            pixel_values=knowledge_pixel_values,
            image_embeds=knowledge_image_embeds,
            image_mask=knowledge_image_mask,
        )
        scores = self.logit_scale(question_embeds @ knowledge_embeds.T)
        loss = None
        if return_loss:
            if positive_mask is None:
                num_questions, num_items = scores.shape
                if num_items < num_questions:
                    raise ValueError(
                        f"Got {num_questions} questions but {num_items} knowledge items and no `positive_mask`; give "
                        "the mask, or one positive per question in the same order."
                    )
                positive_mask = torch.eye(num_questions, num_items, device=scores.device)
            loss = contrastive_loss(scores, positive_mask)
        return RablipRetrieverOutput(
            loss=loss, scores=scores, question_embeds=question_embeds, knowledge_embeds=knowledge_embeds
        )


__all__ = ["RablipRetriever", "RablipRetrieverOutput"]
