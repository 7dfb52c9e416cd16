"""What a lexical search compares: the text of a knowledge item, and its words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cache

from ..processing.knowledge_rablip import KnowledgeItem

__all__ = ["TOKENIZER", "join_texts", "lexical_words", "searchable_text"]

# Stored beside what was made by it: another rule is another name.
TOKENIZER = "words-1"

_ASCII_WORD = re.compile(r"\w+", flags=re.ASCII)
# Scripts that are written without spaces: Thai, Lao, Myanmar, Khmer, kana, Han.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"
_UNSPACED += "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"


def lexical_words(text: str) -> list[str]:
    """Lower-case words and numbers: runs of letters, digits, marks and "_", in compatibility form (NFKC).

    In scripts that are written without spaces a run is cut into pairs of neighbouring characters, which overlap.
    No stemming and no stop words, in any language: BM25 weighs common words down, and other forms of a word are the
    business of the vectors.

    Example:
        >>> lexical_words("Who built the Velmor-Tarn in 1743?")
        ['who', 'built', 'the', 'velmor', 'tarn', 'in', '1743']
        >>> lexical_words("Das CAFÉ 東京駅")
        ['das', 'café', '東京', '京駅']
    """
    if text.isascii():
        return _ASCII_WORD.findall(text.lower())
    words: list[str] = []
    for unspaced, word in _any_word().findall(unicodedata.normalize("NFKC", text).casefold()):
        if word or len(unspaced) == 1:
            words.append(word or unspaced)
        else:
            words += [unspaced[place : place + 2] for place in range(len(unspaced) - 1)]
    return words


def searchable_text(item: KnowledgeItem) -> str:
    """Everything written about an item that a model sees: title, caption and text, repeated parts left out.

    Example:
        >>> searchable_text(KnowledgeItem(id="1", title="Oak", text="Oak grows slowly.", metadata={"page": "4"}))
        'Oak grows slowly.'
    """
    return join_texts((item.title, item.caption, item.text))


def join_texts(texts: Iterable[str | None]) -> str:
    """Title, caption and text as one; a part with which a later one begins is left out.

    Example:
        >>> join_texts(("Oak", None, "Grows slowly."))
        'Oak Grows slowly.'
    """
    parts = [part.strip() for part in texts if part and part.strip()]
    kept = [
        part for place, part in enumerate(parts) if not any(other.startswith(part) for other in parts[place + 1 :])
    ]
    return " ".join(kept)


@cache
def _any_word() -> re.Pattern[str]:
    """Runs of unspaced scripts, or of word characters with marks, which `\\w` leaves out (vowel signs of Hindi)."""
    marks = "".join(chr(code) for code in range(0x300, 0x10000) if unicodedata.category(chr(code)).startswith("M"))
    return re.compile(rf"([{_UNSPACED}]+)|((?:(?![{_UNSPACED}])[\w{re.escape(marks)}])+)")
