"""The decisions on scored candidates: closed cases and properties."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from rablip.answering.composition import count_disagreements, judge_relevance
from rablip.answering.selection import (
    choose_citations,
    drop_invented_references,
    fit_pictures,
    merge_hops,
    second_hop_question,
    select_evidence,
)
from rablip.answering.types import AbstainReason, Candidate
from rablip.processing.knowledge_rablip import ImageRef, KnowledgeItem


def text(item_id: str, relevance: float | None = None, **values: object) -> Candidate:
    return Candidate(KnowledgeItem(id=item_id, text="words"), 0.5, rerank_relevance=relevance, **values)


def image(
    item_id: str, relevance: float | None = None, title: str | None = None, body: str | None = None
) -> Candidate:
    item = KnowledgeItem(id=item_id, image=ImageRef(path=f"{item_id}.png"), title=title, text=body)
    return Candidate(item, 0.5, rerank_relevance=relevance)


probabilities = st.floats(0, 1)
candidate_lists = st.lists(
    st.tuples(st.sampled_from(["text", "image", "image_text"]), probabilities, st.floats(-1, 1)), max_size=8
).map(
    lambda rows: [
        Candidate(
            KnowledgeItem(
                id=str(number),
                text=None if kind == "image" else "words",
                image=None if kind == "text" else ImageRef(path="a.png"),
            ),
            score,
            rerank_relevance=relevance,
        )
        for number, (kind, relevance, score) in enumerate(rows)
    ]
)


def test_adaptive_selection_keeps_what_is_relevant_best_first() -> None:
    found = [text("a", 0.2), text("b", 0.9), text("c", 0.5), text("d", 0.49)]
    assert [kept.id for kept in select_evidence(found, max_evidence=4, threshold=0.5)] == ["b", "c"]
    assert [kept.id for kept in select_evidence(found, max_evidence=1, threshold=0.5)] == ["b"]
    assert not select_evidence(found, max_evidence=4, threshold=0.95)


def test_without_a_judgement_the_search_decides() -> None:
    found = [Candidate(KnowledgeItem(id=str(n), text="words"), score) for n, score in enumerate((0.1, 0.9, 0.5))]
    assert [kept.id for kept in select_evidence(found, max_evidence=2, threshold=0.5)] == ["1", "2"]


def test_pictures_without_a_place_are_recorded() -> None:
    found = [image("a", 0.9), image("b", 0.8), image("c", 0.7, body="text"), text("d", 0.6)]
    selection = select_evidence(found, max_evidence=4, threshold=0.5, max_pictures=1)
    assert [kept.id for kept in selection] == ["a", "c", "d"], "a picture alone makes room, a text stays"
    assert [kept.has_picture for kept in selection] == [True, False, False]
    assert selection.dropped_pictures == ("b", "c")


@given(candidate_lists, probabilities, st.integers(1, 6), st.integers(0, 3))
@settings(deadline=None)
def test_selection_never_breaks_its_limits(
    found: list[Candidate], threshold: float, max_evidence: int, max_pictures: int
) -> None:
    selection = select_evidence(found, max_evidence=max_evidence, threshold=threshold, max_pictures=max_pictures)
    ids = [kept.id for kept in selection]
    relevance = [kept.rerank_relevance for kept in selection]
    assert len(ids) == len(set(ids)) <= max_evidence
    assert all(value >= threshold for value in relevance) and relevance == sorted(relevance, reverse=True)
    assert sum(kept.has_picture for kept in selection) <= max_pictures
    given_ids = {candidate.id for candidate in found}
    assert {*ids, *selection.dropped_pictures} <= given_ids
    # Nothing relevant is left out without a trace while there is room.
    if len(ids) < max_evidence:
        relevant = {candidate.id for candidate in found if candidate.rerank_relevance >= threshold}
        assert relevant == {*ids, *selection.dropped_pictures}


def test_given_evidence_keeps_its_order_and_the_best_pictures() -> None:
    fitted = fit_pictures([image("a", 0.1), text("b", 0.9), image("c", 0.8), image("d", 0.7)], 2)
    assert [candidate.id for candidate in fitted] == ["a", "b", "c", "d"]
    assert [candidate.has_picture for candidate in fitted] == [False, False, True, True]
    assert fitted.dropped_pictures == ("a",)
    unjudged = fit_pictures([image("a"), image("b"), image("c")], 2)
    assert [candidate.has_picture for candidate in unjudged] == [True, True, False]


def test_merged_hops_hold_each_item_once_at_its_best() -> None:
    first = [text("a", 0.9), text("b", 0.1)]
    second = [text("b", 0.8, hop=2), text("c", 0.2, hop=2), text("a", 0.3, hop=2)]
    merged = merge_hops(first, second)
    assert [(candidate.id, candidate.rerank_relevance, candidate.hop) for candidate in merged] == [
        ("a", 0.9, 1),
        ("b", 0.8, 2),
        ("c", 0.2, 2),
    ]


def test_the_second_search_adds_the_title_of_the_best_picture() -> None:
    found = [text("a", 0.99), image("b", 0.4, title="Low"), image("c", 0.8, title=" Velmor\n Tarn ")]
    assert second_hop_question("Who built it?", found) == "Who built it? | Velmor Tarn"
    assert second_hop_question("Who built it?", found, threshold=0.9) is None, "the best picture is not relevant"
    assert second_hop_question("Who built velmor  tarn?", found) is None, "the question names it already"
    assert second_hop_question("Who?", [text("a", 0.9)]) is None
    assert second_hop_question("Who?", [image("a", 0.9)]) is None, "no title"
    assert second_hop_question("Who?", [image("a", title="Unjudged")], threshold=0.9) == "Who? | Unjudged"


@given(st.lists(probabilities, max_size=6), probabilities)
def test_citations_reach_the_threshold_in_order(relevance: list[float], threshold: float) -> None:
    ids = [str(number) for number in range(len(relevance))]
    cited = choose_citations(ids, relevance, threshold)
    assert set(cited) == {name for name, value in zip(ids, relevance, strict=True) if value >= threshold}
    assert [relevance[int(name)] for name in cited] == sorted((relevance[int(name)] for name in cited), reverse=True)


def test_invented_references_are_dropped_and_counted() -> None:
    assert drop_invented_references("Marlow [1] [3] [/3] [0]", 2) == ("Marlow [1]", 2)
    assert drop_invented_references("[9]", 2) == ("", 1)
    assert drop_invented_references("in 1889 (see 3)", 0) == ("in 1889 (see 3)", 0)


def test_reasons_before_anything_is_written() -> None:
    assert judge_relevance([], 0.5) is AbstainReason.NO_CANDIDATES
    assert judge_relevance([0.49, 0.1], 0.5) is AbstainReason.GENERATOR_FOUND_NONE_RELEVANT
    assert judge_relevance([0.5], 0.5) is None


def test_disagreements_between_list_and_relevance() -> None:
    assert count_disagreements([1, 3], [0.9, 0.1, 0.8], 0.5) == 0
    assert count_disagreements([2], [0.9, 0.1, 0.8], 0.5) == 3
    assert count_disagreements([], [0.9, 0.1], 0.5) == 1
    assert count_disagreements(None, [0.9, 0.1], 0.5) == 2, "an unreadable list agrees with nothing"
