"""Where figures come from: the machine, the models and the data files, as names, versions and hashes."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..index.fingerprint import fingerprint_folder

__all__ = ["WHOLE_BYTES", "describe_machine", "fingerprint_files", "fingerprint_models"]

WHOLE_BYTES = 4 << 30
"""Up to this size every byte of a data file is hashed; of a larger one the first and the last 64 MiB, and its size."""

_EDGE_BYTES = 64 << 20
_BLOCK_BYTES = 1 << 20


def describe_machine(device: str = "cpu") -> dict[str, Any]:
    """What the figures were computed on: processor, cores, threads, device and versions; no name of the machine.

    Args:
        device: where the models are.
    """
    import torch
    import transformers

    machine: dict[str, Any] = {
        "device": device,
        "processor": platform.machine(),
        "cpu_count": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    if device.startswith("cuda"):
        machine["accelerator"] = torch.cuda.get_device_name(device)
    return machine


def fingerprint_models(model: str | Path | None) -> dict[str, str]:
    """Hashes of the models in a local folder, one model or a bundle; nothing for a name on the Hub.

    Args:
        model: the folder or name.
    """
    if model is None or not Path(model).is_dir():
        return {}
    places = {name: Path(model) / name for name in ("retriever", "reranker", "generator")}
    if (Path(model) / "config.json").is_file():
        places = {"model": Path(model)}
    return {name: fingerprint_folder(path) for name, path in places.items() if (path / "config.json").is_file()}


def fingerprint_files(files: Mapping[str, Path]) -> dict[str, dict[str, Any]]:
    """Name, size and sha256 of data files, by role; of a folder its name alone.

    Args:
        files: role -> file.

    Returns:
        Role -> `{"name", "num_bytes", "sha256"}`, and `"hashed": "edges"` of a file beyond `WHOLE_BYTES`.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "val.json")
        >>> _ = file.write_text("{}")
        >>> fingerprint_files({"questions": file})["questions"]["sha256"][:8]
        '44136fa3'
    """
    described: dict[str, dict[str, Any]] = {}
    for role, path in files.items():
        if path.is_dir():
            described[role] = {"name": path.name}
            continue
        size = path.stat().st_size
        described[role] = {"name": path.name, "num_bytes": size, "sha256": _hash_file(path, size)}
        if size > WHOLE_BYTES:
            described[role]["hashed"] = "edges"
    return described


def _hash_file(path: Path, size: int) -> str:
    digest = hashlib.sha256()
    spans = [(0, size)] if size <= WHOLE_BYTES else [(0, _EDGE_BYTES), (size - _EDGE_BYTES, size)]
    with open(path, "rb") as handle:
        for start, stop in spans:
            handle.seek(start)
            left = stop - start
            while left and (block := handle.read(min(_BLOCK_BYTES, left))):
                digest.update(block)
                left -= len(block)
    return digest.hexdigest()
