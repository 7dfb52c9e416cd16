"""A card beside what a person has written: the generated section is replaced, the rest of a README.md stays."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard
from huggingface_hub.repocard import RepoCard

from .figures import DATASET_TYPE

__all__ = ["UNKNOWN_LICENSE", "CardFields", "list_gaps", "mark_section", "own_text", "update_card"]

UNKNOWN_LICENSE = "unknown"
_MARK = "<!-- rablip:begin"
_BEGIN = f"{_MARK} (written by rablip, which writes it again; what stands outside of these marks is yours) -->"
_END = "<!-- rablip:end -->"
_TITLE = re.compile(r"# [\w.-]+")  # alone above a generated section it is of the repository's name, and generated too
_UNITED = ("datasets", "metrics", "tags", "task_categories")
# What peft and transformers add to the page of empty headings that huggingface_hub gives them.
_ADDED_BY_PROGRAMS = re.compile(
    r"### Framework versions|- PEFT \S+|.* This model card has been automatically generated."
)


@dataclass(frozen=True, kw_only=True)
class CardFields:
    """What only the user knows. What is not given here stays as the folder's README.md has it.

    Args:
        license: a license id of the Hub, such as "apache-2.0".
        base_model: the Hub id of what the model was made of; of an adapter's base; of an index's retriever.
        datasets: Hub ids of the data it was trained on.
        tags: by which it is found on the Hub, beside those that every card of rablip has.
        results: a report of `rablip eval world --json`; by default the `results.json` of the folder or its bundle.

    Example:
        >>> CardFields(license="apache-2.0").datasets
        ()
    """

    license: str | None = None
    base_model: str | None = None
    datasets: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    results: str | Path | None = None


def mark_section(body: str) -> str:
    """The generated section between its marks.

    Example:
        >>> own_text(f"mine\\n{mark_section('generated')}\\nbelow")
        'mine\\nbelow'
    """
    return f"{_BEGIN}\n{body}\n{_END}"


def own_text(readme: str) -> str:
    """The user's part of a README.md: what stands outside of the metadata, the generated section and its title.

    Args:
        readme: the text of the file.

    Raises:
        ValueError: the generated section has no end.

    Example:
        >>> own_text("---\\nlicense: mit\\n---\\n# mine\\n")
        '# mine'
    """
    card = ModelCard(readme, ignore_metadata_errors=True)
    before, section, after = _split(card.text)
    kept = "" if _is_unfilled(before, card) or (section and _TITLE.fullmatch(before.strip())) else before.strip()
    return f"{kept}\n{after.strip()}".strip() if section else kept


def update_card(existing: str | None, generated: RepoCard, fields: CardFields | None = None) -> RepoCard:
    """A card with the generated section and metadata in the place of the old ones, and everything else kept.

    Metadata that the user wrote stay, unless `fields` says otherwise, and lists are united. Figures of `rablip eval
    world` are always the generated card's, since old ones may be of other weights; anybody else's stay.

    Args:
        existing: the text of the README.md that there is, or None.
        generated: as `make_card` gives it.
        fields: what the user gives now.

    Raises:
        ValueError: the metadata of the README.md that there is are no card's, or its generated section has no end.
    """
    card: Any = type(generated)(str(generated) if existing is None else existing)
    if existing is not None:
        before, section, after = _split(card.text)
        new = _split(generated.text)[1]
        if _is_unfilled(before, card) or (section and _TITLE.fullmatch(before.strip())):
            before = _split(generated.text)[0]
        card.text = f"{before}{new}{after}" if section else f"{before.rstrip()}\n\n{new}\n"
        _join_data(card.data, generated.data, fields or CardFields())
    card.data["license"] = card.data.get("license") or UNKNOWN_LICENSE
    return card


def list_gaps(card: RepoCard) -> list[str]:
    """What only a person can add to a card, as sentences for that person; empty where nothing is missing.

    Args:
        card: as `update_card` gives it.
    """
    gaps = []
    if card.data.get("license") == UNKNOWN_LICENSE:
        gaps.append(f'The card says license "{UNKNOWN_LICENSE}". Give one: --license.')
    if not card.data.get("base_model"):
        gaps.append("The card names no model that this one was made of. Give it, if there is one: --base-model.")
    return gaps


def _split(text: str) -> tuple[str, str, str]:
    """What stands before the generated section, the section with its marks ("" where there is none), and the rest."""
    before, mark, rest = text.partition(_MARK)
    if not mark:
        return text, "", ""
    section, end, after = rest.partition(_END)
    if not end:
        raise ValueError(
            f"README.md has {_MARK!r} without {_END!r}, so what was generated cannot be told from what you wrote. Put "
            "the end back, or remove the mark."
        )
    return before, f"{mark}{section}{end}", after


def _is_unfilled(text: str, card: RepoCard) -> bool:
    """Whether nobody has written anything: a blank text, or the page of empty headings as programs leave it."""
    # The page repeats some of the metadata that there are when it is made.
    pages = [type(card).from_template(data).text for data in (card.card_data_class(), card.data)]
    empty = {line.strip() for page in pages for line in page.splitlines()} | {""}
    lines = {line.strip() for line in text.splitlines()} - empty
    return all(_ADDED_BY_PROGRAMS.fullmatch(line) for line in lines)


def _join_data(data: Any, generated: Any, fields: CardFields) -> None:
    """Complete the user's metadata by the generated ones."""
    given = {name for name in ("license", "base_model") if getattr(fields, name)}
    of_others = [one for one in getattr(data, "eval_results", None) or [] if one.dataset_type != DATASET_TYPE]
    data.eval_results = [*of_others, *(getattr(generated, "eval_results", None) or [])] or None
    for name, value in vars(generated).items():
        old = getattr(data, name, None)
        if value is None or name == "eval_results":
            continue
        if name in _UNITED and old:
            # The Hub makes tags of this kind itself; peft writes them too, with paths of this machine.
            united = [one for one in ([old] if isinstance(old, str) else old) if not one.startswith("base_model:")]
            setattr(data, name, [*united, *(one for one in value if one not in united)])
        elif not old or old == UNKNOWN_LICENSE or name in given:
            setattr(data, name, value)
