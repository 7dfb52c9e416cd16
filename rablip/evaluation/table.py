"""The report of an evaluation as tables for people: what was found, what was answered, what was withheld."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["answer_rows", "print_report", "render_report", "retrieval_rows", "trust_rows"]

_RECALL_COLUMNS = ("overall", "text", "image", "image_text", "visual_only")
_RECALL_HEADS = {"image_text": "image+text", "visual_only": "visual only"}
_BASELINE_NAMES = {
    "random": "random",
    "bm25": "BM25",
    "tfidf": "TF-IDF",
    "text_only": "text-only dense",
}
_CONDITIONS = ("closed_book", "shuffled_pictures", "retrieved", "oracle")


def retrieval_rows(report: Mapping[str, Any]) -> list[list[str]]:
    """Rows of the retrieval table, a header first: Recall@5 of every baseline and of the retriever.

    >>> figure = {"value": 0.5, "n": 4, "interval": [0.15, 0.85]}
    >>> recall = {"recall@5": dict.fromkeys(["overall", "text", "image", "image_text", "visual_only"], figure)}
    >>> retrieval_rows({"retriever": recall, "baselines": {"random": recall}})[2]
    ['RA-BLIP retriever', '0.500', '0.500', '0.500', '0.500', '0.500']
    """
    rows = [["Recall@5", *(_RECALL_HEADS.get(name, name) for name in _RECALL_COLUMNS)]]
    systems = [(_BASELINE_NAMES.get(name, name), values) for name, values in report.get("baselines", {}).items()]
    if "retriever" in report:
        systems.append(("RA-BLIP retriever", report["retriever"]))
    for name, values in systems:
        rows.append([name, *(_value(values["recall@5"][column]) for column in _RECALL_COLUMNS)])
    return rows


def answer_rows(report: Mapping[str, Any]) -> list[list[str]]:
    """Rows of the answer table, a header first: accuracy per question kind, chance level beside every condition.

    >>> figure = {"value": 1.0, "n": 4, "interval": [0.5, 1.0], "majority": 0.25, "majority_by_attribute": 0.3}
    >>> answer_rows({"answer": {"accuracy": {"oracle": {"overall": figure, "by_kind": {"color": figure}}}}})
    [['Accuracy', 'n', 'majority', 'oracle'], ['color', '4', '0.250', '1.000'], ['overall', '4', '0.250', '1.000']]
    """
    accuracy = report.get("answer", {}).get("accuracy", {})
    conditions = [name for name in _CONDITIONS if name in accuracy]
    rows = [["Accuracy", "n", "majority", *(name.replace("_", " ") for name in conditions)]]
    if not conditions:
        return rows
    first = accuracy[conditions[0]]
    groups = [(kind, ("by_kind", kind)) for kind in first["by_kind"]] + [("overall", ("overall",))]
    for name, path in groups:
        figures = [_at(accuracy[condition], path) for condition in conditions]
        shown = figures[0]
        rows.append([name, str(shown["n"]), _number(shown["majority"]), *(_value(figure) for figure in figures)])
    return rows


def trust_rows(report: Mapping[str, Any]) -> list[list[str]]:
    """Rows of the trust table, a header first: abstentions and citations with their intervals.

    >>> trust_rows({"abstain": {"f1": {"value": 0.9, "n": 40, "interval": [0.81, 0.97]}}})
    [['Trust', 'value', '95 % interval', 'n'], ['abstain f1', '0.900', '0.810 to 0.970', '40']]
    """
    rows = [["Trust", "value", "95 % interval", "n"]]
    for group, names in (("abstain", ("f1", "precision", "recall")), ("citation", ("precision", "recall"))):
        for name in names:
            figure = report.get(group, {}).get(name)
            if figure is not None:
                low, high = figure["interval"]
                rows.append([f"{group} {name}", _value(figure), f"{low:.3f} to {high:.3f}", str(figure["n"])])
    return rows


def render_report(report: Mapping[str, Any], *, width: int = 100) -> str:
    """The whole report as plain text: retrieval, answers per kind, abstention and citations with their intervals.

    Args:
        report: what `WorldReport.to_json` gives; parts that were not run are left out.
        width: characters per line.
    """
    from rich.console import Console

    text = io.StringIO()
    print_report(report, console=Console(file=text, width=width, force_terminal=False, color_system=None))
    return text.getvalue()


def print_report(report: Mapping[str, Any], *, console: Console | None = None) -> None:
    """Writes the tables of `render_report` to a terminal: to standard output where no console is given."""
    from rich.console import Console

    console = console or Console()
    for title, rows in _sections(report):
        console.print()
        console.print(_table(title, rows))


def _sections(report: Mapping[str, Any]) -> Iterator[tuple[str, list[list[str]]]]:
    if "retriever" in report or "baselines" in report:
        yield "Retrieval: the needed item is among the first five", retrieval_rows(report)
    if report.get("answer", {}).get("accuracy"):
        yield "Answers: exact match, an abstention counts as wrong", answer_rows(report)
    rows = trust_rows(report)
    if len(rows) > 1:
        yield "Abstentions and citations", rows


def _table(title: str, rows: Sequence[Sequence[str]]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(title=title, title_justify="left", header_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for place, name in enumerate(rows[0]):
        table.add_column(name, justify="right" if place else "left", no_wrap=not place)
    emphasized = rows[-1] if rows[0][0] in ("Recall@5", "Accuracy") else None
    for row in rows[1:]:
        table.add_row(*row, style="bold" if row is emphasized else None)
    return table


def _at(tree: Mapping[str, Any], path: Sequence[str]) -> Mapping[str, Any]:
    for key in path:
        tree = tree[key]
    return tree


def _value(figure: Mapping[str, Any]) -> str:
    return _number(figure["value"])


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
