"""Cards: a section and metadata from a template, the folder's own facts and its measured figures."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

from huggingface_hub import DatasetCard, DatasetCardData, ModelCard, ModelCardData

from .card_updates import CardFields, mark_section, update_card
from .contents import CARD_NAME, FolderContents, read_contents
from .facts import read_facts
from .figures import describe_run, eval_results, read_results, render_figures

__all__ = ["make_card", "write_card"]

_PIPELINE_TAGS = {
    "retriever": "feature-extraction",
    "reranker": "text-ranking",
    "generator": "image-text-to-text",
    "bundle": "image-text-to-text",
    "adapter": "image-text-to-text",
}
_TAGS = ("rablip", "multimodal", "retrieval-augmented-generation")


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
    card.text = f"\n# {repo_id.split('/')[-1]}\n\n{mark_section(body)}\n"
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
        tags=[*_TAGS, kind, *fields.tags],
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
        tags=[*_TAGS, "index", *fields.tags],
        base_model=fields.base_model or facts["manifest"].model_id,
    )


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
