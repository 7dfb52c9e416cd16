"""Pages in a real browser, as wide as a desk and as a phone: quiet, self-contained, no wider than the screen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rablip.answering import Answer, Candidate, EvidenceRelevance
from rablip.processing.knowledge_rablip import KnowledgeItem
from rablip.reports import (
    Bar,
    BarChart,
    EvaluationPage,
    MetricRow,
    PageEntry,
    PublishedRow,
    PublishedTable,
    SourceMark,
    build_comparison_page,
    build_evaluation_page,
)
from tests.reports.browser import Browser, Page
from tests.reports.sample_pages import make_comparison, make_entries, make_evaluation
from tests.reports.test_evaluation_page import hostile_page

pytestmark = pytest.mark.browser

SHOWN = (
    "[...document.querySelectorAll('.entry')].filter(one => one.getClientRects().length).map(one => +one.id.slice(1))"
)
WIDTH = "document.documentElement.scrollWidth"
# Letters that stand outside the card of their chart.
STRAY = """[...document.querySelectorAll('.chart > svg text')].filter(text => {
  if (text.parentNode.closest('svg') !== text.closest('.chart > svg')) return false;
  const [inner, outer] = [text.getBoundingClientRect(), text.closest('.chart').getBoundingClientRect()];
  return inner.left < outer.left || inner.right > outer.right;
}).map(text => text.textContent)"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An evaluation, a comparison, and one in which every text is as long or as odd as texts get."""
    folder = tmp_path_factory.mktemp("pages")
    entries = make_entries(18, size=(160, 120))
    made = {
        "evaluation": build_evaluation_page(make_evaluation(entries)),
        "comparison": build_comparison_page(make_comparison(entries[:8])),
        "hostile": build_evaluation_page(_hostile()),
    }
    paths = {name: folder / f"{name}.html" for name in made}
    for name, html in made.items():
        paths[name].write_text(html, encoding="utf-8")
    return paths


def _hostile() -> EvaluationPage:
    long = "W" * 300
    page = hostile_page(
        long, f"{long} {long}", "\N{RIGHT-TO-LEFT OVERRIDE}" + "שלום עולם " * 20, "<script>" + "漢字" * 80
    )
    bars = [Bar(name=f"{long} {n}", value=0.5, interval=(0.0, 1.0), num_questions=10**9) for n in range(40)]
    found = Candidate(KnowledgeItem(id=long, text=f"{long} {long}", source=long), 0.5)
    answer = Answer(question=long, text=long, evidence=(EvidenceRelevance(long, 0.5),), candidates=(found,))
    published = PublishedRow(
        system=long, values=["12.34"] * 20, mark=SourceMark.READ, source=long, not_comparable=long
    )
    return EvaluationPage(
        **{
            **vars(page),
            "metrics": [MetricRow(name=long, value=12345.678, variant=long, corpus=long, is_main=True)],
            "published": [PublishedTable(metrics=["metric"] * 20, rows=[published])],
            "categories": [BarChart(title=long, bars=bars, compared_bars=bars, series=(long, long))],
            "entries": [
                *page.entries,
                *(PageEntry(answer=answer, kind=f"{long} {n}", correct=True) for n in range(12)),
            ],
        }
    )


def test_the_browser_tells_what_a_bad_page_does(browser: Browser, tmp_path: Path) -> None:
    bad = tmp_path / "bad.html"
    bad.write_text(
        '<meta name="viewport" content="width=device-width"><img src="http://nowhere.invalid/x.png">'
        '<script>console.log("said"); missing()</script><div style="width: 500px">wide</div>',
        encoding="utf-8",
    )
    page = browser.open(bad, width=390)
    assert page.requests() == ["http://nowhere.invalid/x.png"]
    complaints = " ".join(page.complaints())
    assert "said" in complaints and "missing is not defined" in complaints
    assert page.run(WIDTH) > 390
    page.close()


