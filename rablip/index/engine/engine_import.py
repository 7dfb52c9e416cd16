"""LanceDB, imported on first use."""

from __future__ import annotations

from typing import Any

__all__ = ["import_lancedb"]


def import_lancedb() -> Any:
    """Return the lancedb module.

    Raises:
        ImportError: when it is missing or broken; says how to install it.

    Example:
        >>> hasattr(import_lancedb(), "connect")  # doctest: +SKIP
        True
    """
    try:
        import lancedb
    except ImportError as error:
        raise ImportError(
            f"This index needs LanceDB, which cannot be imported ({error}): pip install 'rablip[engine]'"
        ) from error
    return lancedb
