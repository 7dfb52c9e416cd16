"""Damages WebQA folders in every way a download or a disk does, and says what a reader may then give; see its test.

What is true is computed here by the shortest code there is, from the damaged bytes and from the undamaged ones.
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rablip.processing.benchmarks.benchmark import Benchmark
from rablip.processing.benchmarks.webqa import open_webqa
from rablip.processing.readers_records import Problem, ReaderError
from tests.processing.benchmarks.webqa_folder import FIRST, make_files, write_files

JSON_FILES = ("WebQA_train_val.json", "WebQA_test.json")
LISTS = ("img_posFacts", "img_negFacts", "img_Facts", "txt_posFacts", "txt_negFacts", "txt_Facts")
OPTIONAL = ("Guid", "topic", "title", "url", "imgUrl")  # without them a record says less and is none the worse
UNCHECKED = ("topic", "imgUrl")


def damage(files: dict[str, bytes], rng: random.Random) -> str:
    """Change the files in one way, in place; returns which."""
    kind = rng.choice(
        ["cut json", "cut tsv", "cut lineidx", "flip", "lineidx", "base64", "no file", "column", "column"]
    )
    if kind.startswith("cut"):
        name = {"cut json": rng.choice(JSON_FILES), "cut tsv": "imgs.tsv", "cut lineidx": "imgs.lineidx"}[kind]
        files[name] = files[name][: rng.randrange(len(files[name]))]
    elif kind == "flip":
        name = rng.choice(list(files))
        data = bytearray(files[name])
        for _ in range(rng.choice([1, 1, 2, 5])):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        files[name] = bytes(data)
    elif kind == "lineidx":
        lines = files["imgs.lineidx"].split()
        change = rng.randrange(5)
        if change == 0:
            rng.shuffle(lines)
        elif change == 1:
            lines[rng.randrange(len(lines))] = b"%d" % rng.randrange(len(files["imgs.tsv"]) + 9)
        elif change == 2:
            del lines[rng.randrange(len(lines))]
        elif change == 3:
            lines = make_files(rng.randrange(99))["imgs.lineidx"].split()
        else:
            lines.insert(rng.randrange(len(lines)), rng.choice([b"x", b"-1", b"1.5", b"9" * 5000, b""]))
        files["imgs.lineidx"] = b"".join(line + b"\n" for line in lines)
    elif kind == "base64":
        data, at = files["imgs.tsv"], rng.randrange(len(files["imgs.tsv"]))
        put = rng.choice([b"", b"*", b"=", b"\n", b"\t", b" ", b"\xff", b"AAAA"])
        files["imgs.tsv"] = data[:at] + put + data[at + rng.choice([0, 1, 4]) :]
    elif kind == "no file":
        del files[rng.choice(list(files))]
    else:
        name = rng.choice(JSON_FILES)
        records = json.loads(files[name])
        record = rng.choice(list(records.values()))
        fields = record if rng.random() < 0.5 else rng.choice(facts_of(record, ""))
        column = rng.choice([column for column in fields if column not in UNCHECKED])
        value = fields.pop(column)
        if rng.random() < 0.5:  # misspelled, by one letter
            at = rng.randrange(len(column))
            fields[column[:at] + chr(ord(column[at]) ^ 1) + column[at + 1 :]] = value
        elif column in OPTIONAL:
            fields[column] = value
        files[name] = json.dumps(records).encode()
    return kind


def read_folder(benchmark: Benchmark, problems: list[Problem] | None) -> tuple[list[Any], list[Any]]:
    questions = [
        (
            question.id,
            question.question,
            question.answers,
            question.category,
            question.positive_ids,
            tuple(sorted(question.negative_ids)),
            tuple(sorted(question.metadata.get("candidate_ids", ()))),
            tuple(question.metadata.get("facts", {}).items()),
        )
        for question in benchmark.questions(problems=problems)
    ]
    items = [
        (item.id, item.text, item.title, item.caption, item.source, item.image.data if item.image else None)
        for item in benchmark.knowledge(problems=problems)
    ]
    return questions, items


def facts_of(record: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [fact for name in LISTS if name.startswith(kind) for fact in record.get(name, [])]


def id_of(fact: dict[str, Any]) -> Any:
    return fact.get("image_id", fact.get("snippet_id"))


def split_of(record: dict[str, Any]) -> str:
    """Only records of the test form may leave it out."""
    return str(record.get("split", "test" if "img_Facts" in record else None))


def true_questions(records: dict[str, Any], left_out: set[tuple[str, str]], split: str, setting: str) -> Iterator[Any]:
    for guid, record in records.items():
        if split_of(record) != split:
            continue
        ids = {name: [str(id_of(fact)) for fact in record.get(name, [])] for name in LISTS}
        positives = list(dict.fromkeys(ids["img_posFacts"] + ids["txt_posFacts"]))
        negatives = sorted({*ids["img_negFacts"], *ids["txt_negFacts"]} - {*positives})
        every = sorted({name for names in ids.values() for name in names if (guid, name) not in left_out})
        own = {
            fact["snippet_id"]: fact["fact"]
            for fact in reversed(facts_of(record, "txt"))
            if (guid, fact["snippet_id"]) not in left_out
        }
        facts = tuple(reversed(own.items())) if setting == "full" else ()
        yield (
            guid,
            record["Q"].strip().strip('"').strip(),
            tuple(answer.strip().strip('"').strip() for answer in record.get("A", [])),
            record.get("Qcate", ""),
            tuple(positives),
            tuple(negatives),
            tuple(every) if setting == "distractor" else (),
            facts,
        )


def true_picture(files: dict[str, bytes], image_id: int) -> bytes:
    start = int(files["imgs.lineidx"].split(b"\n")[image_id - FIRST])
    name, encoded = files["imgs.tsv"][start:].split(b"\n")[0].split(b"\t")
    assert int(name) == image_id
    return base64.b64decode(encoded, validate=True)


def true_items(
    files: dict[str, bytes], reported: set[str], left_out: set[tuple[str, str]], split: str, setting: str
) -> dict[str, Any]:
    """By id, of the records, facts and pictures that were not reported."""
    items: dict[str, Any] = {}
    facts: set[str] = set()
    for name in JSON_FILES:
        if name not in files or (setting == "distractor" and (name == "WebQA_test.json") != (split == "test")):
            continue
        for guid, record in json.loads(files[name]).items():
            if guid in reported or (setting == "distractor" and split_of(record) != split):
                continue
            for fact in facts_of(record, "img"):
                image_id = str(int(fact["image_id"]))
                if image_id not in items and image_id not in reported and (guid, image_id) not in left_out:
                    data = true_picture(files, int(image_id))
                    items[image_id] = (None, fact.get("title"), fact["caption"], fact.get("url"), data)
            for fact in facts_of(record, "txt"):
                if (guid, fact["snippet_id"]) in left_out:
                    continue
                if setting == "distractor" or fact["fact"] not in facts:
                    facts.add(fact["fact"])
                    items.setdefault(
                        fact["snippet_id"], (fact["fact"], fact.get("title"), None, fact.get("url"), None)
                    )
    if setting == "full":
        for row in range(len(files["imgs.lineidx"].splitlines())):
            if str(FIRST + row) not in items and str(FIRST + row) not in reported:
                items[str(FIRST + row)] = (None, None, None, None, true_picture(files, FIRST + row))
    return items


def check_case(folder: Path, seed: int) -> str:
    """Damage one folder and read it; returns what came of it: refused, reported or right."""
    rng = random.Random(seed)
    whole = make_files(rng.randrange(1000))
    files = dict(whole)
    kind = damage(files, rng)
    write_files(folder, files)
    split, setting = rng.choice(["train", "val", "test"]), rng.choice(["distractor", "full"])
    name = "WebQA_test.json" if split == "test" else "WebQA_train_val.json"
    problems: list[Problem] = []
    try:
        benchmark = open_webqa(folder, split=split, setting=setting)
        questions, items = read_folder(benchmark, problems)
    except (ReaderError, FileNotFoundError) as error:
        assert str(folder) in str(error), f"{seed} {kind}: no file in {error}"
        assert (
            isinstance(error, FileNotFoundError)
            or "line " in str(error)
            or "is empty" in str(error)
            or "no usable" in str(error)
        ), error
        return "refused"
    assert all(Path(problem.file).parent == folder and problem.id and problem.cause for problem in problems)
    # A problem is a record's, a picture's, or that of one fact of a record, which its cause begins with.
    of_facts = [problem for problem in problems if problem.cause.startswith("Guid ")]
    left_out = {(problem.cause[len("Guid ") :].partition(":")[0], problem.id) for problem in of_facts}
    reported = {problem.id.removeprefix("Guid ") for problem in problems if problem not in of_facts}
    undamaged = {guid: record for file in JSON_FILES for guid, record in json.loads(whole[file]).items()}
    read = [file for file in (JSON_FILES if setting == "full" else (name,)) if file in files]
    damaged = {guid: record for file in read for guid, record in json.loads(files[file]).items()}
    # Nothing is lost: every question of the file is read or reported, each with all that it lists.
    kept = {guid: record for guid, record in json.loads(files[name]).items() if guid not in reported}
    assert {question[0] for question in questions} == {g for g, record in kept.items() if split_of(record) == split}
    for guid, record in damaged.items():
        if guid not in reported and guid in undamaged:
            counts = [[len(one.get(column, [])) for column in LISTS] for one in (record, undamaged[guid])]
            pairs = zip(facts_of(record, ""), facts_of(undamaged[guid], ""), strict=False)
            known = [pair for pair in pairs if (guid, str(id_of(pair[0]))) not in left_out]
            relevant = setting == "full" or (guid in json.loads(files[name]) and split_of(record) == split)
            assert not relevant or counts[0] == counts[1], f"{seed} {kind}: facts of {guid} are lost in silence"
            assert not relevant or all(set(one) == set(two) for one, two in known), (
                f"{seed} {kind}: fields of {guid} are lost in silence"
            )
    lost = {guid for guid in json.loads(whole[name]) if split_of(undamaged[guid]) == split}
    lost -= {question[0] for question in questions}
    renamed = set(damaged) - set(undamaged)
    assert lost <= reported or renamed, f"{seed} {kind}: {lost - reported} are lost in silence"
    assert {file for file in JSON_FILES if setting == "full" and file not in files} <= reported, f"{seed} {kind}"
    # What was read is what the files say.
    assert questions == list(true_questions(kept, left_out, split, setting)), f"{seed} {kind}"
    truth = true_items(files, reported, left_out, split, setting)
    assert len({item[0] for item in items}) == len(items), f"{seed} {kind}: an id twice"
    assert {item[0]: item[1:] for item in items} == truth, f"{seed} {kind}"
    if setting == "full" and "imgs.lineidx" not in reported:
        pictures = {str(FIRST + row) for row in range(len(whole["imgs.lineidx"].splitlines()))}
        missing = pictures - {item[0] for item in items} - reported
        missing -= {name for _, name in left_out}
        cut = any(problem.file.endswith("imgs.tsv") for problem in problems)
        assert not missing or cut, f"{seed} {kind}: pictures {missing} are lost in silence"
    if problems:
        try:
            read_folder(open_webqa(folder, split=split, setting=setting), None)
        except (ReaderError, FileNotFoundError):
            return "reported"
        raise AssertionError(f"{seed} {kind}: reported where a list is given, and not raised where none is")
    return "right"
