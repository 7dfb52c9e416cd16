"""The README's pushes run, against a Hub on this machine."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

from rablip import KnowledgeItem, build_index
from tests.hub.conftest import ROOT
from tests.hub.stand_in import HubStandIn

CODE = """
import json, sys
from typer.testing import CliRunner
from rablip.cli import app

for words in json.loads(sys.argv[1]):
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, (words, done.output, done.stderr)
"""


def test_pushes_of_the_readme(tiny_bundle: Path, tmp_path: Path, hub: HubStandIn, run: Callable[..., str]) -> None:
    shutil.copytree(tiny_bundle, tmp_path / "my_model")
    items = [KnowledgeItem(id="a", text="The mill was built by Marlow.")]
    build_index(items, model=tmp_path / "my_model", out=tmp_path / "my_index", progress=False)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = [shlex.split(line)[1:] for line in re.findall(r"^rablip push .*$", readme, flags=re.MULTILINE)]
    assert len(commands) >= 2
    before = ["push", "my_model/retriever", "me/my-retriever"]
    run(CODE, json.dumps([before, *commands]), cwd=tmp_path)
    assert set(hub.repositories) == {("model", "me/my-retriever"), ("model", "me/my-generator")}
    card = hub.files("me/my-generator")["README.md"].decode()
    assert "base_model: Salesforce/instructblip-flan-t5-xl" in card and "license: apache-2.0" in card
