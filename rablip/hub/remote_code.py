"""The code of a model folder's classes, flat beside its weights, so that it loads where rablip is not installed.

transformers loads code of a repository from files in its root only, so the three folders are laid flat and their
imports of each other rewritten. Code travels only when it is asked for: nothing else writes it.
"""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from typing import Any

__all__ = ["export_remote_code", "flatten_code", "without_code"]

_GENERATOR = "modeling_rablip_generator.RablipForConditionalGeneration"
# model_type -> Auto class -> file and class, as transformers' `auto_map` wants them
_AUTO_MAPS = {
    "rablip": {
        "AutoConfig": "configuration_rablip.RablipConfig",
        "AutoModel": _GENERATOR,
        "AutoModelForImageTextToText": _GENERATOR,
        "AutoProcessor": "processing_rablip.RablipProcessor",
    },
    "rablip_reranker": {
        "AutoConfig": "configuration_rablip.RablipRerankerConfig",
        "AutoModel": "modeling_rablip_reranker.RablipReranker",
        "AutoProcessor": "processing_rablip_retriever.RablipRetrieverProcessor",
    },
    "rablip_retriever": {
        "AutoConfig": "configuration_rablip.RablipRetrieverConfig",
        "AutoModel": "modeling_rablip_retriever.RablipRetriever",
        "AutoProcessor": "processing_rablip_retriever.RablipRetrieverProcessor",
    },
}
_ROOMS = ("configuration", "modeling_rablip", "processing")
_RELATIVE = re.compile(r"^(\s*from\s+)\.+(?:\w+\.)*(\w+)(\s+import\b)", re.MULTILINE)


def export_remote_code(folder: str | Path) -> list[Path]:
    """Write the code that a model folder needs, and say in its configurations where each class is.

    Afterwards `AutoModel.from_pretrained(folder, trust_remote_code=True)` works without rablip; where rablip is
    imported, its own classes are taken all the same.

    Args:
        folder: of one model, with its processor; not a bundle, since each part goes into a repository of its own.

    Returns:
        The files of code, sorted by name.

    Raises:
        FileNotFoundError: the folder holds no model.
        ValueError: the model is none of rablip's.

    Example:
        >>> export_remote_code("my_model/generator")  # doctest: +SKIP
        [PosixPath('my_model/generator/batching_rablip.py'), ...]
    """
    root = Path(folder)
    written = flatten_code(root)
    for name, text in written.items():
        (root / name).write_text(text, encoding="utf-8")
    return [root / name for name in sorted(written) if name.endswith(".py")]


def flatten_code(folder: Path) -> dict[str, str]:
    """The files of `export_remote_code` with their content, by name; nothing is written."""
    config = folder / "config.json"
    if not config.is_file():
        raise FileNotFoundError(f"{folder} holds no model: there is no {config.name}. Give the folder of one model.")
    model_type = json.loads(config.read_text(encoding="utf-8")).get("model_type")
    if model_type not in _AUTO_MAPS:
        raise ValueError(f"{folder} holds a model of type {model_type!r}, whose code is not rablip's to export.")
    auto_map = _AUTO_MAPS[model_type]
    modules = _collect({reference.split(".")[0] for reference in auto_map.values()})
    files = {f"{name}.py": _RELATIVE.sub(r"\1.\2\3", source) for name, source in modules.items()}
    files[config.name] = _map_classes(config, auto_map)
    processor = folder / "processor_config.json"
    if processor.is_file():
        files[processor.name] = _map_classes(processor, {"AutoProcessor": auto_map["AutoProcessor"]})
    return files


def without_code(path: Path) -> str | None:
    """A configuration's text without its references to code, or None where it has none."""
    values = json.loads(path.read_text(encoding="utf-8"))
    if "auto_map" not in values:
        return None
    del values["auto_map"]
    return _dump(values)


def _collect(names: set[str]) -> dict[str, str]:
    """The source of these modules and of every module of rablip that they import, by the last part of its name."""
    found: dict[str, str] = {}
    waiting = sorted(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = _read_module(name)
            waiting += sorted(imported[2] for imported in _RELATIVE.finditer(found[name]))
    return found


def _read_module(name: str) -> str:
    for room in _ROOMS:
        package = importlib.import_module(f"..{room}", __package__)
        path = Path(str(package.__file__)).parent / f"{name}.py"
        if path.is_file():
            return path.read_text(encoding="utf-8")
    raise LookupError(f"{name}.py is in none of {', '.join(_ROOMS)}")


def _map_classes(path: Path, auto_map: dict[str, str]) -> str:
    return _dump({**json.loads(path.read_text(encoding="utf-8")), "auto_map": auto_map})


def _dump(values: dict[str, Any]) -> str:
    return json.dumps(values, indent=2, sort_keys=True) + "\n"
