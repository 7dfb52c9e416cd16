"""Small word-level tokenizers for tiny models: every word of a corpus is one token, everything else is spelled."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable

from transformers import BertTokenizer, T5Tokenizer

_WORD = re.compile(r"\w+")
_MARKER = re.compile(r"\[/?\d+\]")
_PUNCTUATION = ".,;:?!|/[]()'\"-<>_&%+*#@$="
_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


def build_qformer_tokenizer(corpus: Iterable[str], *, max_words: int = 4000) -> BertTokenizer:
    """A lower-casing WordPiece tokenizer over the corpus' most frequent words.

    Args:
        corpus: texts.
        max_words: most words that become one token each; rarer ones are spelled.

    Returns:
        A `BertTokenizer` with `[PAD]` = 0.
    """
    counts = Counter(word for text in corpus for word in _WORD.findall(text.lower()))
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *_PUNCTUATION, *_CHARACTERS]
    tokens += [f"##{character}" for character in _CHARACTERS]
    tokens += [word for word, _ in sorted(counts.most_common(max_words), key=lambda pair: (-pair[1], pair[0]))]
    return BertTokenizer(vocab={token: number for number, token in enumerate(dict.fromkeys(tokens))})


def build_language_model_tokenizer(corpus: Iterable[str], *, max_words: int = 4000) -> T5Tokenizer:
    """A Unigram tokenizer in T5's form: words with their log-frequency, characters as a fallback.

    Args:
        corpus: texts, prompts included; reference markers become one token each.
        max_words: most words that become one token each.

    Returns:
        A `T5Tokenizer` with `<pad>` = 0 and `</s>` = 1, without sentinel tokens.
    """
    counts: Counter[str] = Counter()
    for text in corpus:
        counts.update(_WORD.findall(_MARKER.sub(" ", text)))
        counts.update(_MARKER.findall(text))
    total = sum(counts.values())
    ranked = sorted(counts.most_common(max_words), key=lambda pair: (-pair[1], pair[0]))
    pieces: dict[str, float] = {"<pad>": 0.0, "</s>": 0.0, "<unk>": 0.0, "▁": -8.0}
    pieces.update({f"▁{word}": math.log(count / total) for word, count in ranked})
    # One piece costs less than any way to spell it.
    spelled = min(pieces.values()) - 4.0
    for character in [*_CHARACTERS, *_CHARACTERS.upper(), *_PUNCTUATION]:
        pieces.setdefault(character, spelled)
    return T5Tokenizer(vocab=list(pieces.items()), extra_ids=0)


__all__ = ["build_language_model_tokenizer", "build_qformer_tokenizer"]
