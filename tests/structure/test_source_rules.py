"""House rules that a reader of the source relies on, checked over the syntax tree of every file."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

from tests.structure.package_files import ROOT, is_private, module_files, parse

MODULES = sorted(module_files())
MAX_LINES = 400
READS_PTH = "rablip.conversion"  # the public release comes as a .pth file
MAX_LINES_MODEL = 600


def dotted(node: ast.AST) -> str:
    """`a.b.c` of an attribute chain, or an empty string."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return ""


def listed_names(tree: ast.Module) -> list[str] | None:
    """The value of `__all__` when it is written as a list of strings."""
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        if any(dotted(target) == "__all__" for target in targets):
            return ast.literal_eval(node.value)
    return None


def test_the_rules_see_the_package() -> None:
    assert "rablip" in MODULES and "rablip.configuration.configuration_rablip" in MODULES
    assert "rablip.processing.knowledge_rablip" in MODULES


@pytest.mark.parametrize("module", MODULES)
def test_says_its_one_role(module: str) -> None:
    docstring = ast.get_docstring(parse(module_files()[module]))
    assert docstring and len(docstring.splitlines()[0]) > 20, f"{module} has no docstring that says its role"


def test_file_length() -> None:
    for path in (*module_files().values(), *(ROOT / "tests").rglob("*.py"), *(ROOT / "examples").glob("*.py")):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        limit = MAX_LINES_MODEL if path.name.startswith("modeling_") else MAX_LINES
        assert lines <= limit, f"{path.relative_to(ROOT)} has {lines} lines, the limit is {limit}: split it by role"


@pytest.mark.parametrize("module", MODULES)
def test_all_is_there_and_sorted(module: str) -> None:
    names = listed_names(parse(module_files()[module]))
    assert names is not None, f"{module} has no __all__"
    # The order of ruff's RUF022: constants, then classes, then the rest.
    order = sorted(names, key=lambda name: (0 if name.isupper() else 1 if name[:1].isupper() else 2, name))
    assert names == order
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("module", [name for name in MODULES if not is_private(name)])
def test_public_definitions_are_documented(module: str) -> None:
    tree = parse(module_files()[module])
    public = set(listed_names(tree) or [])
    missing = [
        node.name
        for node in tree.body
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name in public and not ast.get_docstring(node)
    ]
    assert not missing, f"{module}: no docstring on {missing}"


@pytest.mark.parametrize("module", [name for name in MODULES if not is_private(name)])
def test_public_functions_are_typed(module: str) -> None:
    tree = parse(module_files()[module])
    public = set(listed_names(tree) or [])
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in public]
    for cls in (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name in public):
        functions += [node for node in cls.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")]
    for function in functions:
        arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        untyped = [a.arg for a in arguments if a.annotation is None and a.arg not in ("self", "cls")]
        assert not untyped and function.returns is not None, f"{module}.{function.name}: untyped {untyped or 'result'}"


@pytest.mark.parametrize("module", MODULES)
def test_no_pickle_no_print_no_bare_names(module: str) -> None:
    tree = parse(module_files()[module])
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            imported = [node.module or ""] if node.level == 0 else []
        else:
            imported = []
        roots = {name.split(".")[0] for name in imported}
        assert not roots & {"pickle", "dill", "joblib", "cloudpickle"}, f"{module}:{node.lineno} imports a pickler"
        bare = roots & {"configuration", "hub_cards", "processing", "modeling_rablip"}
        assert not bare, f"{module}:{node.lineno} imports the bare name {bare}"
        assert "rablip" not in roots, f"{module}:{node.lineno}: inside the package imports are relative"
        if isinstance(node, ast.Call):
            name = dotted(node.func)
            if name == "torch.load" and module == READS_PTH:
                options = {keyword.arg: getattr(keyword.value, "value", None) for keyword in node.keywords}
                assert options.get("weights_only") is True, f"{module}:{node.lineno} reads more than weights"
                continue
            assert name not in ("torch.load", "torch.save", "print"), f"{module}:{node.lineno} calls {name}"
            if name in ("np.load", "numpy.load"):
                refused = [k for k in node.keywords if k.arg == "allow_pickle"]
                assert refused and getattr(refused[0].value, "value", True) is False, f"{module}:{node.lineno} np.load"
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"{module}:{node.lineno}: a bare except hides the cause"


@pytest.mark.parametrize("module", MODULES)
def test_no_trust_in_remote_code(module: str) -> None:
    for node in ast.walk(parse(module_files()[module])):
        if isinstance(node, ast.keyword) and node.arg == "trust_remote_code":
            assert getattr(node.value, "value", None) is not True, f"{module}: rablip never passes True itself"


def committed_texts() -> list[Path]:
    """Every text file that git knows, or every source file outside a git checkout."""
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    names = done.stdout.split("\n") if done.returncode == 0 else []
    paths = [ROOT / name for name in names if name] or list(ROOT.glob("*.md")) + list(module_files().values())
    kinds = {".py", ".md", ".toml", ".txt", ".json", ".cfg", ".yml", ".yaml", ""}
    return [path for path in paths if path.suffix in kinds and path.is_file() and path.stat().st_size < 1_000_000]


def test_nothing_names_the_place_where_it_was_made() -> None:
    made_at = re.compile(
        "|".join(
            ("/wo" + "rk/", "/ro" + "ot/", "/ho" + "me/\\w", "/op" + "t/(?:pypi|wheels)", r"\b10\.\d+\.\d+\.\d+\b")
        )
    )
    for path in committed_texts():
        text = path.read_text(encoding="utf-8", errors="replace")
        found = made_at.search(text)
        assert found is None, f"{path.relative_to(ROOT)} holds {found.group(0)!r}"
