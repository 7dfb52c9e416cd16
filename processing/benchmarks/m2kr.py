"""M2KR: the ten retrieval tasks that PreFLMR is trained and evaluated on, read from their Parquet or JSONL files.

Layout: `{TASK}_data/{split}-00000-of-00001.parquet` (or `{split}.jsonl`) with the questions, and the same of
`{TASK}_passages/{split}_passages` with the passages, which are the knowledge of that task and split.

Columns that are sure, as the data set's card lists them for all ten tasks: `question_id`, `pos_item_ids`,
`pos_item_contents`, `img_path`, `question`, `instruction`; OKVQA, Infoseek and EVQA also `answers` and `gold_answer`;
passages `passage_id`, `passage_content`. Their contents have been seen for EVQA and Infoseek only, so the others are
read where they are there, and what a task needs and lacks is an error with its name: `question` is of type null in CC,
`img_path` in MSMARCO, and data of before June 2024 has no `instruction`.

Metadata of a question:

- `task`, `kind` (see `M2KR_TASKS`), and `instruction`: the instruction of the row, as it stands there.
- `question_text`: the row's question, "" where it has none. Then `QuestionExample.question`, which cannot be empty, is
  the instruction; the text that PreFLMR encodes is made of `instruction` and `question_text`.
- `text_only`: True where the row has no picture. The published figures feed a black picture there; whether to do that
  is the model's choice.
- `answers`: all answers in order, repeated and blank ones among them, as the pseudo recall takes them.
- `pos_item_contents`: the texts of the positive passages, if asked for.
- `img_path`, `image_id`, `gold_answer`, `question_type`, `answer_eval`, `data_split`, `wikidata_value`,
  `wikidata_range`, `entity_id`, `entity_text`, `wiki_entity`, `wiki_entity_id`, `llava_split`: where the row has them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..knowledge_rablip import ImageRef, KnowledgeItem, QuestionExample
from ..readers_ids import SeenIds
from ..readers_records import Problem, ReaderError, iterate_json_lines, optional_text, report_problem
from .benchmark import Benchmark
from .choices import check_choice
from .fields import identifier, readable, required_text, text_list
from .opening import existing_folder
from .parquet_rows import find_shards, iterate_parquet_rows
from .picture_files import find_picture, row_problem

__all__ = ["M2KR_TASKS", "SETTINGS", "SPLITS", "M2krTask", "open_m2kr"]

SPLITS = ("train", "valid", "test")
SETTINGS = ("full",)
_KEPT = (
    "image_id",
    "gold_answer",
    "question_type",
    "answer_eval",
    "data_split",
    "wikidata_value",
    "wikidata_range",
    "entity_id",
    "entity_text",
    "wiki_entity",
    "wiki_entity_id",
    "llava_split",
)
_PASSAGE_KEPT = ("title", "language", "img_path")


@dataclass(frozen=True, kw_only=True)
class M2krTask:
    """One task of M2KR.

    Args:
        kind: what a question is made of: "image", "question" or "image and question". Each is put after an
            instruction, which the rows carry: the authors draw it from a pool of several per task, so that none is
            written down here.
        splits: those that have been released.
        cutoff: K of the Recall@K that is published; None where the task is for training only.
        has_answers: whether the rows have answers, and a pseudo recall is published too.

    Example:
        >>> M2KR_TASKS["MSMARCO"].kind, M2KR_TASKS["WIT"].cutoff
        ('question', 10)
    """

    kind: str
    splits: tuple[str, ...] = SPLITS
    cutoff: int | None = 5
    has_answers: bool = False


M2KR_TASKS: Mapping[str, M2krTask] = MappingProxyType(
    {
        "WIT": M2krTask(kind="image", cutoff=10),
        "IGLUE": M2krTask(kind="image", splits=("test",), cutoff=1),
        "KVQA": M2krTask(kind="image"),
        "CC": M2krTask(kind="image", splits=("train",), cutoff=None),
        "MSMARCO": M2krTask(kind="question"),
        "OVEN": M2krTask(kind="image and question"),
        "LLaVA": M2krTask(kind="image and question", splits=("train", "test"), cutoff=1),
        "OKVQA": M2krTask(kind="image and question", has_answers=True),
        "Infoseek": M2krTask(kind="image and question", splits=("train", "test"), has_answers=True),
        "EVQA": M2krTask(kind="image and question", has_answers=True),
    }
)
_OTHER_NAMES = {"cc3m": "CC", "e-vqa": "EVQA", "ok-vqa": "OKVQA"}


def open_m2kr(
    root: str | Path,
    *,
    task: str,
    split: str = "test",
    setting: str = "full",
    images: str | Path | None = None,
    instruction: str | None = None,
    with_contents: bool = False,
    pictures: bool = True,
) -> Benchmark:
    """Open a split of one task of M2KR, with the passages of that task and split as knowledge.

    Args:
        root: the folder of `{TASK}_data` and `{TASK}_passages`.
        task: a name of `M2KR_TASKS`, in any case; also "CC3M", "OK-VQA" and "E-VQA".
        split: "train", "valid" (or "val") or "test", where the task has it.
        setting: "full"; one index for each task and split.
        images: the folder that `img_path` is relative to; the root by default.
        instruction: for rows that have none, as data of before June 2024.
        with_contents: whether the texts of the positive passages go into the metadata; they are most of the file.
        pictures: False leaves the pictures out, as for scoring predictions that were made elsewhere.

    Returns:
        The benchmark. Malformed rows, repeated ids, missing pictures and questions that begin with their own
        instruction are problems; questions that have one are left out. A question without positive passages is kept,
        as the published figures count it.

    Raises:
        FileNotFoundError: a file is missing.
        ReaderError: some of the numbered files are missing, or lie there twice.
        ValueError: there is no such task, split or setting.

    Example:
        >>> import json, tempfile
        >>> root = Path(tempfile.mkdtemp())
        >>> for name in ("MSMARCO_data", "MSMARCO_passages"):
        ...     (root / name).mkdir()
        >>> row = {"question_id": "MSMARCO_1", "pos_item_ids": ["p1"], "img_path": None, "question": "what is a quay",
        ...        "instruction": "Find the passage that answers this:"}
        >>> _ = (root / "MSMARCO_data" / "test.jsonl").write_text(json.dumps(row))
        >>> passage = {"passage_id": "p1", "passage_content": "A quay is a landing place."}
        >>> _ = (root / "MSMARCO_passages" / "test_passages.jsonl").write_text(json.dumps(passage))
        >>> benchmark = open_m2kr(root, task="MSMARCO")
        >>> [(example.positive_ids, example.metadata["text_only"]) for example in benchmark.questions()]
        [(('p1',), True)]
        >>> [item.id for item in benchmark.knowledge()]
        ['p1']
    """
    names = {name.lower(): name for name in M2KR_TASKS} | _OTHER_NAMES
    name = names.get(task.lower(), task)
    chosen = M2KR_TASKS[check_choice("task of M2KR", name, M2KR_TASKS)]
    split = {"val": "valid"}.get(split, split)
    check_choice(f"split of M2KR's {name}", split, chosen.splits)
    check_choice("setting of M2KR", setting, SETTINGS)
    folder = existing_folder(root, f"It holds {name}_data and {name}_passages.")
    image_folder = existing_folder(folder if images is None else images, "It is what img_path is relative to.")
    data = _tables(folder / f"{name}_data", split)
    passages = _tables(folder / f"{name}_passages", f"{split}_passages")

    def questions(problems: list[Problem] | None) -> Iterator[QuestionExample]:
        rows = _question_rows(data, chosen, instruction, with_contents, problems)
        seen = SeenIds()
        for place, file, row in rows:
            try:
                row_id = identifier(row, "question_id")
                place = f"{place} (question_id {row_id})"
                if not seen.add(row_id):
                    raise ValueError("its question_id appears twice")
                metadata = {"task": name, "kind": chosen.kind} | _metadata(row, chosen, instruction, with_contents)
                example = _example(row_id, row, metadata, image_folder if pictures else None)
            except (ValueError, TypeError) as error:
                report_problem(row_problem(place, file, error), problems)
                continue
            yield example

    return Benchmark(
        name=f"m2kr_{name.lower()}",
        split=split,
        setting=setting,
        root=image_folder,
        files={f"questions {number}": path for number, path in enumerate(data)}
        | {f"passages {number}": path for number, path in enumerate(passages)},
        read_questions=questions,
        read_knowledge=lambda problems: _items(passages, problems),
    )


def _tables(folder: Path, name: str) -> list[Path]:
    lines = [path for path in (folder / f"{name}.jsonl", folder / f"{name}.jsonl.gz") if path.is_file()]
    found = find_shards(folder, name) or lines[:1]
    if not found:
        raise FileNotFoundError(f"There are no files {name}-*.parquet and no {name}.jsonl in {folder}.")
    return found


def _rows(
    tables: Sequence[Path], columns: Sequence[str], optional: Sequence[str], problems: list[Problem] | None
) -> Iterator[tuple[str, Path, Mapping[str, Any]]]:
    if tables[0].suffix == ".parquet":
        for file, number, row in iterate_parquet_rows(tables, columns=columns, optional=optional):
            yield f"row {number}", file, row
        return
    for number, row in iterate_json_lines(tables[0], problems=problems):
        missing = [column for column in columns if column not in row]
        if missing:
            cause = f"it has no field {missing}; its fields are {list(row)[:40]}"
            report_problem(Problem(f"line {number}", str(tables[0]), cause), problems)
            continue
        yield f"line {number}", tables[0], row


def _question_rows(
    tables: Sequence[Path], task: M2krTask, instruction: str | None, contents: bool, problems: list[Problem] | None
) -> Iterator[tuple[str, Path, Mapping[str, Any]]]:
    columns, optional = ["question_id", "pos_item_ids"], ["instruction", *_KEPT]
    for column, needed in (
        ("question", task.kind != "image"),
        ("img_path", task.kind != "question"),
        ("answers", task.has_answers),
        *([("pos_item_contents", True)] if contents else []),
    ):
        (columns if needed else optional).append(column)
    for place, file, row in _rows(tables, columns, optional, problems):
        if instruction is None and "instruction" not in row:
            raise ReaderError(
                f"{file}: {place}: it has no 'instruction', as data of before June 2024: give instruction=, or take "
                "the data set as it is since then."
            )
        yield place, file, row


def _metadata(row: Mapping[str, Any], task: M2krTask, instruction: str | None, contents: bool) -> dict[str, Any]:
    given = optional_text(row, "instruction") or instruction
    if given is None:
        raise ValueError("field 'instruction' is empty: give instruction=")
    question = optional_text(row, "question") or ""
    if question and _plain(given) and _plain(question).startswith(_plain(given)):
        raise ValueError(
            f"its question begins with its instruction, {given[:80]!r}, which would be encoded twice: use the data "
            "set as it is since June 2024"
        )
    metadata: dict[str, Any] = {"instruction": given, "question_text": question}
    if row.get("img_path") is None:
        metadata["text_only"] = True
    else:
        metadata["img_path"] = required_text(row, "img_path")
    if row.get("answers") is not None:
        metadata["answers"] = text_list(row, "answers")
    elif task.has_answers:
        raise ValueError("field 'answers' must be a list, found None")
    if contents:
        metadata["pos_item_contents"] = text_list(row, "pos_item_contents")
        if len(metadata["pos_item_contents"]) != len(row["pos_item_ids"] or ()):
            raise ValueError("it has not as many pos_item_contents as pos_item_ids")
    return metadata | {field: row[field] for field in _KEPT if row.get(field) is not None}


def _example(
    row_id: str, row: Mapping[str, Any], metadata: dict[str, Any], image_folder: Path | None
) -> QuestionExample:
    if row["pos_item_ids"] is None:
        raise ValueError("field 'pos_item_ids' must be a list, found None")
    images: tuple[ImageRef, ...] = ()
    if image_folder is not None and "img_path" in metadata:
        images = (ImageRef(path=find_picture(image_folder, [metadata["img_path"]])),)
    kind = row.get("question_type")
    return QuestionExample(
        id=row_id,
        question=readable(metadata["question_text"] or metadata["instruction"], "question"),
        images=images,
        answers=tuple(dict.fromkeys(text for text in metadata.get("answers", ()) if text.strip())),
        positive_ids=tuple(dict.fromkeys(text_list(row, "pos_item_ids"))),
        category=kind if isinstance(kind, str) else "",
        metadata=metadata,
    )


def _items(tables: Sequence[Path], problems: list[Problem] | None) -> Iterator[KnowledgeItem]:
    seen = SeenIds()
    for place, file, row in _rows(tables, ("passage_id", "passage_content"), _PASSAGE_KEPT, problems):
        try:
            name = identifier(row, "passage_id")
            place = f"{place} (passage_id {name})"
            if not seen.add(name):
                raise ValueError("its passage_id appears twice")
            # The title stands in the text already; as a title of its own it would be encoded twice.
            metadata = {field: row[field] for field in _PASSAGE_KEPT if row.get(field) is not None}
            item = KnowledgeItem(id=name, text=required_text(row, "passage_content"), metadata=metadata)
        except (ValueError, TypeError) as error:
            report_problem(Problem(place, str(file), str(error)), problems)
            continue
        yield item


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(": ")
