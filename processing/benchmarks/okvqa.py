"""OK-VQA: questions and annotations of the official JSON files (or of a Parquet mirror), and an optional CSV corpus.

The files called val2014 are the test split; there is no other. Metadata of a question:

- `answers`: the annotators' answers in order, ten of them, repeated ones among them.
- `answer_ids`: their ids, which the official metric needs to leave one annotator out at a time. Those of a mirror that
  keeps the texts only are numbered from 1.
- `raw_answers`: the answers before they were made uniform, where the file has them.
- `question_type`, `answer_type`, `image_id`: as in the files, where they have them.

`QuestionExample.answers` holds each answer once, blank ones left out. There are no positive ids: retrieval is scored
by whether a passage holds an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..knowledge_rablip import ImageRef, QuestionExample
from ..readers_ids import SeenIds
from ..readers_records import Problem, ReaderError, iterate_json_entries, optional_text, report_problem
from .benchmark import Benchmark
from .choices import check_choice
from .corpora import corpus_reader
from .fields import answer_text, identifier, required_text, text_list, whole_number
from .joining import RowsInStep
from .opening import existing_file, existing_folder
from .parquet_rows import find_shards, iterate_parquet_rows, picture_of_struct
from .picture_files import find_picture, row_problem
from .prediction_files import check_answered_ids, write_json_file

__all__ = ["SETTINGS", "SPLITS", "open_okvqa", "write_vqa_results"]

SPLITS = ("train", "test")
SETTINGS = ("full",)
# The part that a name stands for: the val2014 files are the test split.
_PARTS = {"train": "train2014", "test": "val2014", "val": "val2014", "train2014": "train2014", "val2014": "val2014"}
_KEPT = ("question_type", "answer_type")
_Picture = Callable[[int], tuple[ImageRef, ...]]


def open_okvqa(
    root: str | Path,
    *,
    split: str,
    setting: str = "full",
    images: str | Path | None = None,
    corpus: str | Path | None = None,
    parquet: str | Path | Iterable[str | Path] | None = None,
    pictures: bool = True,
) -> Benchmark:
    """Open a split of OK-VQA.

    Args:
        root: the folder of `OpenEnded_mscoco_{part}_questions.json` and `mscoco_{part}_annotations.json`, or of a
            mirror with `data/{part}-00000-of-00002.parquet` and so on; the part is train2014 or val2014.
        split: "train" or "test"; "val", "val2014" and "train2014" are taken as names of the files.
        setting: "full"; the questions have no candidates of their own.
        images: the folder of the COCO 2014 pictures, in `{part}/COCO_{part}_{image_id:012d}.jpg` or directly in it;
            the root by default. Not used for pictures that a mirror holds itself.
        corpus: a CSV file with the columns `kid` and `text` as knowledge base; the benchmark itself has none.
        parquet: files of a mirror, instead of what the root holds. `answers` may be a list of texts or of objects
            with `answer`, `raw_answer` and `answer_id`.
        pictures: False leaves the pictures out, as for scoring predictions that were made elsewhere.

    Returns:
        The benchmark. Questions without annotation, annotations without question, repeated ids and missing pictures
        are problems; questions that have one are left out.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: there is no such split or setting.

    Example:
        >>> import json, tempfile
        >>> root = Path(tempfile.mkdtemp())
        >>> asked = {"question_id": 1, "image_id": 9, "question": "What sport can you use this for?"}
        >>> given = {"question_id": 1, "image_id": 9, "answers": [{"answer_id": 1, "answer": "race"}]}
        >>> _ = (root / "OpenEnded_mscoco_val2014_questions.json").write_text(json.dumps({"questions": [asked]}))
        >>> _ = (root / "mscoco_val2014_annotations.json").write_text(json.dumps({"annotations": [given]}))
        >>> benchmark = open_okvqa(root, split="test", pictures=False)
        >>> [(example.id, example.answers) for example in benchmark.questions()]
        [('1', ('race',))]
    """
    part = _PARTS[check_choice("split of OK-VQA", split, _PARTS)]
    check_choice("setting of OK-VQA", setting, SETTINGS)
    folder = existing_folder(root, f"It holds OpenEnded_mscoco_{part}_questions.json and its annotations.")
    image_folder = existing_folder(folder if images is None else images, "It holds the COCO 2014 pictures.")
    tables = _given_files(parquet)
    if not tables and not (folder / f"OpenEnded_mscoco_{part}_questions.json").is_file():
        tables = find_shards(folder / "data", part)
    files: dict[str, Path] = {f"questions {number}": path for number, path in enumerate(tables)}
    if not tables:
        advice = f"OK-VQA's {part} files come from its website; a mirror has data/{part}-*.parquet."
        files["questions"] = existing_file([folder / f"OpenEnded_mscoco_{part}_questions.json"], advice)
        files["annotations"] = existing_file([folder / f"mscoco_{part}_annotations.json"], advice)
    read_knowledge = None
    if corpus is not None:
        files["corpus"] = Path(corpus)
        read_knowledge = corpus_reader(files["corpus"])

    def picture(image_id: int) -> tuple[ImageRef, ...]:
        if not pictures:
            return ()
        name = f"COCO_{part}_{image_id:012d}.jpg"
        return (ImageRef(path=find_picture(image_folder, [f"{part}/{name}", name])),)

    def questions(problems: list[Problem] | None) -> Iterator[QuestionExample]:
        if not tables:
            yield from _official_questions(files["questions"], files["annotations"], picture, problems)
        else:
            yield from _mirrored_questions(tables, image_folder, picture, pictures, problems)

    return Benchmark(
        name="okvqa",
        split="train" if part == "train2014" else "test",
        setting=setting,
        root=image_folder,
        files=files,
        read_questions=questions,
        read_knowledge=read_knowledge,
    )


def write_vqa_results(
    path: str | Path, answers: Mapping[str, str], *, question_ids: Iterable[str] | None = None
) -> None:
    """Write answers in the results form of the official VQA scorer: a list of `question_id` (a number) and `answer`.

    Args:
        path: the file.
        answers: question id to answer.
        question_ids: ids of the split; with them the file is written only if exactly these are answered, which the
            official scorer demands.

    Raises:
        ValueError: an id is no whole number, or the answered questions are not those of the split.
        TypeError: an answer is not a str.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "results.json")
        >>> write_vqa_results(file, {"2971475": "race"})
        >>> file.read_text()
        '[{"question_id": 2971475, "answer": "race"}]'
    """
    if question_ids is not None:
        check_answered_ids(answers, question_ids)
    rows = []
    for name, answer in answers.items():
        if not isinstance(answer, str):
            raise TypeError(f"The answer to {name!r} must be a str, got {type(answer).__name__} ({answer!r}).")
        rows.append({"question_id": whole_number({"question_id": name}, "question_id"), "answer": answer})
    write_json_file(path, rows)


def _given_files(parquet: str | Path | Iterable[str | Path] | None) -> list[Path]:
    if parquet is None:
        return []
    files = [Path(parquet)] if isinstance(parquet, (str, Path)) else [Path(path) for path in parquet]
    return [existing_file([path], "Give the Parquet files of a mirror of OK-VQA.") for path in files]


def _official_questions(
    questions_file: Path, annotations_file: Path, picture: _Picture, problems: list[Problem] | None
) -> Iterator[QuestionExample]:
    annotations = RowsInStep(_annotations(annotations_file, problems))
    seen = SeenIds()
    for number, entry in iterate_json_entries(questions_file, "questions"):
        place = f"question {number}"
        try:
            name = identifier(_object(entry), "question_id")
            place = f"question {number} (question_id {name})"
            if not seen.add(name):
                raise ValueError("its question_id appears twice")
            annotation = annotations.take(name)
            if annotation is None:
                raise ValueError(f"it has no annotation in {annotations_file.name}")
            image_id = whole_number(entry, "image_id")
            if "image_id" in annotation and whole_number(annotation, "image_id") != image_id:
                raise ValueError(f"its image_id is {image_id} here and {annotation['image_id']} in its annotation")
            example = _example({**annotation, **entry}, annotation.get("answers"), picture(image_id), image_id)
        except ReaderError:
            raise  # from the annotations, which cannot be read on
        except (ValueError, TypeError) as error:
            report_problem(row_problem(place, questions_file, error), problems)
            continue
        yield example
    for name in annotations.rest():
        cause = f"it has no question in {questions_file.name}"
        report_problem(Problem(f"annotation of question_id {name}", str(annotations_file), cause), problems)


def _annotations(file: Path, problems: list[Problem] | None) -> Iterator[tuple[str, Mapping[str, Any]]]:
    seen = SeenIds()
    for number, entry in iterate_json_entries(file, "annotations"):
        try:
            name = identifier(_object(entry), "question_id")
            if not seen.add(name):
                raise ValueError(f"the question_id {name} appears twice")
        except ValueError as error:
            report_problem(Problem(f"annotation {number}", str(file), str(error)), problems)
            continue
        yield name, entry


def _mirrored_questions(
    tables: list[Path], image_folder: Path, picture: _Picture, pictures: bool, problems: list[Problem] | None
) -> Iterator[QuestionExample]:
    seen = SeenIds()
    columns = ("question_id", "question", "answers")
    optional = ("image_id", *_KEPT, *(("image",) if pictures else ()))
    for file, number, row in iterate_parquet_rows(tables, columns=columns, optional=optional):
        place = f"row {number}"
        try:
            name = identifier(row, "question_id")
            place = f"row {number} (question_id {name})"
            if not seen.add(name):
                raise ValueError("its question_id appears twice")
            image_id = None if row.get("image_id") is None else whole_number(row, "image_id")
            images: tuple[ImageRef, ...] = ()
            if row.get("image") is not None:
                images = (picture_of_struct(row["image"], "image", image_folder),)
            elif image_id is None and pictures:
                raise ValueError("it has neither a picture nor an image_id")
            elif image_id is not None:
                images = picture(image_id)
            example = _example(row, row["answers"], images, image_id)
        except (ValueError, TypeError) as error:
            report_problem(row_problem(place, file, error), problems)
            continue
        yield example


def _example(
    row: Mapping[str, Any], given: object, images: tuple[ImageRef, ...], image_id: int | None
) -> QuestionExample:
    if not isinstance(given, list) or not given:
        raise ValueError(f"field 'answers' must be a list of answers, found {str(given)[:80]!r}")
    metadata: dict[str, Any] = {}
    if all(isinstance(answer, dict) for answer in given):
        metadata["answers"] = tuple([answer_text(answer.get("answer"), "answer") for answer in given])
        metadata["answer_ids"] = tuple([whole_number(answer, "answer_id") for answer in given])
        if all(answer.get("raw_answer") is not None for answer in given):
            metadata["raw_answers"] = tuple([answer_text(answer["raw_answer"], "raw_answer") for answer in given])
    else:
        metadata["answers"] = text_list(row, "answers")
        metadata["answer_ids"] = tuple(range(1, len(given) + 1))
    kept = {name: optional_text(row, name) for name in _KEPT}
    metadata |= {name: text for name, text in kept.items() if text is not None}
    if image_id is not None:
        metadata["image_id"] = image_id
    return QuestionExample(
        id=identifier(row, "question_id"),
        question=required_text(row, "question"),
        images=images,
        answers=tuple(dict.fromkeys(answer for answer in metadata["answers"] if answer.strip())),
        category=kept["question_type"] or "",
        metadata=metadata,
    )


def _object(entry: object) -> Mapping[str, Any]:
    if not isinstance(entry, dict):
        raise ValueError(f"expected an object, found {str(entry)[:80]!r}")
    return entry
