"""What the answerer works with and gives back: settings, candidates, evidence, answers and reasons to abstain."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal, get_args, overload

from ..processing.knowledge_rablip import KnowledgeItem

__all__ = [
    "RETRIEVALS",
    "AbstainReason",
    "Answer",
    "AnswerSettings",
    "Candidate",
    "EvidenceRelevance",
    "Retrieval",
    "Selection",
    "candidate_to_dict",
]

Retrieval = Literal["dense", "by_modality_scores", "by_modality_ranks", "hybrid"]
RETRIEVALS: tuple[Retrieval, ...] = get_args(Retrieval)


class AbstainReason(str, Enum):
    """Why a question got no answer.

    - `empty_index`: the index holds nothing.
    - `no_candidates`: the search (or the caller) gave nothing to look at.
    - `no_relevant_evidence`: the re-ranker kept none of the candidates; the generator was not called.
    - `generator_found_none_relevant`: the generator read the evidence and judged none of it relevant.
    - `no_answer`: the generator wrote nothing.
    - `no_generator`: there is no generator; candidates (and the evidence a re-ranker chose) are all there is.

    Example:
        >>> AbstainReason("no_answer").value
        'no_answer'
    """

    EMPTY_INDEX = "empty_index"
    NO_CANDIDATES = "no_candidates"
    NO_RELEVANT_EVIDENCE = "no_relevant_evidence"
    GENERATOR_FOUND_NONE_RELEVANT = "generator_found_none_relevant"
    NO_ANSWER = "no_answer"
    NO_GENERATOR = "no_generator"


@dataclass(frozen=True, kw_only=True)
class AnswerSettings:
    """How a question is answered. `None` means: take the value that was fitted for the model, from its config.

    Args:
        num_candidates: items that each search returns.
        retrieval: how an index is searched (`CandidateSearch` says more): "dense" by vectors alone;
            "by_modality_scores" and "by_modality_ranks" search every modality by itself and join what was found by
            normalised scores or by ranks; "hybrid" joins the ranks of vectors and of words (BM25).
        lexical_weight: what the ranking by words counts in a hybrid search, beside 1 of the vectors. Below 0.87 no
            item that words alone find comes before the tenth that vectors find: words then only lift what both find.
        max_evidence: most items that are shown to the generator.
        num_hops: 1, or 2 to ask a second time with the title of the best picture found by the first search.
        relevance_threshold: re-ranker probability from which a candidate becomes evidence; None: the re-ranker's
            `config.relevance_threshold`.
        citation_threshold: generator probability from which evidence is cited; None: the generator's
            `config.citation_threshold`.
        abstain_threshold: when no evidence reaches this generator probability the answer is withheld; None: the
            generator's `config.abstain_threshold`.
        answer_from_cited: whether an answer is written from the evidence that reaches the citation threshold alone
            (from all where none does); False: from all that is shown.
        second_hop_images: whether the second search sees the picture of the question again, as it does in training.
        check_references: also ask the generator in words which references are relevant, and count where its list
            disagrees with its relevance scores. Costs a second generation.
        abstain_text: text of an answer that was withheld.
        batch_size: rows that a model gets at once.
        max_new_tokens: length limit of an answer, in tokens.
        generation: further keywords of `generate`, such as `num_beams`.

    Raises:
        ValueError: when a number is out of its range.

    Example:
        >>> AnswerSettings(num_hops=1).max_evidence
        4
    """

    num_candidates: int = 10
    retrieval: Retrieval = "dense"
    lexical_weight: float = 1.0
    max_evidence: int = 4
    num_hops: int = 2
    relevance_threshold: float | None = None
    citation_threshold: float | None = None
    abstain_threshold: float | None = None
    answer_from_cited: bool = True
    second_hop_images: bool = True
    check_references: bool = False
    abstain_text: str = "The knowledge base does not hold the answer."
    batch_size: int = 16
    max_new_tokens: int = 32
    generation: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("num_candidates", "max_evidence", "batch_size", "max_new_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"AnswerSettings.{name} must be at least 1, got {getattr(self, name)}.")
        if self.retrieval not in RETRIEVALS:
            raise ValueError(
                f"AnswerSettings.retrieval must be one of {', '.join(RETRIEVALS)}, got {self.retrieval!r}."
            )
        if not 0.0 <= self.lexical_weight < math.inf:
            raise ValueError(
                f"AnswerSettings.lexical_weight must be at least 0 and finite, got {self.lexical_weight}."
            )
        if self.num_hops not in (1, 2):
            raise ValueError(f"AnswerSettings.num_hops must be 1 or 2, got {self.num_hops}.")
        for name in ("relevance_threshold", "citation_threshold", "abstain_threshold"):
            value = getattr(self, name)
            if value is not None and not 0.0 <= value <= 1.0:
                raise ValueError(f"AnswerSettings.{name} must be a probability between 0 and 1, got {value}.")


@dataclass(frozen=True)
class Candidate:
    """A knowledge item that was found for a question.

    Args:
        item: the knowledge item.
        score: of the search, higher is better: the inner product of question and item in a dense one, else what the
            joining gave it; None when the caller gave the item.
        rerank_relevance: the re-ranker's probability that the item helps; None before re-ranking.
        hop: the search that found it, 1 or 2.
        image_missing: the item's picture could not be opened; it was read without it.
        picture_withheld: the item is shown without its picture, because the generator takes no more pictures.

    Example:
        >>> Candidate(KnowledgeItem(id="7", text="It opened in 1889."), 0.5).hop
        1
    """

    item: KnowledgeItem
    score: float | None = None
    rerank_relevance: float | None = None
    hop: int = 1
    image_missing: bool = False
    picture_withheld: bool = False

    @property
    def id(self) -> str:
        """The id of the knowledge item."""
        return self.item.id

    @property
    def has_picture(self) -> bool:
        """Whether a model gets to see a picture of this candidate."""
        return self.item.image is not None and not self.image_missing and not self.picture_withheld


@dataclass(frozen=True)
class Selection(Sequence[Candidate]):
    """The candidates that were kept as evidence, in the order in which they are shown.

    Args:
        evidence: the candidates kept.
        dropped_pictures: ids of candidates whose picture found no place in the generator.

    Example:
        >>> len(Selection(()))
        0
    """

    evidence: tuple[Candidate, ...]
    dropped_pictures: tuple[str, ...] = ()

    @overload
    def __getitem__(self, index: int) -> Candidate: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Candidate]: ...

    def __getitem__(self, index: int | slice) -> Candidate | Sequence[Candidate]:
        return self.evidence[index]

    def __len__(self) -> int:
        return len(self.evidence)

    def __iter__(self) -> Iterator[Candidate]:
        return iter(self.evidence)


@dataclass(frozen=True)
class EvidenceRelevance:
    """How relevant a shown item was found to be; the position in `Answer.evidence` is its reference number less one.

    Args:
        id: id of the knowledge item.
        relevance: the generator's probability that the item helps; None when there is no generator.
        rerank_relevance: the re-ranker's probability; None without a re-ranker.
        score: of the search; None when the caller gave the item.
        hop: the search that found it, 1 or 2.
        picture_shown: whether the generator saw a picture of it.

    Example:
        >>> EvidenceRelevance("7", 0.9).picture_shown
        False
    """

    id: str
    relevance: float | None = None
    rerank_relevance: float | None = None
    score: float | None = None
    hop: int = 1
    picture_shown: bool = False


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer with what it rests on, or an abstention with its reason.

    `abstained` is true exactly when there is a `reason`, and an abstention carries no citations.

    Args:
        question: the question as asked.
        text: the answer; `AnswerSettings.abstain_text` when withheld; None when there is no generator.
        citations: ids of shown evidence that the generator found relevant, most relevant first.
        abstained: whether there is no answer.
        reason: why there is none.
        evidence: what was shown to the generator, in order, with its relevance.
        candidates: everything that was found, best first.
        expanded_question: what the second search asked; None when there was none.
        truncated: whether anything was cut to fit the generator.
        dropped_pictures: ids of items whose picture the generator could not take any more.
        invented_citations: references named by the generator that do not exist; they were dropped.
        reference_disagreements: evidence on which the generator's written list and its relevance differ; None when
            `check_references` is off.

    Example:
        >>> evidence = (EvidenceRelevance("7", relevance=0.9),)
        >>> Answer(question="Who built it?", text="Marlow", citations=("7",), evidence=evidence).abstained
        False
    """

    question: str
    text: str | None
    citations: tuple[str, ...] = ()
    abstained: bool = False
    reason: AbstainReason | None = None
    evidence: tuple[EvidenceRelevance, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    expanded_question: str | None = None
    truncated: bool = False
    dropped_pictures: tuple[str, ...] = ()
    invented_citations: int = 0
    reference_disagreements: int | None = None

    def __post_init__(self) -> None:
        if self.abstained != (self.reason is not None):
            raise ValueError(f"An answer abstains exactly when it has a reason, got {self.abstained}, {self.reason}.")
        if self.abstained and self.citations:
            raise ValueError(f"An abstention cites nothing, got the citations {self.citations}.")
        shown = {evidence.id for evidence in self.evidence}
        strangers = [citation for citation in self.citations if citation not in shown]
        if strangers:
            raise ValueError(f"Only shown evidence can be cited, but {strangers} is not in {sorted(shown)}.")

    def to_dict(self) -> dict[str, Any]:
        """The answer as plain values for JSON; candidates with their text and where their picture is, without bytes.

        Example:
            >>> Answer(question="Who?", text="Marlow").to_dict()["text"]
            'Marlow'
        """
        values = {name.name: getattr(self, name.name) for name in dataclasses.fields(self)}
        values["reason"] = self.reason.value if self.reason is not None else None
        values["citations"] = list(self.citations)
        values["dropped_pictures"] = list(self.dropped_pictures)
        values["evidence"] = [dataclasses.asdict(evidence) for evidence in self.evidence]
        values["candidates"] = [candidate_to_dict(candidate) for candidate in self.candidates]
        return values


def candidate_to_dict(candidate: Candidate) -> dict[str, Any]:
    """A candidate as plain values for JSON.

    Example:
        >>> candidate_to_dict(Candidate(KnowledgeItem(id="7", text="It opened in 1889."), 0.5))["modality"]
        'text'
    """
    item = candidate.item
    return {
        "id": item.id,
        "score": candidate.score,
        "rerank_relevance": candidate.rerank_relevance,
        "hop": candidate.hop,
        "modality": item.modality.value,
        "title": item.title,
        "caption": item.caption,
        "text": item.text,
        "source": item.source,
        "image": item.image.name if item.image is not None else None,
        "image_missing": candidate.image_missing,
    }
