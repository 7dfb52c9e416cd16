"""Predictions of a run on disk in shards, so that a run can be killed, gone on with, and shared by processes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from ...index.files import write_text_atomically
from ...processing.knowledge_rablip import QuestionExample
from .prediction import Prediction

__all__ = ["SHARD_SIZE", "PredictionStore", "RunMismatchError", "describe_changes"]

_PLAN_NAME = "plan.json"
_FORMAT_VERSION = 1
SHARD_SIZE = 64
Ask = Callable[[Sequence[QuestionExample]], list[Prediction]]


class RunMismatchError(ValueError):
    """A folder holds the predictions of another run; the message has both values of what differs."""


class PredictionStore:
    """The predictions of one system over one list of questions.

    Shard *i* holds `shard_size` questions from question `i * shard_size` on; process *r* of *n* answers the shards
    *r*, *r* + *n* and so on. A shard appears as a whole and has the hash of its questions, so that a run that goes on
    asks what is missing or has changed and nothing else.

    Args:
        folder: of the predictions; on a disk that all processes see.
        plan: what makes the predictions (model, index, settings, setting, condition): plain values for JSON.
        shard_size: questions of a shard.

    Example:
        >>> import tempfile
        >>> store = PredictionStore(Path(tempfile.mkdtemp()), {"model": "m"})
        >>> store.prepare()
        >>> asked = [QuestionExample(id="q1", question="When?")]
        >>> store.fill(asked, lambda some: [Prediction(question_id=one.id, text="1889") for one in some])
        >>> [made.text for made in store.read(asked)]
        ['1889']
    """

    def __init__(self, folder: Path, plan: Mapping[str, Any], *, shard_size: int = SHARD_SIZE) -> None:
        if isinstance(shard_size, bool) or shard_size < 1:
            raise ValueError(f"shard_size must be a whole number of at least 1, got {shard_size!r}.")
        self.folder = folder
        self.shard_size = shard_size
        self._plan = json.loads(
            json.dumps({"format_version": _FORMAT_VERSION, "shard_size": shard_size, "plan": dict(plan)})
        )

    def prepare(self) -> None:
        """Make the folder, or check that it holds predictions of the same plan; by one process.

        Raises:
            RunMismatchError: when it holds those of another; nothing is touched.
        """
        place = self.folder / _PLAN_NAME
        self.folder.mkdir(parents=True, exist_ok=True)
        if place.is_file():
            self._check_plan(place)
        elif any(self.folder.glob("part-*")):
            raise RunMismatchError(
                f"{self.folder} holds predictions, but no {_PLAN_NAME} that says of what. Give another folder."
            )
        else:
            write_text_atomically(place, json.dumps(self._plan, indent=2))
        for left_over in self.folder.glob(".*.tmp"):
            left_over.unlink(missing_ok=True)

    def fill(
        self,
        questions: Iterable[QuestionExample],
        ask: Ask,
        *,
        rank: int = 0,
        num_processes: int = 1,
        num_questions: int | None = None,
        note: str = "",
        progress: bool = False,
    ) -> None:
        """Ask the questions of one process's shards that are not there yet.

        Args:
            questions: all questions, in the same order in every process; read as a stream.
            ask: answers some of them, in order.
            rank: number of this process.
            num_processes: how many processes share the shards.
            num_questions: how many there are, for the bar.
            note: what the bar says of the run.
            progress: whether the first process shows a bar on a terminal.

        Raises:
            RuntimeError: when `ask` does not answer exactly what it was asked.
            OSError: when the disk is full; the shards that are whole stay.
        """
        shown = None if progress and rank == 0 else True
        with tqdm(total=num_questions, unit="question", desc=note or None, disable=shown) as bar:
            for number, some in enumerate(_split(questions, self.shard_size)):
                if number % num_processes == rank and self._read_shard(number, some) is None:
                    self._write(number, some, ask(some))
                bar.update(len(some))

    def read(self, questions: Iterable[QuestionExample]) -> Iterator[Prediction]:
        """The predictions of the questions, in their order.

        Raises:
            RuntimeError: when a shard is missing, damaged or of other questions; names it.
        """
        for number, some in enumerate(_split(questions, self.shard_size)):
            found = self._read_shard(number, some)
            if found is None:
                raise RuntimeError(
                    f"{self._path(number)} is missing, damaged or of other questions. Run the same command again: it "
                    "asks what is missing."
                )
            yield from found

    def _check_plan(self, place: Path) -> None:
        try:
            before = json.loads(place.read_text(encoding="utf-8"))
            then, now = dict(before["plan"]), dict(self._plan["plan"])
            then["shard_size"], now["shard_size"] = before["shard_size"], self.shard_size
            then["format_version"], now["format_version"] = before["format_version"], _FORMAT_VERSION
        except (ValueError, KeyError, TypeError) as error:
            raise RunMismatchError(f"{place} cannot be read: {error}. Give another folder for the run.") from error
        said = describe_changes(then, now)
        if said:
            raise RunMismatchError(
                f"{self.folder} holds the predictions of another run ({said}). Give another folder, or the same "
                "options."
            )

    def _path(self, number: int) -> Path:
        return self.folder / f"part-{number:08d}.jsonl"

    def _write(self, number: int, questions: Sequence[QuestionExample], made: Sequence[Prediction]) -> None:
        asked = [question.id for question in questions]
        if [one.question_id for one in made] != asked:
            raise RuntimeError(f"{len(asked)} questions were asked, but other ones were answered ({len(made)}).")
        body = "".join(json.dumps(one.to_json(), ensure_ascii=False) + "\n" for one in made)
        head = {"questions": _hash_questions(questions), "predictions": hashlib.sha256(body.encode()).hexdigest()}
        write_text_atomically(self._path(number), json.dumps(head) + "\n" + body)

    def _read_shard(self, number: int, questions: Sequence[QuestionExample]) -> list[Prediction] | None:
        """The predictions of a shard; None where there is none, or it is damaged or of other questions."""
        try:
            head, _, body = self._path(number).read_text(encoding="utf-8").partition("\n")
            said = json.loads(head)
            if said["questions"] != _hash_questions(questions):
                return None
            if said["predictions"] != hashlib.sha256(body.encode()).hexdigest():
                return None
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None
        return [Prediction.from_json(json.loads(line)) for line in body.split("\n")[:-1]]


def describe_changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What differs between two descriptions, with both values, in words; "" where nothing does.

    Args:
        then: what was.
        now: what is.

    Example:
        >>> describe_changes({"seed": 0, "k": 5}, {"seed": 1, "k": 5})
        'seed: 0 then, 1 now'
    """
    changed = sorted(name for name in then.keys() | now.keys() if then.get(name) != now.get(name))
    return "; ".join(f"{name}: {then.get(name)!r} then, {now.get(name)!r} now" for name in changed)


def _split(questions: Iterable[QuestionExample], size: int) -> Iterator[list[QuestionExample]]:
    rest = iter(questions)
    while some := list(islice(rest, size)):
        yield some


def _hash_questions(questions: Sequence[QuestionExample]) -> str:
    """One hash of what a system sees of some questions: their words and pictures, and whose own items they have."""
    digest = hashlib.sha256()
    for one in questions:
        pictures = [
            image.path if image.data is None else hashlib.sha256(image.data).hexdigest() for image in one.images
        ]
        digest.update(json.dumps([one.id, one.question, pictures, list(one.candidate_ids)]).encode())
    return digest.hexdigest()
