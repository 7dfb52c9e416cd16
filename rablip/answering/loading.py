"""Loads what an answerer joins from a model folder and an index: models, processors, vectors and items."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ..index.manifest import IndexManifest
from ..snapshots import fetch_index, fetch_model
from .candidate_search import load_search_parts
from .checking import check_processor
from .types import Retrieval

if TYPE_CHECKING:
    from ..index.protocol import SearchableIndex
    from ..knowledge_base import KnowledgeBase

__all__ = ["find_parts", "load_model", "load_parts", "share_vision_towers"]

_PART_OF_TYPE = {"rablip_retriever": "retriever", "rablip_reranker": "reranker", "rablip": "generator"}
_HUB_KEYWORDS = ("cache_dir", "local_files_only", "revision", "token")


def load_parts(
    model: str | Path,
    *,
    index: str | Path | tuple[SearchableIndex, KnowledgeBase] | None = None,
    index_revision: str | None = None,
    retrieval: Retrieval = "dense",
    device: str | None = None,
    **kwargs: Any,
) -> dict[str, Any]:
    """Loads every part that a model folder and an index folder hold.

    Args:
        model: one model folder, or a bundle with `retriever/`, `reranker/`, `generator/` (any of them), or the name of
            either on the Hub.
        index: an index folder, the name of one on the Hub, or an open index with its knowledge base. Its retriever is
            the one in `model`, which must be the one that built it; where `model` holds none, it is the one that the
            index names.
        index_revision: the commit of an index on the Hub.
        retrieval: how the index will be searched; what that needs beside its vectors is loaded too.
        device: where the models run; None: the GPU when there is one, else the CPU.
        kwargs: further keywords of `from_pretrained`, such as `dtype` or `revision`.

    Returns:
        Arguments of `RablipAnswerer` by name. An identical vision tower is held once.

    Raises:
        FileNotFoundError: when there is no such model folder or index, or the index has not what `retrieval` needs.
        ValueError: when the folder holds no rablip model, a checkpoint is incomplete or damaged, a processor does not
            fit its model, or the index was built by another model.

    Example:
        >>> sorted(load_parts("examples/checkpoints/rablip-tiny"))  # doctest: +SKIP
        ['generator', 'generator_processor', 'reranker', ...]
    """
    hub = {name: kwargs.pop(name) for name in _HUB_KEYWORDS if name in kwargs}
    folders = find_parts(fetch_model(model, **hub).folder)
    parts: dict[str, Any] = {}
    if isinstance(index, tuple):
        from ..indexing.opening import expect_model

        manifest = index[0].manifest
        if "retriever" not in folders:
            folders = {"retriever": _retriever_of(manifest, **hub), **folders}
        manifest.check(expect_model(folders["retriever"]))
        parts["index"], parts["knowledge_base"] = index
    elif index is not None:
        from ..indexing import open_index

        place = fetch_index(index, **{**hub, "revision": index_revision}).folder
        if "retriever" not in folders:
            folders = {"retriever": _retriever_of(IndexManifest.load(place), **hub), **folders}
        parts["index"], parts["knowledge_base"] = open_index(place, model=folders["retriever"])
        parts |= load_search_parts(parts["index"], retrieval)
    for name, folder in folders.items():
        parts[name], parts[f"{name}_processor"] = load_model(name, folder, **kwargs)
    share_vision_towers([parts[name] for name in folders])
    for name in folders:
        parts[name].to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    return parts


def find_parts(folder: str | Path) -> dict[str, Path]:
    """The models that a model folder holds: itself, or the parts of a bundle.

    Args:
        folder: a local folder.

    Raises:
        ValueError: when there is no rablip model in it; says what was looked for.

    Example:
        >>> list(find_parts("examples/checkpoints/rablip-tiny"))  # doctest: +SKIP
        ['retriever', 'reranker', 'generator']
    """
    root = Path(folder)
    if (root / "config.json").is_file():
        return {_part_of(root): root}
    found = {}
    for name in _PART_OF_TYPE.values():
        if (root / name / "config.json").is_file():
            part = _part_of(root / name)
            if part != name:
                raise ValueError(f"{root / name} holds a {part}. Put each model into the folder of its own name.")
            found[name] = root / name
    if not found and (root / "adapter_config.json").is_file():
        raise ValueError(
            f"{root} holds an adapter, not a whole model. Merge it into its base first: rablip merge {root} OUT."
        )
    if not found:
        raise ValueError(
            f"{root} holds no rablip model: there is neither a config.json nor a folder "
            f"{', '.join(_PART_OF_TYPE.values())} with one. Save models there with save_pretrained."
        )
    return found


def load_model(name: str, folder: str | Path, **kwargs: Any) -> tuple[Any, Any]:
    """Loads one model and its processor, and refuses a checkpoint that is not whole.

    Args:
        name: "retriever", "reranker" or "generator".
        folder: the local folder of that one model.
        kwargs: further keywords of the model's `from_pretrained`.

    Raises:
        ValueError: when weights are damaged, missing or superfluous, or the processor does not fit; names the folder.

    Example:
        >>> load_model("retriever", "examples/checkpoints/rablip-tiny/retriever")  # doctest: +SKIP
        (RablipRetriever(...), RablipRetrieverProcessor(...))
    """
    from .. import modeling_rablip
    from ..processing import processing_rablip

    model_class: Any = {
        "retriever": modeling_rablip.RablipRetriever,
        "reranker": modeling_rablip.RablipReranker,
        "generator": modeling_rablip.RablipForConditionalGeneration,
    }[name]
    processor_class = (
        processing_rablip.RablipProcessor if name == "generator" else processing_rablip.RablipRetrieverProcessor
    )
    try:
        model = model_class.from_pretrained(folder, **{**kwargs, "use_safetensors": True})
    except (OSError, RuntimeError) as error:
        raise ValueError(
            f"The {name} in {folder} cannot be loaded (weights are read from safetensors files only): {error}"
        ) from error
    processor = processor_class.from_pretrained(folder)
    check_processor(name, model, processor)
    return model.eval(), processor


def share_vision_towers(models: list[Any]) -> int:
    """Lets models with an identical vision tower hold it together, so that it is in memory once.

    Args:
        models: models with a `vision_model`; later ones get the tower of an earlier one that is equal to theirs.

    Returns:
        How many towers were freed.

    Example:
        >>> share_vision_towers([])
        0
    """
    towers: list[nn.Module] = []
    freed = 0
    for model in models:
        same = next((tower for tower in towers if _same_weights(tower, model.vision_model)), None)
        if same is None:
            towers.append(model.vision_model)
        elif same is not model.vision_model:
            model.vision_model = same
            freed += 1
    return freed


def _same_weights(first: nn.Module, second: nn.Module) -> bool:
    one, other = first.state_dict(), second.state_dict()
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype
        and one[name].shape == other[name].shape
        and torch.equal(one[name], other[name])
        for name in one
    )


def _retriever_of(manifest: IndexManifest, **hub: Any) -> Path:
    """The folder of the retriever that built an index."""
    subfolder = manifest.model_subfolder or ""
    place = Path(manifest.model_id, subfolder)
    if place.is_absolute() and not place.is_dir():
        raise ValueError(
            f"The index was built by the retriever {place}, which is not there any more. Give a model folder "
            "that holds it in retriever/."
        )
    return fetch_model(manifest.model_id, **{**hub, "revision": manifest.model_revision}).folder / subfolder


def _part_of(folder: Path) -> str:
    path = folder / "config.json"
    try:
        model_type = json.loads(path.read_text(encoding="utf-8")).get("model_type")
    except (ValueError, AttributeError) as error:
        raise ValueError(f"{path} is not the JSON of a model config: {error}") from error
    if model_type not in _PART_OF_TYPE:
        raise ValueError(
            f"{folder} holds a {model_type!r} model. An answerer takes {', '.join(sorted(_PART_OF_TYPE))}."
        )
    return _PART_OF_TYPE[model_type]
