"""Training data from a folder: knowledge items and questions of the user's own, or a world."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from ...processing.knowledge_rablip import KnowledgeItem, QuestionExample
from ...processing.readers_jsonl import QUESTION_FIELDS, read_questions_jsonl
from ...processing.readers_sources import open_source, source_root
from ...world.files import read_world
from .pools import TrainingPool

QUESTIONS_NAME = "questions.jsonl"
VALIDATION_NAME = "validation.jsonl"
WORLD_NAME = "world.json"
_SHOWN = 5


def read_pool(source: str | Path, *, questions: str | Path | None = None) -> TrainingPool:
    """Read what a stage trains on.

    The folder holds the knowledge base in any form that `rablip index build` reads (`knowledge.jsonl`, a folder of
    pictures with `metadata.jsonl`, WebQA's files), and `questions.jsonl`: one question a line, with the columns `id`,
    `question`, `answers`, `positive_ids` (knowledge items that answer it) and, where there are any, `images` (its own
    pictures), `negative_ids` (items known not to), `category`, `metadata`. A world's folder is read as it is written.

    Args:
        source: the folder.
        questions: another file of questions about the same knowledge base.

    Returns:
        The pool; pictures are opened when they are needed.

    Raises:
        FileNotFoundError: there is no knowledge base, or no file of questions; says which columns it needs.
        ReaderError: a line is malformed, or a column is wrong or missing; names file, line and column.
        ValueError: questions name items that the knowledge base does not have, an id stands twice, or there is no
            question.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "knowledge.jsonl").write_text('{"id": "t1", "text": "The tower opened in 1889."}')
        >>> row = '{"id": "q1", "question": "When did it open?", "answers": ["1889"], "positive_ids": ["t1"]}'
        >>> _ = (folder / "questions.jsonl").write_text(row)
        >>> len(read_pool(folder).examples)
        1
    """
    folder = Path(source)
    if questions is None and (folder / WORLD_NAME).is_file():
        world = read_world(folder)
        return make_pool(world.items, world.questions, root=folder, name=str(folder))
    file = folder / QUESTIONS_NAME if questions is None else Path(questions)
    if not file.is_file():
        raise FileNotFoundError(
            f"There is no {file}. Training needs questions, one JSON object a line, with `id`, `question`, `answers` "
            f"and `positive_ids`; columns that are read: {', '.join(QUESTION_FIELDS)}."
        )
    return make_pool(
        list(open_source(folder)), list(read_questions_jsonl(file)), root=source_root(folder), name=str(file)
    )


def make_pool(
    items: list[KnowledgeItem],
    examples: list[QuestionExample],
    *,
    root: Path | None = None,
    name: str = "the questions",
) -> TrainingPool:
    """A pool of items and questions whose ids fit together.

    Args:
        items: the knowledge base.
        examples: questions about it.
        root: folder of the pictures' relative paths.
        name: where the questions come from, for messages.

    Raises:
        ValueError: there is no question, an id stands twice, or a question names an item that is not there.
    """
    if not examples:
        raise ValueError(f"There is no question in {name}. Give at least one, with its answers and positive_ids.")
    by_id = {item.id: item for item in items}
    if len(by_id) < len(items):
        twice = next(item.id for item in items if by_id[item.id] is not item)
        raise ValueError(f"The knowledge item {twice!r} is there twice. Give every item an id of its own.")
    asked: set[str] = set()
    for example in examples:
        if example.id in asked or example.id in by_id:
            raise ValueError(f"The id {example.id!r} of a question in {name} is taken. Give it one of its own.")
        asked.add(example.id)
    unknown = [
        f"{item!r} of question {example.id!r}"
        for example in examples
        for item in (*example.positive_ids, *example.negative_ids)
        if item not in by_id
    ]
    if unknown:
        raise ValueError(
            f"{len(unknown)} ids in `positive_ids` or `negative_ids` of {name} are not in the knowledge base, such as "
            f"{', '.join(unknown[:_SHOWN])}. Use the ids of its items."
        )
    return TrainingPool(items=by_id, examples=examples, root=root)


def split_pool(pool: TrainingPool, share: float, *, seed: int) -> tuple[TrainingPool, TrainingPool]:
    """Part a pool's questions into training and validation; the knowledge base is common to both.

    Args:
        pool: all questions.
        share: how many of them, 0 to 1, are kept for validation; at least one.
        seed: decides which.

    Returns:
        The pool to train on and the one to validate on.

    Raises:
        ValueError: the share is not between 0 and 1, or there are fewer than two questions.
    """
    if not 0 < share < 1:
        raise ValueError(f"The validation share is {share}; it must lie between 0 and 1.")
    if len(pool.examples) < 2:
        raise ValueError("There is one question only; validation needs another. Give a file of validation questions.")
    order = np.random.default_rng(seed).permutation(len(pool.examples))
    held_out = set(order[: max(1, round(share * len(pool.examples)))].tolist())
    parts: list[list[QuestionExample]] = [[], []]
    for place, example in enumerate(pool.examples):
        parts[place in held_out].append(example)
    return dataclasses.replace(pool, examples=parts[0]), dataclasses.replace(pool, examples=parts[1])


__all__ = ["QUESTIONS_NAME", "VALIDATION_NAME", "make_pool", "read_pool", "split_pool"]
