"""Features of the frozen vision tower: computed once, in memory or in a cache on disk."""

__all__: list[str] = []
