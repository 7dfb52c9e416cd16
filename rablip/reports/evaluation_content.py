"""What the page of an evaluation run says: figures, published figures, pairs of figures, and the whole page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from .chart_content import BarChart, CalibrationPlot, LineChart
from .number_text import check_finite, check_scale
from .page_entry import PageEntry

__all__ = [
    "DEFAULT_MAX_BYTES",
    "EvaluationPage",
    "MetricRow",
    "PairedFigure",
    "PublishedRow",
    "PublishedTable",
    "SourceMark",
]

DEFAULT_MAX_BYTES = 8_000_000
"""How large a page may be, so that a phone opens it quickly."""


class SourceMark(str, Enum):
    """How sure it is that a published figure is the one that was published.

    - `read`: the paper, its table or its code was read.
    - `secondary`: another text cites it.
    - `recalled`: it was written down from memory and never checked.

    Example:
        >>> SourceMark.SECONDARY.value
        'secondary source'
    """

    READ = "read in the source"
    SECONDARY = "secondary source"
    RECALLED = "recalled"


@dataclass(frozen=True, kw_only=True)
class MetricRow:
    """One figure of the run, with what it is a figure of.

    Args:
        name: of the metric.
        value: on `scale`; None where no question counts.
        variant: which of its forms was computed, such as "official".
        interval: lower and upper bound; None where the figure has none.
        num_questions: how many questions count.
        scale: what a perfect answer scores, 1 or 100.
        k: how many of a ranking counted; None where there is no ranking.
        corpus: what was searched; None where nothing was.
        is_main: whether it is one of the few figures that the run is about: they stand first, and large.
        note: what else has to be known to read it.

    Raises:
        ValueError: when a number is not finite or the scale not positive.

    Example:
        >>> MetricRow(name="webqa_accuracy", variant="official", value=0.6, num_questions=4966).scale
        1.0
    """

    name: str
    value: float | None
    variant: str = ""
    interval: tuple[float, float] | None = None
    num_questions: int | None = None
    scale: float = 1.0
    k: int | None = None
    corpus: str | None = None
    is_main: bool = False
    note: str = ""

    def __post_init__(self) -> None:
        check_finite(f"Metric {self.name!r}", self.value, *(self.interval or ()))
        check_scale(f"Metric {self.name!r}", self.scale)


@dataclass(frozen=True, kw_only=True)
class PublishedRow:
    """A system's figures as they were published, or our own beside them.

    Args:
        system: its name.
        values: one for every metric of the table, as printed; None where there is none.
        mark: how sure they are; needed but for our own.
        source: where they stand: paper, table, file.
        is_own: whether this is the run that the page is about.
        not_comparable: why they must not be set against the others (protocol, split, variant); empty when they may.

    Raises:
        ValueError: when a published row has no mark.

    Example:
        >>> PublishedRow(system="MuRAG", values=["0.75", "36.1"], mark=SourceMark.READ).is_own
        False
    """

    system: str
    values: Sequence[str | None]
    mark: SourceMark | None = None
    source: str = ""
    is_own: bool = False
    not_comparable: str = ""

    def __post_init__(self) -> None:
        if self.mark is None and not self.is_own:
            raise ValueError(
                f"Row {self.system!r} does not say how sure its figures are. Give it a mark, one of "
                f"{', '.join(f'SourceMark.{mark.name}' for mark in SourceMark)}."
            )


@dataclass(frozen=True, kw_only=True)
class PublishedTable:
    """Our figures against published ones.

    Args:
        metrics: headings of the columns.
        rows: the systems, in order; those that are not comparable are drawn below the others.
        title: heading of the table, where there are several.
        note: protocol and split of the figures.

    Raises:
        ValueError: when a row has another number of values than there are metrics.

    Example:
        >>> row = PublishedRow(system="MuRAG", values=["36.1"], mark=SourceMark.READ)
        >>> PublishedTable(metrics=["QA"], rows=[row]).metrics
        ['QA']
    """

    metrics: Sequence[str]
    rows: Sequence[PublishedRow]
    title: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row.values) != len(self.metrics):
                raise ValueError(
                    f"Row {row.system!r} of table {self.title!r} has {len(row.values)} values for {len(self.metrics)} "
                    f"metrics ({', '.join(self.metrics)}). Give None where a system has no figure."
                )


@dataclass(frozen=True, kw_only=True)
class PairedFigure:
    """One metric measured twice on the same questions: plain and under stress, with and without, run A and run B.

    Args:
        name: what makes the second one differ (the stress, the modality left out), or the metric of two runs.
        first: value of the first measurement; None where there is none.
        second: value of the second one.
        difference: second less first; None: what the two values give.
        interval: bounds of the difference.
        p_value: of a paired test that there is none.
        metric: what is measured, when the name does not say it.
        num_questions: how many questions both have.
        scale: what a perfect answer scores, 1 or 100.
        note: what else has to be known to read it.

    Raises:
        ValueError: when a number is not finite, the difference is not that of the two, or the p-value is outside 0..1.

    Example:
        >>> PairedFigure(name="shuffled pictures", first=0.75, second=0.5).difference
        -0.25
    """

    name: str
    first: float | None
    second: float | None
    difference: float | None = None
    interval: tuple[float, float] | None = None
    p_value: float | None = None
    metric: str = ""
    num_questions: int | None = None
    scale: float = 1.0
    note: str = ""

    def __post_init__(self) -> None:
        name = f"The pair {self.name!r}"
        check_finite(name, self.first, self.second, self.difference, *(self.interval or ()))
        check_scale(name, self.scale)
        if self.p_value is not None and not 0.0 <= self.p_value <= 1.0:
            raise ValueError(f"{name} has the p-value {self.p_value}, outside 0..1.")
        if self.first is None or self.second is None:
            return
        given = self.second - self.first
        if self.difference is None:
            object.__setattr__(self, "difference", given)
        # A mean of differences may be rounded another way than a difference of rounded means.
        elif abs(given - self.difference) > 0.001 * self.scale:
            raise ValueError(
                f"{name} is {self.first} and {self.second}, but its difference is given as {self.difference}. The "
                "difference is the second less the first."
            )


@dataclass(frozen=True, kw_only=True)
class EvaluationPage:
    """The page of an evaluation run. A part that is empty is left out.

    Args:
        title: heading of the page.
        introduction: what was evaluated and how, in a few sentences; blank lines separate paragraphs.
        facts: name and value of what the run was: benchmark, split, setting, corpus, fingerprints of model and data,
            seed, hardware, versions, numbers of questions.
        command: the command that makes the run again.
        problems: what was found to be wrong in the data.
        metrics: the figures; the main ones are drawn first.
        interval_note: what the intervals of the page are.
        published: tables against published figures.
        categories: bars for parts of the questions.
        curves: curves over k.
        calibration: calibration plots.
        trust: figures of abstention and citation.
        stress: each stress test beside the plain run.
        modality_importance: each modality left out, beside all of them.
        entries: a sample of the questions.
        num_questions: how many questions the run had; the sample is one of them.
        sample_note: how the sample was drawn.
        footer: last line of the page.
        max_bytes: how large the page may be. Pictures are made smaller first; then entries are left out, and the page
            says how many.

    Raises:
        ValueError: when a page of this size could hold nothing.

    Example:
        >>> EvaluationPage(title="RA-BLIP on WebQA", metrics=[MetricRow(name="QA", value=0.45)]).max_bytes
        8000000
    """

    title: str
    introduction: str = ""
    facts: Sequence[tuple[str, str]] = ()
    command: str = ""
    problems: Sequence[str] = ()
    metrics: Sequence[MetricRow] = ()
    interval_note: str = "Intervals are 95% intervals, from resampling the questions."
    published: Sequence[PublishedTable] = ()
    categories: Sequence[BarChart] = ()
    curves: Sequence[LineChart] = ()
    calibration: Sequence[CalibrationPlot] = ()
    trust: Sequence[MetricRow] = ()
    stress: Sequence[PairedFigure] = ()
    modality_importance: Sequence[PairedFigure] = ()
    entries: Sequence[PageEntry] = ()
    num_questions: int | None = None
    sample_note: str = ""
    footer: str = ""
    max_bytes: int = DEFAULT_MAX_BYTES

    def __post_init__(self) -> None:
        if self.max_bytes < 1:
            raise ValueError(f"max_bytes is {self.max_bytes}; a page has a size. {DEFAULT_MAX_BYTES} is a good one.")
