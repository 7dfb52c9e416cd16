"""How words are split, against what spaCy's English tokenizer gives for the same words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rablip.metrics.webqa_tokens import split_tokens


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", ""),
        ("plain words stay", "plain words stay"),
        ("5ft 10cm 4x400m 65kg 12oz 3.5m 20mph", "5 ft 10 cm 4x400 m 65 kg 12 oz 3.5 m 20 mph"),
        ("20th 1990s 5x ft 2d", "20th 1990s 5x ft 2d"),
        ("10am 12pm 13am 0pm", "10 am 12 pm 13am 0pm"),
        ("cannot dont wont cant isnt couldntve", "can not do nt wo nt ca nt is nt could nt ve"),
        ("im ive youre theyll wed id thats whatll", "i m i ve you re they ll we d i d that s what ll"),
        ("its ill were well hell shell shed whore", "its ill were well hell shell shed whore"),
        ("don’t it’s steller’s let’s o’clock", "do n’t it ’s steller ’s let ’s o’clock"),
        ("“x” ‘x’ «x»", "“ x ” ‘ x ’ « x »"),
        ("“don’t”", "“ do n’t ”"),
        ("red–blue red—blue 1995–96 –x", "red – blue red — blue 1995–96 – x"),
        ("£5 5€ a€", "£ 5 5 € a€"),
        ("acme™ ©acme 24°c", "acme ™ © acme 24 ° c"),
        ("wait… so…what", "wait … so … what"),
        ("gonna gotta yall", "gon na got ta y all"),
        ("about.5 1.2.3 .5", "about.5 1.2.3 .5"),
        ("café naïve 東京", "café naïve 東京"),
    ],
)
def test_splits(text, tokens):
    assert split_tokens(text) == tokens.split()


@given(st.text(alphabet="abtm019 .’“”–—…°™€é²", max_size=12))
def test_nothing_is_lost(text):
    assert "".join(split_tokens(text)) == "".join(text.split())


@given(st.lists(st.text(alphabet="abt05’“–m", min_size=1, max_size=6), max_size=4))
def test_words_are_split_one_by_one(words):
    assert split_tokens(" ".join(words)) == [token for word in words for token in split_tokens(word)]
