"""WebQA: its questions among their own facts, or among all facts of the data set.

A folder holds `WebQA_train_val.json`, `WebQA_test.json`, `imgs.tsv` and `imgs.lineidx`. Splits are train, val and
test. Settings are `"distractor"`, where evidence is looked for among the question's own facts of both modalities, and
`"full"`, where it is looked for among all pictures and all text snippets, of which those with the same `fact` are one
item (544,489 texts and 389,750 pictures in the release).

What a question has in `metadata`:

- `split`, `topic`: as in the file. `category` of the question is `Qcate`.
- `keywords`: `Keywords_A`, which the official accuracy needs; absent where the file has none or says "TBD".
- `hidden_labels`: True in the test form, where neither answers nor positive facts are known.
- `candidate_ids` (distractor): ids of the pool, pictures first; in an order that says nothing about the labels.
- `facts` (full): fact string by snippet id, of the question's own text facts. `source_ids` needs it.

Words are left as they are in the file, HTML entities included: texts are compared and scored as they stand.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..item_keys import make_id_key
from ..knowledge_rablip import KnowledgeItem, QuestionExample
from ..readers_ids import SeenIds
from ..readers_records import Problem, ReaderError, report_problem
from ..readers_webqa import FIRST_IMAGE_ID, WebQAPictures
from ..readers_webqa_records import image_record_to_item
from .benchmark import Benchmark, Problems
from .choices import check_choice
from .truncated_pictures import mend_pictures
from .webqa_records import SPLITS, WebQARecord, iterate_webqa_records

__all__ = ["DUMMY_SOURCE", "SETTINGS", "SPLITS", "open_webqa", "source_ids"]

SETTINGS = ("distractor", "full")
# What stands in a submission for a retrieved text that is none of the question's own.
DUMMY_SOURCE = "dummy"
_QUESTION_FILES = {"train": "WebQA_train_val.json", "val": "WebQA_train_val.json", "test": "WebQA_test.json"}
_PICTURES, _OFFSETS = "imgs.tsv", "imgs.lineidx"


def open_webqa(
    root: str | Path,
    *,
    split: str,
    setting: str,
    max_candidates: int | None = None,
    pictures: bool = True,
    mend_truncated: bool = False,
) -> Benchmark:
    """Open one split of WebQA in one setting.

    Args:
        root: the WebQA folder.
        split: "train", "val" or "test".
        setting: "distractor" or "full".
        max_candidates: most candidates of either modality in the distractor setting; the official baseline takes 16.
            Positives are kept, and of the others as many as fit, drawn by a hash of their ids. None for all.
        pictures: whether pictures are read; False gives their captions as texts, and needs no `imgs.tsv`.
        mend_truncated: whether a picture file that is cut off is used as far as it goes, as the official code does;
            see `mend_pictures`. False leaves it as it is, and opening it fails.

    Returns:
        The benchmark. `knowledge()` raises FileNotFoundError where `imgs.tsv` or `imgs.lineidx` is missing; of the
        full pool, a JSON file that is missing is one of the `problems`.

    Raises:
        FileNotFoundError: the file of the split is missing.
        ValueError: an argument is none of those above.

    Example:
        >>> import json, tempfile
        >>> facts = {"img_posFacts": [], "img_negFacts": [], "txt_negFacts": []}
        >>> facts["txt_posFacts"] = [{"snippet_id": "q1_0", "fact": "It opened in 1889.", "title": "Harbor"}]
        >>> record = {"split": "val", "Qcate": "text", "Q": "When?", "A": ["In 1889."], **facts}
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "WebQA_train_val.json").write_text(json.dumps({"q1": record}))
        >>> benchmark = open_webqa(folder, split="val", setting="distractor", pictures=False)
        >>> [question.metadata["candidate_ids"] for question in benchmark.questions()]
        [('q1_0',)]
        >>> [item.text for item in benchmark.knowledge()]
        ['It opened in 1889.']
    """
    folder = Path(root)
    check_choice("split of WebQA", split, SPLITS)
    check_choice("setting of WebQA", setting, SETTINGS)
    if max_candidates is not None and (setting != "distractor" or max_candidates < 1):
        raise ValueError(
            f"max_candidates must be a positive number in the distractor setting, got {max_candidates} with setting "
            f"{setting!r}. Leave it out for all candidates."
        )
    file = folder / _QUESTION_FILES[split]
    if not file.is_file():
        raise FileNotFoundError(
            f"There is no file {file}. A WebQA folder holds {', '.join(sorted(set(_QUESTION_FILES.values())))}, "
            f"{_PICTURES} and {_OFFSETS}."
        )
    files = {"questions": file}
    pool = [file]
    if setting == "full":  # in one order, so that every split has the same items
        pool = [folder / name for name in dict.fromkeys(_QUESTION_FILES.values())]
        files |= {f"facts of {path.stem}": path for path in pool}
    if pictures:
        files |= {"pictures": folder / _PICTURES, "picture_offsets": folder / _OFFSETS}

    def read_questions(problems: Problems) -> Iterator[QuestionExample]:
        return _questions(file, split, setting, max_candidates, problems)

    def read_knowledge(problems: Problems) -> Iterator[KnowledgeItem]:
        opened = _open_pictures(folder) if pictures else None
        items = _knowledge(pool, split if setting == "distractor" else None, opened, problems)
        return mend_pictures(items, root=folder, problems=problems) if mend_truncated else items

    return Benchmark(
        name="webqa",
        split=split,
        setting=setting,
        root=folder,
        files={role: path for role, path in files.items() if path.is_file()},
        read_questions=read_questions,
        read_knowledge=read_knowledge,
        name_item=_name_by_fact if setting == "full" else None,
    )


def _name_by_fact(question: QuestionExample, item: KnowledgeItem) -> str:
    """The own snippet id of a text that stands for all equal ones; a right one, where there are any."""
    if item.text is None:
        return item.id
    own = [snippet_id for snippet_id, fact in question.metadata["facts"].items() if fact == item.text]
    return next((name for name in own if name in question.positive_ids), own[0] if own else item.id)


def source_ids(facts: Mapping[str, str], hits: Iterable[KnowledgeItem]) -> list[int | str]:
    """Return what a submission calls the items that were retrieved for a question in the full setting.

    A text of the full pool stands for every snippet with that fact, whatever its id, so it is matched with the
    question's own by equality of the text. The server scores ids: one that is not the question's never counts.

    Args:
        facts: `metadata["facts"]` of the question.
        hits: the items retrieved, best first.

    Returns:
        For a picture its id as an int; for a text the question's own snippet ids with that fact, or the filler
        `"dummy"` where it has none. No id appears twice; the filler once for each text that it stands for.

    Raises:
        ValueError: a hit is neither a text nor has an image id of WebQA.

    Example:
        >>> hits = [KnowledgeItem(id="q7_3", text="It opened in 1889."), KnowledgeItem(id="q9_0", text="A boat.")]
        >>> source_ids({"q1_4": "It opened in 1889.", "q1_5": "It is red."}, hits)
        ['q1_4', 'dummy']
    """
    found: list[int | str] = []
    for hit in hits:
        own: list[int | str]
        if hit.text is not None:
            own = [snippet_id for snippet_id, fact in facts.items() if fact == hit.text]
            found += [snippet_id for snippet_id in own if snippet_id not in found] if own else [DUMMY_SOURCE]
        elif hit.id.isascii() and hit.id.isdigit() and int(hit.id) >= FIRST_IMAGE_ID:
            found += [int(hit.id)] if int(hit.id) not in found else []
        else:
            raise ValueError(
                f"The hit {hit.id!r} is neither a text nor a picture of WebQA, whose ids are numbers from "
                f"{FIRST_IMAGE_ID} on. Pass items of the benchmark's knowledge."
            )
    return found


def _open_pictures(folder: Path) -> WebQAPictures:
    for name in (_PICTURES, _OFFSETS):
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"There is no file {folder / name}, which holds WebQA's pictures. Unpack imgs.7z.001 and those "
                "after it there, or pass pictures=False to read the captions alone."
            )
    return WebQAPictures(folder / _PICTURES, folder / _OFFSETS)


def _questions(
    file: Path, split: str, setting: str, max_candidates: int | None, problems: Problems
) -> Iterator[QuestionExample]:
    count = 0
    for record in iterate_webqa_records(file, split=split, problems=problems):
        count += 1
        yield _with_metadata(record, setting, max_candidates)
    if not count:
        raise ReaderError(f"{file}: it holds no usable question of the split {split!r}")


def _with_metadata(record: WebQARecord, setting: str, max_candidates: int | None) -> QuestionExample:
    question = record.question
    metadata: dict[str, Any] = {key: value for key, value in question.metadata.items() if key != "candidate_ids"}
    if setting == "full":
        metadata["facts"] = {item.id: item.text for item in record.texts}
    else:
        pictures = [str(image_id) for image_id, _ in record.images]
        texts = [item.id for item in record.texts]
        metadata["candidate_ids"] = tuple(
            name for pool in (pictures, texts) for name in _choose(pool, question, max_candidates)
        )
    return replace(question, metadata=metadata)


def _choose(pool: list[str], question: QuestionExample, most: int | None) -> list[str]:
    """The candidates of one modality, drawn and ordered by a hash of their ids: the file's order may tell labels."""
    positives = [name for name in pool if name in question.positive_ids]
    others = sorted((name for name in pool if name not in question.positive_ids), key=make_id_key)
    room = None if most is None else max(0, most - len(positives))
    return sorted([*positives, *others[:room]], key=make_id_key)


