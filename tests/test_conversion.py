"""From public checkpoints to answers: folders that are whole, and a release's file that comes back bit by bit."""

from __future__ import annotations

import json
import pickle  # noqa: TID251
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from typer.testing import CliRunner

from rablip import AnswerSettings, KnowledgeItem, RablipAnswerer, RablipForConditionalGeneration, build_index
from rablip.cli import app
from rablip.conversion import (
    convert_blip2_itm,
    convert_instructblip,
    convert_official,
    export_official,
    read_state_dict,
)
from tests.tiny_checkpoints import spell_markers

GOLDEN = Path(__file__).parent / "fixtures" / "golden"
OFFICIAL = GOLDEN / "rablip-official-tiny"
STATE = OFFICIAL / "checkpoint" / "model_state.safetensors"


def make_folder(folder: Path) -> Path:
    """A user's pictures and texts."""
    folder.mkdir()
    rows = [{"id": "fact", "text": "The mill was built by Marlow.", "title": "The mill"}]
    for name, color in (("mill", "red"), ("boat", "blue")):
        Image.new("RGB", (40, 30), color).save(folder / f"{name}.png")
        rows.append({"file_name": f"{name}.png", "caption": f"The {name} in Kestrel"})
    Image.new("RGB", (40, 30), "green").save(folder / "alone.png")
    rows.append({"file_name": "alone.png", "id": "alone"})
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.mark.parametrize("name", ["instructblip-t5-tiny", "instructblip-llama-tiny"])
def test_two_public_checkpoints_answer_from_a_users_pictures(name: str, tmp_path: Path) -> None:
    model, index = tmp_path / "model", tmp_path / "index"
    convert_blip2_itm(GOLDEN / "blip2-itm-tiny" / "checkpoint", model)
    convert_instructblip(spell_markers(GOLDEN / name / "checkpoint", tmp_path / "source"), model)
    report = build_index(make_folder(tmp_path / "pictures"), model=model, out=index)
    assert report.num_items == 4 and not report.problems
    answerer = RablipAnswerer.from_pretrained(model, index=index)
    assert answerer.reranker is None and answerer.index.manifest.max_vectors == 7
    answers = answerer.answer_batch(
        ["Who built the mill?", "What is in this picture?"], [None, Image.open(tmp_path / "pictures" / "boat.png")]
    )
    for answer in answers:
        assert answer.reason is None and answer.text
        assert answer.citations == tuple(one.id for one in answer.evidence), "nobody has trained what it cites"
        assert len(answer.candidates) == 4


def test_a_reranker_of_blip2_judges_pictures(tmp_path: Path) -> None:
    folders = convert_blip2_itm(GOLDEN / "blip2-itm-tiny" / "checkpoint", tmp_path / "model", reranker=True)
    assert [folder.name for folder in folders] == ["retriever", "reranker"]
    pictures = make_folder(tmp_path / "pictures")
    rows = (pictures / "metadata.jsonl").read_text().splitlines()[1:]
    (pictures / "metadata.jsonl").write_text("\n".join(rows))
    build_index(pictures, model=tmp_path / "model", out=tmp_path / "index")
    answerer = RablipAnswerer.from_pretrained(
        tmp_path / "model", index=tmp_path / "index", settings=AnswerSettings(relevance_threshold=0.0)
    )
    candidates = answerer("A red mill").candidates
    assert len(candidates) == 3 and all(0 < one.rerank_relevance < 1 for one in candidates)


