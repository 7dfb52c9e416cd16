"""How vectors are searched: exactly, or by a structure of FAISS with its parameters, chosen by size."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

__all__ = ["KINDS", "SearchKind", "SearchSettings", "choose_kind"]

SearchKind = Literal["auto", "exact", "hnsw", "ivf", "ivf_rabitq", "ivf_pq"]
KINDS: tuple[str, ...] = get_args(SearchKind)

# Below this there is too little to train a structure on, whatever the kind asked for.
_STRUCTURE_ROWS = 1000
# Below this an exact search of a question takes a few milliseconds, and nothing is gained by a structure.
_EXACT_ROWS = 50_000
# Up to this the links of HNSW (about 270 bytes an item beside its codes) are worth their memory.
_HNSW_ROWS = 2_000_000


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """How vectors are searched.

    Every kind but "exact" finds `k * k_factor` candidates by compressed vectors and takes the best `k` of them by
    their exact inner products, so that scores are exact always and only which items are found may differ.

    Args:
        kind: "exact"; "hnsw", a graph over 8-bit codes: fastest, most memory; "ivf", lists of 8-bit codes;
            "ivf_rabitq", lists of 1-bit codes: least memory; "ivf_pq", lists of product-quantised codes; "auto", by
            size.
        num_lists: lists of the IVF kinds; 0 for one by size.
        num_probes: lists looked into; 0 for a number by `num_lists`.
        ef_search: candidates that HNSW keeps in view.
        k_factor: how many times `k` candidates are refined.

    Raises:
        ValueError: when the kind is unknown or a number is out of its range.

    Example:
        >>> SearchSettings(kind="ivf").resolve(1_000_000).num_lists
        4000
    """

    kind: SearchKind = "auto"
    num_lists: int = 0
    num_probes: int = 0
    ef_search: int = 96
    k_factor: int = 10

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {self.kind!r}.")
        for name, least in (("num_lists", 0), ("num_probes", 0), ("ef_search", 1), ("k_factor", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}.")

    def resolve(self, num_vectors: int) -> SearchSettings:
        """The settings for so many vectors, without "auto" and zeros; of fewer than 1,000 "exact" always."""
        kind = choose_kind(num_vectors) if self.kind == "auto" else self.kind
        if num_vectors < _STRUCTURE_ROWS:
            kind = "exact"
        if not kind.startswith("ivf"):
            return dataclasses.replace(self, kind=kind)
        # Lists of about 4 * sqrt(n) vectors keep both the choice of lists and the lists themselves short.
        num_lists = self.num_lists or max(1, min(round(4 * math.sqrt(num_vectors)), num_vectors // 39))
        num_probes = min(self.num_probes or max(1, num_lists // 64), num_lists)
        return dataclasses.replace(self, kind=kind, num_lists=num_lists, num_probes=num_probes)

    def factory(self, embedding_dim: int) -> str:
        """FAISS's description of the structure."""
        codes = {
            "hnsw": "HNSW32,SQ8",
            "ivf": f"IVF{self.num_lists},SQ8",
            "ivf_rabitq": f"IVF{self.num_lists},RaBitQfs",
            "ivf_pq": f"IVF{self.num_lists},PQ{max(1, embedding_dim // 4)}x4fs",
        }
        return codes[self.kind]

    def bytes_per_vector(self, embedding_dim: int) -> int:
        """At most so many bytes of the structure for every vector, beside its centroids."""
        codes = {
            "hnsw": embedding_dim + 32 * 2 * 4 * 2 + 64,
            "ivf": embedding_dim + 8,
            "ivf_rabitq": -(-embedding_dim // 8) + 64,
            "ivf_pq": -(-embedding_dim // 8) + 64,
        }
        return codes[self.kind]


def choose_kind(num_vectors: int) -> Any:
    """The kind for so many vectors: exact where it is fast, then HNSW, then the kind that needs least memory.

    Example:
        >>> choose_kind(1000), choose_kind(1_000_000), choose_kind(100_000_000)
        ('exact', 'hnsw', 'ivf_rabitq')
    """
    if num_vectors < _EXACT_ROWS:
        return "exact"
    return "hnsw" if num_vectors <= _HNSW_ROWS else "ivf_rabitq"
