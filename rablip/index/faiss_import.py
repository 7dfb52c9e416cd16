"""FAISS, imported on first use."""

from __future__ import annotations

from typing import Any

__all__ = ["import_faiss"]

# From so many numbers in a batch of questions (questions x dimension) on FAISS 1.15 multiplies matrices: right for
# machines of very many cores (facebookresearch/faiss#5109). On a few its loop over questions takes eight times as
# long.
_MANY_CORES_THRESHOLD = 128_000
_THRESHOLD_OF_A_THREAD = 800


def import_faiss() -> Any:
    """Return the faiss module, with its threshold for matrix products fitted to the number of threads.

    The threshold holds for the whole process and changes speed, not what is found; one that is not FAISS's own default
    is left alone.

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
    if getattr(faiss.cvar, "distance_compute_blas_threshold", None) == _MANY_CORES_THRESHOLD:
        threshold = _THRESHOLD_OF_A_THREAD * faiss.omp_get_max_threads()
        faiss.cvar.distance_compute_blas_threshold = min(threshold, _MANY_CORES_THRESHOLD - 1)
    return faiss
