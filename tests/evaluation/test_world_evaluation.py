"""The whole evaluation with tiny random models: fixed keys, what each condition sees, and nothing left to chance."""

from __future__ import annotations

import json

import pytest

from rablip.answering import AnswerSettings, RablipAnswerer
from rablip.evaluation import evaluate_world
from rablip.evaluation.memory_items import MemoryItems
from rablip.evaluation.table import render_report
from rablip.evaluation.world_runs import WorldRun
from rablip.processing.knowledge_rablip import KnowledgeItem, Modality
from tests.evaluation.small_world import make_small_world
from tests.processing.tiny_tokenizers import make_processor, make_retriever_processor
from tests.tiny import make_generator, make_reranker, make_retriever

CONDITIONS = ("retrieved", "oracle", "closed_book", "shuffled_pictures")
RECALL_KEYS = {"overall", "text", "image", "image_text", "visual_only", "by_kind"}
KINDS = {"color", "question_picture", "text", "two_hop"}


@pytest.fixture(scope="module")
def world():
    return make_small_world()


@pytest.fixture(scope="module")
def answerer():
    generator_processor = make_processor(max_images=3)
    settings = AnswerSettings(
        max_new_tokens=4, num_candidates=4, relevance_threshold=0.0, abstain_threshold=0.0, citation_threshold=0.5
    )
    return RablipAnswerer(
        make_retriever(),
        make_retriever_processor(),
        reranker=make_reranker(),
        generator=make_generator(image_token_index=generator_processor.image_token_id),
        generator_processor=generator_processor,
        settings=settings,
    )


@pytest.fixture(scope="module")
def report(world, answerer):
    return evaluate_world(world, answerer, batch_size=16, num_reference_checks=7).to_json()


def _is_figure(figure):
    low, high = figure["interval"]
    return set(figure) >= {"value", "n", "interval"} and (figure["value"] is None or low <= figure["value"] <= high)


def test_the_fixed_keys_are_there(report):
    assert isinstance(report["world_version"], str)
    assert set(report["baselines"]) == {"random", "bm25", "tfidf", "text_only"}
    for system in (report["retriever"], *report["baselines"].values()):
        assert set(system["recall@5"]) == RECALL_KEYS
        assert all(_is_figure(system["recall@5"][key]) for key in RECALL_KEYS - {"by_kind"})
    assert set(report["answer"]["accuracy"]) == set(CONDITIONS)
    for figures in report["answer"]["accuracy"].values():
        assert _is_figure(figures["overall"])
        assert set(figures["by_kind"]) == KINDS
        assert all(_is_figure(figure) and 0 <= figure["majority"] <= 1 for figure in figures["by_kind"].values())
    assert _is_figure(report["abstain"]["f1"]) and _is_figure(report["citation"]["precision"])
    assert json.loads(json.dumps(report)) == report
    assert "rablip_version" in report and report["machine"]["device"] == "cpu"
    assert "RA-BLIP" in render_report(report)


def test_counts_are_those_of_the_world(report):
    assert (report["num_items"], report["num_questions"]) == (24, 41)
    recall = report["retriever"]["recall@5"]
    assert {key: recall[key]["n"] for key in RECALL_KEYS - {"by_kind"}} == {
        "overall": 48,
        "text": 16,
        "image": 24,
        "image_text": 8,
        "visual_only": 24,
    }
    assert report["answer"]["accuracy"]["oracle"]["overall"]["n"] == 40
    assert report["abstain"]["f1"]["n"] == 41
    assert report["answer"]["accuracy"]["oracle"]["by_kind"]["color"]["majority"] == 0.25


def test_the_same_seed_gives_the_same_figures(world, answerer, report):
    again = evaluate_world(world, answerer, batch_size=5, num_reference_checks=7).to_json()
    for values in (again, report):
        values.pop("seconds")
    assert again == report


def test_names_are_found_by_words_alone_and_unnamed_pictures_are_not(report):
    for name in ("bm25", "tfidf"):
        recall = report["baselines"][name]["recall@5"]
        assert recall["by_kind"]["color"]["value"] == 1.0
        assert recall["visual_only"]["value"] < 0.6
    assert report["baselines"]["random"]["recall@5"]["overall"]["value"] < 0.5


class _Recorder:
    """Stands in front of a run's answerers and keeps what they were given."""

    def __init__(self, monkeypatch):
        self.answered, self.generated = [], []
        answer_batch, generate = RablipAnswerer.answer_batch, RablipAnswerer.generate
        recorder = self

        def record_answer(self, questions, images=None):
            recorder.answered.append((self, list(questions), list(images)))
            return answer_batch(self, questions, images)

        def record_generate(self, questions, evidence, images=None, *, force=False):
            recorder.generated.append((list(questions), [list(row) for row in evidence], list(images), force))
            return generate(self, questions, evidence, images, force=force)

        monkeypatch.setattr(RablipAnswerer, "answer_batch", record_answer)
        monkeypatch.setattr(RablipAnswerer, "generate", record_generate)


@pytest.fixture
def run(world, answerer):
    return WorldRun(world, answerer, batch_size=64, seed=0, progress=False)


