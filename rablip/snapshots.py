"""Models and indexes on the Hub: telling their names from paths, and the local copies of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Snapshot", "fetch_index", "fetch_model", "is_hub_name"]

# Never code, never pickles.
_MODEL_FILES = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja")
_INDEX_FILES = ("manifest.json", "segment-*/*", "deleted-*", "items-*/*")
_SEARCH_FILES = ("lexical.json", "lexical-*/*", "score_scales.json")
_COMMIT = re.compile(r"[0-9a-f]{40}")


class Snapshot(NamedTuple):
    """A local folder, and the commit on the Hub of which it is a copy (None for a folder of the user's own)."""

    folder: Path
    commit: str | None


def is_hub_name(name: str | Path) -> bool:
    """Whether a name that is no local folder can be one on the Hub (`owner/name`).

    Example:
        >>> is_hub_name("someone/rablip-base"), is_hub_name("./models"), is_hub_name("a/b/c")
        (True, False, False)
    """
    return not isinstance(name, Path) and name.count("/") == 1 and not name.startswith((".", "/", "~"))


def fetch_model(model: str | Path, *, without: tuple[str, ...] = (), **hub: Any) -> Snapshot:
    """The folder of a model; one that is on the Hub is downloaded.

    Args:
        model: a local folder, or a name on the Hub.
        without: folders of a bundle that are not wanted, and so not downloaded.
        hub: `revision`, `token`, `cache_dir`, `local_files_only`.

    Raises:
        FileNotFoundError: there is no such folder, or no such model or revision on the Hub.
    """
    if Path(model).is_dir():
        return Snapshot(Path(model), None)
    if not is_hub_name(model):
        raise FileNotFoundError(f"There is no model folder {model}. Give a folder, or the name of a model on the Hub.")
    ignored = [f"{folder}/*" for folder in without]
    return _download(str(model), "model", list(_MODEL_FILES), ignore_patterns=ignored, **hub)


def fetch_index(index: str | Path, *, revision: str | None = None, **hub: Any) -> Snapshot:
    """The folder of an index; one that is on the Hub (a dataset repository) is downloaded at the commit given.

    Args:
        index: a local folder, or a name on the Hub.
        revision: the commit, all 40 digits. A vector file is read by C++ code, so what is read must not change behind
            the reader's back, as a branch or a tag can.
        hub: `token`, `cache_dir`, `local_files_only`.

    Raises:
        FileNotFoundError: there is no such folder, or no such index or commit on the Hub.
        ValueError: a name on the Hub without a commit, or a commit for a local folder.
    """
    if Path(index).is_dir():
        if revision is not None:
            raise ValueError(f"{index} is a local folder, which has no revision ({revision}). Leave it out.")
        return Snapshot(Path(index), None)
    if not is_hub_name(index):
        raise FileNotFoundError(
            f"There is no index {index}. Make one with `rablip index build`, or give the name of one on the Hub."
        )
    if revision is None or not _COMMIT.fullmatch(revision):
        raise ValueError(
            f"An index on the Hub is read at one commit only, but the revision of {index} is {revision!r}. Give the "
            "40 digits of a commit: `rablip push` prints them, and the repository's history shows them."
        )
    return _download(str(index), "dataset", [*_INDEX_FILES, *_SEARCH_FILES], revision=revision, **hub)


def _download(name: str, repo_type: str, patterns: list[str], **hub: Any) -> Snapshot:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    what = "model" if repo_type == "model" else "index"
    try:
        folder = Path(snapshot_download(name, repo_type=repo_type, allow_patterns=patterns, **hub))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError) as error:
        raise FileNotFoundError(
            f"There is no folder {name}, and no such {what} could be got from the Hub: {error}"
        ) from error
    return Snapshot(folder, folder.name)
