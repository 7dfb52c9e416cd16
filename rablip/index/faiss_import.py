"""FAISS, imported on first use."""

from __future__ import annotations

from typing import Any

__all__ = ["import_faiss"]


def import_faiss() -> Any:
    """Return the faiss module.

    Raises:
        ImportError: when it is missing or broken; says how to install it.

    Example:
        >>> hasattr(import_faiss(), "IndexFlatIP")
        True
    """
    try:
        import faiss
    except ImportError as error:
        raise ImportError(
            f"The index needs FAISS, which cannot be imported ({error}): pip install faiss-cpu"
        ) from error
    return faiss
