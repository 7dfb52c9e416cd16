"""Reads a page as a browser would: tags in order, their attributes, and the texts that a person sees."""

from __future__ import annotations

import re
from html.parser import HTMLParser

__all__ = ["ALLOWED", "PageReader", "assert_carries_all"]

VOID = {"meta", "img", "input"}
ALLOWED = {
    *(
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "div",
        "header",
        "main",
        "section",
        "article",
        "footer",
        "nav",
    ),
    *(
        "h1",
        "h2",
        "h3",
        "h4",
        "p",
        "pre",
        "dl",
        "dt",
        "dd",
        "ul",
        "ol",
        "li",
        "a",
        "span",
        "strong",
        "small",
        "b",
        "i",
    ),
    *("table", "thead", "tbody", "tr", "th", "td", "details", "summary", "figure", "figcaption", "blockquote", "img"),
    *("fieldset", "legend", "label", "input"),
    *("svg", "desc", "g", "text", "rect", "line", "circle", "polygon", "polyline"),
}


class PageReader(HTMLParser):
    """Collects tags and texts, and checks that every tag is closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()
        assert not self.open, f"left open: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.texts.append(data)

    @property
    def text(self) -> str:
        """All texts in one line."""
        return " ".join("".join(self.texts).split())

    def values(self, tag: str, attribute: str) -> list[str]:
        """The values of an attribute of all elements of a name that have it."""
        return [found[attribute] or "" for name, found in self.tags if name == tag and attribute in found]


def assert_carries_all(page: str) -> None:
    """A page holds nothing that runs, and nothing that is asked for from elsewhere."""
    reader = PageReader(page)
    assert {tag for tag, _ in reader.tags} <= ALLOWED
    for tag, attributes in reader.tags:
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        assert (attributes.get("href") or "#").startswith("#")
        if tag == "img":
            assert re.fullmatch(r"data:image/(png|jpeg);base64,[A-Za-z0-9+/=]+", attributes["src"] or "")
            assert attributes["alt"] is not None
    assert any("default-src 'none'" in policy for policy in reader.values("meta", "content"))
    assert "script-src" not in page and "url(" not in page and "@import" not in page
    ids = [attributes["id"] for _, attributes in reader.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [href[1:] for href in reader.values("a", "href")]
    assert set(links) <= set(ids), "every link leads somewhere on the page"
