"""The recipe of the tiny checkpoint: its data, its stages from nothing, its tokenizers."""

__all__: list[str] = []
