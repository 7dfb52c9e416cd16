"""When one answer to an Encyclopedic-VQA question matches a reference exactly: normalised, or as a set of parts."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence

from .vqa_normalization import VQA_CONTRACTIONS, VQA_NUMBER_WORDS

__all__ = ["encyclopedic_vqa_exact_match", "normalize_encyclopedic_vqa_answer"]

_MULTI_ANSWER = "multi_answer"
_BETWEEN_ANSWERS = "&&"
_LEAST_OVERLAP = 0.5
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation + "‘’´")
_ARTICLES = re.compile(r"\b(the answer is|a|an|the)\b")
_SPAN_PREFIX = "<extra_id_0> "  # T5 writes it before what it fills in
_WORDS = {**VQA_NUMBER_WORDS, "entailment": "yes", "true": "yes", "contradiction": "no", "false": "no"}


def normalize_encyclopedic_vqa_answer(answer: str) -> str:
    """An answer as exact match compares it.

    Lower case; `<extra_id_0> ` at its beginning goes (and then everywhere in it); punctuation is deleted, also inside
    numbers; "the answer is" and articles go; number words up to ten become digits, entailment and true "yes",
    contradiction and false "no"; words of the VQA evaluation's table of contractions get their apostrophe back.

    Args:
        answer: a candidate, an alternative, or one part of a `multi_answer`.

    Example:
        >>> [normalize_encyclopedic_vqa_answer(text) for text in ("The answer is 3.5.", "don't", "True", "Ten-fold")]
        ['35', "don't", 'yes', 'tenfold']
    """
    text = answer.lower().replace("\n", " ").replace("\t", " ").strip()
    if text.startswith(_SPAN_PREFIX):
        text = text.replace(_SPAN_PREFIX, "")
    words = (_WORDS.get(word, word) for word in _ARTICLES.sub(" ", text.translate(_NO_PUNCTUATION)).split())
    return " ".join(VQA_CONTRACTIONS.get(word, word) for word in words)


def encyclopedic_vqa_exact_match(candidate: str, reference: str, *, question_type: str) -> bool:
    """Whether a candidate matches one alternative exactly, or holds enough of its parts.

    For a `multi_answer` the parts of both (the candidate's between commas, " and " or " & ") are compared as sets;
    an intersection over union of at least 0.5 is enough, so "red" matches "red&&blue". Parts of the reference that
    hold an "and" are not taken apart, the candidate's are.

    Args:
        candidate: the answer given.
        reference: one alternative.
        question_type: one of `ENCYCLOPEDIC_VQA_TYPES`.

    Raises:
        ValueError: when nothing is left of the reference after normalisation.

    Example:
        >>> encyclopedic_vqa_exact_match("Blue and red", "red&&blue", question_type="multi_answer")
        True
    """
    if question_type != _MULTI_ANSWER:
        wanted = normalize_encyclopedic_vqa_answer(reference)
        if not wanted:
            raise ValueError(f"Nothing is left of the reference answer {reference!r} after normalisation.")
        return wanted == normalize_encyclopedic_vqa_answer(candidate)
    parts = _parts(reference.split(_BETWEEN_ANSWERS))
    if not parts:
        raise ValueError(f"Nothing is left of the reference answers {reference!r} after normalisation.")
    given = _parts(candidate.replace(" and ", ",").replace(" & ", ",").split(","))
    return len(parts & given) / len(parts | given) >= _LEAST_OVERLAP


def _parts(texts: Sequence[str]) -> set[str]:
    return {part for part in map(normalize_encyclopedic_vqa_answer, texts) if part}
