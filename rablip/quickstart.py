"""The whole path at once: an unseen world, an index, the table of baselines, a dozen answers and one HTML page."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .answering import Answer, RablipAnswerer
from .evaluation import print_report
from .evaluation.table import answer_rows, retrieval_rows, trust_rows
from .evaluation.world_evaluation import evaluate_world
from .evaluation.world_scoring import kind_of
from .indexing import build_index
from .metrics import exact_match
from .processing.images_rablip import load_image
from .processing.knowledge_rablip import QuestionExample
from .reports import PageEntry, PageTable, write_page
from .world import World, make_world

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["DEFAULT_CHECKPOINT", "QUICKSTART_SEED", "choose_questions", "run_quickstart"]

QUICKSTART_SEED = 31415
"""Used by no training; its entities are drawn from the test split, which no training sees either."""

DEFAULT_CHECKPOINT = Path(__file__).resolve().parent.parent / "examples" / "checkpoints" / "rablip-tiny"
_NUM_QUESTIONS = 12


def run_quickstart(
    out: str | Path = "quickstart/page.html",
    *,
    model: str | Path | None = None,
    seed: int = QUICKSTART_SEED,
    num_entities: int = 120,
    progress: bool = True,
    console: Console | None = None,
) -> Path:
    """Makes a world, indexes it, measures the model and the baselines, answers a dozen questions and shows them.

    Args:
        out: the HTML page; the index is written beside it, in `index/`.
        model: a model folder; None for the tiny checkpoint that comes with the repository.
        seed: seed of the world.
        num_entities: how many buildings the world has (four items and three questions each).
        progress: show progress bars on standard error.
        console: where the tables and answers go; None for standard output.

    Returns:
        The path of the page.

    Raises:
        FileNotFoundError: when no model is given and the checkpoint is not there (it is not part of the wheel).
        FileExistsError: when there is something else than an index where the index goes.

    Example:
        >>> run_quickstart("quickstart/page.html")  # doctest: +SKIP
    """
    from rich.console import Console

    console = console or Console()
    started = time.perf_counter()
    page = Path(out)
    folder = _find_model(model)
    page.parent.mkdir(parents=True, exist_ok=True)
    world = make_world(seed, num_entities)
    console.print(f"A world of {num_entities} buildings: {len(world.items)} items, {len(world.questions)} questions.")
    built = build_index(world.items, model=folder, out=page.parent / "index", progress=progress)
    console.print(f"Indexed in {built.seconds:.1f} s: {built.folder}")
    answerer = RablipAnswerer.from_pretrained(folder, index=built.folder)
    report = evaluate_world(world, answerer, model=folder, progress=progress).to_json()
    print_report(report, console=console)
    examples = choose_questions(world.questions, seed=seed)
    answers = answerer.answer_batch(
        [example.question for example in examples], [list(example.images) or None for example in examples]
    )
    entries = [_entry(example, answer, answerer) for example, answer in zip(examples, answers, strict=True)]
    for entry in entries:
        _tell(entry, console)
    written = write_page(
        page,
        entries,
        title="RA-BLIP on a world it has never seen",
        introduction=_INTRODUCTION,
        facts=_facts(world, report, time.perf_counter() - started),
        tables=_tables(report),
        footer="Every text and picture on this page was drawn by rablip; nothing is loaded from elsewhere.",
    )
    console.print(f"The page with pictures, relevance and citations: {written}", soft_wrap=True)
    return written


_INTRODUCTION = (
    "The pictures and texts of this small encyclopaedia were made from a seed that no training has used, about "
    "buildings that no training has seen. What a picture shows stands in no text, so words alone cannot find it.\n\n"
    "For every question the model searched the index, judged what it found, showed what seemed to help to the "
    "generator, and answered with citations, or withheld the answer. The questions were chosen before they were "
    "answered."
)


def choose_questions(
    questions: Sequence[QuestionExample], *, num_questions: int = _NUM_QUESTIONS, seed: int = 0
) -> list[QuestionExample]:
    """Some questions of every kind, drawn before anything is answered; named and unnamed ones take turns.

    Args:
        questions: what to choose from.
        num_questions: how many, if there are as many.
        seed: of the draw.

    Example:
        >>> questions = [QuestionExample(id=str(i), question="Why?", category="ab"[i % 2]) for i in range(6)]
        >>> [question.category for question in choose_questions(questions, num_questions=4)]
        ['a', 'a', 'b', 'b']
    """
    rng = random.Random(f"quickstart/{seed}")
    by_kind: dict[str, list[QuestionExample]] = {}
    for question in sorted(questions, key=lambda question: (kind_of(question), question.id)):
        by_kind.setdefault(kind_of(question), []).append(question)
    for number, kind in enumerate(sorted(by_kind)):
        rng.shuffle(by_kind[kind])
        by_kind[kind] = _varied(by_kind[kind], named_first=number % 2 == 1)
    chosen: list[QuestionExample] = []
    turn = 0
    while len(chosen) < min(num_questions, len(questions)):
        left = [kind for kind in sorted(by_kind) if len(by_kind[kind]) > turn]
        # The second turn begins with the kinds that show most: evidence of two hops, pictures in the question.
        left.sort(key=lambda kind: (turn > 0 and kind not in ("two_hop", "question_picture"), kind))
        chosen += [by_kind[kind][turn] for kind in left][: num_questions - len(chosen)]
        turn += 1
    return sorted(chosen, key=kind_of)


def _varied(questions: Sequence[QuestionExample], *, named_first: bool) -> list[QuestionExample]:
    """The questions so that what is asked, and whether a name is given, changes from one to the next."""
    attributes: Counter[str] = Counter()
    unnamed: Counter[bool] = Counter({not named_first: 0, named_first: 1})
    left, ordered = list(questions), []
    while left:
        following = min(left, key=lambda question: (attributes[_attribute(question)], unnamed[_is_unnamed(question)]))
        left.remove(following)
        ordered.append(following)
        attributes[_attribute(following)] += 1
        unnamed[_is_unnamed(following)] += 1
    return ordered


def _attribute(question: QuestionExample) -> str:
    return str(question.metadata.get("attribute"))


def _is_unnamed(question: QuestionExample) -> bool:
    return bool(question.metadata.get("visual_only"))


def _find_model(model: str | Path | None) -> str | Path:
    if model is not None:
        return model
    if not DEFAULT_CHECKPOINT.is_dir():
        raise FileNotFoundError(
            "The tiny checkpoint is part of the repository, not of the installed package. Run this in a checkout, "
            "name a model folder (--model M), or train one: rablip train tiny --out DIR."
        )
    return DEFAULT_CHECKPOINT


def _entry(example: QuestionExample, answer: Answer, answerer: RablipAnswerer) -> PageEntry:
    if example.answerable:
        correct = not answer.abstained and exact_match(answer.text, example.answers)
    else:
        correct = answer.abstained
    return PageEntry.from_answer(
        answer,
        answerer.open_picture,
        kind=kind_of(example).replace("_", " "),
        expected=example.answers,
        correct=correct,
        question_images=[load_image(image) for image in example.images],
    )


def _tell(entry: PageEntry, console: Console) -> None:
    from rich.text import Text

    answer = entry.answer
    said = f"withheld ({answer.reason.value})" if answer.reason is not None else str(answer.text)
    line = Text.assemble(
        ("✓ " if entry.correct else "✗ ", "green" if entry.correct else "red"),
        (f"{entry.kind:18}", "dim"),
        f"{answer.question}" + (" [with a picture]" if entry.question_images else "") + "  ",
        (said, "bold"),
    )
    if entry.expected and not entry.correct:
        line.append(f"  (expected: {' or '.join(entry.expected)})")
    if answer.citations:
        line.append(f"  cites {', '.join(answer.citations)}", "dim")
    console.print(line, soft_wrap=True)


def _facts(world: World, report: dict[str, Any], seconds: float) -> list[tuple[str, str]]:
    fingerprints = ", ".join(f"{name} {value[:8]}" for name, value in report["model_fingerprints"].items())
    machine = report["machine"]
    return [
        ("World", f"seed {report['seed']}, version {report['world_version'][:12]}"),
        ("Knowledge", f"{len(world.items)} items, {len(world.questions)} questions"),
        ("Model", fingerprints or str(report["model"])),
        ("rablip", f"{report['rablip_version']}, torch {machine['torch']}, {machine['device']}"),
        ("Time", f"{seconds:.0f} s for everything on this page"),
    ]


def _tables(report: dict[str, Any]) -> list[PageTable]:
    notes = (
        "Share of the needed items that are among the first five found. Every system gets the same two searches; no "
        "lexical score is added to the retriever's. Visual only: nothing but the picture tells which item it is.",
        "Exact match; a withheld answer is wrong. Majority: always the most common answer of the kind. Closed book: "
        "no evidence. Shuffled pictures: every picture replaced by another one. Oracle: the right evidence given.",
        "An abstention is right when the knowledge base does not hold the answer; a citation is right when the item "
        "is needed for the answer.",
    )
    titles = ("Is it found?", "Is it answered?", "Can it be trusted?")
    tables = []
    for title, note, rows in zip(
        titles, notes, (retrieval_rows(report), answer_rows(report), trust_rows(report)), strict=True
    ):
        if len(rows) > 1:
            last = [rows[-1][0]] if rows[0][0] != "Trust" else []
            named = [(row[0], row[1:]) for row in rows[1:]]
            tables.append(PageTable(title=title, columns=rows[0][1:], rows=named, highlighted=last, note=note))
    return tables
