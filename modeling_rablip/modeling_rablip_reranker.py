"""The question-instructed re-ranker: does this candidate help to answer this question?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers.utils import ModelOutput

from ..configuration.configuration_rablip import RablipRerankerConfig
from .conversion_blip2_rablip import BLIP2_KEY_MAPPING, MODULES_NEW_TO_BLIP2, configure_from_blip2
from .fusion_rablip import RablipPooler
from .losses_rablip import relevance_loss
from .matching_rablip import RablipLogitScale, RablipMatchingHead, RablipSimilarityThreshold
from .modeling_rablip_base import RablipPreTrainedModel, RablipTrunkOutput
from .visual_extraction_rablip import project


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
    Relevance classifier over (question, candidate) pairs, from two views of the same trunk. Jointly: the question and
    the candidate's text instruct the Q-Former while it looks at the candidate's picture (and the question's); a pooled
    state gives a logit. Apart, where their texts are given (`question_input_ids`, `knowledge_input_ids`): question and
    candidate are embedded each with its own pictures, exactly as the retriever embeds them, and compared, by the angle
    as in the retriever and feature by feature; this logit is added. After a warm start from a retriever
    (`load_trunk`) it therefore ranks as the retriever does, and goes on from there. The classifier decides which and
    how many candidates become evidence, not only their order. With `retrieval_config.vectors="per_query"`, as
    `from_blip2_itm` makes it, the logit is BLIP-2's instead: its matching head over the joint view's query outputs.

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
        self.one_vector = config.retrieval_config.vectors == "one"
        if not self.one_vector:
            self.itm_head = nn.Linear(hidden_size, 2)
            self.post_init()
            return
        self.pooler = RablipPooler(hidden_size)
        self.relevance_head = nn.Linear(hidden_size, 1)
        # The retriever's names for the retriever's parts, so that a warm start brings what it has learned to compare.
        self.retrieval_projection = nn.Linear(hidden_size, config.embedding_dim)
        self.logit_scale = RablipLogitScale(
            config.retrieval_config.initial_temperature, config.retrieval_config.max_logit_scale
        )
        self.similarity_threshold = RablipSimilarityThreshold()
        self.matching_head = RablipMatchingHead(config.embedding_dim, hidden_size)
        self.post_init()

    @classmethod
    def from_blip2_itm(
        cls, pretrained_model_name_or_path: Any, *, config_fields: dict[str, Any] | None = None, **kwargs: Any
    ) -> RablipReranker:
        """Start from a `Blip2ForImageTextRetrieval` checkpoint: relevance is the match that its ITM head sees.

        The head has learned to match texts with pictures, so this re-ranker refuses pairs without a picture.

        Args:
            pretrained_model_name_or_path: local folder or Hub id, in safetensors.
            config_fields: fields of [`RablipRerankerConfig`] that the checkpoint does not decide.
            kwargs: as in `from_pretrained` (`dtype`, `device_map`, `revision`, ...).

        Returns:
            The model in evaluation mode; its logit is the ITM head's match minus its mismatch.

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
            unused_modules=("vision_projection", "text_projection"),
            **kwargs,
        )

    def _match(self, extracted: RablipTrunkOutput) -> torch.Tensor:
        """BLIP-2's matching logit `(batch_size,)`: the mean over the query outputs, match minus mismatch.

        Raises:
            ValueError: a row has no picture, and so no query outputs.
        """
        num_queries = extracted.num_queries
        without = torch.ones(1) if num_queries == 0 else 1 - extracted.attention_mask[:, 0]
        if without.any():
            raise ValueError(
                f"Row {int(without.nonzero()[0])} has no picture, but this re-ranker has BLIP-2's matching head, "
                "which judges pictures only. Re-rank candidates with pictures only, or answer without a re-ranker."
            )
        logits = project(self.itm_head, extracted.hidden_states[:, :num_queries]).mean(dim=1)
        return logits[:, 1] - logits[:, 0]

    def _embed(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None,
        image_embeds: torch.Tensor | None,
        image_mask: torch.Tensor | None,
    ) -> torch.Tensor:
        """Pooled and projected vectors `(batch_size, embedding_dim)` of texts with their pictures."""
        extracted = self.extract(input_ids, attention_mask, image_embeds=image_embeds, image_mask=image_mask)
        return project(self.retrieval_projection, self.pooler(extracted.hidden_states, extracted.attention_mask))

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        *,
        pixel_values: torch.Tensor | None = None,
        image_embeds: torch.Tensor | None = None,
        image_mask: torch.Tensor | None = None,
        question_input_ids: torch.Tensor | None = None,
        question_attention_mask: torch.Tensor | None = None,
        question_image_mask: torch.Tensor | None = None,
        knowledge_input_ids: torch.Tensor | None = None,
        knowledge_attention_mask: torch.Tensor | None = None,
        relevance_labels: torch.Tensor | None = None,
        num_candidates: torch.Tensor | None = None,
    ) -> RablipRerankerOutput:
        """Judge pairs.

        Args:
            input_ids (`torch.LongTensor` of shape `(batch_size, seq_len)`): Q-Former tokens of question and item.
            attention_mask (`torch.LongTensor` of shape `(batch_size, seq_len)`, *optional*): 1 = keep.
            pixel_values (`torch.FloatTensor` of shape `(batch_size, num_images, 3, height, width)`, *optional*): the
                question's pictures, then the candidate's.
            image_embeds (`torch.FloatTensor` of shape `(batch_size, num_images, num_image_tokens,
                vision_hidden_size)`, *optional*): features of the frozen tower instead of pictures.
            image_mask (`torch.LongTensor` of shape `(batch_size, num_images)`, *optional*): 1 = a picture.
            question_input_ids (`torch.LongTensor` of shape `(batch_size, question_len)`, *optional*): Q-Former tokens
                of the question alone, as the retriever reads it; likewise `question_attention_mask`. Without them
                question and candidate are not compared apart.
            question_image_mask (`torch.LongTensor` of shape `(batch_size, num_images)`, *optional*): 1 = a picture of
                the question; without it every picture is the candidate's.
            knowledge_input_ids (`torch.LongTensor` of shape `(batch_size, knowledge_len)`, *optional*): Q-Former
                tokens of the candidate alone; likewise `knowledge_attention_mask`. Given with `question_input_ids`.
            relevance_labels (`torch.FloatTensor` of shape `(batch_size,)`, *optional*): 1 relevant, 0 not,
                -100 ignored.
            num_candidates (`torch.LongTensor` of shape `(num_questions,)`, *optional*): how many pairs each question
                has. It is not read: a pair is judged alone, but batches of `RerankerCollator` have it.

        Returns:
            [`RablipRerankerOutput`].

        Raises:
            ValueError: only one of `question_input_ids` and `knowledge_input_ids` is given, or pictures in two forms.
        """
        if (question_input_ids is None) != (knowledge_input_ids is None):
            raise ValueError(
                "Got only one of `question_input_ids` and `knowledge_input_ids`; the re-ranker compares both. Give "
                "both, as `process_pairs` does, or neither."
            )
        if pixel_values is not None and image_embeds is None:
            # Once for all three passes.
            image_embeds, pixel_values = self.encode_images(pixel_values, image_mask), None
        extracted = self.extract(
            input_ids,
            attention_mask,
            pixel_values=pixel_values,
            image_embeds=image_embeds,
            image_mask=image_mask,
        )
        if self.one_vector:
            pooled = self.pooler(extracted.hidden_states, extracted.attention_mask)
            relevance_logits = project(self.relevance_head, pooled).squeeze(-1)
        else:
            relevance_logits = self._match(extracted)
        if self.one_vector and question_input_ids is not None and knowledge_input_ids is not None:
            of_question, of_candidate = _split_pictures(image_embeds, image_mask, question_image_mask)
            question = self._embed(question_input_ids, question_attention_mask, *of_question)
            candidate = self._embed(knowledge_input_ids, knowledge_attention_mask, *of_candidate)
            similarity = nn.functional.cosine_similarity(question.float(), candidate.float(), dim=-1)
            relevance_logits = relevance_logits + self.logit_scale(self.similarity_threshold(similarity))
            relevance_logits = relevance_logits + self.matching_head(question, candidate)
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


