"""`rablip eval BENCHMARK` for public benchmarks, and `rablip report compare`: from official files to figures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from .errors import OneLineErrors
from .evaluation import eval_app
from .options import DeviceOption, JsonOption, ModelOption, RetrievalOption, RevisionOption, check_model
from .output import one_json_object

if TYPE_CHECKING:
    from ..evaluation.benchmarks import EvaluationResults, RunComparison

__all__ = ["compare", "report_app"]

report_app = typer.Typer(cls=OneLineErrors, help="Reports of evaluations.", no_args_is_help=True)

DataOption = Annotated[Path, typer.Option("--data", metavar="DIR", help="The folder of the official files.")]
RunOption = Annotated[
    Path,
    typer.Option("--out", metavar="RUN", help="The folder of the run; the same call goes on where it was killed."),
]
SplitOption = Annotated[str | None, typer.Option("--split", help="Part of the benchmark, as its files call it.")]
SettingOption = Annotated[
    str | None, typer.Option("--setting", help="distractor: each question's own candidates; full: all knowledge.")
]
StressOption = Annotated[
    str,
    typer.Option(
        "--stress",
        metavar="NAMES",
        help="Stress tests, by commas: dilute, shuffle-image, drop-text, drop-image, distract, oracle.",
    ),
]
ChoiceOption = Annotated[
    list[str] | None,
    typer.Option("--option", metavar="NAME=VALUE", help="An option of the reader, such as subset=murag; repeatable."),
]
EvalIndexOption = Annotated[
    Path | None, typer.Option("--index", help="An index of the knowledge that is there already; else one is built.")
]


def _add_benchmark(name: str, summary: str) -> None:
    def command(
        data: DataOption,
        model: ModelOption,
        out: RunOption,
        index: EvalIndexOption = None,
        split: SplitOption = None,
        setting: SettingOption = None,
        limit: Annotated[int | None, typer.Option("--limit", min=1, help="So many questions, from the first.")] = None,
        stress: StressOption = "",
        option: ChoiceOption = None,
        retrieval: RetrievalOption = "dense",
        candidates: Annotated[int, typer.Option("--candidates", min=1, help="Items judged for each question.")] = 10,
        depth: Annotated[int, typer.Option("--depth", min=1, help="How deep rankings are kept.")] = 100,
        batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Rows that a model gets at once.")] = 16,
        bart: Annotated[
            Path | None, typer.Option("--bart", help="A BART folder for WebQA's fluency (BARTScore).")
        ] = None,
        seed: Annotated[int, typer.Option("--seed", help="Of everything that is drawn.")] = 0,
        revision: RevisionOption = None,
        device: DeviceOption = None,
        as_json: JsonOption = False,
    ) -> None:
        with one_json_object(as_json) as write:
            from ..answering import AnswerSettings
            from ..evaluation.benchmarks import evaluate_benchmark
            from ..processes import is_first
            from ..processing.benchmarks import open_benchmark

            benchmark = open_benchmark(name, data, split=split, setting=setting, **_read_options(option or []))
            plugged = {}
            if bart is not None:
                from ..metrics import BartScorer

                plugged["bart"] = BartScorer(bart, device=device)
            results = evaluate_benchmark(
                benchmark,
                check_model(model),
                out=out,
                index=index,
                stress=[part for part in stress.replace(" ", "").split(",") if part],
                limit=limit,
                settings=AnswerSettings(
                    retrieval=cast(Any, retrieval), num_candidates=candidates, batch_size=batch_size
                ),
                depth=depth,
                seed=seed,
                device=device,
                plugged=plugged,
                progress=True,
                **({} if revision is None else {"revision": revision}),
            )
            if not is_first():  # of several processes one speaks
                return
            if as_json:
                write({"out": str(out), **results.to_json()})
            else:
                _show(results, out)

    eval_app.command(name, help=summary)(command)


def _add_benchmarks() -> None:
    from ..processing.benchmarks.registry import BENCHMARKS

    for name, entry in BENCHMARKS.items():
        _add_benchmark(name, f"Evaluate on {entry.title}. In --data: {', '.join(entry.files)}.")


_add_benchmarks()


@report_app.command("compare")
def compare(
    first: Annotated[Path, typer.Argument(metavar="RUN_A", help="The folder of a finished evaluation.")],
    second: Annotated[Path, typer.Argument(metavar="RUN_B", help="Another one, of the same benchmark and split.")],
    condition: Annotated[str, typer.Option("--condition", help="plain, or a stress test of both.")] = "plain",
    out: Annotated[Path | None, typer.Option("--out", help="Also write an HTML page to this file.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of intervals and significance.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Compare two runs question by question: differences with intervals and p-values."""
    with one_json_object(as_json) as write:
        from ..evaluation.benchmarks import compare_runs

        found = compare_runs(first, second, condition=condition, seed=seed)
        if out is not None:
            from ..evaluation.benchmarks import write_comparison

            write_comparison(found, out, names=(str(first), str(second)))
        if as_json:
            write(found.to_json())
        else:
            _show_comparison(found)


def _read_options(given: list[str]) -> dict[str, Any]:
    """NAME=VALUE pairs; whole numbers, true and false become such values, anything else stays text."""
    options: dict[str, Any] = {}
    for pair in given:
        name, separator, value = pair.partition("=")
        if not separator or not name.isidentifier():
            raise ValueError(f"--option {pair}: give NAME=VALUE, such as subset=murag.")
        words = {"true": True, "false": False, "none": None}
        options[name] = words.get(value.lower(), int(value) if value.isdigit() else value)
    return options


def _show(results: EvaluationResults, out: Path) -> None:
    written = results.to_json()
    typer.echo(
        f"{written['benchmark']} ({written['split']}, {written['setting']}): {written['num_questions']} questions"
    )
    for condition, of_condition in written["metrics"].items():
        typer.echo(f"\n{condition}")
        for one, result in zip(of_condition, results.metrics[condition], strict=True):
            interval = one.get("interval")
            sure = f"  [{interval[0]:.4g}, {interval[1]:.4g}]" if interval else ""
            value = "-" if one["value"] is None else f"{one['value']:.4f}"
            typer.echo(f"  {result.key:<44} {value:>9}{sure}  n={one['num_questions']}")
    for name, counts in written["counts"].items():
        if counts["not_asked"]:
            typer.echo(f"note: {counts['not_asked']} questions could not be asked ({name})", err=True)
    typer.echo(f"\n{out}/report.html, {out}/results.json, {out}/submission")


def _show_comparison(found: RunComparison) -> None:
    for one in found.metrics:
        pair = " ".join("-" if value is None else f"{value:9.4f}" for value in (one.first.value, one.second.value))
        paired = one.paired
        said = "(no mean of questions: no interval)"
        if paired is not None:
            low, high = paired.interval
            said = (
                f"{paired.difference:+.4f} [{low:+.4f}, {high:+.4f}]  p={paired.p_value:.3g}  n={paired.num_questions}"
            )
        typer.echo(f"{one.first.key:<44} {pair}  {said}")
    for name, values in found.differences.items():
        typer.echo(f"note: {name} differs: {values[0]} and {values[1]}", err=True)
