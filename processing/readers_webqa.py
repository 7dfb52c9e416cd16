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
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from .knowledge_rablip import KnowledgeItem, QuestionExample
from .readers_records import Problem, ReaderError, iterate_json_members, report_problem
from .readers_webqa_records import (
    image_record_to_item,
    record_to_images,
    record_to_question,
    record_to_texts,
    strip_outer_quotes,
)

__all__ = [
    "FIRST_IMAGE_ID",
    "WebQAPictures",
    "read_webqa_knowledge",
    "read_webqa_questions",
    "strip_outer_quotes",
]

logger = logging.getLogger(__name__)

FIRST_IMAGE_ID = 30_000_000  # of the row 0 of imgs.tsv
_ID_BLOCK = 10_000_000
_MAX_LINE = 1 << 28  # bytes of one line of imgs.tsv: beyond it the offsets point at something else
_MAX_DIGITS = 18  # of a byte offset


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
        self._size = size = self.tsv_path.stat().st_size
        self._offsets = array("q")
        with open(self.lineidx_path, "rb") as handle:
            for number, line in enumerate(handle, start=1):
                text = line.strip()
                if not text.isdigit() or len(text) > _MAX_DIGITS or int(text) >= size:
                    raise ReaderError(
                        f"{self.lineidx_path}: line {number}: expected a byte offset below {size} (the size of "
                        f"{self.tsv_path.name}), found {line[:40]!r}. Do the two files belong together?"
                    )
                self._offsets.append(int(text))
        if size and not self._offsets:
            raise ReaderError(f"{self.lineidx_path}: it is empty and {self.tsv_path.name} is not: rebuild it")
        self._starts = array("q", sorted(self._offsets))
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
        row = image_id - FIRST_IMAGE_ID
        if not 0 <= row < min(len(self._offsets), _ID_BLOCK):
            raise KeyError(f"image {image_id} is not in {self.tsv_path}")
        line = self._line(row)
        name, _, encoded = line.rstrip(b"\r\n").partition(b"\t")
        where = f"{self.tsv_path}: line {row + 1}"
        if len(line) >= _MAX_LINE:
            raise ReaderError(
                f"{where}: longer than {_MAX_LINE} bytes, which no picture is: rebuild {self.lineidx_path}"
            )
        if name != str(image_id).encode():
            raise ReaderError(f"{where}: expected image {image_id}, found {name[:40]!r}: rebuild {self.lineidx_path}")
        try:
            data = base64.b64decode(encoded, validate=True)
        except binascii.Error as error:
            raise ReaderError(f"{where}: image {image_id} is not base64: {error}") from error
        if not data:
            raise ReaderError(f"{where}: image {image_id} is empty")
        end = self._offsets[row] + len(line)
        following = bisect_left(self._starts, end)
        if end != self._size and self._starts[following : following + 1] != array("q", [end]):
            raise ReaderError(
                f"{where}: image {image_id} ends at byte {end}, where no line begins by {self.lineidx_path}: one of "
                "the files is damaged or cut off"
            )
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
                    for image_id, fact in record_to_images(guid, record, file):
                        if pictures is not None and image_id not in seen_images:
                            seen_images.add(image_id)
                            yield from _image_item(fact, image_id, pictures, problems)
                    for item in record_to_texts(guid, record, file):
                        if _is_new(item, seen_texts, guid, file):
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
                yield record_to_question(guid, record, file)

    return examples()


def _existing_file(path: str | Path) -> Path:
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(
            f"There is no file {file}; a WebQA folder holds WebQA*.json, imgs.tsv and imgs.lineidx."
        )
    return file


def _records(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for guid, record in iterate_json_members(file):
        if not isinstance(record, dict):
            raise ReaderError(f"{file}: Guid {guid}: expected an object, found {str(record)[:40]!r}")
        if record.get("Guid", guid) != guid:
            raise ReaderError(f"{file}: Guid {guid}: its field Guid says {record['Guid']!r}")
        yield guid, record


def _image_item(
    fact: Mapping[str, Any], image_id: int, pictures: WebQAPictures, problems: list[Problem] | None
) -> Iterator[KnowledgeItem]:
    try:
        yield image_record_to_item(fact, image_id, pictures.read(image_id))
    except (KeyError, ValueError) as error:
        report_problem(Problem(str(image_id), str(pictures.tsv_path), str(error.args[0])), problems)


def _is_new(item: KnowledgeItem, seen: dict[str, int], guid: str, file: Path) -> bool:
    content = hash((item.text, item.title))
    if item.id not in seen:
        seen[item.id] = content
        return True
    if seen[item.id] != content:
        raise ReaderError(f"{file}: Guid {guid}: the snippet id {item.id} stands for two different texts")
    return False
