"""Two processes train and evaluate as one does: generator and re-ranker, and what pre-training measures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path: Path) -> None:
    torchrun = ["-m", "torch.distributed.run", "--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0"]
    for start in ([], [*torchrun, "--nproc-per-node", "2"]):
        done = subprocess.run(
            [sys.executable, *start, "-m", "tests.training.two_stage_processes", str(tmp_path)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-6000:]
    for stage in ("generator", "reranker"):
        one, two = (load_file(tmp_path / f"{stage}-{number}.safetensors") for number in (1, 2))
        assert one.keys() == two.keys() and len(one["losses"]) == 3
        assert len(set(one["losses"].tolist())) == 3
        # Trainer writes four digits of it; the weights say the rest.
        torch.testing.assert_close(two["losses"], one["losses"], rtol=0, atol=1.1e-4)
        for name, value in one.items():
            torch.testing.assert_close(two[name], value, rtol=1e-4, atol=1e-5, msg=f"{stage}: {name}")
    measured = [json.loads((tmp_path / f"measured-{number}.json").read_text()) for number in (1, 2)]
    for stage, one in measured[0].items():
        assert "eval_loss" in one and (stage == "fusion" or "eval_relevance_auc" in one)
        assert measured[1][stage] == pytest.approx(one, rel=1e-5), stage
