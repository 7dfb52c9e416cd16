"""The committed parity fixtures: small, without pickles, and tensor by tensor what they were copied from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

GOLDEN = Path(__file__).parent / "fixtures" / "golden"
FILES = sorted(path.relative_to(GOLDEN).as_posix() for path in GOLDEN.rglob("*.safetensors"))


def test_small_and_without_pickles() -> None:
    files = [path for path in GOLDEN.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 6_000_000
    assert not [path for path in files if path.suffix in (".pth", ".pt", ".bin", ".pkl", ".model")]


@pytest.mark.parametrize("name", FILES)
def test_what_was_recorded(name: str, shared: Path) -> None:
    recorded, kept = load_file(shared / "golden" / name), load_file(GOLDEN / name)
    assert kept and kept.keys() <= recorded.keys()
    assert all(torch.equal(value, recorded[key]) for key, value in kept.items())
