"""An index folder copied into the engine answers as before, and what does not belong together is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from rablip import RablipAnswerer
from rablip.cli import app
from rablip.index import EngineIndex, IndexCorruptError, IndexManifest, IndexMismatchError, KnowledgeIndex
from rablip.indexing import build_index, delete_knowledge, export_index, open_engine
from rablip.processing import KnowledgeItem
from rablip.retriever_source import find_retriever, load_retriever

pytest.importorskip("lancedb", reason="lancedb is not installed: pip install 'rablip[engine]'")

QUESTION = "Who built the mill?"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Path) -> Path:
    """An index of a few texts, one of them deleted again."""
    items = [KnowledgeItem(id=f"it's {number}", text=f"The mill {number} was built by Marlow.") for number in range(6)]
    folder = tmp_path_factory.mktemp("own") / "index"
    build_index(items, model=tiny_bundle, out=folder, progress=False)
    delete_knowledge(folder, ["it's 2"])
    return folder


def test_an_exported_index_holds_what_the_folder_holds(folder: Path, tmp_path: Path) -> None:
    memory = KnowledgeIndex.load(folder)
    export_index(folder, str(tmp_path), progress=False)
    engine = EngineIndex.open(str(tmp_path), expected={"model_fingerprint": memory.manifest.model_fingerprint})
    assert sorted(engine.ids) == sorted(memory.ids) and engine.verify() == len(memory) == 5
    np.testing.assert_array_equal(engine.get(memory.ids), memory.get(memory.ids))
    questions = memory.get(memory.ids)
    for where in (None, {"modality": "text"}, {"modality": "image"}):
        for hits, others in zip(
            engine.search(questions, 3, where=where), memory.search(questions, 3, where=where), strict=True
        ):
            assert [hit.id for hit in hits] == [hit.id for hit in others]
            assert [hit.score for hit in hits] == pytest.approx([hit.score for hit in others], abs=1e-6)


def test_the_command_exports_once_and_says_what_is_wrong(folder: Path, tmp_path: Path) -> None:
    words = ["index", "export", str(folder), "--to", str(tmp_path / "engine"), "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {"to": str(tmp_path / "engine"), "table": "knowledge", "num_items": 5}
    again = CliRunner().invoke(app, words)
    assert again.exit_code == 2 and "already" in again.stderr
    assert CliRunner().invoke(app, [*words, "--table", "second"]).exit_code == 0
    missing = CliRunner().invoke(app, ["index", "export", str(tmp_path / "no"), "--to", str(tmp_path / "engine")])
    assert missing.exit_code == 2 and "is not an index" in missing.stderr


def test_the_answerer_works_over_it_and_sees_edits_at_once(folder: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    export_index(folder, str(tmp_path), progress=False)
    opened = open_engine(str(tmp_path), folder, model=tiny_bundle)
    answerer = RablipAnswerer.from_pretrained(tiny_bundle, index=opened, device="cpu")
    plain = RablipAnswerer.from_pretrained(tiny_bundle, index=folder, device="cpu")
    found, expected = answerer(QUESTION), plain(QUESTION)
    assert [candidate.id for candidate in found.candidates] == [candidate.id for candidate in expected.candidates]
    assert (found.text, found.reason, found.citations) == (expected.text, expected.reason, expected.citations)
    EngineIndex.open(str(tmp_path)).delete([found.candidates[0].id])
    assert found.candidates[0].id not in [candidate.id for candidate in answerer(QUESTION).candidates]


def test_the_retriever_is_the_one_that_built_it(folder: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    export_index(folder, str(tmp_path / "engine"), progress=False)
    opened = open_engine(str(tmp_path / "engine"), folder)
    generator_alone = RablipAnswerer.from_pretrained(tiny_bundle / "generator", index=opened, device="cpu")
    assert generator_alone(QUESTION).candidates
    retriever, processor = load_retriever(find_retriever(tiny_bundle))
    retriever.retrieval_projection.bias.data[0] += 1e-3
    retriever.save_pretrained(tmp_path / "other")
    processor.save_pretrained(tmp_path / "other")
    for refused in (
        lambda: open_engine(str(tmp_path / "engine"), folder, model=tmp_path / "other"),
        lambda: RablipAnswerer.from_pretrained(tmp_path / "other", index=opened),
    ):
        with pytest.raises(IndexMismatchError, match=IndexManifest.load(folder).model_fingerprint):
            refused()
    assert open_engine(str(tmp_path / "engine"), folder, model=tmp_path / "other", allow_other_model=True)


def test_ids_without_items_and_folders_without_any_are_refused(folder: Path, tmp_path: Path) -> None:
    index = export_index(folder, str(tmp_path / "engine"), progress=False)
    items = folder / IndexManifest.load(folder).items_folders[0]
    assert len(open_engine(str(tmp_path / "engine"), items)[0]) == 5
    index.add(["stranger"], index.get(["it's 1"]), columns={"modality": ["text"]})
    with pytest.raises(IndexCorruptError, match="1 ids of .* have no knowledge item in .*stranger"):
        open_engine(str(tmp_path / "engine"), folder)
    KnowledgeIndex.load(folder).save(tmp_path / "bare")
    with pytest.raises(FileNotFoundError, match="no knowledge base"):
        open_engine(str(tmp_path / "engine"), tmp_path / "bare")


def test_a_damaged_folder_is_not_copied(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "index")
    (vectors,) = (tmp_path / "index").glob("segment-*/vectors*")
    content = bytearray(vectors.read_bytes())
    content[5] ^= 1
    vectors.write_bytes(content)
    with pytest.raises(IndexCorruptError, match="vectors"):
        export_index(tmp_path / "index", str(tmp_path / "engine"), progress=False)
    with pytest.raises(FileNotFoundError):
        EngineIndex.open(str(tmp_path / "engine"))
