"""Vision-tower features of pictures, computed once however many questions and models look at a picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image

__all__ = ["Part", "PictureFeatures", "make_parts"]

_MAX_BYTES = 256 * 2**20


class PictureFeatures:
    """Runs the vision tower of a model over pictures and keeps what it gave.

    What is kept is thrown away as soon as the tower's weights change.

    Args:
        model: a model with a vision tower.
        processor: its processor, for the pictures.
        max_bytes: how much is kept.

    Example (with a loaded retriever):
        `PictureFeatures(retriever, processor).encode([picture])` gives [features], (num_image_tokens,
        vision_hidden_size).
    """

    def __init__(self, model: Any, processor: Any, *, max_bytes: int = _MAX_BYTES) -> None:
        self._model = model
        self._image_processor = processor.image_processor
        self._max_bytes = max_bytes
        self._num_bytes = 0
        # The picture itself is kept beside its features, so that its id cannot become another picture's.
        self._kept: dict[int, tuple[Image.Image, torch.Tensor]] = {}
        self._weights = self._state()

    def fits(self, model: Any, processor: Any) -> bool:
        """Whether another model would compute the same: the same tower, fed in the same way."""
        return (
            model.vision_model is self._model.vision_model
            and processor.image_processor.to_dict() == self._image_processor.to_dict()
        )

    def encode(self, pictures: Sequence[Image.Image], *, batch_size: int = 32) -> list[torch.Tensor]:
        """The features of each picture, (num_image_tokens, vision_hidden_size) in the tower's dtype, on the CPU.

        Args:
            pictures: opened pictures.
            batch_size: pictures that the tower gets at once.
        """
        if self._weights != (weights := self._state()):
            self._kept.clear()
            self._num_bytes, self._weights = 0, weights
        features = {key: kept[1] for picture in pictures if (kept := self._kept.get(key := id(picture))) is not None}
        new = list({id(picture): picture for picture in pictures if id(picture) not in features}.values())
        for start in range(0, len(new), batch_size):
            part = new[start : start + batch_size]
            for picture, feature in zip(part, self._run(part), strict=True):
                features[id(picture)] = feature
                self._keep(picture, feature)
        return [features[id(picture)] for picture in pictures]

    def replace(self, rows: Iterable[Sequence[Image.Image | None]]) -> list[list[torch.Tensor | None]]:
        """Rows of pictures as rows of features; None stays None."""
        listed = [list(row) for row in rows]
        encoded = iter(self.encode([picture for row in listed for picture in row if picture is not None]))
        return [[None if picture is None else next(encoded) for picture in row] for row in listed]

    def _run(self, pictures: Sequence[Image.Image]) -> list[torch.Tensor]:
        pixels = self._image_processor(list(pictures), return_tensors="pt")["pixel_values"]
        with torch.inference_mode():
            features = self._model.encode_images(pixels.to(self._model.device, self._model.dtype).unsqueeze(1))
        # A row of the batch would keep the whole batch in memory.
        return [feature.squeeze(0).clone() for feature in features.cpu()]

    def _keep(self, picture: Image.Image, feature: torch.Tensor) -> None:
        size = feature.nbytes + picture.width * picture.height * 3
        self._kept[id(picture)] = (picture, feature)
        self._num_bytes += size
        while self._num_bytes > self._max_bytes and self._kept:
            old, gone = self._kept.pop(next(iter(self._kept)))
            self._num_bytes -= gone.nbytes + old.width * old.height * 3

    def _state(self) -> tuple[Any, ...]:
        parameters = self._model.vision_model.parameters()
        return tuple((one.data_ptr(), -1 if one.is_inference() else one._version, one.dtype) for one in parameters)


@dataclass(frozen=True)
class Part:
    """A model with what it needs to look at texts and pictures.

    Args:
        model: the model, in evaluation mode.
        processor: its processor.
        features: its vision tower; parts with the same tower share it.

    Example (with a loaded retriever):
        `make_parts({"retriever": (retriever, processor)})["retriever"].features` is its vision tower.
    """

    model: Any
    processor: Any
    features: PictureFeatures


def make_parts(loaded: Mapping[str, tuple[Any, Any]]) -> dict[str, Part]:
    """Parts by name from (model, processor) by name; models that hold one tower together share its features.

    Example:
        >>> make_parts({})
        {}
    """
    parts: dict[str, Part] = {}
    for name, (model, processor) in loaded.items():
        same = next((part.features for part in parts.values() if part.features.fits(model, processor)), None)
        parts[name] = Part(model, processor, same or PictureFeatures(model, processor))
    return parts
