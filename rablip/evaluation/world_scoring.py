"""From rankings and answers to figures per evidence modality and question kind; pure, no model is run here.

Definitions, which decide what the figures mean:

- **recall@k** counts pairs of an answerable question and one of its gold items, grouped by the modality of the gold
  item. A gold item of the second hop is looked for in the second ranking. `visual_only` holds the pairs that can be
  found only by what a picture shows: questions that name nothing (or bring a picture), with the gold item of their
  first hop.
- **accuracy** is over answerable questions: exact match after normalisation; an abstention is wrong.
- **majority** is what a guesser reaches that knows the kind of each question and always gives the kind's most common
  answer; **majority_by_attribute** also knows which attribute is asked for (a kind may mix attributes with different
  numbers of values, so this is the stricter chance level).
- **abstain**: a question that cannot be answered is a positive, an abstention is a find.
- **citation precision** is over the ids cited by answered questions, recall over the gold items of the answerable ones
  among them.

Proportions carry Wilson intervals, ratios of sums a bootstrap over questions. The two pairs of a two-hop question
count as two independent cases, so intervals of recall are a little narrow there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..metrics.answers import exact_match, majority_matches
from ..metrics.intervals import Figure, proportion_figure, ratio_figure
from ..processing.knowledge_rablip import KnowledgeItem, Modality, QuestionExample

__all__ = [
    "GoldPair",
    "Outcome",
    "abstain_figures",
    "accuracy_figures",
    "citation_figures",
    "gold_pairs",
    "kind_of",
    "recall_figures",
]

_MODALITIES = [modality.value for modality in Modality]


@dataclass(frozen=True, kw_only=True)
class GoldPair:
    """One answerable question and one item that it needs.

    Args:
        question: position of the question.
        gold_id: id of the needed item.
        hop: 0 for the first search, 1 for the second.
        modality: modality of the needed item.
        kind: kind of the question.
        visual_only: whether only a picture tells that this item is the one.
    """

    question: int
    gold_id: str
    hop: int
    modality: str
    kind: str
    visual_only: bool


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came back for one question.

    Args:
        text: the answer; None for an abstention.
        citations: ids that were cited.
        num_evidence: how many items were shown to the generator.
        disagreements: shown items on which the written reference list and the relevance differ; None: not asked for.
    """

    text: str | None
    citations: tuple[str, ...] = ()
    num_evidence: int = 0
    disagreements: int | None = None


def kind_of(question: QuestionExample) -> str:
    """The question's kind: `metadata["kind"]`, else its category, else "unknown"."""
    return str(question.metadata.get("kind") or question.category or "unknown")


def gold_pairs(questions: Sequence[QuestionExample], items: Mapping[str, KnowledgeItem]) -> list[GoldPair]:
    """All pairs of an answerable question and a gold item, in order.

    Raises:
        ValueError: when a gold id is not among the items.

    >>> item = KnowledgeItem(id="7", text="Velmor Tarn was founded in 1743.")
    >>> question = QuestionExample(id="q", question="When?", answers=("1743",), positive_ids=("7",), category="text")
    >>> [(pair.gold_id, pair.modality, pair.kind) for pair in gold_pairs([question], {"7": item})]
    [('7', 'text', 'text')]
    """
    pairs = []
    for place, question in enumerate(questions):
        if not question.answerable:
            continue
        unnamed = bool(question.metadata.get("visual_only")) or bool(question.images)
        for hop, gold_ids in enumerate(question.hops):
            for gold_id in gold_ids:
                if gold_id not in items:
                    raise ValueError(f"Gold item {gold_id!r} of question {question.id!r} is not a knowledge item.")
                item = items[gold_id]
                pairs.append(
                    GoldPair(
                        question=place,
                        gold_id=gold_id,
                        hop=hop,
                        modality=item.modality.value,
                        kind=kind_of(question),
                        visual_only=unnamed and hop == 0 and item.image is not None,
                    )
                )
    return pairs


def recall_figures(
    pairs: Sequence[GoldPair], rankings: Sequence[Sequence[Sequence[str]]], *, k: int = 5
) -> dict[str, Any]:
    """Recall@k overall, per modality of the gold item, on the visual-only pairs, and per question kind.

    Args:
        pairs: from `gold_pairs`.
        rankings: per question, one ranking of ids per hop; a missing second ranking means that the first is all
            there is.
        k: how many ids of a ranking count.

    Returns:
        `{"overall", "text", "image", "image_text", "visual_only", "by_kind": {kind: ...}}`, each a figure as JSON.
    """
    found = [
        pair.gold_id in rankings[pair.question][min(pair.hop, len(rankings[pair.question]) - 1)][:k] for pair in pairs
    ]

    def figure(kept: Iterable[bool]) -> dict[str, Any]:
        return proportion_figure([hit for hit, keep in zip(found, kept, strict=True) if keep]).to_json()

    figures = {"overall": proportion_figure(found).to_json()}
    for modality in _MODALITIES:
        figures[modality] = figure(pair.modality == modality for pair in pairs)
    figures["visual_only"] = figure(pair.visual_only for pair in pairs)
    kinds = sorted({pair.kind for pair in pairs})
    return {**figures, "by_kind": {kind: figure(pair.kind == kind for pair in pairs) for kind in kinds}}


