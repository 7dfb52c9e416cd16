"""The Hub: what a folder holds, which of its files travel, the card beside them, and the push."""

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
