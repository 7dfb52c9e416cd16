"""A generator whose weights are spread over two processes (torch's `fully_shard`) answers as the whole one does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.module_processes import run_module


@pytest.mark.slow
def test_shards_generate_what_the_whole_model_does(tmp_path: Path) -> None:
    run_module("tests.training.two_generating_processes", tmp_path, CUDA_VISIBLE_DEVICES="")
    assert {path.name for path in tmp_path.glob("done-*")} == {"done-0", "done-1"}
