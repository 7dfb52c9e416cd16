"""`rablip env`: versions of what matters, and what of it is broken. Works without torch and without transformers."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from importlib import metadata
from typing import Any

import typer

from .. import __version__
from .options import JsonOption
from .output import one_json_object

__all__ = ["collect_environment", "env"]

_PACKAGES = (
    "torch",
    "transformers",
    "accelerate",
    "peft",
    "datasets",
    "tokenizers",
    "safetensors",
    "huggingface_hub",
    "faiss-cpu",
    "evaluate",
    "numpy",
    "pillow",
    "typer",
    "bm25s",
    "torchvision",
)
_OPTIONAL = frozenset({"bm25s", "torchvision"})
_HINTS = {
    "torchvision": (
        "a broken torchvision makes all of transformers fail with misleading import errors; rablip does not need it: "
        "pip uninstall torchvision, or install the build that belongs to this torch"
    ),
    "torch": "install torch again; on a machine without a GPU take a CPU build",
}
# Run in processes of their own: a broken binary package may end the interpreter, and importing them takes seconds.
_PROBES = {
    "torch": (
        "import json, torch; c = torch.cuda.is_available(); "
        "print(json.dumps({'cuda': torch.version.cuda, 'gpu': torch.cuda.get_device_name(0) if c else None, "
        "'threads': torch.get_num_threads()}))"
    ),
    "torchvision": "import torchvision; from torchvision.ops import nms; print('{}')",
    "faiss-cpu": "import faiss; print('{}')",
}
_PROBE_SECONDS = 120


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _probe(code: str) -> tuple[dict[str, Any], str | None]:
    """Run `code` in a fresh interpreter: what it reports, and the last line of its error if it fails."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    try:
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=_PROBE_SECONDS, env=environment
        )
    except subprocess.TimeoutExpired:
        return {}, f"importing it took longer than {_PROBE_SECONDS} s"
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        return {}, lines[-1] if lines else f"the interpreter ended with code {done.returncode}"
    return json.loads(done.stdout.strip().splitlines()[-1]), None


def collect_environment() -> dict[str, Any]:
    """Return versions, hardware and problems as plain values.

    Returns:
        `rablip`, `python`, `platform`, `packages` (name to version or None), `torch` (cuda, gpu, threads),
        and `problems` (name, problem, hint): empty when everything that is installed can be imported.

    Example:
        >>> sorted(collect_environment())  # doctest: +SKIP
        ['packages', 'platform', 'problems', 'python', 'rablip', 'torch']
    """
    packages = {name: _version(name) for name in _PACKAGES}
    problems, facts = [], {}
    for name, version in packages.items():
        if version is None:
            if name not in _OPTIONAL:
                problems.append({"name": name, "problem": "not installed", "hint": f"pip install {name}"})
            continue
        if name in _PROBES:
            facts[name], problem = _probe(_PROBES[name])
            if problem is not None:
                problems.append({"name": name, "problem": problem, "hint": _HINTS.get(name, f"install {name} again")})
    return {
        "rablip": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": packages,
        "torch": facts.get("torch", {}),
        "problems": problems,
    }


def env(as_json: JsonOption = False) -> None:
    """Show versions and hardware, and say what is broken."""
    with one_json_object(as_json) as write:
        found = collect_environment()
        if as_json:
            write(found)
            return
        typer.echo(f"rablip            {found['rablip']}\npython            {found['python']} on {found['platform']}")
        for name, version in found["packages"].items():
            typer.echo(f"{name:<17} {version or 'not installed'}")
        if found["torch"]:
            facts = found["torch"]
            gpu = facts["gpu"] or "none"
            typer.echo(
                f"GPU               {gpu} (torch built for CUDA {facts['cuda'] or 'no'}; {facts['threads']} threads)"
            )
        for problem in found["problems"]:
            typer.echo(f"PROBLEM {problem['name']}: {problem['problem']}\n        {problem['hint']}")
        if not found["problems"]:
            typer.echo("No problem found.")
