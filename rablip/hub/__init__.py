"""The Hub: what a folder holds, which of its files travel, the card beside them, and the push."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .card_updates import CardFields, list_gaps, own_text, update_card
    from .cards import make_card, write_card
    from .contents import FolderContents, read_contents
    from .pushing import PushPlan, plan_push, push, push_folder, push_model
    from .remote_code import export_remote_code

__all__ = [
    "CardFields",
    "FolderContents",
    "PushPlan",
    "export_remote_code",
    "list_gaps",
    "make_card",
    "own_text",
    "plan_push",
    "push",
    "push_folder",
    "push_model",
    "read_contents",
    "update_card",
    "write_card",
]

_HOME = {
    "CardFields": "card_updates",
    "FolderContents": "contents",
    "PushPlan": "pushing",
    "export_remote_code": "remote_code",
    "list_gaps": "card_updates",
    "make_card": "cards",
    "own_text": "card_updates",
    "plan_push": "pushing",
    "push": "pushing",
    "push_folder": "pushing",
    "push_model": "pushing",
    "read_contents": "contents",
    "update_card": "card_updates",
    "write_card": "cards",
}


def __getattr__(name: str) -> Any:
    """Imports the module that holds `name` on first use."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