@pytest.mark.parametrize("name", ["evaluation", "comparison", "hostile"])
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark"), (320, "light")])
def test_pages_are_quiet_and_fit(browser: Browser, pages: dict[str, Path], name: str, width: int, scheme: str) -> None:
    page = browser.open(pages[name], width=width, scheme=scheme)  # type: ignore[arg-type]
    assert page.complaints() == [] and page.requests() == []
    assert page.run(WIDTH) <= width
    assert page.run(STRAY) == []
    page.run("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert page.run(WIDTH) <= width, "with everything unfolded"
    assert page.run("[...document.images].every(one => one.complete && one.naturalWidth > 0)")
    dark = page.run("getComputedStyle(document.body).backgroundColor")
    assert dark == ("rgb(20, 22, 27)" if scheme == "dark" else "rgb(247, 246, 242)")
    assert page.complaints() == [] and page.requests() == []
    page.close()


@pytest.fixture
def evaluation(browser: Browser, pages: dict[str, Path]) -> Iterator[Page]:
    page = browser.open(pages["evaluation"], width=390)
    yield page
    page.close()


def choose(page: Page, name: str) -> None:
    """Clicks the choice whose words begin so."""
    page.run(
        f"[...document.querySelectorAll('.chip')].find(one => one.textContent.trim().startsWith({name!r})).click()"
    )


def test_filters_hide_and_show(evaluation: Page) -> None:
    everything = list(range(1, 19))
    assert evaluation.run(SHOWN) == everything
    assert "18 of 18 questions shown" in evaluation.heard()
    choose(evaluation, "Wrong")
    # Questions 3, 8 and 13 are wrong, and 9 is withheld though it can be answered.
    assert evaluation.run(SHOWN) == [3, 8, 9, 13]
    assert "4 of 18 questions shown" in evaluation.heard()
    choose(evaluation, "None found")
    assert evaluation.run(SHOWN) == [9, 13], "groups narrow one another down"
    choose(evaluation, "shape")
    assert evaluation.run(SHOWN) == [13]
    choose(evaluation, "color")
    assert evaluation.run(SHOWN) == [9]
    choose(evaluation, "Withheld")
    assert evaluation.run(SHOWN) == [9]
    evaluation.run("document.querySelectorAll('.all').forEach(one => one.click())")
    assert evaluation.run(SHOWN) == everything


def test_filters_and_questions_work_by_keyboard(evaluation: Page) -> None:
    evaluation.run("document.getElementById('only-vall').focus()")
    evaluation.press("ArrowRight", 39)
    assert evaluation.run("document.activeElement.id") == "only-v0"
    assert len(evaluation.run(SHOWN)) == 11
    assert evaluation.run("getComputedStyle(document.activeElement.parentNode).outlineStyle") == "solid"
    evaluation.press("ArrowRight", 39)
    assert evaluation.run(SHOWN) == [5, 10, 15]
    evaluation.run("document.querySelector('#q5 > summary').focus()")
    evaluation.press(" ", 32)
    assert evaluation.run("document.getElementById('q5').open") is True
    evaluation.press(" ", 32)
    assert evaluation.run("document.getElementById('q5').open") is False


def test_charts_can_be_heard(evaluation: Page) -> None:
    heard = evaluation.heard()
    for words in ("Share of the needed items among the first k", "Confidence of the answers", "Retrieval F1"):
        assert words in heard
    assert "BM25: 0.3000 at k = 1" in evaluation.heard(part="description")


def test_right_to_left_marks_turn_nothing_but_their_own_text(browser: Browser, tmp_path: Path) -> None:
    turned = "\N{RIGHT-TO-LEFT OVERRIDE}turned"
    found = (
        Candidate(KnowledgeItem(id=turned, text="a", source=turned), 0.5),
        Candidate(KnowledgeItem(id="b", text="b"), 0.4),
    )
    answer = Answer(
        question=turned, text=turned, evidence=(EvidenceRelevance(turned, 0.5, score=0.5),), candidates=found
    )
    path = tmp_path / "turned.html"
    path.write_text(
        build_evaluation_page(EvaluationPage(title="a", entries=[PageEntry(answer=answer, correct=True)])),
        encoding="utf-8",
    )
    page = browser.open(path, width=1280)
    page.run("document.querySelectorAll('details').forEach(one => one.open = true)")
    # Where the first and the last letter of the words behind the turned id stand.
    first, last = page.run(
        """(() => {
          const text = document.querySelector('.item .id').lastChild, range = document.createRange();
          const left = place => {
            range.setStart(text, place);
            range.setEnd(text, place + 1);
            return range.getBoundingClientRect().left;
          };
          return [left(text.data.indexOf('search')), left(text.data.length - 1)];
        })()"""
    )
    assert first < last
    page.close()
