"""The WebQA files (`WebQA_train_val.json`, `WebQA_test.json`, `imgs.tsv`, `imgs.lineidx`) as items and questions.

Pictures are found by byte offset and never read together: `imgs.tsv` has hundreds of gigabytes. Ids are texts: the
image id, and the snippet id (question-scoped in WebQA: the same sentence may be there under several ids).
"""

from __future__ import annotations

import base64
import binascii
import logging
import os
from array import array
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from .knowledge_rablip import ImageRef, KnowledgeItem, QuestionExample
from .readers_records import Problem, ReaderError, iterate_json_members, optional_text, report_problem

__all__ = ["WebQAPictures", "read_webqa_knowledge", "read_webqa_questions", "strip_outer_quotes"]

logger = logging.getLogger(__name__)

_IMAGE_LISTS = ("img_posFacts", "img_negFacts", "img_Facts")
_TEXT_LISTS = ("txt_posFacts", "txt_negFacts", "txt_Facts")
_FIRST_IMAGE_ID = 30_000_000
_ID_BLOCK = 10_000_000
_MAX_LINE = 1 << 28  # bytes of one line of imgs.tsv: beyond it the offsets point at something else


class WebQAPictures:
    """The pictures of `imgs.tsv`, found by the byte offsets of `imgs.lineidx`; one file handle per process.

    Args:
        tsv_path: one picture a line: image id, tab, base64 of the picture file.
        lineidx_path: the byte offset of every line, one decimal number a line.

    Raises:
        FileNotFoundError: when one of the files is missing.
        ReaderError: when a line of `lineidx_path` is no offset inside `tsv_path`; names the line.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "imgs.tsv").write_bytes(b"30000000" + bytes([9]) + base64.b64encode(b"picture"))
        >>> _ = (folder / "imgs.lineidx").write_text("0")
        >>> WebQAPictures(folder / "imgs.tsv", folder / "imgs.lineidx").read(30000000)
        b'picture'
    """

    def __init__(self, tsv_path: str | Path, lineidx_path: str | Path) -> None:
        self.tsv_path = _existing_file(tsv_path)
        self.lineidx_path = _existing_file(lineidx_path)
        size = self.tsv_path.stat().st_size
        self._offsets = array("q")
        with open(self.lineidx_path, "rb") as handle:
            for number, line in enumerate(handle, start=1):
                text = line.strip()
                if not text.isdigit() or int(text) >= size:
                    raise ReaderError(
                        f"{self.lineidx_path}: line {number}: expected a byte offset below {size} (the size of "
                        f"{self.tsv_path.name}), found {line[:40]!r}. Do the two files belong together?"
                    )
                self._offsets.append(int(text))
        self._handle: BinaryIO | None = None
        self._pid = -1

    def __len__(self) -> int:
        return len(self._offsets)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_handle": None, "_pid": -1}  # a handle's position is not shared with a worker

    def close(self) -> None:
        """Close this process's handle; the next `read` opens a new one."""
        if self._handle is not None and self._pid == os.getpid():
            self._handle.close()
        self._handle = None

    def read(self, image_id: int) -> bytes:
        """Return the encoded picture file of one image id.

        Raises:
            KeyError: when the files hold no such id.
            ReaderError: when the line is there but is not that picture.
        """
        row = image_id - _FIRST_IMAGE_ID
        if not 0 <= row < min(len(self._offsets), _ID_BLOCK):
            raise KeyError(f"image {image_id} is not in {self.tsv_path}")
        name, _, encoded = self._line(row).rstrip(b"\r\n").partition(b"\t")
        where = f"{self.tsv_path}: line {row + 1}"
        if name != str(image_id).encode():
            raise ReaderError(f"{where}: expected image {image_id}, found {name[:40]!r}: rebuild {self.lineidx_path}")
        try:
            data = base64.b64decode(encoded, validate=True)
        except binascii.Error as error:
            raise ReaderError(f"{where}: image {image_id} is not base64: {error}") from error
        if not data:
            raise ReaderError(f"{where}: image {image_id} is empty")
        return data

    def _line(self, row: int) -> bytes:
        if self._handle is None or self._pid != os.getpid():  # a forked worker must not move its parent's handle
            self._handle, self._pid = open(self.tsv_path, "rb"), os.getpid()
        self._handle.seek(self._offsets[row])
        return self._handle.readline(_MAX_LINE)


