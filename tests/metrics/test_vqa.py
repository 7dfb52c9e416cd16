"""VQA accuracy: what is normalised, when, and how annotators are counted, with figures worked out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rablip.metrics.vqa import VQAReference, score_vqa, vqa_accuracy
from rablip.metrics.vqa_normalization import (
    VQA_CONTRACTIONS,
    VQA_NUMBER_WORDS,
    normalize_vqa_answer,
    normalize_vqa_digits_and_articles,
    normalize_vqa_punctuation,
    strip_vqa_answer,
)

IDS = range(1, 11)


def annotators(**counts: int) -> list[str]:
    """Ten answers; whoever is not named says "other"."""
    named = [answer for answer, count in counts.items() for _ in range(count)]
    return named + ["other"] * (10 - len(named))


def test_the_table_of_contractions_has_120_entries():
    assert len(VQA_CONTRACTIONS) == 120
    for key, form in VQA_CONTRACTIONS.items():
        if key not in ("let's", "she's", "somebody'd"):
            # Every key is its form with one apostrophe less.
            assert key in {form[:place] + form[place + 1 :] for place in range(len(form)) if form[place] == "'"}


@pytest.mark.parametrize(
    ("word", "contraction"),
    [
        ("dont", "don't"),
        ("hed", "he'd"),
        ("twas", "'twas"),
        ("oclock", "o'clock"),
        ("maam", "ma'am"),
        ("yall", "y'all"),
        ("Im", "I'm"),
        ("Ive", "I've"),
        ("Id've", "I'd've"),
        ("I'dve", "I'd've"),
        ("couldnt've", "couldn't've"),
        ("couldn'tve", "couldn't've"),
        ("ow's'at", "'ow's'at"),
        ("'ows'at", "'ow's'at"),
        ("'ow'sat", "'ow's'at"),
        ("yall'd've", "y'all'd've"),
        ("y'alld've", "y'all'd've"),
        ("y'all'dve", "y'all'd've"),
        ("y'allll", "y'all'll"),
        ("somebody'd", "somebodyd"),  # the other way round, in the official table
        ("let's", "let's"),
        ("she's", "she's"),
    ],
)
def test_contractions(word, contraction):
    assert VQA_CONTRACTIONS[word] == contraction


@pytest.mark.parametrize(
    "word",
    "its lets hell shell ill well were wed shed couldntve shes somebodyd id'd im i've don't yalldve".split(),
)
def test_what_is_no_contraction(word):
    assert word not in VQA_CONTRACTIONS


def test_number_words_end_at_ten():
    assert VQA_NUMBER_WORDS == {
        "none": "0",
        **dict(zip("zero one two three four five six seven eight nine ten".split(), map(str, range(11)), strict=True)),
    }


@pytest.mark.parametrize(
    ("answer", "rewritten"),
    [
        ("red-white", "red white"),
        ("red - white", "red  white"),  # next to a blank somewhere: deleted, the blanks stay
        ("red-white -", "redwhite "),  # ... and then everywhere
        ("1,000", "1000"),  # a comma between digits: everything is deleted
        ("1,000 km/h", "1000 kmh"),
        ("1000 km/h", "1000 km h"),
        ("a,b", "a b"),
        ("a, b", "a b"),
        ("what?", "what "),
        ("(x)[y]{z}", " x  y  z "),
        ('"q"', " q "),
        ("a\\b_c=d+e>f<g@h`i;j!k", "a b c d e f g h i j k"),
        ("it's 12:30 50% $5 #1 a&b * ~ ^ |", "it's 12:30 50% $5 #1 a&b * ~ ^ |"),  # none of these is touched
        ("“q” – x", "“q” – x"),
        ("U.S.", "US"),
        ("2.5", "2.5"),
        (".5", ".5"),
        ("5.", "5"),
        ("v.2.", "v.2"),
        ("." * 40, "." * 8),  # at most 32 dots are deleted
        ("a." * 33, "a" * 32 + "a."),
    ],
)
def test_punctuation(answer, rewritten):
    assert normalize_vqa_punctuation(answer) == rewritten


@pytest.mark.parametrize(
    ("answer", "rewritten"),
    [
        ("The Ten  dogs", "10 dogs"),
        ("none", "0"),
        ("eleven", "eleven"),
        ("an apple a day", "apple day"),
        ("Dont", "don't"),
        ("IM", "im"),  # the table's "Im" cannot be reached in lower case
        ("a an the", ""),
        ("theatre", "theatre"),
        ("one-two", "one-two"),
    ],
)
def test_digits_and_articles(answer, rewritten):
    assert normalize_vqa_digits_and_articles(answer) == rewritten


def test_all_steps():
    assert strip_vqa_answer("\tRace\ncar ") == "Race car"
    assert normalize_vqa_answer(" Two\tDogs, one cat. ") == "2 dogs 1 cat"


# Trap 5: 0, 30, 60, 90, 100 % against 0, 33.3, 66.7, 100 %.
@pytest.mark.parametrize(
    ("matches", "leave_one_out", "simple"),
    [(0, 0.0, 0.0), (1, 0.3, 1 / 3), (2, 0.6, 2 / 3), (3, 0.9, 1.0), (4, 1.0, 1.0), (9, 1.0, 1.0), (10, 1.0, 1.0)],
)
def test_both_forms(matches, leave_one_out, simple):
    reference = VQAReference(answers=annotators(race=matches), answer_ids=IDS)
    # n matches: n annotators see n - 1 others, 10 - n see n. For n = 1: (0 + 9 * 1/3) / 10 = 0.3.
    assert vqa_accuracy("race", reference) == pytest.approx(leave_one_out)
    assert vqa_accuracy("race", reference, variant="simple") == pytest.approx(simple)


def test_unanimous_annotators_switch_the_normalisation_off():
    unanimous = VQAReference(answers=["race"] * 10, answer_ids=IDS)
    for variant in ("leave_one_out", "simple"):
        assert vqa_accuracy("race", unanimous, variant=variant) == 1.0
        assert vqa_accuracy(" race\n", unanimous, variant=variant) == 1.0  # ends are stripped all the same
        assert vqa_accuracy("Race", unanimous, variant=variant) == 0.0
        assert vqa_accuracy("the race", unanimous, variant=variant) == 0.0
    capital = VQAReference(answers=["Race"] * 10, answer_ids=IDS)
    assert (vqa_accuracy("Race", capital), vqa_accuracy("race", capital)) == (1.0, 0.0)
    # One other voice switches it on; and strings that differ in blanks at their ends only are the same.
    mixed = VQAReference(answers=["Race"] * 9 + ["run"], answer_ids=IDS)
    assert vqa_accuracy("the race!", mixed) == 1.0
    blanks = VQAReference(answers=["Race"] * 9 + ["Race\n"], answer_ids=IDS)
    assert (vqa_accuracy("race", blanks), vqa_accuracy("Race", blanks)) == (0.0, 1.0)


def test_normalisation_can_make_answers_equal():
    reference = VQAReference(answers=["2"] * 5 + ["two"] * 5, answer_ids=IDS)
    assert vqa_accuracy("Two.", reference) == 1.0


def test_without_distinct_answer_ids_all_equal_answers_vanish_together():
    assert vqa_accuracy("race", VQAReference(answers=["race"] * 10)) == 0.0
    assert vqa_accuracy("race", VQAReference(answers=["race"] * 10, answer_ids=[7] * 10)) == 0.0
    assert vqa_accuracy("race", VQAReference(answers=["race"] * 10, answer_ids=IDS)) == 1.0
    # Five and five: the five who said it see nobody left, the other five see all of them: 5 * 1 / 10.
    assert vqa_accuracy("race", VQAReference(answers=annotators(race=5))) == 0.5
    # Answers that normalisation makes equal vanish together too.
    assert vqa_accuracy("2", VQAReference(answers=["2", "two"] * 5)) == 0.0
    # Pairs share an id (five annotators, each answer twice): of two matches with one id none is left for those two.
    paired = VQAReference(answers=annotators(race=2), answer_ids=[1, 1, 2, 2, 3, 3, 4, 4, 5, 5])
    assert vqa_accuracy("race", paired) == pytest.approx(8 * (2 / 3) / 10)
    assert vqa_accuracy("race", VQAReference(answers=["race"] * 10), variant="simple") == 1.0


@given(st.lists(st.sampled_from(["race", "a race", "Run", "two", "2"]), min_size=1, max_size=12), st.text(max_size=6))
def test_accuracy_is_a_share_and_order_does_not_matter(answers, prediction):
    for said in (prediction, answers[0]):
        for variant in ("leave_one_out", "simple"):
            forward = VQAReference(answers=answers, answer_ids=list(range(len(answers))))
            backward = VQAReference(answers=answers[::-1], answer_ids=list(range(len(answers))))
            accuracy = vqa_accuracy(said, forward, variant=variant)
            assert 0 <= accuracy <= 1
            assert accuracy == pytest.approx(vqa_accuracy(said, backward, variant=variant))


REFERENCES = {
    "1": VQAReference(answers=annotators(two=1), answer_ids=IDS, question_type="how many", answer_type="number"),
    "2": VQAReference(answers=annotators(yes=3), answer_ids=IDS, question_type="is the", answer_type="yes/no"),
    "3": VQAReference(answers=annotators(no=4), answer_ids=IDS, question_type="is the", answer_type="yes/no"),
}


def test_score():
    result = score_vqa({"3": "no", "1": "2", "2": "Yes"}, REFERENCES)
    assert result.value == 73.33  # (30 + 90 + 100) / 3
    assert dict(result.groups) == {
        "answer_type/number": 30.0,
        "answer_type/yes/no": 95.0,
        "question_type/how many": 30.0,
        "question_type/is the": 95.0,
    }
    assert dict(result.values) == pytest.approx({"1": 30.0, "2": 90.0, "3": 100.0})
    assert (result.metric, result.variant, result.scale) == ("vqa_accuracy", "leave_one_out", 100)
    simple = score_vqa({"3": "no", "1": "2", "2": "Yes"}, REFERENCES, variant="simple")
    assert (simple.value, simple.variant) == (77.78, "simple")  # (33.3 + 100 + 100) / 3


def test_ids_have_to_be_the_same():
    with pytest.raises(ValueError, match=r"2 of 3 questions have no prediction \('1', '2'\)"):
        score_vqa({"3": "no"}, REFERENCES)
    with pytest.raises(ValueError, match=r"1 of 4 predictions belong to no question .*\('9'\)"):
        score_vqa({"1": "2", "2": "yes", "3": "no", "9": "no"}, REFERENCES)
    result = score_vqa({"3": "no"}, REFERENCES, missing="zero")
    assert (result.value, result.details["missing_predictions"]) == (33.33, 2)
    assert dict(result.values) == {"1": 0.0, "2": 0.0, "3": 100.0}
    with pytest.raises(ValueError, match="belong to no question"):
        score_vqa({"9": "no"}, REFERENCES, missing="zero")
    with pytest.raises(TypeError, match="same type"):
        score_vqa({1: "2", 2: "yes", 3: "no"}, REFERENCES)


def test_bad_input_is_refused():
    with pytest.raises(TypeError, match="'2' must be a string"):
        score_vqa({"1": "2", "2": None, "3": "no"}, REFERENCES)
    with pytest.raises(TypeError, match="sequence of strings"):
        VQAReference(answers="race")
    with pytest.raises(TypeError, match="sequence of strings"):
        VQAReference(answers=[{"answer": "race"}])
    with pytest.raises(ValueError, match="at least one answer"):
        VQAReference(answers=[])
    with pytest.raises(ValueError, match="9 answer_ids were given for 10 answers"):
        VQAReference(answers=["race"] * 10, answer_ids=range(9))
    with pytest.raises(ValueError, match="variant must be one of"):
        score_vqa({"1": "2", "2": "yes", "3": "no"}, REFERENCES, variant="soft")
    with pytest.raises(ValueError, match="variant must be one of"):
        vqa_accuracy("race", REFERENCES["1"], variant="soft")
    with pytest.raises(ValueError, match="missing must be one of"):
        score_vqa({"1": "2", "2": "yes", "3": "no"}, REFERENCES, missing="skip")
