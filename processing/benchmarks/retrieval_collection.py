"""Retrieval collections of queries, corpus and judgements: BEIR folders, also with pictures, and their Parquet form.

A folder holds

- `corpus.jsonl` (rows `_id`, `title`, `text`) or `corpus.parquet`;
- `queries.jsonl` (rows `_id`, `text`), `queries.parquet` or `query.parquet`;
- the judgements: `qrels/<split>.tsv`, `.txt`, `.qrels` or `.trec` (see `read_qrels`), `qrels/<split>.parquet`, or
  `qrels.parquet` for the split "test".

JSON Lines may be compressed (`.jsonl.gz`), Parquet files numbered (`corpus-00000-of-00002.parquet`) and in a folder of
the name of the table. Both kinds of rows may have `id` for `_id`, and `image`: in JSON Lines a path relative to the
folder, in Parquet what `datasets.Image` stores (bytes, or a path). A field `metadata` that is an object, and fields of
JSON Lines that are not known, go to the metadata; `modality` is passed over.

The questions of a split are those that its judgements name. What a question has in `metadata`:

- `grades`: grade by item id, as judged. `positive_ids` are those above 0, `negative_ids` the others.

Runs of a system are read and written by `read_trec_run` and `write_trec_run`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..knowledge_rablip import ImageRef, KnowledgeItem, QuestionExample
from ..readers_ids import SeenIds
from ..readers_records import Problem, ReaderError, iterate_json_lines, optional_text, report_problem, text_tuple
from .benchmark import Benchmark, Problems
from .choices import check_choice
from .fields import identifier
from .misspelled import check_misspelled
from .opening import existing_folder
from .parquet_rows import find_shards, iterate_parquet_rows, picture_of_struct
from .picture_files import find_picture, row_problem
from .trec_files import read_qrels, read_trec_run, write_trec_run

__all__ = ["SETTINGS", "open_retrieval_collection", "read_qrels", "read_trec_run", "write_trec_run"]

SETTINGS = ("full",)
_FIELDS = ("_id", "id", "title", "text", "image", "modality", "metadata", "answers")
_QRELS_ENDINGS = (".tsv", ".txt", ".qrels", ".trec", ".tsv.gz")
_Qrels = Mapping[str, Mapping[str, int]]


def open_retrieval_collection(
    root: str | Path, *, split: str, setting: str = "full", pictures: bool = True, name: str | None = None
) -> Benchmark:
    """Open one split of a retrieval collection.

    Args:
        root: the folder; picture paths are relative to it, and confined to it.
        split: which judgements, such as "test".
        setting: "full": evidence is looked for in the whole corpus.
        pictures: False leaves all pictures out.
        name: of the collection; default the name of the folder.

    Returns:
        The benchmark. Questions and items that are judged and have no row, rows that are malformed, repeated ids and
        missing pictures are `problems`.

    Raises:
        FileNotFoundError: there is no such folder, or no corpus, queries or judgements of the split in it.
        ReaderError: some of the numbered Parquet files are missing.
        ValueError: there is no such setting.

    Example:
        >>> import json, tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "qrels").mkdir()
        >>> _ = (folder / "corpus.jsonl").write_text(json.dumps({"_id": "d1", "title": "", "text": "In 1889."}))
        >>> _ = (folder / "queries.jsonl").write_text(json.dumps({"_id": "q1", "text": "When?"}))
        >>> _ = (folder / "qrels" / "test.tsv").write_text("query-id\\tcorpus-id\\tscore\\nq1\\td1\\t2\\n")
        >>> (question,) = open_retrieval_collection(folder, split="test").questions()
        >>> question.positive_ids, question.metadata["grades"]
        (('d1',), {'d1': 2})
    """
    check_choice("setting of a retrieval collection", setting, SETTINGS)
    folder = existing_folder(root, "It holds corpus.jsonl, queries.jsonl and qrels/<split>.tsv.")
    corpus, queries = _find_table(folder, split, ("corpus",)), _find_table(folder, split, ("queries", "query"))
    qrels = _find_qrels(folder, split)

    def read_questions(problems: Problems) -> Iterator[QuestionExample]:
        return _questions(queries, _read_qrels(qrels, problems), folder, pictures, problems)

    def read_knowledge(problems: Problems) -> Iterator[KnowledgeItem]:
        return _knowledge(corpus, _read_qrels(qrels, problems), folder, pictures, problems)

    roles = {"corpus": corpus, "queries": queries, "qrels": qrels}
    return Benchmark(
        name=folder.resolve().name if name is None else name,
        split=split,
        setting=setting,
        root=folder,
        files={
            f"{role} {number}" if len(paths) > 1 else role: path
            for role, paths in roles.items()
            for number, path in enumerate(paths)
        },
        read_questions=read_questions,
        read_knowledge=read_knowledge,
    )


def _find_table(folder: Path, split: str, names: tuple[str, ...]) -> list[Path]:
    for name in names:
        for ending in (".jsonl", ".jsonl.gz"):
            if (folder / f"{name}{ending}").is_file():
                return [folder / f"{name}{ending}"]
        shards = find_shards(folder, name) or find_shards(folder / name, name) or find_shards(folder / name, split)
        if shards:
            return shards
    listed = " nor ".join(f"{name}.jsonl, {name}.jsonl.gz, {name}.parquet" for name in names)
    raise FileNotFoundError(f"There is no file {listed} in {folder}. Put it there, one row for each.")


def _find_qrels(folder: Path, split: str) -> list[Path]:
    inside = folder / "qrels"
    for ending in _QRELS_ENDINGS:
        if (inside / f"{split}{ending}").is_file():
            return [inside / f"{split}{ending}"]
    shards = find_shards(inside, split) or (find_shards(folder, "qrels") if split == "test" else [])
    if shards:
        return shards
    there = sorted({path.name.split(".")[0] for path in inside.glob("*") if path.is_file()})
    hint = f" There are: {', '.join(there)}." if there else ""
    raise FileNotFoundError(f"There are no judgements of the split {split!r}: no file {inside / split}.tsv.{hint}")


def _read_qrels(files: list[Path], problems: Problems) -> _Qrels:
    if files[0].suffix != ".parquet":
        return read_qrels(files[0], problems=problems)
    judged: dict[str, dict[str, int]] = {}
    for file, number, row in iterate_parquet_rows(files, columns=["query-id", "corpus-id", "score"], batch_size=4096):
        try:
            question, item, grade = identifier(row, "query-id"), identifier(row, "corpus-id"), row["score"]
            if isinstance(grade, bool) or not isinstance(grade, (int, float)) or grade != grade // 1:
                raise ValueError(f"a grade must be a whole number, found {grade!r}")
            if item in judged.get(question, {}):
                raise ValueError(f"the pair {question!r}, {item!r} is judged twice")
            judged.setdefault(question, {})[item] = int(grade)
        except ValueError as error:
            report_problem(Problem(f"row {number}", str(file), str(error)), problems)
    return judged


def _rows(files: list[Path], problems: Problems) -> Iterator[tuple[Path, str, dict[str, Any]]]:
    """File, place and fields of every row, of either kind of file."""
    if files[0].suffix == ".parquet":
        for file, number, row in iterate_parquet_rows(files, columns=[], optional=_FIELDS):
            yield file, f"row {number}", row
    else:
        for number, row in iterate_json_lines(files[0], problems=problems):
            yield files[0], f"line {number}", row


def _name(row: Mapping[str, Any]) -> str:
    if "_id" in row and "id" in row and row["_id"] != row["id"]:
        raise ValueError(f"it has two ids, '_id' {row['_id']!r} and 'id' {row['id']!r}")
    return identifier(row, "_id" if "_id" in row else "id")


def _picture(row: Mapping[str, Any], folder: Path) -> ImageRef | None:
    value = row.get("image")
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return ImageRef(path=find_picture(folder, [value]))
    if isinstance(value, dict) and not any(value.values()):
        return None  # an empty struct stands for no picture
    return picture_of_struct(value, "image", folder)


def _metadata(row: Mapping[str, Any]) -> dict[str, Any]:
    check_misspelled(row, _FIELDS)
    extra = row.get("metadata")
    if extra is not None and not isinstance(extra, (dict, str)):
        raise ValueError(f"field 'metadata' must be an object, found {str(extra)[:40]!r}")
    inner = extra if isinstance(extra, dict) else {"metadata": extra} if extra else {}
    return {**inner, **{name: value for name, value in row.items() if name not in _FIELDS}}


def _questions(
    files: list[Path], judged: _Qrels, folder: Path, pictures: bool, problems: Problems
) -> Iterator[QuestionExample]:
    seen, count = SeenIds(), 0
    for file, place, row in _rows(files, problems):
        try:
            name = _name(row)
            if name not in judged:
                continue
            if not seen.add(name):
                raise ValueError(f"the id {name!r} is that of an earlier row")
            grades = dict(judged[name])
            image = _picture(row, folder) if pictures else None
            question = QuestionExample(
                id=name,
                question=optional_text(row, "text") or "",
                images=() if image is None else (image,),
                answers=text_tuple(row, "answers"),
                positive_ids=tuple([item for item, grade in grades.items() if grade > 0]),
                negative_ids=tuple([item for item, grade in grades.items() if grade <= 0]),
                metadata={**_metadata(row), "grades": grades},
            )
        except (ValueError, TypeError) as error:
            report_problem(row_problem(place, file, error), problems)
            continue
        count += 1
        yield question
    for name in (name for name in judged if name not in seen):
        report_problem(Problem(name, str(files[0]), "the judgements name this question, and no row has it"), problems)
    if not count:
        raise ReaderError(f"{files[0]}: it holds no usable question that is judged")


def _knowledge(
    files: list[Path], judged: _Qrels, folder: Path, pictures: bool, problems: Problems
) -> Iterator[KnowledgeItem]:
    seen = SeenIds()
    for file, place, row in _rows(files, problems):
        try:
            name = _name(row)
            if not seen.add(name):
                raise ValueError(f"the id {name!r} is that of an earlier row")
            item = KnowledgeItem(
                id=name,
                text=optional_text(row, "text"),
                title=optional_text(row, "title"),
                image=_picture(row, folder) if pictures else None,
                metadata=_metadata(row),
            )
        except (ValueError, TypeError) as error:
            report_problem(row_problem(place, file, error), problems)
            continue
        yield item
    told = SeenIds()
    for name in (name for grades in judged.values() for name in grades):
        if name not in seen and told.add(name):
            report_problem(Problem(name, str(files[0]), "the judgements name this item, and no row has it"), problems)
