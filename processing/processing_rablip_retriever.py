"""The retriever's and re-ranker's processor: questions, knowledge items, and pairs of both, to tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import BatchFeature

from .batching_rablip import (
    Picture,
    check_questions,
    collect_special_tokens,
    cut_text,
    encode_texts,
    list_pictures,
    pad_rows,
    stack_pictures,
)
from .knowledge_rablip import KnowledgeItem
from .processing_rablip_base import RablipProcessorMixin
from .prompts_rablip import build_reranker_text, format_knowledge_item, neutralize_markers

__all__ = ["RablipRetrieverProcessor"]


class RablipRetrieverProcessor(RablipProcessorMixin):
    """Prepares questions, knowledge items and pairs of both for `RablipRetriever` and `RablipReranker`.

    Pictures may be PIL images, `ImageRef`s or, instead of pictures, the frozen vision tower's features of each
    (num_patches + 1, vision_hidden_size). A batch without pictures has no picture keys. Token limits count special
    tokens; a text over its limit is cut at its end: `return_truncated=True` says in which rows, `strict=True` raises.

    Args:
        image_processor: a Pillow-backed image processor (`BlipImageProcessorPil`).
        qformer_tokenizer: the Q-Former's tokenizer.
        max_question_tokens: most tokens of a question.
        max_knowledge_tokens: most tokens of a knowledge item; a pair may have as many as both together.
        max_images: most pictures in one row.
        reads_empty_texts: whether a picture without words comes with an empty text; False masks that text, for models
            that embed pictures and texts apart.

    Raises:
        ValueError: when an option or a tokenizer cannot be used.

    Example:
        >>> from transformers import BertTokenizer, BlipImageProcessorPil
        >>> pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "when", "?", "|", "text", ":", "tower"]
        >>> tokenizer = BertTokenizer(vocab={piece: i for i, piece in enumerate(pieces)})
        >>> processor = RablipRetrieverProcessor(BlipImageProcessorPil(size={"height": 8, "width": 8}), tokenizer)
        >>> processor.process_questions(["When?"])["input_ids"].tolist()
        [[2, 5, 6, 3]]
        >>> item = KnowledgeItem(id="a", text="Tower")
        >>> tokenizer.decode(processor.process_pairs(["When?"], [item])["input_ids"][0])
        '[CLS] when? | text : tower [SEP]'
    """

    def __init__(
        self,
        image_processor: Any,
        qformer_tokenizer: Any,
        max_question_tokens: int = 64,
        max_knowledge_tokens: int = 128,
        max_images: int = 2,
        reads_empty_texts: bool = True,
    ) -> None:
        super().__init__(image_processor, qformer_tokenizer)
        self.max_question_tokens = max_question_tokens
        self.max_knowledge_tokens = max_knowledge_tokens
        self.max_images = max_images
        self.reads_empty_texts = reads_empty_texts
        self._check_options(max_question_tokens=8, max_knowledge_tokens=8, max_images=1)
        self._check_tokenizer("qformer_tokenizer")

    def __call__(self, images: Any = None, text: str | Sequence[str] | None = None, **kwargs: Any) -> BatchFeature:
        """Prepares questions, as `process_questions` does; one str and one picture are taken as a batch of one."""
        if text is None:
            raise ValueError("Pass the questions as `text`, or use process_knowledge for knowledge items.")
        if isinstance(text, str):
            text, images = [text], None if images is None else [images]
        return self.process_questions(text, images)

    def process_questions(
        self,
        questions: Sequence[str],
        images: Sequence[Picture | Sequence[Picture] | None] | None = None,
        *,
        return_truncated: bool = False,
        strict: bool = False,
    ) -> BatchFeature:
        """Prepares questions for `RablipRetriever.encode_questions`.

        Args:
            questions: the questions; none may be blank.
            images: per question its picture or pictures, or None.
            return_truncated: whether to add `truncated`.
            strict: whether a text that would be cut is an error.

        Returns:
            `input_ids` and `attention_mask` (batch_size, seq_len) long; with pictures also `pixel_values`
            (batch_size, num_images, 3, height, width) or `image_embeds`, and `image_mask` (batch_size, num_images)
            long; on request `truncated` (batch_size,) bool.

        Raises:
            ValueError: when a question is blank, or has more than `max_images` pictures.
            TypeError: when something is of another type than documented.
        """
        questions = check_questions(questions)
        specials = self.special_tokens
        texts = [neutralize_markers(question, specials) for question in questions]
        pictures = list_pictures(images, len(questions), "images")
        return self._finish(texts, self.max_question_tokens, pictures, return_truncated, strict)

    def process_knowledge(
        self,
        items: Sequence[KnowledgeItem],
        images: Sequence[Picture | None] | None = None,
        *,
        return_truncated: bool = False,
        strict: bool = False,
    ) -> BatchFeature:
        """Prepares knowledge items for `RablipRetriever.encode_knowledge`.

        Args:
            items: the knowledge items.
            images: per item its picture, or None. Items are not opened here: without `images` only texts enter.
            return_truncated: whether to add `truncated`.
            strict: whether a text that would be cut is an error.

        Returns:
            As `process_questions`.
        """
        specials = self.special_tokens
        texts = [format_knowledge_item(item, special_tokens=specials) for item in items]
        if not texts:
            raise ValueError("There are no knowledge items in the batch. Pass at least one.")
        pictures = list_pictures(images, len(texts), "images")
        return self._finish(texts, self.max_knowledge_tokens, pictures, return_truncated, strict)

    def process_pairs(
        self,
        questions: Sequence[str],
        items: Sequence[KnowledgeItem],
        question_images: Sequence[Picture | Sequence[Picture] | None] | None = None,
        images: Sequence[Picture | None] | None = None,
        *,
        return_truncated: bool = False,
        strict: bool = False,
    ) -> BatchFeature:
        """Prepares (question, candidate) pairs for `RablipReranker`, one row each.

        Args:
            questions: the question of each pair.
            items: the candidate of each pair.
            question_images: per pair the question's picture or pictures, or None; they take the first image slots.
            images: per pair the candidate's picture, or None; it takes the slot after them.
            return_truncated: whether to add `truncated`.
            strict: whether a text that would be cut is an error.

        Returns:
            As `process_questions` for the joint texts (where a pair is too long, the candidate is cut before the
            question is), and each side alone as the retriever reads it: `question_input_ids`,
            `question_attention_mask` (num_pairs, question_len), `knowledge_input_ids`, `knowledge_attention_mask`
            (num_pairs, knowledge_len); with pictures `question_image_mask` (num_pairs, num_images), 1 = a picture of
            the question. All long.

        Raises:
            ValueError: also when there are not as many candidates as questions.
        """
        questions = check_questions(questions)
        if len(questions) != len(items):
            raise ValueError(
                f"There are {len(questions)} questions but {len(items)} items. Pass one item per question."
            )
        of_questions = list_pictures(question_images, len(questions), "question_images")
        of_items = list_pictures(images, len(questions), "images")
        texts = self._pair_texts(questions, items, of_questions, of_items)
        limit = self.max_question_tokens + self.max_knowledge_tokens
        rows, truncated = encode_texts(self.qformer_tokenizer, texts, limit)
        if any(truncated):
            # A long question may not push its candidate out: shorten it to its own limit first, then cut the end.
            most = self.max_question_tokens - self.qformer_tokenizer.num_special_tokens_to_add()
            questions = [
                cut_text(self.qformer_tokenizer, neutralize_markers(question, self.special_tokens), most)
                if cut
                else question
                for question, cut in zip(questions, truncated, strict=True)
            ]
            texts = self._pair_texts(questions, items, of_questions, of_items)
            rows, _ = encode_texts(self.qformer_tokenizer, texts, limit)
        pictures = [[*first, *second] for first, second in zip(of_questions, of_items, strict=True)]
        sides = {
            "question": self.process_questions(questions, return_truncated=True),
            "knowledge": self.process_knowledge(items, return_truncated=True),
        }
        flags = zip(truncated, *(side["truncated"].tolist() for side in sides.values()), strict=True)
        batch = self._collect(rows, [any(cut) for cut in flags], pictures, return_truncated, strict)
        for name, side in sides.items():
            batch |= {f"{name}_{key}": side[key] for key in ("input_ids", "attention_mask")}
        if "image_mask" in batch:
            counts = torch.tensor([len(first) for first in of_questions])
            slots = torch.arange(batch["image_mask"].shape[1])
            batch["question_image_mask"] = (slots < counts[:, None]).long()
        return batch

    @property
    def special_tokens(self) -> tuple[str, ...]:
        """The special tokens that are neutralized in every text from outside."""
        return collect_special_tokens(self.qformer_tokenizer)

    @property
    def model_input_names(self) -> list[str]:
        """Names of the tensors that the models read."""
        return [
            "input_ids",
            "attention_mask",
            "pixel_values",
            "image_embeds",
            "image_mask",
            "question_input_ids",
            "question_attention_mask",
            "question_image_mask",
            "knowledge_input_ids",
            "knowledge_attention_mask",
        ]

    def _pair_texts(
        self,
        questions: Sequence[str],
        items: Sequence[KnowledgeItem],
        of_questions: Sequence[Sequence[Picture]],
        of_items: Sequence[Sequence[Picture]],
    ) -> list[str]:
        specials = self.special_tokens
        return [
            build_reranker_text(
                question,
                item,
                picture_number=len(first) + 1 if second else None,
                question_picture_numbers=range(1, len(first) + 1),
                special_tokens=specials,
            )
            for question, item, first, second in zip(questions, items, of_questions, of_items, strict=True)
        ]

    def _finish(
        self,
        texts: list[str],
        max_tokens: int,
        pictures: list[list[Picture]],
        return_truncated: bool,
        strict: bool,
    ) -> BatchFeature:
        rows, truncated = encode_texts(self.qformer_tokenizer, texts, max_tokens)
        batch = self._collect(rows, truncated, pictures, return_truncated, strict)
        if not self.reads_empty_texts:
            batch["attention_mask"] *= torch.tensor([[bool(text)] for text in texts])
        return batch

    def _collect(
        self,
        rows: list[list[int]],
        truncated: list[bool],
        pictures: list[list[Picture]],
        return_truncated: bool,
        strict: bool,
    ) -> BatchFeature:
        self._check_num_pictures(pictures)
        input_ids, attention_mask = pad_rows(rows, self.qformer_tokenizer.pad_token_id)
        data = {"input_ids": input_ids, "attention_mask": attention_mask}
        data |= stack_pictures(pictures, self.image_processor)
        return self._report_truncated(data, truncated, return_truncated, strict)