def test_the_releases_file_is_read_and_comes_back_bit_by_bit(tmp_path: Path) -> None:
    state = load_file(STATE)
    torch.save(state, tmp_path / "t5_model_epoch_0.pth")
    folder = convert_official(
        tmp_path / "t5_model_epoch_0.pth",
        tmp_path / "model",
        language_model=spell_markers(OFFICIAL / "flan-t5", tmp_path / "flan-t5"),
        qformer=OFFICIAL / "bert-base-uncased",
        num_vision_heads=4,
    )
    model = RablipForConditionalGeneration.from_pretrained(folder)
    back = load_file(export_official(model, tmp_path / "back"))
    del state["Qformer.bert.embeddings.position_ids"]
    assert back.keys() == state.keys()
    for key, value in state.items():
        assert back[key].dtype == value.dtype and torch.equal(back[key], value), key
    answerer = RablipAnswerer.from_pretrained(tmp_path / "model")
    answer = answerer.generate(["Who built it?"], [[KnowledgeItem(id="a", text="Marlow built it.")]])[0]
    assert answer.reason is None and answer.citations == ("a",)


def test_lavis_files_keep_their_weights_under_model(tmp_path: Path) -> None:
    torch.save({"model": {"a": torch.ones(2)}, "epoch": 3}, tmp_path / "checkpoint.pth")
    assert read_state_dict(tmp_path / "checkpoint.pth").keys() == {"a"}


class Planted:
    """Would make a file when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (open, (str(self.path), "w"))

    path = Path()


def test_a_planted_pickle_does_nothing(tmp_path: Path) -> None:
    planted = Planted()
    Planted.path = tmp_path / "made-by-the-pickle"
    torch.save({"a": planted}, tmp_path / "weights.pth")
    (tmp_path / "raw.pth").write_bytes(pickle.dumps(planted))
    for name in ("weights.pth", "raw.pth"):
        with pytest.raises(ValueError, match=f"{name} cannot be read as weights"):
            read_state_dict(tmp_path / name)
    assert not Planted.path.exists()
    torch.save({"a": 3}, tmp_path / "numbers.pth")
    with pytest.raises(ValueError, match="no state dict"):
        read_state_dict(tmp_path / "numbers.pth")
    with pytest.raises(FileNotFoundError, match=r"nothing\.pth"):
        read_state_dict(tmp_path / "nothing.pth")


def test_old_torch_reads_no_pickle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"a": torch.ones(2)}, tmp_path / "weights.pth")
    monkeypatch.setattr(torch, "__version__", "2.9.1+cpu")
    with pytest.raises(ValueError, match=r"2\.10 or newer"):
        read_state_dict(tmp_path / "weights.pth")


def test_what_is_there_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "generator").mkdir()
    (tmp_path / "generator" / "config.json").write_text("{}")
    with pytest.raises(FileExistsError, match="holds something already"):
        convert_instructblip(GOLDEN / "instructblip-t5-tiny" / "checkpoint", tmp_path)


def test_the_commands(tmp_path: Path) -> None:
    commands = [
        ["instructblip", GOLDEN / "instructblip-t5-tiny" / "checkpoint", tmp_path / "model", "--json"],
        ["blip2-itm", GOLDEN / "blip2-itm-tiny" / "checkpoint", tmp_path / "model", "--reranker", "--json"],
    ]
    made = []
    for command in commands:
        result = CliRunner().invoke(app, ["convert", *map(str, command)])
        assert result.exit_code == 0, result.output
        made += json.loads(result.stdout)["folders"]
    assert [Path(folder).name for folder in made] == ["generator", "retriever", "reranker"]
    paths = [STATE, tmp_path / "official", "--language-model", OFFICIAL / "flan-t5"]
    paths += ["--qformer", OFFICIAL / "bert-base-uncased", "--num-vision-heads", "4"]
    assert CliRunner().invoke(app, ["convert", "official", *map(str, paths)]).exit_code == 0
    result = CliRunner().invoke(
        app, ["convert", "to-official", str(tmp_path / "official" / "generator"), str(tmp_path / "back"), "--json"]
    )
    assert Path(json.loads(result.stdout)["file"]).is_file()
    result = CliRunner().invoke(app, ["convert", "instructblip", str(GOLDEN / "nowhere" / "x"), str(tmp_path / "o")])
    assert result.exit_code == 2 and "no such folder" in result.output
