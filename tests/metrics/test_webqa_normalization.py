"""The normaliser of WebQA's official scorer, branch by branch and step by step."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rablip.metrics.webqa_normalization import (
    normalize_skurg_answer,
    normalize_skurg_prediction,
    normalize_webqa_answer,
)


def split_only(text):
    return normalize_webqa_answer(text, lemmatize=None)


@pytest.mark.parametrize(
    ("text", "normalized"),
    [
        # one character: nothing but case and number
        ("A", "a"),
        (" . ", "."),
        ("7", "7"),
        ("٣", "3"),
        ("²", "²"),
        # one word: an article stays
        ("The", "the"),
        ("a.", "a"),
        ("Two.", "2"),
        ('"Two"', "2"),
        ("twenty-one", "twentyone"),
        ("point", "point"),
        ("U.S.", "us"),
        # more: articles go
        ("The a", ""),
        ("An apple .", "apple"),
        ("the theatre, a boat", "theatre boat"),
        ("twenty one", "20 1"),
        ("one hundred and none", "1 100 and none"),
        ("Red/Orange or 1,000", "redorange or 1000"),
        ("3.5 m and .5 and 2. and a.m", "3.5 m and .5 and 2 and am"),
        ("a . 5", "5"),
        ("comes to a point", "comes to point"),
        ("It's the 5ft_wide “door”", "its 5ftwide “ door ”"),
        ("\ta\nboat\u00a0 here ", "boat here"),
        # nothing
        ("", ""),
        ("   ", ""),
        ("!?", ""),
    ],
)
def test_without_lemmas(text, normalized):
    assert split_only(text) == normalized


def test_the_branch_is_chosen_before_punctuation_goes():
    assert split_only("the") == "the"
    assert split_only("the .") == ""  # two words as it comes
    assert split_only(".") == "."  # one character as it comes
    assert split_only("..") == ""


def test_lemmas_come_last_and_from_whom_the_caller_says():
    seen = []

    def lemmatize(text):
        seen.append(text)
        return text.upper()

    assert normalize_webqa_answer("The two Statues!", lemmatize=lemmatize) == "2 STATUES"
    assert normalize_webqa_answer("Statues", lemmatize=lemmatize) == "STATUES"
    assert seen == ["2 statues", "statues"]
    assert normalize_webqa_answer("S", lemmatize=lemmatize) == "s", "a single character has no lemma"
    assert normalize_webqa_answer("The two Statues were taller.") == "2 statue be tall"


@pytest.mark.parametrize("text", [None, 5, ["red"], b"red"])
def test_only_text(text):
    with pytest.raises(TypeError, match="must be a string"):
        normalize_webqa_answer(text)


@given(st.text(max_size=30))
def test_never_fails_and_leaves_single_blanks(text):
    assert split_only(text) == " ".join(split_only(text).split())
    assert isinstance(normalize_webqa_answer(text), str)


@given(st.lists(st.sampled_from("red Boat, 5ft two the a. Statues' (x) 3.5".split()), max_size=8))
def test_case_and_added_punctuation_do_not_count(words):
    text = " ".join(["boat", "red", *words])  # two words at least: the branch stays the same
    assert split_only(text.upper()) == split_only(text) == split_only(text.replace(" ", " , ") + " !")


def test_skurg_preparation():
    assert normalize_skurg_prediction("Yes , it ' s at 10 a . m .") == "yes, it' s at 10 a. m."
    assert normalize_skurg_prediction("  .x") == " .x"
    assert normalize_skurg_answer('"Two." he said"') == 'two." he said'
    assert normalize_skurg_answer("Two.") == "two."
    assert normalize_skurg_answer("") == ""
