"""The `rablip` command. Nothing heavy is imported before a command needs it: `rablip env` answers without torch."""

from __future__ import annotations

from .app import app, main

__all__ = ["app", "main"]
