"""InfoSeek: questions joined with their entities and types, OVEN pictures by id, and Wikipedia (Wiki6M) as knowledge.

Metadata of a question:

- `answer_eval`: what the official metric accepts, as in the file: a list of texts, or for numbers a dict with `range`
  (or a list that holds one). Texts that are written as numbers are texts here.
- `data_split`: train, val_unseen_question or val_unseen_entity, where the file has it.
- `question_type`: String, Time or Numerical, where there is a file of types.
- `image_id`, `entity_id`: as in the files; the entity is the positive id.
- `hidden_labels`: True where a question has no answer, as those of the test split.

The knowledge base is Wiki6M, see `read_wiki6m`; with `max_words` its long articles are cut, and `entity_id_of` gives
the entity of a passage.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..knowledge_rablip import ImageRef, KnowledgeItem, QuestionExample
from ..readers_ids import SeenIds
from ..readers_records import Problem, ReaderError, iterate_json_lines, optional_text, report_problem
from .benchmark import Benchmark
from .choices import check_choice
from .fields import answer_text, identifier, required_text, text_list
from .joining import RowsInStep
from .opening import existing_file, existing_folder
from .picture_files import find_picture, read_picture_map, row_problem
from .wiki6m import read_wiki6m

__all__ = ["SETTINGS", "SPLITS", "open_infoseek"]

SPLITS = ("train", "val", "test", "human")
SETTINGS = ("full",)
_WITHOUT_ANSWERS = ("test", "human")
# The files that are joined to the questions: field -> end of the name, and the splits that have been released with it.
_JOINED = {"entity_id": ("withkb", ("train", "val")), "question_type": ("qtype", ("val",))}
_KNOWLEDGE = "Wiki6M_ver_1_0.jsonl"
_SUFFIXES = (".jpg", ".JPEG", ".jpeg", ".JPG", ".png", ".PNG")


def open_infoseek(
    root: str | Path,
    *,
    split: str,
    setting: str = "full",
    images: str | Path | None = None,
    picture_map: str | Path | Iterable[str | Path] | None = None,
    knowledge: str | Path | None = None,
    max_words: int | None = None,
    pictures: bool = True,
) -> Benchmark:
    """Open a split of InfoSeek.

    Args:
        root: the folder of `infoseek_{split}.jsonl`, `infoseek_{split}_withkb.jsonl` (train and val) and
            `infoseek_{split}_qtype.jsonl` (val), each as it is or with `.gz`.
        split: "train", "val", "test" (its labels are hidden) or "human".
        setting: "full"; the questions have no candidates of their own.
        images: the folder of the OVEN pictures; `oven_images` in the root where it is there, else the root. A picture
            is looked for as `oven_01963180.jpg` and `01/oven_01963180.jpg`, with .jpg, .JPEG, .png and their like.
        picture_map: files that map picture ids to paths in that folder (`ovenid2impath.csv`, a `.jsonl` of `image_id`
            and `image_path`, or a `.json` object); ids that they lack are looked for as above.
        knowledge: `Wiki6M_ver_1_0.jsonl` or `.jsonl.gz`; by default that of the root, where there is one.
        max_words: longest item in words; None for whole articles.
        pictures: False leaves the pictures out, as for scoring predictions that were made elsewhere.

    Returns:
        The benchmark. Missing pictures, questions without entity or type and the reverse, repeated ids and missing
        answers are problems; questions that have one are left out. A file of entities or types that is missing as a
        whole is one problem, and its questions are given without them.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: there is no such split or setting, or `max_words` is below 1.

    Example:
        >>> import json, tempfile
        >>> root = Path(tempfile.mkdtemp())
        >>> row = {"data_id": "infoseek_test_0", "image_id": "oven_01963180", "question": "Where does it live?"}
        >>> _ = (root / "infoseek_test.jsonl").write_text(json.dumps(row))
        >>> [example.question for example in open_infoseek(root, split="test", pictures=False).questions()]
        ['Where does it live?']
    """
    check_choice("split of InfoSeek", split, SPLITS)
    check_choice("setting of InfoSeek", setting, SETTINGS)
    if max_words is not None and (isinstance(max_words, bool) or not isinstance(max_words, int) or max_words < 1):
        raise ValueError(
            f"max_words must be a whole number of 1 or more, or None for whole articles; got {max_words!r}."
        )
    folder = existing_folder(root, f"It holds infoseek_{split}.jsonl.")
    default = folder / "oven_images" if (folder / "oven_images").is_dir() else folder
    image_folder = existing_folder(default if images is None else images, "It holds the OVEN pictures.")
    files = {"questions": existing_file(_forms(folder, f"infoseek_{split}.jsonl"), "It comes from the InfoSeek page.")}
    for field, (end, _) in _JOINED.items():
        present = [path for path in _forms(folder, f"infoseek_{split}_{end}.jsonl") if path.is_file()]
        if present:
            files[field] = present[0]
    maps = [picture_map] if isinstance(picture_map, (str, Path)) else list(picture_map or ())
    files |= {f"picture map {number}": Path(path) for number, path in enumerate(maps)}
    articles = _forms(folder, _KNOWLEDGE) if knowledge is None else [Path(knowledge)]
    if knowledge is not None or any(path.is_file() for path in articles):
        files["knowledge"] = existing_file(articles, "It comes from the InfoSeek page.")

    def questions(problems: list[Problem] | None) -> Iterator[QuestionExample]:
        picture = _picture_finder(files, image_folder) if pictures else None
        return _questions(files, split, picture, problems)

    def items(problems: list[Problem] | None) -> Iterator[KnowledgeItem]:
        return read_wiki6m(files["knowledge"], max_words=max_words, problems=problems)

    return Benchmark(
        name="infoseek",
        split=split,
        setting=setting,
        root=image_folder,
        files=files,
        read_questions=questions,
        read_knowledge=items if "knowledge" in files else None,
    )


def _forms(folder: Path, name: str) -> list[Path]:
    return [folder / name, folder / f"{name}.gz"]


def _picture_finder(files: Mapping[str, Path], folder: Path) -> Callable[[str], ImageRef]:
    maps = [path for role, path in files.items() if role.startswith("picture map")]
    mapped: dict[str, str] = {}
    if maps:
        wanted = SeenIds()
        for _, row in iterate_json_lines(files["questions"], problems=[]):  # what is broken is reported afterwards
            with suppress(ValueError):
                wanted.add(identifier(row, "image_id"))
        mapped = read_picture_map(maps, wanted)

    def picture(image_id: str) -> ImageRef:
        if image_id in mapped:
            return ImageRef(path=find_picture(folder, [mapped[image_id]]))
        shard = image_id.rpartition("_")[2][:2]
        names = [f"{image_id}{suffix}" for suffix in _SUFFIXES]
        return ImageRef(path=find_picture(folder, [*names, *(f"{shard}/{name}" for name in names)]))

    return picture


def _questions(
    files: Mapping[str, Path], split: str, picture: Callable[[str], ImageRef] | None, problems: list[Problem] | None
) -> Iterator[QuestionExample]:
    file = files["questions"]
    joined = {field: RowsInStep(_pairs(files[field], field, problems)) for field in _JOINED if field in files}
    for field, (end, splits) in _JOINED.items():
        if split in splits and field not in files:
            name = f"infoseek_{split}_{end}.jsonl"
            cause = f"the file is missing: the questions are read without {field}"
            report_problem(Problem(f"all of {split}", str(file.parent / name), cause), problems)
    seen = SeenIds()
    for number, row in iterate_json_lines(file, problems=problems):
        place = f"line {number}"
        try:
            name = identifier(row, "data_id")
            place = f"line {number} (data_id {name})"
            if not seen.add(name):
                raise ValueError("its data_id appears twice")
            found = {field: rows.take(name) for field, rows in joined.items()}
            absent = [f"{field} in {files[field].name}" for field, value in found.items() if value is None]
            if absent:
                raise ValueError(f"it has no {' and no '.join(absent)}")
            example = _example(name, row, found, split, picture)
        except ReaderError:
            raise  # from a file that is joined, which cannot be read on
        except (ValueError, TypeError) as error:
            report_problem(row_problem(place, file, error), problems)
            continue
        yield example
    for field, rows in joined.items():
        for name in rows.rest():
            cause = f"it has no question in {file.name}"
            report_problem(Problem(f"{field} of data_id {name}", str(files[field]), cause), problems)


def _pairs(file: Path, field: str, problems: list[Problem] | None) -> Iterator[tuple[str, str]]:
    """The id and one field of every row: what a join holds."""
    seen = SeenIds()
    for number, row in iterate_json_lines(file, problems=problems):
        try:
            name, value = identifier(row, "data_id"), identifier(row, field)
            if not seen.add(name):
                raise ValueError(f"the data_id {name} appears twice")
        except ValueError as error:
            report_problem(Problem(f"line {number}", str(file), str(error)), problems)
            continue
        yield name, value


def _example(
    name: str,
    row: Mapping[str, Any],
    found: Mapping[str, str | None],
    split: str,
    picture: Callable[[str], ImageRef] | None,
) -> QuestionExample:
    image_id = identifier(row, "image_id")
    entity, kind = found.get("entity_id"), found.get("question_type")
    answers = text_list(row, "answer")
    metadata: dict[str, Any] = {"image_id": image_id}
    if row.get("answer_eval") is not None:
        metadata["answer_eval"] = _answer_eval(row["answer_eval"], kind)
    if not answers and "answer_eval" not in metadata and split in _WITHOUT_ANSWERS:
        metadata["hidden_labels"] = True
    elif not answers or "answer_eval" not in metadata:
        raise ValueError(f"it has no {'answer_eval' if answers else 'answer'}")
    if split == "val":
        required_text(row, "data_split")  # the official score is of unseen questions and unseen entities apart
    given = {"data_split": optional_text(row, "data_split"), "question_type": kind, "entity_id": entity}
    metadata |= {field: value for field, value in given.items() if value is not None}
    return QuestionExample(
        id=name,
        question=required_text(row, "question"),
        images=() if picture is None else (picture(image_id),),
        answers=tuple(dict.fromkeys(answer for answer in answers if answer.strip())),
        positive_ids=() if entity is None else (entity,),
        category=kind or "",
        metadata=metadata,
    )


def _answer_eval(value: object, kind: str | None) -> Any:
    """The accepted answers as they are, once it is sure that the official metric can read them."""
    entry: Any = value[0] if isinstance(value, list) and value else value
    numerical = isinstance(entry, dict)
    if kind is not None and numerical != (kind.lower() == "numerical"):
        form = "has a range" if numerical else "has no range"
        raise ValueError(f"its question_type is {kind}, and its answer_eval {form}: {str(value)[:80]!r}")
    if numerical:
        limits = entry.get("range")
        if not isinstance(limits, list) or len(limits) < 2 or not all(map(_is_number, limits[:2])):
            raise ValueError(f"field 'answer_eval' needs a range of two numbers, found {str(value)[:80]!r}")
        return value
    if not isinstance(value, list) or not value:
        raise ValueError(f"field 'answer_eval' must be a list of texts or hold a range, found {str(value)[:80]!r}")
    return tuple([answer_text(text, "answer_eval") for text in value])


def _is_number(value: object) -> bool:
    try:
        return not isinstance(value, bool) and isinstance(value, (int, float, str)) and math.isfinite(float(value))
    except (ValueError, OverflowError):
        return False
