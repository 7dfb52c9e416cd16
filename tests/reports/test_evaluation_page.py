"""The page of an evaluation: everything is said, texts stay texts, filters count right, and it keeps to its size."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rablip.answering import AbstainReason, Answer, Candidate, EvidenceRelevance
from rablip.processing.knowledge_rablip import ImageRef, KnowledgeItem
from rablip.reports import (
    Bar,
    BarChart,
    CalibrationBin,
    CalibrationPlot,
    Curve,
    CurvePoint,
    EvaluationPage,
    LineChart,
    MetricRow,
    PageEntry,
    PairedFigure,
    PublishedRow,
    PublishedTable,
    SourceMark,
    build_evaluation_page,
    write_evaluation_page,
)
from tests.reports.page_reader import PageReader, assert_carries_all
from tests.reports.sample_pages import draw_scene, make_entries, make_evaluation


@pytest.fixture(scope="module")
def entries() -> list[PageEntry]:
    return make_entries(18, size=(96, 72))


@pytest.fixture(scope="module")
def page(entries: list[PageEntry]) -> str:
    return build_evaluation_page(make_evaluation(entries))


def chips(page: str) -> dict[str, list[tuple[str, int]]]:
    """Legend of every group of filters to its choices with their counts."""
    groups = {}
    for legend, inside in re.findall(r"<fieldset><legend>(.*?)</legend>(.*?)</fieldset>", page, re.S):
        found = re.findall(r'<span dir="auto">(.*?)</span> <b>([\d,]+)</b>', inside)
        groups[legend] = [(name, int(count.replace(",", ""))) for name, count in found]
    return groups


def questions(page: str) -> list[set[str]]:
    """The classes of every folded question."""
    return [set(found.split()) for found in re.findall(r'<details class="entry ([^"]*)"', page)]


def test_everything_is_on_the_page(page: str) -> None:
    text = PageReader(page).text
    for part in (
        *("RA-BLIP on WebQA, validation", "official scorer", "3f9a1c77d2e8", "0b6f21e49ad0", "one H100, bfloat16"),
        *("rablip eval webqa --split val", "2 problems found in the data", "12 questions name a picture"),
        *("0.6441", "0.6350 to 0.6530", "n = 4,966", "61.27", "recall@5", "for reference"),
        *("MuRAG", "secondary source", "recalled", "this run", "43.63", "written down from memory, never checked"),
        *("validation split, with the right sources given", "Not comparable"),
        *("By category", "n = 2,455", "Recall curves", "CLIP ViT-B/32", "ECE 0.087"),
        *("abstention precision", "citation F1", "Stress tests", "every picture replaced by another one", "−0.2390"),
        *("Modality importance", "−0.2210 to −0.1950", "A sample: 18 of 4,966 questions", "Drawn at random"),
        *("Needed items found: 2 of 2.", "Not found: 30999999.", "search score 0.83", "d5c100000bb911ec81c0"),
        *("partly right: 42%", "rightly withheld", "withheld, though it can be answered", "found but not used"),
        *("Expected: It has seven arches.", "Expected: no answer", "reference 2", "second search", "needed"),
    ):
        assert part in text, part
    assert "None" not in text.replace("None found", "") and "nan" not in page.replace("nance", "")


def test_it_carries_all_and_runs_nothing(page: str) -> None:
    assert_carries_all(page)
    assert_carries_all(build_evaluation_page(EvaluationPage(title="Empty")))


def test_an_empty_page_has_no_empty_parts() -> None:
    reader = PageReader(build_evaluation_page(EvaluationPage(title="Nothing yet")))
    assert not {"section", "table", "svg", "nav", "fieldset", "h2"} & {tag for tag, _ in reader.tags}


def test_the_same_content_gives_the_same_bytes(entries: list[PageEntry], page: str) -> None:
    assert build_evaluation_page(make_evaluation(make_entries(18, size=(96, 72)))) == page


def test_main_figures_come_first_and_are_large() -> None:
    rows = [MetricRow(name="aside", value=0.1), MetricRow(name="main", value=45.123, scale=100, is_main=True)]
    page = build_evaluation_page(EvaluationPage(title="Page", metrics=rows))
    tiles = re.search(r'<ul class="tiles">(.*?)</ul>', page, re.S)
    assert tiles and "45.12" in tiles[1] and "0.1000" not in tiles[1]
    names = re.findall(r'<th scope="row">(\w+)', page)
    assert names == ["main", "aside"] and page.count('<tr class="highlighted">') == 1


def test_a_column_that_says_nothing_is_left_out() -> None:
    def columns(**values: object) -> list[str]:
        row = MetricRow(**{"name": "QA", "value": 0.5, **values})  # type: ignore[arg-type]
        return re.findall(
            r'<th scope="col">(.*?)</th>', build_evaluation_page(EvaluationPage(title="a", metrics=[row]))
        )

    assert columns() == ["value"]
    assert columns(scale=100, k=5, num_questions=7) == ["value", "n", "k", "out of"]
    assert columns(interval=(0.4, 0.6), corpus="full") == ["value", "interval", "corpus"]


def test_what_is_not_comparable_stands_below_and_says_why() -> None:
    rows = [
        PublishedRow(system="other split", values=["50"], mark=SourceMark.READ, not_comparable="test split"),
        PublishedRow(system="same split", values=[None], mark=SourceMark.RECALLED, source="a table"),
        PublishedRow(system="ours", values=["45.1"], is_own=True),
    ]
    page = build_evaluation_page(EvaluationPage(title="a", published=[PublishedTable(metrics=["QA"], rows=rows)]))
    compared, apart = re.findall(r"<tbody(?: class=\"apart\")?>(.*?)</tbody>", page, re.S)
    assert re.findall(r'<th scope="row">([\w ]+)', compared) == ["same split", "ours"]
    assert re.findall(r'<th scope="row">([\w ]+)', apart) == ["other split"]
    assert "<small>recalled · a table</small>" in compared and "<td>–</td>" in compared
    assert "<small>test split</small>" in apart and "Not comparable" in apart
    assert '<tr class="highlighted"><th scope="row">ours' in compared


def test_a_difference_is_bold_where_its_interval_leaves_out_zero() -> None:
    figures = [
        PairedFigure(name="sure", first=0.5, second=0.4, interval=(-0.15, -0.05)),
        PairedFigure(name="unsure", first=0.5, second=0.4, interval=(-0.25, 0.0)),
        PairedFigure(name="unknown", first=0.5, second=0.4),
        PairedFigure(name="up", first=0.4, second=0.5, interval=(0.05, 0.15)),
    ]
    page = build_evaluation_page(EvaluationPage(title="a", stress=figures))
    assert re.findall(r"<td><b>(.*?)</b></td>", page) == ["−0.1000", "+0.1000"]


def test_filters_count_what_they_show(entries: list[PageEntry], page: str) -> None:
    found = chips(page)
    # 18 questions: 8 and 17 are withheld, the latter rightly; of the others every fifth one is wrong (2, 7, 12) and
    # every fifth one partly right (4, 9, 14); every fourth one misses what it needs.
    assert found["Answer"] == [("All", 18), ("Right", 11), ("Partly right", 3), ("Wrong", 4), ("Withheld", 2)]
    assert found["Items that the question needs"] == [
        ("All", 18),
        ("All found", 13),
        ("Some found", 0),
        ("None found", 5),
    ]
    kinds = [entry.kind for entry in entries]
    assert found["Category"] == [("All", 18), *((kind, kinds.count(kind)) for kind in sorted(set(kinds)))]
    marks = questions(page)
    for key, legend in (("v", "Answer"), ("g", "Items that the question needs"), ("c", "Category")):
        counted = [sum(f"{key}{place}" in classes for classes in marks) for place in range(len(found[legend]) - 1)]
        assert counted == [count for _, count in found[legend][1:]]
        for place in range(len(counted)):
            rule = f".browse:has(#only-{key}{place}:checked) .entry:not(.{key}{place}) {{ display: none; }}"
            assert rule in page and f'id="only-{key}{place}"' in page
    assert page.count(" checked>") == 3 and page.count(" disabled>") == 1


def test_what_cannot_be_filtered_has_no_filter() -> None:
    plain = [PageEntry(answer=Answer(question=f"Who {n}?", text="Marlow"), correct=True) for n in range(3)]
    assert chips(build_evaluation_page(EvaluationPage(title="a", entries=plain))) == {}
    mixed = [*plain, PageEntry(answer=Answer(question="Which?", text="No"), correct=False)]
    assert chips(build_evaluation_page(EvaluationPage(title="a", entries=mixed))) == {
        "Answer": [("All", 4), ("Right", 3), ("Wrong", 1), ("Withheld", 0)]
    }


def test_many_categories_are_folded() -> None:
    answer = Answer(question="Who?", text="Marlow")
    many = [PageEntry(answer=answer, kind=f"kind {n % 40}", correct=True) for n in range(80)]
    page = build_evaluation_page(EvaluationPage(title="a", entries=many))
    assert chips(page)["Category"] == [("All", 80), *((f"kind {n}", 2) for n in sorted(range(40), key=str))]
    assert "<details><summary>40 to choose from</summary>" in page


def test_a_full_page_shrinks_its_pictures_first_and_then_leaves_questions_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    some = make_entries(12)

    def build(max_bytes: int) -> tuple[str, int, int]:
        page = build_evaluation_page(EvaluationPage(title="a", entries=some, max_bytes=max_bytes))
        sides = [int(side) for side in re.findall(r'width="(\d+)" height="\d+" src=', page)]
        return page, len(questions(page)), max(sides, default=0)

    page, num_shown, side = build(20_000_000)
    assert (num_shown, side) == (12, 480) and "left out" not in page
    smaller, num_shown, side = build(len(page) // 3)
    assert num_shown == 12 and side < 480 and "left out" not in smaller and len(smaller) <= len(page) // 3
    assert not caplog.records
    smallest, num_shown, side = build(120_000)
    assert 0 < num_shown < 12 and side == 112 and len(smallest.encode()) <= 120_000
    assert f"{12 - num_shown} questions of 12 left out" in smallest
    assert [record.getMessage() for record in caplog.records] and "leaves out" in caplog.text
    counted = chips(smallest)["Answer"][0]
    assert counted == ("All", num_shown), "the filters count what is on the page"
    nothing, num_shown, _ = build(1)
    assert num_shown == 0 and "12 questions of 12 left out" in nothing


def test_one_huge_question_does_not_push_out_the_others() -> None:
    huge = PageEntry(answer=Answer(question="Who?", text="W" * 200_000), correct=True)
    small = [PageEntry(answer=Answer(question=f"Who {n}?", text="Marlow"), correct=True) for n in range(5)]
    page = build_evaluation_page(EvaluationPage(title="a", entries=[*small[:2], huge, *small[2:]], max_bytes=100_000))
    assert len(questions(page)) == 5 and "1 question of 6 left out" in page
    assert re.findall(r'id="q(\d)"', page) == ["1", "2", "4", "5", "6"]


def test_many_problems_are_folded_and_counted() -> None:
    def problems(number: int) -> str:
        page = build_evaluation_page(EvaluationPage(title="a", problems=[f"problem {n}." for n in range(number)]))
        found = re.search(r'<details class="problems".*?</details>', page, re.S)
        assert found is not None
        return found[0]

    assert '<details class="problems" open>' in problems(5) and "more" not in problems(5)
    assert "<summary>1 problem found in the data</summary>" in problems(1)
    many = problems(1_000)
    assert '<details class="problems">' in many and "<li>and 900 more</li>" in many
    assert "problem 99." in many and "problem 100." not in many


def test_a_retriever_alone_withholds_nothing() -> None:
    found = Candidate(KnowledgeItem(id="t", text="Marlow built it."), 0.5)
    answer = Answer(question="Who?", text=None, abstained=True, reason=AbstainReason.NO_GENERATOR, candidates=(found,))
    entries = [PageEntry(answer=answer, gold_ids=(gold,)) for gold in ("t", "other")]
    page = build_evaluation_page(EvaluationPage(title="a", entries=entries))
    assert list(chips(page)) == ["Items that the question needs"]
    text = PageReader(page).text
    assert "1 item found" in text and "withheld" not in text and "not used" not in text


def test_long_texts_are_cut_and_say_so() -> None:
    found = Candidate(KnowledgeItem(id="t", text="word " * 2000), 0.5)
    other = Candidate(KnowledgeItem(id="o", text="word " * 2000), 0.4)
    answer = Answer(question="Who?", text="a", evidence=(EvidenceRelevance("t", 0.5),), candidates=(found, other))
    text = PageReader(build_evaluation_page(EvaluationPage(title="a", entries=[PageEntry(answer=answer)]))).text
    assert "(6,999 more characters)" in text and "(9,599 more characters)" in text


def test_the_page_is_written_whole_or_not_at_all(tmp_path: Path, page: str, entries: list[PageEntry]) -> None:
    target = tmp_path / "report.html"
    assert write_evaluation_page(make_evaluation(entries), target) == target
    assert target.read_text(encoding="utf-8") == page and [one.name for one in tmp_path.iterdir()] == ["report.html"]
    with pytest.raises(FileNotFoundError, match="Make it first"):
        write_evaluation_page(EvaluationPage(title="a"), tmp_path / "nowhere" / "report.html")


texts = st.text(min_size=1, max_size=24).filter(lambda text: text.strip() and "\n\n" not in text) | st.sampled_from(
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=y>',
        "</style><b>",
        "</title></svg></details>",
        "&amp; ${style}",
        "' onload='x",
        "\N{RIGHT-TO-LEFT OVERRIDE}abc",
        "\0a\x1bb",
        "\ud800 alone",
    ]
)


def hostile_page(*words: str) -> EvaluationPage:
    a, b, c, d = words
    item = KnowledgeItem(id="p", image=ImageRef(path="p.png"), caption=a, text=b, source=c)
    answer = Answer(
        question=a,
        text=b,
        citations=("p",),
        evidence=(EvidenceRelevance("p", 0.9, 0.9, 0.9, 1, True),),
        candidates=(Candidate(item, 0.9), Candidate(KnowledgeItem(id=f"{d}x", text=c), 0.5)),
        expanded_question=c,
    )
    entry = PageEntry(
        answer=answer,
        kind=a,
        expected=(d,),
        correct=False,
        pictures={"p": Image.new("RGB", (2, 2))},
        question_id=d,
        gold_ids=("p", f"{c}y"),
    )
    other = PageEntry(
        answer=Answer(question=c, text=d, abstained=True, reason=AbstainReason.NO_ANSWER), kind=b, correct=True
    )
    point, bin_ = (
        CurvePoint(k=1, value=0.5),
        CalibrationBin(low=0, high=1, confidence=0.5, accuracy=0.5, num_questions=1),
    )
    published = [
        PublishedRow(system=a, values=[b], mark=SourceMark.READ, source=c, not_comparable=d),
        PublishedRow(system=b, values=[c], is_own=True),
    ]
    metric = MetricRow(name=a, variant=b, value=0.5, corpus=c, note=d, is_main=True)
    pair = PairedFigure(name=a, metric=b, first=0.5, second=0.25, note=c)
    return EvaluationPage(
        title=a,
        introduction=b,
        facts=[(c, d)],
        command=a,
        problems=[b],
        metrics=[metric],
        interval_note=c,
        published=[PublishedTable(metrics=[d], rows=published, title=a, note=b)],
        categories=[BarChart(title=a, bars=[Bar(name=b, value=0.5)], note=c)],
        curves=[LineChart(title=a, curves=[Curve(name=b, points=[point])], metric=c, note=d)],
        calibration=[CalibrationPlot(title=a, bins=[bin_], note=b)],
        trust=[metric],
        stress=[pair],
        modality_importance=[pair],
        entries=[entry, other],
        sample_note=c,
        footer=d,
    )


@given(texts, texts, texts, texts)
@settings(deadline=None, max_examples=40)
def test_every_text_stays_a_text(first: str, second: str, third: str, fourth: str) -> None:
    """The page has the same tags whatever the texts are, and they can be read on it."""
    words = f"a{first}", f"b{second}", f"c{third}", f"d{fourth}"
    html = build_evaluation_page(hostile_page(*words))
    assert_carries_all(html)
    reader = PageReader(html)
    plain = PageReader(build_evaluation_page(hostile_page("first", "second", "third", "fourth")))
    assert [tag for tag, _ in reader.tags] == [tag for tag, _ in plain.tags]
    assert [set(attributes) for _, attributes in reader.tags] == [set(attributes) for _, attributes in plain.tags]
    for one in words:
        shown = "".join(letter if letter >= " " or letter in "\n\t" else " " for letter in one)
        shown = shown.encode("utf-8", "replace").decode()
        assert " ".join(shown.replace("\r", " ").split()) in reader.text


def test_pictures_of_an_entry_are_kept_no_larger_than_they_are_shown() -> None:
    answer = make_entries(1)[0].answer
    entry = PageEntry.from_answer(answer, lambda item: draw_scene(1), question_images=[draw_scene(2)])
    shown = {one.id for one in answer.evidence}
    assert {entry.pictures[one].size for one in shown} == {(480, 360)}
    assert {entry.pictures[one.id].size for one in answer.candidates if one.id not in shown} == {(96, 72)}
    assert entry.question_images[0].size == (480, 360)
