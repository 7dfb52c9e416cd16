"""Scales of scores by modality: invariances, the cases without a spread, fitting on an index, and what is saved."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rablip.index import IndexCorruptError, IndexMismatchError, KnowledgeIndex, SearchHit
from rablip.index.positions import ItemPositions
from rablip.index.score_fitting import fit_score_scales, list_modalities, make_scales
from rablip.index.score_scales import SCALES_NAME, ScoreScale, ScoreScales
from tests.index.test_knowledge_index import make_manifest, make_vectors


def make_scores(seed: int, num_items: int, num_questions: int = 6) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(num_questions, num_items))


@settings(max_examples=30)
@given(st.floats(0.01, 100), st.floats(-50, 50), st.integers(0, 1000), st.integers(10, 40))
def test_the_gap_and_the_stretch_of_a_modality_do_not_matter(
    stretch: float, gap: float, seed: int, num_items: int
) -> None:
    """Whatever affine map a modality's scores have gone through, its normalised scores are the same."""
    scores = {"text": make_scores(seed, num_items), "image": make_scores(seed + 1, num_items)}
    moved = {**scores, "image": stretch * scores["image"] + gap}
    before, after = make_scales(scores), make_scales(moved)
    for score in (-2.0, 0.0, 1.5):
        assert after["image"].normalize(stretch * score + gap) == pytest.approx(before["image"].normalize(score))
        assert after["text"].normalize(score) == before["text"].normalize(score)


def test_what_is_fitted_has_mean_0_and_spread_1() -> None:
    scores = make_scores(3, 25) * 7 + 3
    scale = make_scales({"text": scores})["text"]
    normalized = np.vectorize(scale.normalize)(scores)
    assert normalized.mean() == pytest.approx(0, abs=1e-9) and normalized.std() == pytest.approx(1)
    assert (scale.num_questions, scale.num_items) == scores.shape


@pytest.mark.parametrize("odd", [np.full((6, 30), 0.3), np.full((6, 30), 0.3, dtype=np.float32), make_scores(9, 2)])
def test_few_items_or_no_spread_take_the_spread_of_the_others(odd: np.ndarray) -> None:
    scores = {"text": make_scores(1, 20), "image": 3 * make_scores(2, 60), "odd": odd}
    scales = make_scales(scores)
    common = (scores["text"].var() * 120 + scores["image"].var() * 360) / 480
    assert scales["odd"].spread == pytest.approx(common**0.5)
    assert scales["odd"].mean == pytest.approx(odd.mean())
    assert make_scales({"odd": odd})["odd"].spread == 1.0


@pytest.mark.parametrize("wrong", [np.ones(3), np.ones((2, 0)), np.array([[np.nan]]), np.array([[-np.inf, 1.0]])])
def test_scores_that_are_none_are_named(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="'image'"):
        make_scales({"image": wrong})


@pytest.mark.parametrize("values", [{"spread": 0.0}, {"spread": -1.0}, {"mean": np.inf}, {"spread": np.nan}])
def test_a_scale_divides_by_something(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="spread"):
        ScoreScale(**{"mean": 0.0, "spread": 1.0, "num_items": 1, "num_questions": 1, **values})  # type: ignore[arg-type]


def make_index(counts: dict[str, int], **manifest: object) -> KnowledgeIndex:
    index = KnowledgeIndex.create(make_manifest(columns={"modality": "string"}, **manifest))
    for number, (name, count) in enumerate(counts.items()):
        ids = [f"{name} {row}" for row in range(count)]
        index.add(ids, make_vectors(count, seed=number + 3), columns={"modality": [name] * count})
    return index


def test_fitted_on_the_items_that_are_there() -> None:
    index = make_index({"text": 30, "image": 20})
    index.delete([f"image {row}" for row in range(5)])
    questions = make_vectors(7, seed=99)
    fitted = fit_score_scales(index, questions)
    for name, count in {"text": 30, "image": 15}.items():
        rows = index.get([item_id for item_id in index.ids if item_id.startswith(name)])
        scores = questions @ rows.T
        assert fitted.scales[name].num_items == count
        assert fitted.scales[name].mean == pytest.approx(scores.mean(), abs=1e-6)
        assert fitted.scales[name].spread == pytest.approx(scores.std(), abs=1e-6)
    few = fit_score_scales(index, questions, max_items=12)
    assert few.scales["text"].num_items == 12 and few == fit_score_scales(index, questions, max_items=12)
    assert few != fit_score_scales(index, questions, max_items=12, seed=1)


