"""The answerer over tiny random models: every arrow alone, and the whole path."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from PIL import Image

from rablip.answering import AbstainReason, Answer, RablipAnswerer
from rablip.processing.knowledge_rablip import ImageRef, KnowledgeItem

from .tiny_stack import QUESTIONS, forbid, items, make_answerer, make_parts, picture, png

IMAGES = [None, picture("red"), None]


def same(first: Answer, second: Answer) -> None:
    """Equal but for the last digits of probabilities, which a batch may change."""
    drop = {"evidence": (), "candidates": (), "citations": ()}
    assert dataclasses.replace(first, **drop) == dataclasses.replace(second, **drop)
    assert set(first.citations) == set(second.citations)
    assert [candidate.id for candidate in first.candidates] == [candidate.id for candidate in second.candidates]
    assert [one.id for one in first.evidence] == [one.id for one in second.evidence]
    for one, other in zip(first.evidence, second.evidence, strict=True):
        assert one.relevance == pytest.approx(other.relevance, abs=1e-5)
        assert one.rerank_relevance == pytest.approx(other.rerank_relevance, abs=1e-5)
        assert (one.hop, one.picture_shown) == (other.hop, other.picture_shown)


@pytest.mark.parametrize("language_model", ["t5", "llama"])
def test_a_batch_answers_what_its_questions_get_alone(language_model: str) -> None:
    answerer = make_answerer(language_model=language_model, check_references=True)
    together = answerer.answer_batch(QUESTIONS, IMAGES)
    assert len({answer.text for answer in together}) > 1, "the answers must differ for this to show anything"
    assert any(one.picture_shown for answer in together for one in answer.evidence)
    for question, image, answer in zip(QUESTIONS, IMAGES, together, strict=True):
        same(answer, answerer(question, image=image))
    answerer.settings = dataclasses.replace(answerer.settings, batch_size=1)
    for answer, other in zip(together, answerer.answer_batch(QUESTIONS, IMAGES), strict=True):
        same(answer, other)


def test_the_arrows_one_by_one_are_the_whole_path() -> None:
    answerer = make_answerer(num_hops=1)
    candidates = answerer.retrieve(QUESTIONS, IMAGES)
    judged = answerer.rerank(QUESTIONS, candidates, IMAGES)
    evidence = answerer.select(judged, IMAGES)
    answers = answerer.generate(QUESTIONS, evidence, IMAGES)
    for whole, answer, row in zip(answerer.answer_batch(QUESTIONS, IMAGES), answers, judged, strict=True):
        same(whole, dataclasses.replace(answer, candidates=tuple(row)))
    scores = [[candidate.score for candidate in row] for row in candidates]
    assert scores == [sorted(row, reverse=True) for row in scores]
    assert all(candidate.rerank_relevance is None for row in candidates for candidate in row)
    for row in judged:
        relevance = [candidate.rerank_relevance for candidate in row]
        assert relevance == sorted(relevance, reverse=True) and all(0 <= value <= 1 for value in relevance)


def test_the_picture_of_the_question_counts_in_every_stage() -> None:
    answerer = make_answerer()
    question, shown = QUESTIONS[1:2], ([picture("red")], [picture("blue")], None)
    candidates = answerer.retrieve(question)
    evidence = [items()[:4]]
    scores, judged, relevance = [], [], []
    for images in shown:
        scores.append({one.id: one.score for one in answerer.retrieve(question, images)[0]})
        judged.append({one.id: one.rerank_relevance for one in answerer.rerank(question, candidates, images)[0]})
        relevance.append({one.id: one.relevance for one in answerer.generate(question, evidence, images)[0].evidence})
    for red, blue, none in (scores, judged, relevance):
        assert red.keys() == blue.keys() == none.keys()
        assert red != blue and red != none and blue != none


def test_citations_are_shown_evidence_from_the_threshold_on() -> None:
    answer = make_answerer()(QUESTIONS[0])
    relevance = {one.id: one.relevance for one in answer.evidence}
    assert not answer.abstained and set(answer.citations) == set(relevance)
    between = sorted(relevance.values())[1] + 1e-6
    fewer = make_answerer(citation_threshold=between)(QUESTIONS[0])
    assert set(fewer.citations) == {name for name, value in relevance.items() if value >= between}
    assert 0 < len(fewer.citations) < len(relevance)
    assert set(fewer.citations) <= {candidate.id for candidate in fewer.candidates}
    assert make_answerer(citation_threshold=1.0)(QUESTIONS[0]).citations == ()


@pytest.mark.parametrize("language_model", ["t5", "llama"])
def test_an_answer_is_written_from_what_it_cites(language_model: str) -> None:
    loose = make_answerer(language_model=language_model, citation_threshold=0.0)
    shown = items()[:4]
    whole = loose.generate(QUESTIONS, [shown] * 3, IMAGES)
    for question, image, answer in zip(QUESTIONS, IMAGES, whole, strict=True):
        between = sorted(one.relevance for one in answer.evidence)[2] - 1e-6
        strict = make_answerer(language_model=language_model, citation_threshold=between)
        narrowed, *_ = strict.generate([question, QUESTIONS[0]], [shown, shown], [image, None])
        cited = [item for item in shown if item.id in narrowed.citations]
        assert 0 < len(cited) < len(shown)
        assert narrowed.text == loose.generate([question], [cited], [image])[0].text
        assert [one.id for one in narrowed.evidence] == [item.id for item in shown]
        strict.settings = dataclasses.replace(strict.settings, answer_from_cited=False)
        assert strict.generate([question], [shown], [image])[0].text == answer.text
        if narrowed.text != answer.text:
            break
    else:
        pytest.fail("no answer changed with its evidence, so this shows nothing")


def test_nothing_relevant_and_the_generator_is_not_called() -> None:
    answerer = make_answerer(relevance_threshold=1.0, abstain_text="I do not know.")
    forbid(answerer.generator, "generate", "predict_relevance", "forward")
    answer = answerer(QUESTIONS[0])
    assert answer.abstained and answer.reason is AbstainReason.NO_RELEVANT_EVIDENCE
    assert answer.text == "I do not know." and answer.citations == () and answer.evidence == ()
    assert len(answer.candidates) == 8 and answer.expanded_question is None


def test_the_generator_finds_nothing_relevant_and_writes_nothing() -> None:
    answerer = make_answerer(abstain_threshold=1.0)
    forbid(answerer.generator, "generate")
    answer = answerer(QUESTIONS[0])
    assert answer.reason is AbstainReason.GENERATOR_FOUND_NONE_RELEVANT and answer.citations == ()
    assert answer.evidence and all(0 < one.relevance < 1 for one in answer.evidence)


def test_one_question_of_a_batch_may_abstain() -> None:
    answerer = make_answerer()
    relevance = [max(one.relevance for one in answer.evidence) for answer in answerer.answer_batch(QUESTIONS, IMAGES)]
    between = (sorted(relevance)[0] + sorted(relevance)[1]) / 2
    strict = make_answerer(abstain_threshold=between).answer_batch(QUESTIONS, IMAGES)
    assert [answer.abstained for answer in strict] == [value < between for value in relevance]
    for answer, loose in zip(strict, answerer.answer_batch(QUESTIONS, IMAGES), strict=True):
        if not answer.abstained:
            same(answer, loose)


def test_an_answer_without_words_is_an_abstention() -> None:
    answerer = make_answerer(generation={"forced_eos_token_id": 1}, max_new_tokens=1)
    answer = answerer(QUESTIONS[0])
    assert answer.reason is AbstainReason.NO_ANSWER and answer.abstained and answer.evidence


def test_forced_answers_need_no_evidence() -> None:
    answerer = make_answerer(abstain_threshold=1.0)
    closed_book, open_book = answerer.generate(QUESTIONS[:2], [[], items()[:2]], IMAGES[:2], force=True)
    assert closed_book.text and not closed_book.abstained and closed_book.evidence == ()
    assert open_book.text and not open_book.abstained and [one.id for one in open_book.evidence] == ["t1", "t2"]
    withheld = answerer.generate(QUESTIONS[:1], [[]])[0]
    assert withheld.reason is AbstainReason.NO_CANDIDATES


def test_two_searches() -> None:
    asked: list[str] = []
    answerer = make_answerer(num_hops=2, num_candidates=6)
    encode = answerer.retriever_processor.process_pairs

    def spy(questions: list[str], *args: Any, **kwargs: Any) -> Any:
        asked.extend(questions)
        return encode(questions, *args, **kwargs)

    answerer.reranker_processor.process_pairs = spy
    answer = answerer("Who built this?")
    assert answer.expanded_question in {f"Who built this? | {title}" for title in ("Harbor Tower", "Velmor Tarn")}
    assert asked.count("Who built this?") == 6 and asked.count(answer.expanded_question) == 6
    assert {candidate.hop for candidate in answer.candidates} <= {1, 2}
    ids = [candidate.id for candidate in answer.candidates]
    assert len(ids) == len(set(ids)) >= 6
    again = answerer.retrieve([answer.expanded_question], k=6)[0]
    assert {candidate.id for candidate in again} <= set(ids)
    assert make_answerer(num_hops=1, num_candidates=3)("Who built this?").expanded_question is None


@pytest.mark.parametrize("again", [True, False])
def test_the_second_search_sees_the_picture_as_set(again: bool) -> None:
    # Whatever picture a random re-ranker likes best, it has a title to ask with.
    stored = [item if item.title else dataclasses.replace(item, title="Kestrel Mill") for item in items()]
    answerer = make_answerer(stored, second_hop_images=again)
    seen: list[bool] = []
    encode = answerer.retriever.encode_questions

    def spy(**inputs: Any) -> Any:
        seen.append("image_mask" in inputs)
        return encode(**inputs)

    answerer.retriever.encode_questions = spy
    assert answerer("Who built this?", image=picture("green")).expanded_question
    assert seen == [True, again]


def test_answered_among_given_items_only() -> None:
    answerer = make_answerer(num_hops=2, num_candidates=6)
    among = [["t1", "p1", "b2", "t1"], [], ["p2", "b1", "t3", "p3"]]
    answers = answerer.answer_batch(QUESTIONS, IMAGES, among=among)
    for ids, answer in zip(among, answers, strict=True):
        assert {candidate.id for candidate in answer.candidates} == set(ids)
        assert {one.id for one in answer.evidence} <= set(ids)
    assert answers[1].reason is AbstainReason.NO_CANDIDATES
    assert any(answer.expanded_question for answer in answers), "the second search must be among them, too"
    for question, image, ids in zip(QUESTIONS, IMAGES, among, strict=True):
        whole = answerer.retrieve([question], [image], k=8)[0]
        expected = [(one.id, pytest.approx(one.score, abs=1e-5)) for one in whole if one.id in ids]
        found = answerer.retrieve([question], [image], k=8, among=[ids])[0]
        assert [(one.id, one.score) for one in found] == expected
        assert [one.id for one in answerer.retrieve([question], [image], k=1, among=[ids])[0]] == [
            one.id for one in whole if one.id in ids
        ][:1]
    with pytest.raises(KeyError, match="nowhere"):
        answerer.retrieve(QUESTIONS[:1], among=[["t1", "nowhere"]])
    with pytest.raises(ValueError, match="2 lists"):
        answerer.retrieve(QUESTIONS[:1], among=[["t1"], ["t2"]])


def test_only_a_retriever() -> None:
    answerer = make_answerer(without=("reranker", "generator"), num_candidates=5, max_evidence=2)
    answer = answerer(QUESTIONS[0])
    assert answer.reason is AbstainReason.NO_GENERATOR and answer.text is None and answer.abstained
    assert len(answer.candidates) >= 5 and [one.relevance for one in answer.evidence] == [None, None]
    with pytest.raises(ValueError, match="no re-ranker"):
        answerer.rerank(QUESTIONS, [[]] * 3)
    with pytest.raises(ValueError, match="no generator"):
        answerer.generate(QUESTIONS, [[]] * 3)


def test_a_retriever_and_a_reranker() -> None:
    answer = make_answerer(without=("generator",))(QUESTIONS[0])
    assert answer.reason is AbstainReason.NO_GENERATOR
    assert all(one.rerank_relevance is not None and not one.picture_shown for one in answer.evidence)


def test_without_a_reranker_the_generator_decides() -> None:
    answer = make_answerer(without=("reranker",), num_hops=1, max_evidence=3)(QUESTIONS[0])
    found = make_answerer().retrieve(QUESTIONS[:1])[0]
    assert answer.text and len(answer.evidence) == 3
    expected = [candidate.id for candidate in found if candidate.id not in answer.dropped_pictures][:3]
    assert [one.id for one in answer.evidence] == expected


def test_only_a_generator_with_evidence_of_the_caller() -> None:
    answerer = make_answerer(without=("retriever", "reranker", "index"))
    shown = [KnowledgeItem(id="x", text="Marlow built it."), items()[3]]
    answer = answerer.generate(["Who built it?"], [shown])[0]
    assert [one.id for one in answer.evidence] == ["x", "p1"] and answer.text
    assert [one.picture_shown for one in answer.evidence] == [False, True]
    with pytest.raises(ValueError, match="no retriever to search with"):
        answerer("Who built it?")


def test_evidence_of_the_caller_shows_the_pictures_that_it_carries() -> None:
    """An item under a stored id but with another picture must not be answered from the stored one."""
    answerer = make_answerer()
    stored = items()[3]
    other = dataclasses.replace(stored, image=ImageRef(data=png(picture("blue"))))
    first, second = (answerer.generate([QUESTIONS[0]], [[item]])[0].evidence[0] for item in (stored, other))
    assert first.relevance != second.relevance


def test_written_references_are_compared_with_relevance() -> None:
    answerer = make_answerer(check_references=True, citation_threshold=0.0)
    processor = answerer.generator_processor
    written = iter(["Marlow", "The relevant references are [1] [9]."])
    processor.decode_answers = lambda ids: [next(written)]
    answer = answerer(QUESTIONS[0])
    assert answer.text == "Marlow" and answer.invented_citations == 1
    assert answer.reference_disagreements == len(answer.evidence) - 1
    assert make_answerer()(QUESTIONS[0]).reference_disagreements is None


def test_references_that_the_answer_invents_are_dropped() -> None:
    answerer = make_answerer()
    answerer.generator_processor.decode_answers = lambda ids: ["Marlow [7]"]
    answer = answerer(QUESTIONS[0])
    assert answer.text == "Marlow" and answer.invented_citations == 1


def test_parts_that_belong_together() -> None:
    parts = make_parts()
    with pytest.raises(ValueError, match="no model to answer with"):
        RablipAnswerer()
    with pytest.raises(ValueError, match="generator_processor"):
        RablipAnswerer(generator=parts["generator"])
    with pytest.raises(ValueError, match="index and knowledge_base"):
        RablipAnswerer(parts["retriever"], parts["retriever_processor"], index=make_answerer().index)
    wider = make_parts()["retriever"]
    wider.config.retrieval_config.embedding_dim = 24
    other = make_answerer()
    with pytest.raises(ValueError, match=r"24 dimensions.* of 16"):
        RablipAnswerer(wider, parts["retriever_processor"], other.index, other.knowledge_base)


def test_models_are_put_into_evaluation_mode() -> None:
    parts = make_parts()
    for name in ("retriever", "reranker", "generator"):
        parts[name].train()
    answerer = RablipAnswerer(**parts)
    assert not any(model.training for model in (answerer.retriever, answerer.reranker, answerer.generator))


def test_question_pictures_need_a_picture_of_their_own() -> None:
    """The answerer changes nothing that it is given."""
    asked = Image.new("RGB", (9, 7), "red")
    before = asked.tobytes()
    make_answerer()("Who built it?", image=asked)
    assert asked.size == (9, 7) and asked.tobytes() == before
