"""Question-instructed visual extraction: learnable queries read any number of pictures through the Q-Former.

The vision tower's tokens of all pictures of one input are laid end to end, each slot marked by a learned slot
embedding and each position by a learned position embedding (both start at zero, so one picture behaves as in
InstructBLIP), and one set of queries attends to them under the guidance of a text (question, caption or both).
"""

from __future__ import annotations

import torch
from torch import nn
from transformers import PreTrainedConfig


def start_at_zero(module: nn.Module) -> nn.Module:
    """Mark a module whose weights `RablipPreTrainedModel` initialises with zeros, so that it adds nothing at first."""
    module.starts_at_zero = True
    return module


def project(layer: nn.Module, states: torch.Tensor) -> torch.Tensor:
    """A linear layer over states of another part, which may be in another precision when it is frozen.

    Args:
        layer (`torch.nn.Linear`): the layer, maybe wrapped by PEFT.
        states (`torch.Tensor` of shape `(..., in_features)`): states.

    Returns:
        `torch.Tensor` of shape `(..., out_features)`.
    """
    # A quantised weight is of whole numbers, and its layer takes any precision.
    dtype = layer.weight.dtype
    return layer(states.to(dtype) if dtype.is_floating_point else states)


class RablipQueryTokens(nn.Module):
    """The learnable queries, as a module so that PEFT's `modules_to_save` can name and keep them.

    Attributes:
        weight (`torch.nn.Parameter` of shape `(1, num_query_tokens, hidden_size)`).
    """

    def __init__(self, num_query_tokens: int, hidden_size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, num_query_tokens, hidden_size))

    def forward(self, batch_size: int) -> torch.Tensor:
        """The queries of shape `(batch_size, num_query_tokens, hidden_size)`."""
        return self.weight.expand(batch_size, -1, -1)


class RablipImageSlots(nn.Module):
    """Lay the pictures of one input end to end and mark slot and position.

    Args:
        config: a composite rablip configuration.
    """

    def __init__(self, config: PreTrainedConfig) -> None:
        super().__init__()
        self.max_images = config.max_images
        hidden_size = config.vision_config.hidden_size
        self.slot_embeddings = start_at_zero(nn.Embedding(config.max_images, hidden_size))
        self.position_embeddings = start_at_zero(
            nn.Embedding(config.max_images * config.num_image_tokens, hidden_size)
        )

    def forward(self, image_embeds: torch.Tensor, image_mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Join the slots.

        Args:
            image_embeds (`torch.Tensor` of shape `(batch_size, num_images, num_image_tokens, vision_hidden_size)`):
                vision tower outputs per picture.
            image_mask (`torch.Tensor` of shape `(batch_size, num_images)`): 1 = there is a picture in this slot.

        Returns:
            The joined tokens, `(batch_size, num_images * num_image_tokens, vision_hidden_size)`, and their mask,
            `(batch_size, num_images * num_image_tokens)`. A row without any picture keeps its tokens unmasked, since
            attention over nothing has no value; its queries are masked out by the caller.

        Raises:
            ValueError: more pictures than `max_images` slots, or another number of tokens per picture.
        """
        batch_size, num_images, num_tokens, hidden_size = image_embeds.shape
        if num_images > self.max_images:
            raise ValueError(
                f"Got {num_images} pictures for one input, but the model has `max_images={self.max_images}` slots. "
                "Give fewer pictures, or use a model trained with more slots."
            )
        num_positions = self.position_embeddings.num_embeddings // self.max_images
        if num_tokens != num_positions:
            raise ValueError(
                f"Got {num_tokens} vision tokens per picture, but the configuration's image and patch sizes give "
                f"{num_positions}. Use the processor that belongs to the model."
            )
        slots = torch.arange(num_images, device=image_embeds.device)
        positions = torch.arange(num_images * num_tokens, device=image_embeds.device)
        image_embeds = image_embeds + self.slot_embeddings(slots)[None, :, None, :]
        joined = image_embeds.reshape(batch_size, num_images * num_tokens, hidden_size)
        joined = joined + self.position_embeddings(positions)[None]
        keep = image_mask.bool() | ~image_mask.bool().any(dim=1, keepdim=True)
        return joined, keep.long().repeat_interleave(num_tokens, dim=1)


__all__ = ["RablipImageSlots", "RablipQueryTokens", "project", "start_at_zero"]
