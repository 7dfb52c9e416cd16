"""What a lexical search compares: which parts of an item, and how text of any script is cut into words."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rablip.lexical.words import join_texts, lexical_words, searchable_text
from rablip.processing.knowledge_rablip import ImageRef, KnowledgeItem


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" .,;! ", []),
        ("The MILL, the mill's 2nd", ["the", "mill", "the", "mill", "s", "2nd"]),
        ("Straße ÉCOLE ﬁnal", ["strasse", "école", "final"]),
        ("e\u0301cole", ["école"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("도쿄 타워", ["도쿄", "타워"]),
        ("東京駅は古い。", ["東京", "京駅", "駅は", "は古", "古い"]),
        ("塔", ["塔"]),
        ("ไทย", ["ไท", "ทย"]),
        ("iPhone手机 2", ["iphone", "手机", "2"]),
    ],
)
def test_words_of_many_scripts(text: str, words: list[str]) -> None:
    assert lexical_words(text) == [unicodedata.normalize("NFKC", word) for word in words]


@given(st.text())
def test_no_word_is_empty_and_case_and_form_do_not_matter(text: str) -> None:
    words = lexical_words(text)
    assert all(words)
    assert lexical_words(unicodedata.normalize("NFKC", text)) == words
    assert lexical_words(" ".join(words)) == words


@given(st.text(alphabet=st.characters(max_codepoint=127)), st.text(alphabet=st.characters(max_codepoint=127)))
def test_words_of_texts_that_are_joined_by_a_space(first: str, second: str) -> None:
    """Also holds when what is beside an ASCII text takes the way of other scripts."""
    assert lexical_words(f"{first} {second}") == lexical_words(first) + lexical_words(second)
    assert lexical_words(f"{first} é") == [*lexical_words(first), "é"]


def test_what_a_model_sees_is_searched_and_nothing_else() -> None:
    item = KnowledgeItem(
        id="secret-id",
        image=ImageRef(path="secret.png"),
        title="Oak",
        caption="A tree",
        text="Oak grows slowly.",
        source="secret source",
        metadata={"secret": "secret"},
    )
    assert searchable_text(item) == "A tree Oak grows slowly."
    assert searchable_text(KnowledgeItem(id="1", image=ImageRef(path="a.png"))) == ""
    assert join_texts((None, " ", "")) == ""
