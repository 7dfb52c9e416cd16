"""Calibration error in closed form, and bins that do not depend on the order of answers."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rablip.metrics.calibration import (
    ReliabilityBin,
    expected_calibration_error,
    reliability_bins,
    score_calibration,
)

ANSWERS = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.7, 1.0]) | st.floats(0, 1), st.booleans()), max_size=25
)
BINNINGS = st.sampled_from(["equal_width", "adaptive"])


def test_bounds_belong_to_the_lower_bin():
    # (low, high], as literals: 0.1 and 0.7 are right at a bound, 0.0 is in the first bin.
    bins = reliability_bins([0.0, 0.1, 0.11, 0.7, 0.71, 1.0], [True] * 6, num_bins=10)
    assert [one.num_answers for one in bins] == [2, 1, 0, 0, 0, 0, 1, 1, 0, 1]
    assert (bins[6].low, bins[6].high, bins[2].mean_confidence, bins[2].accuracy) == (0.6, 0.7, None, None)


def test_bins_hold_means():
    assert reliability_bins([0.6, 0.8, 0.2], [True, False, False], num_bins=2) == [
        ReliabilityBin(0.0, 0.5, 1, 0.2, 0.0),
        ReliabilityBin(0.5, 1.0, 2, pytest.approx(0.7), 0.5),
    ]


@pytest.mark.parametrize(
    ("confidences", "correct", "num_bins", "error"),
    [
        ([1.0, 1.0], [True, True], 10, 0.0),
        ([1.0, 1.0], [False, False], 10, 1.0),
        ([0.75] * 4, [True, True, True, False], 10, 0.0),
        ([0.75] * 4, [True, False, False, False], 10, 0.5),
        # Bins (0, 0.5] and (0.5, 1]: 2/4 * |0.5 - 0.3| + 2/4 * |1 - 0.8|.
        ([0.2, 0.4, 0.7, 0.9], [True, False, True, True], 2, 0.2),
        # One bin: |3/4 - 0.55|.
        ([0.2, 0.4, 0.7, 0.9], [True, False, True, True], 1, 0.2),
        # Errors of both signs cancel inside a bin, not between bins.
        ([0.2, 0.8], [True, False], 1, 0.0),
        ([0.2, 0.8], [True, False], 2, 0.8),
    ],
)
def test_expected_calibration_error(confidences, correct, num_bins, error):
    assert expected_calibration_error(confidences, correct, num_bins=num_bins) == pytest.approx(error)


def test_adaptive_bins_hold_equally_many():
    confidences = [0.01, 0.02, 0.03, 0.04, 0.05, 0.9]
    bins = reliability_bins(confidences, [False] * 6, num_bins=3, binning="adaptive")
    assert [(one.num_answers, one.low, one.high) for one in bins] == [(2, 0.01, 0.02), (2, 0.03, 0.04), (2, 0.05, 0.9)]
    # Seven in three: 2, 2 and 3. Fewer answers than bins: one each.
    assert [
        one.num_answers
        for one in reliability_bins([n / 10 for n in range(7)], [True] * 7, num_bins=3, binning="adaptive")
    ] == [2, 2, 3]
    assert len(reliability_bins([0.1, 0.2], [True, True], num_bins=5, binning="adaptive")) == 2
    # Equal confidences stay together, whatever becomes of the counts.
    assert [
        one.num_answers for one in reliability_bins([0.5] * 5 + [0.6], [True] * 6, num_bins=3, binning="adaptive")
    ] == [5, 1]
    # 1/2 * |0 - 0.15| + 1/2 * |1/2 - 0.85|
    adaptive = expected_calibration_error(
        [0.1, 0.2, 0.8, 0.9], [False, False, True, False], num_bins=2, binning="adaptive"
    )
    assert adaptive == pytest.approx(0.25)


@given(ANSWERS, st.integers(1, 12), BINNINGS)
def test_order_does_not_matter_and_nothing_is_lost(answers, num_bins, binning):
    def measure(pairs):
        confidences, correct = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        bins = reliability_bins(confidences, correct, num_bins=num_bins, binning=binning)
        error = expected_calibration_error(confidences, correct, num_bins=num_bins, binning=binning)
        return bins, error

    bins, error = measure(answers)
    assert measure(answers[::-1]) == measure(answers[1::2] + answers[::2]) == (bins, error)
    assert sum(one.num_answers for one in bins) == len(answers)
    assert sum(one.num_answers * (one.accuracy or 0) for one in bins) == pytest.approx(
        sum(right for _, right in answers)
    )
    assert all(one.low - 1e-12 <= one.mean_confidence <= one.high + 1e-12 for one in bins if one.num_answers)
    assert (error is None) == (not answers) and (error is None or 0 <= error <= 1)
    if binning == "equal_width":
        assert len(bins) == num_bins and (bins[0].low, bins[-1].high) == (0.0, 1.0)


def test_score():
    result = score_calibration({"q1": 0.75, "q3": 0.25}, {"q1": True, "q2": True, "q3": True}, num_bins=2)
    assert result.value == pytest.approx(0.5)  # 1/2 * 0.75 + 1/2 * 0.25
    assert dict(result.values) == {"q1": 0.25, "q3": 0.75}
    assert (result.metric, result.variant, result.is_mean) == ("expected_calibration_error", "equal_width", False)
    assert result.details["num_bins"] == 2 and result.details["without_confidence"] == 1
    assert result.details["bins"][1] == {
        "low": 0.5,
        "high": 1.0,
        "num_answers": 1,
        "mean_confidence": 0.75,
        "accuracy": 1.0,
    }
    assert score_calibration({}, {"q1": True}).value is None
    assert score_calibration({"q1": 0.5}, {"q1": True}, binning="adaptive").variant == "adaptive"


@pytest.mark.parametrize(
    ("confidences", "correct", "options", "match"),
    [
        ([0.5], [True, False], {}, "1 confidences were given for 2 answers"),
        ([1.5], [True], {}, "must lie in 0..1, but 1 do not, such as 1.5"),
        ([math.nan], [True], {}, "must lie in 0..1"),
        ([0.5], [True], {"num_bins": 0}, "num_bins must be at least 1"),
        ([0.5], [True], {"binning": "quantile"}, "binning must be one of"),
    ],
)
def test_refuses(confidences, correct, options, match):
    for function in (reliability_bins, expected_calibration_error):
        with pytest.raises(ValueError, match=match):
            function(confidences, correct, **options)


def test_score_refuses_a_confidence_of_no_question():
    with pytest.raises(ValueError, match="1 confidences belong to no question: 'zz'"):
        score_calibration({"zz": 0.5}, {"q1": True})
