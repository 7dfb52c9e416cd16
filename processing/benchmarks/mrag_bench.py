"""MRAG-Bench: multiple-choice questions with their own evidence pictures, read from its Parquet files undecoded.

There is one split, "test", and two settings, which say where evidence comes from; in both it is that of the question
itself (`candidate_ids`): "gt", the right pictures, and "retrieved", those that the authors' retriever found. Of the
scenario *Incomplete* only the first picture is used, as the official loader does. Metadata of a question:

- `choices`: a dict of "A", "B", "C" and "D"; `answer_choice`: the letter of the right one.
- `scenario` (also the category), `aspect`, `image_type`, `source`: where the row has them.
- `candidate_ids`: the ids of its evidence, `{id}/gt/0` or `{id}/retrieved/0` and so on.

Under "gt" all candidates are positive; under "retrieved" it is not known which are, and there are no positive ids. The
question is the bare text: the official prompt puts an instruction before it and the choices behind it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..knowledge_rablip import ImageRef, KnowledgeItem, QuestionExample
from ..readers_ids import SeenIds
from ..readers_records import Problem, optional_text, report_problem
from .benchmark import Benchmark
from .choices import check_choice
from .fields import answer_text, identifier, required_text
from .opening import existing_folder
from .parquet_rows import find_shards, iterate_parquet_rows, picture_of_struct
from .picture_files import row_problem

__all__ = ["SETTINGS", "SPLITS", "open_mrag_bench"]

SPLITS = ("test",)
SETTINGS = ("gt", "retrieved")
_LETTERS = ("A", "B", "C", "D")
_ONE_PICTURE = "Incomplete"
_TEXTS = ("aspect", "image_type", "source")
_BATCH = 4  # rows of about three megabytes of pictures


def open_mrag_bench(root: str | Path, *, split: str = "test", setting: str = "gt", pictures: bool = True) -> Benchmark:
    """Open MRAG-Bench.

    Args:
        root: the folder of `data/test-00000-of-00028.parquet` and so on, or of these files themselves.
        split: "test".
        setting: where evidence comes from: "gt" or "retrieved".
        pictures: False leaves the pictures of the questions out, as for scoring predictions that were made
            elsewhere.

    Returns:
        The benchmark; its knowledge is the evidence of all questions in this setting. Malformed rows, repeated ids
        and missing pictures are problems; questions and items that have one are left out.

    Raises:
        FileNotFoundError: there are no such files.
        ReaderError: some of the numbered files are missing.
        ValueError: there is no such split or setting.

    Example:
        >>> import tempfile
        >>> import pyarrow as pa, pyarrow.parquet as pq
        >>> root, picture = Path(tempfile.mkdtemp()), {"bytes": b"123", "path": None}
        >>> row = {"id": "7", "scenario": "Angle", "question": "Which bird?", "A": "owl", "B": "kite", "C": "jay",
        ...        "D": "wren", "answer_choice": "B", "answer": "kite", "image": picture, "gt_images": [picture] * 5}
        >>> pq.write_table(pa.Table.from_pylist([row]), root / "test-00000-of-00001.parquet")
        >>> benchmark = open_mrag_bench(root)
        >>> [example.metadata["candidate_ids"][:2] for example in benchmark.questions()]
        [('7/gt/0', '7/gt/1')]
        >>> sum(1 for item in benchmark.knowledge())
        5
    """
    check_choice("split of MRAG-Bench", split, SPLITS)
    check_choice("setting of MRAG-Bench", setting, SETTINGS)
    folder = existing_folder(root, "It holds data/test-*.parquet.")
    tables = find_shards(folder / "data", split) or find_shards(folder, split)
    if not tables:
        raise FileNotFoundError(f"There are no files {split}-*.parquet in {folder / 'data'} nor in {folder}.")

    def questions(problems: list[Problem] | None) -> Iterator[QuestionExample]:
        return _questions(tables, folder, setting, pictures, problems)

    def items(problems: list[Problem] | None) -> Iterator[KnowledgeItem]:
        return _items(tables, folder, setting, problems)

    return Benchmark(
        name="mrag_bench",
        split=split,
        setting=setting,
        root=folder,
        files={f"questions {number}": path for number, path in enumerate(tables)},
        read_questions=questions,
        read_knowledge=items,
    )


def _questions(
    tables: Sequence[Path], root: Path, setting: str, pictures: bool, problems: list[Problem] | None
) -> Iterator[QuestionExample]:
    evidence = f"{setting}_images"
    columns = ["id", "question", *_LETTERS, "answer_choice", "answer", "scenario", evidence]
    columns += ["image"] if pictures else []
    rows = iterate_parquet_rows(
        tables, columns=columns, optional=_TEXTS, leaves=[f"{evidence}.path"], batch_size=_BATCH
    )
    seen = SeenIds()
    for file, number, row in rows:
        place = f"row {number}"
        try:
            name = identifier(row, "id")
            place = f"row {number} (id {name})"
            if not seen.add(name):
                raise ValueError("its id appears twice")
            images = (picture_of_struct(row["image"], "image", root),) if pictures else ()
            example = _example(name, row, images, setting)
        except (ValueError, TypeError) as error:
            report_problem(row_problem(place, file, error), problems)
            continue
        yield example


def _example(name: str, row: Mapping[str, Any], images: tuple[ImageRef, ...], setting: str) -> QuestionExample:
    choice = row["answer_choice"]
    if choice not in _LETTERS:
        raise ValueError(f"answer_choice must be A, B, C or D, found {choice!r}")
    scenario = required_text(row, "scenario")
    candidates = tuple([place for place, _ in _evidence(name, row, setting)])
    texts = {field: optional_text(row, field) for field in _TEXTS}
    return QuestionExample(
        id=name,
        question=required_text(row, "question"),
        images=images,
        answers=(required_text({"answer": answer_text(row["answer"], "answer")}, "answer"),),
        positive_ids=candidates if setting == "gt" else (),
        category=scenario,
        metadata={
            "choices": {letter: answer_text(row[letter], letter) for letter in _LETTERS},
            "answer_choice": choice,
            "scenario": scenario,
            "candidate_ids": candidates,
            **{field: text for field, text in texts.items() if text is not None},
        },
    )


def _items(
    tables: Sequence[Path], root: Path, setting: str, problems: list[Problem] | None
) -> Iterator[KnowledgeItem]:
    columns = ["id", "scenario", f"{setting}_images"]
    seen = SeenIds()
    for file, number, row in iterate_parquet_rows(tables, columns=columns, batch_size=_BATCH):
        place = f"row {number}"
        try:
            name = identifier(row, "id")
            if not seen.add(name):
                raise ValueError(f"its id {name} appears twice")
            evidence = _evidence(name, row, setting)
        except ValueError as error:
            report_problem(Problem(place, str(file), str(error)), problems)
            continue
        for place, value in evidence:
            try:
                image = picture_of_struct(value, f"{setting}_images", root)
            except ValueError as error:
                report_problem(row_problem(place, file, error), problems)
                continue
            yield KnowledgeItem(id=place, image=image, metadata={"question_id": name})


def _evidence(name: str, row: Mapping[str, Any], setting: str) -> list[tuple[str, object]]:
    """Id and picture of each piece of evidence of a question."""
    pictures = row[f"{setting}_images"]
    if not isinstance(pictures, list) or not pictures:
        raise ValueError(f"field '{setting}_images' must be a list of pictures, found {str(pictures)[:80]!r}")
    used = pictures[:1] if row["scenario"] == _ONE_PICTURE else pictures
    return [(f"{name}/{setting}/{number}", picture) for number, picture in enumerate(used)]
