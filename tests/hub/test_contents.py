"""What a folder holds, and which of its files travel."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from rablip import IndexCorruptError, KnowledgeIndex, KnowledgeItem, build_index
from rablip.hub import read_contents
from rablip.index.score_fitting import fit_score_scales
from rablip.indexing import delete_knowledge
from rablip.lexical import build_lexical_index

PICKLES = ("optimizer.pt", "rng_state.pth", "training_args.bin", "old.pkl")


@pytest.fixture()
def retriever(tiny_folders: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_folders["retriever"], tmp_path / "retriever"))


def test_kinds(tiny_bundle: Path, tiny_folders: dict[str, Path]) -> None:
    for name, folder in tiny_folders.items():
        contents = read_contents(folder)
        assert (contents.kind, contents.repo_type, list(contents.parts)) == (name, "model", [name])
        assert not contents.left_out
    bundle = read_contents(tiny_bundle)
    assert bundle.kind == "bundle" and list(bundle.parts) == ["retriever", "reranker", "generator"]
    assert {"retriever/model.safetensors", "generator/qformer_tokenizer/tokenizer.json"} <= set(bundle.files)


def test_everything_a_model_needs_travels(retriever: Path) -> None:
    contents = read_contents(retriever)
    there = {path.relative_to(retriever).as_posix() for path in retriever.rglob("*") if path.is_file()}
    assert set(contents.files) == there


def test_what_stays_is_named_with_its_reason(retriever: Path) -> None:
    for name in (*PICKLES, ".env", "helper.py", "events.out", "README.md", "LICENSE", "shown.png"):
        (retriever / name).write_bytes(b"x")
    nobodys = ("runs/log.json", "data/rows.json", "data/mine.png", "people.json", "people.txt", "features.safetensors")
    for name in (*nobodys, ".git/config.json", "checkpoint-5/config.json", "checkpoint-5/model.safetensors"):
        (retriever / name).parent.mkdir(exist_ok=True)
        (retriever / name).write_bytes(b"{}")
    contents = read_contents(retriever)
    assert all("pickle" in contents.left_out[name] for name in PICKLES)
    assert "hidden" in contents.left_out[".env"] and "hidden" in contents.left_out[".git/config.json"]
    assert "code" in contents.left_out["helper.py"]
    assert "another model" in contents.left_out["checkpoint-5/model.safetensors"]
    assert {"events.out", *nobodys} <= set(contents.left_out), "somebody's data lies beside the model"
    # The card is made by the push, from what stands in README.md.
    assert "README.md" not in {*contents.files, *contents.left_out}
    assert {"LICENSE", "shown.png"} <= set(contents.files)


def test_only_safetensors_are_weights(retriever: Path) -> None:
    (retriever / "model.safetensors").rename(retriever / "pytorch_model.bin")
    with pytest.raises(FileNotFoundError, match="no weights in safetensors"):
        read_contents(retriever)


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no rablip model"):
        read_contents(tmp_path)
    with pytest.raises(FileNotFoundError, match="no folder"):
        read_contents(tmp_path / "none")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "t5"}))
    with pytest.raises(ValueError, match="t5"):
        read_contents(tmp_path)


def test_an_index(tiny_bundle: Path, tmp_path: Path) -> None:
    items = [KnowledgeItem(id="a", text="The mill was built by Marlow.")]
    build_index(items, model=tiny_bundle, out=tmp_path / "index", progress=False)
    (tmp_path / "index" / "notes.txt").write_text("mine")
    contents = read_contents(tmp_path / "index")
    assert (contents.kind, contents.repo_type, contents.parts) == ("index", "dataset", {})
    manifest = json.loads((tmp_path / "index" / "manifest.json").read_text())
    assert set(contents.files) == {"manifest.json", *manifest["files"]}
    assert contents.left_out == {"notes.txt": "not named by the manifest"}
    (vectors,) = (tmp_path / "index").glob("segment-*/vectors.f32")
    vectors.write_bytes(vectors.read_bytes()[:-1])
    with pytest.raises(IndexCorruptError, match="vectors.f32"):
        read_contents(tmp_path / "index")


def test_what_an_index_is_searched_by_travels_unless_it_is_stale(tiny_bundle: Path, tmp_path: Path) -> None:
    folder = tmp_path / "index"
    items = [KnowledgeItem(id=name, text=f"The {name} was built by Marlow.") for name in ("mill", "barn")]
    build_index(items, model=tiny_bundle, out=folder, lexical=True, progress=False)
    index = KnowledgeIndex.load(folder)
    fit_score_scales(index, index.get(index.ids)).save(folder)
    before = read_contents(folder)
    extra = {name for name in before.files if name.startswith(("lexical", "score_scales"))}
    assert {"lexical.json", "score_scales.json"} < extra and not before.left_out
    delete_knowledge(folder, ["barn"])
    after = read_contents(folder)
    assert extra & set(after.files) == {"score_scales.json"}, "scales outlive an edit"
    assert set(after.left_out) == extra - {"score_scales.json"}
    assert set(after.left_out.values()) == {"made for another state of the index"}
    build_lexical_index(folder, progress=False)
    next(folder.glob("lexical-*/data*")).write_bytes(b"x")
    with pytest.raises(IndexCorruptError, match="data"):
        read_contents(folder)


def test_an_index_of_pictures_elsewhere(tiny_bundle: Path, tmp_path: Path) -> None:
    items = [KnowledgeItem(id="a", text="The mill was built by Marlow.")]
    build_index(items, model=tiny_bundle, out=tmp_path / "index", images="reference", root=tmp_path, progress=False)
    with pytest.raises(ValueError, match="paths of pictures on this machine"):
        read_contents(tmp_path / "index")
