"""How spaCy's English tokenizer splits the words of a normalised WebQA answer."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

__all__ = ["split_tokens"]

_UNITS = (
    "km km² km³ m m² m³ dm dm² dm³ cm cm² cm³ mm mm² mm³ ha µm nm yd in ft kg g mg µg t lb oz kmh mph mb kb gb tb "
    "км км² км³ м м² м³ дм дм² дм³ см см² см³ мм мм² мм³ нм кг г мг кб мб гб тб"
)
_QUOTES = "”“‘´’‚„»«「」『』（）〔〕【】《》〈〉〈〉⟦⟧"  # the ASCII ones are deleted before
_MARKS = "…¿؟¡。？！，、；：～·।،۔؛٪" + _QUOTES
_PREFIX_MARKS = frozenset("§–—" + _MARKS)
_SUFFIX_MARKS = frozenset("–—" + _MARKS)
_UNIT = re.compile(rf"(?<=[0-9])(?:{'|'.join(sorted(_UNITS.split(), key=len, reverse=True))})$")
_DASH = re.compile("——|–|—")

# Contractions as they are after their straight apostrophe has been deleted; with a curly one they are the same words.
_SUBJECTS = {
    "i": "m ma ll llve d dve ve",
    **dict.fromkeys("you we they".split(), "ll llve d dve ve re"),
    **dict.fromkeys("he she it".split(), "ll llve d dve s"),
    **dict.fromkeys("who what when where why how there".split(), "s ll llve d dve ve re"),
    **dict.fromkeys("that this".split(), "s ll llve d dve"),
    **dict.fromkeys("these those".split(), "ll llve d dve ve re"),
    **dict.fromkeys("could might must should would".split(), "ve nt ntve"),
    **dict.fromkeys("ca do does did had may need ought sha wo".split(), "nt ntve"),
    **dict.fromkeys("ai are is was were have has dare".split(), "nt"),
    "not": "ve",
}
_ENDINGS = {"ma": ("m", "a"), "llve": ("ll", "ve"), "dve": ("d", "ve"), "ntve": ("nt", "ve")}
_CURLY_ENDINGS = {"m": "’m", "ll": "’ll", "d": "’d", "ve": "’ve", "re": "’re", "s": "’s", "nt": "n’t", "a": "a"}
# Words of their own: "were" is no "we're".
_NO_CONTRACTIONS = frozenset("ill its hell shell shed were well whore".split())
_WHOLE = frozenset("’ ’’ ’s ’d ’re ’em ’ll ’nuff ’cause ’cos ’coz ’cuz ’bout o’clock ma’am — ‘s".split()) | {
    f"{word}’" for word in "doin goin nothin nuthin ol somethin lovin havin".split()
}


def split_tokens(text: str) -> list[str]:
    """Split a normalised answer into tokens as spaCy 3 does with its English tokenizer.

    Beyond the blanks between words it parts contractions ("cannot" into "can not", "dont" into "do nt", also "wed"
    into "we d"), a unit from its number ("5ft"), the hour from "am" and "pm" ("10am"), and quotes, dashes between
    words, currency signs and symbols that are not ASCII. Ordinals and decades ("20th", "1990s") stay whole.

    Args:
        text: in lower case, without ASCII punctuation except full stops before a digit, as
            `normalize_webqa_answer` has it at this step. Of other texts fewer things are split than spaCy splits.

    Returns:
        The tokens.

    Example:
        >>> split_tokens("5ft fence at 10am dont “x” red–blue 20th")
        ['5', 'ft', 'fence', 'at', '10', 'am', 'do', 'nt', '“', 'x', '”', 'red', '–', 'blue', '20th']
    """
    return [token for word in text.split() for token in _split_word(word)]


@lru_cache(maxsize=4096)
def _split_word(word: str) -> tuple[str, ...]:
    """The tokens of one word: marks on both sides are taken off one by one until a known word or nothing is left."""
    before: list[str] = []
    after: list[str] = []
    while word and word not in _CONTRACTIONS:
        prefix = _prefix_length(word)
        if prefix and word[prefix:] in _CONTRACTIONS:
            before.append(word[:prefix])
            word = word[prefix:]
            break
        suffix = _suffix_length(word[prefix:])
        if suffix and word[:-suffix] in _CONTRACTIONS:
            after.append(word[-suffix:])
            word = word[:-suffix]
            break
        if not prefix and not suffix:
            break
        before += [word[:prefix]] if prefix else []
        after += [word[-suffix:]] if suffix else []
        word = word[prefix : len(word) - suffix]
    inside = _CONTRACTIONS.get(word) or _split_inside(word)
    return (*before, *inside, *reversed(after))


def _prefix_length(word: str) -> int:
    return int(word[:1] in _PREFIX_MARKS or _is_symbol(word[:1]) or _is_currency(word[:1]))


def _suffix_length(word: str) -> int:
    if word.endswith(("’s", "……")):
        return 2
    if unit := _UNIT.search(word):
        return len(unit.group())
    last, previous = word[-1:], word[-2:-1]
    currency = _is_currency(last) and previous.isascii() and previous.isdigit()
    return int(last in _SUFFIX_MARKS or _is_symbol(last) or currency)


def _split_inside(word: str) -> tuple[str, ...]:
    """Part a word at the symbols, ellipses and dashes in it; one that stands first stays with what follows."""
    cuts = [(place, place + 1) for place, mark in enumerate(word) if mark == "…" or _is_symbol(mark)]
    cuts = sorted(cuts + [dash.span() for dash in _DASH.finditer(word) if _is_between_words(word, *dash.span())])
    parts, start = [], 0
    for first, last in cuts:
        if first:
            parts += [word[start:first], word[first:last]]
            start = last
    return tuple(part for part in (*parts, word[start:]) if part)


def _is_between_words(word: str, start: int, stop: int) -> bool:
    """Whether a dash joins a letter or digit to a letter."""
    before, after = word[:start][-1:], word[stop : stop + 1]
    return (before.isalpha() or before in tuple("0123456789")) and after.isalpha()


def _is_symbol(mark: str) -> bool:
    return bool(mark) and unicodedata.category(mark) == "So"


def _is_currency(mark: str) -> bool:
    return bool(mark) and unicodedata.category(mark) == "Sc"


def _contractions() -> dict[str, tuple[str, ...]]:
    """Every word that is split by being known, with its parts."""
    words: dict[str, tuple[str, ...]] = {word: (word,) for word in _WHOLE}
    for subject, endings in _SUBJECTS.items():
        for ending in endings.split():
            parts = _ENDINGS.get(ending, (ending,))
            curly = [_CURLY_ENDINGS[part] for part in parts]
            words[subject + ending] = (subject, *parts)
            words["".join((subject, *curly))] = (subject, *curly)
    for hour in range(1, 13):
        words |= {f"{hour}{half}": (str(hour), half) for half in ("am", "pm")}
    pairs = "can not, gon na, got ta, y all, y’ all, let ’s, c’m on, how ’d ’y"
    words |= {pair.replace(" ", ""): tuple(pair.split()) for pair in pairs.split(", ")}
    return {word: parts for word, parts in words.items() if word not in _NO_CONTRACTIONS}


_CONTRACTIONS = _contractions()
