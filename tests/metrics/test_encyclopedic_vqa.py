"""Encyclopedic-VQA: exact match by hand, and the equivalence model as a plug that is named for what it is."""

from __future__ import annotations

import math

import pytest

from rablip.metrics.encyclopedic_vqa import EncyclopedicVQAReference, score_encyclopedic_vqa
from rablip.metrics.encyclopedic_vqa_answers import encyclopedic_vqa_exact_match, normalize_encyclopedic_vqa_answer


@pytest.mark.parametrize(
    ("answer", "normalized"),
    [
        ("3.5", "35"),
        ("don't", "don't"),  # "dont" on the way
        ("Hed", "he'd"),
        ("The answer is the Cat.", "cat"),
        ("the answer  is cat", "answer is cat"),  # two blanks: only the article goes
        ("None", "0"),
        ("Ten", "10"),
        ("eleven", "eleven"),
        ("TRUE", "yes"),
        ("entailment", "yes"),
        ("contradiction or false", "no or no"),
        ("<extra_id_0> Cat", "cat"),
        ("<extra_id_0> a <extra_id_0> b", "b"),  # everywhere, once it stands at the beginning
        ("Cat <extra_id_0> b", "cat extraid0 b"),
        ("<extra_id_0>cat", "extraid0cat"),
        (" ‘Cat’ ´s\tx\ny ", "cat s x y"),
        ("“Cat”", "“cat”"),
        ("a-b_c", "abc"),
        ("A", ""),
        ("?!", ""),
    ],
)
def test_normalization(answer, normalized):
    assert normalize_encyclopedic_vqa_answer(answer) == normalized


@pytest.mark.parametrize(
    ("candidate", "reference", "right"),
    [
        ("red", "red&&blue", True),  # one of two: 0.5 is enough
        ("red", "red&&blue&&green", False),  # one of three
        ("red, blue and green", "red&&blue", True),  # two of three
        ("Blue & the red", "red&&blue", True),
        ("blue and red", "red&&blue", True),
        ("red blue", "red&&blue", False),
        ("red && blue", "red&&blue", False),  # only commas, and, & part the candidate: "red blue"
        ("salt and pepper", "salt and pepper", False),  # the candidate is taken apart, the reference is not
        ("red, , red", "red", True),
        ("", "red&&blue", False),
        ("a", "red&&the", False),
        ("red", "red&&the", True),  # nothing is left of "the"
    ],
)
def test_parts_of_a_multi_answer(candidate, reference, right):
    assert encyclopedic_vqa_exact_match(candidate, reference, question_type="multi_answer") is right


def test_a_single_answer_is_compared_as_a_whole():
    for question_type in ("templated", "automatic", "2_hop"):
        assert encyclopedic_vqa_exact_match("The 3 cats.", "three cats", question_type=question_type)
        assert not encyclopedic_vqa_exact_match("red", "red&&blue", question_type=question_type)
        assert encyclopedic_vqa_exact_match("redblue", "red&&blue", question_type=question_type)


def reference(*answers, kind="automatic", question="Which?"):
    return EncyclopedicVQAReference(question=question, answers=answers, question_type=kind)


REFERENCES = {
    "q1": reference("Cat", "house cat", kind="templated", question="What is it?"),
    "q2": reference("10 ft", "3 m", question="How tall?"),
    "q3": reference("red&&blue", kind="multi_answer", question="Which colours?"),
    "q4": reference("Paris", kind="2_hop", question="Where?"),
}


def test_exact_match_alone():
    result = score_encyclopedic_vqa({"q1": "the house cat", "q2": "3 metres", "q4": "Paris", "zz": "?"}, REFERENCES)
    assert (result.value, result.variant, result.metric) == (0.5, "exact", "encyclopedic_vqa_accuracy")
    assert dict(result.values) == {"q1": 1.0, "q2": 0.0, "q3": 0.0, "q4": 1.0}
    assert dict(result.groups) == {
        "hop/multi": 1.0,
        "hop/single": pytest.approx(1 / 3),
        "type/2_hop": 1.0,
        "type/automatic": 0.0,
        "type/multi_answer": 0.0,
        "type/templated": 1.0,
    }
    assert result.details == {
        "hops": "all",
        "missing_predictions": 1,
        "unknown_predictions": 1,
        "right_by_exact_match": 2,
    }


