"""Tiny folders of official files, with the oddities of the real ones, for runs from files to figures."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

from PIL import Image

from tests.processing.benchmarks.benchmark_files import write_json, write_parquet
from tests.processing.benchmarks.multimodalqa_folder import make_answer, make_row, write_documents, write_lines

GUID = "d5{:06x}0dba11ecb1e81171463288e9"
FIRST_IMAGE = 30_000_000


def draw(color: str, kind: str = "PNG", mode: str = "RGB") -> bytes:
    """A picture file of one color."""
    buffer = io.BytesIO()
    Image.new("RGB", (24, 20), color).convert(mode).save(buffer, kind)
    return buffer.getvalue()


def write_webqa(folder: Path) -> Path:
    """Four questions of val, two of them of pictures, and one of test; a JPEG that is cut off, a lost picture."""
    pictures = [
        draw("red"),
        draw("green", "JPEG"),
        draw("blue", "GIF", "P"),
        draw("white", "PNG", "RGBA"),
        draw("gray", "JPEG", "CMYK"),
        draw("black", "JPEG")[:-200],
    ]
    rows, offsets = b"", []
    for number, data in enumerate(pictures):
        offsets.append(len(rows))
        rows += b"%d\t%s\n" % (FIRST_IMAGE + number, base64.b64encode(data))
    (folder / "imgs.tsv").write_bytes(rows)
    (folder / "imgs.lineidx").write_text("".join(f"{offset}\n" for offset in offsets))

    def image(number: int) -> dict[str, Any]:
        caption = f"Harbor Light {number} The door &amp; the roof"
        return {"image_id": FIRST_IMAGE + number, "title": f"Harbor Light {number}", "caption": caption, "url": "u"}

    def text(guid: str, number: int, fact: str) -> dict[str, Any]:
        return {"snippet_id": f"{guid}_{number}", "title": "Harbor Light", "fact": fact, "url": "u"}

    shared = "The light opened in 1889."
    records: dict[str, Any] = {}
    for number, (category, words, answer, keywords) in enumerate(
        [
            ("color", '"What color is the door?"', '"The door is red."', "red"),
            ("YesNo", "Is the roof “green”?", "Yes, it is green.", "yes"),
            ("text", '"When did the light open?"', '"It opened in 1889."', "1889"),
            ("text", "Who built the light?", "Marlow &amp; Sons built it.", "Marlow Sons"),
        ]
    ):
        guid = GUID.format(number)
        pictured = category != "text"
        texts = [text(guid, 0, shared), text(guid, 1, f"Fact {number} of Marlow &amp; Sons.")]
        records[guid] = {
            "Guid": guid,
            "split": "val",
            "Qcate": category,
            "topic": "light",
            "Q": words,
            "A": [answer],
            "Keywords_A": keywords,
            "img_posFacts": [image(number)] if pictured else [],
            "img_negFacts": [image(4), image(5), image(99)] if pictured else [image(3)],
            "txt_posFacts": [] if pictured else texts[:1],
            "txt_negFacts": texts if pictured else texts[1:],
        }
    (folder / "WebQA_train_val.json").write_text(json.dumps(records), encoding="utf-8")
    guid = GUID.format(9)
    hidden = {
        "Guid": guid,
        "split": "test",
        "Q": '"What is this?"',
        "img_Facts": [image(0)],
        "txt_Facts": [text(guid, 0, shared)],
    }
    (folder / "WebQA_test.json").write_text(json.dumps({guid: hidden}), encoding="utf-8")
    return folder


def write_multimodalqa(folder: Path) -> Path:
    """Three questions: of a text, of pictures (GIF, JPEG) with two answers, and with a number for an answer."""
    write_documents(folder)
    write_lines(
        folder / "MMQA_dev.jsonl",
        [
            make_row("q1"),
            make_row(
                "q2",
                question=" Which of them is red ",
                answers=[make_answer("The Pier", "image"), make_answer("Harbor\nLight", "image")],
                metadata={"type": "ImageListQ", "modalities": ["image"]},
                supporting_context=[{"doc_id": "i2", "doc_part": "image"}],
            ),
            make_row(
                "q3",
                answers=[make_answer(300.0, "table", "number")],
                metadata={"type": "TableQ", "modalities": ["table"]},
                supporting_context=[{"doc_id": "b1", "doc_part": "table"}],
            ),
        ],
    )
    return folder


def write_okvqa(folder: Path) -> Path:
    """Two questions about pictures, one of them lost; ids are numbers; a corpus with two passages."""
    questions, annotations = [], []
    for number in (1, 2):
        answers = ["race"] * 4 + ["motocross"] * 3 + ["ride"] * 3
        listed = [
            {"answer_id": place, "raw_answer": answer, "answer": answer, "answer_confidence": "yes"}
            for place, answer in enumerate(answers, start=1)
        ]
        questions.append({"image_id": number, "question": "What sport is this?", "question_id": 10 + number})
        annotations.append(
            {
                "question_id": 10 + number,
                "image_id": number,
                "question_type": "one",
                "answer_type": "other",
                "answers": listed,
            }
        )
    write_json(folder / "OpenEnded_mscoco_val2014_questions.json", {"questions": questions})
    write_json(folder / "mscoco_val2014_annotations.json", {"annotations": annotations})
    (folder / "COCO_val2014_000000000001.jpg").write_bytes(draw("red", "JPEG"))
    (folder / "corpus.csv").write_text('kid,text\n1,"A race, with bikes."\n2,Ships in a harbor.\n', encoding="utf-8")
    return folder


def write_m2kr(folder: Path) -> Path:
    """Two questions of OKVQA in M2KR's form, with three passages."""
    passages = [
        {"passage_id": f"p{number}", "passage_content": f"title: Harbor content: {number}"} for number in range(3)
    ]
    rows = [
        {
            "question_id": f"OKVQA_{number}",
            "pos_item_ids": ["p1"],
            "pos_item_contents": ["one"],
            "img_path": "1.jpg",
            "question": "What is this?",
            "instruction": "Find documents:",
            "answers": ["harbor", "Harbor"],
            "gold_answer": "harbor",
        }
        for number in range(2)
    ]
    write_parquet(folder / "OKVQA_data" / "test-00000-of-00001.parquet", rows)
    write_parquet(folder / "OKVQA_passages" / "test_passages-00000-of-00001.parquet", passages)
    (folder / "1.jpg").write_bytes(draw("red", "JPEG"))
    return folder
