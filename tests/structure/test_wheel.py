"""What lands in site-packages: the wheel holds rablip/ with every module, and works away from the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.structure.package_files import ROOMS, ROOT, module_files


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a clean copy of the sources, without the network."""
    source = tmp_path_factory.mktemp("source")
    for name in ROOMS:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("tests", "examples"):  # must stay out although they lie beside the package
        (source / name).mkdir()
        (source / name / "__init__.py").write_text("")
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    out = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "-q",
        "-w",
        str(out),
        ".",
    ]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = out.glob("*.whl")
    return built


def test_holds_every_module_and_nothing_else(wheel: Path) -> None:
    files = {name for name in zipfile.ZipFile(wheel).namelist() if not name.endswith("/")}
    tops = {name.split("/")[0] for name in files}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"rablip"}
    expected = {"rablip/py.typed"}
    for module, path in module_files().items():
        expected.add(module.replace(".", "/") + ("/__init__.py" if path.name == "__init__.py" else ".py"))
    expected |= {f"rablip/hub_cards/{path.name}" for path in (ROOT / "hub_cards").glob("*.md")}
    packaged = {name for name in files if name.startswith("rablip/")}
    assert packaged == expected


def test_metadata(wheel: Path) -> None:
    import rablip

    archive = zipfile.ZipFile(wheel)
    (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    text = archive.read(metadata).decode()
    assert f"Version: {rablip.__version__}" in text
    requirements = [line for line in text.splitlines() if line.startswith("Requires-Dist:")]
    assert requirements and not any("==" in line.split(";")[0] for line in requirements), "no exact pin on a library"
    assert not any("torchvision" in line or "timm" in line for line in requirements)
    (entry_points,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
    assert "rablip = rablip.cli:main" in archive.read(entry_points).decode()


def test_works_away_from_the_checkout(wheel: Path, tmp_path: Path) -> None:
    target, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    elsewhere.mkdir()
    zipfile.ZipFile(wheel).extractall(target)
    code = """
import importlib, sys
from pathlib import Path
import rablip
site = Path(sys.argv[1])
assert Path(rablip.__file__).is_relative_to(site), rablip.__file__
assert list(rablip.__path__) == [str(site / "rablip")]
for name in sys.argv[2:]:
    module = importlib.import_module(name)
    assert Path(module.__file__).is_relative_to(site), module.__file__
for name in rablip.__all__:
    getattr(rablip, name)
for bare in ("configuration", "hub_cards", "processing", "modeling_rablip"):
    try:
        importlib.import_module(bare)
    except ModuleNotFoundError:
        continue
    raise AssertionError(f"{bare} is importable by its bare name")
"""
    environment = {**os.environ, "PYTHONPATH": str(target)}
    names = [name for name in module_files() if not name.endswith("__main__")]
    command = [sys.executable, "-c", code, str(target), *names]
    done = subprocess.run(command, cwd=elsewhere, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr


def test_the_checkout_root_does_not_shadow_an_installed_wheel(wheel: Path, tmp_path: Path) -> None:
    """`import rablip` at the root of the checkout takes everything from the checkout, also with a wheel installed."""
    zipfile.ZipFile(wheel).extractall(tmp_path)
    code = (
        "import rablip, rablip.configuration, rablip.processing, sys\n"
        "from pathlib import Path\n"
        "for module in (rablip, rablip.configuration, rablip.processing):\n"
        "    assert Path(module.__file__).is_relative_to(Path(sys.argv[1])), module.__file__\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)])}
    done = subprocess.run(
        [sys.executable, "-c", code, str(ROOT)], cwd=ROOT, capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
