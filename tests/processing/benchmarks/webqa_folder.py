"""A small WebQA folder, made from a seed in the official form, for the tests of its reader."""

from __future__ import annotations

import base64
import json
import random
from pathlib import Path
from typing import Any

TAIL = "0dba11ecb1e81171463288e9"
NUM_PICTURES = 9
FIRST = 30_000_000
CATEGORIES = ("color", "text", "YesNo", "number", "text")
WORDS = "harbor light tower door green café river bridge stone “old” AT&amp;T snow opened stands".split()


def make_guid(number: int) -> str:
    """A question id as WebQA's are: only the first eight digits vary."""
    return f"d5{number:06x}{TAIL}"


def make_sentence(rng: random.Random) -> str:
    return " ".join(rng.choices(WORDS, k=5)).capitalize() + "."


def make_image_fact(number: int, rng: random.Random) -> dict[str, Any]:
    name = f"Harbor Light {number}"
    return {
        "image_id": FIRST + number,
        "title": name,
        "caption": f"{name} {make_sentence(rng)}",
        "url": f"https://commons.invalid/{number}",
        "imgUrl": f"https://upload.invalid/{number}.jpg",
    }


def make_text_fact(guid: str, number: int, fact: str) -> dict[str, Any]:
    return {"snippet_id": f"{guid}_{number}", "title": "Harbor", "fact": fact, "url": f"https://wiki.invalid/{number}"}


def make_records(seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The contents of the two JSON files: six records in train/val form, three in test form."""
    rng = random.Random(seed)
    shared = [make_sentence(rng) for _ in range(4)]  # facts that several questions have, each under its own id
    train_val, test = {}, {}
    for number in range(9):
        guid, category = make_guid(number), CATEGORIES[number % len(CATEGORIES)]
        pictures = [make_image_fact(row, rng) for row in rng.sample(range(NUM_PICTURES - 1), 4)]
        facts = [*rng.sample(shared, 2), make_sentence(rng), make_sentence(rng)]
        texts = [make_text_fact(guid, index, fact) for index, fact in enumerate(facts)]
        record: dict[str, Any] = {"Guid": guid, "split": "test" if number > 5 else ("train", "val")[number % 2]}
        record |= {"Q": f'"{make_sentence(rng)[:-1]}?"', "topic": "lighthouse"}
        if number > 5:
            test[guid] = record | {"img_Facts": pictures, "txt_Facts": texts}
            continue
        record |= {"Qcate": category, "A": [f'"{make_sentence(rng)}"']}
        cut = (0, 2) if category == "text" else (2, 0)
        record |= {"img_posFacts": pictures[: cut[0]], "img_negFacts": pictures[cut[0] :]}
        record |= {"txt_posFacts": texts[: cut[1]], "txt_negFacts": texts[cut[1] :]}
        train_val[guid] = record
    return train_val, test


def make_files(seed: int) -> dict[str, bytes]:
    """The bytes of the four files by name; the last picture is listed by no record."""
    rng = random.Random(seed)
    train_val, test = make_records(seed)
    content, offsets = b"", []
    for row in range(NUM_PICTURES):
        offsets.append(len(content))
        content += b"%d\t%s\n" % (FIRST + row, base64.b64encode(rng.randbytes(rng.randrange(20, 90))))
    return {
        "WebQA_train_val.json": json.dumps(train_val, ensure_ascii=seed % 2 == 0).encode(),
        "WebQA_test.json": json.dumps(test, indent=1).encode(),
        "imgs.tsv": content,
        "imgs.lineidx": "".join(f"{offset}\n" for offset in offsets).encode(),
    }


def write_files(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def make_record(guid: str, split: str = "val", **changes: Any) -> dict[str, Any]:
    record = {
        "Guid": guid,
        "split": split,
        "Qcate": "text",
        "Q": '"When &quot;did&quot; it open?"',
        "A": ['"In 1889."'],
    }
    return record | {"img_posFacts": [], "img_negFacts": [], "txt_posFacts": [], "txt_negFacts": []} | changes


def image_fact(number: int, **extra: Any) -> dict[str, Any]:
    return {"image_id": FIRST + number, "title": f"Light {number}", "caption": f"Light {number} in 2011"} | extra


def write_json(folder: Path, *records: dict[str, Any], test: tuple[dict[str, Any], ...] = ()) -> Path:
    (folder / "WebQA_train_val.json").write_text(json.dumps({record["Guid"]: record for record in records}))
    (folder / "WebQA_test.json").write_text(json.dumps({record["Guid"]: record for record in test}))
    return folder


def write_pictures(folder: Path, *pictures: bytes) -> None:
    lines = [b"%d\t%s\n" % (FIRST + row, base64.b64encode(data)) for row, data in enumerate(pictures)]
    (folder / "imgs.tsv").write_bytes(b"".join(lines))
    offsets = [sum(map(len, lines[:row])) for row in range(len(lines))]
    (folder / "imgs.lineidx").write_text("".join(f"{offset}\n" for offset in offsets))
