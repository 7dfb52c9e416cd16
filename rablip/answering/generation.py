"""The last stage: evidence shown to the generator, judged by it, and answered or withheld."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from PIL import Image

from ..processing.knowledge_rablip import KnowledgeItem
from .composition import compose_answer, count_disagreements, describe_evidence, judge_relevance, withhold
from .features import Part
from .inference import GeneratorRow, generate_answers, generate_references, judge_evidence, prepare_rows
from .pictures import ItemPictures, without_picture
from .selection import choose_readable, fit_pictures, renumber_references
from .types import AbstainReason, Answer, AnswerSettings, Candidate, Selection

if TYPE_CHECKING:
    import torch

__all__ = ["answer_rows", "show_evidence", "withhold_rows"]


def show_evidence(
    question: str,
    evidence: Sequence[Candidate],
    question_images: Sequence[Image.Image],
    pictures: ItemPictures,
    *,
    max_pictures: int | None,
) -> tuple[Selection, GeneratorRow]:
    """Opens the pictures of the evidence of one question and fits them into the places the generator has.

    An item whose picture is missing or finds no place is shown by its words; one that has no words then is left out
    and counted with the dropped pictures.

    Args:
        question: the question.
        evidence: candidates in the order shown.
        question_images: the question's own opened pictures; they take picture places first.
        pictures: opens the pictures of items.
        max_pictures: places left for evidence; None for no limit.

    Returns:
        The evidence as it is shown, and what the generator gets.
    """
    opened = pictures.open_shown(evidence)
    given = Selection(tuple(candidate for candidate, _ in opened), tuple(getattr(evidence, "dropped_pictures", ())))
    fitted = given if max_pictures is None else fit_pictures(given, max_pictures)
    kept: list[Candidate] = []
    items: list[KnowledgeItem] = []
    shown: list[Image.Image | None] = []
    dropped = list(fitted.dropped_pictures)
    for candidate, (_, picture) in zip(fitted, opened, strict=True):
        item = candidate.item if candidate.has_picture else without_picture(candidate.item)
        if item is None:
            dropped.append(candidate.id)
            continue
        kept.append(candidate)
        items.append(item)
        shown.append(picture if candidate.has_picture else None)
    row = GeneratorRow(
        question=question, items=tuple(items), pictures=tuple(shown), question_images=tuple(question_images)
    )
    return Selection(tuple(kept), tuple(dict.fromkeys(dropped))), row


def answer_rows(
    generator: Part,
    selections: Sequence[Selection],
    rows: Sequence[GeneratorRow],
    settings: AnswerSettings,
    *,
    force: bool = False,
) -> list[Answer]:
    """Judges the evidence of each row, then writes the answers of those that are not withheld from what it will cite.

    Args:
        generator: the generator.
        selections: the evidence of each row.
        rows: what the generator gets, one per selection.
        settings: thresholds that are None come from the generator's config.
        force: write an answer even where there is no evidence, or none that is relevant.

    Raises:
        NonFiniteLogitsError: when the generator computes scores that are not numbers.
    """
    citation_threshold = _threshold(settings.citation_threshold, generator, "citation_threshold")
    abstain_threshold = _threshold(settings.abstain_threshold, generator, "abstain_threshold")
    answers = withhold_rows(selections, rows, settings, AbstainReason.NO_CANDIDATES)
    asked = [position for position, row in enumerate(rows) if row.items or force]
    if not asked:
        return answers
    judged = [rows[position] for position in asked]
    relevance, truncated, inputs = judge_evidence(generator, judged)
    reasons = [None if force else judge_relevance(values, abstain_threshold) for values in relevance]
    # What an answer is written from: 0 lets every shown item pass.
    threshold = citation_threshold if settings.answer_from_cited else 0.0
    readable = {
        number: choose_readable(relevance[number], threshold)
        for number, reason in enumerate(reasons)
        if reason is None
    }
    texts = _write_answers(generator, judged, inputs, readable, settings)
    for number, position in enumerate(asked):
        selection, reason = selections[position], reasons[number]
        evidence = describe_evidence(selection, relevance[number])
        if reason is not None:
            answers[position] = withhold(
                rows[position].question,
                reason,
                settings,
                evidence=evidence,
                dropped_pictures=selection.dropped_pictures,
                truncated=truncated[number],
            )
        else:
            answers[position] = compose_answer(
                rows[position].question,
                texts[number],
                evidence,
                settings,
                citation_threshold=citation_threshold,
                dropped_pictures=selection.dropped_pictures,
                truncated=truncated[number],
            )
    if settings.check_references:
        _check_references(generator, rows, answers, settings, citation_threshold)
    return answers


def _write_answers(
    generator: Part,
    rows: Sequence[GeneratorRow],
    inputs: Mapping[str, torch.Tensor],
    readable: Mapping[int, Sequence[int]],
    settings: AnswerSettings,
) -> dict[int, str]:
    """The answers of the rows in `readable`, each from the evidence at the positions given there.

    A small language model that knows which of several items is relevant may still read the answer from another; what
    is not before it cannot mislead it. Rows that keep all they showed need no second preparation.
    """
    generation = {"max_new_tokens": settings.max_new_tokens, **settings.generation}
    whole = [number for number, kept in readable.items() if len(kept) == len(rows[number].items)]
    texts = dict(zip(whole, generate_answers(generator, inputs, whole, **generation), strict=True))
    narrowed = [number for number in readable if number not in texts]
    if narrowed:
        fewer, _ = prepare_rows(generator, [rows[number].narrow(readable[number]) for number in narrowed])
        written = generate_answers(generator, fewer, range(len(narrowed)), **generation)
        for number, text in zip(narrowed, written, strict=True):
            texts[number] = renumber_references(text, readable[number], len(rows[number].items))
    return texts


def withhold_rows(
    selections: Sequence[Selection], rows: Sequence[GeneratorRow], settings: AnswerSettings, reason: AbstainReason
) -> list[Answer]:
    """An abstention for each row, for a reason that holds before the generator is asked.

    Example:
        >>> withhold_rows([], [], AnswerSettings(), AbstainReason.NO_GENERATOR)
        []
    """
    return [
        withhold(
            row.question,
            reason,
            settings,
            evidence=describe_evidence(selection),
            dropped_pictures=selection.dropped_pictures,
        )
        for selection, row in zip(selections, rows, strict=True)
    ]


def _check_references(
    generator: Part,
    rows: Sequence[GeneratorRow],
    answers: list[Answer],
    settings: AnswerSettings,
    threshold: float,
) -> None:
    checked = [position for position, answer in enumerate(answers) if answer.evidence]
    if not checked:
        return
    generation = {"max_new_tokens": settings.max_new_tokens, **settings.generation}
    lists = generate_references(generator, [rows[position] for position in checked], **generation)
    for position, (named, invented) in zip(checked, lists, strict=True):
        answer = answers[position]
        relevance = [one.relevance if one.relevance is not None else 0.0 for one in answer.evidence]
        answers[position] = dataclasses.replace(
            answer,
            invented_citations=answer.invented_citations + invented,
            reference_disagreements=count_disagreements(named, relevance, threshold),
        )


def _threshold(setting: float | None, generator: Part, name: str) -> float:
    return float(getattr(generator.model.config, name)) if setting is None else setting
