"""Which figure of a run stands in the column of a published one."""

from __future__ import annotations

from collections.abc import Sequence

from ...metrics import MetricResult

__all__ = ["find_own_figure"]

# Benchmark -> published column -> metric, its group where the column is a part of it. The first variant counts, which
# is the official one wherever it can be computed.
_COLUMNS: dict[str, dict[str, tuple[str, str | None]]] = {
    "webqa": {
        "QA-Acc": ("webqa_accuracy", None),
        "QA-FL": ("webqa_fluency", None),
        "QA": ("webqa_overall", None),
    },
    "multimodalqa": {
        "EM": ("multimodalqa_exact_match", None),
        "F1": ("multimodalqa_f1", None),
        "EM single-hop": ("multimodalqa_exact_match", "hop/single"),
        "EM multi-hop": ("multimodalqa_exact_match", "hop/multi"),
    },
    "okvqa": {"VQA accuracy": ("vqa_accuracy", None)},
    "aokvqa": {"MC": ("aokvqa_multiple_choice", None), "DA": ("aokvqa_direct_answer", None)},
    "infoseek": {
        "unseen question": ("infoseek_accuracy", "unseen_question"),
        "unseen entity": ("infoseek_accuracy", "unseen_entity"),
        "all": ("infoseek_accuracy", None),
    },
    "encyclopedic_vqa": {
        "single-hop": ("encyclopedic_vqa_accuracy", "hop/single"),
        "all": ("encyclopedic_vqa_accuracy", None),
    },
}
_RETRIEVAL_F1 = ("webqa_retrieval_f1", None)
_HUNDRED = 100.0


def find_own_figure(benchmark: str, column: str, metrics: Sequence[MetricResult]) -> tuple[float | None, str]:
    """The run's figure for a published column, in percent as it is published, and which variant it is.

    WebQA's retrieval F1 is published as a fraction, and stays one.

    Args:
        benchmark: its name.
        column: as the publication calls it.
        metrics: of the run.

    Example:
        >>> own = MetricResult(metric="webqa_accuracy", variant="official", value=0.4, values={"q1": 0.4})
        >>> find_own_figure("webqa", "QA-Acc", [own]), find_own_figure("webqa", "QA", [own])
        ((40.0, 'official'), (None, ''))
    """
    metric, group = _RETRIEVAL_F1 if column == "Retr-F1" else _COLUMNS.get(benchmark, {}).get(column, ("", None))
    for result in metrics:
        if result.metric != metric:
            continue
        value = result.value if group is None else result.groups.get(group)
        factor = 1.0 if column == "Retr-F1" else _HUNDRED / result.scale
        return None if value is None else value * factor, result.variant
    return None, ""
