"""QA-FL and QA against values worked out by hand, with scorers of a line and with a real, tiny BART."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rablip.metrics.bart_score import BartScorer
from rablip.metrics.results import MetricResult
from rablip.metrics.webqa import score_webqa
from rablip.metrics.webqa_fluency import prepare_fluency_text, score_webqa_fluency, score_webqa_overall
from rablip.metrics.webqa_references import WebQAReference
from tests.metrics.tiny_bart import make_bart, make_bart_tokenizer


def reference(*answers, category="color", keywords="red"):
    return WebQAReference(answers=answers, keywords=keywords, category=category)


def table(scores):
    """A scorer that looks pairs up, and fails on a pair that nobody should ask for."""
    return lambda sources, targets: [scores[pair] for pair in zip(sources, targets, strict=True)]


def test_text_preparation():
    assert prepare_fluency_text('  "It\'s 3.5 m\thigh , isn’t it ?"\n') == "Its 35 m high isn’t it"
    assert prepare_fluency_text("...") == ""


# benchmarks.md section 9, trap 1: the source is the reference, the target the candidate.
def test_formula():
    scorer = table(
        {
            ("A red door", "Red"): -2.0,
            ("A red door", "A red door"): -0.5,
            ("It is red", "Red"): -1.5,
            ("It is red", "It is red"): -1.2,
        }
    )
    references = {"a": reference("A red door.", "It is red.")}
    assert score_webqa_fluency({"a": "Red!"}, references, scorer).value == pytest.approx(math.exp(-0.3))
    without = score_webqa_fluency({"a": "Red!"}, references, scorer, normalize=False)
    assert without.value == pytest.approx(math.exp(-1.5)) and without.variant == "official_no_norm"


def test_at_most_one():
    scorer = table({("x", "y"): -1.0, ("x", "x"): -3.0})
    assert score_webqa_fluency({"a": "y"}, {"a": reference("x")}, scorer).value == 1.0
    huge = table({("x", "y"): -1.0, ("x", "x"): -3000.0})
    assert score_webqa_fluency({"a": "y"}, {"a": reference("x")}, huge).value == 1.0
    assert score_webqa_fluency({"a": "x."}, {"a": reference("x")}, table({("x", "x"): -9.0})).value == 1.0


def test_one_call_no_pair_twice_and_none_for_missing_predictions():
    calls = []

    def scorer(sources, targets):
        calls.append(list(zip(sources, targets, strict=True)))
        return [-1.0] * len(sources)

    references = {"a": reference("x"), "b": reference("x"), "c": reference("z", category="text")}
    result = score_webqa_fluency({"a": "y", "b": "y"}, references, scorer)
    assert calls == [[("x", "y"), ("x", "x")]]
    assert result.values == {"a": 1.0, "b": 1.0, "c": 0.0}
    assert result.value == pytest.approx(2 / 3)
    assert result.groups["image"] == 1.0 and result.groups["text"] == 0.0 and result.groups["shape"] is None
    assert result.details == {"num_missing": 1}
    assert score_webqa_fluency({}, references, table({})).value == 0.0
    assert score_webqa_fluency({}, {}, table({})).value is None


def test_skurg_takes_the_first_reference_in_lower_case():
    scorer = table({("its red", "red boat"): -1.0, ("its red", "its red"): -0.4})
    references = {"a": reference('"It\'s Red."', "Another")}
    result = score_webqa_fluency({"a": "Red boat ."}, references, scorer, variant="skurg")
    assert result.value == pytest.approx(math.exp(-0.6)) and result.variant == "skurg"


@pytest.mark.parametrize("bad", [[], [-1.0], [-1.0] * 3, [math.nan, -1.0], [0.3, -1.0], [-math.inf, -1.0]])
def test_scores_must_be_log_probabilities_one_for_each_pair(bad):
    with pytest.raises(ValueError, match="the scorer"):
        score_webqa_fluency({"a": "y"}, {"a": reference("x")}, lambda sources, targets: bad)


def test_errors():
    scorer = table({})
    with pytest.raises(ValueError, match="'b'"):
        score_webqa_fluency({"b": "y"}, {"a": reference("x")}, scorer)
    with pytest.raises(ValueError, match=r"1 of 1 references have no answer: 'a'"):
        score_webqa_fluency({}, {"a": reference()}, scorer)
    with pytest.raises(TypeError, match="question 'a' must be a string"):
        score_webqa_fluency({"a": None}, {"a": reference("x")}, scorer)
    with pytest.raises(ValueError, match="variant must be one of official, skurg"):
        score_webqa_fluency({}, {}, scorer, variant="approx_val")


def test_with_a_real_bart():
    scorer = BartScorer(make_bart(), make_bart_tokenizer())
    references = {"a": reference("A red door.", "The door is red."), "b": reference("Two towers")}
    predictions = {"a": "red , red", "b": "Two towers ."}
    result = score_webqa_fluency(predictions, references, scorer)
    forth = scorer(["A red door", "The door is red"], ["red red"] * 2)
    own = scorer(["A red door", "The door is red"], ["A red door", "The door is red"])
    expected = min(1.0, max(math.exp(forth[0]) / math.exp(own[0]), math.exp(forth[1]) / math.exp(own[1])))
    assert result.values == {"a": pytest.approx(expected, rel=1e-4), "b": 1.0}
    # The other direction is another figure.
    back = scorer(["red red"] * 2, ["A red door", "The door is red"])
    assert expected != pytest.approx(max(math.exp(back[0] - own[0]), math.exp(back[1] - own[1])), rel=1e-2)


def result(metric, values, variant="official"):
    return MetricResult(metric=metric, variant=variant, value=sum(values.values()) / len(values), values=values)


# Trap 1: QA is the mean of products. VLP's 42.6 x 36.7 is not its 22.6.
def test_overall_is_a_mean_of_products():
    fluency = result("webqa_fluency", {"a": 1.0, "b": 0.2})
    accuracy = result("webqa_accuracy", {"b": 0.0, "a": 0.5})
    overall = score_webqa_overall(fluency, accuracy)
    assert overall.value == 0.25 != fluency.value * accuracy.value
    assert overall.values == {"a": 0.5, "b": 0.0} and overall.variant == "official" and overall.groups == {}
    references = {"a": reference("x"), "b": reference("x", category="text")}
    groups = score_webqa_overall(fluency, accuracy, references=references).groups
    assert groups["image"] == 0.5 and groups["text"] == 0.0
    mixed = score_webqa_overall(fluency, result("webqa_accuracy", {"a": 1.0, "b": 1.0}, "approx_val"))
    assert mixed.variant == "official x approx_val"


def test_overall_needs_the_same_questions():
    fluency = result("webqa_fluency", {"a": 1.0, "b": 0.2})
    with pytest.raises(ValueError, match=r"fluency and accuracy are not over the same questions: 2 .*'b', 'c'"):
        score_webqa_overall(fluency, result("webqa_accuracy", {"a": 1.0, "c": 0.2}))
    with pytest.raises(ValueError, match="fluency and references"):
        score_webqa_overall(fluency, fluency, references={"a": reference("x")})


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=8))
def test_overall_is_between_zero_and_either(rows):
    fluency = result("webqa_fluency", {str(number): row[0] for number, row in enumerate(rows)})
    accuracy = result("webqa_accuracy", {str(number): row[1] for number, row in enumerate(rows)})
    value = score_webqa_overall(fluency, accuracy).value
    assert 0 <= value <= min(fluency.value, accuracy.value) + 1e-12


def test_end_to_end_a_missing_prediction_counts_nothing_anywhere():
    references = {"a": reference("It is red."), "b": reference("It is red.")}
    fluency = score_webqa_fluency({"a": "It is red"}, references, table({("It is red", "It is red"): -1.0}))
    overall = score_webqa_overall(fluency, score_webqa({"a": "It is red"}, references), references=references)
    assert overall.values == {"a": pytest.approx(0.999995), "b": 0.0}
