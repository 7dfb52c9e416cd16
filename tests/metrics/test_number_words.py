"""Number words against values worked out by hand, and the oddities of word2number that scores depend on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rablip.metrics.number_words import parse_number_word

ONES = "zero one two three four five six seven eight nine ten".split()
TEENS = "eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty".split()
TENS = "thirty forty fifty sixty seventy eighty ninety hundred".split()
WORDS = {
    **{word: number for number, word in enumerate(ONES + TEENS)},
    **{word: 10 * number for number, word in enumerate(TENS, start=3)},
    "thousand": 1000,
    "million": 10**6,
    "billion": 10**9,
    "point": 0,
}


@pytest.mark.parametrize(("word", "number"), WORDS.items())
def test_one_word(word, number):
    for token in (word, word.upper(), f" {word}\n"):
        parsed = parse_number_word(token)
        assert parsed == number and isinstance(parsed, int)


# The package knows no ordinals, no plurals, no fractions, no units, and digits only when nothing else is there.
@pytest.mark.parametrize(
    "token",
    "first third dozen half none a hundreds fourty trillion 2.5 1,000 3rd 5ft -".split()
    + ["", " ", "12\n", "12 thousands", "²", "1" * 5000],
)
def test_no_number(token):
    with pytest.raises(ValueError):
        parse_number_word(token)


@given(st.integers(0, 10**12))
def test_digits(number):
    assert parse_number_word(str(number)) == number
    assert parse_number_word(f"00{number}") == number


def test_digits_of_other_scripts():
    assert parse_number_word("٣") == 3


# Worked out by hand from the published algorithm; several words happen where a token holds a tab or a newline.
@pytest.mark.parametrize(
    ("token", "number"),
    [
        ("twenty-one", 21),
        ("twenty\tone", 21),
        ("two\nhundred and the six", 206),
        ("three hundred forty two", 342),
        ("seventy two thousand four hundred eleven", 72_411),
        ("two million three thousand nine hundred eighty four", 2_003_984),
        ("one billion two million three thousand four", 1_002_003_004),
        ("ten thousand", 10_000),
        ("hundred one", 100),  # a hundred among two words is a factor, wherever it stands
        ("one two", 3),
        ("one two three", 5),  # 1 * 2 + 3
        ("one two three four", 9),  # 1 * 2 + 3 + 4
        ("five four three two one", 5),  # five words or more count as the first
        ("two million five thousand", 2_006_005),  # 2,000,000 + 5,000 + (5 + 1,000)
        ("two billion five million", 2_006_000_005),  # 2,000,000,000 + 5,000,000 + (5 + 1,000,000)
        ("two point five", 2.5),
        ("point five", 0.5),
        ("nine point zero one", 9.01),
        ("nine point ten", 9),  # decimals are single digits or nothing
        ("million point five", 1_000_000.5),
        ("2 three", 3),  # digits count only alone
    ],
)
def test_several_words(token, number):
    assert parse_number_word(token) == number


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("one thousand two thousand", "'thousand' twice"),
        ("one point two point", "'point' twice"),
        ("five thousand two million", "larger scale after a smaller"),
        ("two million five billion", "larger scale after a smaller"),
        ("million five", "without a number before"),
        ("one billion million", "without a number before"),
    ],
)
def test_words_that_make_no_number(token, reason):
    with pytest.raises(ValueError, match=reason):
        parse_number_word(token)


@given(st.lists(st.sampled_from([*WORDS, "and", "12", "-"]), max_size=9).map(" ".join))
def test_always_a_number_or_a_value_error(token):
    try:
        number = parse_number_word(token)
    except ValueError:
        return
    assert number >= 0 and parse_number_word(token.upper().replace(" ", "-")) == number
