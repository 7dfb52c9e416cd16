"""The trainers of the stages over transformers' own, gathering and gradient caching, metrics while training."""

__all__: list[str] = []
