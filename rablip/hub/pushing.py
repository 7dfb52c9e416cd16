"""The push: a plan that lists every file, and one commit that brings a repository to it."""

from __future__ import annotations

import dataclasses
import json
import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

from huggingface_hub import CommitInfo, CommitOperationAdd, CommitOperationDelete, HfApi, hf_hub_download
from huggingface_hub.repocard import RepoCard
from huggingface_hub.utils import get_session, hf_raise_for_status, validate_repo_id

from ..index.manifest import MANIFEST_NAME, IndexManifest
from ..retriever_source import find_retriever, fingerprint_model
from ..snapshots import is_hub_name
from .card_updates import CardFields, list_gaps, own_text, update_card
from .cards import make_card
from .contents import ADAPTER_NAME, CARD_NAME, FolderContents, read_contents
from .remote_code import flatten_code, without_code

__all__ = ["PushPlan", "plan_push", "push", "push_folder", "push_model"]

logger = logging.getLogger(__name__)

_CONFIGS = ("config.json", "processor_config.json")
# What a push replaces as a whole: a leftover of these would be read beside the new files, or be in their way.
_OWNED_OF_MODELS = ("model*.safetensors", "model.safetensors.index.json", "*_rablip*.py")
_OWNED = {"adapter": ("adapter_model*.safetensors",), "index": ("vectors-*.faiss", "ids-*.json", "items-*/*")}


@dataclass(frozen=True, kw_only=True)
class PushPlan:
    """What a push will bring to a repository.

    Args:
        repo_id: its name.
        repo_type: "model" or "dataset".
        kind: what is pushed, as in `FolderContents`.
        files: the files by their path in the repository: where they are, or their content where it is changed for
            the Hub.
        left_out: the files of the folder that stay, with the reason.
        card: the generated card.
        readme: the README.md of the folder, or None.
        fields: what the user said for the card.
    """

    repo_id: str
    repo_type: str
    kind: str
    files: Mapping[str, Path | bytes]
    left_out: Mapping[str, str]
    card: RepoCard = field(repr=False)
    readme: str | None = field(repr=False)
    fields: CardFields

    def render_card(self, on_hub: str | None = None) -> RepoCard:
        """The card with the user's own text, of the folder's README.md or else of the one on the Hub.

        Raises:
            ValueError: both have a text of their own, and not the same.
        """
        here = None if self.readme is None else own_text(self.readme)
        there = None if on_hub is None else own_text(on_hub)
        if here and there and here != there:
            raise ValueError(
                f"The README.md here and the one of {self.repo_id} have different texts of their own, and one would "
                "be lost. Make them equal, or delete README.md here to keep the one on the Hub."
            )
        return update_card(on_hub if on_hub is not None and not here else self.readme, self.card, self.fields)

    def sizes(self) -> dict[str, int]:
        """Bytes of every file by its path in the repository, the card among them."""
        sizes = {
            name: len(file) if isinstance(file, bytes) else file.stat().st_size for name, file in self.files.items()
        }
        return dict(sorted({**sizes, CARD_NAME: len(str(self.render_card()).encode())}.items()))


def plan_push(
    folder: str | Path, repo_id: str, *, fields: CardFields | None = None, with_code: bool = False
) -> PushPlan:
    """Look what a push would bring to a repository; nothing is sent.

    Args:
        folder: one model, a bundle of models, an adapter, or an index.
        repo_id: `owner/name`; an index goes into a dataset repository.
        fields: what only the user knows, for the card. Where an adapter's base or an index's retriever is a folder
            of this machine, `base_model` must name it on the Hub.
        with_code: whether the classes' code travels as flat files, so that they load without rablip.

    Raises:
        ValueError: the name is none of the Hub's; the folder holds nothing of rablip; a base or retriever is not
            named, or is another one than that of the folder; code is asked for what has none of its own.
        FileNotFoundError: there is no such folder, or it has no safetensors.
    """
    validate_repo_id(repo_id)
    if not is_hub_name(repo_id):
        raise ValueError(f"{repo_id!r} is no whole name of a repository. Give it with its owner: owner/{repo_id}.")
    fields = fields or CardFields()
    contents = read_contents(folder)
    files: dict[str, Path | bytes] = dict(contents.files)
    left_out = dict(contents.left_out)
    changed = _changed(contents, fields, with_code)
    files |= {name: content.encode() for name, content in changed.items()}
    for name in [name for name in left_out if name in files]:
        del left_out[name]
    readme = contents.folder / CARD_NAME
    return PushPlan(
        repo_id=repo_id,
        repo_type=contents.repo_type,
        kind=contents.kind,
        files=dict(sorted(files.items())),
        left_out=left_out,
        card=make_card(contents, repo_id, fields, changed=changed),
        readme=readme.read_text(encoding="utf-8") if readme.is_file() else None,
        fields=fields,
    )


