"""Turns what the models said about one question into its `Answer`: the rules of abstention and citation."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from .selection import choose_citations, drop_invented_references
from .types import AbstainReason, Answer, AnswerSettings, Candidate, EvidenceRelevance, Selection

__all__ = [
    "compose_answer",
    "count_disagreements",
    "describe_evidence",
    "finish_answer",
    "judge_relevance",
    "withhold",
]


def describe_evidence(evidence: Selection, relevance: Sequence[float] | None = None) -> tuple[EvidenceRelevance, ...]:
    """What was shown, with what was found out about it.

    Args:
        evidence: the evidence, in the order shown.
        relevance: the generator's probability for each; None when there is no generator.

    Example:
        >>> describe_evidence(Selection(()))
        ()
    """
    values: Sequence[float | None] = [None] * len(evidence) if relevance is None else relevance
    return tuple(
        EvidenceRelevance(
            id=candidate.id,
            relevance=value,
            rerank_relevance=candidate.rerank_relevance,
            score=candidate.score,
            hop=candidate.hop,
            picture_shown=relevance is not None and candidate.has_picture,
        )
        for candidate, value in zip(evidence, values, strict=True)
    )


def judge_relevance(relevance: Sequence[float], abstain_threshold: float) -> AbstainReason | None:
    """The reason to abstain before anything is written: no evidence at all, or none that reaches the threshold.

    Example:
        >>> judge_relevance([0.1, 0.7], 0.5) is None
        True
        >>> judge_relevance([0.1, 0.2], 0.5).value
        'generator_found_none_relevant'
    """
    if not relevance:
        return AbstainReason.NO_CANDIDATES
    if max(relevance) < abstain_threshold:
        return AbstainReason.GENERATOR_FOUND_NONE_RELEVANT
    return None


def withhold(
    question: str,
    reason: AbstainReason,
    settings: AnswerSettings,
    *,
    evidence: tuple[EvidenceRelevance, ...] = (),
    dropped_pictures: tuple[str, ...] = (),
    truncated: bool = False,
) -> Answer:
    """An abstention with its reason; its text is the one from the settings, or None when there is no generator.

    Example:
        >>> withhold("Who?", AbstainReason.NO_ANSWER, AnswerSettings()).abstained
        True
    """
    return Answer(
        question=question,
        text=None if reason is AbstainReason.NO_GENERATOR else settings.abstain_text,
        abstained=True,
        reason=reason,
        evidence=evidence,
        candidates=(),
        truncated=truncated,
        dropped_pictures=dropped_pictures,
    )


def compose_answer(
    question: str,
    text: str,
    evidence: tuple[EvidenceRelevance, ...],
    settings: AnswerSettings,
    *,
    citation_threshold: float,
    dropped_pictures: tuple[str, ...] = (),
    truncated: bool = False,
) -> Answer:
    """An answer with its citations: shown evidence from the citation threshold on, most relevant first.

    Reference marks in the text that name nothing shown are removed and counted. A text that is empty then is an
    abstention.

    Example:
        >>> evidence = (EvidenceRelevance("7", 0.9), EvidenceRelevance("8", 0.1))
        >>> answer = compose_answer("When?", "1889 [5]", evidence, AnswerSettings(), citation_threshold=0.5)
        >>> answer.text, answer.citations, answer.invented_citations
        ('1889', ('7',), 1)
    """
    text, invented = drop_invented_references(text, len(evidence))
    if not text:
        return withhold(
            question,
            AbstainReason.NO_ANSWER,
            settings,
            evidence=evidence,
            dropped_pictures=dropped_pictures,
            truncated=truncated,
        )
    relevance = [one.relevance if one.relevance is not None else 0.0 for one in evidence]
    return Answer(
        question=question,
        text=text,
        citations=choose_citations([one.id for one in evidence], relevance, citation_threshold),
        evidence=evidence,
        truncated=truncated,
        dropped_pictures=dropped_pictures,
        invented_citations=invented,
    )


def finish_answer(
    answer: Answer,
    selection: Selection,
    candidates: Sequence[Candidate],
    expanded_question: str | None,
    truncated: bool,
    settings: AnswerSettings,
    *,
    nothing_found: AbstainReason,
) -> Answer:
    """The answer with what was found for it, or the reason why nothing was kept.

    Args:
        answer: what was made of the evidence that was kept.
        selection: that evidence.
        candidates: everything that was found, best first.
        expanded_question: what the second search asked, if there was one.
        truncated: whether the question was cut.
        settings: with the text of an abstention.
        nothing_found: the reason where the search gave nothing.

    Example:
        >>> nothing = withhold("Who?", AbstainReason.NO_ANSWER, AnswerSettings())
        >>> reason = AbstainReason.EMPTY_INDEX
        >>> finish_answer(nothing, Selection(()), [], None, False, AnswerSettings(), nothing_found=reason).reason.value
        'empty_index'
    """
    if not selection:
        reason = AbstainReason.NO_RELEVANT_EVIDENCE if candidates else nothing_found
        answer = withhold(answer.question, reason, settings, dropped_pictures=answer.dropped_pictures)
    return dataclasses.replace(
        answer,
        candidates=tuple(candidates),
        expanded_question=expanded_question,
        truncated=answer.truncated or truncated,
    )


def count_disagreements(named: Sequence[int] | None, relevance: Sequence[float], threshold: float) -> int:
    """On how many references a written list and the relevance scores differ; all of them for an unreadable list.

    Args:
        named: numbers (from 1) that the generator wrote; None when its list could not be read.
        relevance: probability of each reference.
        threshold: probability from which a reference counts as relevant.

    Example:
        >>> count_disagreements([1, 3], [0.9, 0.8, 0.1], 0.5)
        2
    """
    if named is None:
        return len(relevance)
    return sum((number in named) != (value >= threshold) for number, value in enumerate(relevance, start=1))
