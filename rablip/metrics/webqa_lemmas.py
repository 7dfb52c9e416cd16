"""Words to lemmas by spelling rules: what spaCy's small English model gives for most words, without the model."""

from __future__ import annotations

import re
from functools import lru_cache

from .webqa_tokens import split_tokens
from .webqa_word_forms import (
    DOUBLED_L_BASES,
    ENDS_IN_CHE,
    ENDS_IN_IE,
    ENDS_IN_OE,
    FINAL_E_BASES,
    GRADABLE_ADJECTIVES,
    ING_NOUNS,
    IRREGULAR_FORMS,
    NO_FINAL_E_BASES,
    UNINFLECTED,
    US_NOUNS,
)

__all__ = ["lemmatize_words"]

_DECADE = re.compile(r"\d+s")
_VOWEL_GROUP = re.compile(r"[aeiouy]+")
# One vowel letter and one consonant at the end of a word: "hop", "visit".
_SHORT_ENDING = re.compile(r"(?:^|[^aeiou])[aeiouy][^aeiouwxy]$|qu[aeiou][^aeiouwxy]$")
_DOUBLED = re.compile(r"([bdgklmnprtvz])\1$")
# Endings of verbs that lost an e before -ed and -ing.
_LOST_E = re.compile(
    r"(?:[cuvz]|[^s]s|dg|[nr]g|[aei]g|[^aeioulrwy]l|[^aeo]at|[^aeiou](?:ut|ar|ir|ur|id|ud|od|ad|in|un|il|ul|ol|am|ap|ak|ik|ok|ob|ib))$"
)
_NO_LOST_E = re.compile(r"(?:ong|ing|ung|eu|ou)$")


def lemmatize_words(text: str) -> str:
    """Split a normalised answer into tokens and take each to its lemma by rules of English spelling.

    Plurals, the forms of verbs, and the comparatives of common adjectives are undone; a word whose class only its
    sentence tells is read as what it mostly is ("building" as a noun, "standing" as a verb). Words come in lower case.

    Args:
        text: words with blanks between them, in lower case and without ASCII punctuation.

    Returns:
        The lemmas with single blanks between them.

    Example:
        >>> lemmatize_words("2 taller statues were painted on buildings 5ft from trees")
        '2 tall statue be paint on building 5 ft from tree'
    """
    return " ".join(_lemma(token) for token in split_tokens(text))


@lru_cache(maxsize=16384)
def _lemma(word: str) -> str:
    if word in IRREGULAR_FORMS:
        return IRREGULAR_FORMS[word]
    if word in UNINFLECTED or word in ING_NOUNS:
        return word
    if _DECADE.fullmatch(word):
        return word[:-1]
    if not word.isalpha() or len(word) < 4:
        return word
    if word.endswith("men"):
        return f"{word[:-2]}an"
    if word.endswith("s"):
        return _without_s(word)
    if word.endswith("ed"):
        return _without_ed(word)
    if word.endswith("ing"):
        return _verb_base(word[:-3]) if _has_vowel(word[:-3]) else word
    if word.endswith(("er", "est")):
        return _positive(word)
    return word


def _without_s(word: str) -> str:
    """The singular of a noun, or the base of a verb."""
    stem = word[:-1]
    if word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies"):
        return stem if stem in ENDS_IN_IE else f"{word[:-3]}y"
    if word.endswith("oes"):
        return stem if stem in ENDS_IN_OE else word[:-2]
    if word.endswith("ches"):
        return stem if stem in ENDS_IN_CHE else word[:-2]
    if word.endswith(("sses", "shes", "xes", "zzes", "tzes")) or word[:-2] in US_NOUNS:
        return word[:-2]
    return stem


def _without_ed(word: str) -> str:
    """The base of a verb in the past."""
    if word.endswith("ied"):
        return word[:-1] if word[:-1] in ENDS_IN_IE else f"{word[:-3]}y"
    if word[:-1] in FINAL_E_BASES:
        return word[:-1]
    if word.endswith("eed"):
        return word
    return _verb_base(word[:-2]) if _has_vowel(word[:-2]) else word


def _verb_base(stem: str) -> str:
    """The base of a verb from what stands before -ed or -ing."""
    if f"{stem}e" in FINAL_E_BASES:
        return f"{stem}e"
    if stem in NO_FINAL_E_BASES:
        return stem
    if _DOUBLED.search(stem):
        keeps_both = stem.endswith("ll") and (_syllables(stem) == 1 or stem in DOUBLED_L_BASES)
        return stem if keeps_both or stem.endswith("zz") else stem[:-1]
    if _syllables(stem) == 1 and _SHORT_ENDING.search(stem):
        return f"{stem}e"  # a single consonant would have been doubled: "hoping" against "hopping"
    if _LOST_E.search(stem) and not _NO_LOST_E.search(stem):
        return f"{stem}e"
    return stem


def _positive(word: str) -> str:
    """The positive of a comparative or superlative."""
    stem = word[:-2] if word.endswith("er") else word[:-3]
    candidates = [stem, f"{stem}e"]
    if stem.endswith("i"):
        candidates.append(f"{stem[:-1]}y")
    if len(stem) > 2 and stem[-1] == stem[-2]:
        candidates.append(stem[:-1])
    return next((candidate for candidate in candidates if candidate in GRADABLE_ADJECTIVES), word)


def _has_vowel(stem: str) -> bool:
    return bool(_VOWEL_GROUP.search(stem))


def _syllables(stem: str) -> int:
    return len(_VOWEL_GROUP.findall(stem.replace("qu", "q")))
