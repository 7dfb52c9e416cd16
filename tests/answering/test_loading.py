"""Loading the answerer from folders: bundles, single models, and everything that must not be loaded in silence."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from rablip import RablipAnswerer
from rablip.answering.loading import find_parts, load_model, share_vision_towers
from rablip.answering.types import AbstainReason, AnswerSettings
from rablip.index.errors import IndexMismatchError
from rablip.indexing import build_index
from rablip.processing.knowledge_rablip import ImageRef
from tests import tiny

from .tiny_stack import ALL_PASS, items, make_parts, picture, png

LENIENT = AnswerSettings(**ALL_PASS, max_new_tokens=4)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    parts = make_parts()
    parts["reranker"].vision_model.load_state_dict(parts["retriever"].vision_model.state_dict())
    for name in ("retriever", "reranker", "generator"):
        parts[name].save_pretrained(folder / name)
        parts[f"{name}_processor"].save_pretrained(folder / name)
    return folder


@pytest.fixture(scope="module")
def index(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_index(items(), model=bundle, out=tmp_path_factory.mktemp("indexed") / "index", progress=False).folder


@pytest.fixture
def copy(bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle, tmp_path / "copy"))


def test_a_bundle_and_an_index_answer(bundle: Path, index: Path) -> None:
    answerer = RablipAnswerer.from_pretrained(bundle, index=index, device="cpu", settings=LENIENT)
    answer = answerer("Who built the tower?", image=picture("red"))
    assert answer.evidence and all(one.relevance is not None for one in answer.evidence)
    again = RablipAnswerer.from_pretrained(str(bundle), index=str(index), device="cpu", settings=LENIENT)
    assert again("Who built the tower?", image=picture("red")) == answer


def test_an_identical_vision_tower_is_held_once(bundle: Path) -> None:
    answerer = RablipAnswerer.from_pretrained(bundle, device="cpu")
    assert answerer.reranker.vision_model is answerer.retriever.vision_model
    # One weight that differs, and the towers stay apart.
    other = tiny.make_reranker(max_images=2)
    other.vision_model.load_state_dict(answerer.retriever.vision_model.state_dict())
    with torch.no_grad():
        other.vision_model.post_layernorm.bias[0] += 1e-4
    assert share_vision_towers([answerer.retriever, other]) == 0
    assert share_vision_towers([answerer.retriever, answerer.reranker]) == 0, "shared already"


def test_a_shared_tower_changes_no_answer(bundle: Path, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = RablipAnswerer.from_pretrained(bundle, index=index, device="cpu", settings=LENIENT)
    monkeypatch.setattr("rablip.answering.loading.share_vision_towers", lambda models: 0)
    apart = RablipAnswerer.from_pretrained(bundle, index=index, device="cpu", settings=LENIENT)
    assert apart.reranker.vision_model is not apart.retriever.vision_model
    first, second = shared("Who built the tower?"), apart("Who built the tower?")
    assert (first.text, first.citations, first.reason) == (second.text, second.citations, second.reason)
    # Equal weights at other addresses may take another kernel, which changes the last bit.
    for one, other in zip(first.evidence, second.evidence, strict=True):
        assert one.id == other.id
        for name in ("relevance", "rerank_relevance", "score"):
            assert getattr(one, name) == pytest.approx(getattr(other, name), abs=1e-5)


def test_a_folder_of_one_model(bundle: Path, index: Path) -> None:
    retriever = RablipAnswerer.from_pretrained(bundle / "retriever", index=index, device="cpu")
    assert retriever("Who built it?").reason is AbstainReason.NO_GENERATOR
    generator = RablipAnswerer.from_pretrained(bundle / "generator", device="cpu", settings=LENIENT)
    assert generator.retriever is None and generator.generate(["Who?"], [items()[:2]])[0].evidence
    assert find_parts(bundle / "reranker") == {"reranker": bundle / "reranker"}


def test_a_generator_takes_the_retriever_that_the_index_names(bundle: Path, index: Path) -> None:
    answerer = RablipAnswerer.from_pretrained(bundle / "generator", index=index, device="cpu", settings=LENIENT)
    assert answerer.reranker is None
    whole = RablipAnswerer.from_pretrained(bundle, index=index, device="cpu")
    ids, expected = ([c.id for c in one.retrieve(["Who built it?"])[0]] for one in (answerer, whole))
    assert ids == expected and answerer("Who built it?").evidence


def test_a_retriever_that_moved_away_is_named(copy: Path, tmp_path: Path) -> None:
    built = build_index(items()[:3], model=copy, out=tmp_path / "index", progress=False).folder
    shutil.move(copy / "retriever", tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="not there any more") as error:
        RablipAnswerer.from_pretrained(copy, index=built, device="cpu")
    assert str(copy / "retriever") in str(error.value)


def test_an_index_of_another_model_is_refused_with_both_values(copy: Path, index: Path) -> None:
    tiny.make_retriever(seed=5, max_images=2).save_pretrained(copy / "retriever")
    with pytest.raises(IndexMismatchError, match="model_fingerprint"):
        RablipAnswerer.from_pretrained(copy, index=index, device="cpu")


def test_other_processor_settings_make_another_model(copy: Path, index: Path) -> None:
    path = copy / "retriever" / "processor_config.json"
    content = json.loads(path.read_text())
    content["max_question_tokens"] = 17
    path.write_text(json.dumps(content))
    with pytest.raises(IndexMismatchError):
        RablipAnswerer.from_pretrained(copy, index=index, device="cpu")


def cut_weights(folder: Path) -> None:
    path = folder / "generator" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


def empty_weights(folder: Path) -> None:
    (folder / "generator" / "model.safetensors").write_bytes(b"")


def lose_a_weight(folder: Path) -> None:
    path = folder / "generator" / "model.safetensors"
    weights = load_file(path)
    del weights["relevance_head.weight"]
    save_file(weights, path, metadata={"format": "pt"})


def add_a_weight(folder: Path) -> None:
    path = folder / "generator" / "model.safetensors"
    save_file({**load_file(path), "stranger.weight": torch.ones(2)}, path, metadata={"format": "pt"})


def change_a_shape(folder: Path) -> None:
    path = folder / "generator" / "model.safetensors"
    save_file({**load_file(path), "relevance_head.weight": torch.ones(1, 5)}, path, metadata={"format": "pt"})


def only_a_pickle(folder: Path) -> None:
    path = folder / "generator" / "model.safetensors"
    torch.save(load_file(path), folder / "generator" / "pytorch_model.bin")
    path.unlink()


FAULTS: list[tuple[Callable[[Path], None], str]] = [
    (cut_weights, "cannot be loaded"),
    (empty_weights, "cannot be loaded"),
    (lose_a_weight, "missing.*relevance_head.weight"),
    (add_a_weight, "unexpected.*stranger.weight"),
    (change_a_shape, "relevance_head.weight"),
    (only_a_pickle, "safetensors"),
]


@pytest.mark.parametrize(("spoil", "message"), FAULTS, ids=[spoil.__name__ for spoil, _ in FAULTS])
def test_a_checkpoint_that_is_not_whole_is_refused_by_name(
    copy: Path, spoil: Callable[[Path], None], message: str
) -> None:
    load_model("generator", copy / "generator")
    spoil(copy)
    with pytest.raises(ValueError, match=message) as error:
        RablipAnswerer.from_pretrained(copy, device="cpu")
    assert str(copy / "generator") in str(error.value)


@pytest.mark.parametrize(
    ("part", "field", "value"),
    [
        ("generator", "num_query_tokens", 5),
        ("generator", "max_images", 9),
        ("generator", "causal_lm", True),
        ("generator", "max_instruction_tokens", 4000),
        ("reranker", "max_knowledge_tokens", 4000),
    ],
)
def test_a_processor_of_another_model_is_refused(copy: Path, part: str, field: str, value: Any) -> None:
    path = copy / part / "processor_config.json"
    content = json.loads(path.read_text())
    content[field] = value
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=f"does not fit the {part}"):
        RablipAnswerer.from_pretrained(copy, device="cpu")


def test_a_missing_qformer_tokenizer_is_not_replaced(copy: Path) -> None:
    shutil.rmtree(copy / "generator" / "qformer_tokenizer")
    with pytest.raises((OSError, ValueError), match="qformer_tokenizer"):
        RablipAnswerer.from_pretrained(copy, device="cpu")


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere/at/all", "a/b/c", Path("nowhere")], ids=str)
def test_a_path_that_is_not_there(name: Any) -> None:
    with pytest.raises(FileNotFoundError, match="no model folder"):
        RablipAnswerer.from_pretrained(name)


def test_a_name_that_is_no_folder_and_not_on_the_hub() -> None:
    with pytest.raises(FileNotFoundError, match="nobody/nothing"):
        RablipAnswerer.from_pretrained("nobody/nothing")


def test_folders_without_a_rablip_model(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no rablip model"):
        RablipAnswerer.from_pretrained(tmp_path / "empty")
    (tmp_path / "empty" / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ValueError, match="'bert'"):
        RablipAnswerer.from_pretrained(tmp_path / "empty")
    (tmp_path / "empty" / "config.json").write_text("{")
    with pytest.raises(ValueError, match=r"config\.json is not the JSON"):
        RablipAnswerer.from_pretrained(tmp_path / "empty")
    shutil.rmtree(copy / "retriever")
    shutil.copytree(copy / "reranker", copy / "retriever")
    with pytest.raises(ValueError, match="holds a reranker"):
        RablipAnswerer.from_pretrained(copy)


def test_pictures_by_path_are_found_beside_their_index_only(bundle: Path, tmp_path: Path) -> None:
    """A reference is resolved in the knowledge base's root; a picture outside of it is not opened."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "red.png").write_bytes(png(picture("red")))
    (source / "metadata.jsonl").write_text(
        json.dumps({"file_name": "red.png", "caption": "Harbor Tower", "id": "p"})
        + "\n"
        + json.dumps({"text": "Marlow built it.", "id": "t"})
    )
    built = build_index(source, model=bundle, out=tmp_path / "index", images="reference", progress=False).folder
    answerer = RablipAnswerer.from_pretrained(bundle, index=built, device="cpu", settings=LENIENT)
    shown = {one.id: one.picture_shown for one in answerer("Who built it?").evidence}
    assert shown == {"p": True, "t": False}
    item = answerer.knowledge_base["p"]
    assert item.image == ImageRef(path="red.png") and answerer.open_picture(item) is not None
    outside = tmp_path / "outside.png"
    outside.write_bytes(png(picture("blue")))
    own = dataclasses.replace(item, image=ImageRef(path=str(outside)))
    assert answerer.open_picture(own).getpixel((0, 0)) == (0, 0, 255), "what a caller gives is opened as given"
    (source / "red.png").unlink()
    found = {one.id: one for one in answerer.retrieve(["Who built it?"])[0]}
    assert found["p"].image_missing and not found["t"].image_missing
