"""A Hub on this machine for the tests of this folder, and processes that take it for the real one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.hub.stand_in import HubStandIn

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def hub() -> Iterator[HubStandIn]:
    """The stand-in, empty; one for each file of tests."""
    stand_in = HubStandIn()
    yield stand_in
    stand_in.close()


@pytest.fixture(scope="module")
def run(hub: HubStandIn, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Run Python code in a fresh process against the stand-in: its output, or the failure of the test."""
    home = tmp_path_factory.mktemp("home")

    def run_code(code: str, *arguments: object, cwd: Path | None = None, python: str = sys.executable) -> str:
        environment = hub.environment(home)
        if python == sys.executable:
            environment["PYTHONPATH"] = str(ROOT)
        done = subprocess.run(
            [python, "-c", code, *map(str, arguments)],
            cwd=cwd or home,
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    return run_code