def read_webqa_knowledge(
    json_path: str | Path | Sequence[str | Path],
    tsv_path: str | Path | None,
    lineidx_path: str | Path | None,
    *,
    merge_equal_texts: bool = False,
    problems: list[Problem] | None = None,
) -> Iterator[KnowledgeItem]:
    """Read every picture and text snippet that the questions of one or several WebQA files list, each id once.

    Pictures become IMAGE items (id, picture, title, caption), snippets TEXT items (id, text, title); `source` is the
    page's address. A picture that several questions list is read once, with the title and caption seen first.

    Args:
        json_path: one WebQA JSON file or several, in train/val or test form.
        tsv_path: `imgs.tsv`; None leaves the pictures out and reads the text snippets only.
        lineidx_path: `imgs.lineidx`; None exactly when `tsv_path` is.
        merge_equal_texts: whether a snippet with fact, title and address of an earlier one is left out. WebQA gives
            the same sentence an id of its own under every question; with all of them in one index, copies of one
            sentence fill the candidates.
        problems: where pictures that are missing or damaged are reported; None raises at the first.

    Raises:
        FileNotFoundError: when a file is missing (at the call).
        ReaderError: when a record is malformed (names file and Guid), one id stands for two texts, or a picture is
            missing and `problems` is None.
        ValueError: when only one of `tsv_path` and `lineidx_path` is given.

    Example:
        >>> import json, tempfile
        >>> fact = {"snippet_id": "q1_0", "title": "Harbor", "fact": "It opened in 1889.", "url": ""}
        >>> file = Path(tempfile.mkdtemp(), "WebQA_train_val.json")
        >>> _ = file.write_text(json.dumps({"q1": {"Q": "When?", "txt_posFacts": [fact]}}))
        >>> [(item.id, item.text) for item in read_webqa_knowledge(file, None, None)]
        [('q1_0', 'It opened in 1889.')]
    """
    files = [_existing_file(path) for path in ([json_path] if isinstance(json_path, (str, Path)) else json_path)]
    if (tsv_path is None) != (lineidx_path is None):
        raise ValueError(f"Give both or none of the picture files, got tsv {tsv_path} and lineidx {lineidx_path}.")
    pictures = None if tsv_path is None or lineidx_path is None else WebQAPictures(tsv_path, lineidx_path)

    def items() -> Iterator[KnowledgeItem]:
        seen_images: set[int] = set()
        seen_texts: dict[str, int] = {}
        contents: set[int] = set()
        try:
            for file in files:
                for guid, record in _records(file):
                    for fact in _facts(record, _IMAGE_LISTS, file, guid):
                        image_id = _image_id(fact, file, guid)
                        if pictures is not None and image_id not in seen_images:
                            seen_images.add(image_id)
                            yield from _image_item(fact, image_id, pictures, problems)
                    for fact in _facts(record, _TEXT_LISTS, file, guid):
                        for item in _text_item(fact, seen_texts, file, guid):
                            content = hash((item.text, item.title, item.source))
                            if not merge_equal_texts or content not in contents:
                                contents.add(content)
                                yield item
        finally:
            if pictures is not None:
                pictures.close()

    return items()


def read_webqa_questions(json_path: str | Path, split: str | None = None) -> Iterator[QuestionExample]:
    """Read the questions of a WebQA file in its train/val or test form.

    `category` is `Qcate`; quotes round a question or answer are stripped; a fact listed as positive and as negative
    is positive. Test records have no labels: their candidates are in `metadata["candidate_ids"]`, and
    `metadata["hidden_labels"]` is True.

    Args:
        json_path: the WebQA JSON file.
        split: "train", "val" or "test"; None reads all.

    Raises:
        FileNotFoundError: when the file is missing (at the call).
        ReaderError: when a record is malformed or has positive facts of both modalities; names file and Guid.

    Example:
        >>> import json, tempfile
        >>> record = {"split": "val", "Qcate": "color", "Q": '"Is it red?"', "A": ['"Yes."'], "img_posFacts": []}
        >>> file = Path(tempfile.mkdtemp(), "WebQA_train_val.json")
        >>> _ = file.write_text(json.dumps({"q1": record}))
        >>> [(example.question, example.answers) for example in read_webqa_questions(file, split="val")]
        [('Is it red?', ('Yes.',))]
    """
    file = _existing_file(json_path)

    def examples() -> Iterator[QuestionExample]:
        for guid, record in _records(file):
            if split is None or record.get("split") == split:
                try:
                    example = _question(guid, record, file)
                except ReaderError:
                    raise
                except (ValueError, TypeError) as error:
                    raise _bad(file, guid, str(error)) from error
                yield example

    return examples()


def strip_outer_quotes(text: str) -> str:
    """Remove the double quotes that many WebQA questions and answers are wrapped in, when both are there.

    Example:
        >>> strip_outer_quotes('"What is the "Harbor"?"'), strip_outer_quotes('The "Harbor"')
        ('What is the "Harbor"?', 'The "Harbor"')
    """
    text = text.strip()
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return text[1:-1].strip()
    return text


