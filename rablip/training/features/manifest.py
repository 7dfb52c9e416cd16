"""What a feature cache was made with: the tower, the preprocessing and the form on disk, compared before any use."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ...index.files import write_atomically

__all__ = ["FORMAT_VERSION", "IMAGE_RULE_VERSION", "MANIFEST_NAME", "FeatureManifest"]

FORMAT_VERSION = 1
# Goes up when `load_image` gives other pixels for the same file.
IMAGE_RULE_VERSION = 1
MANIFEST_NAME = "manifest.json"

# Fields that say who wrote the file and from where, or how outputs are wrapped: the features stay the same.
_VOLATILE = frozenset(
    {
        "_commit_hash",
        "_name_or_path",
        "_processor_class",
        "architectures",
        "auto_map",
        "chunk_size_feed_forward",
        "dtype",
        "id2label",
        "is_encoder_decoder",
        "label2id",
        "name_or_path",
        "output_attentions",
        "output_hidden_states",
        "problem_type",
        "processor_class",
        "return_dict",
        "torch_dtype",
        "transformers_version",
    }
)


@dataclass(frozen=True, kw_only=True)
class FeatureManifest:
    """The description of a feature cache.

    Args:
        tower: fields of the vision configuration, and under "weights" the sha256 of the tower's state dict (names,
            dtypes, shapes and bytes).
        preprocessing: fields of the image processor, its class, and the version of the rule that opens pictures.
        dtype: the form on disk, for example "bfloat16".
        num_image_tokens: rows of one picture's features.
        vision_hidden_size: columns of one picture's features.
        format_version: version of the files.

    Example:
        >>> form = {"dtype": "float32", "num_image_tokens": 5, "vision_hidden_size": 24}
        >>> one = FeatureManifest(tower={"weights": "ab12"}, preprocessing={"size": 16}, **form)
        >>> one.differences(FeatureManifest(tower={"weights": "cd34"}, preprocessing={"size": 16}, **form))
        ["tower.weights: the cache has 'ab12', here it is 'cd34'"]
    """

    tower: Mapping[str, Any]
    preprocessing: Mapping[str, Any]
    dtype: str
    num_image_tokens: int
    vision_hidden_size: int
    format_version: int = FORMAT_VERSION

    @classmethod
    def of(cls, model: Any, image_processor: Any, dtype: torch.dtype) -> FeatureManifest:
        """Describe what a model, an image processor and a storage dtype would write.

        Args:
            model: any rablip model; its whole tower is hashed, wherever it lies.
            image_processor: what makes its pixel values.
            dtype: the form on disk.

        Raises:
            ValueError: when the tower has no weights yet (meta device).
        """
        config = model.config.vision_config
        return cls(
            tower=_plain({"weights": hash_weights(model.vision_model), **config.to_dict()}),
            preprocessing=_plain(
                {
                    **image_processor.to_dict(),
                    # The class, since the Pillow and the torchvision backend of one type resize differently.
                    "class": type(image_processor).__name__,
                    "image_rule_version": IMAGE_RULE_VERSION,
                }
            ),
            dtype=str(dtype).removeprefix("torch."),
            num_image_tokens=model.config.num_image_tokens,
            vision_hidden_size=config.hidden_size,
        )

    @classmethod
    def load(cls, folder: Path) -> FeatureManifest:
        """Read the manifest of a folder.

        Raises:
            ValueError: when it is damaged, or of another format version; names the file.
        """
        path = folder / MANIFEST_NAME
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            version = content["format_version"]
            if version == FORMAT_VERSION:
                return cls(**content)
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(
                f"{path} is not the manifest of a feature cache: {type(error).__name__}: {error}. Delete the folder "
                "and build again."
            ) from error
        raise ValueError(
            f"{path} is of format version {version!r}, this rablip reads {FORMAT_VERSION}. Build in another folder."
        )

    def save(self, folder: Path) -> None:
        """Write the manifest into a folder, as a whole or not at all."""
        text = json.dumps(dataclasses.asdict(self), indent=2, sort_keys=True) + "\n"

        def write(path: Path) -> None:
            path.write_text(text, encoding="utf-8")

        write_atomically(folder / MANIFEST_NAME, write)

    @property
    def fingerprint(self) -> str:
        """One sha256 over all of it: shards of the same fingerprint belong together."""
        return hashlib.sha256(json.dumps(dataclasses.asdict(self), sort_keys=True).encode()).hexdigest()

    @property
    def shape(self) -> tuple[int, int]:
        """(num_image_tokens, vision_hidden_size)"""
        return self.num_image_tokens, self.vision_hidden_size

    def differences(self, other: FeatureManifest) -> list[str]:
        """What another manifest says differently, with both values."""
        mine, its = _flat(dataclasses.asdict(self)), _flat(dataclasses.asdict(other))
        return [
            f"{name}: the cache has {mine.get(name)!r}, here it is {its.get(name)!r}"
            for name in sorted(mine.keys() | its.keys())
            if mine.get(name) != its.get(name)
        ]


def hash_weights(module: torch.nn.Module) -> str:
    """The sha256 over names, dtypes, shapes and bytes of a module's state dict."""
    digest = hashlib.sha256(b"rablip-tower-1")
    for name, tensor in sorted(module.state_dict().items()):
        if tensor.is_meta:
            raise ValueError(f"The vision tower's {name} has no values (meta device). Load the weights first.")
        header = f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode()
        digest.update(len(header).to_bytes(8, "little") + header)
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _plain(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields as JSON gives them back (tuples as lists, enum members as values), without the volatile ones."""
    return json.loads(
        json.dumps({name: value for name, value in fields.items() if name not in _VOLATILE}, default=str)
    )


def _flat(fields: Mapping[str, Any]) -> dict[str, Any]:
    flat = {name: value for name, value in fields.items() if not isinstance(value, Mapping)}
    for name in ("tower", "preprocessing"):
        flat.update({f"{name}.{field}": value for field, value in fields[name].items()})
    return flat
