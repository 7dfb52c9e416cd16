"""Every example in a docstring runs. Examples that need a trained model or much time say `# doctest: +SKIP`."""

from __future__ import annotations

import doctest
import importlib
import os
from pathlib import Path

import pytest

from tests.structure.package_files import module_files, parse


def has_example(path: Path) -> bool:
    """Whether a file holds a doctest, without importing it."""
    return ">>> " in path.read_text(encoding="utf-8") and bool(parse(path).body)


MODULES = [name for name, path in sorted(module_files().items()) if has_example(path)]


@pytest.mark.parametrize("module", MODULES)
def test_examples_run(module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = os.getcwd()
    imported = importlib.import_module(module)
    monkeypatch.chdir(tmp_path)  # what an example writes
    assert root != os.getcwd()
    result = doctest.testmod(imported, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0, f"{result.failed} of {result.attempted} examples of {module} fail"


def test_there_are_examples() -> None:
    assert len(MODULES) >= 10
