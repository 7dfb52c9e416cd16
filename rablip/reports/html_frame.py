"""The frame that every report page has: one HTML file with its style, which loads nothing and runs nothing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import NamedTuple

from .html_parts import escape
from .html_style import STYLE

__all__ = ["PagePart", "build_frame", "contents_html", "paragraphs_html", "write_html"]

# Nothing is ever loaded from elsewhere and nothing runs, whatever the texts hold.
_FRAME = Template(
    """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>$title</title>
<style>
$style
</style>
</head>
<body>
<div class="page">
<header>
<h1>$title</h1>
$introduction
$header
</header>
<main>
$main
</main>
$footer
</div>
</body>
</html>
"""
)


class PagePart(NamedTuple):
    """A part of a page: its address on the page, its short title and its HTML, empty when there is nothing to say.

    Example:
        >>> PagePart("run", "The run", "<section>...</section>").key
        'run'
    """

    key: str
    title: str
    html: str


def build_frame(
    *,
    title: str,
    introduction: str = "",
    header: str = "",
    main: Sequence[str] = (),
    footer: str = "",
    style: str = "",
) -> str:
    """A whole page.

    Args:
        title: title of the page, a text.
        introduction: what the page shows, a text; blank lines separate paragraphs.
        header: HTML below the introduction.
        main: HTML of the parts of the page, in order; empty ones are left out.
        footer: last line of the page, a text.
        style: style rules beside those of every page.

    Example:
        >>> "<h1>Figures &amp; more</h1>" in build_frame(title="Figures & more")
        True
    """
    return _FRAME.substitute(
        title=escape(title),
        style="\n".join(part for part in (STYLE, style) if part),
        introduction=paragraphs_html(introduction, style="lead"),
        header=header,
        main="\n".join(part for part in main if part),
        footer=f"<footer>{escape(footer)}</footer>" if footer else "",
    )


def contents_html(parts: Sequence[PagePart]) -> str:
    """Links to the parts of a page that say something.

    Example:
        >>> contents_html([PagePart("run", "The run", "..."), PagePart("curves", "Recall", "...")]).count("<a ")
        2
    """
    links = [f'<a href="#{escape(key)}">{escape(title)}</a>' for key, title, html in parts if html]
    return f'<nav class="parts" aria-label="Parts of this page">{"".join(links)}</nav>' if len(links) > 1 else ""


def paragraphs_html(text: str, *, style: str) -> str:
    """Paragraphs of a text in which blank lines separate them.

    Example:
        >>> paragraphs_html("One.", style="note")
        '<p class="note">One.</p>'
    """
    parts = [part.strip() for part in text.split("\n\n")]
    return "\n".join(f'<p class="{escape(style)}">{escape(part)}</p>' for part in parts if part)


def write_html(path: str | os.PathLike[str], html: str) -> Path:
    """Writes a page to a file, as a whole or not at all, and returns its path.

    Raises:
        FileNotFoundError: when the folder of the file does not exist.
        OSError: when it cannot be written; what stood there before still does.

    Example:
        >>> import tempfile
        >>> write_html(tempfile.mkdtemp() + "/page.html", build_frame(title="Page")).name
        'page.html'
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise FileNotFoundError(f"The folder {target.parent} of the page {target.name} does not exist. Make it first.")
    temporary = target.with_name(target.name + ".partial")
    try:
        temporary.write_text(html, encoding="utf-8")
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    return target
