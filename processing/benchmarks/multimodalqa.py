"""MultimodalQA (MMQA): questions over paragraphs, tables and pictures, among their own context or among all.

A folder, or its sub-folder `dataset`, holds `MMQA_{train,dev,test}` and `MMQA_{texts,tables,images}` as `.jsonl` or
`.jsonl.gz`; the names `MultiModalQA_*`, and `texts`, `tables`, `images` alone, are known too. Pictures are in
`final_dataset_images`. Questions can be read without any of the documents. In the distractor setting `knowledge()`
gives the documents that the questions list, in the full setting all there are; either way a document that a question
lists and no file has is one of the `problems`.

Of a question: `category` is its type, one of 16; `answers` are the parts of one answer, all asked for where there are
several, each as the official scorer compares it (`str()` of the value, so that numbers read "300.0"). Outer white
space of a question is dropped. What it has in `metadata`:

- `candidate_ids`: its own paragraphs, pictures and table, in this order, within a modality in an order that says
  nothing about the labels; `candidate_modalities` says of each "text", "image" or "table".
- `hop` ("single" or "multi"), `answer_modality`, `answer_type` ("string", "yesno" or "number"): what the official
  scores are divided by.
- `all_answers`: True where there are several answers: they are asked for together, and are no alternatives.
- `modalities`: of the steps, as the file lists them. `positive_modalities`: of each of `positive_ids`.
- `intermediate_answers`: of the steps before the last, a tuple of answers each.
- `question_entities`, `answer_entities`: names of the Wikipedia entities.
- `outside_context`: positive ids that are not among the question's own documents (one question of dev).
- `hidden_labels`: True in the test split, where there is only `candidate_ids` and `candidate_modalities` beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from ..knowledge_rablip import KnowledgeItem, QuestionExample
from ..readers_ids import SeenIds
from ..readers_records import Problem, ReaderError, report_problem
from .benchmark import Benchmark, Problems
from .choices import check_choice
from .multimodalqa_documents import read_multimodalqa_images, read_multimodalqa_tables, read_multimodalqa_texts
from .multimodalqa_questions import MODALITIES, read_multimodalqa_questions
from .truncated_pictures import mend_pictures

__all__ = ["SETTINGS", "SPLITS", "SUBSETS", "TABLE_CHARACTERS", "open_multimodalqa"]

SPLITS = ("train", "dev", "test")
SETTINGS = ("distractor", "full")
# The parts that papers report: MuRAG takes TextQ and ImageQ, RAMQA what needs text and pictures only, RagVL ImageQ.
SUBSETS = ("murag", "ramqa", "ragvl")
# About 2,000 tokens: the default budget of a table.
TABLE_CHARACTERS = 8000
_FAMILIES = ("MMQA_", "MultiModalQA_")
_FILES = {"text": "texts", "table": "tables", "image": "images"}


def open_multimodalqa(
    root: str | Path,
    *,
    split: str,
    setting: str,
    subset: str | None = None,
    modalities: Sequence[str] = MODALITIES,
    images: str | Path | None = None,
    pictures: bool = True,
    mend_truncated: bool = False,
    table_characters: int | None = TABLE_CHARACTERS,
) -> Benchmark:
    """Open one split of MultimodalQA in one setting.

    Args:
        root: the folder of the data set.
        split: "train", "dev" or "test".
        setting: "distractor" or "full".
        subset: "murag" (types TextQ and ImageQ), "ramqa" (what needs text, pictures, or both, and no table), "ragvl"
            (type ImageQ), or None for all. The test split does not say its types and has none.
        modalities: which documents are candidates and knowledge: any of "text", "image" and "table".
        images: folder of the picture files; default `final_dataset_images` in the root.
        pictures: whether pictures are read; False gives their titles as texts, and needs no picture files.
        mend_truncated: whether a picture file that is cut off is used as far as it goes; see `mend_pictures`.
        table_characters: longest text of a table; see `linearize_table`. None for all rows.

    Returns:
        The benchmark. Its `root` is the folder of the pictures. `knowledge()` raises FileNotFoundError where a file
        of documents or the folder of pictures is missing; names all that are.

    Raises:
        FileNotFoundError: the file of the split is missing.
        ValueError: an argument is none of those above.

    Example:
        >>> import json, tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> context = {"text_doc_ids": ["t1"], "image_doc_ids": [], "table_id": "b1"}
        >>> row = {"qid": "q1", "question": "When did it open?", "metadata": context}
        >>> _ = (folder / "MMQA_test.jsonl").write_text(json.dumps(row))
        >>> benchmark = open_multimodalqa(folder, split="test", setting="distractor")
        >>> [question.metadata["candidate_ids"] for question in benchmark.questions()]
        [('t1', 'b1')]
    """
    folder = Path(root)
    check_choice("split of MultimodalQA", split, SPLITS)
    check_choice("setting of MultimodalQA", setting, SETTINGS)
    if isinstance(modalities, str) or not modalities:
        raise ValueError(f"modalities must be a list of {', '.join(MODALITIES)}, got {modalities!r}.")
    for modality in modalities:
        check_choice("modality of MultimodalQA", modality, MODALITIES)
    if subset is not None:
        check_choice("subset of MultimodalQA", subset, SUBSETS)
        if split == "test":
            raise ValueError(f"The test split does not say its question types, so the subset {subset!r} is not known.")
    folders = (folder, folder / "dataset")
    file = _find(folders, [f"{family}{split}" for family in _FAMILIES])
    if file is None:
        raise FileNotFoundError(
            f"There is no file {_FAMILIES[0]}{split}.jsonl or .jsonl.gz in {folder} or its sub-folder dataset. "
            "Download the files of github.com/allenai/multimodalqa there."
        )
    documents = {
        modality: _find(folders, [f"{family}{_FILES[modality]}" for family in (*_FAMILIES, "")])
        for modality in MODALITIES
        if modality in modalities
    }
    picture_folder = folder / "final_dataset_images" if images is None else Path(images)

    def read_questions(problems: Problems) -> Iterator[QuestionExample]:
        return _questions(file, split, setting, subset, modalities, problems)

    def read_knowledge(problems: Problems) -> Iterator[KnowledgeItem]:
        found = _check_files(documents, folder, picture_folder if pictures else None)
        readers: dict[str, Callable[..., Iterator[KnowledgeItem]]] = {
            "text": read_multimodalqa_texts,
            "image": partial(read_multimodalqa_images, folder=picture_folder if pictures else None),
            "table": partial(read_multimodalqa_tables, max_characters=table_characters),
        }
        asked = _questions(file, split, "distractor", subset, modalities, problems)
        items = _knowledge(asked, found, readers, setting, problems)
        return mend_pictures(items, root=picture_folder, problems=problems) if mend_truncated else items

    return Benchmark(
        name="multimodalqa",
        split=split,
        setting=setting,
        root=picture_folder,
        files={"questions": file} | {_FILES[role]: path for role, path in documents.items() if path is not None},
        read_questions=read_questions,
        read_knowledge=read_knowledge,
    )


def _find(folders: Sequence[Path], stems: Sequence[str]) -> Path | None:
    names = [f"{stem}.jsonl{ending}" for stem in stems for ending in ("", ".gz")]
    return next((folder / name for folder in folders for name in names if (folder / name).is_file()), None)


def _check_files(documents: Mapping[str, Path | None], folder: Path, pictures: Path | None) -> dict[str, Path]:
    found = {modality: path for modality, path in documents.items() if path is not None}
    missing = [f"{_FAMILIES[0]}{_FILES[modality]}.jsonl[.gz]" for modality in documents if modality not in found]
    if "image" in documents and pictures is not None and not pictures.is_dir():
        missing.append(f"the folder of pictures {pictures} (or pass pictures=False to read their titles alone)")
    if missing:
        raise FileNotFoundError(
            f"The knowledge of MultimodalQA cannot be read: in {folder} is missing {', '.join(missing)}. Put it "
            "there, or choose with `modalities` what is read."
        )
    return found


def _questions(
    file: Path, split: str, setting: str, subset: str | None, modalities: Sequence[str], problems: Problems
) -> Iterator[QuestionExample]:
    count = 0
    for question in read_multimodalqa_questions(file, labelled=split != "test", problems=problems):
        if subset is None or _is_in(question, subset):
            count += 1
            yield _with_pool(question, setting, modalities)
    if not count:
        raise ReaderError(f"{file}: it holds no usable question" + (f" of the subset {subset!r}" if subset else ""))


def _is_in(question: QuestionExample, subset: str) -> bool:
    if subset == "ramqa":
        return set(question.metadata["modalities"]) in ({"text"}, {"image"}, {"text", "image"})
    return question.category in (("TextQ", "ImageQ") if subset == "murag" else ("ImageQ",))


def _with_pool(question: QuestionExample, setting: str, modalities: Sequence[str]) -> QuestionExample:
    metadata = dict(question.metadata)
    ids, kinds = metadata.pop("candidate_ids"), metadata.pop("candidate_modalities")
    pool = {name: kind for name, kind in zip(ids, kinds, strict=True) if kind in modalities}
    if setting == "distractor":
        metadata |= {"candidate_ids": tuple(pool), "candidate_modalities": tuple(pool.values())}
    negatives = tuple(name for name in question.negative_ids if name in pool)
    return replace(question, negative_ids=negatives, metadata=metadata)


def _knowledge(
    asked: Iterator[QuestionExample],
    files: Mapping[str, Path],
    readers: Mapping[str, Callable[..., Iterator[KnowledgeItem]]],
    setting: str,
    problems: Problems,
) -> Iterator[KnowledgeItem]:
    """The documents of the files, and what the questions list that is not there."""
    wanted: dict[str, set[str]] = {modality: set() for modality in files}
    for question in asked:
        kinds = (*question.metadata["candidate_modalities"], *question.metadata.get("positive_modalities", ()))
        for name, kind in zip((*question.metadata["candidate_ids"], *question.positive_ids), kinds, strict=True):
            if kind in wanted:
                wanted[kind].add(name)
    for modality, path in files.items():
        met = SeenIds()
        only = wanted[modality] if setting == "distractor" else None
        yield from readers[modality](path, only=only, met=met, problems=problems)
        for name in sorted(name for name in wanted[modality] if name not in met):
            report_problem(Problem(name, str(path), f"a question lists this {modality}, and no row has it"), problems)