def _existing_file(path: str | Path) -> Path:
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(
            f"There is no file {file}; a WebQA folder holds WebQA*.json, imgs.tsv and imgs.lineidx."
        )
    return file


def _bad(file: Path, guid: str, cause: str) -> ReaderError:
    return ReaderError(f"{file}: Guid {guid}: {cause}")


def _records(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for guid, record in iterate_json_members(file):
        if not isinstance(record, dict):
            raise _bad(file, guid, f"expected an object, found {str(record)[:40]!r}")
        if record.get("Guid", guid) != guid:
            raise _bad(file, guid, f"its field Guid says {record['Guid']!r}")
        yield guid, record


def _facts(record: Mapping[str, Any], names: tuple[str, ...], file: Path, guid: str) -> Iterator[dict[str, Any]]:
    for name in names:
        facts = record.get(name) or []
        if not isinstance(facts, list) or not all(isinstance(fact, dict) for fact in facts):
            raise _bad(file, guid, f"{name} must be a list of objects")
        yield from facts


def _image_id(fact: Mapping[str, Any], file: Path, guid: str) -> int:
    value = fact.get("image_id")
    if isinstance(value, str) and value.isdigit():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise _bad(file, guid, f"image_id must be a whole number, found {value!r}")
    return value


def _snippet_id(fact: Mapping[str, Any], file: Path, guid: str) -> str:
    value = fact.get("snippet_id")
    if not isinstance(value, str) or not value.strip():
        raise _bad(file, guid, f"snippet_id must be a text, found {value!r}")
    return value


def _image_item(
    fact: Mapping[str, Any], image_id: int, pictures: WebQAPictures, problems: list[Problem] | None
) -> Iterator[KnowledgeItem]:
    try:
        data = pictures.read(image_id)
        item = KnowledgeItem(
            id=str(image_id),
            image=ImageRef(data=data),
            title=optional_text(fact, "title"),
            caption=optional_text(fact, "caption"),
            source=optional_text(fact, "url"),
        )
    except (KeyError, ValueError) as error:
        report_problem(Problem(str(image_id), str(pictures.tsv_path), str(error.args[0])), problems)
    else:
        yield item


def _text_item(fact: Mapping[str, Any], seen: dict[str, int], file: Path, guid: str) -> Iterator[KnowledgeItem]:
    snippet_id = _snippet_id(fact, file, guid)
    try:
        text = optional_text(fact, "fact")
        if text is None:
            raise ValueError("it has no fact")
        item = KnowledgeItem(
            id=snippet_id, text=text, title=optional_text(fact, "title"), source=optional_text(fact, "url")
        )
    except ValueError as error:
        raise _bad(file, guid, f"snippet {snippet_id}: {error}") from error
    content = hash((text, item.title))
    if snippet_id in seen:
        if seen[snippet_id] != content:
            raise _bad(file, guid, f"the snippet id {snippet_id} stands for two different texts")
        return
    seen[snippet_id] = content
    yield item


def _question(guid: str, record: Mapping[str, Any], file: Path) -> QuestionExample:
    ids: dict[str, list[str]] = {}
    for name in _IMAGE_LISTS:
        ids[name] = [str(_image_id(fact, file, guid)) for fact in _facts(record, (name,), file, guid)]
    for name in _TEXT_LISTS:
        ids[name] = [_snippet_id(fact, file, guid) for fact in _facts(record, (name,), file, guid)]
    if ids["img_posFacts"] and ids["txt_posFacts"]:
        raise _bad(file, guid, "it has positive facts of both modalities, which WebQA never has")
    answers = record.get("A") or []
    if not isinstance(answers, list) or not all(isinstance(answer, str) for answer in answers):
        raise _bad(file, guid, f"A must be a list of texts, found {str(answers)[:80]!r}")
    metadata: dict[str, Any] = {name: record[key] for name, key in _METADATA.items() if record.get(key) is not None}
    if "img_Facts" in record or "txt_Facts" in record:
        metadata |= {"hidden_labels": True, "candidate_ids": tuple(ids["img_Facts"] + ids["txt_Facts"])}
    negative = ids["img_negFacts"] + ids["txt_negFacts"]
    positive = tuple(dict.fromkeys(ids["img_posFacts"] + ids["txt_posFacts"]))
    return QuestionExample(
        id=guid,
        question=strip_outer_quotes(optional_text(record, "Q") or ""),
        answers=tuple(text for text in map(strip_outer_quotes, answers) if text),
        positive_ids=positive,
        negative_ids=tuple(name for name in dict.fromkeys(negative) if name not in positive),
        category=optional_text(record, "Qcate") or "",
        metadata=metadata,
    )


_METADATA = {"split": "split", "topic": "topic", "keywords": "Keywords_A"}
