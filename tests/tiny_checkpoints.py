"""Tiny checkpoints made fit for prompts: their vocabularies lack what full-size ones have."""

from __future__ import annotations

import shutil
from pathlib import Path

from transformers import AutoTokenizer


def spell_markers(source: Path, folder: Path) -> Path:
    """A copy of a checkpoint or tokenizer whose tiny vocabulary has what full-size ones have: brackets and slash."""
    shutil.copytree(source, folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(
        [piece for piece in "[]/" if tokenizer.unk_token_id in tokenizer.convert_tokens_to_ids([piece])]
    )
    tokenizer.save_pretrained(folder)
    return folder
