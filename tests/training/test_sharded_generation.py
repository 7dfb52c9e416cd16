"""A generator whose weights are spread over two processes (torch's `fully_shard`) answers as the whole one does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_shards_generate_what_the_whole_model_does(tmp_path: Path) -> None:
    torchrun = ["-m", "torch.distributed.run", "--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0"]
    done = subprocess.run(
        [
            *(sys.executable, *torchrun, "--nproc-per-node", "2"),
            *("-m", "tests.training.two_generating_processes", str(tmp_path)),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-6000:]
    assert {path.name for path in tmp_path.glob("done-*")} == {"done-0", "done-1"}
