"""Filters of a list that work without a script: a browser hides what the chosen radio buttons do not name.

Every choice is a radio button, so that the keyboard works as everywhere; a rule of the style sheet for each hides the
entries without its mark. What several groups hide is hidden: the groups narrow one another down. A counter of the
style sheet, which passes over what is hidden, says how many are left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from .html_parts import escape

__all__ = ["FilterGroup", "filter_marks", "filter_rules", "filtered_list"]

_MANY_CHOICES = 8  # more are folded


@dataclass(frozen=True, kw_only=True)
class FilterGroup:
    """Choices of which one holds at a time.

    Args:
        key: short name in the page's own words, of letters only.
        legend: what is chosen.
        choices: names of the choices, beside "all", in order.
        chosen_by: for every entry of the list, the choices that show it.

    Raises:
        ValueError: when the key is no plain word or an entry has a choice that is not there.

    Example:
        >>> FilterGroup(key="v", legend="Answer", choices=["right"], chosen_by=[["right"], []]).counts()
        {'right': 1}
    """

    key: str
    legend: str
    choices: Sequence[str]
    chosen_by: Sequence[Sequence[str]]

    def __post_init__(self) -> None:
        if not (self.key.isascii() and self.key.isalpha()):
            raise ValueError(f"The key of a group of filters must be of plain letters, but is {self.key!r}.")
        strangers = {choice for chosen in self.chosen_by for choice in chosen} - set(self.choices)
        if strangers:
            raise ValueError(f"The entries have the choices {sorted(strangers)}, which are not among {self.choices}.")

    def only(self, places: Sequence[int]) -> FilterGroup:
        """The same choices for some of the entries.

        Example:
            >>> group = FilterGroup(key="v", legend="Answer", choices=["right"], chosen_by=[["right"], []])
            >>> group.only([1]).counts()
            {'right': 0}
        """
        return replace(self, chosen_by=[self.chosen_by[place] for place in places])

    def counts(self) -> dict[str, int]:
        """How many entries every choice shows."""
        counted = Counter(choice for chosen in self.chosen_by for choice in set(chosen))
        return {choice: counted[choice] for choice in self.choices}


def filter_marks(groups: Sequence[FilterGroup], place: int) -> str:
    """The classes of an entry, by its place in the list.

    Example:
        >>> filter_marks([FilterGroup(key="v", legend="Answer", choices=["right"], chosen_by=[["right"]])], 0)
        'v0'
    """
    return " ".join(
        f"{group.key}{group.choices.index(choice)}"
        for group in groups
        for choice in dict.fromkeys(group.chosen_by[place])
    )


def filter_rules(groups: Sequence[FilterGroup]) -> str:
    """The rules of the style sheet that hide what is not chosen; they hold no word of the content.

    Example:
        >>> filter_rules([FilterGroup(key="v", legend="Answer", choices=["right"], chosen_by=[["right"]])])
        '.browse:has(#only-v0:checked) .entry:not(.v0) { display: none; }'
    """
    return "\n".join(
        f".browse:has(#only-{group.key}{number}:checked) .entry:not(.{group.key}{number}) {{ display: none; }}"
        for group in groups
        for number in range(len(group.choices))
    )


def filtered_list(groups: Sequence[FilterGroup], entries: Sequence[str], *, noun: str = "question") -> str:
    """A list with its filters above it.

    Args:
        groups: the filters; one with a single choice that shows everything is left out.
        entries: HTML of the entries, which have the class "entry" and the classes of `filter_marks`.
        noun: what an entry is, in the singular.

    Example:
        >>> groups = [FilterGroup(key="v", legend="Answer", choices=["right"], chosen_by=[["right"], []])]
        >>> 'id="only-v0"' in filtered_list(groups, ["<p>a</p>", "<p>b</p>"])
        True
    """
    total = len(entries)
    controls = "".join(_controls(group, total) for group in groups if _divides(group, total))
    # The count stands behind the entries, where all of them are counted; the style sheet draws it above them.
    shown = f"of {total:,} {escape(noun)}{'' if total == 1 else 's'} shown"
    back = '<a href="#filters">Filters</a>' if controls else ""
    return (
        f'<div class="browse"><div class="filters" id="filters">{controls}</div>'
        f'<div class="list"><div class="entries">{"".join(entries)}</div>'
        f'<p class="count"><span>{shown}</span>{back}</p></div></div>'
    )


def _divides(group: FilterGroup, total: int) -> bool:
    return any(0 < count < total for count in group.counts().values())


def _controls(group: FilterGroup, total: int) -> str:
    buttons = [_button(group, "all", "All", total, is_chosen=True)]
    for number, (choice, count) in enumerate(group.counts().items()):
        buttons.append(_button(group, str(number), choice, count, is_chosen=False))
    legend, chips = escape(group.legend), f'<div class="chips">{"".join(buttons)}</div>'
    if len(group.choices) > _MANY_CHOICES:
        chips = f"<details><summary>{len(group.choices)} to choose from</summary>{chips}</details>"
    return f"<fieldset><legend>{legend}</legend>{chips}</fieldset>"


def _button(group: FilterGroup, mark: str, name: str, count: int, *, is_chosen: bool) -> str:
    state = " checked" if is_chosen else "" if count else " disabled"
    style = ' class="all"' if is_chosen else ""
    radio = f'<input type="radio"{style} name="only-{group.key}" id="only-{group.key}{mark}"{state}>'
    return f'<label class="chip">{radio}<span dir="auto">{escape(name)}</span> <b>{count:,}</b></label>'
