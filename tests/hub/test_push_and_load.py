"""Pushed over HTTP, then loaded by name at a commit: models, bundle, adapter, index, and the cards' own examples."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from rablip import RablipForConditionalGeneration, RablipRetriever, build_index
from rablip.index import fingerprint_folder
from rablip.training import add_lora
from tests.hub.stand_in import HubStandIn
from tests.tiny_inputs import join_trunk_rows, trunk_rows

# peft asks for what transformers calls deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

PUSH = """
import json, sys
from pathlib import Path
from typer.testing import CliRunner
from rablip.cli import app

results = []
for words in json.loads(sys.argv[1]):
    done = CliRunner().invoke(app, words)
    print(done.output, done.stderr, file=sys.stderr)
    results.append([done.exit_code, done.stdout, done.stderr])
Path("pushed.json").write_text(json.dumps(results))
"""


@pytest.fixture(scope="module")
def place(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a bundle, `my_folder`, an index of it, and an adapter."""
    place = tmp_path_factory.mktemp("place")
    shutil.copytree(tiny_bundle, place / "bundle")
    (place / "bundle" / "README.md").write_text("---\nlicense: mit\n---\nMy own words.\n")
    (place / "bundle" / "generator" / "optimizer.pt").write_bytes(b"state")
    (place / "my_folder").mkdir()
    rows = [
        {"id": "mill", "file_name": "mill.png", "caption": "The mill"},
        {"id": "fact", "text": "The mill was built by Marlow."},
    ]
    (place / "my_folder" / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    Image.new("RGB", (40, 40), "red").save(place / "my_folder" / "mill.png")
    build_index(place / "my_folder", model=place / "bundle", out=place / "index", progress=False)
    adapted = add_lora(RablipForConditionalGeneration.from_pretrained(place / "bundle" / "generator"), rank=2)
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.05)
    adapted.save_pretrained(place / "adapter")
    save_file(join_trunk_rows(trunk_rows()), place / "rows.safetensors")
    return place


@pytest.fixture(scope="module")
def commits(place: Path, hub: HubStandIn, run: Callable[..., str]) -> dict[str, str]:
    """Everything pushed by the command line, in one process; the commit of each repository."""
    pushes = [
        ["push", "bundle/retriever", "me/retriever", "--license", "apache-2.0", "--with-code"],
        ["push", "bundle/reranker", "me/reranker", "--license", "apache-2.0"],
        ["push", "bundle/generator", "me/generator", "--license", "apache-2.0", "--base-model", "a/b"],
        ["push", "bundle", "me/bundle", "--private"],
        ["push", "index", "me/index", "--base-model", "me/retriever"],
        ["push", "adapter", "me/adapter", "--base-model", "me/generator"],
    ]
    run(PUSH, json.dumps([[*words, "--json"] for words in pushes]), cwd=place)
    found = {}
    for words, (code, output, errors) in zip(pushes, json.loads((place / "pushed.json").read_text()), strict=True):
        assert code == 0, (words, errors)
        report = json.loads(output)
        assert report["repo"] == words[2] and not report["dry_run"]
        repo_type = "dataset" if words[2] == "me/index" else "model"
        assert report["commit"] == hub.repositories[(repo_type, words[2])].branches["main"]
        there = hub.files(words[2], repo_type)
        assert {name: len(content) for name, content in there.items()} == report["files"]
        found[words[2]] = report["commit"]
    return found


def test_what_lies_on_the_hub(place: Path, commits: dict[str, str], hub: HubStandIn) -> None:
    names = {name: set(hub.files(name)) for name in ("me/retriever", "me/reranker", "me/generator", "me/bundle")}
    assert "modeling_rablip_retriever.py" in names["me/retriever"]
    assert b"auto_map" in hub.files("me/retriever")["config.json"]
    assert not (place / "bundle" / "retriever" / "modeling_rablip_retriever.py").exists(), "the folder stays as it is"
    for name in ("me/reranker", "me/generator", "me/bundle"):
        assert not any(file.endswith((".py", ".pt", ".bin")) for file in names[name]), name
    assert {"model.safetensors", "processor_config.json", "README.md"} <= names["me/generator"]
    bundle = hub.files("me/bundle")
    assert b"My own words." in bundle["README.md"] and b"license: mit" in bundle["README.md"]
    sent = bundle["generator/model.safetensors"]
    assert sent == (place / "bundle" / "generator" / "model.safetensors").read_bytes()
    for files in (hub.files("me/index", "dataset"), hub.files("me/adapter"), bundle):
        for name, content in files.items():
            if name.endswith((".json", ".md")):
                assert str(place).encode() not in content, f"{name} tells a path of this machine"
    adapter = hub.files("me/adapter")
    assert json.loads(adapter["adapter_config.json"])["base_model_name_or_path"] == "me/generator"
    assert b"base_model: me/generator" in adapter["README.md"] and b"More Information" not in adapter["README.md"]
    manifest = json.loads(hub.files("me/index", "dataset")["manifest.json"])
    assert (manifest["model_id"], manifest["model_revision"]) == ("me/retriever", commits["me/retriever"])