def test_an_item_of_several_vectors_scores_by_its_best() -> None:
    index = KnowledgeIndex.create(make_manifest(columns={"modality": "string"}, max_vectors=2))
    vectors = make_vectors(24, seed=1).reshape(12, 2, -1)
    vectors[0, 1] = 0  # one vector only: the zeros are none, although 0 would be the larger score
    index.add([f"i{row}" for row in range(12)], vectors, columns={"modality": ["text"] * 12})
    questions = make_vectors(5, seed=2)
    every = np.einsum("qd,nvd->qnv", questions, vectors)
    expected = np.concatenate([every[:, :1, 0], every[:, 1:].max(axis=2)], axis=1)
    assert fit_score_scales(index, questions).scales["text"].mean == pytest.approx(expected.mean(), abs=1e-6)


def test_nothing_to_fit_on_is_named() -> None:
    with pytest.raises(ValueError, match="0 items"):
        fit_score_scales(make_index({}), make_vectors(2))
    with pytest.raises(ValueError, match="0 questions"):
        fit_score_scales(make_index({"text": 3}), make_vectors(2)[:0])
    with pytest.raises(ValueError, match="no column 'modality'"):
        list_modalities(ItemPositions(KnowledgeIndex.create(make_manifest())))
    index = make_index({"text": 3})
    index.add(["stray"], make_vectors(1, seed=8))
    with pytest.raises(ValueError, match="1 items of the index have no modality"):
        fit_score_scales(index, make_vectors(2))


def test_saved_and_read_again(tmp_path: Path) -> None:
    index = make_index({"text": 30, "image": 20})
    index.save(tmp_path)
    fitted = fit_score_scales(index, make_vectors(7, seed=99))
    fitted.save(tmp_path)
    loaded = ScoreScales.load(tmp_path)
    assert loaded == fitted
    loaded.check(KnowledgeIndex.load(tmp_path), ["text", "image"])
    hits = [SearchHit("a", 0.5), SearchHit("b", 0.1)]
    scale = loaded.scales["text"]
    assert scale.normalize_hits(hits) == [SearchHit("a", scale.normalize(0.5)), SearchHit("b", scale.normalize(0.1))]


def test_scales_of_something_else_are_refused(tmp_path: Path) -> None:
    index = make_index({"text": 30, "image": 20})
    fitted = fit_score_scales(index, make_vectors(7, seed=99))
    fitted.check(index, ["text"])
    with pytest.raises(IndexMismatchError, match="no scale for image_text.*rablip index scales"):
        fitted.check(index, ["text", "image_text"])
    for name in ("index_id", "model_fingerprint"):
        with pytest.raises(IndexMismatchError, match=f"{name} is 'other' there"):
            dataclasses.replace(fitted, **{name: "other"}).check(index, ["text"])
    with pytest.raises(FileNotFoundError, match="rablip index scales"):
        ScoreScales.load(tmp_path)


def test_an_altered_file_is_named(tmp_path: Path) -> None:
    fit_score_scales(make_index({"text": 30}), make_vectors(7, seed=99)).save(tmp_path)
    file = tmp_path / SCALES_NAME
    text = file.read_text(encoding="utf-8")
    for altered in (text.replace('"num_items": 30', '"num_items": 31'), text[:-9], "[]", text.replace("\n", " ")):
        assert altered != text
        file.write_text(altered, encoding="utf-8")
        with pytest.raises(IndexCorruptError, match=SCALES_NAME):
            ScoreScales.load(tmp_path)
    file.write_bytes(b"\xff")
    with pytest.raises(IndexCorruptError, match="UTF-8"):
        ScoreScales.load(tmp_path)
    file.write_text(text.replace('"format_version": 1', '"format_version": 2'), encoding="utf-8")
    with pytest.raises(IndexMismatchError, match="format version 2"):
        ScoreScales.load(tmp_path)
