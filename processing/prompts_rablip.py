"""Pure string functions: a question and its evidence to the texts the models read, and back from a generated list."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from .knowledge_rablip import KnowledgeItem

__all__ = [
    "Prompt",
    "build_askg_prompt",
    "build_askg_target",
    "build_instruction",
    "build_qa_prompt",
    "build_reranker_text",
    "compose_prompt",
    "find_reference_numbers",
    "format_knowledge_item",
    "neutralize_markers",
    "parse_askg_answer",
]

QA_ENDING = "Answer:"
ASKG_ENDING = "Which references are related to this question?"
NO_RELEVANT_REFERENCE = "No reference is relevant."

# Characters that a tokenizer's normaliser may drop or turn into a blank between the brackets of a forged marker.
_INVISIBLE = r"[\s\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufe00-\ufe0f\ufeff]*"
_MARKER = re.compile(rf"\[{_INVISIBLE}/?{_INVISIBLE}((?:\d{_INVISIBLE})+)\]")
_REFERENCE = re.compile(r"\[\s*(\d+)\s*\]")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")


@dataclass(frozen=True)
class Prompt:
    """A language-model prompt and where its candidates end.

    Args:
        text: the whole prompt.
        marker_spans: one (start, end) character span per candidate: its CLOSING marker `[/i]`. The language-model
            state there has seen the whole candidate, in causal and in bidirectional models alike.
        question_end: how many characters stand before the first candidate: the question and what announces them.
    """

    text: str
    marker_spans: tuple[tuple[int, int], ...] = ()
    question_end: int = 0


def neutralize_markers(text: str, special_tokens: Sequence[str] = ()) -> str:
    """Makes text that comes from outside unable to forge a reference marker or a special token.

    `[3]` and `[/3]` become `(3)`; a special token gets a blank after its first character; white space is collapsed;
    control characters and lone surrogates (no tokenizer takes them) are replaced. Look-alikes that Unicode
    normalisation (NFKC) turns into one of these are covered too. This reduces the power of instructions planted in a
    knowledge base, it does not remove it.

    Args:
        text: the text to clean.
        special_tokens: strings that a tokenizer reads as one special token.

    Returns:
        The text without markers and special tokens; unchanged when it holds none. Applying it twice changes nothing.

    Raises:
        TypeError: when `text` is not a str.

    Example:
        >>> neutralize_markers("see [3] </s> and [/12]", special_tokens=["</s>"])
        'see (3) < /s> and (12)'
    """
    if not isinstance(text, str):
        raise TypeError(f"Text must be a str, got {type(text).__name__}.")
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode("utf-8")
    text = " ".join(_CONTROL.sub(" ", text).split())
    specials = _specials_pattern(tuple(special_tokens))
    text = _break_forgeries(text, specials)
    if not text.isascii():
        # Many tokenizers normalise before they look for pieces: what they would see must be harmless as well.
        normalized = unicodedata.normalize("NFKC", text)
        harmless = _break_forgeries(normalized, specials)
        if harmless != normalized:
            return neutralize_markers(harmless, special_tokens)
    return text


def format_knowledge_item(item: KnowledgeItem, *, special_tokens: Sequence[str] = ()) -> str:
    """The one text form of a knowledge item: title, caption and text, as far as they are there.

    A part that a later one repeats or begins with is left out, so that nothing is said twice.

    Args:
        item: the knowledge item; its picture, source and metadata do not enter.
        special_tokens: special tokens to neutralize (see `neutralize_markers`).

    Returns:
        The parts joined by " | "; the empty string for a picture without any text.

    Example:
        >>> format_knowledge_item(KnowledgeItem(id="1", title="Tower", caption="A view", text="Tower: of 1889."))
        'A view | Tower: of 1889.'
    """
    parts = [neutralize_markers(part, special_tokens) for part in (item.title, item.caption, item.text) if part]
    parts = [part for part in parts if part]
    kept = [part for i, part in enumerate(parts) if not any(_begins_with(later, part) for later in parts[i + 1 :])]
    return " | ".join(kept)


def build_reranker_text(
    question: str,
    item: KnowledgeItem,
    *,
    picture_number: int | None = None,
    question_picture_numbers: Sequence[int] = (),
    special_tokens: Sequence[str] = (),
) -> str:
    """The Q-Former text of one (question, candidate) pair: the question, then the candidate and its kind.

    Args:
        question: the question.
        item: the candidate.
        picture_number: number of the candidate's picture (1 = first image slot), None when it shows none.
        question_picture_numbers: numbers of the question's own pictures; they take the first image slots.
        special_tokens: special tokens to neutralize.

    Example:
        >>> build_reranker_text("What color is it?", KnowledgeItem(id="1", text="A tower."))
        'What color is it? | text: A tower.'
    """
    question = _format_question(question, question_picture_numbers, special_tokens)
    return f"{question} | {_label(format_knowledge_item(item, special_tokens=special_tokens), picture_number)}"


def build_instruction(
    question: str,
    evidence: Sequence[KnowledgeItem],
    picture_numbers: Sequence[int | None] | None = None,
    *,
    question_picture_numbers: Sequence[int] = (),
    special_tokens: Sequence[str] = (),
) -> str:
    """The Q-Former instruction of the generator: the question, then what names each picture (caption, else title).

    Args:
        question: the question.
        evidence: the candidates; those without a picture do not enter.
        picture_numbers: number of each candidate's picture, None where it shows none; None: no candidate has one.
        question_picture_numbers: numbers of the question's own pictures.
        special_tokens: special tokens to neutralize.

    Example:
        >>> item = KnowledgeItem(id="1", title="Tower", caption="The tower at night")
        >>> build_instruction("What color is it?", [item], [1])
        'What color is it? | picture 1: The tower at night'
    """
    numbers = _check_picture_numbers(evidence, picture_numbers)
    parts = [_format_question(question, question_picture_numbers, special_tokens)]
    for item, number in zip(evidence, numbers, strict=True):
        if number is not None:
            parts.append(_label(neutralize_markers(item.caption or item.title or "", special_tokens), number))
    return " | ".join(parts)


def build_qa_prompt(
    question: str,
    evidence: Sequence[KnowledgeItem],
    picture_numbers: Sequence[int | None] | None = None,
    *,
    question_picture_numbers: Sequence[int] = (),
    special_tokens: Sequence[str] = (),
) -> Prompt:
    """The language-model prompt that asks for the answer.

    Args:
        question: the question.
        evidence: the candidates, in the order in which they are numbered from 1.
        picture_numbers: number of each candidate's picture, None where it shows none; None: no candidate has one.
        question_picture_numbers: numbers of the question's own pictures.
        special_tokens: special tokens to neutralize.

    Returns:
        The prompt with one closing-marker span per candidate.

    Raises:
        ValueError: when `picture_numbers` has another length than `evidence`.

    Example:
        >>> build_qa_prompt("When?", [KnowledgeItem(id="a", text="Built in 1889.")]).text
        'Question: When? References: [1] text: Built in 1889. [/1] Answer:'
        >>> build_qa_prompt("When?", []).text
        'Question: When? Answer:'
    """
    return _build_prompt(QA_ENDING, question, evidence, picture_numbers, question_picture_numbers, special_tokens)


def build_askg_prompt(
    question: str,
    evidence: Sequence[KnowledgeItem],
    picture_numbers: Sequence[int | None] | None = None,
    *,
    question_picture_numbers: Sequence[int] = (),
    special_tokens: Sequence[str] = (),
) -> Prompt:
    """The language-model prompt that asks which candidates help. Arguments and result as in `build_qa_prompt`.

    Example:
        >>> build_askg_prompt("When?", [KnowledgeItem(id="a", title="Tower")], [1]).text
        'Question: When? References: [1] picture 1: Tower [/1] Which references are related to this question?'
    """
    return _build_prompt(ASKG_ENDING, question, evidence, picture_numbers, question_picture_numbers, special_tokens)


def compose_prompt(
    question: str,
    bodies: Sequence[str],
    picture_numbers: Sequence[int | None],
    *,
    ending: str = QA_ENDING,
    question_picture_numbers: Sequence[int] = (),
) -> Prompt:
    """Puts texts that are already formatted and neutralized into a prompt.

    Args:
        question: the question, neutralized.
        bodies: the text of each candidate (`format_knowledge_item`), maybe shortened, maybe empty.
        picture_numbers: number of each candidate's picture, None where it shows none.
        ending: the last words of the prompt.
        question_picture_numbers: numbers of the question's own pictures.

    Example:
        >>> prompt = compose_prompt("What is it?", ["A tower.", ""], [None, 2], question_picture_numbers=[1])
        >>> prompt.text
        'Question picture 1. Question: What is it? References: [1] text: A tower. [/1] [2] picture 2 [/2] Answer:'
        >>> [prompt.text[start:end] for start, end in prompt.marker_spans]
        ['[/1]', '[/2]']
    """
    text = "".join(f"Question picture {number}. " for number in question_picture_numbers) + f"Question: {question}"
    if bodies:
        text += " References:"
    question_end = len(text)
    spans = []
    for position, (body, number) in enumerate(zip(bodies, picture_numbers, strict=True), start=1):
        text += f" [{position}] {_label(body, number)} "
        marker = f"[/{position}]"
        spans.append((len(text), len(text) + len(marker)))
        text += marker
    return Prompt(text=f"{text} {ending}", marker_spans=tuple(spans), question_end=question_end)


def build_askg_target(relevant: Sequence[int]) -> str:
    """The sentence the generator learns to answer the ASKG prompt with: one form, whatever the modality or number.

    Args:
        relevant: numbers (from 1) of the relevant candidates, as they stand in the prompt.

    Raises:
        ValueError: when a number is below 1.

    Example:
        >>> build_askg_target([3, 1])
        'The relevant references are [1] [3].'
        >>> build_askg_target([])
        'No reference is relevant.'
    """
    numbers = sorted(set(relevant))
    if numbers and numbers[0] < 1:
        raise ValueError(f"Reference numbers start at 1, got {list(relevant)}. Pass position + 1.")
    if not numbers:
        return NO_RELEVANT_REFERENCE
    return f"The relevant references are {' '.join(f'[{number}]' for number in numbers)}."


def find_reference_numbers(text: str) -> list[int]:
    """Every reference number that a generated text names, sorted, invented ones included.

    Example:
        >>> find_reference_numbers("The relevant references are [ 3 ] [1] [12].")
        [1, 3, 12]
    """
    return sorted({int(number) for number in _REFERENCE.findall(text)})


def parse_askg_answer(text: str, num_candidates: int) -> list[int] | None:
    """Reads a generated ASKG answer.

    Args:
        text: the generated text; white space and case do not matter.
        num_candidates: how many candidates were shown.

    Returns:
        Sorted numbers (from 1) of the candidates it names, without invented ones (`find_reference_numbers` has them);
        an empty list when it says that none is relevant; None when it says neither, or both.

    Example:
        >>> parse_askg_answer("The relevant references are [1] [3].", 3)
        [1, 3]
        >>> parse_askg_answer("no reference is relevant .", 3)
        []
        >>> parse_askg_answer("red", 3) is None
        True
    """
    numbers = find_reference_numbers(text)
    says_none = "no reference is relevant" in " ".join(text.casefold().split())
    if says_none == bool(numbers):
        return None
    valid = [number for number in numbers if 1 <= number <= num_candidates]
    return valid if valid or says_none else None


def _build_prompt(
    ending: str,
    question: str,
    evidence: Sequence[KnowledgeItem],
    picture_numbers: Sequence[int | None] | None,
    question_picture_numbers: Sequence[int],
    special_tokens: Sequence[str],
) -> Prompt:
    return compose_prompt(
        neutralize_markers(question, special_tokens),
        [format_knowledge_item(item, special_tokens=special_tokens) for item in evidence],
        _check_picture_numbers(evidence, picture_numbers),
        ending=ending,
        question_picture_numbers=question_picture_numbers,
    )


def _check_picture_numbers(
    evidence: Sequence[KnowledgeItem], picture_numbers: Sequence[int | None] | None
) -> Sequence[int | None]:
    if picture_numbers is None:
        return [None] * len(evidence)
    if len(picture_numbers) != len(evidence):
        raise ValueError(
            f"There are {len(evidence)} candidates but {len(picture_numbers)} picture numbers. Pass one per "
            "candidate, None for a candidate without a picture."
        )
    return picture_numbers


def _format_question(question: str, picture_numbers: Sequence[int], special_tokens: Sequence[str]) -> str:
    pictures = "".join(f"Question picture {number}. " for number in picture_numbers)
    return pictures + neutralize_markers(question, special_tokens)


def _label(body: str, picture_number: int | None) -> str:
    kind = "text" if picture_number is None else f"picture {picture_number}"
    return f"{kind}: {body}" if body else kind


def _begins_with(text: str, part: str) -> bool:
    return text.startswith(part) and not text[len(part) : len(part) + 1].isalnum()


def _break_forgeries(text: str, specials: re.Pattern[str] | None) -> str:
    while True:
        before = text
        if "[" in text:
            text = _MARKER.sub(lambda match: "(" + "".join(c for c in match[1] if c.isdigit()) + ")", text)
        if specials is not None:
            text = specials.sub(lambda match: match[0][0] + " " + match[0][1:], text)
        if text == before:
            return text


@lru_cache(maxsize=64)
def _specials_pattern(special_tokens: tuple[str, ...]) -> re.Pattern[str] | None:
    # A blank cannot break a token of one character, and breaking one that holds blanks only would change every text.
    stripped = {token.strip() for token in special_tokens}
    tokens = sorted((token for token in stripped if len(token) > 1), key=lambda token: (-len(token), token))
    return re.compile("|".join(map(re.escape, tokens))) if tokens else None
