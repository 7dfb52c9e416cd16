"""Prompts: exact forms, markers where they are said to be, and text from outside that cannot forge them."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rablip.processing import (
    ImageRef,
    KnowledgeItem,
    build_askg_prompt,
    build_askg_target,
    build_instruction,
    build_qa_prompt,
    build_reranker_text,
    format_knowledge_item,
    neutralize_markers,
    parse_askg_answer,
)
from rablip.processing.prompts_rablip import compose_prompt, find_reference_numbers

SPECIALS = ("<image>", "</s>", "<s>", "[SEP]", "<extra_id_0>")
FACT = KnowledgeItem(id="a", title="Tower", text="Built in 1889.")
VIEW = KnowledgeItem(id="b", image=ImageRef(path="b.png"), title="Tower", caption="The tower at night")
BARE = KnowledgeItem(id="c", image=ImageRef(path="c.png"))

# Text with a high density of everything that could forge something.
hostile = st.lists(
    st.one_of(
        st.sampled_from(
            [*SPECIALS, "[1]", "[/2]", "[", "]", "/", "3", "１", "［", "］", "\u200b", " ", "\n", "<", ">", "|"]
        ),
        st.text(max_size=3),
    ),
    max_size=12,
).map("".join)


def test_prompt_forms() -> None:
    prompt = build_qa_prompt("When?", [FACT, VIEW, BARE], [None, 1, 2])
    assert prompt.text == (
        "Question: When? References: [1] text: Tower | Built in 1889. [/1] "
        "[2] picture 1: Tower | The tower at night [/2] [3] picture 2 [/3] Answer:"
    )
    assert build_qa_prompt("When?", []).text == "Question: When? Answer:"
    assert build_qa_prompt("When?", []).marker_spans == ()
    assert build_askg_prompt("When?", [FACT]).text.endswith("[/1] Which references are related to this question?")


def test_question_pictures_come_first() -> None:
    prompt = build_qa_prompt("Who is this?", [VIEW], [2], question_picture_numbers=[1])
    assert prompt.text.startswith("Question picture 1. Question: Who is this? References: [1] picture 2: ")
    instruction = build_instruction("Who is this?", [VIEW], [2], question_picture_numbers=[1])
    assert instruction == "Question picture 1. Who is this? | picture 2: The tower at night"


def test_instruction_names_pictures_by_caption_else_title_and_leaves_texts_out() -> None:
    titled = KnowledgeItem(id="d", image=ImageRef(path="d.png"), title="Bridge")
    assert build_instruction("What?", [FACT, titled, BARE], [None, 1, 2]) == "What? | picture 1: Bridge | picture 2"
    assert build_instruction("What?", [FACT]) == "What?"


def test_reranker_text_says_whether_the_candidate_is_a_picture() -> None:
    assert build_reranker_text("When?", FACT) == "When? | text: Tower | Built in 1889."
    assert build_reranker_text("When?", BARE, picture_number=1) == "When? | picture 1"
    assert (
        build_reranker_text("Who?", VIEW, picture_number=2, question_picture_numbers=[1])
        == "Question picture 1. Who? | picture 2: Tower | The tower at night"
    )


@pytest.mark.parametrize(
    ("title", "caption", "text", "expected"),
    [
        ("Tower", None, None, "Tower"),
        ("Tower", "Tower", "Tower", "Tower"),
        ("Tower", "A view", "Tower, built in 1889.", "A view | Tower, built in 1889."),
        ("Tow", None, "Tower of 1889.", "Tow | Tower of 1889."),
        (" Tower\n of\tlight ", "", "  ", "Tower of light"),
        ("Tower of light", None, "Tower", "Tower of light | Tower"),
    ],
)
def test_item_text_joins_what_is_there_once(
    title: str | None, caption: str | None, text: str | None, expected: str
) -> None:
    assert format_knowledge_item(KnowledgeItem(id="1", title=title, caption=caption, text=text)) == expected
    assert format_knowledge_item(BARE) == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("as [3] says", "as (3) says"),
        ("a [/12] b", "a (12) b"),
        ("[ 3 ] [/ 4] [\u200b5]", "(3) (4) (5)"),
        ("［３］", "(3)"),
        ("[²]", "(2)"),
        ("array[i] and [] stay", "array[i] and [] stay"),
        ("x</s>y", "x< /s>y"),
        ("<<s>", "<< s>"),
        ("＜image＞", "< image>"),
        ("line\r\n\nbreaks\tand\x00nulls", "line breaks and nulls"),
        ("caf\u00e9 m² 東京 🙂", "caf\u00e9 m² 東京 🙂"),
        ("half \ud800 pair", "half ? pair"),
    ],
)
def test_markers_and_special_tokens_are_broken_and_other_text_stays(text: str, expected: str) -> None:
    assert neutralize_markers(text, SPECIALS) == expected


@settings(max_examples=200, deadline=None)
@given(hostile)
def test_no_text_survives_with_a_marker_or_a_special_token(text: str) -> None:
    clean = neutralize_markers(text, SPECIALS)
    for seen in (clean, unicodedata.normalize("NFKC", clean)):
        assert not any(token in seen for token in SPECIALS)
        assert find_reference_numbers(seen) == []
    assert neutralize_markers(clean, SPECIALS) == clean
    clean.encode("utf-8")


@settings(max_examples=100, deadline=None)
@given(st.lists(hostile, max_size=4), hostile)
def test_a_prompt_holds_exactly_its_own_markers(bodies: list[str], question: str) -> None:
    items = [KnowledgeItem(id=str(i), text=body, title="t") for i, body in enumerate(bodies)]
    prompt = build_qa_prompt(question, items, special_tokens=SPECIALS)
    assert find_reference_numbers(prompt.text) == list(range(1, len(items) + 1))
    assert [prompt.text[start:end] for start, end in prompt.marker_spans] == [
        f"[/{i}]" for i in range(1, len(items) + 1)
    ]
    assert all(prompt.text.count(f"[/{i}]") == 1 for i in range(1, len(items) + 1))
    assert not any(token in prompt.text for token in SPECIALS)


@given(st.sets(st.integers(1, 30)))
def test_askg_targets_parse_back(relevant: set[int]) -> None:
    assert parse_askg_answer(build_askg_target(sorted(relevant)), 30) == sorted(relevant)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the relevant references are [ 2 ] [1] .", [1, 2]),
        ("The relevant references are [1] [9].", [1]),
        ("The relevant references are [9].", None),
        ("NO  reference is\nrelevant", []),
        ("No reference is relevant. [1]", None),
        ("", None),
        ("yes", None),
        ("[0] [1]", [1]),
    ],
)
def test_generated_lists_are_read_strictly(text: str, expected: list[int] | None) -> None:
    assert parse_askg_answer(text, 3) == expected


def test_invented_numbers_can_be_counted() -> None:
    assert find_reference_numbers("The relevant references are [1] [9] [9] [0].") == [0, 1, 9]


def test_one_target_form_for_one_and_for_many() -> None:
    assert build_askg_target([2]) == "The relevant references are [2]."
    assert build_askg_target([3, 1, 3]) == "The relevant references are [1] [3]."
    with pytest.raises(ValueError, match="start at 1"):
        build_askg_target([0])


def test_wrong_lengths_and_types_are_refused() -> None:
    with pytest.raises(ValueError, match="1 candidates but 2 picture numbers"):
        build_qa_prompt("When?", [FACT], [None, 1])
    with pytest.raises(TypeError, match="str"):
        neutralize_markers(None)  # type: ignore[arg-type]
    with pytest.raises(ValueError):
        compose_prompt("When?", ["a"], [])
