"""Four ways of searching an index, alone and inside the answerer: what each promises, and what it needs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rablip import AnswerSettings, IndexMismatchError, KnowledgeIndex, RablipAnswerer, build_index, open_index
from rablip.answering import CandidateSearch, fit_scales
from rablip.answering.candidate_search import load_search_parts
from rablip.answering.types import RETRIEVALS
from rablip.evaluation.memory_items import MemoryItems
from rablip.index.score_fitting import fit_score_scales
from rablip.indexing import add_knowledge, compact_knowledge, delete_knowledge, index_knowledge, merge_indexes
from rablip.lexical import LexicalIndex, build_lexical_index, searchable_text
from rablip.lexical.storage import LEXICAL_NAME
from rablip.processing.knowledge_rablip import KnowledgeItem
from tests.answering import tiny_stack
from tests.index.test_knowledge_index import DIM, make_manifest, make_vectors

QUESTIONS = ["number 3", "Which tower?", "unheard-of words"]


def make_gap_index(num_texts: int = 40, num_pictures: int = 20, num_both: int = 3) -> KnowledgeIndex:
    """Pictures lie close to every question and texts far away: in one ranking pictures crowd texts out."""
    index = KnowledgeIndex.create(make_manifest(columns={"modality": "string", "year": "int64"}))
    counts = {"text": (num_texts, -3.0), "image": (num_pictures, 3.0), "image_text": (num_both, 0.0)}
    for number, (name, (count, shift)) in enumerate(counts.items()):
        vectors = make_vectors(count, seed=number) + np.eye(DIM, dtype=np.float32)[0] * shift
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        columns = {"modality": [name] * count, "year": list(range(count))}
        index.add([f"{name} {row}" for row in range(count)], vectors, columns=columns)
    return index


def make_questions(count: int, seed: int = 50) -> np.ndarray:
    vectors = make_vectors(count, seed=seed) * 0.5 + np.eye(DIM, dtype=np.float32)[0]
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def search() -> CandidateSearch:
    index = make_gap_index()
    lexical = LexicalIndex.create(index, [f"number {item_id.split()[1]}" for item_id in index.ids])
    return CandidateSearch(index, lexical=lexical, scales=fit_score_scales(index, make_questions(30)))


def modalities_of(hits: Any) -> list[str]:
    return [hit.id.split()[0] for hit in hits]


def test_dense_is_the_search_of_the_index(search: CandidateSearch) -> None:
    vectors = make_questions(3)
    assert search.search(QUESTIONS, vectors, 9) == search.index.search(vectors, 9)
    where = {"year": [1, 2]}
    assert search.search(QUESTIONS, vectors, 9, where=where) == search.index.search(vectors, 9, where=where)


def test_ranks_interleave_the_modalities(search: CandidateSearch) -> None:
    vectors = make_questions(3)
    assert all(set(modalities_of(hits)) == {"image"} for hits in search.search(QUESTIONS, vectors, 9)), "the gap"
    for row, hits in enumerate(search.search(QUESTIONS, vectors, 12, retrieval="by_modality_ranks")):
        found = modalities_of(hits)
        for start in (0, 3, 6):
            assert sorted(found[start : start + 3]) == ["image", "image_text", "text"]
        assert set(found[9:]) == {"image", "text"}, "both of the third modality are there already"
        for name in ("text", "image"):
            own = [hit.id for hit in hits if hit.id.startswith(f"{name} ")]
            (alone,) = search.index.search(vectors[row : row + 1], 12, where={"modality": name})
            assert own == [hit.id for hit in alone][: len(own)]
        dense = {hit.id: hit.score for hit in search.index.search(vectors[row : row + 1], 99)[0]}
        best = [dense[hit.id] for hit in hits[:3]]
        assert best == sorted(best, reverse=True)


def test_scores_are_compared_on_the_scale_of_each_modality(search: CandidateSearch) -> None:
    vectors = make_questions(3)
    assert search.scales is not None
    scales = search.scales.scales
    every = search.index.search(vectors, 99)
    for hits, dense in zip(search.search(QUESTIONS, vectors, 15, retrieval="by_modality_scores"), every, strict=True):
        expected = sorted((scales[hit.id.split()[0]].normalize(hit.score) for hit in dense), reverse=True)[:15]
        assert [hit.score for hit in hits] == pytest.approx(expected)
        assert len(set(modalities_of(hits))) > 1


@pytest.mark.parametrize("retrieval", RETRIEVALS)
def test_promises_of_every_way(search: CandidateSearch, retrieval: Any) -> None:
    vectors = make_questions(3)
    hits = search.search(QUESTIONS, vectors, 60, retrieval=retrieval)
    for k in (1, 5, 20):
        assert search.search(QUESTIONS, vectors, k, retrieval=retrieval) == [row[:k] for row in hits]
    for row in hits:
        assert len({hit.id for hit in row}) == len(row)
        assert [hit.score for hit in row] == sorted((hit.score for hit in row), reverse=True)
    for place in range(3):
        part = slice(place, place + 1)
        assert search.search(QUESTIONS[part], vectors[part], 60, retrieval=retrieval) == hits[part]
    for where, kept in (({"year": 3}, {"text 3", "image 3"}), ({"modality": "text", "year": [3]}, {"text 3"})):
        found = search.search(QUESTIONS, vectors, 9, retrieval=retrieval, where=where)
        assert [{hit.id for hit in row} for row in found] == [kept] * 3
    assert search.search([], vectors[:0], 3, retrieval=retrieval) == []
    with pytest.raises(ValueError, match="k must be"):
        search.search(QUESTIONS, vectors, 0, retrieval=retrieval)
    with pytest.raises(ValueError, match="no column 'city'"):
        search.search(QUESTIONS, vectors, 3, retrieval=retrieval, where={"city": "x"})


def test_words_lift_what_has_them(search: CandidateSearch) -> None:
    vectors = make_questions(3)
    dense, hybrid = (search.search(QUESTIONS, vectors, 99, retrieval=way) for way in ("dense", "hybrid"))
    place = [hit.id for hit in dense[0]].index("text 3")
    assert [hit.id for hit in hybrid[0]].index("text 3") < place
    assert [hit.id for hit in hybrid[2]] == [hit.id for hit in dense[2]], "no known word: vectors alone"
    without = search.search(QUESTIONS, vectors, 99, retrieval="hybrid", lexical_weight=0.0)
    assert [[hit.id for hit in row] for row in without] == [[hit.id for hit in row] for row in dense]


@pytest.mark.parametrize("retrieval", RETRIEVALS)
def test_changes_of_the_index_are_followed_or_refused(search: CandidateSearch, retrieval: Any) -> None:
    vectors = make_questions(3)
    gone = search.search(QUESTIONS, vectors, 1, retrieval=retrieval)[0][0].id
    search.index.delete([gone])
    if retrieval == "hybrid":
        with pytest.raises(IndexMismatchError, match="rablip index lexical"):
            search.search(QUESTIONS, vectors, 99, retrieval=retrieval)
        return
    hits = search.search(QUESTIONS, vectors, 99, retrieval=retrieval)
    assert all(len(row) == 62 and gone not in dict(row) for row in hits)
    search.index.add(["new"], vectors[:1], columns={"modality": ["audio"]})
    if retrieval == "by_modality_scores":
        with pytest.raises(IndexMismatchError, match="no scale for audio"):
            search.search(QUESTIONS, vectors, 99, retrieval=retrieval)
    else:
        assert all("new" in dict(row) for row in search.search(QUESTIONS, vectors, 99, retrieval=retrieval))


def test_what_is_missing_is_named() -> None:
    index = make_gap_index()
    bare = CandidateSearch(index)
    for retrieval, command in (("hybrid", "rablip index lexical"), ("by_modality_scores", "rablip index scales")):
        with pytest.raises(ValueError, match=command):
            bare.search(QUESTIONS, make_questions(3), 3, retrieval=retrieval)
    with pytest.raises(ValueError, match="retrieval must be one of"):
        bare.search(QUESTIONS, make_questions(3), 3, retrieval="sparse")
    with pytest.raises(ValueError, match="3 questions but 2 vectors"):
        bare.search(QUESTIONS, make_questions(2), 3)
    with pytest.raises(ValueError, match="another index"):
        CandidateSearch(make_gap_index(), lexical=LexicalIndex.create(index, ["x"] * len(index)))
    with pytest.raises(IndexMismatchError, match="index_id"):
        CandidateSearch(make_gap_index(), scales=fit_score_scales(index, make_questions(3)))
    index.add(["stray"], make_vectors(1))
    with pytest.raises(ValueError, match="1 items of the index have no modality"):
        bare.search(QUESTIONS, make_questions(3), 3, retrieval="by_modality_ranks")
    for wrong in ({"retrieval": "sparse"}, {"lexical_weight": -1.0}, {"lexical_weight": float("nan")}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            AnswerSettings(**wrong)


# The answerer


def make_answerer(**settings: Any) -> RablipAnswerer:
    """An answerer of tiny random models that can search in every way."""
    # A title each, so that there is something to ask again with.
    stored = [dataclasses.replace(item, title=f"Zorn {item.id}") for item in tiny_stack.items()]
    parts = tiny_stack.make_parts()
    base: Any = MemoryItems(stored)
    retriever, processor = parts["retriever"], parts["retriever_processor"]
    index = index_knowledge(retriever, processor, base, model_fingerprint="0", progress=False)
    lexical = LexicalIndex.create(index, [searchable_text(base[item_id]) for item_id in index.ids])
    scales = fit_scales(retriever, processor, index, tiny_stack.QUESTIONS)
    options = {**tiny_stack.ALL_PASS, "max_new_tokens": 4, **settings}
    return RablipAnswerer(
        **parts,
        index=index,
        knowledge_base=tiny_stack.MemoryBase(stored),
        lexical=lexical,
        scales=scales,
        settings=AnswerSettings(**options),
    )


@pytest.mark.parametrize("retrieval", RETRIEVALS)
def test_the_answerer_searches_so_in_both_hops(retrieval: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    answerer = make_answerer(retrieval=retrieval, lexical_weight=0.5, num_candidates=3)
    asked: list[tuple[list[str], dict[str, Any]]] = []
    original = CandidateSearch.search

    def record(self: CandidateSearch, questions: Any, *args: Any, **options: Any) -> Any:
        asked.append((list(questions), options))
        return original(self, questions, *args, **options)

    monkeypatch.setattr(CandidateSearch, "search", record)
    answers = answerer.answer_batch(tiny_stack.QUESTIONS)
    expanded = [answer.expanded_question for answer in answers if answer.expanded_question is not None]
    assert expanded and [questions for questions, _ in asked] == [tiny_stack.QUESTIONS, expanded]
    assert all(options == {"retrieval": retrieval, "lexical_weight": 0.5} for _, options in asked)
    for answer in answers:
        assert answer.evidence and {one.id for one in answer.evidence} <= {one.id for one in answer.candidates}
        assert len(answer.candidates) <= 6 and (answer.expanded_question is None or len(answer.candidates) >= 3)
    alone = [answerer.answer_batch([question])[0] for question in tiny_stack.QUESTIONS]
    assert [[one.id for one in answer.candidates] for answer in answers] == [
        [one.id for one in answer.candidates] for answer in alone
    ]


def test_candidates_carry_the_score_of_their_way() -> None:
    answerer = make_answerer()
    dense = answerer.retrieve(tiny_stack.QUESTIONS, k=8)
    answerer.settings = dataclasses.replace(answerer.settings, retrieval="hybrid")
    hybrid = answerer.retrieve(tiny_stack.QUESTIONS, k=8)
    assert all(one.score is not None and one.score <= 2 / 61 for row in hybrid for one in row)
    assert [{one.id for one in row} for row in hybrid] == [{one.id for one in row} for row in dense]
    (words,) = answerer.retrieve(["barrels"], k=3)
    assert {"t3", "b1", "b2"} & {one.id for one in words}


def test_missing_parts_are_named_before_any_question() -> None:
    whole = make_answerer()
    parts = {"retriever": whole.retriever, "retriever_processor": whole.retriever_processor}
    knowledge = {"index": whole.index, "knowledge_base": whole.knowledge_base}
    with pytest.raises(ValueError, match="rablip index lexical"):
        RablipAnswerer(**parts, **knowledge, settings=AnswerSettings(retrieval="hybrid"))  # type: ignore[arg-type]


# Indexes on disk


def make_items(first: int, last: int) -> list[KnowledgeItem]:
    return [
        KnowledgeItem(id=f"i{number}", text=f"Tower {number} is of 18{number:02}.") for number in range(first, last)
    ]


def test_a_built_index_with_its_lexical_part(tiny_bundle: Path, tmp_path: Path) -> None:
    folder = tmp_path / "index"
    build_index(make_items(0, 8), model=tiny_bundle, out=folder, lexical=True, progress=False)
    hybrid = AnswerSettings(retrieval="hybrid", num_hops=1)

    def load() -> RablipAnswerer:
        return RablipAnswerer.from_pretrained(tiny_bundle, index=folder, settings=hybrid)

    assert "i7" in [one.id for one in load().retrieve(["Which is of 1807?"], k=2)[0]]
    add_knowledge(folder, make_items(8, 10), progress=False)
    with pytest.raises(IndexMismatchError, match=f"stale.*rablip index lexical {folder}"):
        load()
    assert len(build_lexical_index(folder, progress=False)) == 10
    assert "i9" in [one.id for one in load().retrieve(["1809"], k=2)[0]]
    delete_knowledge(folder, ["i9"])
    build_lexical_index(folder, progress=False)
    answerer = load()
    assert "i9" not in [one.id for one in answerer.retrieve(["1809"], k=20)[0]]
    assert len(answerer.retrieve(["1809"], k=20)[0]) == 9
    compact_knowledge(folder, progress=False)
    assert not list(folder.glob("lexical*")), "words of what is deleted have left the disk"
    with pytest.raises(FileNotFoundError, match="has no lexical part.*rablip index lexical"):
        load()


def test_an_index_that_takes_the_place_of_another(tiny_bundle: Path, tmp_path: Path) -> None:
    folder, other = tmp_path / "index", tmp_path / "other"
    build_index(make_items(0, 3), model=tiny_bundle, out=folder, lexical=True, progress=False)
    index, _ = open_index(folder)
    fit_score_scales(index, index.get(index.ids)).save(folder)
    assert set(load_search_parts(index, "by_modality_scores")) == {"scales"}
    assert load_search_parts(index, "dense") == load_search_parts(index, "by_modality_ranks") == {}
    build_index(make_items(3, 6), model=tiny_bundle, out=folder, progress=False)
    assert not (folder / LEXICAL_NAME).exists()
    index, _ = open_index(folder)
    with pytest.raises(IndexMismatchError, match="index_id"):
        CandidateSearch(index, **load_search_parts(index, "by_modality_scores"))
    build_index(make_items(6, 8), model=tiny_bundle, out=other, lexical=True, progress=False)
    build_lexical_index(folder, progress=False)
    merge_indexes([folder, other], tmp_path / "both", progress=False)
    merge_indexes([tmp_path / "both", other], folder, on_duplicate="skip", progress=False)
    assert not (folder / LEXICAL_NAME).exists() and len(open_index(folder)[0]) == 5


def test_no_index_is_made_where_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="is not an index"):
        build_lexical_index(tmp_path / "nothing", progress=False)
    assert not (tmp_path / "nothing").exists()
    make_gap_index().save(tmp_path / "bare")
    with pytest.raises(FileNotFoundError, match="no knowledge base"):
        build_lexical_index(tmp_path / "bare", progress=False)


def test_among_given_items_the_best_vector_of_each_counts() -> None:
    manifest = dataclasses.replace(make_manifest(), max_vectors=3)
    index = KnowledgeIndex.create(manifest)
    vectors = make_vectors(6, seed=5)
    given = np.zeros((3, 3, DIM), dtype=np.float32)
    given[0, :1], given[1, :2], given[2] = -vectors[:1], vectors[1:3], vectors[3:6]
    index.add(["one", "two", "three"], given)
    search, question = CandidateSearch(index), vectors[:1]
    (hits,) = search.search_among(question, 3, [["three", "one", "two"]])
    scores = {"one": -1.0, "two": (vectors[1:3] @ question[0]).max(), "three": (vectors[3:6] @ question[0]).max()}
    assert {hit.id: hit.score for hit in hits} == pytest.approx(scores, abs=1e-6)
    assert hits[-1].id == "one", "what fills up the vectors of an item has score 0 and is none of them"
    assert [hit.id for hit in search.search_among(question, 1, [["one"]])[0]] == ["one"]
    with pytest.raises(ValueError, match="dense"):
        search.search_among(question, 1, [["one"]], retrieval="hybrid")
