"""The model and processor that a stage starts from: a checkpoint of its class, one of another, or random weights."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any, NamedTuple

from transformers import set_seed
from transformers.utils import logging

from ...configuration.configuration_rablip import RablipConfig, RablipRerankerConfig, RablipRetrieverConfig
from ...modeling_rablip import RablipForConditionalGeneration, RablipReranker, RablipRetriever
from ...processing.processing_rablip import RablipProcessor
from ...processing.processing_rablip_retriever import RablipRetrieverProcessor
from ...snapshots import fetch_model
from ..fusion.pretraining import FusionPretraining
from .presets import Stage

logger = logging.get_logger(__name__)

_TRUNK_FIELDS = (
    "vision_config",
    "qformer_config",
    "adaptive_fusion_config",
    "num_query_tokens",
    "max_images",
    "initializer_range",
    "retrieval_config",
)
# Which part of a bundle each stage starts from: its own, else the one that the method trains before it.
_PARTS: dict[Stage, tuple[str, ...]] = {
    "fusion": ("reranker", "retriever"),
    "retriever": ("retriever", "reranker"),
    "reranker": ("reranker", "retriever"),
    "generator": ("generator",),
}
_CLASSES: dict[Stage, tuple[Any, Any]] = {
    "fusion": (FusionPretraining, RablipRerankerConfig),
    "retriever": (RablipRetriever, RablipRetrieverConfig),
    "reranker": (RablipReranker, RablipRerankerConfig),
    "generator": (RablipForConditionalGeneration, RablipConfig),
}
_CLASS_OF_TYPE: dict[str, tuple[Any, Any]] = {
    "rablip_retriever": (RablipRetriever, RablipRetrieverConfig),
    "rablip_reranker": (RablipReranker, RablipRerankerConfig),
    "rablip": (RablipForConditionalGeneration, RablipConfig),
}


class StartingPoint(NamedTuple):
    """What a stage trains, its processor, and how it came about.

    Args:
        model: the model, all weights trainable.
        processor: its processor.
        folder: where it was read from.
        new_weights: names of the weights that the checkpoint did not have; None for a checkpoint of the class itself.
    """

    model: Any
    processor: Any
    folder: Path
    new_weights: list[str] | None


def load_start(
    stage: Stage,
    model: str | Path,
    *,
    from_scratch: bool = False,
    seed: int = 0,
    max_images: int | None = None,
    **kwargs: Any,
) -> StartingPoint:
    """Load what a stage starts from.

    Args:
        stage: "fusion", "retriever", "reranker" or "generator".
        model: one model folder, a bundle, or the name of either on the Hub. Fusion pre-training, retriever and
            re-ranker also start from one another.
        from_scratch: keep configuration and processor and begin with random weights; the vision tower too then has
            to be trained.
        seed: of new weights.
        max_images: image slots; more than the checkpoint has start at zero.
        kwargs: arguments of `FusionPretraining` (`captioning`, ...).

    Returns:
        [`StartingPoint`].

    Raises:
        FileNotFoundError: there is no model of a fitting class.
        ValueError: a generator is asked for and the checkpoint is of another class.
    """
    folder = _find_part(stage, fetch_model(model).folder)
    model_type = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
    model_class, config_class = _CLASSES[stage]
    source_class, source_config_class = _CLASS_OF_TYPE.get(model_type, (None, None))
    if source_class is None or (stage == "generator") != (model_type == "rablip"):
        raise ValueError(
            f"{folder} holds a model of type {model_type!r}, from which the stage {stage!r} cannot start. Give a "
            f"folder of {config_class.model_type!r}"
            + ("." if stage == "generator" else ", or of another retrieval class.")
        )
    set_seed(seed)
    source_config = source_config_class.from_pretrained(folder)
    config = _adapt_config(source_config, config_class, max_images)
    processor_class = RablipProcessor if stage == "generator" else RablipRetrieverProcessor
    processor = processor_class.from_pretrained(folder)
    processor.max_images = config.max_images
    if source_class is model_class and not from_scratch and config.max_images == source_config.max_images:
        return StartingPoint(model_class.from_pretrained(folder), processor, folder, None)
    started = model_class(config, **kwargs)
    if from_scratch:
        return StartingPoint(started, processor, folder, sorted(started.state_dict()))
    new = started.load_trunk(source_class.from_pretrained(folder))
    if new:
        logger.info("Weights that %s does not give and that start anew: %s", folder, new)
    return StartingPoint(started, processor, folder, new)


def _adapt_config(source: Any, config_class: Any, max_images: int | None) -> Any:
    """The source's configuration as one of another class, with the number of image slots asked for."""
    if isinstance(source, config_class):
        config = copy.deepcopy(source)
    else:
        fields = {name: copy.deepcopy(getattr(source, name)) for name in _TRUNK_FIELDS if hasattr(source, name)}
        config = config_class(**fields)
    if max_images is not None:
        config.max_images = max_images
    return config


def _find_part(stage: Stage, root: Path) -> Path:
    if (root / "config.json").is_file():
        return root
    for part in _PARTS[stage]:
        if (root / part / "config.json").is_file():
            return root / part
    raise FileNotFoundError(
        f"{root} has neither a config.json nor any of {', '.join(f'{part}/' for part in _PARTS[stage])}: the stage "
        f"{stage!r} has nothing to start from. Give a model folder or a bundle."
    )


__all__ = ["StartingPoint", "load_start"]
