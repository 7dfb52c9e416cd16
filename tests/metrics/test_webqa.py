"""WebQA's metrics: hand-worked cases of every rule, and the authors' two dumps on the real validation questions."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rablip.metrics import (
    MetricResult,
    WebQAReference,
    aggregate_leaderboard,
    normalize_webqa_answer,
    score_webqa,
    score_webqa_fluency,
    score_webqa_overall,
    score_webqa_retrieval,
    webqa_accuracy,
)
from rablip.metrics.webqa import WEBQA_COLORS, WEBQA_SHAPES

PERFECT = 2 / (2 + 1e-5)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("a", "a"),  # one character: an article stays
        (".", "."),
        ("The", "the"),  # one word: articles stay
        ("The red door", "red door"),
        ("twenty-one", "twentyone"),
        ("red/orange", "redorange"),
        ("1,000 boats.", "1000 boats"),
        ("twenty one", "20 1"),
        ("one hundred", "1 100"),
        ("none of them", "none of them"),
        ("at this point", "at this point"),
        ("3.5 m.", "3.5 m"),
        ("10am", "10 am"),
        ("5ft wall", "5 ft wall"),
        ("cannot say", "can not say"),
        ("20th of 1990s", "20th of 1990s"),
        ("“x” marks", "“ x ” marks"),
    ],
)
def test_normalisation_without_lemmas(text: str, plain: str) -> None:
    assert normalize_webqa_answer(text, lemmatize=None) == plain


def test_the_lemmatiser_is_the_callers() -> None:
    assert normalize_webqa_answer("Two of the statues", lemmatize=str.upper) == "2 OF STATUES"
    assert normalize_webqa_answer("Two of the statues were painted") == "2 of statue be paint"


@pytest.mark.parametrize(
    ("answer", "keywords", "category", "score"),
    [
        ("It is red.", "red", "color", PERFECT),
        ("red red red", "red", "color", PERFECT),  # sets: duplicates collapse
        ("red and blue", "red", "color", 2 * 0.5 / (1.5 + 1e-5)),
        ("crimson", "crimson", "color", 0.0),  # outside the closed list nothing scores
        ("grey", "gray", "color", 0.0),
        ("golden", "gold", "color", 0.0),
        ("Blue footprints", "Blue footprints", "color", PERFECT),
        ("a round one", "round", "shape", PERFECT),
        ("rectangular", "rectangle", "shape", 0.0),
        ("Yes, they are.", "Yes", "YesNo", PERFECT),
        ("No", "Yes", "YesNo", 0.0),
        ("yes and no", "no", "YesNo", 2 * 0.5 / (1.5 + 1e-5)),
        ("There are two.", "2", "number", PERFECT),
        ("2 and 2", "two", "number", 2 * 0.5 / (1.5 + 1e-5)),  # bags: duplicates stay
        ("007", "7", "number", PERFECT),
        ("2.5", "2.5", "number", 0.0),  # decimals are dropped
        ("the first", "first", "number", 0.0),  # ordinals are dropped
        ("a big red boat", "red boat", "choose", 1.0),  # recall, without epsilon
        ("red", "red boat", "Others", 0.5),
        ("boat boat", "boat boat boat", "text", 2 / 3),
        ("", "red", "color", 0.0),
    ],
)
def test_accuracy(answer: str, keywords: str, category: str, score: float) -> None:
    assert webqa_accuracy(answer, keywords, category, lemmatize=None) == pytest.approx(score, abs=1e-12)


def test_closed_lists_are_the_official_ones() -> None:
    assert len(WEBQA_COLORS) == 36 and len(WEBQA_SHAPES) == 69
    assert {"yes", "bluere"} <= WEBQA_COLORS and {"xs", "h", "octogon"} <= WEBQA_SHAPES


def test_variants_are_labelled_and_differ() -> None:
    references = {"q1": WebQAReference(answers=["The crimson door."], keywords="red", category="color")}
    predictions = {"q1": "A crimson door"}
    values = {name: score_webqa(predictions, references, variant=name) for name in ("approx_val", "ragvl", "skurg")}
    assert {name: one.value for name, one in values.items()} == {"approx_val": 0.0, "ragvl": 1.0, "skurg": 0.0}
    assert all(one.variant == name for name, one in values.items())
    assert score_webqa(predictions, references, lemmatize=None).variant == "official, no lemmas"
    exact = {"q1": WebQAReference(answers=["red"], keywords="red", category="color")}
    assert score_webqa({"q1": "red"}, exact).value == PERFECT
    assert score_webqa({"q1": "red"}, exact, variant="approx_val").value == 1.0


def test_what_cannot_be_scored() -> None:
    hidden = {"q1": WebQAReference(answers=["red"], category="color")}
    with pytest.raises(ValueError, match="no keywords.*approx_val"):
        score_webqa({"q1": "red"}, hidden)
    with pytest.raises(ValueError, match="belong to no question"):
        score_webqa({"q2": "red"}, hidden, variant="approx_val")
    with pytest.raises(TypeError, match="must be a string"):
        score_webqa({"q1": None}, hidden, variant="approx_val")
    missing = score_webqa({}, hidden, variant="approx_val")
    assert missing.value == 0.0 and missing.details["missing_predictions"] == 1


def test_leaderboard_divides_by_the_split() -> None:
    assert aggregate_leaderboard({"q1": 1.0, "q2": 1 / 3}, 7540) == round((4 / 3) / 7540, 4)
    with pytest.raises(ValueError, match="2 values"):
        aggregate_leaderboard({"q1": 1.0, "q2": 1.0}, 1)


def test_fluency_reads_the_reference_and_says_the_answer() -> None:
    asked: list[tuple[str, str]] = []

    def scorer(sources: list[str], targets: list[str]) -> list[float]:
        asked.extend(zip(sources, targets, strict=True))
        return [
            -1.0 if source == target else -1.0 - len(target) / 10
            for source, target in zip(sources, targets, strict=True)
        ]

    references = {
        "q1": WebQAReference(answers=["It is red.", "A very red one"], category="color"),
        "q2": WebQAReference(answers=["No."], category="YesNo"),
    }
    result = score_webqa_fluency({"q1": "R-e.d"}, references, scorer=scorer)
    assert asked[:2] == [("It is red", "Red"), ("A very red one", "Red")]
    assert result.values["q1"] == pytest.approx(math.exp(-0.3)) and result.values["q2"] == 0.0
    plain = score_webqa_fluency({"q1": "R-e.d"}, references, scorer=scorer, normalize=False)
    assert plain.values["q1"] == pytest.approx(math.exp(-1.3)) and plain.variant == "no_norm"
    generous = score_webqa_fluency(
        {"q1": "x"}, references, scorer=lambda some, _: [0.5 * (s != "It is red") for s in some]
    )
    assert generous.values["q1"] == 1.0, "never above 1"
    with pytest.raises(ValueError, match="not finite"):
        score_webqa_fluency({"q1": "x"}, references, scorer=lambda some, _: [math.nan] * len(some))


def test_overall_is_a_mean_of_products() -> None:
    def result(*values: float) -> MetricResult:
        named = {f"q{place}": value for place, value in enumerate(values)}
        return MetricResult(metric="m", variant="official", value=sum(values) / len(values), values=named)

    overall = score_webqa_overall(result(1.0, 0.0, 0.5), result(0.0, 1.0, 1.0))
    assert overall.value == pytest.approx(0.5 / 3) and overall.value != pytest.approx(0.5 * (2 / 3))
    with pytest.raises(ValueError, match="not the same"):
        score_webqa_overall(result(1.0), result(1.0, 0.0))


def test_retrieval_forms_differ_in_the_fifth_decimal() -> None:
    given, gold = {"q1": [30000001, 30000002], "q2": []}, {"q1": ["30000001"], "q2": ["q2_0"]}
    baseline, notebook = (score_webqa_retrieval(given, gold, form=form) for form in ("baseline", "notebook"))
    p, r = 1 / (2 + 1e-5), 1 / (1 + 1e-5)
    assert baseline.values["q1"] == pytest.approx(2 * p * r / (p + r + 1e-5), abs=1e-12)
    assert notebook.values["q1"] == pytest.approx(2 * 0.5 / (1.5 + 1e-5), abs=1e-12)
    assert 1e-7 < notebook.values["q1"] - baseline.values["q1"] < 1e-4
    assert notebook.values["q2"] == 0.0 and notebook.details["without_sources"] == 1
    micro = score_webqa_retrieval(given, gold, form="micro")
    assert (micro.details["precision"], micro.details["recall"], micro.value) == (0.5, 0.5, 0.5)
    assert score_webqa_retrieval({"q1": [9, 30000001]}, {"q1": [30000001]}, form="micro", k=1).value == 0.0
    with pytest.raises(TypeError, match="collection of ids"):
        score_webqa_retrieval({"q1": "30000001"}, {"q1": ["30000001"]})


@given(st.text(max_size=40), st.sampled_from(["color", "shape", "YesNo", "number", "choose", "Others", "text"]))
def test_scores_stay_within_bounds(text: str, category: str) -> None:
    assert 0.0 <= webqa_accuracy(text, "two red round boats, yes", category) <= 1.0
    itself = webqa_accuracy(text, text, category)
    assert itself in (0.0, 1.0, PERFECT)


@pytest.fixture(scope="module")
def dumps(shared: Path) -> dict[str, list[dict]]:
    return json.loads((shared / "data" / "webqa" / "val_image_dumps.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("system", "plain", "published"), [("vinvl", 0.48624, 0.4961), ("x101fpn", 0.43434, 0.4429)])
def test_the_authors_dumps(dumps: dict[str, list[dict]], system: str, plain: float, published: float) -> None:
    rows = dumps[system]
    references = {
        row["Guid"]: WebQAReference(answers=row["A"], keywords=row["Keywords_A"], category=row["Qcate"])
        for row in rows
    }
    predictions = {row["Guid"]: row["pred"] for row in rows}
    without = score_webqa(predictions, references, lemmatize=None)
    assert without.num_questions == 2511 and round(without.value, 5) == plain
    for row in rows:
        assert without.values[row["Guid"]] == pytest.approx(row["acc_identity_lemma"], abs=1e-12)
    assert abs(score_webqa(predictions, references).value - published) <= 0.0015
