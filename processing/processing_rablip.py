"""The generator's processor: questions, evidence and pictures to tensors, generated ids to answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import AddedToken, BatchFeature
from transformers.processing_utils import ProcessingKwargs

from .batching_rablip import (
    Picture,
    check_questions,
    collect_special_tokens,
    encode_texts,
    list_pictures,
    pad_rows,
    stack_pictures,
)
from .knowledge_rablip import KnowledgeItem
from .processing_rablip_base import RablipProcessorMixin
from .processing_rablip_retriever import RablipRetrieverProcessor
from .prompt_fitting_rablip import PromptParts, encode_prompts, encode_targets
from .prompts_rablip import ASKG_ENDING, QA_ENDING, build_askg_target, neutralize_markers

__all__ = ["RablipProcessor", "RablipRetrieverProcessor"]


class RablipProcessor(RablipProcessorMixin):
    """Prepares questions with their evidence for `RablipForConditionalGeneration`, and decodes what it generates.

    Args:
        image_processor: a Pillow-backed image processor (`BlipImageProcessorPil`).
        tokenizer: the language model's tokenizer; its padding side is kept. The image token is added to it.
        qformer_tokenizer: the Q-Former's tokenizer.
        num_query_tokens: image tokens in front of a row with pictures; must be the model's. There is no default.
        max_images: most pictures in one row, the question's included.
        max_prompt_tokens: most tokens of a prompt, image tokens and special tokens included, the answer not.
        max_question_tokens: where a prompt is too long, a longer question is cut to this; then the evidence is cut;
            what is left of the question is only cut when no evidence is left.
        max_instruction_tokens: most tokens of the Q-Former instruction.
        max_answer_tokens: most tokens of an answer to learn.
        image_token: the token that stands for one query output of the Q-Former.
        causal_lm: True for a decoder-only language model: answers to learn are appended to the prompt.
        queries_without_pictures: whether rows without pictures have image tokens too; must be the model's.
        chat_template: kept for pipelines.

    Raises:
        ValueError: when an option or a tokenizer cannot be used.

    Example:
        >>> from transformers import BertTokenizer, BlipImageProcessorPil, T5Tokenizer
        >>> qformer_tokenizer = BertTokenizer(vocab={"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4})
        >>> pieces = ["<pad>", "</s>", "<unk>", "\u2581", *"QuestionRfrcxw:?[/1].ATW"]
        >>> tokenizer = T5Tokenizer(vocab=[(piece, -1.0) for piece in pieces], extra_ids=0)
        >>> image_processor = BlipImageProcessorPil(size={"height": 8, "width": 8})
        >>> processor = RablipProcessor(image_processor, tokenizer, qformer_tokenizer, num_query_tokens=2)
        >>> item = KnowledgeItem(id="a", text="Tower")
        >>> batch = processor.process_generation(["Wen?"], [[item]])
        >>> processor.decode_answers(batch["input_ids"])
        ['Question: Wen? References: [1] text: Tower [/1] Answer:']
        >>> int(batch["candidate_mask"].sum())
        1
    """

    def __init__(
        self,
        image_processor: Any,
        tokenizer: Any,
        qformer_tokenizer: Any,
        num_query_tokens: int | None = None,
        max_images: int = 2,
        max_prompt_tokens: int = 512,
        max_question_tokens: int = 128,
        max_instruction_tokens: int = 128,
        max_answer_tokens: int = 64,
        image_token: str = "<image>",
        causal_lm: bool = False,
        queries_without_pictures: bool = False,
        chat_template: str | None = None,
    ) -> None:
        if num_query_tokens is None:
            raise ValueError(
                "RablipProcessor needs num_query_tokens; it is not guessed. Pass config.num_query_tokens."
            )
        if image_token not in tokenizer.get_added_vocab():
            tokenizer.add_tokens([AddedToken(image_token, normalized=False, special=True)], special_tokens=True)
        super().__init__(image_processor, tokenizer, qformer_tokenizer, chat_template=chat_template)
        self.num_query_tokens = num_query_tokens
        self.max_images = max_images
        self.max_prompt_tokens = max_prompt_tokens
        self.max_question_tokens = max_question_tokens
        self.max_instruction_tokens = max_instruction_tokens
        self.max_answer_tokens = max_answer_tokens
        self.image_token = image_token
        self.causal_lm = causal_lm
        self.queries_without_pictures = queries_without_pictures
        self._check_options(
            num_query_tokens=1, max_images=1, max_question_tokens=1, max_instruction_tokens=8, max_answer_tokens=2
        )
        self._check_options(max_prompt_tokens=num_query_tokens + 8)
        self._check_tokenizer("tokenizer")
        self._check_tokenizer("qformer_tokenizer")
        if tokenizer.eos_token_id is None:
            raise ValueError("tokenizer has no end-of-sequence token; answers could not end. Set tokenizer.eos_token.")

    def process_generation(
        self,
        questions: Sequence[str],
        evidence: Sequence[Sequence[KnowledgeItem]] | None = None,
        images: Sequence[Sequence[Picture | None] | None] | None = None,
        question_images: Sequence[Picture | Sequence[Picture] | None] | None = None,
        answers: Sequence[str | None] | None = None,
        relevance: Sequence[Sequence[float]] | None = None,
        askg: bool = False,
        *,
        return_truncated: bool = False,
        strict: bool = False,
    ) -> BatchFeature:
        """Prepares questions with their candidates for `RablipForConditionalGeneration`.

        Args:
            questions: the questions; none may be blank.
            evidence: per question its candidates, in the order in which they are numbered; maybe none.
            images: per question, per candidate its picture, or None. Items are not opened here: without `images` only
                texts enter.
            question_images: per question its own picture or pictures, or None; they take the first image slots.
            answers: per question the answer to learn, or None for a row without one.
            relevance: per question, per candidate how relevant it is, 0 to 1.
            askg: whether to prepare the second prompt, which asks for the relevant candidates.
            return_truncated: whether to add `truncated`.
            strict: whether a text that would be cut is an error.

        Returns:
            Long tensors unless stated:
            `input_ids`, `attention_mask` (batch_size, seq_len), with `num_query_tokens` image tokens in front of the
            prompt of a row with pictures and none in front of another;
            `qformer_input_ids`, `qformer_attention_mask` (batch_size, instruction_len);
            with candidates `reference_positions` (batch_size, num_candidates), the index in `input_ids` of each
            candidate's closing marker, `candidate_mask` (batch_size, num_candidates), and `segment_ids` (batch_size,
            seq_len), 1 = the question's tokens, 1 + i = the i-th candidate's, 0 = others;
            with pictures `image_mask` and `pixel_values` or `image_embeds`, as in `RablipRetrieverProcessor`;
            with answers `labels`, -100 where nothing is to be learned: (batch_size, answer_len), or like `input_ids`
            with `causal_lm`, where the answer follows the prompt;
            with relevance `relevance_labels` (batch_size, num_candidates) float, -100 where there is no candidate;
            with askg `askg_input_ids`, `askg_attention_mask`, with candidates `askg_reference_positions` and
            `askg_segment_ids`, and with relevance `askg_labels`;
            on request `truncated` (batch_size,) bool: whether any text of the row was cut.

        Raises:
            ValueError: when a question is blank, a row has too many pictures or candidates, or lengths do not agree.
            TypeError: when something is of another type than documented.
        """
        questions = check_questions(questions)
        num_rows = len(questions)
        candidates = _check_rows(evidence, num_rows, "evidence")
        shown = _align_images(images, candidates)
        of_questions = list_pictures(question_images, num_rows, "question_images")
        specials = self.special_tokens
        rows = [
            PromptParts.build(question, items, pictures, len(first), specials)
            for question, items, pictures, first in zip(questions, candidates, shown, of_questions, strict=True)
        ]
        pictures = [
            [*first, *(picture for picture in second if picture is not None)]
            for first, second in zip(of_questions, shown, strict=True)
        ]
        self._check_num_pictures(pictures)
        labels = _check_relevance(relevance, candidates)

        instructions, truncated = encode_texts(
            self.qformer_tokenizer, [row.instruction for row in rows], self.max_instruction_tokens
        )
        data: dict[str, torch.Tensor] = {}
        data["qformer_input_ids"], data["qformer_attention_mask"] = pad_rows(
            instructions, self.qformer_tokenizer.pad_token_id
        )
        targets = None if answers is None else self._check_answers(answers, num_rows, specials)
        flags = [truncated, self._add_pass(data, "", rows, QA_ENDING, pictures, targets)]
        if askg:
            targets = None
            if labels is not None:
                targets = [build_askg_target([i for i, label in enumerate(row, 1) if label >= 0.5]) for row in labels]
            flags.append(self._add_pass(data, "askg_", rows, ASKG_ENDING, pictures, targets))
        if any(candidates):
            _, data["candidate_mask"] = pad_rows([[1] * len(items) for items in candidates], 0)
            if labels is not None:
                width = data["candidate_mask"].shape[1]
                data["relevance_labels"] = torch.tensor([[*row, *[-100.0] * (width - len(row))] for row in labels])
        data |= stack_pictures(pictures, self.image_processor)
        return self._report_truncated(data, [any(row) for row in zip(*flags, strict=True)], return_truncated, strict)

    def decode_answers(self, ids: torch.Tensor | Sequence[Sequence[int]]) -> list[str]:
        """Generated ids (batch_size, num_new_tokens) to texts, without special tokens; negative ids are padding."""
        rows = ids.tolist() if isinstance(ids, torch.Tensor) else ids
        padding = self.tokenizer.pad_token_id
        clean = [[token if token >= 0 else padding for token in row] for row in rows]
        return [" ".join(text.split()) for text in self.tokenizer.batch_decode(clean, skip_special_tokens=True)]

    def __call__(self, images: Any = None, text: str | Sequence[str] | None = None, **kwargs: Any) -> BatchFeature:
        """Prepares plain texts and pictures as InstructBLIP's processor does, for pipelines: no evidence, no cleaning.

        Args:
            images: one picture, or per text its picture or pictures, or None.
            text: one text or a list of texts; each is the prompt and the Q-Former instruction.
            kwargs: for the tokenizers (`padding`, `truncation`, `max_length`, `return_tensors`, ...). `max_length`
                counts the image tokens.

        Returns:
            `input_ids`, `attention_mask`, `qformer_input_ids`, `qformer_attention_mask`, and with pictures
            `pixel_values` (batch_size, num_images, 3, height, width) and `image_mask` (batch_size, num_images).
            Where any row has a picture, every row must: image tokens stand in front of the padding of every row.
        """
        if text is None:
            raise ValueError("RablipProcessor needs `text`. Pass the question, or an empty text beside a picture.")
        texts = [text] if isinstance(text, str) else list(text)
        merged = self._merge_kwargs(
            ProcessingKwargs,  # type: ignore[arg-type]  # the class, as transformers itself passes it
            tokenizer_init_kwargs=self.tokenizer.init_kwargs,
            **kwargs,
        )
        options = merged["text_kwargs"]
        return_tensors = options.pop("return_tensors", None)
        options["return_token_type_ids"] = False
        instruction = self.qformer_tokenizer(texts, **options)
        rows = self._call_pictures(images, len(texts))
        num_image_tokens = self.num_query_tokens if any(rows) or self.queries_without_pictures else 0
        if options.get("max_length") is not None:
            options["max_length"] -= num_image_tokens
        prompts = self.tokenizer(texts, **options)
        data = {
            "input_ids": [[self.image_token_id] * num_image_tokens + list(ids) for ids in prompts["input_ids"]],
            "attention_mask": [[1] * num_image_tokens + list(mask) for mask in prompts["attention_mask"]],
            "qformer_input_ids": instruction["input_ids"],
            "qformer_attention_mask": instruction["attention_mask"],
        }
        batch = BatchFeature(data, tensor_type=return_tensors)
        batch.update(stack_pictures(rows, self.image_processor))
        return batch

    @property
    def image_token_id(self) -> int:
        """Id of the image token in the language model's vocabulary; must equal the model's `image_token_index`."""
        return int(self.tokenizer.convert_tokens_to_ids(self.image_token))

    @property
    def special_tokens(self) -> tuple[str, ...]:
        """The special tokens that are neutralized in every text from outside."""
        return collect_special_tokens(self.tokenizer, self.qformer_tokenizer)

    @property
    def pad_token_id(self) -> int:
        """Padding id of the language model's tokenizer (`Seq2SeqTrainer` asks its processing class for it)."""
        return int(self.tokenizer.pad_token_id)

    @property
    def eos_token_id(self) -> int:
        """End-of-sequence id of the language model's tokenizer."""
        return int(self.tokenizer.eos_token_id)

    @property
    def model_input_names(self) -> list[str]:
        """Names of the tensors that the model reads to answer."""
        return [
            "input_ids",
            "attention_mask",
            "qformer_input_ids",
            "qformer_attention_mask",
            "pixel_values",
            "image_embeds",
            "image_mask",
            "reference_positions",
            "candidate_mask",
            "segment_ids",
        ]

    def _add_pass(
        self,
        data: dict[str, torch.Tensor],
        prefix: str,
        rows: Sequence[PromptParts],
        ending: str,
        pictures: Sequence[Sequence[Picture]],
        targets: Sequence[str | None] | None,
    ) -> list[bool]:
        """Adds one pass through the language model (answer or ASKG) to the batch; says which rows were cut."""
        always = self.queries_without_pictures
        num_image_tokens = [self.num_query_tokens if row or always else 0 for row in pictures]
        prompts = encode_prompts(
            self.tokenizer,
            rows,
            ending,
            [self.max_prompt_tokens - number for number in num_image_tokens],
            self.max_question_tokens,
            strip_eos=self.causal_lm,
        )
        truncated = [prompt.truncated for prompt in prompts]
        ids = [prompt.ids for prompt in prompts]
        if targets is not None:
            learned, too_long = encode_targets(
                self.tokenizer, targets, self.max_answer_tokens, prompts if self.causal_lm else None
            )
            truncated = [cut or long for cut, long in zip(truncated, too_long, strict=True)]
            if self.causal_lm:
                ids = [[*prompt, *answer] for prompt, answer in zip(ids, learned, strict=True)]
        side = self.tokenizer.padding_side
        full = [[self.image_token_id] * number + row for number, row in zip(num_image_tokens, ids, strict=True)]
        data[f"{prefix}input_ids"], data[f"{prefix}attention_mask"] = pad_rows(full, self.pad_token_id, side)
        length = data[f"{prefix}input_ids"].shape[1]
        if targets is not None:
            if self.causal_lm:
                learned = [[-100] * (len(row) - len(new)) + new for row, new in zip(full, learned, strict=True)]
            else:
                # A decoder needs a step to take also where no row of the batch has an answer.
                learned = [row or [-100] for row in learned]
            data[f"{prefix}labels"], _ = pad_rows(learned, -100, side if self.causal_lm else "right")
        if any(prompt.positions for prompt in prompts):
            starts = [
                number + (length - len(row) if side == "left" else 0)
                for number, row in zip(num_image_tokens, full, strict=True)
            ]
            data[f"{prefix}reference_positions"], _ = pad_rows(
                [[start + i for i in prompt.positions] for start, prompt in zip(starts, prompts, strict=True)], 0
            )
            # Image tokens in front and an answer behind belong to no part.
            parts = [
                [0] * number + prompt.segment_ids + [0] * (len(row) - number - len(prompt.segment_ids))
                for number, prompt, row in zip(num_image_tokens, prompts, full, strict=True)
            ]
            data[f"{prefix}segment_ids"], _ = pad_rows(parts, 0, side)
        return truncated

    def _check_answers(
        self, answers: Sequence[str | None], num_rows: int, specials: tuple[str, ...]
    ) -> list[str | None]:
        if isinstance(answers, str) or len(answers) != num_rows:
            raise ValueError(f"There are {num_rows} questions but {len(answers)} answers. Pass one per row, or None.")
        cleaned = [None if answer is None else neutralize_markers(answer, specials) for answer in answers]
        for row, answer in enumerate(cleaned):
            if answer == "":
                raise ValueError(f"Answer {row} is empty. Pass None for a row without an answer to learn.")
        return cleaned

    def _call_pictures(self, images: Any, num_rows: int) -> list[list[Picture]]:
        if images is not None and not isinstance(images, (list, tuple)):
            images = [images]
        rows = list_pictures(images, num_rows, "images")
        self._check_num_pictures(rows)
        if any(rows) and not all(rows):
            raise ValueError(
                "Some rows have a picture and some have none. Use process_generation, or split the batch."
            )
        return rows


def _check_rows(evidence: Any, num_rows: int, what: str) -> list[list[KnowledgeItem]]:
    if evidence is None:
        return [[] for _ in range(num_rows)]
    if len(evidence) != num_rows:
        raise ValueError(f"There are {num_rows} questions but {len(evidence)} rows of {what}. Pass one row each.")
    rows = [list(row) for row in evidence]
    for row in rows:
        for item in row:
            if not isinstance(item, KnowledgeItem):
                raise TypeError(f"`{what}` must hold rows of KnowledgeItems, got {type(item).__name__} in a row.")
    return rows


def _align_images(images: Any, candidates: Sequence[Sequence[KnowledgeItem]]) -> list[list[Picture | None]]:
    if images is None:
        return [[None] * len(row) for row in candidates]
    if len(images) != len(candidates):
        raise ValueError(f"`images` has {len(images)} rows for {len(candidates)} questions. Pass one row each.")
    aligned: list[list[Picture | None]] = []
    for number, (row, items) in enumerate(zip(images, candidates, strict=True)):
        row = [None] * len(items) if row is None else list(row)
        if len(row) != len(items):
            raise ValueError(f"Row {number} has {len(items)} candidates but {len(row)} pictures. Pass None for none.")
        list_pictures(row, len(row), "images")
        aligned.append(row)
    return aligned


def _check_relevance(relevance: Any, candidates: Sequence[Sequence[KnowledgeItem]]) -> list[list[float]] | None:
    if relevance is None:
        return None
    rows = [[float(label) for label in row] for row in relevance]
    lengths, expected = [len(row) for row in rows], [len(row) for row in candidates]
    if lengths != expected:
        raise ValueError(
            f"`relevance` has rows of lengths {lengths}, the evidence {expected}. Pass one per candidate."
        )
    wrong = [label for row in rows for label in row if not 0.0 <= label <= 1.0]
    if wrong:
        raise ValueError(f"Relevance must lie in 0..1, got {wrong[0]}.")
    return rows
