"""The answerer: joins retriever, index, re-ranker and generator into answers with citations, or abstentions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from ..processing.knowledge_rablip import KnowledgeItem
from .candidate_search import CandidateSearch
from .checking import check_dimension, check_evidence, check_processor, check_questions
from .composition import finish_answer
from .features import Part, make_parts
from .generation import answer_rows, show_evidence, withhold_rows
from .loading import load_parts
from .numerics import protect_half_precision
from .pictures import ItemPictures, OpenedImages, QuestionImage, QuestionImages
from .reranking import rerank_rows
from .retrieving import Among, retrieve_rows
from .selection import merge_hops, second_hop_question, select_evidence
from .types import AbstainReason, Answer, AnswerSettings, Candidate, Selection

if TYPE_CHECKING:
    from ..index.protocol import SearchableIndex
    from ..index.score_scales import ScoreScales
    from ..knowledge_base import KnowledgeBase
    from ..lexical import LexicalIndex
    from ..modeling_rablip import RablipForConditionalGeneration, RablipReranker, RablipRetriever
    from ..processing.processing_rablip import RablipProcessor, RablipRetrieverProcessor

__all__ = ["RablipAnswerer"]


class RablipAnswerer:
    """Answers questions from a knowledge base, and says what each answer rests on.

    A question goes through `retrieve`, `rerank`, `select` and `generate`; each is a method that also works alone.
    Every part may be missing: without a generator the answerer finds and judges candidates, without a re-ranker the
    generator alone judges relevance, without an index it answers from evidence given to `generate`. The models are put
    into evaluation mode.

    Args:
        retriever: encodes questions into the space of the index.
        retriever_processor: prepares questions for the retriever.
        index: vectors of the knowledge items; its dimension must be the retriever's.
        knowledge_base: the knowledge items that the ids of the index name.
        reranker: judges each candidate against the question.
        reranker_processor: prepares (question, item) pairs; None: the retriever's processor.
        generator: reads question and evidence and writes the answer.
        generator_processor: prepares questions with their evidence for the generator.
        lexical, scales: what `settings.retrieval` needs beside the index; see `CandidateSearch`.
        settings: how many, how far and how strict.

    Raises:
        ValueError: when parts that belong together are not given together, the index has another dimension than
            the retriever, or what `settings.retrieval` needs is missing.

    Example:
        >>> model = "examples/checkpoints/rablip-tiny"
        >>> answerer = RablipAnswerer.from_pretrained(model, index="my_index")  # doctest: +SKIP
        >>> answerer("In what year was Velmor Tarn founded?").text  # doctest: +SKIP
        '1743'
    """

    def __init__(
        self,
        retriever: RablipRetriever | None = None,
        retriever_processor: RablipRetrieverProcessor | None = None,
        index: SearchableIndex | None = None,
        knowledge_base: KnowledgeBase | None = None,
        *,
        reranker: RablipReranker | None = None,
        reranker_processor: RablipRetrieverProcessor | None = None,
        generator: RablipForConditionalGeneration | None = None,
        generator_processor: RablipProcessor | None = None,
        lexical: LexicalIndex | None = None,
        scales: ScoreScales | None = None,
        settings: AnswerSettings | None = None,
    ) -> None:
        reranker_processor = reranker_processor or retriever_processor
        given: dict[str, tuple[Any, Any]] = {
            "retriever": (retriever, retriever_processor),
            "reranker": (reranker, reranker_processor),
            "generator": (generator, generator_processor),
        }
        loaded = {name: part for name, part in given.items() if part[0] is not None}
        for name, (model, processor) in loaded.items():
            if processor is None:
                raise ValueError(f"A {name} was given without its processor. Pass `{name}_processor` as well.")
            check_processor(name, model, processor)
            model.eval()
        if (index is None) != (knowledge_base is None):
            raise ValueError("index and knowledge_base belong together: pass both, or neither (see open_index).")
        if not loaded:
            raise ValueError(
                "There is no model to answer with. Pass at least a retriever, a re-ranker or a generator."
            )
        if retriever is not None and index is not None:
            check_dimension(retriever, index)
        self.retriever = retriever
        self.retriever_processor = retriever_processor
        self.index = index
        self.knowledge_base = knowledge_base
        self.reranker = reranker
        self.reranker_processor = reranker_processor
        self.generator = generator
        self.generator_processor = generator_processor
        self.settings = settings or AnswerSettings()
        self._search = None
        if index is not None:
            self._search = CandidateSearch(index, lexical=lexical, scales=scales)
            self._search.check(self.settings.retrieval)
        self._pictures = ItemPictures(knowledge_base)
        self._parts = make_parts(loaded)

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path,
        *,
        index: str | Path | tuple[SearchableIndex, KnowledgeBase] | None = None,
        index_revision: str | None = None,
        device: str | None = None,
        settings: AnswerSettings | None = None,
        **kwargs: Any,
    ) -> RablipAnswerer:
        """Loads a model folder (one model, or a bundle of retriever, re-ranker and generator) and an index.

        Args:
            model: a model folder or the name of one on the Hub.
            index: an index folder made by `build_index`, the name of one on the Hub, or an open index with its
                knowledge base (`open_engine`); None to answer from evidence given to `generate` only.
            index_revision: the commit of an index on the Hub.
            device: where the models run; None: the GPU when there is one, else the CPU.
            settings: how many, how far and how strict.
            kwargs: further keywords of every model's `from_pretrained`, such as `dtype` or `revision`.

        Raises:
            ValueError: when the folder holds no rablip model, a checkpoint is incomplete, or the index was built by
                another model.

        Example:
            >>> RablipAnswerer.from_pretrained("examples/checkpoints/rablip-tiny")  # doctest: +SKIP
        """
        settings = settings or AnswerSettings()
        parts = load_parts(
            model, index=index, index_revision=index_revision, retrieval=settings.retrieval, device=device, **kwargs
        )
        return cls(**parts, settings=settings)

    def __call__(self, question: str, *, image: QuestionImage | Sequence[QuestionImage] | None = None) -> Answer:
        """Answers one question, with or without pictures of its own.

        Args:
            question: the question.
            image: a PIL image, an `ImageRef`, or a sequence of them.

        Raises:
            ValueError: when the question is blank, or it has more pictures than the models take.
            ImageError: when a picture of the question cannot be opened.
            TypeError: when the picture is a string; wrap a path: `ImageRef(path=...)`.
        """
        return self.answer_batch([question], None if image is None else [image])[0]

    def answer_batch(
        self,
        questions: Sequence[str],
        images: QuestionImages | None = None,
        *,
        among: Sequence[Sequence[str]] | None = None,
    ) -> list[Answer]:
        """Answers several questions; each gets what it would get alone.

        Args:
            questions: the questions.
            images: one entry per question: a picture, several, or None.
            among: ids of the items that each question is answered from; None for all of the index.

        Raises:
            ValueError, ImageError, TypeError: as for one question; nothing is answered then.
            KeyError: when an id of `among` is not in the index.
        """
        self._search_parts()
        opened = check_questions(questions, images, max_images=self.max_question_images)
        answers: list[Answer] = []
        for start in range(0, len(questions), self.settings.batch_size):
            part = slice(start, start + self.settings.batch_size)
            answers += self._answer(questions[part], opened[part], None if among is None else among[part])
        return answers

    def retrieve(
        self,
        questions: Sequence[str],
        images: QuestionImages | None = None,
        *,
        k: int | None = None,
        hop: int = 1,
        among: Sequence[Sequence[str]] | None = None,
    ) -> list[list[Candidate]]:
        """Searches the index, by default with the retriever alone: at most `k` of each question, best first.

        Args:
            questions: the questions.
            images: one entry per question: a picture, several, or None.
            k: how many; None: `settings.num_candidates`.
            hop: recorded on the candidates.
            among: ids of the items that count for each question; None for all of the index.

        Raises:
            ValueError: when a question is blank, k is below 1, or there is no index.
            KeyError: when an id of `among` is not in the index.
        """
        return self._retrieve(questions, check_questions(questions, images), k=k, hop=hop, among=among)[0]

    def rerank(
        self,
        questions: Sequence[str],
        candidates: Sequence[Sequence[Candidate | KnowledgeItem]],
        images: QuestionImages | None = None,
    ) -> list[list[Candidate]]:
        """Judges each candidate against its question, and puts the most relevant first.

        Args:
            questions: the questions.
            candidates: candidates, or knowledge items, of each question.
            images: one entry per question: a picture, several, or None.

        Raises:
            ValueError: when there is no re-ranker, a question is blank, or the lists differ in length.
        """
        opened = check_questions(questions, images)
        return self._rerank(questions, check_evidence(candidates, len(questions)), opened)

    def select(
        self, candidates: Sequence[Sequence[Candidate]], images: QuestionImages | None = None
    ) -> list[Selection]:
        """Keeps as many candidates as are relevant, maybe none: what `generate` gets as evidence.

        Re-ranked candidates are kept from the relevance threshold on, others in the order of their scores, at most
        `settings.max_evidence`. Pictures beyond what the generator takes are dropped and recorded.

        Args:
            candidates: candidates of each question.
            images: pictures of the questions, which take picture places first.
        """
        entries = images if images is not None else [None] * len(candidates)
        counts = [0 if entry is None else len(entry) if isinstance(entry, (list, tuple)) else 1 for entry in entries]
        return [self._select(row, count) for row, count in zip(candidates, counts, strict=True)]

    def generate(
        self,
        questions: Sequence[str],
        evidence: Sequence[Sequence[Candidate | KnowledgeItem]],
        images: QuestionImages | None = None,
        *,
        force: bool = False,
    ) -> list[Answer]:
        """Answers from evidence that was selected or is given by the caller, in the order given.

        Args:
            questions: the questions.
            evidence: knowledge items, or candidates, of each question. Where there is none the answer is withheld
                without calling the generator.
            images: one entry per question: a picture, several, or None.
            force: always answer, even without evidence (closed book) or when none of it is relevant.

        Raises:
            ValueError: when there is no generator, a question is blank, an id stands twice in one question's evidence,
                the lists differ in length, or a question has more pictures than the generator takes.
            NonFiniteLogitsError: when the generator computes scores that are not numbers.
        """
        opened = check_questions(questions, images)
        if self.generator is None:
            raise ValueError("There is no generator to write answers. Load a model folder that holds one.")
        rows = check_evidence(evidence, len(questions))
        answers: list[Answer] = []
        for start in range(0, len(questions), self.settings.batch_size):
            part = slice(start, start + self.settings.batch_size)
            answers += self._generate(questions[part], rows[part], opened[part], force=force)
        return answers

    def open_picture(self, item: KnowledgeItem) -> Image.Image | None:
        """The picture of a knowledge item in RGB, or None when it has none.

        Raises:
            ImageError: when the picture is missing or damaged.
        """
        return self._pictures.open(item)

    def _answer(self, questions: Sequence[str], images: OpenedImages, among: Among = None) -> list[Answer]:
        candidates, truncated = self._retrieve(questions, images, among=among)
        if self.reranker is not None:
            candidates = self._rerank(questions, candidates, images)
        expanded: list[str | None] = [None] * len(questions)
        if self.settings.num_hops == 2:
            candidates, expanded = self._second_hop(questions, candidates, images, among)
        selections = [self._select(row, len(asked)) for row, asked in zip(candidates, images, strict=True)]
        answers = self._generate(questions, selections, images)
        nothing_found = AbstainReason.NO_CANDIDATES if len(self._search_parts()[1]) else AbstainReason.EMPTY_INDEX
        return [
            finish_answer(*row, self.settings, nothing_found=nothing_found)
            for row in zip(answers, selections, candidates, expanded, truncated, strict=True)
        ]

    def _retrieve(
        self, questions: Sequence[str], images: OpenedImages, k: int | None = None, hop: int = 1, among: Among = None
    ) -> tuple[list[list[Candidate]], list[bool]]:
        parts = self._search_parts()
        return retrieve_rows(*parts, questions, images, self._pictures, self.settings, k=k, hop=hop, among=among)

    def _rerank(
        self, questions: Sequence[str], candidates: Sequence[Sequence[Candidate]], images: OpenedImages
    ) -> list[list[Candidate]]:
        if "reranker" not in self._parts:
            raise ValueError("There is no re-ranker to judge candidates. Load a model folder that holds one.")
        return rerank_rows(
            self._parts["reranker"], questions, candidates, images, self._pictures, batch_size=self.settings.batch_size
        )

    def _second_hop(
        self,
        questions: Sequence[str],
        candidates: list[list[Candidate]],
        images: OpenedImages,
        among: Among,
    ) -> tuple[list[list[Candidate]], list[str | None]]:
        threshold = self._relevance_threshold()
        expanded = [
            second_hop_question(question, found, threshold=threshold)
            for question, found in zip(questions, candidates, strict=True)
        ]
        asked = [(row, question) for row, question in enumerate(expanded) if question is not None]
        again = [question for _, question in asked]
        pictures = [images[row] if self.settings.second_hop_images else [] for row, _ in asked]
        known = None if among is None else [among[row] for row, _ in asked]
        found, _ = self._retrieve(again, pictures, hop=2, among=known)
        if self.reranker is not None:
            found = self._rerank(again, found, pictures)
        merged = list(candidates)
        for (row, _), second in zip(asked, found, strict=True):
            merged[row] = merge_hops(candidates[row], second)
        return merged, expanded

    def _select(self, candidates: Sequence[Candidate], num_question_images: int) -> Selection:
        return select_evidence(
            candidates,
            max_evidence=self.settings.max_evidence,
            threshold=self._relevance_threshold(),
            max_pictures=self._max_pictures(num_question_images),
        )

    def _generate(
        self,
        questions: Sequence[str],
        evidence: Sequence[Sequence[Candidate]],
        images: OpenedImages,
        *,
        force: bool = False,
    ) -> list[Answer]:
        max_pictures = [self._max_pictures(len(asked)) for asked in images]
        shown = [
            show_evidence(question, given, asked, self._pictures, max_pictures=limit)
            for question, given, asked, limit in zip(questions, evidence, images, max_pictures, strict=True)
        ]
        selections, rows = [selection for selection, _ in shown], [row for _, row in shown]
        generator = self._parts.get("generator")
        if generator is None:
            return withhold_rows(selections, rows, self.settings, AbstainReason.NO_GENERATOR)
        protect_half_precision(generator.model)
        return answer_rows(generator, selections, rows, self.settings, force=force)

    def _search_parts(self) -> tuple[Part, CandidateSearch, KnowledgeBase]:
        retriever = self._parts.get("retriever")
        if retriever is None or self._search is None or self.knowledge_base is None:
            missing = "retriever" if retriever is None else "index"
            raise ValueError(
                f"There is no {missing} to search with. Load one (from_pretrained(model, index=folder)), or give the "
                "evidence yourself: generate(questions, evidence)."
            )
        return retriever, self._search, self.knowledge_base

    def _relevance_threshold(self) -> float | None:
        if self.reranker is None:
            return None
        setting = self.settings.relevance_threshold
        return float(self.reranker.config.relevance_threshold) if setting is None else setting

    def _max_pictures(self, num_question_images: int) -> int | None:
        part = self._parts.get("generator")
        return None if part is None else max(part.processor.max_images - num_question_images, 0)

    @property
    def max_question_images(self) -> int:
        """How many pictures a question may have, by the models that are there."""
        limits = {name: part.processor.max_images for name, part in self._parts.items()}
        if "reranker" in limits:
            limits["reranker"] -= 1  # one place is the candidate's
        return min(limits.values())
