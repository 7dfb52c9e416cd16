"""A model folder with its code loads, computes and is saved again where rablip is not installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoModel
from transformers.dynamic_module_utils import get_relative_import_files

from rablip import ImageRef, KnowledgeItem, RablipProcessor
from rablip.remote_code import export_remote_code
from tests.tiny_inputs import join_trunk_rows, trunk_rows

PARTS = ("retriever", "reranker", "generator")
# Nothing of rablip can be imported here, wherever it is installed.
PROGRAM = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("rablip", "modeling_rablip", "processing", "configuration"):
            raise ModuleNotFoundError(f"{name} is not installed here")

sys.meta_path.insert(0, Refuse())
import json
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModel, AutoModelForImageTextToText, AutoProcessor

folder, inputs, out, again = sys.argv[1:]
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
def exported(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "bundle"
    shutil.copytree(tiny_bundle, folder)
    for part in PARTS:
        export_remote_code(folder / part)
    return folder


@pytest.mark.parametrize("part", PARTS)
def test_without_rablip_the_same_is_computed(part: str, exported: Path, tmp_path: Path) -> None:
    model = AutoModel.from_pretrained(exported / part).eval()
    assert type(model).__module__.startswith("rablip."), "where rablip is imported its own classes are taken"
    rows = make_generator_inputs(exported / part) if part == "generator" else join_trunk_rows(trunk_rows())
    with torch.no_grad():
        output = model(**rows)
    expected = output.question_embeds if "question_embeds" in output else output.relevance_logits
    save_file({name: value.contiguous() for name, value in rows.items()}, tmp_path / "inputs.safetensors")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(tmp_path / "home"),
        "HF_MODULES_CACHE": str(tmp_path / "mods"),
    }
    paths = [exported / part, tmp_path / "inputs.safetensors", tmp_path / "result.safetensors", tmp_path / "again"]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, paths)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    names = {
        "retriever": "RablipRetriever",
        "reranker": "RablipReranker",
        "generator": "RablipForConditionalGeneration",
    }
    assert json.loads(done.stdout.splitlines()[-1])[1] == names[part]
    assert torch.equal(load_file(tmp_path / "result.safetensors")["result"], expected)


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
