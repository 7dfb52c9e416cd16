"""Features of the frozen vision tower, computed once and used by every stage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from tqdm.auto import tqdm

from ...processing.images_rablip import load_image
from ...processing.knowledge_rablip import ImageRef


@torch.no_grad()
def encode_pictures(
    model: Any,
    image_processor: Any,
    pictures: Mapping[str, ImageRef],
    *,
    batch_size: int = 256,
    description: str = "pictures",
) -> dict[str, torch.Tensor]:
    """Run the vision tower over pictures.

    Args:
        model: any rablip model; its `encode_images` is used in evaluation mode.
        image_processor: the processor's image processor.
        pictures: what to encode, by id.
        batch_size: pictures at a time.
        description: text beside the progress bar.

    Returns:
        `(num_image_tokens, vision_hidden_size)` features by id, on the CPU.
    """
    was_training = model.training
    model.eval()
    ids = list(pictures)
    features: dict[str, torch.Tensor] = {}
    for start in tqdm(range(0, len(ids), batch_size), desc=description, disable=len(ids) < 4 * batch_size):
        batch = ids[start : start + batch_size]
        images = [load_image(pictures[key]) for key in batch]
        pixel_values = image_processor(images, return_tensors="pt")["pixel_values"].to(model.device)
        encoded = model.encode_images(pixel_values)[:, 0].cpu()
        # Rows are cloned, since a view would keep the whole batch alive and travel whole to worker processes.
        features.update({key: row.clone() for key, row in zip(batch, encoded, strict=True)})
    model.train(was_training)
    return features


__all__ = ["encode_pictures"]