def accuracy_figures(questions: Sequence[QuestionExample], answers: Sequence[str | None]) -> dict[str, Any]:
    """Accuracy overall, per kind, and per modality of the item that holds the answer.

    Args:
        questions: answerable questions.
        answers: one per question; None for an abstention, which is wrong.

    Returns:
        `{"overall", "visual_only", "by_kind": {...}, "by_modality": {...}}`; each figure as JSON with `majority` and
        `majority_by_attribute` beside it.

    Raises:
        ValueError: when a question cannot be answered, or the two sequences differ in length.
    """
    if len(questions) != len(answers):
        raise ValueError(f"{len(answers)} answers were given for {len(questions)} questions.")
    for question in questions:
        if not question.answerable:
            raise ValueError(
                f"Accuracy is over answerable questions, but {question.id!r} has no answer. Leave it out."
            )
    gold = [question.answers for question in questions]
    kinds = [kind_of(question) for question in questions]
    attributes = [(kind_of(question), question.metadata.get("attribute")) for question in questions]
    modalities = [str(question.metadata.get("evidence_modality", "unknown")) for question in questions]
    unnamed = [bool(question.metadata.get("visual_only")) or bool(question.images) for question in questions]
    right = [exact_match(answer, row) for answer, row in zip(answers, gold, strict=True)]
    guesses = {
        "majority": majority_matches(kinds, gold),
        "majority_by_attribute": majority_matches(attributes, gold),
    }

    def figure(keep: Iterable[bool]) -> dict[str, Any]:
        kept = [place for place, wanted in enumerate(keep) if wanted]
        values = proportion_figure([right[place] for place in kept]).to_json()
        for name, guessed in guesses.items():
            values[name] = round(sum(guessed[place] for place in kept) / len(kept), 6) if kept else None
        return values

    return {
        "overall": figure(True for _ in questions),
        "visual_only": figure(unnamed),
        "by_kind": {kind: figure(own == kind for own in kinds) for kind in sorted(set(kinds))},
        "by_modality": {name: figure(own == name for own in modalities) for name in sorted(set(modalities))},
    }


def abstain_figures(
    questions: Sequence[QuestionExample], outcomes: Sequence[Outcome], *, seed: int = 0
) -> dict[str, Any]:
    """`{"f1", "precision", "recall"}` of abstentions over all questions, each a figure as JSON.

    Raises:
        ValueError: when the two sequences differ in length.
    """
    if len(questions) != len(outcomes):
        raise ValueError(f"{len(outcomes)} outcomes were given for {len(questions)} questions.")
    expected = [float(not question.answerable) for question in questions]
    found = [float(outcome.text is None) for outcome in outcomes]
    both = [a * b for a, b in zip(expected, found, strict=True)]
    f1 = ratio_figure(
        [2 * hit for hit in both], [a + b for a, b in zip(expected, found, strict=True)], n=len(both), seed=seed
    )
    return {
        "f1": f1.to_json(),
        "precision": proportion_figure([bool(hit) for hit, one in zip(both, found, strict=True) if one]).to_json(),
        "recall": proportion_figure([bool(hit) for hit, one in zip(both, expected, strict=True) if one]).to_json(),
    }


def citation_figures(
    questions: Sequence[QuestionExample], outcomes: Sequence[Outcome], *, seed: int = 0
) -> dict[str, Any]:
    """`{"precision", "recall", "reference_disagreement"}`, each a figure as JSON.

    `precision.n` is the number of cited ids, `recall.n` the number of gold items of the answered questions,
    `reference_disagreement.n` the number of shown items on which both a written list and a relevance are known.

    Raises:
        ValueError: when the two sequences differ in length.
    """
    rows = [
        (set(outcome.citations), set(question.positive_ids))
        for question, outcome in zip(questions, outcomes, strict=True)
        if outcome.text is not None
    ]
    right = [len(cited & gold) for cited, gold in rows]
    asked = [outcome for outcome in outcomes if outcome.disagreements is not None]

    def figure(numerators: Sequence[int], denominators: Sequence[int]) -> Figure:
        return ratio_figure(numerators, denominators, n=sum(denominators), seed=seed)

    return {
        "precision": figure(right, [len(cited) for cited, _ in rows]).to_json(),
        "recall": figure(right, [len(gold) for _, gold in rows]).to_json(),
        "reference_disagreement": figure(
            [outcome.disagreements or 0 for outcome in asked], [outcome.num_evidence for outcome in asked]
        ).to_json(),
    }
