"""The source files of the package in the checkout, with the module names that they have once installed."""

from __future__ import annotations

import ast
from functools import lru_cache
from pathlib import Path

__all__ = ["ROOMS", "ROOT", "is_private", "module_files", "parse"]

ROOT = Path(__file__).parent.parent.parent
# folder in the checkout -> package when installed
ROOMS = {
    "rablip": "rablip",
    "configuration": "rablip.configuration",
    "modeling_rablip": "rablip.modeling_rablip",
    "processing": "rablip.processing",
    "hub_cards": "rablip.hub_cards",
}


@lru_cache
def module_files() -> dict[str, Path]:
    """Module name to file, for every module of the package."""
    found = {}
    for folder, package in ROOMS.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            parts = parts[:-1] if parts[-1] == "__init__" else parts
            found[".".join((package, *parts))] = path
    return found


@lru_cache
def parse(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def is_private(module: str) -> bool:
    """Whether a module name says that it is not for users."""
    return any(part.startswith("_") for part in module.split("."))
