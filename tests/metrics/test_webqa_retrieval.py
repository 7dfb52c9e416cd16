"""Retrieval F1 of WebQA against values worked out by hand, and ids of both kinds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rablip.metrics.webqa_retrieval import WEBQA_RETRIEVAL_VARIANTS, score_webqa_retrieval, webqa_retrieval_f1

E = 1e-5


@pytest.mark.parametrize(
    ("predicted", "gold", "notebook", "baseline"),
    [
        (["a"], ["a"], 2 / (2 + E), 2 * (1 / (1 + E)) ** 2 / (2 / (1 + E) + E)),
        (["a", "b"], ["b", "a"], 2 / (2 + E), 2 * (2 / (2 + E)) ** 2 / (4 / (2 + E) + E)),
        (["a", "x"], ["a"], 1 / (1.5 + E), 2 / ((2 + E) * (1 + E)) / (1 / (2 + E) + 1 / (1 + E) + E)),
        (["a", "a", "x"], ["a"], 1 / (1.5 + E), 2 / ((2 + E) * (1 + E)) / (1 / (2 + E) + 1 / (1 + E) + E)),  # sets
        (["x"], ["a"], 0.0, 0.0),
        ([], ["a"], 0.0, 0.0),  # the notebook's own code divides by zero here
    ],
)
def test_by_hand(predicted, gold, notebook, baseline):
    assert webqa_retrieval_f1(predicted, gold, variant="notebook") == pytest.approx(notebook, abs=1e-12)
    assert webqa_retrieval_f1(predicted, gold, variant="baseline") == pytest.approx(baseline, abs=1e-12)


def test_the_two_differ_in_the_fifth_decimal():
    pair = (["a", "b"], ["a", "b"])
    assert round(webqa_retrieval_f1(*pair, variant="notebook"), 6) == 0.999995
    assert round(webqa_retrieval_f1(*pair, variant="baseline"), 6) == 0.99999


# benchmarks.md section 9, trap 2: image ids are numbers in the files, snippet ids strings; a mixture is no silent 0.
@pytest.mark.parametrize("predicted", [[30000123], ["30000123"], [np.int64(30000123)], (30000123,), {30000123}])
@pytest.mark.parametrize("gold", [[30000123], ["30000123"]])
def test_ids_as_numbers_and_as_text(predicted, gold):
    assert webqa_retrieval_f1(predicted, gold, variant="notebook") == pytest.approx(2 / (2 + E))


def test_snippet_ids_belong_to_their_question():
    gold = {"d5aa": ["d5aa_3"], "d5ab": ["d5ab_3"]}
    result = score_webqa_retrieval({"d5aa": ["d5aa_3"], "d5ab": ["d5aa_3"]}, gold, variant="notebook")
    assert result.values == {"d5aa": pytest.approx(2 / (2 + E)), "d5ab": 0.0}


@pytest.mark.parametrize("identifier", [30000123.0, None, True, b"d5aa_3", ["d5aa_3"]])
def test_what_is_no_id(identifier):
    with pytest.raises(TypeError, match="an id must be a string"):
        webqa_retrieval_f1([identifier], ["a"], variant="notebook")
    with pytest.raises(TypeError, match="question 'q': an id must be"):
        score_webqa_retrieval({"q": [identifier]}, {"q": ["a"]})
    with pytest.raises(TypeError, match="question 'q': an id must be"):
        score_webqa_retrieval({}, {"q": [identifier]})


@pytest.mark.parametrize("ids", ["d5aa_3", 30000123, None, {"d5aa_3": 1}])
def test_ids_come_in_a_list(ids):
    with pytest.raises(TypeError, match="ids must come in a list"):
        webqa_retrieval_f1(ids, ["a"], variant="baseline")


def test_fillers_are_wrong_ids():
    assert webqa_retrieval_f1(["a", "dummy"], ["a"], variant="notebook") == pytest.approx(1 / (1.5 + E))


GOLD = {"a": [1, 2], "b": ["b_1"], "c": [3], "d": [4]}
PREDICTIONS = {"a": ["2", "9", "1"], "b": ["b_1", "b_1"], "c": []}


def test_mean_over_references():
    result = score_webqa_retrieval(PREDICTIONS, GOLD, variant="notebook", corpus="distractor")
    a = 2 * (2 / 3) / (2 / 3 + 1 + E)
    assert result.values == pytest.approx({"a": a, "b": 2 / (2 + E), "c": 0.0, "d": 0.0})
    assert result.value == pytest.approx((a + 2 / (2 + E)) / 4)
    assert result.details == {"num_missing": 1, "num_empty": 1}
    assert result.is_mean and result.k is None and result.corpus == "distractor"
    assert (result.metric, result.variant) == ("webqa_retrieval_f1", "notebook")
    assert score_webqa_retrieval(PREDICTIONS, GOLD).variant == "baseline"


def test_ragvl_counts_the_first_two_over_all_questions():
    result = score_webqa_retrieval(PREDICTIONS, GOLD, variant="ragvl_top2")
    # right: 1 (2) + 1 (b_1); found: 2 + 1; expected: 2 + 1 + 1 + 1
    assert result.details == {"num_missing": 1, "num_empty": 1, "precision": 2 / 3, "recall": 2 / 5}
    assert result.value == pytest.approx(2 * (2 / 3) * (2 / 5) / (2 / 3 + 2 / 5))
    assert result.values == pytest.approx({"a": 1 / 2, "b": 1.0, "c": 0.0, "d": 0.0})
    assert not result.is_mean and result.k == 2 and result.interval(seed=0) is None


def test_skurg_counts_every_predicted_id():
    result = score_webqa_retrieval(PREDICTIONS, GOLD, variant="skurg")
    # right: 2 + 1; found: 3 + 2, the id given twice counts twice; expected: 5
    assert result.details["precision"] == 3 / 5 and result.details["recall"] == 3 / 5
    assert result.value == pytest.approx(3 / 5) and result.k is None


@pytest.mark.parametrize("variant", WEBQA_RETRIEVAL_VARIANTS)
def test_nothing_found_and_nothing_asked(variant):
    assert score_webqa_retrieval({}, GOLD, variant=variant).value == 0.0
    assert score_webqa_retrieval({"c": ["x"]}, {"c": [3]}, variant=variant).value == 0.0
    assert score_webqa_retrieval({}, {}, variant=variant).value is None


@pytest.mark.parametrize("variant", WEBQA_RETRIEVAL_VARIANTS)
def test_errors(variant):
    with pytest.raises(ValueError, match=r"1 of 1 predictions are of unknown questions: 'z'"):
        score_webqa_retrieval({"z": []}, GOLD, variant=variant)
    with pytest.raises(ValueError, match="question 'q': a question without gold ids"):
        score_webqa_retrieval({}, {"q": []}, variant=variant)
    if variant == "ragvl_top2":
        with pytest.raises(TypeError, match="question 'a': the ids of a ranking must come in a list"):
            score_webqa_retrieval({"a": {1, 2}}, GOLD, variant=variant)


def test_unknown_variants():
    with pytest.raises(ValueError, match="variant must be one of baseline, notebook, ragvl_top2, skurg"):
        score_webqa_retrieval({}, {}, variant="micro")
    with pytest.raises(ValueError, match="figures of many questions"):
        webqa_retrieval_f1(["a"], ["a"], variant="skurg")


ids = st.lists(st.integers(0, 6), max_size=5)


@given(st.lists(st.tuples(ids, ids.filter(bool)), min_size=1, max_size=5), st.sampled_from(WEBQA_RETRIEVAL_VARIANTS))
def test_shares_that_do_not_depend_on_the_kind_of_id(rows, variant):
    predictions = {str(number): predicted for number, (predicted, _) in enumerate(rows)}
    gold = {str(number): [str(one) for one in expected] for number, (_, expected) in enumerate(rows)}
    value = score_webqa_retrieval(predictions, gold, variant=variant).value
    assert 0 <= value <= 1
    texts = {key: [str(one) for one in predicted] for key, predicted in predictions.items()}
    assert score_webqa_retrieval(texts, gold, variant=variant).value == value
