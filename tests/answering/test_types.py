"""The types of an answer: what cannot be built, and what is written as JSON."""

from __future__ import annotations

import json

import pytest

from rablip.answering import AbstainReason, Answer, AnswerSettings, Candidate, EvidenceRelevance
from rablip.processing.knowledge_rablip import ImageRef, KnowledgeItem


def test_an_answer_abstains_exactly_when_it_has_a_reason() -> None:
    with pytest.raises(ValueError, match="exactly when it has a reason"):
        Answer(question="Who?", text=None, abstained=True)
    with pytest.raises(ValueError, match="exactly when it has a reason"):
        Answer(question="Who?", text="Marlow", reason=AbstainReason.NO_ANSWER)


def test_citations_are_shown_evidence_and_an_abstention_has_none() -> None:
    evidence = (EvidenceRelevance("7", 0.9),)
    with pytest.raises(ValueError, match=r"\['8'\]"):
        Answer(question="Who?", text="Marlow", citations=("8",), evidence=evidence)
    with pytest.raises(ValueError, match="cites nothing"):
        Answer(
            question="Who?",
            text="",
            citations=("7",),
            evidence=evidence,
            abstained=True,
            reason=AbstainReason.NO_ANSWER,
        )


@pytest.mark.parametrize(
    "wrong",
    [
        {"num_candidates": 0},
        {"max_evidence": 0},
        {"num_hops": 3},
        {"batch_size": 0},
        {"max_new_tokens": 0},
        {"relevance_threshold": 1.1},
        {"citation_threshold": -0.1},
        {"abstain_threshold": float("nan")},
    ],
    ids=str,
)
def test_settings_out_of_range_are_refused_by_name(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        AnswerSettings(**wrong)


def test_an_answer_as_json_has_no_bytes_and_every_field() -> None:
    item = KnowledgeItem(id="8", image=ImageRef(data=b"picture bytes"), title="Velmor Tarn", source="a.json")
    answer = Answer(
        question="Who?",
        text="Marlow",
        citations=("8",),
        evidence=(EvidenceRelevance("8", 0.9, 0.8, 0.7, picture_shown=True),),
        candidates=(Candidate(item, 0.7, rerank_relevance=0.8),),
    )
    values = json.loads(json.dumps(answer.to_dict()))
    assert values["citations"] == ["8"] and values["reason"] is None and values["abstained"] is False
    assert values["evidence"][0] == {
        "id": "8",
        "relevance": 0.9,
        "rerank_relevance": 0.8,
        "score": 0.7,
        "hop": 1,
        "picture_shown": True,
    }
    assert values["candidates"][0]["image"] == "<13 bytes of picture data>"
    assert values["candidates"][0]["title"] == "Velmor Tarn"
    withheld = Answer(question="Who?", text="", abstained=True, reason=AbstainReason.EMPTY_INDEX).to_dict()
    assert withheld["reason"] == "empty_index"
