"""How the VQA evaluation rewrites an answer before comparing it: punctuation, digits, articles, contractions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

__all__ = [
    "VQA_CONTRACTIONS",
    "VQA_NUMBER_WORDS",
    "normalize_vqa_answer",
    "normalize_vqa_digits_and_articles",
    "normalize_vqa_punctuation",
    "strip_vqa_answer",
]

VQA_NUMBER_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "none": "0",
        **{
            word: str(value)
            for value, word in enumerate("zero one two three four five six seven eight nine ten".split())
        },
    }
)
"""The number words that become digits; nothing above ten does."""

_ARTICLES = ("a", "an", "the")
_PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
_COMMA_IN_NUMBER = re.compile(r"\d,\d")
_DOT_BEFORE_NO_DIGIT = re.compile(r"\.(?!\d)")
_MAX_DOTS = 32  # the official code hands re.UNICODE, which is 32, to the argument that limits the replacements

# Written without the apostrophe, each of these is taken for a contraction.
_ONE_APOSTROPHE = """
    'twas ain't aren't can't could've couldn't didn't doesn't don't hadn't hasn't haven't he'd he's how'd how'll how's
    I'm I've isn't it'd it'll ma'am might've mightn't must've mustn't needn't not've o'clock oughtn't shan't should've
    shouldn't somebody'll somebody's someone'd someone'll someone's something'd something'll that's there'd there're
    there's they'd they'll they're they've wasn't we've weren't what'll what're what's what've when's where'd where's
    where've who'd who'll who's who've why'll why're why's won't would've wouldn't y'all you'd you'll you're you've
""".split()
# Each of these is recognised where exactly one of its apostrophes is missing.
_MORE_APOSTROPHES = """
    couldn't've hadn't've he'd've I'd've it'd've mightn't've 'ow's'at she'd've shouldn't've somebody'd've someone'd've
    something'd've there'd've they'd've we'd've who'd've wouldn't've y'all'll y'all'd've you'd've
""".split()
# Three entries of the official table follow neither rule.
_ODD = {"somebody'd": "somebodyd", "let's": "let's", "she's": "she's"}

VQA_CONTRACTIONS: Mapping[str, str] = MappingProxyType(
    {
        **{form.replace("'", ""): form for form in _ONE_APOSTROPHE},
        **{
            form[:place] + form[place + 1 :]: form
            for form in _MORE_APOSTROPHES
            for place, character in enumerate(form)
            if character == "'"
        },
        **_ODD,
    }
)
"""The 120 entries of the official table. Four begin with a capital and never apply to a lowercased answer."""


def strip_vqa_answer(answer: str) -> str:
    """Newlines and tabs as blanks, none at the ends: all that is done where the annotators are unanimous.

    Args:
        answer: an answer of an annotator or a prediction.

    Example:
        >>> strip_vqa_answer(" Race\\ntrack ")
        'Race track'
    """
    return answer.replace("\n", " ").replace("\t", " ").strip()


def normalize_vqa_punctuation(answer: str) -> str:
    """Punctuation removed, or replaced by a blank, as the official `processPunctuation`.

    A character is removed where it stands next to a blank anywhere in the answer, and all are where the answer holds a
    number with a comma; otherwise it becomes a blank. Then the first 32 dots that no digit follows are removed.
    Apostrophes, colons, percent signs and everything outside ASCII stay.

    Args:
        answer: an answer after `strip_vqa_answer`.

    Example:
        >>> [normalize_vqa_punctuation(text) for text in ("stop-sign", "stop - sign", "1,000 m/s", "U.S.", "2.5")]
        ['stop sign', 'stop  sign', '1000 ms', 'US', '2.5']
    """
    removes_all = _COMMA_IN_NUMBER.search(answer) is not None
    rewritten = answer
    for character in _PUNCTUATION:
        removes = removes_all or f"{character} " in answer or f" {character}" in answer
        rewritten = rewritten.replace(character, "" if removes else " ")
    return _DOT_BEFORE_NO_DIGIT.sub("", rewritten, count=_MAX_DOTS)


def normalize_vqa_digits_and_articles(answer: str) -> str:
    """Lower case, number words up to ten as digits, no articles, apostrophes put back: `processDigitArticle`.

    Args:
        answer: an answer after `normalize_vqa_punctuation`.

    Example:
        >>> normalize_vqa_digits_and_articles("The ten dogs dont sleep on an eleven")
        "10 dogs don't sleep on eleven"
    """
    words = [VQA_NUMBER_WORDS.get(word, word) for word in answer.lower().split()]
    return " ".join(VQA_CONTRACTIONS.get(word, word) for word in words if word not in _ARTICLES)


def normalize_vqa_answer(answer: str) -> str:
    """All steps, as they are applied where the annotators do not all say the same.

    Args:
        answer: an answer of an annotator or a prediction.

    Source:
        `PythonEvaluationTools/vqaEvaluation/vqaEval.py` of GT-Vision-Lab/VQA.

    Example:
        >>> normalize_vqa_answer(" The Two-door\\tcar. ")
        '2 door car'
    """
    return normalize_vqa_digits_and_articles(normalize_vqa_punctuation(strip_vqa_answer(answer)))
