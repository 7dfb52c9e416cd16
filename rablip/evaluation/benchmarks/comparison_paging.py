"""The page of two compared runs, filled from their results."""

from __future__ import annotations

from pathlib import Path

from ...answering import Answer
from ...metrics import MetricResult
from ...reports import ChangedQuestion, ComparisonPage, PageEntry, PairedFigure, write_comparison_page
from .comparison import RunComparison
from .page_entries import judge_answer
from .paging import describe_pair, is_ranked, make_bars
from .results import EvaluationResults

__all__ = ["write_comparison"]

_NUM_BARS, _NUM_CHANGED = 2, 200


def write_comparison(found: RunComparison, path: str | Path, *, names: tuple[str, str], seed: int = 0) -> Path:
    """Write the page of two compared runs.

    Args:
        found: the comparison.
        path: of the HTML file.
        names: what the two runs are called.
        seed: of the intervals of the bars.
    """
    first, second = found.first, found.second
    main = next((one for one in found.metrics if one.paired is not None and not is_ranked(one.first)), None)
    changed: list[ChangedQuestion] = []
    if main is not None:
        for name in main.first.values:
            if name in main.second.values and name in first.questions:
                pair = [_bare_entry(name, of, side) for of, side in ((first, main.first), (second, main.second))]
                if pair[0].score != pair[1].score:
                    changed.append(ChangedQuestion(first=pair[0], second=pair[1]))
    return write_comparison_page(
        ComparisonPage(
            title=f"Two runs on {first.description['benchmark']}",
            first_name=names[0],
            second_name=names[1],
            facts=[(name, str(one), str(other)) for name, (one, other) in found.differences.items()],
            metrics=[
                PairedFigure(
                    name=one.first.key,
                    first=one.first.value,
                    second=one.second.value,
                    scale=one.first.scale,
                    **describe_pair(one.paired),
                )
                for one in found.metrics
            ],
            categories=[
                make_bars(one.first, first.categories, seed, other=(one.second, names))
                for one in found.metrics[:_NUM_BARS]
                if one.paired is not None
            ],
            changed=changed[:_NUM_CHANGED],
            num_first_better=main.paired.num_worse if main is not None and main.paired is not None else None,
            num_second_better=main.paired.num_better if main is not None and main.paired is not None else None,
            num_questions=main.paired.num_questions if main is not None and main.paired is not None else None,
            sample_note=f"At most {_NUM_CHANGED} questions, in the order of the benchmark.",
        ),
        path,
    )


def _bare_entry(name: str, results: EvaluationResults, main: MetricResult) -> PageEntry:
    words, expected = results.questions[name]
    text = results.answers.get("plain", {}).get(name)
    score, correct = judge_answer(name, main)
    return PageEntry(
        answer=Answer(question=words, text=text),
        kind=results.categories.get(name, ""),
        expected=tuple(expected),
        question_id=name,
        score=score,
        correct=correct,
    )