def test_single_hop_leaves_two_hop_questions_out():
    result = score_encyclopedic_vqa({"q1": "cat", "q4": "Paris"}, REFERENCES, hops="single")
    assert result.value == pytest.approx(1 / 3)
    assert (set(result.values), result.details["missing_predictions"]) == ({"q1", "q2", "q3"}, 2)
    assert score_encyclopedic_vqa({"q4": "x"}, {"q4": REFERENCES["q4"]}, hops="single").value is None


# Trap 8: BEM is a plug; what stands in the table is the name of what was plugged in.
def test_an_equivalence_is_asked_where_nothing_matches_exactly():
    calls = []

    def equivalence(candidates, references, questions):
        calls.append(list(zip(candidates, references, questions, strict=True)))
        return [0.5 if one == "3 m" else 0.499 for one in references]

    predictions = {"q1": "Cat", "q2": "Three metres", "q3": "Green"}
    result = score_encyclopedic_vqa(
        predictions, REFERENCES, equivalence=equivalence, equivalence_name="bem", batch_size=2
    )
    # q1 matches exactly, q4 has no prediction; raw strings, and the parts of a multi_answer joined by commas.
    assert calls == [
        [("Three metres", "10 ft", "How tall?"), ("Three metres", "3 m", "How tall?")],
        [("Green", "red,blue", "Which colours?")],
    ]
    assert (result.value, result.variant) == (0.5, "bem")
    assert dict(result.values) == {"q1": 1.0, "q2": 1.0, "q3": 0.0, "q4": 0.0}
    assert (result.details["right_by_exact_match"], result.details["right_by_equivalence"]) == (1, 1)


def test_two_ampersands_outside_a_multi_answer_stay():
    seen = []

    def equivalence(candidates, references, questions):
        seen.extend(references)
        return [1.0] * len(references)

    references = {"q": reference("R&&B")}
    score_encyclopedic_vqa({"q": "soul"}, references, equivalence=equivalence, equivalence_name="always")
    assert seen == ["R&&B"]


def nothing(candidates, references, questions):
    return [0.0] * len(candidates)


def test_a_model_is_called_what_its_user_calls_it():
    given = score_encyclopedic_vqa(
        {"q1": "dog"}, REFERENCES, equivalence=nothing, equivalence_name="zli12321/answer_equivalence_bert"
    )
    assert given.variant == "zli12321/answer_equivalence_bert"
    for options in (
        {"equivalence": nothing},
        {"equivalence": nothing, "equivalence_name": ""},
        {"equivalence": nothing, "equivalence_name": "exact"},
        {"equivalence_name": "bem"},
    ):
        with pytest.raises(ValueError, match="belong together"):
            score_encyclopedic_vqa({"q1": "dog"}, REFERENCES, **options)


@pytest.mark.parametrize("scores", [[], [0.1], [0.1, math.nan], [0.1, 2.5], [0.1, -3.0]])
def test_what_an_equivalence_must_give(scores):
    with pytest.raises(ValueError, match="must give 2 probabilities"):
        score_encyclopedic_vqa({"q1": "dog"}, REFERENCES, equivalence=lambda *texts: scores, equivalence_name="broken")


def test_errors_of_the_official_code():
    for answers, kind, match in (
        ([], "automatic", "at least one answer"),
        (["Cat", ""], "automatic", "must not hold an empty answer"),
        (["Cat"], "multi-answer", "question_type must be one of"),
        (["Cat"], "list", "question_type must be one of"),
    ):
        with pytest.raises(ValueError, match=match):
            EncyclopedicVQAReference(question="?", answers=answers, question_type=kind)
    # Empty after normalisation: found when it is scored, also behind an alternative that matches, also unanswered.
    for kind, answers in (("automatic", ["Cat", "the"]), ("multi_answer", ["Cat", "a&&?"])):
        for predictions in ({"q": "Cat"}, {}):
            with pytest.raises(ValueError, match="Question 'q': Nothing is left"):
                score_encyclopedic_vqa(predictions, {"q": reference(*answers, kind=kind)})


def test_bad_input_is_refused():
    with pytest.raises(TypeError, match="'q1' must be a string"):
        score_encyclopedic_vqa({"q1": None}, REFERENCES)
    with pytest.raises(TypeError, match="sequence of strings"):
        EncyclopedicVQAReference(question="?", answers="Cat|Dog", question_type="automatic")
    with pytest.raises(ValueError, match="hops must be one of"):
        score_encyclopedic_vqa({"q1": "Cat"}, REFERENCES, hops="two")
    with pytest.raises(ValueError, match="batch_size"):
        score_encyclopedic_vqa({"q1": "?"}, REFERENCES, equivalence=nothing, equivalence_name="n", batch_size=0)
