"""What the card of a folder can say without anybody's help: sizes and fields, read from headers and configurations."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open
from transformers import AutoConfig

from ..index.manifest import MANIFEST_NAME, IndexManifest
from .contents import ADAPTER_NAME, FolderContents

__all__ = ["count_parameters", "read_facts"]

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def count_parameters(folder: str | Path) -> dict[str, Any]:
    """Number, kinds and bytes of the tensors in a folder's safetensors files, from their headers alone.

    Args:
        folder: of one model or adapter.

    Returns:
        `dict` with `num_parameters`, `dtypes` (sorted names) and `num_bytes`.

    Example:
        >>> sorted(count_parameters("."))
        ['dtypes', 'num_bytes', 'num_parameters']
    """
    num_parameters, dtypes, num_bytes = 0, set(), 0
    for file in sorted(Path(folder).glob("*.safetensors")):
        num_bytes += file.stat().st_size
        with safe_open(file, framework="numpy") as tensors:
            for name in tensors.keys():
                tensor = tensors.get_slice(name)
                num_parameters += math.prod(tensor.get_shape())
                dtypes.add(str(tensor.get_dtype()))
    return {"num_parameters": num_parameters, "dtypes": sorted(dtypes), "num_bytes": num_bytes}


def read_facts(contents: FolderContents, changed: Mapping[str, str]) -> dict[str, Any]:
    """The variables of a card's template that describe the folder.

    Args:
        contents: as `read_contents` gives it.
        changed: the text of files that are not on the Hub what they are in the folder, by name.

    Returns:
        `dict`: for models `models` (name and `count_parameters` of each) and `config`, the first one's; for an
        adapter `adapter`, its configuration; for an index `manifest` and `size_category`.
    """
    if contents.kind == "index":
        text = changed.get(MANIFEST_NAME)
        manifest = IndexManifest.load(contents.folder) if text is None else IndexManifest.from_json(text)
        size = next((name for limit, name in _SIZES if manifest.num_items < limit), "n>1M")
        return {"manifest": manifest, "size_category": size}
    if contents.kind == "adapter":
        text = changed.get(ADAPTER_NAME) or (contents.folder / ADAPTER_NAME).read_text(encoding="utf-8")
        return {"adapter": json.loads(text), "models": [{"name": "adapter", **count_parameters(contents.folder)}]}
    models = [{"name": name, **count_parameters(folder)} for name, folder in contents.parts.items()]
    return {"models": models, "config": AutoConfig.from_pretrained(next(iter(contents.parts.values())))}
