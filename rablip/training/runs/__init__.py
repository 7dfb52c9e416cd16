"""A stage from folders to a saved model: starting points, presets, adapters, what is fitted, the run itself."""

__all__: list[str] = []
