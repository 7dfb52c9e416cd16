"""A whole evaluation: knowledge indexed, questions asked in every condition; it can be killed and gone on with."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from ...answering import AnswerSettings, RablipAnswerer
from ...indexing import open_index
from ...processes import Processes
from ...processing.benchmarks import Benchmark
from ...processing.knowledge_rablip import QuestionExample
from ...processing.readers_records import Problem
from ..answerers import answer_over
from ..provenance import fingerprint_files, fingerprint_models
from .asking import DEFAULT_DEPTH, QuestionAsker
from .conditions import Condition, choose_conditions
from .knowledge import build_run_index
from .prediction import Prediction
from .store import SHARD_SIZE, PredictionStore

if TYPE_CHECKING:
    from ...index.protocol import SearchableIndex
    from ...knowledge_base import KnowledgeBase

__all__ = ["BenchmarkRun", "run_benchmark"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class BenchmarkRun:
    """What a run has in its folder when all questions were asked.

    Args:
        folder: of the run.
        benchmark: what was asked.
        questions: the questions, in order, without their pictures' bytes.
        predictions: of every condition, in the order of the questions.
        conditions: by name.
        description: where the figures come from, as plain values.
        problems: rows of the questions' files that could not be used.
        knowledge_base: the items that the predictions name; of conditions with other items, of the plain one.
    """

    folder: Path
    benchmark: Benchmark
    questions: list[QuestionExample]
    predictions: Mapping[str, list[Prediction]]
    conditions: Mapping[str, Condition]
    description: dict[str, Any]
    problems: list[Problem] = field(default_factory=list)
    knowledge_base: KnowledgeBase | None = None


def run_benchmark(
    benchmark: Benchmark,
    model: str | Path,
    *,
    out: str | Path,
    index: str | Path | None = None,
    stress: Sequence[str] = (),
    limit: int | None = None,
    settings: AnswerSettings | None = None,
    depth: int = DEFAULT_DEPTH,
    batch_size: int = 64,
    shard_size: int = SHARD_SIZE,
    seed: int = 0,
    device: Any = None,
    progress: bool = False,
    **model_options: Any,
) -> BenchmarkRun:
    """Ask a system all questions of a benchmark, in the plain condition and in stress tests.

    The folder keeps what was done, so that the same call goes on where it was killed; with other options it raises.
    Started by `torchrun`, all processes encode and answer.

    Args:
        benchmark: from `open_benchmark`.
        model: a model folder or Hub id.
        out: the folder of the run, on a disk that all processes see.
        index: an index of the benchmark's knowledge that is there already; None builds one inside `out`.
        stress: names of stress tests (`CONDITIONS`).
        limit: so many questions from the first on; None for all.
        settings: how questions are answered.
        depth: how many items of the retriever's ranking are kept for each question.
        batch_size: items encoded at once.
        shard_size: questions whose predictions are saved together: as many a process loses at most when it is killed.
        seed: of everything that is drawn.
        device: where models run; None for the GPU where there is one.
        progress: whether bars are shown on a terminal.
        model_options: further keywords of `from_pretrained`, such as `revision`.

    Raises:
        ValueError: when there are no questions, the benchmark brings no knowledge and no index is given, or a stress
            test cannot be asked.
        RunMismatchError: when the folder holds another run; nothing is touched.
        ReaderError: when a file cannot be read at all.
    """
    folder = Path(out)
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be at least 1, got {limit}.")
    conditions = choose_conditions(stress, setting=benchmark.setting)
    problems: list[Problem] = []
    questions = list(islice(benchmark.questions(problems=problems), limit))
    _check_questions(questions, conditions, benchmark)
    processes = Processes(device)
    folder.mkdir(parents=True, exist_ok=True)
    seconds: dict[str, float] = {}
    files = processes.lead(lambda: fingerprint_files(benchmark.files))
    description: dict[str, Any] = {
        "benchmark": benchmark.name,
        "split": benchmark.split,
        "setting": benchmark.setting,
        "data": files,
        "model": str(model),
        "model_fingerprints": processes.lead(lambda: fingerprint_models(model)),
        "seed": seed,
    }
    shared: dict[str, Any] = {"model": model, "processes": processes, "batch_size": batch_size, "progress": progress}
    with _timed(seconds, "index"):
        knowledge = None
        if index is None:
            if benchmark.read_knowledge is None:
                raise ValueError(
                    f"{benchmark.name} brings no knowledge of its own: build an index of yours (rablip index build) "
                    "and give it as --index."
                )
            knowledge = build_run_index(
                folder,
                lambda found: benchmark.knowledge(problems=found),
                {"data": files, "setting": benchmark.setting, "models": description["model_fingerprints"]},
                root=benchmark.root,
                **shared,
            )
        answerer = RablipAnswerer.from_pretrained(
            model,
            index=folder / "index" if index is None else index,
            device=None if processes.device is None else str(processes.device),
            settings=settings,
            **model_options,
        )
    assert answerer.index is not None
    plan = {
        **description,
        "index": answerer.index.manifest.index_id,
        "settings": {name: str(value) for name, value in sorted(vars(answerer.settings).items())},
        "depth": depth,
    }
    predictions: dict[str, list[Prediction]] = {}
    for condition in conditions:
        with _timed(seconds, condition.name):
            change = condition.change_questions
            asked = questions if change is None else change(questions, seed)
            ask = QuestionAsker(
                _change_items(answerer, condition, folder, files, seed=seed, **shared),
                root=benchmark.root,
                among_own=benchmark.setting != "full",
                condition=condition,
                depth=depth,
                name_item=benchmark.name_item,
                word_question=benchmark.word_question,
                seed=seed,
            )
            store = PredictionStore(
                folder / "predictions" / condition.name, {**plan, "condition": condition.name}, shard_size=shard_size
            )
            predictions[condition.name] = _ask_all(asked, ask, store, processes, condition.name, progress)
    description |= {
        "index": answerer.index.manifest.index_id,
        "num_items": len(answerer.index),
        "knowledge": knowledge,
        "settings": plan["settings"],
        "depth": depth,
        "limit": limit,
        "num_processes": processes.count,
        "device": str(answerer.retriever.device) if answerer.retriever is not None else "cpu",
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
    }
    return BenchmarkRun(
        folder=folder,
        benchmark=benchmark,
        questions=questions,
        predictions=predictions,
        conditions={condition.name: condition for condition in conditions},
        description=description,
        problems=problems,
        knowledge_base=answerer.knowledge_base,
    )


def _ask_all(
    questions: list[QuestionExample],
    ask: QuestionAsker,
    store: PredictionStore,
    processes: Processes,
    note: str,
    progress: bool,
) -> list[Prediction]:
    processes.lead(store.prepare)
    processes.join(
        lambda: store.fill(
            questions,
            ask,
            rank=processes.rank,
            num_processes=processes.count,
            num_questions=len(questions),
            note=note,
            progress=progress,
        )
    )
    return list(store.read(questions))


def _check_questions(questions: list[QuestionExample], conditions: list[Condition], benchmark: Benchmark) -> None:
    if not questions:
        raise ValueError(
            f"{benchmark.name} ({benchmark.split}) in {benchmark.root} has no questions that can be read."
        )
    twice = [name for name, count in Counter(question.id for question in questions).items() if count > 1]
    if twice:
        raise ValueError(f"{len(twice)} question ids stand more than once in {benchmark.name}, such as {twice[:3]}.")
    needing = [condition.name for condition in conditions if condition.needs_positives]
    if needing and not any(question.positive_ids for question in questions):
        raise ValueError(
            f"The split {benchmark.split} does not say which items are right, and {', '.join(needing)} shows them. "
            "Leave the test out."
        )


def _change_items(
    answerer: RablipAnswerer,
    condition: Condition,
    folder: Path,
    files: dict[str, Any],
    *,
    model: str | Path,
    processes: Processes,
    seed: int,
    **options: Any,
) -> RablipAnswerer:
    """The answerer over the items of a condition; itself where they are as they were."""
    if condition.change_items is None:
        return answerer
    base, change = answerer.knowledge_base, condition.change_items
    assert base is not None and answerer.index is not None
    place = folder / "stress" / condition.name
    made_of = {"index": answerer.index.manifest.index_id, "data": files, "condition": condition.name, "seed": seed}
    build_run_index(place, lambda _: change(base, seed), made_of, model=model, processes=processes, **options)
    changed: tuple[SearchableIndex, KnowledgeBase] = open_index(place / "index")
    return answer_over(answerer, *changed)


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    start = perf_counter()
    yield
    seconds[name] = perf_counter() - start
