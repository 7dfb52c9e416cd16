"""Lemmas of common words, rule by rule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rablip.metrics.webqa_lemmas import lemmatize_words

# The form after "both", so that no rule for the first word of an answer applies.
LEMMAS = {
    "plurals": (
        "towers tower, statues statue, benches bench, boxes box, glasses glass, cities city, movies movie, ties tie, "
        "knives knife, wolves wolf, women woman, children child, feet foot, buses bus, campuses campus, houses house, "
        "causes cause, shoes shoe, potatoes potato, headaches headache, workmen workman, busts bust, "
        "buildings building"
    ),
    "no plurals": "glass, grass, cactus, tennis, across, this, his, yes, news, series, upwards, paris",
    "what spaCy's tables give": "crosses crosse, lenses lense, leaves leave, better well, best good",
    "verbs in -s": "sits sit, watches watch, goes go, carries carry, does do, has have, is be, was be, were be",
    "past": (
        "painted paint, located locate, used use, placed place, stopped stop, called call, controlled control, "
        "carried carry, tied tie, agreed agree, hoped hope, named name, opened open, visited visit, "
        "described describe, required require, measured measure, striped stripe, arched arch, curved curve, "
        "pointed point, handled handle, judged judge, argued argue, played play, added add, created create, "
        "treated treat, sold sell, built build, worn wear, taken take, lit light, squared square, edited edit"
    ),
    "-ing": (
        "standing stand, sitting sit, making make, wearing wear, lying lie, using use, hanging hang, changing change, "
        "holding hold, running run, seeing see, playing play, coming come, getting get, queueing queue"
    ),
    "nouns in -ing": "building, painting, ceiling, railing, wedding, clothing, evening, ring, king, string, during",
    "no past": "red, bed, need, seed, hundred, shed, naked, rounded",
    "comparatives": (
        "taller tall, tallest tall, larger large, biggest big, wider wide, curlier curly, closer close, higher high"
    ),
    "no comparatives": "tower, flower, water, corner, center, silver, outer, under, forest, crest, harvest",
    "pronouns": "them they, him he, me I, us we",
    "short or no words": "as, is be, 5, 20th, 1990s 1990, x, gas, bus, 3.5, ’s",
}


@pytest.mark.parametrize("kind", LEMMAS)
def test_lemmas(kind):
    pairs = [entry.split() for entry in LEMMAS[kind].split(", ")]
    found = {word: lemmatize_words(f"both {word}").removeprefix("both ") for word, *_ in pairs}
    assert found == {word: rest[0] if rest else word for word, *rest in pairs}


def test_names_keep_what_a_deleted_apostrophe_left():
    assert lemmatize_words("st lukes church in washingtons and peters towers") == (
        "st lukes church in washingtons and peters tower"
    )
    assert lemmatize_words("mrs humes pheasant") == "mrs humes pheasant"
    assert lemmatize_words("hume pheasants") == "hume pheasant"


def test_what_stands_before_a_word_counts_where_it_says_the_class():
    assert lemmatize_words("multi colored") == "multi colored"
    assert lemmatize_words("it is colored") == "it be color"
    assert lemmatize_words("colored lights") == "color light"
    assert lemmatize_words("left hand") == "leave hand"
    assert lemmatize_words("left") == "left"
    assert lemmatize_words("on left hand") == "on left hand"


@given(st.text(alphabet="abceghinrstuy ", max_size=30))
def test_never_fails_and_keeps_the_number_of_plain_words(text):
    assert len(lemmatize_words(text).split()) >= len(text.split())
    assert lemmatize_words("") == ""