def _changed(contents: FolderContents, fields: CardFields, with_code: bool) -> dict[str, str]:
    """Files whose content on the Hub is not that of the folder."""
    if with_code:
        if contents.kind not in ("retriever", "reranker", "generator"):
            raise ValueError(
                f"Code can travel with one model only, since it lies in the root of a repository; {contents.folder} "
                f"holds a {contents.kind}. Push each model into a repository of its own."
            )
        return flatten_code(contents.folder)
    if contents.kind == "index":
        return _name_retriever(contents.folder, fields.base_model)
    if contents.kind == "adapter":
        return _name_base(contents.folder / ADAPTER_NAME, fields.base_model)
    texts = {name: without_code(path) for name, path in contents.files.items() if path.name in _CONFIGS}
    return {name: text for name, text in texts.items() if text is not None}


def _name_base(path: Path, base_model: str | None) -> dict[str, str]:
    values = json.loads(path.read_text(encoding="utf-8"))
    name = base_model or values.get("base_model_name_or_path") or ""
    if not is_hub_name(name) or Path(name).is_dir():
        raise ValueError(
            f"The adapter's base model is {name or 'not named'!r}, which nobody else can load. Push it, and name it: "
            "--base-model owner/name."
        )
    return {path.name: json.dumps({**values, "base_model_name_or_path": name}, indent=2) + "\n"}


def _name_retriever(folder: Path, base_model: str | None) -> dict[str, str]:
    manifest = IndexManifest.load(folder)
    if base_model is None:
        if manifest.model_revision is None:
            raise ValueError(
                f"The index was built by {manifest.model_id}, a folder of this machine, which nobody else has. Push "
                "that retriever, and name it: --base-model owner/name."
            )
        return {}
    place = find_retriever(base_model)
    if place.revision is None:
        raise ValueError(f"--base-model {base_model} is a folder of this machine. Give its name on the Hub.")
    found = fingerprint_model(place)
    if found != manifest.model_fingerprint:
        raise ValueError(
            f"The index was built by a retriever with the fingerprint {manifest.model_fingerprint}, {base_model} has "
            f"{found}: questions encoded by it would find the wrong items."
        )
    named = dataclasses.replace(
        manifest, model_id=base_model, model_revision=place.revision, model_subfolder=place.subfolder
    )
    return {MANIFEST_NAME: named.to_json()}


