"""What `import rablip` and the light commands may cost, and that they answer when torch is missing or broken."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.structure.package_files import ROOT

MAX_RATIO = 1.2


def run(code: str, *, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run Python code in a fresh interpreter at the root of the checkout."""
    entries = [str(path)] if path else []
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*entries, str(ROOT)])}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=environment, timeout=300
    )


def seconds(code: str) -> float:
    """Wall time of a fresh interpreter that runs the code."""
    start = time.perf_counter()
    done = run(code)
    assert done.returncode == 0, done.stderr
    return time.perf_counter() - start


def modules_after(code: str) -> set[str]:
    """The modules that are loaded after the code has run."""
    done = run(f"{code}\nimport sys; print('\\n'.join(sys.modules))")
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_import_is_light() -> None:
    loaded = modules_after("import rablip")
    heavy = {"torch", "transformers", "datasets", "faiss", "peft", "evaluate", "numpy", "PIL", "pyarrow", "typer"}
    assert not loaded & heavy, "import rablip loads what only some of its users need"


def test_auto_model_with_rablip_loads_no_model_code() -> None:
    loaded = modules_after("import rablip\nfrom transformers import AutoModel, AutoProcessor")
    assert "rablip.configuration.configuration_rablip" in loaded
    unwanted = {
        "rablip.modeling_rablip",
        "rablip.processing.processing_rablip",
        "datasets",
        "faiss",
        "peft",
        "evaluate",
    }
    assert not loaded & unwanted


@pytest.mark.slow
def test_import_cost_ratio() -> None:
    """Median of five pairs, run in turn so that a busy machine slows both alike."""
    seconds("from transformers import AutoModel")  # warm the file cache
    alone, both = [], []
    for _ in range(5):
        alone.append(seconds("from transformers import AutoModel"))
        both.append(seconds("import rablip\nfrom transformers import AutoModel"))
    ratio = statistics.median(both) / statistics.median(alone)
    assert ratio <= MAX_RATIO, (
        f"import rablip makes `from transformers import AutoModel` cost {ratio:.2f} times as much"
    )


def test_import_alone_costs_less_than_auto_model() -> None:
    assert seconds("import rablip") <= MAX_RATIO * seconds("from transformers import AutoModel")


@pytest.fixture
def broken_torch(tmp_path: Path) -> Path:
    """A folder that makes torch and torchvision fail to import, as a damaged installation does."""
    for name in ("torch", "torchvision"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(
            "raise ImportError('libtorch_cpu.so: cannot open shared object')\n"
        )
    return tmp_path


def test_help_without_torch(broken_torch: Path) -> None:
    done = run("import sys; sys.argv = ['rablip', '--help']; from rablip.cli import main; main()", path=broken_torch)
    assert done.returncode == 0, done.stderr
    assert "quickstart" in done.stdout


def test_env_without_torch_says_what_is_broken(broken_torch: Path) -> None:
    code = "import sys; sys.argv = ['rablip', 'env', '--json']; from rablip.cli import main; main()"
    done = run(code, path=broken_torch)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    problems = {problem["name"]: problem for problem in found["problems"]}
    assert "libtorch_cpu.so" in problems["torch"]["problem"]
    assert found["packages"]["transformers"]


def test_env_flags_a_broken_torchvision(tmp_path: Path) -> None:
    """The usual case: a torchvision of another torch, which makes transformers fail with misleading errors."""
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text(
        "raise RuntimeError('operator torchvision::nms does not exist')\n"
    )
    metadata = tmp_path / "torchvision-0.28.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: torchvision\nVersion: 0.28.0\n")
    code = "import sys; sys.argv = ['rablip', 'env']; from rablip.cli import main; main()"
    done = run(code, path=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "operator torchvision::nms does not exist" in done.stdout
    assert "pip uninstall torchvision" in done.stdout
