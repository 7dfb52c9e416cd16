"""Fusion pre-training on pictures with captions: the model whose losses teach Q-Former and fusion what fits what.

The objectives are BLIP-2's (arXiv 2301.12597): contrast, matching and captioning, here with the fusion layers above
the Q-Former, and through the heads that the retriever and the re-ranker keep.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn
from transformers.utils import ModelOutput

from ...configuration.configuration_rablip import RablipRerankerConfig
from ...modeling_rablip.losses_rablip import contrastive_loss, language_modeling_loss, relevance_loss
from ...modeling_rablip.modeling_rablip_base import RablipTrunkOutput
from ...modeling_rablip.modeling_rablip_reranker import RablipReranker
from ...modeling_rablip.visual_extraction_rablip import project
from ..trainers.gathering import gather_rows, num_processes, sum_over_processes
from .pair_negatives import draw_negatives, find_own_rows, mark_own_pairs, share_loss

_NO_LABEL = -100.0
_LARGEST = 2**63 - 1


@dataclass
class FusionPretrainingOutput(ModelOutput):
    """
    Output of [`FusionPretraining`].

    Args:
        loss (`torch.FloatTensor` of shape `(1,)`): the weighted sum of those below.
        contrastive_loss (`torch.FloatTensor` of shape `(1,)`): InfoNCE of pictures against captions, the mean of both
            directions.
        matching_loss (`torch.FloatTensor` of shape `(1,)`): binary cross-entropy of which caption fits its picture.
        captioning_loss (`torch.FloatTensor` of shape `(1,)`, *optional*): cross-entropy of the captions' tokens.
    """

    loss: torch.Tensor | None = None
    contrastive_loss: torch.Tensor | None = None
    matching_loss: torch.Tensor | None = None
    captioning_loss: torch.Tensor | None = None


class _Pairs(NamedTuple):
    """A batch of this process: captions, pictures, and what says which are equal."""

    ids: torch.Tensor
    mask: torch.Tensor
    image_embeds: torch.Tensor
    image_mask: torch.Tensor | None
    picture_keys: torch.Tensor
    caption_keys: torch.Tensor


class FusionPretraining(RablipReranker):
    r"""
    A re-ranker that learns from pictures and their captions. Contrast: picture and caption, each embedded alone as the
    retriever embeds items, find each other among the batch. Matching: the joint view of a picture and a caption is
    judged by the re-ranker's own head, for the right pairs and for one wrong caption per picture and one wrong picture
    per caption, drawn by how alike they look. Captioning (optional): the Q-Former tells a caption's next token from
    the queries and the tokens before it.

    What is kept is `to_reranker()`: the re-ranker's stage goes on from it, a retriever starts from it by `load_trunk`,
    and a generator from that retriever (a re-ranker's heads have the names, but not the shapes, of a generator's).

    Args:
        config: of the re-ranker, with one vector per item.
        captioning: whether captions are also written; adds a head that `to_reranker` leaves out.
        matching_weight: weight of the matching loss; that of the contrastive loss is 1.
        captioning_weight: weight of the captioning loss.

    Raises:
        ValueError: the configuration has BLIP-2's heads (`retrieval_config.vectors="per_query"`), or a weight is
            negative or not finite.

    Example:

    ```python
    >>> import torch
    >>> from rablip import RablipRerankerConfig
    >>> from rablip.training.fusion.pretraining import FusionPretraining

    >>> config = RablipRerankerConfig(
    ...     vision_config={"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
    ...                    "num_attention_heads": 2, "image_size": 16, "patch_size": 8},
    ...     qformer_config={"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
    ...                     "intermediate_size": 16},
    ...     adaptive_fusion_config={"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16},
    ...     num_query_tokens=2,
    ... )
    >>> model = FusionPretraining(config, captioning=True).freeze_unused()
    >>> output = model(
    ...     torch.tensor([[2, 7, 3], [2, 8, 3]]),
    ...     pixel_values=torch.rand(2, 1, 3, 16, 16),
    ...     negative_seed=torch.tensor([0]),
    ... )
    >>> list(output)
    ['loss', 'contrastive_loss', 'matching_loss', 'captioning_loss']
    >>> type(model.to_reranker()).__name__
    'RablipReranker'

    ```
    """

    def __init__(
        self,
        config: RablipRerankerConfig,
        *,
        captioning: bool = False,
        matching_weight: float = 1.0,
        captioning_weight: float = 1.0,
    ) -> None:
        for name, weight in (("matching_weight", matching_weight), ("captioning_weight", captioning_weight)):
            if not math.isfinite(weight) or weight < 0:
                raise ValueError(f"`{name}` must be a number from 0 on, got {weight}. 1.0 is BLIP-2's.")
        super().__init__(config)
        if not self.one_vector:
            raise ValueError(
                "Fusion pre-training trains the heads of models with one vector per item, but this configuration has "
                '`retrieval_config.vectors="per_query"` (BLIP-2\'s own heads, which are pre-trained). Make a '
                'configuration with `vectors="one"` and take the trunk over with `load_trunk`.'
            )
        self.matching_weight = matching_weight
        self.captioning_weight = captioning_weight
        self.captioning = captioning
        if captioning:
            qformer_config = self.qformer.config
            size = qformer_config.hidden_size
            self.caption_transform = nn.Sequential(
                nn.Linear(size, size), nn.GELU(), nn.LayerNorm(size, eps=qformer_config.layer_norm_eps)
            )
            self.caption_bias = nn.Parameter(torch.zeros(qformer_config.vocab_size))
            self.post_init()

    def freeze_unused(self) -> FusionPretraining:
        """Freeze the vision tower and what no loss here reaches, so that all that requires gradients gets them.

        Returns:
            The model itself.
        """
        self.freeze_vision_tower()
        self.similarity_threshold.requires_grad_(False)
        self.matching_head.requires_grad_(False)
        return self

    def to_reranker(self) -> RablipReranker:
        """A plain re-ranker with a copy of these weights, all of them trainable, in evaluation mode."""
        reranker = RablipReranker(copy.deepcopy(self.config))
        names = reranker.state_dict().keys()
        weights = {name: value.detach().clone() for name, value in self.state_dict().items() if name in names}
        # Assigned, not copied: every weight keeps its own precision.
        reranker.load_state_dict(weights, assign=True)
        return reranker.to(self.device).requires_grad_(True).eval()

    def embed(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        *,
        image_embeds: torch.Tensor | None = None,
        image_mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Embed pictures or captions as the retriever's `encode_knowledge` does.

        Args:
            input_ids (`torch.LongTensor` of shape `(num_items, seq_len)`, *optional*): Q-Former tokens.
            attention_mask (`torch.LongTensor` of shape `(num_items, seq_len)`, *optional*): 1 = keep.
            image_embeds (`torch.FloatTensor` of shape `(num_items, num_images, num_image_tokens,
                vision_hidden_size)`, *optional*): features of the frozen tower.
            image_mask (`torch.LongTensor` of shape `(num_items, num_images)`, *optional*): 1 = a picture.

        Returns:
            `torch.FloatTensor` of shape `(num_items, embedding_dim)`, fp32, L2-normalised.
        """
        extracted = self.extract(input_ids, attention_mask, image_embeds=image_embeds, image_mask=image_mask)
        return nn.functional.normalize(project(self.retrieval_projection, self._pool(extracted)).float(), dim=-1)

    def match(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        *,
        image_embeds: torch.Tensor,
        image_mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Judge captions beside their pictures, as the re-ranker judges a text without comparing it apart.

        Args:
            input_ids, attention_mask, image_embeds, image_mask: as in `embed`; row by row a caption and its picture.

        Returns:
            `torch.FloatTensor` of shape `(num_items,)`: logits, above 0 where the caption fits.
        """
        extracted = self.extract(input_ids, attention_mask, image_embeds=image_embeds, image_mask=image_mask)
        return project(self.relevance_head, self._pool(extracted)).squeeze(-1)

    def predict_captions(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        *,
        image_embeds: torch.Tensor,
        image_mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """States that tell the next token of a caption: a token sees the queries and the tokens before it.

        The queries see the picture and each other but no token, so that they hold what the picture says.

        Args:
            input_ids, attention_mask, image_embeds, image_mask: as in `match`.

        Returns:
            `torch.FloatTensor` of shape `(num_items, num_query_tokens + seq_len, hidden_size)`, before fusion.

        Raises:
            ValueError: the attention implementation takes no mask of its own per token.
        """
        batch_size, length = input_ids.shape
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        if image_mask is None:
            image_mask = torch.ones(image_embeds.shape[:2], dtype=torch.long, device=image_embeds.device)
        image_tokens, image_token_mask = self._lay_out(image_embeds, image_mask)
        queries = self.query_tokens(batch_size)
        return self.qformer(
            input_ids=input_ids,
            attention_mask=self._mask_later_tokens(queries, attention_mask, length),
            query_embeds=queries,
            encoder_hidden_states=image_tokens,
            encoder_attention_mask=image_token_mask,
        ).last_hidden_state

    def forward(
        self,
        caption_input_ids: torch.Tensor,
        caption_attention_mask: torch.Tensor | None = None,
        *,
        negative_seed: torch.Tensor,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        pixel_values: torch.Tensor | None = None,
        image_embeds: torch.Tensor | None = None,
        image_mask: torch.Tensor | None = None,
        picture_keys: torch.Tensor | None = None,
        caption_keys: torch.Tensor | None = None,
    ) -> FusionPretrainingOutput:
        """The losses of a batch of pairs: caption *i* is right for picture *i*.

        Where several processes train together, the pairs of all are compared and the mean of their losses is the loss
        of one process with the whole batch; every process has to call this.

        Args:
            caption_input_ids (`torch.LongTensor` of shape `(num_pairs, seq_len)`): Q-Former tokens of the captions.
            caption_attention_mask (`torch.LongTensor` of shape `(num_pairs, seq_len)`, *optional*): 1 = keep.
            negative_seed (`torch.LongTensor` of shape `(1,)`): decides, with the keys, which wrong pairs are matched.
            input_ids (`torch.LongTensor` of shape `(num_pairs, empty_len)`, *optional*): the text beside a picture
                that comes alone, which is empty, as the processor gives it; likewise `attention_mask`.
            pixel_values (`torch.FloatTensor` of shape `(num_pairs, num_images, 3, height, width)`, *optional*):
                the pictures.
            image_embeds (`torch.FloatTensor` of shape `(num_pairs, num_images, num_image_tokens,
                vision_hidden_size)`, *optional*): features of the frozen tower instead of pictures.
            image_mask (`torch.LongTensor` of shape `(num_pairs, num_images)`, *optional*): 1 = a picture.
            picture_keys (`torch.LongTensor` of shape `(num_pairs,)`, *optional*): equal where the pictures are equal;
                without them all are taken as different.
            caption_keys (`torch.LongTensor` of shape `(num_pairs,)`, *optional*): likewise for the captions.

        Returns:
            [`FusionPretrainingOutput`].

        Raises:
            ValueError: the pictures are given in both forms or in none, a pair has none, or the numbers of pairs
                differ.
        """
        if (pixel_values is None) == (image_embeds is None):
            given = "neither" if pixel_values is None else "both"
            raise ValueError(f"Got {given} of `pixel_values` and `image_embeds`; give the pictures in one form.")
        if image_mask is not None and not image_mask.any(dim=1).all():
            row = int((~image_mask.any(dim=1)).nonzero()[0])
            raise ValueError(f"Pair {row} has no picture (`image_mask` is 0 in its row). Leave it out.")
        if image_embeds is None:
            # Once for all passes.
            image_embeds = self.encode_images(pixel_values, image_mask)
        if caption_attention_mask is None:
            caption_attention_mask = torch.ones_like(caption_input_ids)
        places = torch.arange(len(caption_input_ids), device=caption_input_ids.device)
        if num_processes() > 1 and (picture_keys is None or caption_keys is None):
            raise ValueError(
                f"Got no `picture_keys` or no `caption_keys`, but {num_processes()} processes train together and "
                "compare their pairs. Give both, as `FusionCollator` does."
            )
        pairs = _Pairs(
            ids=caption_input_ids,
            mask=caption_attention_mask,
            image_embeds=image_embeds,
            image_mask=image_mask,
            picture_keys=places if picture_keys is None else picture_keys,
            caption_keys=places if caption_keys is None else caption_keys,
        )
        for name, rows in (
            ("pictures", pairs.image_embeds),
            ("`picture_keys`", pairs.picture_keys),
            ("`caption_keys`", pairs.caption_keys),
        ):
            if len(rows) != len(places):
                raise ValueError(f"Got {len(places)} captions but {len(rows)} {name}; give one per pair.")

        known = mark_own_pairs(pairs.picture_keys, pairs.caption_keys)
        pictures = self.embed(input_ids, attention_mask, image_embeds=image_embeds, image_mask=image_mask)
        captions = self.embed(pairs.ids, pairs.mask)
        scores = (
            self.logit_scale(pictures @ gather_rows(captions).T),
            self.logit_scale(captions @ gather_rows(pictures).T),
        )
        directions = [contrastive_loss(own, right) for own, right in zip(scores, known, strict=True)]
        contrast = share_loss(torch.stack(directions).mean(), torch.ones_like(places))
        matching = self._matching_loss(pairs, scores, known, negative_seed)
        loss = contrast + self.matching_weight * matching
        captioning = self._captioning_loss(pairs) if self.captioning else None
        if captioning is not None:
            loss = loss + self.captioning_weight * captioning
        return FusionPretrainingOutput(
            loss=loss, contrastive_loss=contrast, matching_loss=matching, captioning_loss=captioning
        )

    def _pool(self, extracted: RablipTrunkOutput) -> torch.Tensor:
        return self.pooler(extracted.hidden_states, extracted.attention_mask)

    def _matching_loss(
        self,
        pairs: _Pairs,
        scores: tuple[torch.Tensor, torch.Tensor],
        known: tuple[torch.Tensor, torch.Tensor],
        negative_seed: torch.Tensor,
    ) -> torch.Tensor:
        """Right pairs and, where there are, a wrong caption for each picture and a wrong picture for each caption."""
        # As the collator sums up over a whole batch.
        seed = sum_over_processes(negative_seed) & _LARGEST
        captions, caption_exists = draw_negatives(
            scores[0], known[0], seed, row_keys=pairs.picture_keys, column_keys=gather_rows(pairs.caption_keys)
        )
        # Another seed, or a picture and a caption would mostly choose each other.
        pictures, picture_exists = draw_negatives(
            scores[1], known[1], ~seed, row_keys=pairs.caption_keys, column_keys=gather_rows(pairs.picture_keys)
        )
        own = find_own_rows(pairs.ids)
        of_pictures, of_captions = torch.cat([own, own, pictures]), torch.cat([own, captions, own])
        logits = self.match(
            gather_rows(pairs.ids, fill_value=0.0)[of_captions],
            gather_rows(pairs.mask, fill_value=0.0)[of_captions],
            image_embeds=gather_rows(pairs.image_embeds, fill_value=0.0)[of_pictures],
            image_mask=None
            if pairs.image_mask is None
            else gather_rows(pairs.image_mask, fill_value=0.0)[of_pictures],
        )
        exists = torch.cat([torch.ones_like(caption_exists), caption_exists, picture_exists])
        labels = torch.zeros(exists.shape, device=exists.device)
        labels[: len(own)] = 1.0
        labels = labels.masked_fill(~exists, _NO_LABEL)
        return share_loss(relevance_loss(logits, labels, ignore_value=_NO_LABEL), exists)

    def _captioning_loss(self, pairs: _Pairs) -> torch.Tensor:
        states = self.predict_captions(
            pairs.ids, pairs.mask, image_embeds=pairs.image_embeds, image_mask=pairs.image_mask
        )
        told = pairs.mask[:, 1:].bool() & pairs.mask[:, :-1].bool()
        # Only where a token follows: logits over a whole vocabulary are the largest tensor here.
        states = states[:, -pairs.ids.shape[1] : -1][told]
        # As in BERT, the words' embeddings are also what they are told by.
        embeddings = self.qformer.get_input_embeddings().weight
        # By name, since PEFT's wrapper of a sequence has no index.
        told_by = self.caption_transform(states.to(getattr(self.caption_transform, "0").weight.dtype))
        logits = nn.functional.linear(told_by, embeddings.to(told_by.dtype), self.caption_bias.to(told_by.dtype))
        return share_loss(language_modeling_loss(logits[None], pairs.ids[:, 1:][told][None]), told)

    def _mask_later_tokens(self, queries: torch.Tensor, attention_mask: torch.Tensor, length: int) -> torch.Tensor:
        """UniLM's mask (arXiv 1905.03197), `(batch_size, 1, num_queries + seq_len, num_queries + seq_len)`."""
        implementation = self.qformer.config._attn_implementation
        if implementation not in ("eager", "sdpa"):
            raise ValueError(
                f"Captioning needs a mask of its own for every token, which the attention {implementation!r} does not "
                'take. Load the model with attn_implementation="sdpa", or leave captioning out.'
            )
        batch_size, num_queries = queries.shape[:2]
        total = num_queries + length
        seen = torch.ones((total, total), dtype=torch.bool, device=attention_mask.device).tril()
        seen[:num_queries, :num_queries] = True
        kept = nn.functional.pad(attention_mask.bool(), (num_queries, 0), value=True)
        mask = (seen & kept[:, None]).unsqueeze(1)
        if implementation == "sdpa":
            return mask
        dtype = self.qformer.embeddings.layernorm.weight.dtype
        return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(~mask, torch.finfo(dtype).min)


__all__ = ["FusionPretraining", "FusionPretrainingOutput"]
