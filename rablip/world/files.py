"""Worlds on disk: the WebQA files for what WebQA can hold, rablip's own JSONL for the rest.

A world's folder holds:

- `WebQA_train_val.json`, `imgs.tsv`, `imgs.lineidx`: single-hop questions whose evidence is one picture or one text,
  exactly as WebQA writes them. WebQA's snippet ids belong to one question, so one text item has another snippet id
  under every question that lists it; all of them carry the item's address as `url`, and reading maps them back by it.
- `webqa_extras.jsonl`: per WebQA question what its record cannot hold: the metadata and all `negative_ids` (WebQA has
  no items with picture and text).
- `knowledge.jsonl`, `questions.jsonl`, `pictures/`: the other items and questions in rablip's JSONL format.
- `world.json`: seed, knobs, version, and the order of items and questions.
"""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ..processing.knowledge_rablip import ImageRef, KnowledgeItem, Modality, QuestionExample
from ..processing.readers_jsonl import item_to_row, question_to_row, read_jsonl, read_questions_jsonl
from ..processing.readers_webqa import read_webqa_knowledge, read_webqa_questions
from .catalog import FIRST_IMAGE_ID, SOURCE
from .knobs import PICTURE_KINDS, WorldKnobs
from .version import WORLD_VERSION
from .world import World

__all__ = ["WORLD_FILES", "read_world", "write_world"]

logger = logging.getLogger(__name__)

WORLD_FILES: tuple[str, ...] = (
    "world.json",
    "WebQA_train_val.json",
    "imgs.tsv",
    "imgs.lineidx",
    "webqa_extras.jsonl",
    "knowledge.jsonl",
    "questions.jsonl",
)
_FORMAT_VERSION = 1


def write_world(world: World, out: str | Path) -> Path:
    """Write a world into a new folder (see the module for its files) and return the folder.

    Raises:
        FileExistsError: when the folder exists and is not empty.

    Example:
        >>> import tempfile
        >>> from rablip.world import make_world
        >>> folder = write_world(make_world(0, 4), tempfile.mkdtemp())
        >>> read_world(folder) == make_world(0, 4)
        True
    """
    folder = Path(out)
    if folder.is_dir() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty. Give a new folder, so that no file of another world remains.")
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    items = {item.id: item for item in world.items}
    webqa = [question for question in world.questions if _fits_webqa(question, items)]
    records = {question.id: _webqa_record(question, items, world.split) for question in webqa}
    _write_text(folder / "WebQA_train_val.json", json.dumps(records, indent=1) + "\n")
    _write_pictures(folder, [item for item in world.items if item.modality is Modality.IMAGE])
    _write_lines(folder / "webqa_extras.jsonl", map(_extras_row, webqa))

    listed = {item_id for question in webqa for item_id in (*question.positive_ids, *question.negative_ids)}
    listed = {item_id for item_id in listed if items[item_id].modality is not Modality.IMAGE_TEXT}
    others = (item for item in world.items if item.id not in listed)
    _write_lines(folder / "knowledge.jsonl", (item_to_row(_with_file(item, folder)) for item in others))
    asked = {question.id for question in webqa}
    rest = (question for question in world.questions if question.id not in asked)
    _write_lines(folder / "questions.jsonl", (question_to_row(_with_files(question, folder)) for question in rest))
    header = {
        "format_version": _FORMAT_VERSION,
        "world_version": WORLD_VERSION,
        "seed": world.seed,
        "num_entities": world.num_entities,
        "split": world.split,
        "knobs": asdict(world.knobs),
        "item_ids": [item.id for item in world.items],
        "question_ids": [question.id for question in world.questions],
    }
    _write_text(folder / "world.json", json.dumps(header, indent=1) + "\n")  # last: a folder without it is unfinished
    return folder


def read_world(folder: str | Path) -> World:
    """Read a world that `write_world` wrote; its `entities` are empty, all else is equal.

    Raises:
        FileNotFoundError: when one of the files is missing.
        ValueError: when the files do not belong together (the message names the ids), or have another format version.
    """
    folder = Path(folder)
    missing = [name for name in WORLD_FILES if not (folder / name).is_file()]
    if missing:
        raise FileNotFoundError(f"{folder} is no complete world: {', '.join(missing)} missing. Write it again.")
    header = json.loads((folder / "world.json").read_text(encoding="utf-8"))
    if header.get("format_version") != _FORMAT_VERSION:
        raise ValueError(
            f"{folder / 'world.json'} has format_version {header.get('format_version')!r}, this code reads "
            f"{_FORMAT_VERSION}. Write the world again."
        )
    if header["world_version"] != WORLD_VERSION:
        logger.warning(
            "%s was written by world version %s, this is %s: figures of the two cannot be compared.",
            folder,
            header["world_version"],
            WORLD_VERSION,
        )
    items = {item.id: item for item in _read_items(folder)}
    questions = {question.id: question for question in _read_questions(folder)}
    return World(
        seed=header["seed"],
        num_entities=header["num_entities"],
        split=header["split"],
        knobs=WorldKnobs(**header["knobs"]),
        items=_in_order(items, header["item_ids"], folder, "item"),
        questions=_in_order(questions, header["question_ids"], folder, "question"),
    )


def _in_order(found: Mapping[str, Any], ids: list[str], folder: Path, what: str) -> list[Any]:
    if set(found) != set(ids):
        wrong = sorted(set(found) ^ set(ids))
        raise ValueError(
            f"{folder}: world.json lists {len(ids)} {what}s, the other files hold {len(found)}; in one of them only: "
            f"{wrong[:5]}. Write the world again."
        )
    return [found[name] for name in ids]