def push(
    plan: PushPlan,
    *,
    private: bool | None = None,
    revision: str | None = None,
    commit_message: str | None = None,
    commit_description: str | None = None,
    create_pr: bool = False,
    token: str | bool | None = None,
) -> CommitInfo:
    """Make one commit of a plan; the repository is made where there is none.

    A README.md on the Hub keeps its own text. Weights, code and index files of an earlier push that are not in the
    plan are removed; everything else in the repository stays. When somebody commits at the same time, the push fails
    and nothing is changed.

    Args:
        plan: as `plan_push` gives it.
        private: whether a new repository is private; None for the owner's default.
        revision: the branch; made where there is none. None for "main".
        commit_message: None for "Upload <kind>".
        commit_description: what the commit says below its message.
        create_pr: whether the commit becomes a pull request.
        token: of the Hub; None for the one of `hf auth login`.

    Returns:
        What huggingface_hub says of the commit; `oid` is its 40 digits.

    Raises:
        ValueError: the Hub refuses the card's metadata, or a README.md's own text would be lost.
        huggingface_hub.errors.HfHubHTTPError: the Hub refuses.
    """
    api = HfApi(token=token)
    where: Any = {"repo_id": plan.repo_id, "repo_type": plan.repo_type}
    _validate(plan.render_card(), plan.repo_type, api.endpoint)
    api.create_repo(**where, private=private, exist_ok=True)
    if revision is not None and not create_pr:
        api.create_branch(**where, branch=revision, exist_ok=True)
    parent = api.repo_info(**where, revision=revision).sha
    there = set(api.list_repo_files(**where, revision=parent))
    on_hub = None
    if CARD_NAME in there:
        readme = hf_hub_download(**where, filename=CARD_NAME, revision=parent, token=token)
        on_hub = Path(readme).read_text(encoding="utf-8")
    card = plan.render_card(on_hub)
    for gap in list_gaps(card):
        logger.warning("%s: %s", plan.repo_id, gap)
    files = {**plan.files, CARD_NAME: str(card).encode()}
    operations: list[Any] = [CommitOperationDelete(path_in_repo=name) for name in _find_stale(plan, there)]
    operations += [CommitOperationAdd(path_in_repo=name, path_or_fileobj=file) for name, file in files.items()]
    return api.create_commit(
        **where,
        operations=operations,
        commit_message=commit_message or f"Upload {plan.kind}",
        commit_description=commit_description,
        revision=revision,
        create_pr=create_pr,
        parent_commit=parent,
    )


def _validate(card: RepoCard, repo_type: str, endpoint: str) -> None:
    """Ask the Hub whether it takes a card; the card's own `validate` asks huggingface.co in huggingface_hub 1."""
    content = {"repoType": repo_type, "content": str(card)}
    response = get_session().post(f"{endpoint}/api/validate-yaml", json=content, headers={"Accept": "text/plain"})
    if response.status_code == HTTPStatus.BAD_REQUEST:
        raise ValueError(f"The Hub does not take the card's metadata: {response.text}")
    hf_raise_for_status(response)


def _find_stale(plan: PushPlan, there: set[str]) -> list[str]:
    """Files of an earlier push that would be read beside the plan's; those of folders that it does not touch stay."""
    touched = {Path(name).parent for name in plan.files}
    return sorted(
        name
        for name in there - set(plan.files)
        if any(Path(name).match(pattern) for pattern in _OWNED.get(plan.kind, _OWNED_OF_MODELS))
        and (plan.kind == "index" or Path(name).parent in touched)
    )


def push_folder(
    folder: str | Path,
    repo_id: str,
    *,
    fields: CardFields | None = None,
    with_code: bool = False,
    **kwargs: Any,
) -> CommitInfo:
    """Push a folder to the Hub: `plan_push`, then `push`.

    Args:
        folder, repo_id, fields, with_code: as in `plan_push`.
        kwargs: as in `push`.

    Example:
        >>> push_folder("my_model/retriever", "me/my-retriever", fields=CardFields(license="mit"))  # doctest: +SKIP
    """
    return push(plan_push(folder, repo_id, fields=fields, with_code=with_code), **kwargs)


def push_model(
    model: Any,
    repo_id: str,
    *,
    processor: Any = None,
    fields: CardFields | None = None,
    with_code: bool = False,
    tags: Sequence[str] = (),
    max_shard_size: int | str = "50GB",
    token: str | bool | None = None,
    **kwargs: Any,
) -> CommitInfo:
    """Push a loaded model, with its processor where that is given; what `model.push_to_hub` does.

    Args:
        model: a retriever, re-ranker or generator.
        repo_id: `owner/name`, or the name of a repository of the token's owner.
        fields, with_code: as in `plan_push`.
        processor: its processor; where it is None, one that is on the Hub already stays there.
        tags: as in `CardFields`.
        max_shard_size: of a weights file.
        token, kwargs: as in `push`.
    """
    if "/" not in repo_id:
        repo_id = f"{HfApi(token=token).whoami()['name']}/{repo_id}"
    fields = fields or CardFields()
    fields = dataclasses.replace(fields, tags=(*fields.tags, *(tags or ())))
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder, max_shard_size=max_shard_size)
        if processor is not None:
            processor.save_pretrained(folder)
        return push_folder(folder, repo_id, fields=fields, with_code=with_code, token=token, **kwargs)