def _split_pictures(
    image_embeds: torch.Tensor | None, image_mask: torch.Tensor | None, question_image_mask: torch.Tensor | None
) -> tuple[tuple[torch.Tensor | None, torch.Tensor | None], tuple[torch.Tensor | None, torch.Tensor | None]]:
    """Features and mask of the questions' pictures and of the candidates', each from the first slot on.

    A side without any picture in the whole batch gives `(None, None)`, so that it costs what text costs.
    """
    if image_embeds is None:
        return (None, None), (None, None)
    if image_mask is None:
        image_mask = torch.ones(image_embeds.shape[:2], dtype=torch.long, device=image_embeds.device)
    if question_image_mask is None:
        question_image_mask = torch.zeros_like(image_mask)
    of_question = image_mask * question_image_mask
    return _pack_slots(image_embeds, of_question), _pack_slots(image_embeds, image_mask - of_question)


def _pack_slots(
    image_embeds: torch.Tensor, image_mask: torch.Tensor
) -> tuple[torch.Tensor | None, torch.Tensor | None]:
    """The marked pictures of every row in its first slots, as the retriever would get them."""
    num_images = int(image_mask.sum(dim=1).max())
    if num_images == 0:
        return None, None
    order = image_mask.argsort(dim=1, descending=True, stable=True)[:, :num_images]
    packed = image_embeds.gather(1, order[:, :, None, None].expand(-1, -1, *image_embeds.shape[2:]))
    return packed, image_mask.gather(1, order)


__all__ = ["RablipReranker", "RablipRerankerOutput"]
