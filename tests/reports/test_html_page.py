"""The report page: everything is said, nothing can be run or loaded, and every text stays a text."""

from __future__ import annotations

import base64
import html
import io
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rablip.answering import AbstainReason, Answer, Candidate, EvidenceRelevance
from rablip.processing.images_rablip import ImageError
from rablip.processing.knowledge_rablip import ImageRef, KnowledgeItem
from rablip.reports import PageEntry, PageTable, build_page, write_page
from tests.reports.browser import Browser
from tests.reports.page_reader import PageReader, assert_carries_all


def item(item_id: str, **values: object) -> KnowledgeItem:
    return KnowledgeItem(id=item_id, **values)


def entry(**values: object) -> PageEntry:
    """A cited picture, a text that was shown but not cited, and a candidate that was not shown."""
    candidates = (
        Candidate(item("p", image=ImageRef(path="p.png"), caption="Velmor Tarn in Kestrel"), 0.8, 0.91),
        Candidate(item("t", text="It was built by Marlow.", source="facts.json"), 0.6, 0.62, hop=2),
        Candidate(item("left", text="The mill opened in 1743."), 0.4, 0.05),
    )
    answer = Answer(
        question="Who built it?",
        text="Marlow",
        citations=("p",),
        evidence=(
            EvidenceRelevance("p", 0.93, 0.91, 0.8, 1, True),
            EvidenceRelevance("t", 0.12, 0.62, 0.6, 2, False),
        ),
        candidates=candidates,
        expanded_question="Who built it? | Velmor Tarn",
    )
    pictures = {"p": Image.new("RGB", (40, 30), "red")}
    return PageEntry(**{"answer": answer, "kind": "two_hop", "pictures": pictures, **values})


def withheld(reason: AbstainReason = AbstainReason.NO_RELEVANT_EVIDENCE, **values: object) -> PageEntry:
    answer = Answer(question="Which mark?", text="I do not know.", abstained=True, reason=reason)
    return PageEntry(answer=answer, **values)


def test_everything_is_on_the_page() -> None:
    table = PageTable(title="Recall@5", columns=["overall"], rows=[("BM25", ["0.41"]), ("RA-BLIP", ["0.96"])])
    page = build_page(
        [entry(expected=("Marlow",), correct=True), withheld(expected=(), correct=True)],
        title="What it looked at",
        introduction="First.\n\nSecond.",
        facts=[("Seed", "987")],
        tables=[table],
        footer="The end.",
    )
    text = PageReader(page).text
    for part in (
        *("What it looked at", "First.", "Second.", "Seed", "987", "Recall@5", "BM25", "0.96", "The end."),
        *("Who built it?", "Marlow", "two hop", "right", "Velmor Tarn in Kestrel", "It was built by Marlow."),
        *("93%", "91%", "12%", "62%", "reference 1", "second search", "Second search: Who built it? | Velmor Tarn"),
        *("1 other item found but not used", "The mill opened in 1743.", "facts.json", "2 of 2 right, 1 withheld"),
        *("Which mark?", "I do not know.", "rightly withheld", "The re-ranker kept none of the candidates."),
    ):
        assert part in text, part
    assert text.count("cited") == 2, "one item, and the legend"


def test_nothing_is_loaded_and_nothing_runs() -> None:
    assert_carries_all(build_page([entry(question_images=(Image.new("RGB", (4, 4)),)), withheld()], title="Page"))
    assert_carries_all(build_page([], title="Page"))


texts = st.text(min_size=1, max_size=40).filter(lambda text: text.strip()) | st.sampled_from(
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=y>',
        "</style><b>",
        "&amp;",
        "$title ${style}",
        "'onload='",
        "\0a",
    ]
)