def _knowledge(
    files: list[Path], split: str | None, pictures: WebQAPictures | None, problems: Problems
) -> Iterator[KnowledgeItem]:
    """The facts of one split, or, where it is None, of all, equal texts once and with the pictures that none lists."""
    seen_images, seen_facts = SeenIds(), SeenIds()
    try:
        for file in files:
            if not file.is_file():
                _report_missing(file, problems)
                continue
            for record in iterate_webqa_records(file, split=split, problems=problems):
                for image_id, fact in record.images:
                    if seen_images.add(str(image_id)):
                        yield from _picture(image_id, fact, pictures, file, problems)
                for item in record.texts:
                    if split is not None or seen_facts.add(item.text or ""):
                        yield item
        if split is None and pictures is not None:
            for image_id in range(FIRST_IMAGE_ID, FIRST_IMAGE_ID + len(pictures)):
                if str(image_id) not in seen_images:
                    yield from _picture(image_id, {}, pictures, pictures.tsv_path, problems)
    finally:
        if pictures is not None:
            pictures.close()


def _report_missing(file: Path, problems: Problems) -> None:
    cause = "missing: the full knowledge of WebQA is made of the facts that both of its JSON files list"
    if problems is None:
        raise FileNotFoundError(f"{file} is {cause}. Put it there, or pass a list of problems to read what is there.")
    problems.append(Problem(file.name, str(file), cause))


def _picture(
    image_id: int, fact: Mapping[str, Any], pictures: WebQAPictures | None, file: Path, problems: list[Problem] | None
) -> Iterator[KnowledgeItem]:
    try:
        data = None if pictures is None else pictures.read(image_id)
        yield image_record_to_item(fact, image_id, data)
    except (KeyError, ValueError) as error:
        where = file if pictures is None else pictures.tsv_path
        report_problem(Problem(str(image_id), str(where), str(error.args[0])), problems)
