"""ReMuQ: questions with a picture, made from WebQA, whose evidence is one passage of a corpus of texts.

A folder holds `<split>.json` (a list of rows), a corpus as CSV with the columns `kid` and `text`, and the pictures in
WebQA's `imgs.tsv` and `imgs.lineidx`. A row has `question_id`, `img_id`, `question`, `ctxs` (passages `id` and `text`,
the first of which is the right one) and `answers`, an object whose keys are the answers; `caption` and `negs` where
there are any. A caption is part of the question then, and is taken out of it.

What a question has in `metadata`:

- `image_id`: of WebQA.
- `context_ids`: ids of all its passages in the order of the file; `positive_ids` is the first.
- `caption`: what was taken out of the question. `negs`: as in the file.

There is no official scorer. Papers report MRR@5, P@k and R@k against the right passage, and whether a passage holds an
answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..knowledge_rablip import ImageRef, KnowledgeItem, QuestionExample
from ..readers_ids import SeenIds
from ..readers_records import Problem, iterate_json_entries, optional_text, report_problem
from ..readers_webqa import WebQAPictures
from .benchmark import Benchmark, Problems
from .choices import check_choice
from .corpora import corpus_reader
from .fields import identifier, readable, whole_number
from .opening import existing_file, existing_folder

__all__ = ["SETTINGS", "open_remuq"]

SETTINGS = ("full",)


def open_remuq(
    root: str | Path,
    *,
    split: str,
    setting: str = "full",
    questions: str | Path | None = None,
    corpus: str | Path | None = None,
    images: str | Path | None = None,
    pictures: bool = True,
) -> Benchmark:
    """Open one split of ReMuQ.

    Args:
        root: the folder of the data set.
        split: "train", "test", or what else its files are called.
        setting: "full": evidence is looked for in the whole corpus.
        questions: the file of the split; default `<split>.json` in the root.
        corpus: the CSV file of passages; default the one file in the root with "corpus" in its name.
        images: the folder of `imgs.tsv` and `imgs.lineidx`, which are WebQA's; default the root.
        pictures: False leaves the pictures of the questions out.

    Returns:
        The benchmark. Malformed rows, repeated ids, pictures that are missing or damaged and right passages that the
        corpus does not hold are `problems`.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: there is no such setting, or it is unclear which file is the corpus.

    Example:
        >>> import json, tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> row = {"question_id": 7, "img_id": 30000000, "question": "When did it open?", "answers": {"1889": 1},
        ...        "ctxs": [{"id": 3, "text": "It opened in 1889."}]}
        >>> _ = (folder / "test.json").write_text(json.dumps([row]))
        >>> _ = (folder / "corpus.csv").write_text("kid,text\\n3,It opened in 1889.\\n")
        >>> benchmark = open_remuq(folder, split="test", pictures=False)
        >>> [(question.positive_ids, question.answers) for question in benchmark.questions()]
        [(('3',), ('1889',))]
    """
    check_choice("setting of ReMuQ", setting, SETTINGS)
    folder = existing_folder(root, "It holds <split>.json and a corpus as CSV.")
    asked = Path(questions) if questions is not None else folder / f"{split}.json"
    file = existing_file([asked], "It holds the questions of ReMuQ as a JSON list.")
    passages = existing_file([_find_corpus(folder) if corpus is None else Path(corpus)], "It holds kid,text.")
    read_corpus = corpus_reader(passages)
    place = folder if images is None else Path(images)
    files = {"questions": file, "corpus": passages}
    if pictures:
        for role, name in (("pictures", "imgs.tsv"), ("picture_offsets", "imgs.lineidx")):
            files[role] = existing_file(
                [place / name], "ReMuQ's pictures are WebQA's; give their folder as `images`, or pass pictures=False."
            )

    def read_questions(problems: Problems) -> Iterator[QuestionExample]:
        opened = WebQAPictures(files["pictures"], files["picture_offsets"]) if pictures else None
        return _questions(file, opened, problems)

    def read_knowledge(problems: Problems) -> Iterator[KnowledgeItem]:
        return _knowledge(read_corpus(problems), file, passages, problems)

    return Benchmark(
        name="remuq",
        split=split,
        setting=setting,
        root=place,
        files=files,
        read_questions=read_questions,
        read_knowledge=read_knowledge,
    )


def _find_corpus(folder: Path) -> Path:
    found = sorted(path for path in folder.glob("*.csv*") if "corpus" in path.name.lower())
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise ValueError(f"{folder} has several files that may be the corpus: {names}. Say which with `corpus`.")
    return found[0] if found else folder / "corpus.csv"


def _questions(file: Path, pictures: WebQAPictures | None, problems: Problems) -> Iterator[QuestionExample]:
    seen = SeenIds()
    try:
        for number, row in iterate_json_entries(file):
            try:
                question = _read(row, pictures)
                if not seen.add(question.id):
                    raise ValueError(f"the question_id {question.id!r} is that of an earlier row")
            except (ValueError, TypeError, KeyError) as error:
                report_problem(Problem(f"row {number}", str(file), str(error.args[0])), problems)
                continue
            yield question
    finally:
        if pictures is not None:
            pictures.close()


def _read(row: Any, pictures: WebQAPictures | None) -> QuestionExample:
    if not isinstance(row, dict):
        raise ValueError(f"expected an object, found {str(row)[:40]!r}")
    contexts = row.get("ctxs")
    if not isinstance(contexts, list) or not contexts or not all(isinstance(entry, dict) for entry in contexts):
        raise ValueError(f"ctxs must be a list of passages, found {str(contexts)[:40]!r}")
    ids = tuple([identifier(entry, "id") for entry in contexts])
    image_id = whole_number(row, "img_id")
    metadata: dict[str, Any] = {"image_id": str(image_id), "context_ids": ids}
    words, caption = optional_text(row, "question") or "", optional_text(row, "caption")
    if caption is not None:
        words = words.replace(caption, "")
        metadata["caption"] = caption
    if row.get("negs") is not None:
        metadata["negs"] = row["negs"]
    return QuestionExample(
        id=identifier(row, "question_id"),
        question=readable(words.strip(), "question"),
        images=() if pictures is None else (ImageRef(data=pictures.read(image_id)),),
        answers=_answers(row),
        positive_ids=ids[:1],
        metadata=metadata,
    )


def _answers(row: Mapping[str, Any]) -> tuple[str, ...]:
    answers = row.get("answers")
    if not isinstance(answers, dict) or not answers:
        raise ValueError(f"answers must be an object with the answers as keys, found {str(answers)[:40]!r}")
    return tuple([readable(answer, "answers") for answer in answers])


def _knowledge(
    items: Iterator[KnowledgeItem], questions: Path, corpus: Path, problems: Problems
) -> Iterator[KnowledgeItem]:
    """The passages, and then which right ones are missing."""
    met = SeenIds()
    for item in items:
        met.add(item.id)
        yield item
    told = SeenIds()
    for number, row in iterate_json_entries(questions):
        try:
            name = _read(row, None).positive_ids[0]
        except (ValueError, TypeError):
            continue  # reported where the questions are read
        if name not in met and told.add(name):
            cause = f"the passage of question row {number} is not in the corpus"
            report_problem(Problem(name, str(corpus), cause), problems)
