"""What the answerer does with bad input, with nothing to search and with broken weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from rablip.answering import AbstainReason, NonFiniteLogitsError
from rablip.processing.images_rablip import ImageError
from rablip.processing.knowledge_rablip import ImageRef, KnowledgeItem

from .tiny_stack import QUESTIONS, forbid, items, make_answerer, picture, png


@pytest.mark.parametrize("k", [1, 3, 8, 100])
def test_k_beyond_the_index_gives_shorter_lists(k: int) -> None:
    found = make_answerer().retrieve(QUESTIONS, k=k)
    assert [len(row) for row in found] == [min(k, 8)] * 3


def test_bad_k() -> None:
    with pytest.raises(ValueError, match="k must be"):
        make_answerer().retrieve(QUESTIONS, k=0)


def test_an_empty_index() -> None:
    answerer = make_answerer([])
    forbid(answerer.generator, "generate", "predict_relevance")
    answer = answerer(QUESTIONS[0])
    assert answer.reason is AbstainReason.EMPTY_INDEX and answer.candidates == () and answer.abstained
    assert answerer.retrieve(QUESTIONS) == [[], [], []]
    assert answerer.answer_batch([]) == []


@pytest.mark.parametrize("question", ["", "   ", "\n\t"])
def test_a_blank_question_is_refused(question: str) -> None:
    answerer = make_answerer()
    for ask in (answerer.answer_batch, answerer.retrieve):
        with pytest.raises(ValueError, match="Question 1 is empty"):
            ask(["Who built it?", question])
    with pytest.raises(ValueError, match="Question 0 is empty"):
        answerer(question)


def test_one_string_is_not_a_batch_of_letters() -> None:
    with pytest.raises(TypeError, match="one str"):
        make_answerer().answer_batch("Who built it?")
    with pytest.raises(TypeError, match="Question 0 must be a str"):
        make_answerer().answer_batch([3])


@pytest.mark.parametrize("image", ["tower.png", "http://169.254.169.254/x.png", b"bytes", 3])
def test_a_string_is_never_opened_as_a_picture(image: Any) -> None:
    with pytest.raises(TypeError):
        make_answerer()("Who built it?", image=image)


def test_a_damaged_question_picture_is_refused_by_name(tmp_path: Any) -> None:
    (tmp_path / "torn.png").write_bytes(png(picture("red"))[:40])
    answerer = make_answerer()
    with pytest.raises(ImageError, match=r"torn\.png"):
        answerer("Who built it?", image=ImageRef(path=str(tmp_path / "torn.png")))
    with pytest.raises(ImageError, match=r"missing\.png"):
        answerer("Who built it?", image=ImageRef(path=str(tmp_path / "missing.png")))


def test_pictures_and_questions_must_be_as_many() -> None:
    with pytest.raises(ValueError, match=r"one entry per question \(3\), got 1"):
        make_answerer().answer_batch(QUESTIONS, [picture("red")])


def test_too_many_question_pictures() -> None:
    with pytest.raises(ValueError, match="Question 0 has 2 pictures, but only 1"):
        make_answerer()("Who built it?", image=[picture("red"), picture("blue")])


def test_pictures_beyond_the_generators_places_are_dropped_and_recorded() -> None:
    answerer = make_answerer()
    pictures = [item for item in items() if item.image is not None]
    answer = answerer.generate([QUESTIONS[0]], [pictures])[0]
    assert sum(one.picture_shown for one in answer.evidence) == 2
    assert answer.dropped_pictures == ("p3", "b1", "b2"), "the first two keep their pictures"
    assert [one.id for one in answer.evidence] == ["p1", "p2", "b1", "b2"], "p3 has no words to be shown by"
    asked = answerer.generate([QUESTIONS[0]], [pictures], [picture("red")])[0]
    assert sum(one.picture_shown for one in asked.evidence) == 1, "the question's picture takes a place"


def test_a_missing_picture_is_marked_and_the_rest_works(tmp_path: Any, caplog: pytest.LogCaptureFixture) -> None:
    lost = KnowledgeItem(id="lost", image=ImageRef(path=str(tmp_path / "gone.png")), title="Velmor Tarn")
    torn = KnowledgeItem(id="torn", image=ImageRef(data=png(picture("red"))[:50]))
    answerer = make_answerer([*items()[:4], lost, torn], num_hops=1)
    found = {candidate.id: candidate for candidate in answerer.retrieve(QUESTIONS[:1])[0]}
    assert found["lost"].image_missing and not found["p1"].image_missing
    answer = answerer(QUESTIONS[0])
    judged = {candidate.id: candidate for candidate in answer.candidates}
    assert judged["lost"].image_missing and judged["torn"].image_missing
    assert judged["lost"].rerank_relevance > 0, "it has words"
    assert judged["torn"].rerank_relevance == 0, "it has nothing that could be read"
    assert answer.text and not any(one.picture_shown for one in answer.evidence if one.id in ("lost", "torn"))
    assert "'torn'" in caplog.text


def test_an_item_stands_once_in_the_evidence() -> None:
    item = items()[0]
    with pytest.raises(ValueError, match=r"\['t1'\] stand more than once"):
        make_answerer().generate(["Who?"], [[item, item]])
    with pytest.raises(ValueError, match="2 lists"):
        make_answerer().generate(["Who?"], [[item], [item]])


def test_a_very_long_question_is_cut_and_says_so() -> None:
    answerer = make_answerer()
    answer = answerer("tower " * 5000)
    assert answer.truncated and answer.text and answer.evidence
    assert not answerer(QUESTIONS[0]).truncated
    assert make_answerer(without=("generator",))("tower " * 5000).truncated, "the retriever cuts too"


def test_broken_weights_are_not_answered_from() -> None:
    answerer = make_answerer()
    with torch.no_grad():
        answerer.generator.relevance_head.weight[0, 0] = float("nan")
    with pytest.raises(NonFiniteLogitsError, match="generator relevance"):
        answerer(QUESTIONS[0])
    answerer = make_answerer()
    with torch.no_grad():
        for parameter in answerer.generator.get_decoder().block[0].parameters():
            parameter.fill_(float("nan"))
    with pytest.raises(NonFiniteLogitsError, match="of the answer"):
        answerer(QUESTIONS[0])
    answerer = make_answerer()
    with torch.no_grad():
        answerer.reranker.relevance_head.bias.fill_(float("nan"))
    with pytest.raises(NonFiniteLogitsError, match="re-ranker relevance"):
        answerer(QUESTIONS[0])


def test_a_question_vector_that_is_no_number_is_refused() -> None:
    answerer = make_answerer()
    with torch.no_grad():
        answerer.retriever.retrieval_projection.bias.fill_(float("nan"))
    with pytest.raises(ValueError, match="question 0"):
        answerer.retrieve(QUESTIONS[:1])
