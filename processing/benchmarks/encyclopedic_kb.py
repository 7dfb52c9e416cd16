"""The knowledge base of Encyclopedic-VQA (one JSON object of Wikipedia articles) as knowledge items, as a stream.

The id of an article is its address, that of a section `address#index` with the index in `section_titles`, from 0;
`article_url_of` gives the article of any item. Metadata: `wikipedia_url`; of a section `section_index` and
`section_title`; of an article `image_urls`, which are never opened.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..knowledge_rablip import KnowledgeItem
from ..readers_records import Problem, iterate_json_members, report_problem
from .choices import check_choice
from .fields import readable, required_text, text_list

__all__ = ["UNITS", "article_url_of", "read_encyclopedic_kb"]

UNITS = ("section", "article")


def article_url_of(item_id: str) -> str:
    """The address of the article that an item is or belongs to: its id without the index of the section.

    Args:
        item_id: id of an item.

    Example:
        >>> article_url_of("https://en.wikipedia.org/wiki/Harbor#3")
        'https://en.wikipedia.org/wiki/Harbor'
    """
    return item_id.partition("#")[0]


def read_encyclopedic_kb(
    file: Path, *, units: str = "section", problems: list[Problem] | None = None
) -> Iterator[KnowledgeItem]:
    """Read the articles of `encyclopedic_kb_wiki.json` as a stream; memory stays at about one article.

    The text of a section is its title and its text, that of an article all its sections; the title of the first
    section is the article's and is not repeated. Sections without text give no item, the others keep their index.

    Args:
        file: the file, 4.9 GB as released.
        units: what is one item: "section" or "article".
        problems: where articles that are malformed or have no text are reported; None raises at the first.

    Raises:
        ReaderError: the file is malformed; names file and place.
        ValueError: `units` is neither of the two.

    Example:
        >>> import json, tempfile
        >>> url, file = "https://en.wikipedia.org/wiki/Harbor", Path(tempfile.mkdtemp(), "encyclopedic_kb_wiki.json")
        >>> article = {"title": "Harbor", "section_titles": ["Harbor", "History"],
        ...            "section_texts": ["A harbor.", "It opened in 1889."], "url": url}
        >>> _ = file.write_text(json.dumps({url: article}))
        >>> for item in read_encyclopedic_kb(file):
        ...     item.id, item.text
        ('https://en.wikipedia.org/wiki/Harbor#0', 'A harbor.')
        ('https://en.wikipedia.org/wiki/Harbor#1', 'History\\nIt opened in 1889.')
    """
    check_choice("unit of Encyclopedic-VQA's knowledge base", units, UNITS)

    def items() -> Iterator[KnowledgeItem]:
        for url, article in iterate_json_members(file):
            try:
                found = _article_items(url, article, units)
            except (ValueError, TypeError) as error:
                report_problem(Problem(f"article {url!r}", str(file), str(error)), problems)
                continue
            yield from found

    return items()


def _article_items(url: str, article: Any, units: str) -> list[KnowledgeItem]:
    if not isinstance(article, dict):
        raise ValueError(f"expected an object, found {str(article)[:80]!r}")
    if "#" in url or article.get("url", url) != url:
        raise ValueError(f"its address must have no '#' and be that of its field url, {article.get('url')!r}")
    title = required_text(article, "title")
    names, texts = text_list(article, "section_titles"), text_list(article, "section_texts")
    if len(names) != len(texts):
        raise ValueError(f"it has {len(names)} section_titles and {len(texts)} section_texts")
    sections = [
        (index, name, readable(text if index == 0 or not name.strip() else f"{name}\n{text}", "section_texts"))
        for index, (name, text) in enumerate(zip(names, texts, strict=True))
        if text.strip()
    ]
    if not sections:
        raise ValueError("none of its sections has a text")
    if units == "article":
        metadata = {"wikipedia_url": url, "image_urls": text_list(article, "image_urls")}
        text = "\n\n".join(text for _, _, text in sections)
        return [KnowledgeItem(id=url, text=text, title=title, source=url, metadata=metadata)]
    return [
        KnowledgeItem(
            id=f"{url}#{index}",
            text=text,
            title=title,
            source=url,
            metadata={"wikipedia_url": url, "section_index": index, "section_title": name},
        )
        for index, name, text in sections
    ]
