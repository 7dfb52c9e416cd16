"""Fusion pre-training: the model with its losses, rows of pictures with texts, and what is measured."""

__all__: list[str] = []