@given(texts, texts, texts, texts)
@settings(deadline=None, max_examples=60)
def test_every_text_stays_a_text(first: str, second: str, third: str, fourth: str) -> None:
    """The page has the same tags whatever the texts are, and they can be read on it."""

    def page(*words: str) -> PageReader:
        found = item("p", image=ImageRef(path="p.png"), caption=words[0], text=words[1], source=words[2])
        answer = Answer(
            question=words[0],
            text=words[1],
            citations=("p",),
            evidence=(EvidenceRelevance("p", 0.9, 0.9, 0.9, 1, True),),
            candidates=(Candidate(found, 0.9), Candidate(item(words[3] + "x", text=words[2]), 0.5)),
            expanded_question=words[2],
            dropped_pictures=(words[3],),
        )
        one = PageEntry(
            answer=answer,
            kind=words[3],
            expected=(words[0],),
            correct=False,
            pictures={"p": Image.new("RGB", (2, 2))},
        )
        table = PageTable(title=words[0], columns=[words[1]], rows=[(words[2], [words[3]])], note=words[0])
        facts, footer = [(words[1], words[2])], words[3]
        return PageReader(
            build_page([one], title=words[0], introduction=words[1], facts=facts, tables=[table], footer=footer)
        )

    # Different from one another, as what is said twice is shown once.
    first, second, third, fourth = f"a{first}", f"b{second}", f"c{third}", f"d{fourth}"
    reader = page(first, second, third, fourth)
    plain = page("first", "second", "third", "fourth")
    assert [tag for tag, _ in reader.tags] == [tag for tag, _ in plain.tags]
    assert [set(attributes) for _, attributes in reader.tags] == [set(attributes) for _, attributes in plain.tags]
    for words in (first, second, third, fourth):
        shown = "".join(letter if letter >= " " or letter in "\n\t" else " " for letter in words)
        shown = shown.encode("utf-8", "replace").decode()
        assert " ".join(shown.replace("\r", " ").split()) in reader.text


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (entry(), None),
        (entry(correct=True, expected=("Marlow",)), "right"),
        (entry(correct=False, expected=("Thilous",)), "wrong"),
        (entry(correct=False, expected=()), "wrong: this cannot be answered"),
        (withheld(), "withheld"),
        (withheld(correct=True, expected=()), "rightly withheld"),
        (withheld(correct=False, expected=("star",)), "withheld, though it can be answered"),
    ],
)
def test_verdicts(one: PageEntry, expected: str | None) -> None:
    page = build_page([one], title="Page")
    verdict = re.search(r'<span class="verdict [a-z]+">. ([^<]*)</span>', page)
    assert (html.unescape(verdict[1]) if verdict else None) == expected
    wrong = one.correct is False and bool(one.expected)
    assert ("Expected: " in page) == wrong


@pytest.mark.parametrize("reason", list(AbstainReason))
def test_every_reason_is_said_in_words(reason: AbstainReason) -> None:
    text = PageReader(build_page([withheld(reason)], title="Page")).text
    assert reason.value not in text and "I do not know." in text


def test_no_generator_and_no_relevance() -> None:
    answer = Answer(
        question="Who?",
        text=None,
        abstained=True,
        reason=AbstainReason.NO_GENERATOR,
        evidence=(EvidenceRelevance("t", None, 0.4),),
        candidates=(Candidate(item("t", text="Marlow built it."), 0.5, 0.4),),
    )
    text = PageReader(build_page([PageEntry(answer=answer)], title="Page")).text
    assert "No answer" in text and "40%" in text and "What the generator looked at" not in text


def test_a_picture_that_cannot_be_opened_leaves_the_page_whole() -> None:
    def refuse(one: KnowledgeItem) -> Image.Image | None:
        if one.image is not None:
            raise ImageError(f"Picture {one.image.name} is missing")
        return None

    made = PageEntry.from_answer(entry().answer, refuse, expected=["Marlow"])
    assert made.pictures == {} and made.expected == ("Marlow",)
    assert "The picture cannot be opened" in PageReader(build_page([made], title="Page")).text


def decoded(page: str) -> list[Image.Image]:
    sources = re.findall(r"data:image/[a-z]+;base64,([A-Za-z0-9+/=]+)", page)
    return [Image.open(io.BytesIO(base64.b64decode(source))) for source in sources]


