"""Wiki6M (the knowledge base of OVEN and InfoSeek) as knowledge items: Wikipedia articles by their entities' ids.

The id of an item is that of the Wikidata entity. With `max_words`, a longer article is cut into passages with the ids
`Q42#0`, `Q42#1` and so on; `entity_id_of` gives the entity of any item. Metadata: `entity_id`, and `image_url`, the
address of the article's picture, which is never opened.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ..knowledge_rablip import KnowledgeItem
from ..readers_ids import SeenIds
from ..readers_records import Problem, iterate_json_lines, optional_text, report_problem
from .fields import identifier, readable

__all__ = ["entity_id_of", "read_wiki6m"]

_ONE_WORD = re.compile(r"\S+")


def entity_id_of(item_id: str) -> str:
    """The entity that a knowledge item is about: its id without the number of the passage.

    Args:
        item_id: id of an item.

    Example:
        >>> entity_id_of("Q42"), entity_id_of("Q42#3")
        ('Q42', 'Q42')
    """
    return item_id.partition("#")[0]


def read_wiki6m(
    file: Path, *, max_words: int | None = None, problems: list[Problem] | None = None
) -> Iterator[KnowledgeItem]:
    """Read the articles of Wiki6M, as a stream.

    Fields that are read: `wikidata_id`, `wikipedia_title`, `wikipedia_content` (`wikipedia_summary` where it is blank)
    and `wikipedia_image_url`. The title-only file gives items that are a title.

    Args:
        file: `Wiki6M_ver_1_0.jsonl`, as it is or compressed with gzip.
        max_words: longest item in words; None for whole articles.
        problems: where articles without id or text and repeated ids are reported; None raises at the first.

    Raises:
        ReaderError: the file is malformed; names file and line.

    Example:
        >>> import json, tempfile
        >>> file = Path(tempfile.mkdtemp(), "Wiki6M_ver_1_0.jsonl")
        >>> row = {"wikidata_id": "Q42", "wikipedia_title": "Harbor", "wikipedia_content": "It opened in 1889."}
        >>> _ = file.write_text(json.dumps(row))
        >>> [(item.id, item.text) for item in read_wiki6m(file, max_words=3)]
        [('Q42#0', 'It opened in'), ('Q42#1', '1889.')]
    """
    seen = SeenIds()
    for number, row in iterate_json_lines(file, problems=problems):
        place = f"line {number}"
        try:
            entity = identifier(row, "wikidata_id")
            place = f"line {number} (wikidata_id {entity})"
            if "#" in entity or not seen.add(entity):
                raise ValueError("its wikidata_id " + ("holds a '#'" if "#" in entity else "appears twice"))
            title = optional_text(row, "wikipedia_title")
            text = optional_text(row, "wikipedia_content") or optional_text(row, "wikipedia_summary")
            if title is None and text is None:
                raise ValueError("it has neither wikipedia_title nor wikipedia_content")
            image_url = optional_text(row, "wikipedia_image_url")
            metadata = {"entity_id": entity} | ({"image_url": image_url} if image_url else {})
            passages: list[str | None] = [None]
            if text is not None:
                passages = [*_cut(readable(text, "wikipedia_content"), max_words)]
            if title is not None:
                readable(title, "wikipedia_title")
        except (ValueError, TypeError) as error:
            report_problem(Problem(place, str(file), str(error)), problems)
            continue
        for index, passage in enumerate(passages):
            name = entity if len(passages) == 1 else f"{entity}#{index}"
            yield KnowledgeItem(id=name, text=passage, title=title, metadata=metadata)


def _cut(text: str, max_words: int | None) -> list[str]:
    """Pieces of at most so many words, as they stand in the text."""
    if max_words is None:
        return [text]
    words = [match.span() for match in _ONE_WORD.finditer(text)]
    ends = range(max_words, len(words) + max_words, max_words)
    return [text[words[end - max_words][0] : words[min(end, len(words)) - 1][1]] for end in ends]