def test_loads_by_name_at_a_commit(place: Path, commits: dict[str, str], run: Callable[..., str]) -> None:
    code = """
import json, sys
import rablip, torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModel, AutoModelForImageTextToText, AutoProcessor

commits = json.loads(sys.argv[1])
for name, kind in (("me/retriever", "Retriever"), ("me/reranker", "Reranker"), ("me/generator", "")):
    where = {"revision": commits[name]}
    assert type(AutoConfig.from_pretrained(name, **where)).__name__ == f"Rablip{kind}Config"
    model = AutoModel.from_pretrained(name, **where)
    assert type(model).__module__.startswith("rablip."), "where rablip is imported its own classes are taken"
    assert "Rablip" in type(AutoProcessor.from_pretrained(name, **where)).__name__
    if name == "me/retriever":
        with torch.no_grad():
            save_file({"x": model(**load_file("rows.safetensors")).question_embeds}, "by_name.safetensors")
assert type(AutoModelForImageTextToText.from_pretrained("me/generator")) is rablip.RablipForConditionalGeneration
from rablip.retriever_source import find_retriever, fingerprint_model
place = find_retriever("me/bundle", revision=commits["me/bundle"])
assert (place.revision, place.subfolder) == (commits["me/bundle"], "retriever")
assert not (place.folder.parent / "generator").exists(), "a retriever does not need a generator's gigabytes"
print(fingerprint_model(place))
for part, part_class in (("retriever", rablip.RablipRetriever), ("generator", rablip.RablipForConditionalGeneration)):
    assert type(AutoModel.from_pretrained("me/bundle", subfolder=part)) is part_class
    AutoProcessor.from_pretrained("me/bundle", subfolder=part)

for wrong in ({"revision": "0" * 40}, {"revision": "no-such-branch"}):
    try:
        rablip.RablipAnswerer.from_pretrained("me/bundle", **wrong)
    except FileNotFoundError as error:
        assert "me/bundle" in str(error)
    else:
        raise AssertionError("a revision that is not there was accepted")
"""
    fingerprint = run(code, json.dumps(commits), cwd=place).split()[-1]
    assert fingerprint == fingerprint_folder(place / "bundle" / "retriever")
    retriever = RablipRetriever.from_pretrained(place / "bundle" / "retriever").eval()
    with torch.no_grad():
        expected = retriever(**load_file(place / "rows.safetensors")).question_embeds
    assert torch.equal(load_file(place / "by_name.safetensors")["x"], expected)


def test_an_index_is_read_at_its_commit_only(place: Path, commits: dict[str, str], run: Callable[..., str]) -> None:
    code = """
import json, sys
from rablip import RablipAnswerer, open_index

commits = json.loads(sys.argv[1])
index, knowledge_base = open_index("me/index", model="me/retriever", revision=commits["me/index"])
assert sorted(index.ids) == ["fact", "mill"] and knowledge_base["fact"].text == "The mill was built by Marlow."
# The retriever is the one that the index names, at the commit that it names.
answerer = RablipAnswerer.from_pretrained("me/generator", index="me/index", index_revision=commits["me/index"])
assert len(answerer.retrieve(["Who built the mill?"], k=5)[0]) == 2
assert answerer("Who built the mill?") is not None
for revision in (None, "main", commits["me/index"][:7], commits["me/index"].upper()):
    try:
        open_index("me/index", revision=revision)
    except ValueError as error:
        assert "40 digits" in str(error)
    else:
        raise AssertionError(f"read at {revision}")
try:
    open_index("me/index", revision="0" * 40)
except FileNotFoundError as error:
    assert "me/index" in str(error)
else:
    raise AssertionError("a commit that is not there was accepted")
"""
    run(code, json.dumps(commits), cwd=place)


