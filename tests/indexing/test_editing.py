"""Items added, replaced and deleted: only what is new is encoded, answers follow, what is deleted leaves the disk."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest

from rablip import KnowledgeItem, RablipAnswerer, build_index, open_index
from rablip.encoding import KnowledgeEncoder
from rablip.index import IndexMismatchError, SearchSettings
from rablip.index.maintenance import measure_index, verify_index
from rablip.indexing import add_knowledge, compact_knowledge, delete_knowledge, merge_indexes
from rablip.knowledge_base import KnowledgeBaseError
from rablip.world import make_world


def make_items(first: int, last: int, note: str = "") -> list[KnowledgeItem]:
    return [
        KnowledgeItem(
            id=f"i{number}", title=f"Tower {number}", text=f"Tower {number} opened in {1800 + number}{note}."
        )
        for number in range(first, last)
    ]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Path) -> Path:
    folder = tmp_path_factory.mktemp("built")
    build_index(make_items(0, 12), model=tiny_bundle, out=folder / "index", progress=False)
    return folder / "index"


@pytest.fixture
def folder(built: Path, tmp_path: Path) -> Path:
    shutil.copytree(built, tmp_path / "index")
    return tmp_path / "index"


def read_all(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_only_what_is_added_is_encoded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[str] = []
    original = KnowledgeEncoder.stream

    def count(self: Any, items: Any, *arguments: Any) -> Any:
        for part, embeddings in original(self, items, *arguments):
            encoded.extend(item.id for item in part)
            yield part, embeddings

    monkeypatch.setattr(KnowledgeEncoder, "stream", count)
    report = add_knowledge(folder, make_items(10, 15, " again"), on_duplicate="overwrite", progress=False)
    assert report.num_items == 15 and sorted(encoded) == [f"i{number}" for number in range(10, 15)]
    index, base = open_index(folder)
    assert len(index) == len(base) == 15 and "again" in base["i11"].text and "again" not in base["i9"].text
    encoded.clear()
    report = add_knowledge(folder, make_items(14, 16), on_duplicate="skip", progress=False)
    assert report.num_items == 16 and encoded == ["i15"] and "again" in open_index(folder)[1]["i14"].text


def test_an_item_has_the_embedding_that_a_new_index_gives_it(folder: Path, tmp_path: Path, tiny_bundle: Path) -> None:
    add_knowledge(folder, make_items(6, 20, " again"), on_duplicate="overwrite", progress=False)
    build_index(
        [*make_items(0, 6), *make_items(6, 20, " again")], model=tiny_bundle, out=tmp_path / "new", progress=False
    )
    edited, new = open_index(folder)[0], open_index(tmp_path / "new")[0]
    names = sorted(new.ids)
    assert sorted(edited.ids) == names
    assert abs(edited.get(names) - new.get(names)).max() < 1e-5


def test_what_is_there_already_is_an_error_unless_said_otherwise(folder: Path) -> None:
    before = read_all(folder)
    with pytest.raises(KnowledgeBaseError, match="'i11' is in the index already"):
        add_knowledge(folder, make_items(11, 14), progress=False)
    assert read_all(folder) == before
    with pytest.raises(KnowledgeBaseError, match="there twice"):
        add_knowledge(folder, make_items(20, 22) + make_items(20, 21), progress=False)
    assert read_all(folder) == before


def test_another_model_cannot_add(folder: Path, tmp_path: Path, tiny_bundle: Path) -> None:
    shutil.copytree(tiny_bundle / "retriever", tmp_path / "other")
    config = tmp_path / "other" / "preprocessor_config.json"
    target = config if config.is_file() else tmp_path / "other" / "processor_config.json"
    target.write_text(target.read_text().replace('"max_images": ', '"max_images": 1'))
    with pytest.raises(IndexMismatchError, match="model_fingerprint"):
        add_knowledge(folder, make_items(20, 21), model=tmp_path / "other", progress=False)


def test_another_wording_of_items_is_noticed(folder: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model's files are the same, but this version of the code would make other prompts of them."""
    from rablip.processing import processing_rablip_retriever as module

    open_index(folder, model=tiny_bundle)
    original = module.RablipRetrieverProcessor.process_knowledge

    def reword(self: Any, items: Any, *args: Any, **kwargs: Any) -> Any:
        return original(self, [dataclasses.replace(item, title=f"{item.title}:") for item in items], *args, **kwargs)

    monkeypatch.setattr(module.RablipRetrieverProcessor, "process_knowledge", reword)
    with pytest.raises(IndexMismatchError, match="prompt_fingerprint: the index has '[0-9a-f]{64}', the model here"):
        open_index(folder, model=tiny_bundle)
    with pytest.raises(IndexMismatchError, match="prompt_fingerprint"):
        add_knowledge(folder, make_items(20, 21), model=tiny_bundle, progress=False)


