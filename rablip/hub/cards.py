"""Cards: a generated section and metadata from a template and the folder's own facts, beside the user's own text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

from huggingface_hub import DatasetCard, DatasetCardData, ModelCard, ModelCardData
from huggingface_hub.repocard import RepoCard

from .contents import CARD_NAME, FolderContents, read_contents
from .facts import read_facts
from .figures import describe_run, eval_results, read_results, render_figures

__all__ = ["UNKNOWN_LICENSE", "CardFields", "make_card", "own_text", "update_card", "write_card"]

UNKNOWN_LICENSE = "unknown"
_BEGIN = (
    "<!-- rablip:begin (written by rablip, which writes it again; what stands outside of these marks is yours) -->"
)
_END = "<!-- rablip:end -->"
# The pages of empty headings that huggingface_hub and peft put where nobody has written anything.
_EMPTY_TEMPLATE = "# Model Card for Model ID"
_PIPELINE_TAGS = {
    "retriever": "feature-extraction",
    "reranker": "text-ranking",
    "generator": "image-text-to-text",
    "bundle": "image-text-to-text",
    "adapter": "image-text-to-text",
}
_TAGS = ("rablip", "multimodal", "retrieval-augmented-generation")
_UNITED = ("datasets", "metrics", "tags", "task_categories")


@dataclass(frozen=True, kw_only=True)
class CardFields:
    """What only the user knows. What is not given here stays as the folder's README.md has it.

    Args:
        license: a license id of the Hub, such as "apache-2.0".
        base_model: the Hub id of what the model was made of; of an adapter's base; of an index's retriever.
        datasets: Hub ids of the data it was trained on.
        results: a report of `rablip eval world --json`; by default the `results.json` of the folder or its bundle.

    Example:
        >>> CardFields(license="apache-2.0").datasets
        ()
    """

    license: str | None = None
    base_model: str | None = None
    datasets: tuple[str, ...] = ()
    results: str | Path | None = None


def make_card(
    contents: FolderContents,
    repo_id: str,
    fields: CardFields | None = None,
    *,
    changed: Mapping[str, str] | None = None,
) -> ModelCard | DatasetCard:
    """The generated card of a folder, before the user's own text is put beside it.

    Args:
        contents: as `read_contents` gives it.
        repo_id: the name under which the card's examples load it.
        fields: what the user knows.
        changed: the text of files that are not on the Hub what they are in the folder, by name; with files of code
            among them the card says how to load the model without rablip.

    Returns:
        The card; its metadata are those of huggingface_hub's own card classes.

    Raises:
        ValueError: the figures belong to other weights.
    """
    fields = fields or CardFields()
    report = read_results(contents, fields.results) if contents.parts else None
    facts = read_facts(contents, changed or {})
    if contents.kind == "index":
        data: Any = _index_data(facts, repo_id, fields)
    else:
        data = _model_data(contents.kind, repo_id, fields, report)
    variables = {**facts, "repo_id": repo_id, "auto_class": _auto_class(contents.kind)}
    if report is not None:
        variables |= {"figures": render_figures(report, contents.kind), "run": describe_run(report)}
    if any(name.endswith(".py") for name in changed or ()):
        variables["code_section"] = _render("without_rablip", data, variables).text.strip()
    card = _render(contents.kind, data, variables)
    # Jinja leaves empty lines where a section is left out.
    body = re.sub(r"\n{3,}", "\n\n", card.text.strip())
    card.text = f"\n# {repo_id.split('/')[-1]}\n\n{_BEGIN}\n{body}\n{_END}\n"
    return card


def _render(template: str, data: Any, variables: Mapping[str, Any]) -> Any:
    text = (package_files("rablip.hub_cards") / f"{template}.md").read_text(encoding="utf-8")
    card_class = DatasetCard if isinstance(data, DatasetCardData) else ModelCard
    return card_class.from_template(data, template_str=f"---\n{{{{ card_data }}}}\n---\n{text}", **variables)


def _auto_class(kind: str) -> str:
    return "AutoModelForImageTextToText" if kind == "generator" else "AutoModel"


def _model_data(kind: str, repo_id: str, fields: CardFields, report: Mapping[str, Any] | None) -> ModelCardData:
    tag = _PIPELINE_TAGS[kind]
    results = eval_results(report, kind, task_type=tag) if report is not None else []
    more: dict[str, Any] = {"base_model_relation": "adapter"} if kind == "adapter" else {}
    return ModelCardData(
        library_name="peft" if kind == "adapter" else "rablip",
        pipeline_tag=tag,
        tags=[*_TAGS, kind],
        license=fields.license,
        base_model=fields.base_model,
        datasets=list(fields.datasets) or None,
        metrics=sorted({result.metric_type for result in results}) or None,
        model_name=repo_id.split("/")[-1] if results else None,
        eval_results=results or None,
        **more,
    )


def _index_data(facts: Mapping[str, Any], repo_id: str, fields: CardFields) -> DatasetCardData:
    return DatasetCardData(
        license=fields.license,
        pretty_name=repo_id.split("/")[-1],
        task_categories=["visual-question-answering", "question-answering"],
        size_categories=[facts["size_category"]],
        source_datasets=list(fields.datasets) or None,
        tags=[*_TAGS, "index"],
        base_model=fields.base_model or facts["manifest"].model_id,
    )


def update_card(existing: str | None, generated: RepoCard, fields: CardFields | None = None) -> RepoCard:
    """A card with the generated section and metadata in the place of the old ones, and everything else kept.

    Metadata that the user wrote stay, unless `fields` says otherwise; lists are united; figures of the same run are
    replaced.

    Args:
        existing: the text of the README.md that there is, or None.
        generated: as `make_card` gives it.
        fields: what the user gives now.

    Raises:
        ValueError: the metadata of the README.md that there is are no card's; names the field.
    """
    fields = fields or CardFields()
    card: Any = type(generated)(str(generated) if existing is None else existing)
    if existing is not None:
        # Unfilled templates say nothing; their metadata may.
        kept = "" if _EMPTY_TEMPLATE in card.text else card.text
        section = generated.text[generated.text.index(_BEGIN) :].strip()
        before, begin, rest = kept.partition(_BEGIN.split(" (")[0])
        if begin:
            card.text = f"{before}{section}{rest.partition(_END)[2]}"
        else:
            card.text = f"{kept.rstrip()}\n\n{section}\n" if kept.strip() else generated.text
        _join_data(card.data, generated.data, fields)
    card.data["license"] = card.data.get("license") or UNKNOWN_LICENSE
    return card


def _join_data(data: Any, generated: Any, fields: CardFields) -> None:
    """Complete the user's metadata by the generated ones."""
    given = {name for name in ("license", "base_model") if getattr(fields, name)}
    for name, value in vars(generated).items():
        if value is None:
            continue
        old = getattr(data, name, None)
        if name == "eval_results":
            replaced = [one for one in old or [] if not any(one.is_equal_except_value(new) for new in value)]
            data.eval_results = [*replaced, *value]
        elif name in _UNITED and old:
            # The Hub makes tags of this kind itself; peft writes them too, with paths of this machine.
            united = [one for one in ([old] if isinstance(old, str) else old) if not one.startswith("base_model:")]
            setattr(data, name, [*united, *(one for one in value if one not in united)])
        elif not old or old == UNKNOWN_LICENSE or name in given:
            setattr(data, name, value)


def own_text(readme: str) -> str:
    """The user's part of a README.md: what stands outside of the metadata and the generated section.

    Example:
        >>> own_text("---\\nlicense: mit\\n---\\n# mine\\n")
        '# mine'
    """
    text = ModelCard(readme, ignore_metadata_errors=True).text
    before, begin, rest = text.partition(_BEGIN.split(" (")[0])
    if _EMPTY_TEMPLATE in before:
        return ""
    return f"{before.strip()}\n{rest.partition(_END)[2].strip()}".strip() if begin else text.strip()


def write_card(folder: str | Path, repo_id: str, fields: CardFields | None = None) -> Path:
    """Write or update the README.md of a folder.

    Args:
        folder: a model, bundle, adapter or index.
        repo_id: the name under which the card's examples load it.
        fields: what the user knows.

    Returns:
        The file.
    """
    contents = read_contents(folder)
    path = contents.folder / CARD_NAME
    existing = path.read_text(encoding="utf-8") if path.is_file() else None
    card = update_card(existing, make_card(contents, repo_id, fields), fields)
    card.save(path)
    return path
