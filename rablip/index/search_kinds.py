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
# Beyond this a byte of memory an item counts more than time.
_FAST_ROWS = 20_000_000
# Near-duplicates of what is asked lie in many lists: fewer probes lose more of them than they save time.
_LEAST_PROBES = 48
# The best of one hit is missed by coarse codes as easily as the best of five.
_LEAST_HITS = 5
# Lists by the square root of the number of vectors. Where to scan a list is cheap, fewer and longer lists cost less to
# choose and to train; each list also costs 1-bit codes a table of its own.
_LISTS_PER_ROOT = {"ivf": 4, "ivf_rabitq": 2, "ivf_pq": 3}
# By kind, as measured by examples/benchmarks/index.py: what coarser codes miss, more candidates make good.
_K_FACTORS = {"exact": 1, "hnsw": 4, "ivf": 4, "ivf_rabitq": 40, "ivf_pq": 50}


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """How vectors are searched.

    Every kind but "exact" finds `k * k_factor` candidates by compressed vectors (for fewer than five hits as many as
    for five) and takes the best `k` of them by their exact inner products, so that scores are exact always and only
    which items are found may differ. examples/benchmarks/index.py measures the kinds.

    Args:
        kind: "exact"; "ivf_pq", lists of product-quantised codes, two bits a number: fastest; "ivf_rabitq", lists of
            codes of one bit a number: least memory; "ivf", lists of codes of eight bits a number: fewest candidates
            missed; "hnsw", a graph over 8-bit codes: no training, but the longest build and the most memory, and many
            near-duplicates are missed; "auto", by size.
        num_lists: lists of the IVF kinds; 0 for a number by size and kind.
        num_probes: lists looked into; 0 for a number by `num_lists`.
        ef_search: candidates that HNSW keeps in view.
        k_factor: how many times `k` candidates are refined; 0 for a number by kind.

    Raises:
        ValueError: when the kind is unknown or a number is out of its range.

    Example:
        >>> SearchSettings(kind="ivf").resolve(1_000_000).num_lists
        4000
    """

    kind: SearchKind = "auto"
    num_lists: int = 0
    num_probes: int = 0
    ef_search: int = 128
    k_factor: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {self.kind!r}.")
        for name, least in (("num_lists", 0), ("num_probes", 0), ("ef_search", 1), ("k_factor", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}.")

    def resolve(self, num_vectors: int) -> SearchSettings:
        """The settings for so many vectors, without "auto" and zeros; of fewer than 1,000 "exact" always."""
        kind = choose_kind(num_vectors) if self.kind == "auto" else self.kind
        if num_vectors < _STRUCTURE_ROWS:
            kind = "exact"
        settings = dataclasses.replace(self, kind=kind, k_factor=self.k_factor or _K_FACTORS[kind])
        if not kind.startswith("ivf"):
            return settings
        num_lists = self.num_lists or max(
            1, min(round(_LISTS_PER_ROOT[kind] * math.sqrt(num_vectors)), num_vectors // 39)
        )
        num_probes = min(self.num_probes or max(_LEAST_PROBES, num_lists // 64), num_lists)
        return dataclasses.replace(settings, num_lists=num_lists, num_probes=num_probes)

    def count_candidates(self, k: int) -> int:
        """How many candidates are refined for `k` hits; of resolved settings."""
        return max(k, _LEAST_HITS) * self.k_factor

    def factory(self, embedding_dim: int) -> str:
        """FAISS's description of the structure."""
        codes = {
            "hnsw": "HNSW32,SQ8",
            "ivf": f"IVF{self.num_lists},SQ8",
            "ivf_rabitq": f"IVF{self.num_lists},RaBitQfs",
            "ivf_pq": f"IVF{self.num_lists},PQ{_count_parts(embedding_dim)}x4fs",
        }
        return codes[self.kind]

    def bytes_per_vector(self, embedding_dim: int) -> int:
        """At most so many bytes of the structure for every vector, beside its centroids."""
        codes = {
            "hnsw": embedding_dim + 32 * 2 * 4 * 2 + 64,
            "ivf": embedding_dim + 8,
            "ivf_rabitq": -(-embedding_dim // 8) + 64,
            "ivf_pq": -(-embedding_dim // 4) + 64,
        }
        return codes[self.kind]


def choose_kind(num_vectors: int) -> Any:
    """The kind for so many vectors: exact where it is fast, then the fastest, then the one that needs least memory.

    Example:
        >>> choose_kind(1000), choose_kind(1_000_000), choose_kind(100_000_000)
        ('exact', 'ivf_pq', 'ivf_rabitq')
    """
    if num_vectors < _EXACT_ROWS:
        return "exact"
    return "ivf_pq" if num_vectors <= _FAST_ROWS else "ivf_rabitq"


def _count_parts(embedding_dim: int) -> int:
    """Into how many equal parts a vector is cut, each a code of four bits: of two numbers where that goes."""
    return next(parts for parts in range(max(1, embedding_dim // 2), 0, -1) if embedding_dim % parts == 0)
