"""From a folder of one's own pictures to an index that is searched in another process, with a real tiny model."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from rablip import RablipRetriever
from rablip.index import IndexCorruptError, IndexManifest, IndexMismatchError
from rablip.indexing import (
    add_knowledge,
    build_index,
    building,
    editing,
    encode_knowledge,
    fingerprint_model,
    index_knowledge,
    open_index,
    opening,
)
from rablip.knowledge_base import KnowledgeBase, KnowledgeBaseError
from rablip.processing import ImageRef, KnowledgeItem, RablipRetrieverProcessor
from rablip.retriever_source import find_retriever, load_retriever
from rablip.snapshots import Snapshot
from rablip.training import add_lora
from tests.conftest import ROOT

MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "YCbCr", "LAB"]
SUFFIX = {"CMYK": "jpg", "YCbCr": "jpg", "LAB": "tiff", "I": "tiff"}


def write_own_folder(folder: Path) -> list[str]:
    """Pictures of every mode, an EXIF-turned one, a text row, one truncated, one missing; returns the good ids."""
    folder.mkdir(parents=True, exist_ok=True)
    generator, rows = np.random.default_rng(0), []
    for mode in MODES:
        name = f"{mode.replace(';', '')}.{SUFFIX.get(mode, 'png')}"
        colors = Image.fromarray(generator.integers(0, 255, (14, 20, 4), dtype=np.uint8), "RGBA")
        if mode in ("I;16", "I"):
            picture = Image.fromarray(generator.integers(0, 65535, (14, 20), dtype=np.uint16))
            picture = picture if mode == "I;16" else picture.convert("I")
        elif mode == "LAB":
            picture = Image.fromarray(generator.integers(0, 255, (14, 20, 3), dtype=np.uint8), "LAB")
        else:
            picture = colors.convert("RGB").convert(mode) if mode != "RGBA" else colors
        picture.save(folder / name)
        rows.append({"file_name": name, "caption": f"a picture in mode {mode}"})
    turned = Image.new("RGB", (8, 4), "red")
    turned.save(folder / "turned.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0")
    rows.append({"file_name": "turned.jpg", "id": "turned"})
    rows.append({"text": "A text without a picture.", "id": "note", "title": "Note"})
    good = [row.get("id", row.get("file_name")) for row in rows]
    (folder / "truncated.png").write_bytes((folder / "RGB.png").read_bytes()[:90])
    rows.insert(2, {"file_name": "truncated.png", "caption": "cut off"})
    rows.insert(5, {"file_name": "missing.png", "caption": "never saved"})
    (folder / "metadata.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return good


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Path) -> tuple[Path, Any, list[str]]:
    folder = tmp_path_factory.mktemp("own")
    good = write_own_folder(folder / "pictures")
    report = build_index(
        folder / "pictures", model=tiny_bundle, out=folder / "index", on_error="skip", batch_size=4, progress=False
    )
    return folder / "index", report, good


def encode_question(model: Path, question: str) -> torch.Tensor:
    retriever, processor = load_retriever(find_retriever(model))
    with torch.inference_mode():
        return retriever.encode_questions(**processor.process_questions([question]))


def test_the_corrupt_and_the_missing_file_are_reported_by_name_and_the_rest_is_indexed(
    built: tuple[Path, Any, list[str]],
) -> None:
    folder, report, good = built
    assert [(problem.id, problem.file) for problem in report.problems] == [
        ("truncated.png", "truncated.png"),
        ("missing.png", "missing.png"),
    ]
    assert report.num_items == len(good) == len(MODES) + 2
    index, base = open_index(folder)
    assert sorted(index.ids) == sorted(base.ids) == sorted(good)
    assert base.ids == good
    assert base.open_image("turned").size == (4, 8)


def test_by_default_the_build_stops_and_names_all_of_them(tmp_path: Path, tiny_bundle: Path) -> None:
    write_own_folder(tmp_path / "pictures")
    with pytest.raises(KnowledgeBaseError) as caught:
        build_index(tmp_path / "pictures", model=tiny_bundle, out=tmp_path / "index")
    assert "truncated.png" in str(caught.value) and "missing.png" in str(caught.value)
    assert "2 of 15" in str(caught.value)
    assert {path.name for path in (tmp_path / "index").iterdir()} <= {".lock"}


def test_every_item_finds_itself_with_the_embedding_it_has_alone(
    built: tuple[Path, Any, list[str]], tiny_bundle: Path
) -> None:
    index, base = open_index(built[0], model=tiny_bundle)
    retriever, processor = load_retriever(find_retriever(tiny_bundle))
    embeddings = encode_knowledge(retriever, processor, base, batch_size=1)
    np.testing.assert_allclose(index.get(base.ids), embeddings, atol=1e-5)
    for item_id, hits in zip(base.ids, index.search(embeddings, 1), strict=True):
        assert hits[0].id == item_id
        assert hits[0].score == pytest.approx(1, abs=1e-4)


def test_a_moved_index_answers_alike_in_another_process(
    built: tuple[Path, Any, list[str]], tiny_bundle: Path, tmp_path: Path
) -> None:
    question = encode_question(tiny_bundle, "Which picture is it?")
    index, _ = open_index(built[0], model=tiny_bundle)
    expected = [[hit.id, round(hit.score, 5)] for hit in index.search(question, 5)[0]]
    shutil.copytree(built[0], tmp_path / "moved")
    program = (
        "import json, sys\n"
        "from rablip.indexing import open_index\n"
        "index, base = open_index(sys.argv[1])\n"
        "hits = index.search(json.loads(sys.argv[2]), 5)[0]\n"
        "sizes = [base.open_image(hit.id).size for hit in hits if base[hit.id].image]\n"
        "print(json.dumps([[hit.id, round(hit.score, 5)] for hit in hits]))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    run = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "moved"), json.dumps(question.tolist())],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == expected


def test_the_manifest_says_which_model_built_it(built: tuple[Path, Any, list[str]], tiny_bundle: Path) -> None:
    manifest = IndexManifest.load(built[0])
    assert manifest.model_id == str(tiny_bundle)
    assert manifest.model_subfolder == "retriever"
    assert manifest.model_fingerprint == fingerprint_model(tiny_bundle / "retriever") == built[1].model_fingerprint
    assert manifest.embedding_dim == 16
    assert any(name.startswith(f"{manifest.items_folders[0]}/") for name in manifest.files)


def test_an_index_of_another_model_is_refused_unless_asked_for(
    built: tuple[Path, Any, list[str]], tiny_bundle: Path, tmp_path: Path
) -> None:
    retriever, processor = load_retriever(find_retriever(tiny_bundle))
    with torch.no_grad():
        retriever.retrieval_projection.bias[0] += 1e-3
    retriever.save_pretrained(tmp_path / "other")
    processor.save_pretrained(tmp_path / "other")
    with pytest.raises(IndexMismatchError) as caught:
        open_index(built[0], model=tmp_path / "other")
    assert built[1].model_fingerprint in str(caught.value)
    assert fingerprint_model(tmp_path / "other") in str(caught.value)
    assert len(open_index(built[0], model=tmp_path / "other", allow_other_model=True)[0]) == built[1].num_items


def test_another_dimension_has_no_override(built: tuple[Path, Any, list[str]], tmp_path: Path) -> None:
    from tests.processing.tiny_tokenizers import make_retriever_processor
    from tests.tiny import make_retriever

    make_retriever(retrieval_config={"embedding_dim": 8}).save_pretrained(tmp_path)
    make_retriever_processor().save_pretrained(tmp_path)
    with pytest.raises(IndexMismatchError, match="embedding_dim: the index has 16, the model here 8"):
        open_index(built[0], model=tmp_path, allow_other_model=True)


def test_a_loaded_model_and_its_folder_have_one_fingerprint(tiny_bundle: Path) -> None:
    retriever, processor = load_retriever(find_retriever(tiny_bundle))
    expected = fingerprint_model(tiny_bundle)
    assert fingerprint_model(retriever, processor) == expected
    processor.max_knowledge_tokens = 64
    assert fingerprint_model(retriever, processor) != expected
    with pytest.raises(TypeError, match="processor"):
        fingerprint_model(retriever)


def test_items_changed_behind_the_index_are_noticed(built: tuple[Path, Any, list[str]], tmp_path: Path) -> None:
    shutil.copytree(built[0], tmp_path / "index")
    (table,) = (tmp_path / "index").glob("items-*/*.arrow")
    content = bytearray(table.read_bytes())
    position = content.index(b"A text without a picture.")
    content[position : position + 1] = b"B"
    table.write_bytes(content)
    with pytest.raises(IndexCorruptError, match=r"\.arrow has sha256"):
        open_index(tmp_path / "index")


def test_building_again_replaces_the_index_and_a_failed_build_keeps_it(
    built: tuple[Path, Any, list[str]], tiny_bundle: Path, tmp_path: Path
) -> None:
    shutil.copytree(built[0], tmp_path / "index")
    before = sorted(path.name for path in (tmp_path / "index").iterdir())
    bad = [KnowledgeItem(id="a", text="x"), KnowledgeItem(id="b", image=ImageRef(path="no.png"))]
    with pytest.raises(KnowledgeBaseError):
        build_index(bad, model=tiny_bundle, out=tmp_path / "index", root=tmp_path)
    assert sorted(path.name for path in (tmp_path / "index").iterdir()) == before
    assert len(open_index(tmp_path / "index")[0]) == built[1].num_items
    report = build_index(bad[:1], model=tiny_bundle, out=tmp_path / "index")
    index, base = open_index(tmp_path / "index", model=tiny_bundle)
    assert (report.num_items, index.ids, base["a"].text) == (1, ["a"], "x")
    assert len(list((tmp_path / "index").iterdir())) == 4


def test_edits_of_an_opened_index_are_saved_with_its_items(built: tuple[Path, Any, list[str]], tmp_path: Path) -> None:
    shutil.copytree(built[0], tmp_path / "index")
    index, _ = open_index(tmp_path / "index")
    index.delete(["note"])
    index.save(tmp_path / "index")
    index, base = open_index(tmp_path / "index")
    assert "note" not in index and "note" not in base
    assert index.manifest.num_items == built[1].num_items - 1


def test_nan_weights_stop_the_build_and_name_items(tiny_bundle: Path, tmp_path: Path) -> None:
    retriever, processor = load_retriever(find_retriever(tiny_bundle))
    with torch.no_grad():
        retriever.retrieval_projection.bias[0] = float("nan")
    base, _ = KnowledgeBase.write([KnowledgeItem(id="a", text="x")], tmp_path / "base")
    with pytest.raises(ValueError, match="NaN, infinite or zero: item 'a'"):
        index_knowledge(retriever, processor, base, progress=False)
    for part in (retriever, processor):
        part.save_pretrained(tmp_path / "model")
    with pytest.raises(ValueError, match="NaN, infinite or zero: item 'a'"):
        build_index(base, model=tmp_path / "model", out=tmp_path / "index", progress=False)
    assert not list((tmp_path / "index").rglob("shard-*"))


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # peft
def test_a_retriever_with_an_adapter_has_no_fingerprint(tiny_bundle: Path, tmp_path: Path) -> None:
    retriever, processor = load_retriever(find_retriever(tiny_bundle))
    whole = fingerprint_model(retriever, processor)
    adapted = add_lora(retriever, parts=["qformer"], rank=2)
    with pytest.raises(ValueError, match="merge_and_unload"):
        fingerprint_model(adapted, processor)
    with pytest.raises(ValueError, match="merge_and_unload"):
        fingerprint_model(adapted.get_base_model(), processor)
    adapted.save_pretrained(tmp_path)
    with pytest.raises(FileNotFoundError, match="rablip merge"):
        find_retriever(tmp_path)
    assert fingerprint_model(adapted.merge_and_unload(), processor) == whole  # a new adapter changes nothing


def test_a_truncated_checkpoint_is_refused(tiny_bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_bundle / "retriever", tmp_path / "model")
    weights = tmp_path / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"model\.safetensors is not a whole safetensors file"):
        build_index([KnowledgeItem(id="a", text="x")], model=tmp_path / "model", out=tmp_path / "index")
    assert not (tmp_path / "index").exists()


def test_a_checkpoint_without_some_weights_is_refused(tiny_bundle: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    shutil.copytree(tiny_bundle / "retriever", tmp_path / "model")
    weights = load_file(tmp_path / "model" / "model.safetensors")
    weights["stranger.weight"] = weights.pop("retrieval_projection.weight")
    save_file(weights, tmp_path / "model" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match="retrieval_projection.weight"):
        build_index([KnowledgeItem(id="a", text="x")], model=tmp_path / "model", out=tmp_path / "index")


def test_what_is_no_retriever_or_no_index_is_refused(tiny_bundle: Path, tmp_path: Path) -> None:
    item = [KnowledgeItem(id="a", text="x")]
    with pytest.raises(ValueError, match="type 'rablip_reranker', an index needs the retriever"):
        build_index(item, model=tiny_bundle / "reranker", out=tmp_path / "index")
    with pytest.raises(FileNotFoundError, match="no model folder"):
        build_index(item, model=tmp_path / "no" / "model", out=tmp_path / "index")
    with pytest.raises(FileNotFoundError, match="no model folder"):
        build_index(item, model="./nothing", out=tmp_path / "index")
    with pytest.raises(FileNotFoundError, match="neither a config.json"):
        build_index(item, model=tmp_path, out=tmp_path / "index")
    with pytest.raises(ValueError, match="holds no items"):
        build_index([], model=tiny_bundle, out=tmp_path / "index")
    (tmp_path / "photo.png").touch()
    with pytest.raises(FileExistsError, match=r"something else than an index \(.*\)"):
        build_index(item, model=tiny_bundle, out=tmp_path)
    with pytest.raises(FileNotFoundError, match="is not an index"):
        open_index(tmp_path)


def test_a_knowledge_base_is_a_source(built: tuple[Path, Any, list[str]], tiny_bundle: Path, tmp_path: Path) -> None:
    _, base = open_index(built[0])
    report = build_index(base, model=tiny_bundle / "retriever", out=tmp_path / "index", progress=False)
    assert report.num_items == len(base)
    first, second = (open_index(folder)[0] for folder in (built[0], tmp_path / "index"))
    np.testing.assert_allclose(first.get(base.ids), second.get(base.ids), atol=1e-5)
    assert second.manifest.model_subfolder is None


def test_names_agree_with_the_public_face() -> None:
    import rablip

    assert rablip.build_index is build_index
    assert rablip.open_index is open_index
    assert issubclass(rablip.RablipRetriever, RablipRetriever)
    assert issubclass(rablip.RablipRetrieverProcessor, RablipRetrieverProcessor)


def test_an_index_of_the_hub_may_not_choose_which_pictures_here_are_opened(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "private.png")
    item = KnowledgeItem(id="a", image=ImageRef(path="private.png"))
    build_index([item], model=tiny_bundle, out=tmp_path / "index", root=tmp_path, images="reference", progress=False)
    assert open_index(tmp_path / "index")[1].open_image("a") is not None
    monkeypatch.setattr(opening, "fetch_index", lambda *_, **__: Snapshot(tmp_path / "index", 40 * "0"))
    with pytest.raises(ValueError, match="takes pictures from folders of this machine"):
        open_index("someone/index", revision=40 * "0")


def test_a_source_that_is_not_there_is_said_before_anything_is_loaded_or_made(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_index([KnowledgeItem(id="a", text="x")], model=tiny_bundle, out=tmp_path / "index", progress=False)

    def load(*_: Any, **__: Any) -> Any:
        raise AssertionError("the model was loaded")

    for module in (building, editing):
        monkeypatch.setattr(module, "load_retriever", load)
    with pytest.raises(FileNotFoundError, match="no-such-source"):
        build_index(tmp_path / "no-such-source", model=tiny_bundle, out=tmp_path / "new")
    assert not (tmp_path / "new").exists()
    with pytest.raises(FileNotFoundError, match="no-such-source"):
        add_knowledge(tmp_path / "index", tmp_path / "no-such-source", model=tiny_bundle)
