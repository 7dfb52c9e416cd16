"""Every benchmark is opened by its name, and the table says what its reader says."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from rablip.processing.benchmarks.registry import BENCHMARKS, open_benchmark
from tests.processing.benchmarks.multimodalqa_folder import make_row, write_lines
from tests.processing.benchmarks.webqa_folder import make_files, write_files

ROOT = Path(__file__).parent.parent.parent.parent


def test_the_names() -> None:
    assert set(BENCHMARKS) == {
        "webqa",
        "multimodalqa",
        "okvqa",
        "aokvqa",
        "infoseek",
        "encyclopedic_vqa",
        "mrag_bench",
        "m2kr",
        "remuq",
        "retrieval_collection",
    }
    assert all(name == entry.name for name, entry in BENCHMARKS.items())


@pytest.mark.parametrize("name", sorted(BENCHMARKS))
def test_an_entry_says_what_the_reader_says(name: str) -> None:
    entry = BENCHMARKS[name]
    module = import_module(f"rablip.processing.benchmarks.{name}")
    parameters = inspect.signature(entry.opener).parameters
    assert list(parameters)[0] == "root"
    assert {"split", "setting"} <= set(parameters)
    assert all(value.kind is inspect.Parameter.KEYWORD_ONLY for value in list(parameters.values())[1:])
    assert entry.splits == getattr(module, "SPLITS", entry.splits) and entry.settings == module.SETTINGS
    assert entry.default_split in (entry.splits or [entry.default_split])
    assert entry.default_setting in entry.settings and entry.files


def test_defaults_and_options(tmp_path: Path) -> None:
    write_files(tmp_path, make_files(2))
    benchmark = open_benchmark("webqa", tmp_path)
    assert (benchmark.name, benchmark.split, benchmark.setting) == ("webqa", "val", "distractor")
    benchmark = open_benchmark("webqa", tmp_path, split="test", setting="full", pictures=False)
    assert (benchmark.split, benchmark.setting, "pictures" in benchmark.files) == ("test", "full", False)
    write_lines(tmp_path / "MMQA_dev.jsonl", [make_row()])
    (question,) = open_benchmark("multimodalqa", str(tmp_path), subset="murag").questions()
    assert question.id == "q1"


@pytest.mark.parametrize(
    ("arguments", "error", "cause"),
    [
        ({"name": "web_qa"}, ValueError, "no benchmark 'web_qa'. Did you mean 'webqa'"),
        ({"name": "coco"}, ValueError, "no benchmark 'coco'"),
        ({"split": "vall"}, ValueError, "Did you mean 'val'"),
        ({"setting": "distracter"}, ValueError, "Did you mean 'distractor'"),
        ({"picture": False}, TypeError, "WebQA has no option 'picture'. Did you mean 'pictures'"),
        ({"name": "m2kr"}, TypeError, "M2KR needs the option 'task'"),
    ],
)
def test_slips_are_named(tmp_path: Path, arguments: dict[str, Any], error: type[Exception], cause: str) -> None:
    write_files(tmp_path, make_files(2))
    with pytest.raises(error, match=cause):
        open_benchmark(**{"name": "webqa", "root": tmp_path} | arguments)


def test_the_table_imports_no_reader() -> None:
    code = (
        "import sys; from rablip.processing.benchmarks.registry import BENCHMARKS; [str(entry) for entry in "
        "BENCHMARKS.values()]; print([n for n in sys.modules if 'benchmarks.webqa' in n or n in ('torch', 'PIL', "
        "'pyarrow', 'datasets', 'numpy')])"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=environment, check=True
    )
    assert done.stdout.strip() == "[]"
