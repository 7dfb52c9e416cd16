"""Starts a module of the tests in one process, or in several that torchrun brings together over gloo."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
# A free port is found by the processes themselves, so that tests may run side by side.
TORCHRUN = ("-m", "torch.distributed.run", "--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0")


def run_module(module: str, *arguments: Path | str, num_processes: int = 2, **environment: str) -> None:
    """Run a module to its end, which must be a good one.

    Args:
        module: its name.
        arguments: of its command line.
        num_processes: with 1, torchrun is left out.
        environment: further variables.
    """
    launcher = () if num_processes == 1 else (*TORCHRUN, "--nproc-per-node", str(num_processes))
    done = subprocess.run(
        [sys.executable, *launcher, "-m", module, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-6000:]
