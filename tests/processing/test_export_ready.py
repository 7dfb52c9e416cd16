"""Files that travel with a checkpoint: only siblings are imported, base names are unique, the order has no circle."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest
from transformers.dynamic_module_utils import get_relative_import_files, get_relative_imports

ROOT = Path(__file__).parent.parent.parent
EXPORTED = sorted((ROOT / "processing").glob("*_rablip*.py"))
# Lower files know nothing of higher ones.
ORDER = [
    "knowledge_rablip",
    "images_rablip",
    "prompts_rablip",
    "batching_rablip",
    "prompt_fitting_rablip",
    "processing_rablip_base",
    "processing_rablip_retriever",
    "processing_rablip",
]
ALLOWED = {"torch", "transformers", "PIL", "numpy"}


def test_every_exported_file_is_in_the_order() -> None:
    assert sorted(ORDER) == [path.stem for path in EXPORTED]
    elsewhere = [
        path.name for room in ("configuration", "modeling_rablip") for path in (ROOT / room).glob("*_rablip*.py")
    ]
    assert not {path.name for path in EXPORTED} & set(elsewhere)


@pytest.mark.parametrize("path", EXPORTED, ids=lambda path: path.stem)
def test_exported_files_import_siblings_below_them_and_few_libraries(path: Path) -> None:
    siblings = get_relative_imports(str(path))
    assert all(ORDER.index(name) < ORDER.index(path.stem) for name in siblings)
    assert all(Path(file).is_file() for file in get_relative_import_files(str(path)))
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level in (0, 1)
            assert node.level == 0 or node.module, "`from . import x` is not found by the export"
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) and node.level == 0 else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for name in names:
            top = name.split(".")[0]
            assert top in ALLOWED or top in sys.stdlib_module_names, name
