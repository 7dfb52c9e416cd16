"""Gathering over processes: nothing happens in one, and two with gloo do what one does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from rablip.training.trainers.gathering import gather_rows, num_processes, process_rank, sum_over_processes

ROOT = Path(__file__).parents[2]


def test_one_process_gathers_its_own_rows() -> None:
    rows = torch.randn(3, 2, requires_grad=True)
    assert gather_rows(rows) is rows and gather_rows(rows, fill_value=0.0) is rows
    assert (num_processes(), process_rank()) == (1, 0)
    total = sum_over_processes(rows)
    assert torch.equal(total, rows) and not total.requires_grad and total.data_ptr() != rows.data_ptr()


def test_one_number_has_no_rows() -> None:
    with pytest.raises(ValueError, match="one number without a dimension of rows"):
        gather_rows(torch.tensor(1.0))


@pytest.mark.slow
def test_two_processes_do_what_one_does(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "0"]
    command += ["--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0"]
    done = subprocess.run(
        [*command, "-m", "tests.training.two_processes", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-6000:]
    assert {path.name for path in tmp_path.glob("done-*")} == {"done-0", "done-1"}
