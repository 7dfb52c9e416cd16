"""Where a retriever is: finding it in a model folder or on the Hub, loading it whole, and its fingerprint."""

from __future__ import annotations

import hashlib
import json
import tempfile
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .index.fingerprint import fingerprint_folder
from .processing.knowledge_rablip import KnowledgeItem
from .snapshots import fetch_model

if TYPE_CHECKING:
    from .modeling_rablip import RablipRetriever
    from .processing.processing_rablip_retriever import RablipRetrieverProcessor

__all__ = ["RetrieverSource", "find_retriever", "fingerprint_model", "fingerprint_prompts", "load_retriever"]

_SUBFOLDER = "retriever"
_MODEL_TYPE = "rablip_retriever"


@dataclass(frozen=True)
class RetrieverSource:
    """A retriever's place.

    Args:
        model_id: the Hub id, or the absolute path of the local model folder.
        revision: commit of the Hub repository; None for a local folder.
        subfolder: "retriever" in a bundle; None when the model folder is the retriever itself.
        folder: the local folder with the retriever's own config.json.

    Example:
        >>> RetrieverSource("towers", None, "retriever", Path("towers/retriever")).subfolder
        'retriever'
    """

    model_id: str
    revision: str | None
    subfolder: str | None
    folder: Path


def find_retriever(model: str | Path, *, revision: str | None = None) -> RetrieverSource:
    """Find the retriever of a model folder (one model, or a bundle with `retriever/`) or of a Hub repository.

    Args:
        model: a local folder, or a Hub id, which is downloaded.
        revision: branch, tag or commit on the Hub.

    Raises:
        FileNotFoundError: when there is no such folder, or no retriever in it.
        ValueError: when the folder holds a model of another kind; names the kind.

    Example:
        >>> find_retriever("examples/no-such-folder/here")
        Traceback (most recent call last):
        ...
        FileNotFoundError: There is no model folder examples/no-such-folder/here. Give a folder, or the name of a ...
    """
    root, commit = fetch_model(model, without=("generator", "reranker"), revision=revision)
    model_id = str(root.resolve()) if commit is None else str(model)
    for subfolder in (None, _SUBFOLDER):
        folder = root if subfolder is None else root / subfolder
        if not (folder / "config.json").is_file():
            continue
        kind = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
        if kind == _MODEL_TYPE:
            return RetrieverSource(model_id, commit, subfolder, folder)
        raise ValueError(
            f"{folder} holds a model of type {kind!r}, an index needs the retriever ({_MODEL_TYPE!r}). Give the "
            "retriever's folder, or a bundle with retriever/."
        )
    if (root / "adapter_config.json").is_file():
        raise FileNotFoundError(
            f"{model} holds an adapter, not a whole retriever. Merge it into its base first: rablip merge {model} OUT."
        )
    raise FileNotFoundError(
        f"{model} has neither a config.json nor a {_SUBFOLDER}/config.json: it is no model folder."
    )


def load_retriever(source: RetrieverSource, *, device: Any = None) -> tuple[RablipRetriever, RablipRetrieverProcessor]:
    """Load the retriever and its processor, in evaluation mode; every weight must be there.

    Args:
        source: as found by `find_retriever`.
        device: where the model is put; None for the CPU.

    Raises:
        ValueError: when the checkpoint lacks weights, or has weights that the model does not know.
    """
    from .modeling_rablip import RablipRetriever
    from .processing.processing_rablip_retriever import RablipRetrieverProcessor

    model, info = RablipRetriever.from_pretrained(
        source.folder, dtype="auto", use_safetensors=True, output_loading_info=True
    )
    wrong = {name: sorted(str(key) for key in info.get(name) or ()) for name in ("missing_keys", "unexpected_keys")}
    if any(wrong.values()) or info.get("mismatched_keys"):
        raise ValueError(
            f"The checkpoint {source.folder} is not a whole retriever: missing weights {wrong['missing_keys'][:5]}, "
            f"unknown weights {wrong['unexpected_keys'][:5]}, of another shape "
            f"{list(info.get('mismatched_keys') or ())[:5]}."
        )
    processor = RablipRetrieverProcessor.from_pretrained(source.folder)
    return (model if device is None else model.to(device)).eval(), processor


def fingerprint_model(model: str | Path | RetrieverSource | Any, processor: Any = None) -> str:
    """Return the sha256 of a retriever's weights, config and processor.

    Args:
        model: a model folder or Hub id, a `RetrieverSource`, or a loaded retriever.
        processor: the processor of a loaded retriever; not used for folders, which hold their own.

    Raises:
        FileNotFoundError: when there is no such model.
        TypeError: when a loaded retriever comes without its processor.
        ValueError: when a loaded retriever carries an adapter that is not merged into it.
    """
    if isinstance(model, RetrieverSource):
        return fingerprint_folder(model.folder)
    if isinstance(model, (str, Path)):
        return fingerprint_folder(find_retriever(model).folder)
    if processor is None:
        raise TypeError("The fingerprint of a loaded retriever covers its processor: pass it as `processor`.")
    if hasattr(model, "peft_config") or getattr(model, "_hf_peft_config_loaded", False):
        raise ValueError(
            "The retriever carries an adapter, of which saving keeps only the adapter: the fingerprint would not tell "
            "its base. Merge it first: model = model.merge_and_unload()."
        )
    # Saved and read back, so that a loaded model and its folder have one fingerprint.
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        processor.save_pretrained(folder)
        return fingerprint_folder(folder)


def fingerprint_prompts(processor: RablipRetrieverProcessor) -> str:
    """Return the sha256 of the ids that a processor makes of sample items and questions.

    The files of a processor say what it is, not how the code of this version words an item: an index built with
    another wording would be searched without a word of warning.

    Args:
        processor: a retriever's processor.
    """
    texts = (None, "Built in 1889.", "A tower of iron, 330 m high; see [1].")
    items = [
        KnowledgeItem(id=f"{number}", text=text, title=title, caption=caption)
        for number, (text, title, caption) in enumerate(product(texts, (None, "Tower"), (None, "The tower by night")))
        if text or title or caption
    ]
    digest = hashlib.sha256()
    for inputs in (processor.process_knowledge(items), processor.process_questions(["Who built the tower?", "Où?"])):
        for name in sorted(inputs):
            digest.update(f"{name} {tuple(inputs[name].shape)}".encode())
            digest.update(inputs[name].cpu().numpy().tobytes())
    return digest.hexdigest()