def test_oracle_gets_the_gold_items_and_nothing_else(run, monkeypatch):
    recorder = _Recorder(monkeypatch)
    run.oracle()
    positives = {frozenset(question.positive_ids) for question in run.questions if question.answerable}
    seen = [frozenset(item.id for item in row) for _, rows, _, _ in recorder.generated for row in rows]
    assert set(seen) == positives and len(seen) == 40
    assert not any(force for *_, force in recorder.generated)
    orders = [[item.id[:3] for item in row] for _, rows, _, _ in recorder.generated for row in rows if len(row) == 2]
    assert ["pic", "yea"] in orders and ["yea", "pic"] in orders


def test_closed_book_gets_nothing_and_must_answer(run, monkeypatch):
    recorder = _Recorder(monkeypatch)
    outcomes = run.closed_book()
    assert all(not row for _, rows, _, _ in recorder.generated for row in rows)
    assert all(force for *_, force in recorder.generated)
    assert all(outcome.num_evidence == 0 and not outcome.citations for outcome in outcomes)


def test_shuffled_pictures_leaves_no_picture_in_its_place(run, monkeypatch):
    recorder = _Recorder(monkeypatch)
    run.shuffled_pictures()
    view = recorder.answered[0][0]
    own = {item.id: item for item in run.items}
    for item in view.knowledge_base:
        assert item.modality is own[item.id].modality
        assert (item.title, item.caption, item.text) == (own[item.id].title, own[item.id].caption, own[item.id].text)
        assert item.modality is Modality.TEXT or item.image != own[item.id].image
    asked = {
        (question, image[0].data)
        for _, questions, images in recorder.answered
        for question, image in zip(questions, images, strict=True)
        if image
    }
    assert len(asked) == 8
    # The vectors behind the index belong to another permutation than the pictures that are shown.
    straight = run._over(list(view.knowledge_base), list(view.knowledge_base))
    pictured = [item.id for item in run.items if item.image is not None]
    assert abs(straight.index.get(pictured) - view.index.get(pictured)).max() > 1e-3
    assert abs(run.answerer.index.get(pictured) - view.index.get(pictured)).max() > 1e-3
    texts = [item.id for item in run.items if item.image is None]
    assert abs(run.answerer.index.get(texts) - view.index.get(texts)).max() < 1e-5


def test_question_pictures_are_never_of_the_thing_asked_about(world, answerer, monkeypatch):
    # Two questions about each thing: a plain derangement could hand one the other's picture.
    doubled = make_small_world(4)
    shown = [question for question in doubled.questions if question.images]
    doubled.questions += [type(question)(**{**vars(question), "id": question.id + "-again"}) for question in shown]
    run = WorldRun(doubled, answerer, batch_size=64, seed=3, progress=False)
    recorder = _Recorder(monkeypatch)
    run.shuffled_pictures()
    own = {question.positive_ids[0]: question.images[0].data for question in shown}
    places = [place for place in run.answerable if run.images[place]]
    given = {}
    order = sorted(run.answerable, key=lambda p: (bool(run.images[p]), len(run.questions[p].question), p))
    images = [image for _, _, batch in recorder.answered for image in batch]
    for place, image in zip(order, images, strict=True):
        if image:
            given[place] = image[0].data
    assert sorted(given) == sorted(places)
    assert all(data != own[run.questions[place].positive_ids[0]] for place, data in given.items())


def test_text_only_sees_no_picture(run, monkeypatch):
    seen = []
    encode = RablipAnswerer.retrieve

    def record(self, questions, images=None, **kwargs):
        seen.append((self.knowledge_base, images))
        return encode(self, questions, images, **kwargs)

    monkeypatch.setattr(RablipAnswerer, "retrieve", record)
    run.retrieval_figures()
    withheld = [(base, images) for base, images in seen if all(item.image is None for item in base)]
    assert len(withheld) == 2 and all(images is None for _, images in withheld)
    assert any(images is not None and any(images) for _, images in seen)


def test_without_a_generator_the_retriever_is_measured(world):
    answerer = RablipAnswerer(make_retriever(), make_retriever_processor())
    report = evaluate_world(world, answerer).to_json()
    assert "retriever" in report and "baselines" in report and "answer" not in report


def test_what_cannot_be_evaluated_is_refused(world, answerer):
    with pytest.raises(TypeError, match="from_pretrained"):
        evaluate_world(world, "examples/checkpoints/rablip-tiny")
    with pytest.raises(ValueError, match="Unknown conditions \\['guess'\\]"):
        evaluate_world(world, answerer, conditions=["guess"])
    with pytest.raises(ValueError, match="no retriever"):
        evaluate_world(world, RablipAnswerer(reranker=make_reranker(), reranker_processor=make_retriever_processor()))


def test_a_world_that_is_too_small_is_refused_at_once(answerer, monkeypatch):
    def never(self):
        raise AssertionError("nothing may be run first")

    monkeypatch.setattr(WorldRun, "retrieval_figures", never)
    with pytest.raises(ValueError, match="3 items is too small.*'shuffled_pictures' out"):
        evaluate_world(make_small_world(1), answerer)


def test_memory_items_refuse_doubled_ids():
    item = KnowledgeItem(id="7", text="words")
    with pytest.raises(ValueError, match="'7' stands twice"):
        MemoryItems([item, item])
    items = MemoryItems([item])
    assert (len(items), items.ids, list(items), "7" in items, "8" in items) == (1, ["7"], [item], True, False)
