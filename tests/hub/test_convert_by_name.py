"""Public checkpoints are converted by their names on the Hub; what they were is still known at the push."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.hub.conftest import ROOT
from tests.hub.stand_in import HubStandIn
from tests.tiny_checkpoints import spell_markers

GOLDEN = ROOT / "tests" / "fixtures" / "golden"
CODE = """
import json, sys
from huggingface_hub import HfApi
from typer.testing import CliRunner
from rablip.cli import app

def rablip(*words):
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 0, (words, done.output, done.stderr)
    return json.loads(done.stdout)

api, commits = HfApi(), {}
for name, folder in (("salesforce/instructblip", "instructblip"), ("salesforce/blip2-itm", sys.argv[1])):
    api.create_repo(name)
    commits[name] = api.upload_folder(repo_id=name, folder_path=folder).oid
    api.upload_file(path_or_fileobj=b"{}", path_in_repo="config.json", repo_id=name)  # only the commit is whole
name = "salesforce/instructblip"
rablip("convert", "instructblip", name, "model", "--revision", commits[name])
name = "salesforce/blip2-itm"
rablip("convert", "blip2-itm", name, "model", "--revision", commits[name])
for part in ("generator", "retriever"):
    rablip("push", f"model/{part}", f"me/{part}", "--license", "bsd-3-clause")
rablip("push", "model", "me/bundle")
answer = rablip("answer", "Who built the mill?", "--model", "me/bundle", "--index", build_index_by_name())
assert answer["question"] == "Who built the mill?"
"""
BUILD = """
def build_index_by_name():
    from pathlib import Path
    from PIL import Image
    Path("mine").mkdir()
    Image.new("RGB", (40, 40), "red").save("mine/mill.png")
    rows = [{"file_name": "mill.png", "caption": "The mill"}, {"id": "fact", "text": "The mill was built by Marlow."}]
    Path("mine/metadata.jsonl").write_text(chr(10).join(map(json.dumps, rows)))
    rablip("index", "build", "mine", "--model", "me/bundle", "--out", "index")
    manifest = json.loads(Path("index/manifest.json").read_text())
    assert (manifest["model_id"], manifest["model_subfolder"]) == ("me/bundle", "retriever")
    assert len(manifest["model_revision"]) == 40
    pushed = rablip("push", "index", "me/index")
    rablip("search", "mill?", "--model", "me/bundle", "--index", "me/index", "--index-revision", pushed["commit"])
    return "index"
"""


def test_from_names_to_an_answer(tmp_path: Path, hub: HubStandIn, run: Callable[..., str]) -> None:
    """Convert, push, index, push the index, search and answer, everything by its name on the Hub."""
    spell_markers(GOLDEN / "instructblip-t5-tiny" / "checkpoint", tmp_path / "instructblip")
    code = CODE.replace("api, commits", f"{BUILD}\napi, commits", 1)
    run(code, GOLDEN / "blip2-itm-tiny" / "checkpoint", cwd=tmp_path)
    bases = {"generator": "salesforce/instructblip", "retriever": "salesforce/blip2-itm"}
    for part, base in bases.items():
        assert f"base_model: {base}" in hub.files(f"me/{part}")["README.md"].decode()
    manifest = json.loads(hub.files("me/index", "dataset")["manifest.json"])
    assert manifest["model_revision"] == hub.repositories[("model", "me/bundle")].branches["main"]
