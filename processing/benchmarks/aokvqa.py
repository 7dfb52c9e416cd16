"""A-OKVQA: the official JSON lists of all splits (or a Parquet mirror), and the official form of predictions.

Metadata of a question:

- `choices`: the choices in order; `correct_choice_idx` and `correct_choice`: the right one, by number and by its text.
- `direct_answers`: the annotators' answers in order, ten of them, repeated ones among them.
- `difficult_direct_answer`: whether the question is left out of the direct-answer score.
- `rationales`, `image_id`: as in the files, where they have them.
- `hidden_labels`: True where a question has neither correct choice nor direct answers, as those of the test split.

`QuestionExample.answers` holds each direct answer once. There are no positive ids.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..knowledge_rablip import ImageRef, QuestionExample
from ..readers_ids import SeenIds
from ..readers_records import Problem, iterate_json_entries, report_problem
from .benchmark import Benchmark
from .choices import check_choice
from .corpora import corpus_reader
from .fields import identifier, required_text, text_list, whole_number
from .opening import existing_file, existing_folder
from .parquet_rows import find_shards, iterate_parquet_rows, picture_of_struct
from .picture_files import find_picture, row_problem
from .prediction_files import write_json_file

__all__ = ["SETTINGS", "SPLITS", "open_aokvqa", "parse_text_list", "write_aokvqa_predictions"]

SPLITS = ("train", "val", "test", "test_w_ans")
SETTINGS = ("full",)
_MIRRORED = {"val": "validation"}  # what the mirror calls a split where it differs
_MAX_LIST = 1 << 16  # characters of a list written as Python text
_Row = tuple[str, Path, Mapping[str, Any]]


def open_aokvqa(
    root: str | Path,
    *,
    split: str,
    setting: str = "full",
    images: str | Path | None = None,
    corpus: str | Path | None = None,
    parquet: str | Path | Iterable[str | Path] | None = None,
    pictures: bool = True,
) -> Benchmark:
    """Open a split of A-OKVQA.

    Args:
        root: the folder of `aokvqa_v1p0_{split}.json`, or of a mirror with `data/{split}-00000-of-00002.parquet` and
            so on (`validation` for "val").
        split: "train", "val", "test" (its labels are hidden) or "test_w_ans".
        setting: "full"; the questions have no candidates of their own.
        images: the folder of the COCO 2017 pictures, in `{split}2017/{image_id:012d}.jpg` or directly in it; the root
            by default. Not used for pictures that a mirror holds itself.
        corpus: a CSV file with the columns `kid` and `text` as knowledge base; the benchmark itself has none.
        parquet: files of a mirror, instead of what the root holds. `direct_answers` may be a list, or a list written
            as Python text, which is parsed and never evaluated.
        pictures: False leaves the pictures out, as for scoring predictions that were made elsewhere.

    Returns:
        The benchmark. Missing labels (in "test" they are hidden), repeated ids and missing pictures are problems;
        questions that have one are left out.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: there is no such split or setting.

    Example:
        >>> import json, tempfile
        >>> root = Path(tempfile.mkdtemp())
        >>> row = {"question_id": "22Mex", "image_id": 299207, "question": "What is the man awaiting?",
        ...        "choices": ["train", "cab"], "correct_choice_idx": 1, "direct_answers": ["cab", "cab", "taxi"],
        ...        "difficult_direct_answer": False}
        >>> _ = (root / "aokvqa_v1p0_val.json").write_text(json.dumps([row]))
        >>> (example,) = open_aokvqa(root, split="val", pictures=False).questions()
        >>> example.answers, example.metadata["correct_choice"]
        (('cab', 'taxi'), 'cab')
    """
    check_choice("split of A-OKVQA", split, SPLITS)
    check_choice("setting of A-OKVQA", setting, SETTINGS)
    folder = existing_folder(root, f"It holds aokvqa_v1p0_{split}.json.")
    image_folder = existing_folder(folder if images is None else images, "It holds the COCO 2017 pictures.")
    official = folder / f"aokvqa_v1p0_{split}.json"
    advice = "A-OKVQA's files come from its website; a mirror has data/*.parquet."
    given = [parquet] if isinstance(parquet, (str, Path)) else list(parquet or ())
    tables = [existing_file([Path(path)], "Give the Parquet files of a mirror of A-OKVQA.") for path in given]
    if not tables and not official.is_file():
        tables = find_shards(folder / "data", _MIRRORED.get(split, split))
    files: dict[str, Path] = {f"questions {number}": path for number, path in enumerate(tables)}
    if not tables:
        files["questions"] = existing_file([official], advice)
    read_knowledge = None
    if corpus is not None:
        files["corpus"] = Path(corpus)
        read_knowledge = corpus_reader(files["corpus"])

    def picture(row: Mapping[str, Any]) -> tuple[ImageRef, ...]:
        if not pictures:
            return ()
        if row.get("image") is not None:
            return (picture_of_struct(row["image"], "image", image_folder),)
        name = f"{whole_number(row, 'image_id'):012d}.jpg"
        return (ImageRef(path=find_picture(image_folder, [f"{split.partition('_')[0]}2017/{name}", name])),)

    def questions(problems: list[Problem] | None) -> Iterator[QuestionExample]:
        rows = _mirrored_rows(tables, pictures) if tables else _official_rows(files["questions"])
        return _examples(rows, picture, split == "test", problems)

    return Benchmark(
        name="aokvqa",
        split=split,
        setting=setting,
        root=image_folder,
        files=files,
        read_questions=questions,
        read_knowledge=read_knowledge,
    )


def write_aokvqa_predictions(
    path: str | Path,
    *,
    multiple_choice: Mapping[str, str] | None = None,
    direct_answer: Mapping[str, str] | None = None,
) -> None:
    """Write predictions in the official form: an object of `multiple_choice` and `direct_answer` per question id.

    Args:
        path: the file.
        multiple_choice: question id to the text of the chosen choice (not its letter or number).
        direct_answer: question id to the answer. A question may be in one of the two only.

    Raises:
        ValueError: neither of the two is given.
        TypeError: a prediction is not a str.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "predictions_val.json")
        >>> write_aokvqa_predictions(file, multiple_choice={"22Mex": "cab"}, direct_answer={"22Mex": "taxi"})
        >>> file.read_text()
        '{"22Mex": {"multiple_choice": "cab", "direct_answer": "taxi"}}'
    """
    if multiple_choice is None and direct_answer is None:
        raise ValueError("Give multiple_choice, direct_answer or both; an empty file has no score.")
    predictions: dict[str, dict[str, str]] = {}
    for kind, given in (("multiple_choice", multiple_choice), ("direct_answer", direct_answer)):
        for name, answer in (given or {}).items():
            if not isinstance(name, str) or not isinstance(answer, str):
                raise TypeError(f"{kind} must map a str to a str, got {name!r}: {answer!r}.")
            predictions.setdefault(name, {})[kind] = answer
    write_json_file(path, predictions)


def parse_text_list(text: str) -> tuple[str, ...]:
    """The texts of a list that was written as Python text, as `"['cab', 'taxi']"`; nothing is evaluated.

    Args:
        text: the list as text.

    Raises:
        ValueError: it is anything else than a list of quoted texts with commas between them, or longer than 65,536
            characters.

    Example:
        >>> parse_text_list("['cab', \\"driver's cab\\"]")
        ('cab', "driver's cab")
        >>> parse_text_list("['cab' 'taxi']")
        Traceback (most recent call last):
        ...
        ValueError: expected a list of quoted texts with commas between them, found "['cab' 'taxi']"
    """
    stripped = text.strip()
    cause = f"expected a list of quoted texts with commas between them, found {stripped[:80]!r}"
    if not stripped.startswith("[") or len(stripped) > _MAX_LIST:
        raise ValueError(cause)
    try:
        tree = ast.parse(stripped, mode="eval").body
        # Python makes one text of two without a comma between them, as NumPy writes a list: so they are counted.
        num_quoted = sum(
            token.type == tokenize.STRING for token in tokenize.generate_tokens(io.StringIO(stripped).readline)
        )
    except (ValueError, SyntaxError, tokenize.TokenError, MemoryError, RecursionError) as error:
        raise ValueError(cause) from error
    entries = tree.elts if isinstance(tree, ast.List) else [tree]
    values = [entry.value if isinstance(entry, ast.Constant) else None for entry in entries]
    texts = tuple([value for value in values if isinstance(value, str)])
    if not len(texts) == len(values) == num_quoted:
        raise ValueError(cause)
    return texts


def _official_rows(file: Path) -> Iterator[_Row]:
    for number, row in iterate_json_entries(file):
        yield f"entry {number}", file, row


def _mirrored_rows(tables: list[Path], pictures: bool) -> Iterator[_Row]:
    labels = ("correct_choice_idx", "direct_answers", "rationales", "image_id")
    optional = (*labels, "image") if pictures else labels
    columns = ("question_id", "question", "choices", "difficult_direct_answer")
    for file, number, row in iterate_parquet_rows(tables, columns=columns, optional=optional):
        yield f"row {number}", file, row


def _examples(
    rows: Iterator[_Row],
    picture: Callable[[Mapping[str, Any]], tuple[ImageRef, ...]],
    may_be_hidden: bool,
    problems: list[Problem] | None,
) -> Iterator[QuestionExample]:
    seen = SeenIds()
    for place, file, row in rows:
        try:
            if not isinstance(row, dict):
                raise ValueError(f"expected an object, found {str(row)[:80]!r}")
            name = identifier(row, "question_id")
            place = f"{place} (question_id {name})"
            if not seen.add(name):
                raise ValueError("its question_id appears twice")
            metadata = _labels(row, may_be_hidden)
            example = QuestionExample(
                id=name,
                question=required_text(row, "question"),
                images=picture(row),
                answers=tuple(dict.fromkeys(text for text in metadata.get("direct_answers", ()) if text.strip())),
                metadata=metadata,
            )
        except (ValueError, TypeError) as error:
            report_problem(row_problem(place, file, error), problems)
            continue
        yield example


def _labels(row: Mapping[str, Any], may_be_hidden: bool) -> dict[str, Any]:
    choices = text_list(row, "choices")
    if len(choices) < 2:
        raise ValueError(f"field 'choices' must be a list of at least two texts, found {row.get('choices')!r}")
    metadata: dict[str, Any] = {"choices": choices}
    given = row.get("direct_answers")
    answers = parse_text_list(given) if isinstance(given, str) else text_list(row, "direct_answers")
    index = None if row.get("correct_choice_idx") is None else whole_number(row, "correct_choice_idx")
    if not answers and index is None and may_be_hidden:
        metadata["hidden_labels"] = True
    elif not answers or index is None:
        raise ValueError(f"it has no {'correct_choice_idx' if answers else 'direct_answers'}")
    elif index >= len(choices):
        raise ValueError(f"its correct_choice_idx is {index}, and it has {len(choices)} choices (counted from 0)")
    else:
        metadata |= {"correct_choice_idx": index, "correct_choice": choices[index], "direct_answers": answers}
    difficult = row.get("difficult_direct_answer")
    if isinstance(difficult, bool):
        metadata["difficult_direct_answer"] = difficult
    elif difficult is not None or not metadata.get("hidden_labels"):
        raise ValueError(f"field 'difficult_direct_answer' must be true or false, found {difficult!r}")
    if row.get("rationales"):
        metadata["rationales"] = text_list(row, "rationales")
    if row.get("image_id") is not None:
        metadata["image_id"] = whole_number(row, "image_id")
    return metadata
