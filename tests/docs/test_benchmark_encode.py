"""The benchmark of encoding: every arm makes the same embeddings, and a tiny run from end to end."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests.docs.test_benchmarks import BENCHMARKS, ROOT, load


@pytest.fixture
def arms(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return load("encode_arms", monkeypatch)


def test_all_arms_make_the_same_embeddings(arms: ModuleType, tmp_path: Path) -> None:
    base = arms.make_base("pages", 12, 0, tmp_path / "base")
    items = list(base)
    assert len(items) == 12 and len({item.image for item in items}) == 4
    model, processor = arms.make_model("tiny", "cpu")
    args = argparse.Namespace(batch_size=5, device="cpu")
    expected = arms.encode_plain(model, processor, None, base, args)
    np.testing.assert_allclose(arms.encode_rablip(model, processor, None, base, args), expected, atol=1e-5)
    assert expected.shape == (12, model.config.embedding_dim)


def test_operations_of_a_known_tower(arms: ModuleType) -> None:
    model, _ = arms.make_model("vit-g", "meta")
    # Of a picture of 224x224 in patches of 14.
    assert arms.count_tower_flops(model) == pytest.approx(0.53e12, rel=0.05)


def test_a_tiny_run(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCHMARKS / "encode.py"), "--items", "16", "--size", "tiny", "--repeats", "1"]
    command += ["--corpora", "mixed", "--batch-size", "4", "--out", str(tmp_path / "encode.json")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    table: dict[str, Any] = json.loads((tmp_path / "encode.json").read_text())["table"]["mixed"]
    assert {"plain", "rablip"} <= set(table) and table["plain"]["ratio_to_plain"] == 1
    assert all(figures["items_per_second"] > 0 and figures["peak_mib"] > 100 for figures in table.values())
