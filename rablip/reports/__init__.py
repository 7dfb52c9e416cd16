"""Reports for people: one self-contained HTML page that shows what a model looked at and what it answered."""

from __future__ import annotations

from .html_page import PageEntry, PageTable, build_page, write_page

__all__ = ["PageEntry", "PageTable", "build_page", "write_page"]
