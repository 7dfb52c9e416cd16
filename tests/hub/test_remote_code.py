"""A model folder with its code loads, computes and is saved again where rablip is not installed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoModel
from transformers.dynamic_module_utils import get_relative_import_files

from rablip import ImageRef, KnowledgeItem, RablipProcessor
from rablip.hub import export_remote_code
from tests.hub.stand_in import HubStandIn
from tests.tiny_inputs import join_trunk_rows, trunk_rows

PARTS = ("retriever", "reranker", "generator")
PROGRAM = """
import importlib.util, sys
assert importlib.util.find_spec("rablip") is None, "this environment has rablip"
import json
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModel, AutoModelForImageTextToText, AutoProcessor

folder, inputs, out, again, *pushed = sys.argv[1:]
config = AutoConfig.from_pretrained(folder, trust_remote_code=True)
model = AutoModel.from_pretrained(folder, trust_remote_code=True).eval()
processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
with torch.no_grad():
    output = model(**load_file(inputs))
result = output.question_embeds if "question_embeds" in output else output.relevance_logits
if config.model_type == "rablip":
    other = AutoModelForImageTextToText.from_pretrained(folder, trust_remote_code=True)
    assert type(other).__name__ == "RablipForConditionalGeneration"
save_file({"result": result.contiguous()}, out)
model.save_pretrained(again)
processor.save_pretrained(again)
saved = AutoModel.from_pretrained(again, trust_remote_code=True).eval()
with torch.no_grad():
    output = saved(**load_file(inputs))
repeated = output.question_embeds if "question_embeds" in output else output.relevance_logits
assert torch.equal(repeated, result)
AutoProcessor.from_pretrained(again, trust_remote_code=True)
if pushed:
    saved.push_to_hub(*pushed)
    processor.push_to_hub(*pushed)
print(json.dumps([type(config).__name__, type(model).__name__, type(processor).__name__, config.model_type]))
"""


def make_generator_inputs(folder: Path) -> dict[str, torch.Tensor]:
    """A question with a picture and a text as evidence, as the folder's own processor prepares it."""
    picture = Image.new("RGB", (20, 20), "red")
    items = [
        KnowledgeItem(id="a", image=ImageRef(path="a.png"), caption="Mill"),
        KnowledgeItem(id="b", text="Built in 1743."),
    ]
    return dict(RablipProcessor.from_pretrained(folder).process_generation(["Who?"], [items], [[picture, None]]))


@pytest.fixture(scope="module")
def run_bare(hub: HubStandIn, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Run code in an environment of its own that has what is installed here, but not rablip."""
    place = tmp_path_factory.mktemp("bare")
    venv.create(place / "venv", with_pip=False)
    (packages,) = (place / "venv").glob("lib/python*/site-packages")
    # A line of a .pth file adds a folder to the path; the .pth files in it, by which rablip is found here, count not.
    (packages / "others.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))

    def run(code: str, *arguments: object, **environment: str) -> str:
        done = subprocess.run(
            [place / "venv" / "bin" / "python", "-c", code, *map(str, arguments)],
            cwd=place,
            env={**hub.environment(place / "home"), **environment},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout

    return run


@pytest.fixture(scope="module")
def exported(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "bundle"
    shutil.copytree(tiny_bundle, folder)
    for part in PARTS:
        export_remote_code(folder / part)
    return folder


@pytest.mark.parametrize("part", PARTS)
def test_without_rablip_the_same_is_computed(
    part: str, exported: Path, tmp_path: Path, run_bare: Callable[..., str]
) -> None:
    model = AutoModel.from_pretrained(exported / part).eval()
    assert type(model).__module__.startswith("rablip."), "where rablip is imported its own classes are taken"
    rows = make_generator_inputs(exported / part) if part == "generator" else join_trunk_rows(trunk_rows())
    with torch.no_grad():
        output = model(**rows)
    expected = output.question_embeds if "question_embeds" in output else output.relevance_logits
    save_file({name: value.contiguous() for name, value in rows.items()}, tmp_path / "inputs.safetensors")
    paths = [exported / part, tmp_path / "inputs.safetensors", tmp_path / "result.safetensors", tmp_path / "again"]
    printed = run_bare(PROGRAM, *paths, HF_HUB_OFFLINE="1")
    names = {
        "retriever": "RablipRetriever",
        "reranker": "RablipReranker",
        "generator": "RablipForConditionalGeneration",
    }
    assert json.loads(printed.splitlines()[-1])[1] == names[part]
    assert torch.equal(load_file(tmp_path / "result.safetensors")["result"], expected)


def test_by_name_then_offline_then_pushed_again(
    tiny_folders: dict[str, Path],
    tmp_path: Path,
    hub: HubStandIn,
    run: Callable[..., str],
    run_bare: Callable[..., str],
) -> None:
    """From the Hub at a commit; a second time from the cache, offline; and pushed from the code that travelled."""
    code = """
import sys
from rablip.hub import CardFields, push_folder
print(push_folder(sys.argv[1], "me/coded", fields=CardFields(license="mit"), with_code=True).oid)
"""
    commit = run(code, tiny_folders["retriever"]).split()[-1]
    save_file(join_trunk_rows(trunk_rows()), tmp_path / "inputs.safetensors")
    program = PROGRAM.replace("trust_remote_code=True", f"trust_remote_code=True, revision={commit!r}", 3)
    paths = [tmp_path / "inputs.safetensors", tmp_path / "result.safetensors", tmp_path / "again"]
    run_bare(program, "me/coded", *paths, "me/copied")
    online = load_file(tmp_path / "result.safetensors")["result"]
    calls = len(hub.log)
    run_bare(program, "me/coded", *paths, HF_HUB_OFFLINE="1")
    assert torch.equal(load_file(tmp_path / "result.safetensors")["result"], online)
    assert len(hub.log) == calls
    copied = hub.files("me/copied")
    assert {name for name in hub.files("me/coded") if name.endswith(".py")} <= set(copied)
    assert copied["model.safetensors"] == hub.files("me/coded")["model.safetensors"]


@pytest.mark.parametrize("part", PARTS)
def test_every_import_of_the_flat_files_is_there(part: str, exported: Path) -> None:
    files = sorted((exported / part).glob("*.py"))
    assert files
    for path in files:
        assert "from .." not in path.read_text().replace(">>> from ..", "")
        for imported in get_relative_import_files(str(path)):
            assert Path(imported).is_file(), (path.name, imported)
    auto_map = json.loads((exported / part / "config.json").read_text())["auto_map"]
    assert all((exported / part / f"{reference.split('.')[0]}.py").is_file() for reference in auto_map.values())


def test_other_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no model"):
        export_remote_code(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "t5"}')
    with pytest.raises(ValueError, match="'t5'"):
        export_remote_code(tmp_path)
