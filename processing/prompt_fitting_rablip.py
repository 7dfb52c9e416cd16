"""Language-model rows: prompts and targets to token ids of limited length, the evidence cut before the question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from .batching_rablip import Picture, cut_text, share_tokens
from .knowledge_rablip import KnowledgeItem
from .prompts_rablip import Prompt, build_instruction, compose_prompt, format_knowledge_item, neutralize_markers

__all__ = ["EncodedPrompt", "PromptParts", "encode_prompts", "encode_targets"]


@dataclass(frozen=True, kw_only=True)
class PromptParts:
    """The neutralized texts of one row, before they become a prompt.

    Args:
        question: the question.
        bodies: the text of each candidate.
        picture_numbers: number of each candidate's picture, None where it shows none.
        question_picture_numbers: numbers of the question's own pictures.
        instruction: the Q-Former's instruction.
    """

    question: str
    bodies: tuple[str, ...]
    picture_numbers: tuple[int | None, ...]
    question_picture_numbers: tuple[int, ...]
    instruction: str

    @classmethod
    def build(
        cls,
        question: str,
        items: Sequence[KnowledgeItem],
        pictures: Sequence[Picture | None],
        num_question_pictures: int,
        special_tokens: tuple[str, ...],
    ) -> PromptParts:
        """Numbers the pictures (the question's first) and formats every text of a row."""
        numbers: list[int | None] = []
        next_number = num_question_pictures + 1
        for picture in pictures:
            numbers.append(None if picture is None else next_number)
            next_number += picture is not None
        own = tuple(range(1, num_question_pictures + 1))
        return cls(
            question=neutralize_markers(question, special_tokens),
            bodies=tuple(format_knowledge_item(item, special_tokens=special_tokens) for item in items),
            picture_numbers=tuple(numbers),
            question_picture_numbers=own,
            instruction=build_instruction(
                question, items, numbers, question_picture_numbers=own, special_tokens=special_tokens
            ),
        )

    def compose(self, ending: str) -> Prompt:
        """The prompt of these texts."""
        return compose_prompt(
            self.question,
            self.bodies,
            self.picture_numbers,
            ending=ending,
            question_picture_numbers=self.question_picture_numbers,
        )


@dataclass(frozen=True, kw_only=True)
class EncodedPrompt:
    """A prompt as token ids.

    Args:
        text: the prompt, as it was encoded.
        ids: its token ids, special tokens included.
        positions: per candidate the index in `ids` of the last token of its closing marker.
        segment_ids: per token 1 = the question, 1 + *i* = the *i*-th candidate, 0 = what is behind them.
        truncated: whether any of its texts was cut.
    """

    text: str
    ids: list[int]
    positions: list[int]
    segment_ids: list[int]
    truncated: bool


def encode_prompts(
    tokenizer: Any,
    rows: Sequence[PromptParts],
    ending: str,
    max_tokens: Sequence[int],
    max_question_tokens: int,
    *,
    strip_eos: bool = False,
) -> list[EncodedPrompt]:
    """Encodes one prompt per row, cutting texts where it is too long.

    Args:
        tokenizer: the language model's tokenizer.
        rows: the texts of each row.
        ending: the last words of the prompt.
        max_tokens: most ids each row may have.
        max_question_tokens: what a too long prompt leaves its question, as long as there is evidence to cut.
        strip_eos: whether to drop an end-of-sequence token that the tokenizer puts behind the prompt.

    Raises:
        ValueError: when the candidates do not fit even without any text of their own.
    """
    prompts = [row.compose(ending) for row in rows]
    encoding = tokenizer([prompt.text for prompt in prompts], verbose=False)
    encoded = []
    for row, (prompt, ids, limit) in enumerate(zip(prompts, encoding["input_ids"], max_tokens, strict=True)):
        if len(ids) <= limit:
            encoded.append(_locate(tokenizer, encoding, row, prompt, truncated=False))
        else:
            encoded.append(_fit(tokenizer, rows[row], ending, limit, max_question_tokens, row))
    if strip_eos:
        return [_without_eos(prompt, tokenizer.eos_token_id) for prompt in encoded]
    return encoded


def encode_targets(
    tokenizer: Any,
    targets: Sequence[str | None],
    max_tokens: int,
    prompts: Sequence[EncodedPrompt] | None = None,
) -> tuple[list[list[int]], list[bool]]:
    """Encodes what is to be generated, each with one end-of-sequence token at its end.

    Args:
        tokenizer: the language model's tokenizer.
        targets: the texts; None gives an empty row.
        max_tokens: most ids of a row.
        prompts: for a decoder-only model the prompts that the targets follow; the ids are then those the text has
            behind its prompt.

    Returns:
        The ids per row, and per row whether it was cut.
    """
    rows: list[list[int]] = []
    for i, target in enumerate(targets):
        if target is None:
            rows.append([])
            continue
        ids: list[int] | None = None
        if prompts is not None:
            start = prompts[i].ids
            joined = tokenizer(f"{prompts[i].text} {target}", verbose=False)["input_ids"]
            ids = joined[len(start) :] if joined[: len(start)] == start else None
        if ids is None:
            ids = tokenizer(target, add_special_tokens=False, verbose=False)["input_ids"]
        ids = ids[:-1] if ids and ids[-1] == tokenizer.eos_token_id else ids
        rows.append([*ids, tokenizer.eos_token_id])
    too_long = [len(row) > max_tokens for row in rows]
    return [
        [*row[: max_tokens - 1], row[-1]] if cut else row for row, cut in zip(rows, too_long, strict=True)
    ], too_long


def _fit(
    tokenizer: Any, parts: PromptParts, ending: str, limit: int, max_question_tokens: int, row: int
) -> EncodedPrompt:
    def count(text: str) -> int:
        return len(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    def encode(parts: PromptParts) -> tuple[Any, Prompt, int]:
        prompt = parts.compose(ending)
        encoding = tokenizer([prompt.text], verbose=False)
        return encoding, prompt, len(encoding["input_ids"][0]) - limit

    whole_bodies = parts.bodies
    parts = replace(parts, question=cut_text(tokenizer, parts.question, max_question_tokens))
    encoding, prompt, excess = encode(parts)
    lengths = [count(body) for body in whole_bodies]
    available = sum(lengths)
    while excess > 0 and available > 0:
        available -= excess
        shares = share_tokens(lengths, available)
        bodies = tuple(cut_text(tokenizer, body, share) for body, share in zip(whole_bodies, shares, strict=True))
        parts = replace(parts, bodies=bodies)
        encoding, prompt, excess = encode(parts)
    keep = count(parts.question)
    while excess > 0 and keep > 1:
        keep = max(keep - excess, 1)
        parts = replace(parts, question=cut_text(tokenizer, parts.question, keep))
        encoding, prompt, excess = encode(parts)
    if excess > 0:
        raise ValueError(
            f"Row {row}: {len(whole_bodies)} candidates need {limit + excess} tokens even without their texts, but "
            f"the prompt may have {limit}. Show fewer candidates, or raise max_prompt_tokens."
        )
    return _locate(tokenizer, encoding, 0, prompt, truncated=True)


def _locate(tokenizer: Any, encoding: Any, row: int, prompt: Prompt, *, truncated: bool) -> EncodedPrompt:
    ids = encoding["input_ids"][row]
    positions, begin = _find_markers(tokenizer, encoding, row, prompt)
    segment_ids = [1] * (begin if positions else 0)
    for number, position in enumerate(positions, start=2):
        segment_ids += [number] * (position + 1 - len(segment_ids))
    segment_ids += [0] * (len(ids) - len(segment_ids))
    return EncodedPrompt(text=prompt.text, ids=ids, positions=positions, segment_ids=segment_ids, truncated=truncated)


def _find_markers(tokenizer: Any, encoding: Any, row: int, prompt: Prompt) -> tuple[list[int], int]:
    """The last token of each closing marker and the first token of the first candidate, by character offsets.

    Offsets that do not hold are not believed.
    """
    ids = encoding["input_ids"][row]
    positions: list[int] = []
    for number, (start, end) in enumerate(prompt.marker_spans, start=1):
        first, last = encoding.char_to_token(row, start), encoding.char_to_token(row, end - 1)
        if first is None or last is None or not _spells(tokenizer, ids[first : last + 1], f"/{number}]"):
            # Tokenizers that drop characters they do not know may count wrong behind them.
            return _search_markers(tokenizer, ids, len(prompt.marker_spans))
        positions.append(last)
    # Behind the blank that the candidate's opening marker follows.
    begin = encoding.char_to_token(row, prompt.question_end + 1) if positions else 0
    return _search_markers(tokenizer, ids, len(positions)) if begin is None else (positions, begin)


def _search_markers(tokenizer: Any, ids: list[int], num_markers: int) -> tuple[list[int], int]:
    positions: list[int] = []
    begin = None
    for position, token in enumerate(tokenizer.convert_ids_to_tokens(ids)):
        if "]" not in token:
            continue
        wanted = f"[/{len(positions) + 1}]"
        read = tokenizer.decode(ids[: position + 1]).replace(" ", "")
        if begin is None and read.endswith("[1]"):
            begin = position
        if wanted in read[-len(wanted) - 1 :]:
            positions.append(position)
    if len(positions) != num_markers:
        raise ValueError(
            f"The tokenizer spells only {len(positions)} of {num_markers} reference markers such as '[/1]'. Use one "
            "whose vocabulary has brackets, slash and digits."
        )
    return positions, begin or 0


def _spells(tokenizer: Any, ids: list[int], text: str) -> bool:
    return text in "".join(tokenizer.convert_ids_to_tokens(ids)) or text in tokenizer.decode(ids).replace(" ", "")


def _without_eos(prompt: EncodedPrompt, eos_token_id: int) -> EncodedPrompt:
    if not prompt.ids or prompt.ids[-1] != eos_token_id:
        return prompt
    return replace(prompt, ids=prompt.ids[:-1], segment_ids=prompt.segment_ids[:-1])