def test_what_is_deleted_is_found_no_more_and_leaves_the_disk_when_compacted(folder: Path) -> None:
    assert delete_knowledge(folder, ["i3", "i4", "nobody"]) == ["nobody"]
    with pytest.raises(KeyError, match="nobody"):
        delete_knowledge(folder, ["i5", "nobody"], strict=True)
    index, base = open_index(folder)
    assert len(index) == len(base) == 10 and "i3" not in base and "i5" in base
    assert b"opened in 1803" in read_all(folder)
    manifest = compact_knowledge(folder, progress=False)
    assert manifest.num_items == 10 and len(manifest.segments) == 1 and manifest.segments[0].num_deleted == 0
    assert b"opened in 1803" not in read_all(folder) and b"opened in 1805" in read_all(folder)
    stats = measure_index(folder)
    assert (stats.num_items, stats.num_deleted) == (10, 0) and 0 < stats.items_bytes < stats.disk_bytes
    assert verify_index(folder).num_items == 10 and sorted(open_index(folder)[0].ids) == sorted(base.ids)


def test_compacting_can_change_how_an_index_is_searched(folder: Path) -> None:
    manifest = compact_knowledge(folder, search=SearchSettings(kind="hnsw"), progress=False)
    assert manifest.search.kind == "hnsw" and manifest.segments[0].search.kind == "exact", "12 items need no graph"
    assert open_index(folder)[0].manifest.search.kind == "hnsw"


def test_indexes_of_one_model_are_joined(folder: Path, tmp_path: Path, tiny_bundle: Path) -> None:
    build_index(make_items(10, 16, " again"), model=tiny_bundle, out=tmp_path / "other", progress=False)
    with pytest.raises(ValueError, match="'i1[01]' of .* is in another index too"):
        merge_indexes([folder, tmp_path / "other"], tmp_path / "joined", progress=False)
    assert not list((tmp_path / "joined").glob("[!.]*"))
    for policy, expected in (("skip", False), ("overwrite", True)):
        merge_indexes([folder, tmp_path / "other"], tmp_path / "joined", on_duplicate=policy, progress=False)
        index, base = open_index(tmp_path / "joined", model=tiny_bundle)
        assert len(index) == len(base) == 16 and ("again" in base["i11"].text) == expected
        source = open_index(tmp_path / "other" if expected else folder)[0]
        assert (index.get(["i11"]) == source.get(["i11"])).all()
    merge_indexes([tmp_path / "joined", folder], tmp_path / "again", on_duplicate="skip", progress=False)
    assert sorted(open_index(tmp_path / "again")[0].ids) == sorted(index.ids), "the second had nothing new"
    with pytest.raises(ValueError, match="two or more"):
        merge_indexes([folder], tmp_path / "one", progress=False)


def test_answers_follow_changed_facts(tmp_path: Path, checkpoint: Path) -> None:
    """A tenth of a world's facts get other values: the answers are the new ones, without any training."""
    world = make_world(31, 60)
    items = {item.id: item for item in world.items}
    facts = [
        (question, items[question.positive_ids[0]])
        for question in world.questions
        if question.answers
        and len(question.positive_ids) == 1
        and not question.images
        and items[question.positive_ids[0]].image is None
        and (items[question.positive_ids[0]].text or "").count(question.answers[0]) == 1
    ]
    changed = {}
    for (question, item), (other, _) in zip(facts, facts[1:] + facts[:1], strict=True):
        same_kind = question.answers[0].isdigit() == other.answers[0].isdigit()
        if same_kind and other.answers[0] != question.answers[0] and item.id not in changed:
            text = (item.text or "").replace(question.answers[0], other.answers[0])
            changed[item.id] = (question, dataclasses.replace(item, text=text), other.answers[0])
    chosen = list(changed.values())[: max(6, len(items) // 10)]
    assert len(chosen) >= 6
    build_index(world.items, model=checkpoint, out=tmp_path / "index", progress=False)
    asked = [question.question for question, _, _ in chosen]
    before = RablipAnswerer.from_pretrained(checkpoint, index=tmp_path / "index").answer_batch(asked)
    add_knowledge(tmp_path / "index", [item for _, item, _ in chosen], on_duplicate="overwrite", progress=False)
    after = RablipAnswerer.from_pretrained(checkpoint, index=tmp_path / "index").answer_batch(asked)
    was_right = sum(one.text == question.answers[0] for one, (question, _, _) in zip(before, chosen, strict=True))
    is_right = sum(one.text == value for one, (_, _, value) in zip(after, chosen, strict=True))
    assert was_right >= 0.9 * len(chosen) and is_right >= 0.9 * len(chosen)
