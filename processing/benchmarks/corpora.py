"""Passage corpora that come as one table of ids and texts (`kid,text`), as knowledge items."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from ..knowledge_rablip import KnowledgeItem
from ..readers_ids import SeenIds
from ..readers_records import Problem, report_problem
from .csv_rows import iterate_csv_rows

__all__ = ["corpus_reader"]


def corpus_reader(path: Path) -> Callable[[list[Problem] | None], Iterator[KnowledgeItem]]:
    """The reader of a CSV corpus with the columns `kid` and `text` (Google-Search corpora, Wikipedia passages).

    Args:
        path: the file, as it is or compressed with gzip.

    Returns:
        A function that gives the items as a stream: id `kid`, text `text`. It takes a list where rows without id or
        text and repeated ids are reported, or None to raise at the first.

    Raises:
        FileNotFoundError: there is no such file (at the call).

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "okvqa_full_corpus.csv")
        >>> _ = file.write_text("kid,text" + chr(10) + "7,It opened in 1889.")
        >>> [(item.id, item.text) for item in corpus_reader(file)(None)]
        [('7', 'It opened in 1889.')]
    """
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}. Give a corpus as CSV with the columns kid and text.")

    def items(problems: list[Problem] | None) -> Iterator[KnowledgeItem]:
        seen = SeenIds()
        for _, line, row in iterate_csv_rows(path, ("kid", "text"), problems=problems):
            name, text = row["kid"].strip(), row["text"]
            if not name or not text.strip():
                cause = f"the column {'text' if name else 'kid'!r} is empty"
            elif not seen.add(name):
                cause = f"the id {name!r} appears twice"
            else:
                yield KnowledgeItem(id=name, text=text)
                continue
            report_problem(Problem(f"line {line}", str(path), cause), problems)

    return items
