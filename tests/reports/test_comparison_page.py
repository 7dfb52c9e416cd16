"""The page that sets two runs side by side: pairs of figures, what changed, and filters for it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rablip.answering import Answer
from rablip.reports import (
    ChangedQuestion,
    ComparisonPage,
    PageEntry,
    PairedFigure,
    build_comparison_page,
    write_comparison_page,
)
from tests.reports.page_reader import PageReader, assert_carries_all
from tests.reports.sample_pages import make_comparison, make_entries
from tests.reports.test_evaluation_page import chips, questions


@pytest.fixture(scope="module")
def page() -> str:
    return build_comparison_page(make_comparison(make_entries(9, size=(96, 72))))


def entry(points: float, question: str = "Who built it?", **values: object) -> PageEntry:
    answer = Answer(question=question, text=f"answer {points}")
    return PageEntry(answer=answer, score=points, **values)  # type: ignore[arg-type]


def compare(*points: tuple[float, float], **parts: object) -> str:
    changed = [
        ChangedQuestion(first=entry(first, f"Who {place}?"), second=entry(second, f"Who {place}?"))
        for place, (first, second) in enumerate(points)
    ]
    values = {"title": "Two runs", "first_name": "old", "second_name": "new", "changed": changed, **parts}
    return build_comparison_page(ComparisonPage(**values))  # type: ignore[arg-type]


def test_everything_is_on_the_page(page: str) -> None:
    text = PageReader(page).text
    for part in (
        *(
            "With and without adaptive fusion",
            "concatenated tokens, rablip-concat 81c0",
            "241 questions",
            "387 questions",
        ),
        *("4,966 questions", "0.6182", "0.6441", "+0.0259", "+0.0190 to +0.0330", "< 0.001", "0.480", "resampling"),
        *("A: concatenated tokens", "B: adaptive fusion", "81c0de11aa05", "It is blue.", "partly right: 30%"),
        *("Expected: It has seven arches.", "Needed items found", "Some of both, drawn with seed 0."),
    ):
        assert part in text, part
    assert_carries_all(page)
    assert_carries_all(compare())


def test_the_same_content_gives_the_same_bytes(page: str) -> None:
    assert build_comparison_page(make_comparison(make_entries(9, size=(96, 72)))) == page


def test_filters_by_which_run_is_right() -> None:
    found = compare((1.0, 0.0), (0.0, 1.0), (0.0, 1.0))
    assert chips(found)["Which run"] == [("All", 3), ("A right, B wrong", 1), ("B right, A wrong", 2)]
    assert [sorted(classes) for classes in questions(found)] == [["b0"], ["b1"], ["b1"]]
    signs = re.findall(r'<span class="sign letter">(.)</span>', found)
    assert signs == ["A", "B", "B"]


def test_filters_by_which_run_scores_higher_where_answers_are_partly_right() -> None:
    found = compare((1.0, 0.4), (0.0, 0.1))
    assert chips(found)["Which run"] == [("All", 2), ("A better", 1), ("B better", 1)]


def test_counts_of_the_whole_comparison_or_of_what_is_listed() -> None:
    listed = PageReader(compare((1.0, 0.0), (0.0, 1.0), (0.0, 1.0))).text
    assert "A better on1 questionB better on2 questions" in listed
    said = PageReader(compare((1.0, 0.0), num_first_better=7, num_second_better=0, num_questions=50)).text
    assert "A better on7 questionsB better on0 questionsCompared on50 questions" in said


def test_both_answers_stand_side_by_side() -> None:
    found = compare((1.0, 0.25))
    inside = re.search(r'<div class="answers">(.*)</div></div>', found, re.S)
    assert inside and inside[1].index("answer 1.0") < inside[1].index("answer 0.25")
    assert re.findall(r'<h4><span class="letter">(.)</span> (\w+)</h4>', inside[1]) == [("A", "old"), ("B", "new")]
    outcomes = re.findall(r'<span class="letter">(.)</span><strong[^>]*>(.*?)</strong>', found)
    assert outcomes == [("A", "answer 1.0"), ("B", "answer 0.25")]


def test_facts_that_differ_are_stressed() -> None:
    found = compare(facts=[("Seed", "0", "1"), ("Split", "val", "val")])
    assert "<td><b>0</b></td><td><b>1</b></td>" in found and "<td>val</td><td>val</td>" in found


def test_p_values_and_counts_have_their_columns_only_where_they_are_given() -> None:
    def columns(**values: object) -> list[str]:
        figure = PairedFigure(**{"name": "QA", "first": 0.5, "second": 0.6, **values})  # type: ignore[arg-type]
        return re.findall(r'<th scope="col">(.*?)</th>', compare(metrics=[figure]))

    assert columns() == ["A", "B", "difference"]
    assert columns(p_value=0.2, interval=(0.0, 0.2), num_questions=9) == ["A", "B", "difference", "interval", "p", "n"]


def test_it_keeps_to_its_size() -> None:
    found = compare(*[(1.0, 0.0)] * 200, max_bytes=40_000)
    assert len(found.encode()) <= 40_000 and 0 < len(questions(found)) < 200
    assert f"{200 - len(questions(found))} questions of 200 left out" in found


@pytest.mark.parametrize(
    "words", ["<script>alert(1)</script>", '"><img src=x onerror=y>', "</style></details>", "a\0b"]
)
def test_every_text_stays_a_text(words: str) -> None:
    def tags(word: str) -> list[str]:
        both = [entry(points, word, kind=word, expected=(word,), question_id=word) for points in (1.0, 0.0)]
        found = build_comparison_page(
            ComparisonPage(
                title=word,
                first_name=word,
                second_name=word,
                introduction=word,
                facts=[(word, word, word)],
                metrics=[PairedFigure(name=word, metric=word, note=word, first=0.5, second=0.6)],
                changed=[ChangedQuestion(first=both[0], second=both[1])],
                sample_note=word,
                footer=word,
            )
        )
        assert_carries_all(found)
        return [tag for tag, _ in PageReader(found).tags]

    assert tags(words) == tags("plain")


def test_the_page_is_written_whole(tmp_path: Path, page: str) -> None:
    target = write_comparison_page(make_comparison(make_entries(9, size=(96, 72))), tmp_path / "comparison.html")
    assert target.read_text(encoding="utf-8") == page
