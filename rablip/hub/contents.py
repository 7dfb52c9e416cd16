"""What a folder holds (a model, a bundle, an adapter, an index) and which of its files travel to the Hub."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..answering.loading import find_parts
from ..index.errors import IndexMismatchError
from ..index.fingerprint import CONFIG_FILES
from ..index.knowledge_index import KnowledgeIndex
from ..index.locking import LOCK_NAME
from ..index.manifest import MANIFEST_NAME
from ..index.score_scales import SCALES_NAME, ScoreScales
from ..lexical.storage import LEXICAL_NAME, LEXICAL_PREFIX, LexicalRecord, verify_files
from ..lexical.words import TOKENIZER

__all__ = ["ADAPTER_NAME", "CARD_NAME", "FolderContents", "read_contents"]

logger = logging.getLogger(__name__)

CARD_NAME = "README.md"
ADAPTER_NAME = "adapter_config.json"
_PICKLES = (".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth")
# By name, since data that lie beside a model must not travel with it.
_MODEL_FILES = (
    *sorted(CONFIG_FILES),
    "adapter_model*.safetensors",
    "chat_template.jinja",
    "generation_config.json",
    "model*.safetensors",
    "model.safetensors.index.json",
)
# What a card rests on, may show, and a license needs; in the root only.
_CARD_FILES = ("results.json", "training.json", "*.gif", "*.jpeg", "*.jpg", "*.png", "*.svg", "*.webp")
_LICENSE_FILES = ("LICENSE*", "NOTICE*")


@dataclass(frozen=True)
class FolderContents:
    """What a folder holds.

    Args:
        folder: the folder.
        kind: "retriever", "reranker", "generator", "bundle", "adapter" or "index".
        parts: the models of a model folder by name; empty for an adapter or an index.
        files: the files that travel, by their path in the repository; without the card.
        left_out: the files that do not, by path, with the reason.

    Example:
        >>> contents = read_contents("examples/checkpoints/rablip-tiny/retriever")  # doctest: +SKIP
        >>> contents.kind, contents.repo_type  # doctest: +SKIP
        ('retriever', 'model')
    """

    folder: Path
    kind: str
    parts: dict[str, Path]
    files: dict[str, Path]
    left_out: dict[str, str]

    @property
    def repo_type(self) -> str:
        """The kind of repository: an index is data."""
        return "dataset" if self.kind == "index" else "model"


def read_contents(folder: str | Path) -> FolderContents:
    """Look what a folder holds, and sort its files into those that travel and those that stay, each with the reason.

    Args:
        folder: one model, a bundle of models, an adapter, or an index.

    Raises:
        FileNotFoundError: there is no such folder, or no weights in safetensors in it.
        ValueError: it holds nothing of rablip, or its index lies in parts elsewhere.
        IndexCorruptError: a file of the index is missing or altered.
    """
    root = Path(folder)
    if not root.is_dir():
        raise FileNotFoundError(f"There is no folder {folder}.")
    if (root / MANIFEST_NAME).is_file():
        return FolderContents(root, "index", {}, *_sort_index(root))
    if (root / ADAPTER_NAME).is_file() and not (root / "config.json").is_file():
        parts: dict[str, Path] = {}
        kind, homes = "adapter", [root]
    else:
        parts = find_parts(root)
        kind = next(iter(parts)) if (root / "config.json").is_file() else "bundle"
        homes = list(parts.values())
    files, left_out = _sort_model(root, homes)
    for home in homes:
        if not any(path.parent == home and path.suffix == ".safetensors" for path in files.values()):
            raise FileNotFoundError(
                f"{home} has no weights in safetensors, and rablip publishes no others. Load the model and save it "
                "with save_pretrained."
            )
    return FolderContents(root, kind, parts, files, left_out)


def _sort_model(root: Path, homes: list[Path]) -> tuple[dict[str, Path], dict[str, str]]:
    files: dict[str, Path] = {}
    left_out: dict[str, str] = {}
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        name = path.relative_to(root)
        if name.as_posix() == CARD_NAME:
            continue
        reason = _reason_to_stay(root, name, homes)
        if reason:
            left_out[name.as_posix()] = reason
        else:
            files[name.as_posix()] = path
    return files, left_out


def _reason_to_stay(root: Path, name: Path, homes: list[Path]) -> str | None:
    if any(part.startswith(".") for part in name.parts):
        return "hidden"
    if name.suffix in _PICKLES:
        return "a pickle can run code when it is read"
    if name.suffix == ".py":
        return "code travels only when it is asked for"
    folder = root / name.parent
    if folder not in (root, *homes) and any((folder / other).is_file() for other in ("config.json", ADAPTER_NAME)):
        return "another model"
    of_tokenizer = folder.parent in homes and (folder / "tokenizer_config.json").is_file()
    if (folder in homes or of_tokenizer) and any(name.match(pattern) for pattern in _MODEL_FILES):
        return None
    if folder == root and any(name.match(pattern) for pattern in (*_CARD_FILES, *_LICENSE_FILES)):
        return None
    return "not a file of a model"


def _sort_index(root: Path) -> tuple[dict[str, Path], dict[str, str]]:
    index = KnowledgeIndex.load(root)
    manifest = index.manifest
    if not manifest.items_folders:
        raise ValueError(
            f"The index {root} has its knowledge items elsewhere, so whoever loads it would find ids without items. "
            "Build it with build_index, which keeps them together."
        )
    for name in manifest.items_folders:
        state: dict[str, Any] = json.loads((root / name / "knowledge_base.json").read_text("utf-8"))
        if state.get("images") == "reference":
            raise ValueError(
                f"The index {root} keeps paths of pictures on this machine ({state.get('root')}), which nobody else "
                'has. Build it with images="embed".'
            )
    named = {MANIFEST_NAME, *manifest.files, *_list_search_files(root, index)}
    paths = {path.relative_to(root).as_posix(): path for path in sorted(root.rglob("*")) if path.is_file()}
    kept_here = {CARD_NAME, LOCK_NAME}
    left_out = {name: "not named by the manifest" for name in paths if name not in named | kept_here}
    for name in left_out:
        if name == SCALES_NAME or name == LEXICAL_NAME or name.startswith(LEXICAL_PREFIX):
            left_out[name] = "made for another state of the index"
    return {name: path for name, path in paths.items() if name in named}, left_out


def _list_search_files(root: Path, index: KnowledgeIndex) -> set[str]:
    """What searches of this index use beside what its manifest names; nothing that is stale."""
    names: set[str] = set()
    if (root / SCALES_NAME).is_file():
        try:
            ScoreScales.load(root).check(index, ())
            names.add(SCALES_NAME)
        except IndexMismatchError as error:
            logger.warning("%s", error)
    if (root / LEXICAL_NAME).is_file():
        record = LexicalRecord.load(root)
        try:
            record.check_state(index.state, TOKENIZER, root)
            verify_files(root, record)
            names |= {LEXICAL_NAME, *(f"{record.folder_name}/{name}" for name in record.files)}
        except IndexMismatchError as error:
            logger.warning("%s", error)
    return names
