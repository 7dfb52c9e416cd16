"""A small MultimodalQA folder in the official form, with the oddities of the real one."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any

from PIL import Image


def make_answer(value: Any, modality: str = "text", kind: str = "string") -> dict[str, Any]:
    return {
        "answer": value,
        "type": kind,
        "modality": modality,
        "text_instances": [],
        "table_indices": [],
        "image_instances": [],
    }


def make_row(qid: str = "q1", **changes: Any) -> dict[str, Any]:
    """A row of train or dev; `metadata` given in `changes` is laid over the default one."""
    metadata = {
        "type": "TextQ",
        "modalities": ["text"],
        "wiki_entities_in_question": [{"text": "Harbor", "wiki_title": "Harbor", "url": "u"}],
        "wiki_entities_in_answers": [],
        "intermediate_answers": [],
        "image_doc_ids": ["i1", "i2"],
        "text_doc_ids": ["t1", "t2"],
        "table_id": "b1",
    } | changes.pop("metadata", {})
    return {
        "qid": qid,
        "question": "When did it open?",
        "answers": [make_answer("1889")],
        "metadata": metadata,
        "supporting_context": [{"doc_id": "t1", "doc_part": "text"}],
    } | changes


def make_hidden_row(qid: str = "q1") -> dict[str, Any]:
    fields = {name: make_row()["metadata"][name] for name in ("image_doc_ids", "text_doc_ids", "table_id")}
    return {"qid": qid, "question": "When did it open?", "metadata": fields}


def make_table(rows: int = 2) -> dict[str, Any]:
    cells = [[{"text": f"{1889 + row}", "links": []}, {"text": f"Keeper {row}", "links": []}] for row in range(rows)]
    header = [{"column_name": "Year", "metadata": {}}, {"column_name": "Keeper", "metadata": {}}]
    return {"table_name": "Keepers", "header": header, "table_rows": cells}


def write_lines(file: Path, rows: list[dict[str, Any]]) -> Path:
    """JSON Lines, compressed where the name ends in .gz."""
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    file.write_bytes(gzip.compress(data) if file.suffix == ".gz" else data)
    return file


def picture(color: str = "red", kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6), color).save(buffer, kind)
    return buffer.getvalue()


def write_documents(folder: Path, family: str = "MMQA_", ending: str = ".jsonl") -> Path:
    """Texts t1 to t4, tables b1 and b2, pictures i1 to i4 in all the endings of the real ones."""
    texts = [{"title": "Harbor", "url": f"u{n}", "id": f"t{n}", "text": f"It opened in 188{n}."} for n in range(1, 5)]
    tables = [{"title": "Light", "url": "u", "id": f"b{n}", "table": make_table(n)} for n in (1, 2)]
    names = ["i1.JPG", "i2.gif", "i3.tiff", "i4.png"]
    images = [{"title": "Pier", "url": "u", "id": name[:2], "path": name} for name in names]
    images[3]["title"] = ""
    for name, rows in (("texts", texts), ("tables", tables), ("images", images)):
        write_lines(folder / f"{family}{name}{ending}", rows)
    (folder / "final_dataset_images").mkdir()
    for name, kind in zip(names, ("JPEG", "GIF", "TIFF", "PNG"), strict=True):
        (folder / "final_dataset_images" / name).write_bytes(picture(kind=kind))
    return folder
