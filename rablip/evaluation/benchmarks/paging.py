"""The page of a run, filled from its results."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...metrics import MetricResult, PairedDifference, ReliabilityBin
from ...processing.benchmarks import BENCHMARKS
from ...reports import (
    Bar,
    BarChart,
    CalibrationBin,
    CalibrationPlot,
    Curve,
    CurvePoint,
    EvaluationPage,
    LineChart,
    MetricRow,
    PairedFigure,
    PublishedRow,
    PublishedTable,
    SourceMark,
    write_evaluation_page,
)
from .conditions import CONDITIONS
from .own_figures import find_own_figure
from .page_entries import NUM_ENTRIES, choose_entries
from .published import find_published
from .results import EvaluationResults, measure_categories
from .run import BenchmarkRun

__all__ = ["describe_pair", "is_ranked", "make_bars", "write_run_page"]

_NUM_MAIN, _NUM_BARS = 3, 2
_RANKED = ("recall_at_k", "hit_at_k", "pseudo_recall_at_k")
_TRUST = ("abstention", "citation", "relevance_", "rerank_relevance_")


def write_run_page(run: BenchmarkRun, results: EvaluationResults, path: Path) -> Path:
    """Write the page of a finished run.

    Args:
        run: what was asked.
        results: what was measured.
        path: of the HTML file.
    """
    plain = results.metrics["plain"]
    seed = int(results.description["seed"])
    answered = [one for one in plain if not is_ranked(one) and not one.metric.startswith(_TRUST)]
    description, details = results.description, results.details
    return write_evaluation_page(
        EvaluationPage(
            title=f"{Path(description['model']).name} on {_title(description['benchmark'])}",
            introduction=(
                f"The split {description['split']} in the setting {description['setting']}: "
                f"{details['num_questions']} questions, {description['num_items']} knowledge items."
            ),
            facts=_facts(description, details),
            problems=[
                *details["question_problems"]["first"],
                *((description.get("knowledge") or {}).get("problems", ())),
                *(f"{made.question_id}: {made.problem}" for made in run.predictions["plain"] if made.problem),
            ],
            metrics=[_metric_row(one, seed, is_main=place < _NUM_MAIN) for place, one in enumerate(_in_order(plain))],
            published=_published(description, plain),
            categories=[make_bars(one, results.categories, seed) for one in answered[:_NUM_BARS] if one.is_mean],
            curves=_curves(results, seed),
            calibration=_calibration(details["relevance_bins"]),
            trust=[_metric_row(one, seed) for one in plain if one.metric.startswith(_TRUST)],
            stress=_stress(results),
            modality_importance=_importance(details["importance"], plain),
            entries=choose_entries(run, answered[0] if answered else None, seed=seed),
            num_questions=details["num_questions"],
            sample_note=f"At most {NUM_ENTRIES} questions, drawn by the seed {seed}.",
            footer=f"rablip {details['rablip_version']}",
        ),
        path,
    )


def _in_order(metrics: Sequence[MetricResult]) -> list[MetricResult]:
    """What a table of all figures holds: answers first, then each ranking metric by k."""
    shown = [one for one in metrics if not one.metric.startswith(_TRUST)]
    return sorted(shown, key=lambda one: (is_ranked(one), one.metric if is_ranked(one) else "", one.k or 0))


def _title(benchmark: str) -> str:
    entry = BENCHMARKS.get(benchmark)
    return benchmark if entry is None else entry.title


def is_ranked(result: MetricResult) -> bool:
    """Whether a metric is of a ranking, and so no answer's.

    Args:
        result: the metric.
    """
    return result.k is not None or result.metric in (*_RANKED, "reciprocal_rank")


def _facts(description: Mapping[str, Any], details: Mapping[str, Any]) -> list[tuple[str, str]]:
    named = ("benchmark", "split", "setting", "model", "seed", "limit")
    facts = [(name, str(description[name])) for name in named if description[name] is not None]
    facts += [(f"fingerprint of the {name}", value[:16]) for name, value in description["model_fingerprints"].items()]
    facts += [
        (
            f"file {role}",
            f"{entry['name']}, {entry.get('num_bytes', '-')} bytes, sha256 {entry.get('sha256', '-')[:16]}",
        )
        for role, entry in description["data"].items()
    ]
    facts += [(name, str(value)) for name, value in details["machine"].items()]
    facts += [(f"{name} questions", str(count)) for name, count in details["counts"]["plain"].items()]
    facts += [(f"seconds, {name}", str(value)) for name, value in description["seconds"].items()]
    return [(name.replace("_", " "), value) for name, value in facts]


def _metric_row(result: MetricResult, seed: int, *, is_main: bool = False) -> MetricRow:
    return MetricRow(
        name=result.metric,
        variant=result.variant,
        value=result.value,
        interval=result.interval(seed=seed),
        num_questions=result.num_questions,
        scale=result.scale,
        k=result.k,
        corpus=result.corpus,
        is_main=is_main,
    )


def _published(description: Mapping[str, Any], metrics: Sequence[MetricResult]) -> list[PublishedTable]:
    by_protocol = defaultdict(list)
    for row in find_published(description["benchmark"], description["split"]):
        by_protocol[row.protocol].append(row)
    tables = []
    for protocol, rows in by_protocol.items():
        columns = list(dict.fromkeys(name for row in rows for name in row.values))
        own = [find_own_figure(description["benchmark"], name, metrics) for name in columns]
        variants = ", ".join(dict.fromkeys(variant for _, variant in own if variant))
        tables.append(
            PublishedTable(
                title=protocol,
                metrics=columns,
                rows=[
                    *(
                        PublishedRow(
                            system=row.system,
                            values=[_number(row.values.get(name)) for name in columns],
                            mark=SourceMark.SECONDARY if row.is_secondary else SourceMark.READ,
                            source=row.read_in,
                        )
                        for row in rows
                    ),
                    PublishedRow(
                        system="this run",
                        values=[None if value is None else f"{value:.2f}" for value, _ in own],
                        is_own=True,
                    ),
                ],
                note=(
                    f"Published: {protocol}. This run: setting {description['setting']}, variant {variants or 'none'}."
                    " Figures can be set against each other only where both are of one protocol."
                ),
            )
        )
    return tables


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:g}"


def make_bars(
    result: MetricResult,
    categories: Mapping[str, str],
    seed: int,
    *,
    other: tuple[MetricResult, tuple[str, str]] | None = None,
) -> BarChart:
    """Bars of a metric by category, of one run or of two.

    Args:
        result: the metric.
        categories: question id -> its category.
        seed: of the intervals.
        other: the same metric of another run, and what the two runs are called.
    """

    def bars(of: MetricResult) -> list[Bar]:
        found = measure_categories(of, categories, seed=seed)
        return [
            Bar(name=name, value=one["value"], interval=tuple(one["interval"]), num_questions=one["n"])
            for name, one in found.items()
        ]

    first = bars(result)
    if other is None:
        return BarChart(title=result.key, bars=first, scale=result.scale)
    by_name = {bar.name: bar for bar in bars(other[0])}
    compared = [by_name.get(bar.name, Bar(name=bar.name, value=None)) for bar in first]
    return BarChart(title=result.key, bars=first, compared_bars=compared, series=other[1], scale=result.scale)


def _curves(results: EvaluationResults, seed: int) -> list[LineChart]:
    charts = []
    for metric in _RANKED:
        variants = dict.fromkeys(one.variant for one in results.metrics["plain"] if one.metric == metric)
        for variant in variants:
            curves = []
            for name, of_condition in results.metrics.items():
                points = [
                    CurvePoint(k=one.k, value=one.value, interval=one.interval(seed=seed))
                    for one in of_condition
                    if one.metric == metric and one.variant == variant and one.k is not None
                ]
                if points:
                    curves.append(Curve(name=name, points=sorted(points, key=lambda point: point.k)))
            if curves:
                label = metric.replace("_at_k", "@k").replace("_", " ")
                charts.append(LineChart(title=f"{label} ({variant})", curves=curves, metric=label))
    return charts


def _calibration(bins: Mapping[str, Sequence[Sequence[Any]]]) -> list[CalibrationPlot]:
    titles = {"relevance": "Relevance by the generator", "rerank_relevance": "Relevance by the re-ranker"}
    plots = []
    for source, rows in bins.items():
        found = [ReliabilityBin(*row) for row in rows]
        if found:
            plots.append(
                CalibrationPlot(
                    title=titles[source],
                    bins=[
                        CalibrationBin(
                            low=one.low,
                            high=one.high,
                            confidence=one.mean_confidence,
                            accuracy=one.accuracy,
                            num_questions=one.num_answers,
                        )
                        for one in found
                    ],
                    note="Each judged item is one case: how relevant it was said to be, and whether it is.",
                )
            )
    return plots


def _stress(results: EvaluationResults) -> list[PairedFigure]:
    rows = []
    by_key = {name: {one.key: one for one in metrics} for name, metrics in results.metrics.items()}
    for name, changes in results.stress.items():
        before = by_key[CONDITIONS[name].compared_with]
        for key, paired in list(changes.items())[:_NUM_MAIN]:
            rows.append(
                PairedFigure(
                    name=name,
                    first=before[key].value,
                    second=by_key[name][key].value,
                    metric=key,
                    scale=before[key].scale,
                    note=f"compared with {CONDITIONS[name].compared_with}",
                    **describe_pair(paired),
                )
            )
    return rows


def describe_pair(paired: PairedDifference | None) -> dict[str, Any]:
    """A paired difference as fields of a `PairedFigure`; none where there is none.

    Args:
        paired: the difference.
    """
    if paired is None:
        return {}
    return {
        "difference": paired.difference,
        "interval": paired.interval,
        "p_value": paired.p_value,
        "num_questions": paired.num_questions,
    }


def _importance(table: Mapping[str, Any], metrics: Sequence[MetricResult]) -> list[PairedFigure]:
    scales = {one.key: one.scale for one in metrics}
    return [
        PairedFigure(
            name=f"{category}, {condition}", first=row["plain"], second=value, metric=key, scale=scales.get(key, 1.0)
        )
        for key, rows in table.items()
        for category, row in rows.items()
        for condition, value in row.items()
        if condition != "plain" and "plain" in row
    ]