def test_the_examples_of_every_card_run(
    place: Path, commits: dict[str, str], hub: HubStandIn, run: Callable[..., str], tmp_path: Path
) -> None:
    """Each card's in a folder and with names of its own, all in one process."""
    programs = {}
    for name in commits:
        card = hub.files(name, "dataset" if name == "me/index" else "model")["README.md"].decode()
        blocks = re.findall(r"^```python\n(.*?)^```", card, flags=re.MULTILINE | re.DOTALL)
        code = "\n".join(block for block in blocks if "trust_remote_code" not in block)
        assert code and (name == "me/retriever") == ("trust_remote_code" in card)
        programs[name] = code.replace("the 40 digits of a commit of this repository", commits["me/index"])
        shutil.copytree(place / "my_folder", tmp_path / name / "my_folder")
    assert len(programs) == 6
    code = """
import json, os, sys
place = os.getcwd()
for name, program in json.loads(sys.argv[1]).items():
    os.chdir(os.path.join(place, name))
    exec(compile(program, f"the card of {name}", "exec"), {"__name__": name})
"""
    run(code, json.dumps(programs), cwd=tmp_path)


def test_a_dry_run_lists_the_files_and_sends_nothing(place: Path, hub: HubStandIn, run: Callable[..., str]) -> None:
    calls = len(hub.log)
    words = ["push", "bundle", "me/nothing", "--dry-run"]
    run(PUSH, json.dumps([words, [*words, "--json"]]), cwd=place)
    (first, shown, _), (second, listed, errors) = json.loads((place / "pushed.json").read_text())
    assert (first, second) == (0, 0), errors
    report = json.loads(listed)
    assert report["dry_run"] and "commit" not in report and report["files"]["README.md"] > 0
    assert report["files"]["generator/model.safetensors"] > 10_000
    assert list(report["left_out"]) == ["generator/optimizer.pt"]
    for name in report["files"]:
        assert f"  {name}\n" in shown
    assert "left out  generator/optimizer.pt (a pickle" in shown
    # The bundle's own README.md has a license.
    assert report["gaps"] == [shown.splitlines()[-1]] and "--base-model" in report["gaps"][0]
    assert len(hub.log) == calls and ("model", "me/nothing") not in hub.repositories


def test_what_is_refused(place: Path, commits: dict[str, str], hub: HubStandIn, run: Callable[..., str]) -> None:
    refused = {
        "whole name": ["push", "bundle", "nameless"],
        "nobody else": ["push", "index", "me/other"],
        "would find the wrong items": ["push", "index", "me/other", "--base-model", "me/stirred"],
        "one model only": ["push", "bundle", "me/other", "--with-code"],
        "no folder": ["push", "nowhere", "me/other"],
        '"license" must be one of': ["push", "bundle", "me/other", "--license", "mine-alone"],
        "which nobody else can load": ["push", "adapter", "me/other"],
    }
    stirred = RablipRetriever.from_pretrained(place / "bundle" / "retriever")
    torch.nn.init.ones_(stirred.retrieval_projection.bias)
    shutil.copytree(place / "bundle" / "retriever", place / "stirred", dirs_exist_ok=True)
    stirred.save_pretrained(place / "stirred")
    pushes = [["push", "stirred", "me/stirred"], *refused.values()]
    run(PUSH, json.dumps(pushes), cwd=place)
    (pushed, *results) = json.loads((place / "pushed.json").read_text())
    assert pushed[0] == 0, pushed
    for message, (code, output, errors) in zip(refused, results, strict=True):
        assert code == 2 and message in " ".join((output + errors).split()), (message, output, errors)
    assert ("model", "me/other") not in hub.repositories, "nothing is made before everything is checked"


def test_a_hub_that_cannot_be_reached_is_one_line(place: Path, run: Callable[..., str]) -> None:
    away = "import os\nos.environ['HF_ENDPOINT'] = 'http://127.0.0.1:9'\n"
    search = ["search", "mill?", "--model", "me/nothing", "--index", "index"]
    run(away + PUSH, json.dumps([["push", "bundle", "me/other"], search]), cwd=place)
    for code, _, errors in json.loads((place / "pushed.json").read_text()):
        assert code == 2 and errors.startswith("rablip: error: ") and errors.count("\n") == 1, errors
