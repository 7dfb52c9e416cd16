"""Imports go one way through the package, never upward: the table here is the architecture."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.structure.package_files import module_files, parse

KNOWLEDGE = "rablip.processing.knowledge_rablip"

# What may be imported from inside the package; the longest matching entry on the left decides, anything below an
# entry on the right is included. A module always reaches its own package.
ALLOWED: dict[str, tuple[str, ...]] = {
    "rablip": ("rablip",),
    "rablip.__main__": ("rablip.cli",),
    "rablip._registration": (),
    "rablip.configuration": (),
    "rablip.modeling_rablip": ("rablip.configuration",),
    "rablip.processing": (),
    "rablip.hub_cards": (),
    "rablip.index": (),
    "rablip.snapshots": (),
    "rablip.knowledge_base": ("rablip.index", "rablip.processing"),
    "rablip.batch_halving": (),
    "rablip.processes": (),
    "rablip.encoding": (
        "rablip.index",
        "rablip.batch_halving",
        "rablip.knowledge_base",
        "rablip.modeling_rablip",
        "rablip.processing",
    ),
    "rablip.retriever_source": (
        "rablip.index",
        "rablip.modeling_rablip",
        "rablip.processing",
        "rablip.snapshots",
    ),
    "rablip.lexical": ("rablip.index", "rablip.knowledge_base", "rablip.processing"),
    "rablip.indexing": (
        "rablip.processes",
        "rablip.configuration",
        "rablip.encoding",
        "rablip.index",
        "rablip.knowledge_base",
        "rablip.lexical",
        "rablip.retriever_source",
        "rablip.modeling_rablip",
        "rablip.processing",
        "rablip.snapshots",
    ),
    "rablip.world": ("rablip.processing",),
    "rablip.training": (
        "rablip.processes",
        "rablip.batch_halving",
        "rablip.configuration",
        "rablip.index",
        "rablip.modeling_rablip",
        "rablip.processing",
        "rablip.retriever_source",
        "rablip.snapshots",
        "rablip.world",
    ),
    "rablip.answering": (
        "rablip.configuration",
        "rablip.index",
        "rablip.indexing",
        "rablip.knowledge_base",
        "rablip.lexical",
        "rablip.modeling_rablip",
        "rablip.processing",
        "rablip.retriever_source",
        "rablip.snapshots",
    ),
    "rablip.hub": (
        "rablip.answering",
        "rablip.configuration",
        "rablip.evaluation",
        "rablip.index",
        "rablip.lexical",
        "rablip.modeling_rablip",
        "rablip.processing",
        "rablip.retriever_source",
        "rablip.snapshots",
    ),
    "rablip.conversion": ("rablip.answering", "rablip.modeling_rablip", "rablip.processing", "rablip.snapshots"),
    "rablip.metrics": (),
    "rablip.evaluation": (
        "rablip.answering",
        "rablip.configuration",
        "rablip.index",
        "rablip.indexing",
        "rablip.knowledge_base",
        "rablip.lexical",
        "rablip.metrics",
        "rablip.modeling_rablip",
        "rablip.processes",
        "rablip.processing",
        "rablip.reports",
        "rablip.training",
        "rablip.world",
    ),
    "rablip.tiny_checkpoint": ("rablip.answering", "rablip.evaluation", "rablip.training", "rablip.world"),
    "rablip.reports": ("rablip.answering", "rablip.knowledge_base", "rablip.processing"),
    "rablip.quickstart": (
        "rablip.answering",
        "rablip.evaluation",
        "rablip.indexing",
        "rablip.knowledge_base",
        "rablip.metrics",
        "rablip.processing",
        "rablip.reports",
        "rablip.world",
    ),
    "rablip.cli": (
        "rablip.answering",
        "rablip.conversion",
        "rablip.evaluation",
        "rablip.hub",
        "rablip.index",
        "rablip.indexing",
        "rablip.lexical",
        "rablip.metrics",
        "rablip.processes",
        "rablip.processing",
        "rablip.quickstart",
        "rablip.tiny_checkpoint",
        "rablip.training",
        "rablip.world",
    ),
}
# Files that stand below their own package: knowledge items <- prompts, readers <- processors <- collators.
WITHIN_PROCESSING: dict[str, tuple[str, ...]] = {
    KNOWLEDGE: (),
    "rablip.processing.images_rablip": (KNOWLEDGE,),
    "rablip.processing.prompts_rablip": (KNOWLEDGE,),
}
KNOWS_THE_WORLD = (
    "rablip.world",
    "rablip.training",
    "rablip.evaluation",
    "rablip.quickstart",
    "rablip.tiny_checkpoint",
    "rablip.cli",
)


def below(module: str, package: str) -> bool:
    """Whether `module` is `package` or inside it."""
    return module == package or module.startswith(f"{package}.")


def imports_of(module: str, path: Path) -> set[str]:
    """The modules of the package that a file imports, at its top or inside functions, not for type checking only."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    names = set(module_files())
    found: set[str] = set()
    type_checking = {
        id(inner)
        for node in ast.walk(parse(path))
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(parse(path)):
        if not isinstance(node, ast.ImportFrom) or node.level == 0 or id(node) in type_checking:
            continue
        base = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1])
        target = f"{base}.{node.module}" if node.module else base
        for alias in node.names:
            if (target, alias.name) == ("rablip", "__version__"):
                continue  # a constant, wherever it is needed
            submodule = f"{target}.{alias.name}"
            found.add(submodule if submodule in names else target)
    return found


def rule_for(module: str) -> str:
    """The longest entry of the table that covers the module."""
    return max((entry for entry in ALLOWED if below(module, entry)), key=len)


@pytest.mark.parametrize("module", sorted(module_files()))
def test_imports_go_downward(module: str) -> None:
    rule = rule_for(module)
    assert rule != "rablip" or module == "rablip", f"{module} is not in the table: decide where it stands"
    for target in imports_of(module, module_files()[module]):
        own = rule != "rablip" and below(target, rule)
        allowed = any(below(target, entry) for entry in ALLOWED[rule])
        assert own or allowed, f"{module} must not import {target}"
    if module in WITHIN_PROCESSING:
        strangers = imports_of(module, module_files()[module]) - set(WITHIN_PROCESSING[module])
        assert not strangers, f"{module} must not import {strangers}"
    if ".readers" in module:
        for target in imports_of(module, module_files()[module]):
            assert ".readers" in target or target == KNOWLEDGE, (
                f"{module} must not import {target}: a reader knows knowledge items only"
            )


@pytest.mark.parametrize("module", sorted(module_files()))
def test_only_a_few_know_the_world(module: str) -> None:
    if any(below(module, entry) for entry in KNOWS_THE_WORLD):
        return
    path = module_files()[module]
    assert not any(below(target, "rablip.world") for target in imports_of(module, path))


@pytest.mark.parametrize("module", [name for name in sorted(module_files()) if below(name, "rablip.world")])
def test_the_world_needs_no_torch(module: str) -> None:
    for node in ast.walk(parse(module_files()[module])):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) and node.level == 0 else []
        assert not {name.split(".")[0] for name in names} & {"torch", "transformers"}, f"{module} imports {names}"


def test_the_check_can_fail(tmp_path: Path) -> None:
    bad = tmp_path / "thing.py"
    bad.write_text("from ..answering.answerer import RablipAnswerer\nfrom .. import KnowledgeIndex, __version__\n")
    found = imports_of("rablip.index.thing", bad)
    assert found == {"rablip", "rablip.answering.answerer"}
    assert not any(below("rablip.answering", entry) for entry in ALLOWED["rablip.index"])
