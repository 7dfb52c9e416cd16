"""The quickstart with tiny random models: it ends in one page that shows every kind of question and its evidence."""

from __future__ import annotations

import io
from collections import Counter

import pytest
from rich.console import Console

from rablip import quickstart
from rablip.evaluation.world_scoring import kind_of
from rablip.quickstart import QUICKSTART_SEED, choose_questions, run_quickstart
from rablip.world import QUESTION_KINDS, make_world
from tests.processing.tiny_tokenizers import make_processor, make_retriever_processor
from tests.tiny import make_generator, make_reranker, make_retriever


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle")
    reads = make_retriever_processor(max_images=3)
    writes = make_processor(max_images=3)
    for name, model, processor in (
        ("retriever", make_retriever(), reads),
        ("reranker", make_reranker(relevance_threshold=0.0), reads),
        ("generator", make_generator(image_token_index=writes.image_token_id, abstain_threshold=0.0), writes),
    ):
        model.save_pretrained(folder / name)
        processor.save_pretrained(folder / name)
    return folder


def test_the_whole_path_ends_in_one_page(bundle, tmp_path):
    said = io.StringIO()
    page = run_quickstart(
        tmp_path / "new" / "page.html",
        model=bundle,
        num_entities=12,
        progress=False,
        console=Console(file=said, width=100),
    )
    text, html = said.getvalue(), page.read_text(encoding="utf-8")
    assert page == tmp_path / "new" / "page.html"
    assert (page.parent / "index" / "manifest.json").is_file()
    for name in ("random", "BM25", "TF-IDF", "text-only dense", "RA-BLIP retriever"):
        assert name in text and name in html
    assert text.count("✓ ") + text.count("✗ ") == 12
    assert all(kind.replace("_", " ") in text for kind in QUESTION_KINDS)
    assert "data:image/" in html and "<script" not in html and 'src="http' not in html
    assert f"seed {QUICKSTART_SEED}" in html


def test_a_dozen_questions_hold_every_kind_named_and_unnamed():
    world = make_world(QUICKSTART_SEED, 60)
    chosen = choose_questions(world.questions, seed=QUICKSTART_SEED)
    kinds = Counter(map(kind_of, chosen))
    assert len(chosen) == 12 and set(kinds) == set(QUESTION_KINDS)
    assert kinds["two_hop"] == kinds["question_picture"] == 2
    assert len({question.id for question in chosen}) == 12
    about_pictures = [question for question in chosen if question.metadata["evidence_modality"] == "image"]
    assert {bool(question.metadata["visual_only"]) for question in about_pictures} == {True, False}
    asked = [question.metadata["attribute"] for question in chosen if kind_of(question) == "two_hop"]
    assert len(set(asked)) == 2
    assert chosen == choose_questions(world.questions[::-1], seed=QUICKSTART_SEED)
    assert chosen != choose_questions(world.questions, seed=QUICKSTART_SEED + 1)


def test_few_questions_are_all_chosen():
    world = make_world(1, 2)
    assert len(choose_questions(world.questions[:5])) == 5
    assert choose_questions([]) == []


def test_the_missing_checkpoint_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(quickstart, "DEFAULT_CHECKPOINT", tmp_path / "none")
    with pytest.raises(FileNotFoundError, match="rablip train tiny"):
        run_quickstart(tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()
