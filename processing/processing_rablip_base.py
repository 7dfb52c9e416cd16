"""What both processors share: loading without silent fall-backs, and checks of options, tokenizers and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import AutoTokenizer, BatchFeature, PreTrainedConfig
from transformers.processing_utils import ProcessorMixin

from .batching_rablip import Picture

__all__ = ["RablipProcessorMixin"]


class RablipProcessorMixin(ProcessorMixin):
    """Saving and loading as in Transformers, except that a missing Q-Former tokenizer is an error."""

    # Set by the classes' constructors.
    image_processor: Any
    qformer_tokenizer: Any
    max_images: int

    @classmethod
    def _load_tokenizer_from_pretrained(
        cls, sub_processor_type: str, pretrained_model_name_or_path: str, subfolder: str = "", **kwargs: Any
    ) -> Any:
        # Transformers falls back to the tokenizer of the root folder here, whose vocabulary is another one.
        if sub_processor_type == "tokenizer":
            return super()._load_tokenizer_from_pretrained(
                sub_processor_type, pretrained_model_name_or_path, subfolder=subfolder, **kwargs
            )
        folder = f"{subfolder}/{sub_processor_type}" if subfolder else sub_processor_type
        try:
            # A tokenizer's sub-folder has no config.json; looking for it would fail offline (transformers 5.17).
            return AutoTokenizer.from_pretrained(
                pretrained_model_name_or_path, subfolder=folder, config=PreTrainedConfig(), **kwargs
            )
        except (OSError, ValueError) as error:
            raise OSError(
                f"{pretrained_model_name_or_path} has no usable tokenizer in its sub-folder {folder!r}, which "
                f"{cls.__name__} needs. Save it again with {cls.__name__}.save_pretrained."
            ) from error

    def _check_options(self, **minima: int) -> None:
        for name, minimum in minima.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
                raise ValueError(f"{type(self).__name__}: {name} must be an int of at least {minimum}, got {value!r}.")

    def _check_tokenizer(self, name: str) -> None:
        tokenizer = getattr(self, name)
        if not getattr(tokenizer, "is_fast", False):
            raise ValueError(f"{name} must know character offsets (a fast tokenizer), got {type(tokenizer).__name__}.")
        if tokenizer.pad_token_id is None:
            raise ValueError(f"{name} has no padding token. Set {name}.pad_token first, e.g. to its eos_token.")

    def _check_num_pictures(self, rows: Sequence[Sequence[Picture]]) -> None:
        for row, pictures in enumerate(rows):
            if len(pictures) > self.max_images:
                raise ValueError(
                    f"Row {row} has {len(pictures)} pictures, but max_images={self.max_images}. Leave pictures out, "
                    "or use a model with more image slots."
                )

    def _report_truncated(
        self, data: dict[str, torch.Tensor], truncated: Sequence[bool], return_truncated: bool, strict: bool
    ) -> BatchFeature:
        if strict and any(truncated):
            rows = [row for row, cut in enumerate(truncated) if cut]
            raise ValueError(
                f"{len(rows)} of {len(truncated)} rows have texts over the token limits, the first is row {rows[0]}. "
                "Shorten them, raise the processor's limits, or leave out strict=True."
            )
        if return_truncated:
            data["truncated"] = torch.tensor(truncated, dtype=torch.bool)
        return BatchFeature(data)
