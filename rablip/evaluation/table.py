"""The report of an evaluation as tables for people: what was found, what was answered, what was withheld."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["answer_rows", "render_report", "retrieval_rows"]

_RECALL_COLUMNS = ("overall", "text", "image", "image_text", "visual_only")
_BASELINE_NAMES = {
    "random": "random",
    "bm25": "BM25",
    "tfidf": "TF-IDF",
    "text_only": "text-only dense (pictures withheld)",
}
_CONDITIONS = ("closed_book", "shuffled_pictures", "retrieved", "oracle")


def retrieval_rows(report: Mapping[str, Any]) -> list[list[str]]:
    """Rows of the retrieval table, a header first: Recall@5 of every baseline and of the retriever.

    >>> figure = {"value": 0.5, "n": 4, "interval": [0.15, 0.85]}
    >>> recall = {"recall@5": dict.fromkeys(["overall", "text", "image", "image_text", "visual_only"], figure)}
    >>> retrieval_rows({"retriever": recall, "baselines": {"random": recall}})[2]
    ['RA-BLIP retriever', '0.500', '0.500', '0.500', '0.500', '0.500']
    """
    rows = [["Recall@5", *(name.replace("_", " ") for name in _RECALL_COLUMNS)]]
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


def render_report(report: Mapping[str, Any], *, width: int = 100, color: bool = False) -> str:
    """The whole report as text: retrieval, answers per kind, abstention and citations with their intervals.

    Args:
        report: what `WorldReport.to_json` gives; parts that were not run are left out.
        width: characters per line.
        color: whether to write terminal escapes (the bold of the last row).
    """
    from rich.console import Console
    from rich.table import Table

    console = Console(file=io.StringIO(), width=width, force_terminal=color, no_color=not color)

    def show(title: str, rows: Sequence[Sequence[str]]) -> None:
        table = Table(title=title, title_justify="left", header_style="bold", row_styles=[""])
        for place, name in enumerate(rows[0]):
            table.add_column(name, justify="right" if place else "left", no_wrap=bool(place))
        for row in rows[1:]:
            table.add_row(*row, style="bold" if row is rows[-1] else None)
        console.print(table)

    if "retriever" in report or "baselines" in report:
        show("Retrieval: the needed item is among the first five", retrieval_rows(report))
    if report.get("answer", {}).get("accuracy"):
        show("Answers: an abstention counts as wrong", answer_rows(report))
    details = [["Trust", "value", "95 % interval", "n"]]
    for group, names in (("abstain", ("f1", "precision", "recall")), ("citation", ("precision", "recall"))):
        for name in names:
            figure = report.get(group, {}).get(name)
            if figure is not None:
                low, high = figure["interval"]
                details.append([f"{group} {name}", _value(figure), f"{low:.3f} to {high:.3f}", str(figure["n"])])
    if len(details) > 1:
        show("Abstentions and citations", details)
    return console.file.getvalue()  # type: ignore[attr-defined]


def _at(tree: Mapping[str, Any], path: Sequence[str]) -> Mapping[str, Any]:
    for key in path:
        tree = tree[key]
    return tree


def _value(figure: Mapping[str, Any]) -> str:
    return _number(figure["value"])


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
