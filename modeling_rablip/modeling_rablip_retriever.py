"""The dense retriever: questions, texts, pictures and picture+text items in one space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers.utils import ModelOutput

from ..configuration.configuration_rablip import RablipRetrieverConfig
from .conversion_blip2_rablip import BLIP2_KEY_MAPPING, MODULES_NEW_TO_BLIP2, configure_from_blip2
from .fusion_rablip import RablipPooler
from .losses_rablip import contrastive_loss
from .matching_rablip import RablipLogitScale
from .modeling_rablip_base import RablipPreTrainedModel, RablipTrunkOutput
from .visual_extraction_rablip import project


@dataclass
class RablipRetrieverOutput(ModelOutput):
    """
    Output of [`RablipRetriever`].

    Args:
        loss (`torch.FloatTensor` of shape `(1,)`, *optional*): contrastive loss, when `return_loss` and knowledge
            items are given.
        scores (`torch.FloatTensor` of shape `(num_questions, num_items)`, *optional*): inner products divided by the
            learned temperature, when questions and knowledge items are given.
        question_embeds (`torch.FloatTensor` of shape `(num_questions, embedding_dim)`, *optional*): L2-normalised.
        knowledge_embeds (`torch.FloatTensor` of shape `(num_items, embedding_dim)`, *optional*): L2-normalised; or
            `(num_items, num_vectors, embedding_dim)`, as `encode_knowledge` gives them.
    """

    loss: torch.FloatTensor | None = None
    scores: torch.FloatTensor | None = None
    question_embeds: torch.FloatTensor | None = None
    knowledge_embeds: torch.FloatTensor | None = None


def score_largest(question_embeds: torch.Tensor, knowledge_embeds: torch.Tensor) -> torch.Tensor:
    """Inner products of questions and items; of an item with several vectors, its largest.

    Args:
        question_embeds: (num_questions, embedding_dim).
        knowledge_embeds: (num_items, embedding_dim), or (num_items, num_vectors, embedding_dim), where a vector of
            zeros is none.

    Returns:
        `torch.FloatTensor` of shape `(num_questions, num_items)`.

    Example:

    ```python
    >>> import torch
    >>> items = torch.tensor([[[1.0, 0.0], [0.0, 0.0]], [[-0.6, 0.8], [0.0, 1.0]]])
    >>> score_largest(torch.tensor([[-1.0, 0.0]]), items).tolist()
    [[-1.0, 0.6000000238418579]]

    ```
    """
    if knowledge_embeds.dim() == 2:
        return question_embeds @ knowledge_embeds.T
    scores = torch.einsum("qd,nvd->qnv", question_embeds, knowledge_embeds)
    absent = (knowledge_embeds == 0).all(dim=-1)
    return scores.masked_fill(absent, -torch.inf).amax(dim=-1)


def mark_positives(positive_keys: torch.Tensor, knowledge_keys: torch.Tensor) -> torch.Tensor:
    """Which items answer which question, by what the items hold: a copy under another id is as right as the original.

    Args:
        positive_keys: (num_questions, max_positives) int64, keys of the ids of each question's right items, filled up
            with -1; they need not be in the batch.
        knowledge_keys: (num_items, 2) int64, the key of each item's id and the key of its content, none negative.

    Returns:
        `torch.BoolTensor` of shape `(num_questions, num_items)`: the item has one of the question's ids, or the
        content of an item that has.

    Raises:
        ValueError: the shapes are others.

    Example:

    ```python
    >>> import torch
    >>> items = torch.tensor([[1, 70], [2, 80], [3, 70]])  # the third repeats the first under another id
    >>> mark_positives(torch.tensor([[1, -1], [2, 9]]), items).tolist()
    [[True, False, True], [False, True, False]]

    ```
    """
    if positive_keys.dim() != 2 or knowledge_keys.dim() != 2 or knowledge_keys.shape[1] != 2:
        raise ValueError(
            f"`positive_keys` has shape {tuple(positive_keys.shape)} and `knowledge_keys` "
            f"{tuple(knowledge_keys.shape)}; expected (num_questions, max_positives) and (num_items, 2), as "
            "`RetrieverCollator` gives them."
        )
    ids, contents = knowledge_keys.unbind(dim=1)
    named = torch.zeros((len(positive_keys), len(ids)), dtype=torch.bool, device=ids.device)
    for column in positive_keys.unbind(dim=1):
        named |= column[:, None] == ids
    distinct, content_numbers = torch.unique(contents, return_inverse=True)
    holds = named.new_zeros((len(positive_keys), len(distinct)))
    questions, items = named.nonzero(as_tuple=True)
    holds[questions, content_numbers[items]] = True
    return holds[:, content_numbers]


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
        self.one_vector = config.retrieval_config.vectors == "one"
        if self.one_vector:
            self.pooler = RablipPooler(hidden_size)
            self.retrieval_projection = nn.Linear(hidden_size, config.embedding_dim)
        else:
            self.vision_projection = nn.Linear(hidden_size, config.embedding_dim)
            self.text_projection = nn.Linear(hidden_size, config.embedding_dim)
        self.logit_scale = RablipLogitScale(
            config.retrieval_config.initial_temperature, config.retrieval_config.max_logit_scale
        )
        self.post_init()

    @classmethod
    def from_blip2_itm(
        cls, pretrained_model_name_or_path: Any, *, config_fields: dict[str, Any] | None = None, **kwargs: Any
    ) -> RablipRetriever:
        """Start from a `Blip2ForImageTextRetrieval` checkpoint; it retrieves as that checkpoint does, untrained.

        Texts and pictures give BLIP-2's own vectors: one for a text, one per query for a picture, and the score is the
        largest inner product (its ITC score). Slots and fusion start at zero and change none of them.

        Args:
            pretrained_model_name_or_path: local folder or Hub id, in safetensors.
            config_fields: fields of [`RablipRetrieverConfig`] that the checkpoint does not decide (`max_images`,
                `adaptive_fusion_config`, ...).
            kwargs: as in `from_pretrained` (`dtype`, `device_map`, `revision`, ...).

        Returns:
            The model in evaluation mode.

        Raises:
            TypeError: the checkpoint is of another kind of model.
            ValueError: it lacks weights or has some that are not used, or its Q-Former reads no text.
        """
        return cls._convert(
            pretrained_model_name_or_path,
            configure_from_blip2,
            config_fields=config_fields,
            key_mapping=BLIP2_KEY_MAPPING,
            new_modules=MODULES_NEW_TO_BLIP2,
            unused_modules=("itm_head",),
            **kwargs,
        )

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
            apart=not self.one_vector,
        )
        if not self.one_vector:
            return self._project_each(extracted)
        pooled = self.pooler(extracted.hidden_states, extracted.attention_mask)
        return nn.functional.normalize(project(self.retrieval_projection, pooled).float(), dim=-1)

    def _project_each(self, extracted: RablipTrunkOutput) -> torch.Tensor:
        """Unit vectors of the query outputs, then of the text's first state; zeros where there is none of it."""
        states, mask, num_queries = extracted.hidden_states, extracted.attention_mask, extracted.num_queries or 0
        parts = [(project(self.vision_projection, states[:, :num_queries]), mask[:, :num_queries])]
        if states.shape[1] > num_queries:
            has_text = mask[:, num_queries:].any(dim=1)
            first = num_queries + mask[:, num_queries:].long().argmax(dim=1)
            first_states = states[torch.arange(len(states), device=states.device), first]
            parts.append((project(self.text_projection, first_states)[:, None], has_text[:, None]))
        vectors = torch.cat([vectors for vectors, _ in parts], dim=1).float()
        kept = torch.cat([present.bool() for _, present in parts], dim=1)
        return nn.functional.normalize(vectors, dim=-1).masked_fill(~kept[:, :, None], 0.0)

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
            `torch.FloatTensor` of shape `(num_questions, embedding_dim)`, fp32, L2-normalised; with
            `retrieval_config.vectors="per_query"` the direction between the text's vector and the pictures' mean one.
        """
        vectors = self._encode(input_ids, attention_mask, pixel_values, image_embeds, image_mask)
        if vectors.dim() == 2:
            return vectors
        of_pictures, of_text = vectors[:, :-1], vectors[:, -1]
        if of_pictures.shape[1]:
            of_text = of_text + nn.functional.normalize(of_pictures.sum(dim=1), dim=-1)
        return nn.functional.normalize(of_text, dim=-1)

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
            `torch.FloatTensor` of shape `(num_items, embedding_dim)`, fp32, L2-normalised; with
            `retrieval_config.vectors="per_query"` of shape `(num_items, num_vectors, embedding_dim)`: the query
            outputs (none in a batch without pictures), then the text (if the batch has any), zeros where an item
            lacks one.

        Raises:
            ValueError: neither text nor pictures are given.
        """
        return self._encode(input_ids, attention_mask, pixel_values, image_embeds, image_mask)

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
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
        knowledge_keys: torch.Tensor | None = None,
        positive_keys: torch.Tensor | None = None,
        return_loss: bool = True,
    ) -> RablipRetrieverOutput:
        """Embed questions, knowledge items or both; both are scored, and the contrastive loss is computed.

        Args:
            input_ids, attention_mask, pixel_values, image_embeds, image_mask: the questions, as in
                `encode_questions`; without `input_ids` there are none.
            knowledge_input_ids (`torch.LongTensor` of shape `(num_items, knowledge_seq_len)`, *optional*): items;
                likewise `knowledge_attention_mask`, `knowledge_pixel_values`, `knowledge_image_embeds`,
                `knowledge_image_mask`.
            positive_mask (`torch.Tensor` of shape `(num_questions, num_items)`, *optional*): which items answer
                which question; by default what the keys say, and without them item *i* answers question *i* and every
                other item is a negative.
            knowledge_keys (`torch.LongTensor` of shape `(num_items, 2)`, *optional*), positive_keys
                (`torch.LongTensor` of shape `(num_questions, max_positives)`, *optional*): as in `mark_positives`.
            return_loss (`bool`, defaults to `True`): compute the loss when questions and items are given.

        Returns:
            [`RablipRetrieverOutput`]; of questions alone only `question_embeds`, of items alone `knowledge_embeds`.

        Raises:
            ValueError: neither questions nor items, a question's pictures without its words, or fewer items than
                questions without a `positive_mask`.
        """
        has_items = any(
            given is not None for given in (knowledge_input_ids, knowledge_pixel_values, knowledge_image_embeds)
        )
        if input_ids is None:
            if pixel_values is not None or image_embeds is not None or not has_items:
                raise ValueError(
                    "Got no `input_ids`. A question needs its words beside its pictures; for knowledge items alone "
                    "give `knowledge_input_ids` or their pictures."
                )
            question_embeds = None
        else:
            question_embeds = self.encode_questions(
                input_ids, attention_mask, pixel_values=pixel_values, image_embeds=image_embeds, image_mask=image_mask
            )
        if not has_items:
            return RablipRetrieverOutput(question_embeds=question_embeds)
        knowledge_embeds = self.encode_knowledge(
            knowledge_input_ids,
            knowledge_attention_mask,
            pixel_values=knowledge_pixel_values,
            image_embeds=knowledge_image_embeds,
            image_mask=knowledge_image_mask,
        )
        if question_embeds is None:
            return RablipRetrieverOutput(knowledge_embeds=knowledge_embeds)
        scores = self.logit_scale(score_largest(question_embeds, knowledge_embeds))
        loss = None
        if return_loss:
            if positive_mask is None and knowledge_keys is not None and positive_keys is not None:
                positive_mask = mark_positives(positive_keys, knowledge_keys)
            elif positive_mask is None:
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


__all__ = ["RablipRetriever", "RablipRetrieverOutput", "mark_positives", "score_largest"]
