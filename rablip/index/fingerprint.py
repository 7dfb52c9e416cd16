"""What a saved model is, as one hash: its weights, its config and its processor, however the files are split."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["CONFIG_FILES", "fingerprint_folder"]

# Every name under which transformers and PEFT save what a model is beside its weights.
CONFIG_FILES = frozenset(
    {
        "adapter_config.json",
        "added_tokens.json",
        "config.json",
        "merges.txt",
        "preprocessor_config.json",
        "processor_config.json",
        "special_tokens_map.json",
        "spiece.model",
        "tokenizer.json",
        "tokenizer.model",
        "tokenizer_config.json",
        "vocab.json",
        "vocab.txt",
    }
)
# Fields that say who wrote the file and from where, where code lies, or (dtype) repeat what the weights say: saving a
# loaded model again or publishing it changes them, the model stays the same.
_VOLATILE = frozenset(
    {
        "_commit_hash",
        "_name_or_path",
        "auto_map",
        "dtype",
        "is_local",
        "local_files_only",
        "name_or_path",
        "rablip_version",
        "torch_dtype",
        "transformers_version",
    }
)
_MAX_HEADER = 100 * (1 << 20)  # bytes; the limit of the safetensors format
_BLOCK = 1 << 20


def fingerprint_folder(folder: str | Path) -> str:
    """Return one sha256 over the weights, config and processor of a saved model.

    Weights count by tensor name, dtype, shape and bytes, so that re-sharding changes nothing; JSON files by their
    content, without version stamps. Cards, results, optimizer states and code do not count.

    Args:
        folder: one `from_pretrained` folder; its sub-folders with tokenizer files count too.

    Raises:
        FileNotFoundError: when the folder has no config.json or no safetensors weights.
        ValueError: when a weight file is truncated or malformed; names the file.

    Example:
        >>> fingerprint_folder("examples")
        Traceback (most recent call last):
        ...
        FileNotFoundError: examples has no config.json: it is not the folder of one saved model.
    """
    root = Path(folder)
    if not (root / "config.json").is_file():
        raise FileNotFoundError(f"{root} has no config.json: it is not the folder of one saved model.")
    weights = sorted(root.glob("*.safetensors"))
    if not weights:
        raise FileNotFoundError(f"{root} has no *.safetensors weights. Save the model with save_pretrained.")
    digest = hashlib.sha256(b"rablip-model-1")
    tensors = sorted(tensor for path in weights for tensor in _tensors(path))
    for name, dtype, shape, path, start, end in tensors:
        _add(digest, f"{name} {dtype} {shape}".encode())
        _add_range(digest, path, start, end)
    for file in sorted(_config_files(root), key=lambda path: path.relative_to(root).as_posix()):
        _add(digest, file.relative_to(root).as_posix().encode())
        _add(digest, _content(file))
    return digest.hexdigest()


def _add(digest: Any, part: bytes) -> None:
    digest.update(len(part).to_bytes(8, "little"))  # so that two parts never read as one
    digest.update(part)


def _add_range(digest: Any, path: Path, start: int, end: int) -> None:
    digest.update((end - start).to_bytes(8, "little"))
    with open(path, "rb") as handle:
        handle.seek(start)
        left = end - start
        while left > 0:
            block = handle.read(min(left, _BLOCK))
            if not block:
                raise ValueError(f"{path} is truncated: {left} bytes of its tensors are missing.")
            digest.update(block)
            left -= len(block)


def _tensors(path: Path) -> Iterator[tuple[str, str, str, Path, int, int]]:
    """Yield (name, dtype, shape, file, first byte, end byte) of every tensor, from the header alone."""
    size = path.stat().st_size
    try:
        with open(path, "rb") as handle:
            length = int.from_bytes(handle.read(8), "little")
            if not 0 < length <= min(size - 8, _MAX_HEADER):
                raise ValueError(f"its header claims {length} bytes")
            header = json.loads(handle.read(length))
        for name, entry in header.items():
            if name != "__metadata__":
                start, end = (8 + length + int(offset) for offset in entry["data_offsets"])
                if not 8 + length <= start <= end <= size:
                    raise ValueError(f"tensor {name} ends at byte {end} of {size}")
                yield name, str(entry["dtype"]), str(entry["shape"]), path, start, end
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is not a whole safetensors file: {error}.") from error


def _config_files(root: Path) -> Iterator[Path]:
    for folder in (root, *(entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))):
        # A sub-folder with a config of its own is another model (a trainer's checkpoint), not part of this one.
        if folder == root or not (folder / "config.json").is_file():
            yield from (path for path in folder.iterdir() if path.name in CONFIG_FILES and path.is_file())


def _content(file: Path) -> bytes:
    data = file.read_bytes()
    if file.suffix != ".json":
        return data
    try:
        return json.dumps(_without_volatile(json.loads(data)), sort_keys=True).encode()
    except ValueError as error:
        raise ValueError(f"{file} is not JSON: {error}.") from error


def _without_volatile(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_volatile(entry) for key, entry in value.items() if key not in _VOLATILE}
    return [_without_volatile(entry) for entry in value] if isinstance(value, list) else value
