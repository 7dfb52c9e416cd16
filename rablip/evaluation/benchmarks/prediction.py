"""What a system said about one question of a benchmark: its ranking, what it kept, cited and answered."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...answering import Answer, Candidate

__all__ = ["JudgedItem", "Prediction"]


@dataclass(frozen=True, kw_only=True)
class JudgedItem:
    """A knowledge item with what was found out about it.

    Args:
        id: of the item.
        score: of the search; None where nothing searched for it.
        rerank_relevance: the re-ranker's probability that it helps; None without a re-ranker.
        relevance: the generator's; None where it was not shown.
        hop: the search that found it, 1 or 2.
        known_as: what the question's own list of right items calls it, where that is another name.
    """

    id: str
    score: float | None = None
    rerank_relevance: float | None = None
    relevance: float | None = None
    hop: int = 1
    known_as: str | None = None

    @property
    def name(self) -> str:
        """What the question's right items are compared with."""
        return self.id if self.known_as is None else self.known_as


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Everything that the metrics and the report of a run need of one question.

    Args:
        question_id: of the question.
        text: the answer as written; None where there is none (no generator, an abstention, an unreadable question).
        abstained: whether the answer was withheld.
        reason: why.
        ranking: what the retriever alone found, best first, as deep as the run looks.
        candidates: what the answerer judged, best first.
        evidence: what the generator was shown, in order.
        citations: ids of the evidence that it cites.
        truncated: whether anything was cut to fit a model.
        num_unknown: how many of the question's own candidates the index does not hold, where it is answered from them.
        problem: why the question could not be asked, such as a picture that does not open; "" where it was asked.

    Example:
        >>> made = Prediction(question_id="q1", text="1889", evidence=(JudgedItem(id="t1", relevance=0.9),))
        >>> Prediction.from_json(made.to_json()) == made
        True
    """

    question_id: str
    text: str | None = None
    abstained: bool = False
    reason: str | None = None
    ranking: tuple[JudgedItem, ...] = ()
    candidates: tuple[JudgedItem, ...] = ()
    evidence: tuple[JudgedItem, ...] = ()
    citations: tuple[str, ...] = ()
    truncated: bool = False
    num_unknown: int = 0
    problem: str = ""

    @classmethod
    def from_answer(
        cls,
        question_id: str,
        answer: Answer,
        ranking: Sequence[Candidate],
        *,
        known_as: Mapping[str, str] | None = None,
        num_unknown: int = 0,
    ) -> Prediction:
        """The prediction of an answered question.

        Args:
            question_id: of the question.
            answer: of the answerer.
            ranking: what the retriever alone found.
            known_as: id of an item -> what the question calls it, of those with another name.
            num_unknown: as of the prediction.
        """
        names = known_as or {}
        return cls(
            question_id=question_id,
            text=None if answer.abstained else answer.text,
            abstained=answer.abstained,
            reason=None if answer.reason is None else answer.reason.value,
            ranking=tuple(JudgedItem(id=one.id, score=one.score, known_as=names.get(one.id)) for one in ranking),
            candidates=tuple(
                JudgedItem(
                    id=one.id,
                    score=one.score,
                    rerank_relevance=one.rerank_relevance,
                    hop=one.hop,
                    known_as=names.get(one.id),
                )
                for one in answer.candidates
            ),
            evidence=tuple(
                JudgedItem(
                    id=one.id,
                    score=one.score,
                    rerank_relevance=one.rerank_relevance,
                    relevance=one.relevance,
                    hop=one.hop,
                    known_as=names.get(one.id),
                )
                for one in answer.evidence
            ),
            citations=answer.citations,
            truncated=answer.truncated,
            num_unknown=num_unknown,
        )

    @property
    def ranked_ids(self) -> list[str]:
        """The ranking by the names that the question knows, best first, each once."""
        return list(dict.fromkeys(one.name for one in self.ranking))

    @property
    def cited_names(self) -> list[str]:
        """The citations by the names that the question knows, each once."""
        names = {one.id: one.name for one in self.evidence}
        return list(dict.fromkeys(names[name] for name in self.citations))

    def to_json(self) -> dict[str, Any]:
        """As plain values for JSON; what is not set is left out."""
        values = dataclasses.asdict(self)
        for name in ("ranking", "candidates", "evidence"):
            values[name] = [_without_defaults(item) for item in values[name]]
        values["citations"] = list(self.citations)
        return {"question_id": self.question_id} | {
            name: value for name, value in values.items() if value not in (None, False, 0, "", [])
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Prediction:
        """Read what `to_json` wrote.

        Raises:
            TypeError: when a field is unknown or the id is missing.
        """
        given = dict(values)
        for name in ("ranking", "candidates", "evidence"):
            given[name] = tuple(JudgedItem(**item) for item in given.get(name, ()))
        given["citations"] = tuple(given.get("citations", ()))
        return cls(**given)


def _without_defaults(item: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if value is not None and (name != "hop" or value != 1)}
