"""The frozen world: a changed world needs a changed version."""

from __future__ import annotations

import subprocess
import sys

from rablip.world import WORLD_VERSION, compute_world_version, wording


def test_version_is_the_hash_of_the_content():
    assert compute_world_version() == WORLD_VERSION, "the world changed: set WORLD_VERSION and run every figure again"


def test_another_wording_is_another_version(monkeypatch):
    monkeypatch.setattr(wording, "_MANY", {"num_windows": "pane", "num_sails": "sail"})
    assert compute_world_version() != WORLD_VERSION


def test_the_world_is_made_without_torch():
    code = "import sys, rablip.world; assert not {'torch', 'transformers', 'faiss'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