def _fits_webqa(question: QuestionExample, items: Mapping[str, KnowledgeItem]) -> bool:
    single_hop = question.category in (*PICTURE_KINDS, "text") and len(question.positive_ids) == 1
    return single_hop and items[question.positive_ids[0]].modality is not Modality.IMAGE_TEXT


def _webqa_record(question: QuestionExample, items: Mapping[str, KnowledgeItem], split: str) -> dict[str, Any]:
    record: dict[str, Any] = {
        "Guid": question.id,
        "split": "train" if split == "train" else "val",
        "Qcate": question.category,
        "topic": items[question.positive_ids[0]].title,
        "Q": f'"{question.question}"',
        "A": [f'"{answer}"' for answer in question.answers],
    }
    facts: dict[str, list[dict[str, Any]]] = {}
    number = 0
    for role, ids in (("pos", question.positive_ids), ("neg", question.negative_ids)):
        facts[f"img_{role}Facts"], facts[f"txt_{role}Facts"] = [], []
        for item in (items[item_id] for item_id in ids):
            if item.modality is Modality.IMAGE:
                facts[f"img_{role}Facts"].append(_image_fact(item))
            elif item.modality is Modality.TEXT:
                facts[f"txt_{role}Facts"].append(_text_fact(item, f"{question.id}_{number}"))
                number += 1
    return record | facts


def _image_fact(item: KnowledgeItem) -> dict[str, Any]:
    picture = f"https://world.invalid/pictures/{item.id}.png"
    fact = {"image_id": int(item.id), "title": item.title, "caption": item.caption, "url": item.source}
    return fact | {"imgUrl": picture}


def _text_fact(item: KnowledgeItem, snippet_id: str) -> dict[str, Any]:
    return {"snippet_id": snippet_id, "title": item.title, "fact": item.text, "url": item.source}


def _write_pictures(folder: Path, items: list[KnowledgeItem]) -> None:
    offsets: list[int] = []
    with (folder / "imgs.tsv").open("wb") as file:
        for row, item in enumerate(items):
            if int(item.id) != FIRST_IMAGE_ID + row:
                raise ValueError(
                    f"Picture {item.id} would be row {row} of imgs.tsv, where WebQA looks for {FIRST_IMAGE_ID + row}. "
                    "Write a world that make_world made."
                )
            offsets.append(file.tell())
            data = _bytes_of(item.image)
            file.write(item.id.encode("ascii") + b"\t" + base64.b64encode(data) + b"\n")
    _write_text(folder / "imgs.lineidx", "".join(f"{offset}\n" for offset in offsets))


def _extras_row(question: QuestionExample) -> dict[str, Any]:
    return {"id": question.id, "negative_ids": list(question.negative_ids), "metadata": dict(question.metadata)}


def _bytes_of(image: ImageRef | None) -> bytes:
    if image is None or image.data is None:
        raise ValueError(
            "A world's pictures are PNG files in memory; this one has none. Use make_world or read_world."
        )
    return image.data


def _save(image: ImageRef | None, name: str, folder: Path) -> ImageRef:
    path = f"pictures/{name}.png"
    (folder / path).write_bytes(_bytes_of(image))
    return ImageRef(path=path)


def _with_file(item: KnowledgeItem, folder: Path) -> KnowledgeItem:
    return item if item.image is None else replace(item, image=_save(item.image, item.id, folder))


def _with_files(question: QuestionExample, folder: Path) -> QuestionExample:
    return replace(question, images=tuple(_save(image, question.id, folder) for image in question.images))


def _load(image: ImageRef | None, folder: Path) -> ImageRef | None:
    if image is None or image.path is None:
        return image
    path = (folder / image.path).resolve()
    if not path.is_relative_to((folder / "pictures").resolve()):
        raise ValueError(f"The picture {image.path!r} lies outside {folder / 'pictures'}. Write the world again.")
    return ImageRef(data=path.read_bytes())


def _read_items(folder: Path) -> Iterator[KnowledgeItem]:
    files = (folder / "imgs.tsv", folder / "imgs.lineidx")
    for item in read_webqa_knowledge(folder / "WebQA_train_val.json", *files):
        yield replace(item, id=_item_id(item))
    for item in read_jsonl(folder / "knowledge.jsonl"):
        yield replace(item, image=_load(item.image, folder))


def _item_id(item: KnowledgeItem) -> str:
    if not (item.source or "").startswith(SOURCE):
        raise ValueError(f"The WebQA fact {item.id} has the url {item.source!r}, expected {SOURCE}<item id>.")
    return (item.source or "").removeprefix(SOURCE)


def _read_questions(folder: Path) -> Iterator[QuestionExample]:
    webqa = folder / "WebQA_train_val.json"
    # Without the picture files only the text snippets are read.
    snippets = {item.id: _item_id(item) for item in read_webqa_knowledge(webqa, None, None)}
    rows = map(json.loads, (folder / "webqa_extras.jsonl").read_text(encoding="utf-8").splitlines())
    extras = {row["id"]: row for row in rows}
    for question in read_webqa_questions(webqa):
        extra = extras[question.id]
        yield replace(
            question,
            positive_ids=tuple(snippets.get(name, name) for name in question.positive_ids),
            negative_ids=tuple(extra["negative_ids"]),
            metadata=extra["metadata"],
        )
    for question in read_questions_jsonl(folder / "questions.jsonl"):
        images = tuple(_load(image, folder) for image in question.images)
        yield replace(question, images=tuple(image for image in images if image is not None))


def _write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _write_text(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