def test_pictures_are_no_larger_than_shown_and_small_ones_are_exact() -> None:
    small = Image.effect_noise((40, 30), 90).convert("RGB")
    large = Image.effect_noise((3000, 1500), 90).convert("RGB")
    page = build_page([entry(pictures={"p": small}, question_images=(large,))], title="Page")
    first, second = decoded(page)
    assert first.size == (480, 240) and first.format == "JPEG"
    assert second.format == "PNG" and second.tobytes() == small.tobytes()
    assert large.size == (3000, 1500), "the caller's picture is not changed"
    assert len(page) < 400_000


def test_a_table_with_ragged_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="'BM25'.* 1 values for 2 columns"):
        PageTable(title="Recall@5", columns=["overall", "text"], rows=[("BM25", ["0.4"])])


def test_the_page_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "page.html"
    assert write_page(target, [entry()], title="First") == target
    before = target.read_text(encoding="utf-8")
    assert before == build_page([entry()], title="First")
    with pytest.raises(TypeError):
        write_page(target, [entry()], title="Second", unknown="keyword")
    assert target.read_text(encoding="utf-8") == before and [path.name for path in tmp_path.iterdir()] == ["page.html"]
    with pytest.raises(FileNotFoundError, match="nowhere"):
        write_page(tmp_path / "nowhere" / "page.html", [], title="Page")


def test_a_page_without_questions() -> None:
    assert PageReader(build_page([], title="Nothing yet")).text.count("Nothing yet") == 2


def luminance(color: str) -> float:
    parts = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(scheme: int, ink: str, ground: str) -> float:
    blocks = re.findall(r":root \{(.*?)\}", build_page([], title="Page"), re.S)
    colors = dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6})", blocks[scheme]))
    high, low = sorted((luminance(colors[ink]), luminance(colors[ground])), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("ink", "ground"),
    [
        *((ink, ground) for ink in ("ink", "quiet") for ground in ("paper", "card", "sunk")),
        *(("right", "right-soft"), ("wrong", "wrong-soft"), ("held", "held-soft"), ("card", "cited")),
        *(("ink", "cited-soft"), ("held", "card"), ("right", "paper"), ("wrong", "paper")),
        *(("ink", "held-soft"), ("held", "sunk"), ("held", "paper"), ("cited", "paper")),
    ],
)
def test_every_text_can_be_read_on_its_ground(scheme: int, ink: str, ground: str) -> None:
    """WCAG AA asks for a contrast of 4.5 to 1."""
    assert contrast(scheme, ink, ground) >= 4.5


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("series", range(1, 7))
def test_every_curve_can_be_seen_on_its_card(scheme: int, series: int) -> None:
    """WCAG AA asks for 3 to 1 of what is no text."""
    assert contrast(scheme, f"series-{series}", "card") >= 3


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 768, 1280])
def test_the_page_fits_the_screen(tmp_path: Path, width: int) -> None:
    """Rendered by a browser, the page is never wider than the screen, also with long words and wide tables."""
    long = "W" * 300
    found = item(long, text=f"{long} {long}", source=long)
    answer = Answer(question=long, text=long, evidence=(EvidenceRelevance(long, 0.5),), candidates=(Candidate(found),))
    table = PageTable(title="Wide", columns=["column"] * 20, rows=[("name", ["0.1234"] * 20)])
    entries = [entry(question_images=(Image.new("RGB", (900, 200)),)), PageEntry(answer=answer)]
    page = build_page(entries, title="Page", tables=[table], facts=[("Seed", long)])
    path = tmp_path / "page.html"
    path.write_text(page, encoding="utf-8")
    with Browser(tmp_path / "profile") as browser:
        opened = browser.open(path, width=width)
        scroll_width, height = opened.run("[document.documentElement.scrollWidth, document.body.scrollHeight]")
        assert height > 1000 and scroll_width <= width, f"{scroll_width} pixels wide on {width}"
        assert opened.requests() == [] and opened.complaints() == []
