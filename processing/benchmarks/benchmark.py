"""What every benchmark reader gives: one split in one setting, with its questions and knowledge as streams."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..knowledge_rablip import KnowledgeItem, QuestionExample
from ..readers_records import Problem

__all__ = ["Benchmark", "NameItem", "WordQuestion"]

Problems = list[Problem] | None
NameItem = Callable[[QuestionExample, KnowledgeItem], str]
WordQuestion = Callable[[QuestionExample], str]


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """One split of a benchmark in one setting, opened but not read.

    Both readers may be called again and again; each call reads the files anew, as a stream.

    Args:
        name: of the benchmark, as `rablip eval` calls it.
        split: which part of it, as its files call it.
        setting: where evidence is looked for: `"distractor"`, among the candidates of the question itself
            (`candidate_ids` of its metadata, else its positives and negatives), or `"full"`, in all of `knowledge`.
        root: the folder that picture paths are relative to, and confined to.
        files: what is read, by role; their contents are what a fingerprint of the data is made of.
        read_questions: gives the questions; takes a list where problems are reported, or None to raise at the first.
        read_knowledge: gives the knowledge items, likewise; None where the benchmark brings no knowledge.
        name_item: what a question calls a knowledge item in its positives, where that is not the item's id: one text
            that stands for several equal ones, or a passage of what is named. None where it always is the id.
        word_question: what a model is asked, where that is more than the question: choices, or an instruction. None
            where it is the question.

    Example:
        >>> question = QuestionExample(id="q1", question="When?", answers=("1889",))
        >>> benchmark = Benchmark(name="mine", split="test", setting="full", root=Path("."), files={},
        ...                       read_questions=lambda problems: iter([question]))
        >>> [example.id for example in benchmark.questions()], list(benchmark.knowledge())
        (['q1'], [])
    """

    name: str
    split: str
    setting: str
    root: Path
    files: Mapping[str, Path]
    read_questions: Callable[[Problems], Iterator[QuestionExample]] = field(repr=False)
    read_knowledge: Callable[[Problems], Iterator[KnowledgeItem]] | None = field(repr=False, default=None)
    name_item: NameItem | None = field(repr=False, default=None)
    word_question: WordQuestion | None = field(repr=False, default=None)

    def questions(self, *, problems: Problems = None) -> Iterator[QuestionExample]:
        """The questions, one at a time.

        Args:
            problems: where rows that cannot be used are reported; None raises at the first.

        Raises:
            ReaderError: a file is malformed; names it and the place.
        """
        return self.read_questions(problems)

    def knowledge(self, *, problems: Problems = None) -> Iterator[KnowledgeItem]:
        """The knowledge items, one at a time; none where the benchmark brings no knowledge.

        Args:
            problems: where items that cannot be used are reported; None raises at the first.

        Raises:
            ReaderError: a file is malformed; names it and the place.
        """
        return iter(()) if self.read_knowledge is None else self.read_knowledge(problems)
