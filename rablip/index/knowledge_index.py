"""The dense index: ids, embeddings and columns of knowledge items, searched by inner product, verified when read.

It knows vectors and ids, nothing of models, pictures or texts. It is made of segments (segments.py): a stored one
never changes; what is added becomes a new one, and what is deleted is marked in a mask, so that every change is one
rename.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from .columns import Filter, check_filter, make_schema
from .commits import commit, open_parts
from .duplicates import DuplicatePolicy, check_policy, choose_rows
from .embedding_checks import check_items, check_questions
from .exact_search import merge_results
from .identifiers import check_ids
from .manifest import IndexManifest
from .parts import IndexPart, count_up, delete_rows, find_rows, hash_live_ids
from .segments import MemorySegment

__all__ = ["DuplicatePolicy", "KnowledgeIndex", "SearchHit"]

# Numbers of hits that two parts of an index can never share.
_PART_SHIFT = 40


class SearchHit(NamedTuple):
    """One item that a search found: its id and its score (inner product; higher is nearer)."""

    id: str
    score: float


# A search makes thousands: the constructor of a NamedTuple is a call of Python for each.
_make_hit = partial(tuple.__new__, SearchHit)


class KnowledgeIndex:
    """Ids and embeddings of knowledge items, searched by inner product.

    Made by `create` or `load`, not by the constructor. Ids are texts. An item may have several vectors
    (`manifest.max_vectors`): its score is the largest of theirs. Changes are made in memory; `save` writes what is new
    of them, and the index on disk is the old or the new one at any moment.

    Args:
        manifest: which model made the embeddings, and their form.

    Example:
        >>> manifest = IndexManifest(model_id="tower", model_fingerprint="ab12", embedding_dim=2)
        >>> index = KnowledgeIndex.create(manifest)
        >>> index.add(["red", "blue"], np.array([[1.0, 0.0], [0.6, 0.8]]))
        2
        >>> [[(hit.id, round(hit.score, 1)) for hit in hits] for hits in index.search(np.array([[0.0, 1.0]]), k=5)]
        [[('blue', 0.8), ('red', 0.0)]]
    """

    def __init__(self, manifest: IndexManifest, parts: Sequence[IndexPart] = (), folder: Path | None = None) -> None:
        self._manifest = manifest
        self._schema = make_schema(manifest.columns)
        self._parts = list(parts)
        self._folder = folder
        self._num_changes = 0

    @classmethod
    def create(cls, manifest: IndexManifest) -> KnowledgeIndex:
        """Return an empty index for the embeddings that `manifest` describes."""
        return cls(dataclasses.replace(manifest, segments=(), files={}, num_items=0))

    def __len__(self) -> int:
        return sum(part.num_items for part in self._parts)

    def __contains__(self, item_id: object) -> bool:
        return isinstance(item_id, str) and bool(find_rows(self._parts, [item_id])[1][0] >= 0)

    @property
    def manifest(self) -> IndexManifest:
        """The description of the index, with the current number of items."""
        return dataclasses.replace(self._manifest, num_items=len(self))

    @property
    def embedding_dim(self) -> int:
        """Dimension of the embeddings."""
        return self._manifest.embedding_dim

    @property
    def state(self) -> tuple[str, int, int]:
        """What tells its content from that of another time: its id, its generation, and the changes since then."""
        return self._manifest.index_id, self._manifest.generation, self._num_changes

    @property
    def ids(self) -> list[str]:
        """The ids of all items, in the order in which they were added."""
        return [name for names in self.iterate_ids() for name in names]

    def iterate_ids(self) -> Iterator[list[str]]:
        """The ids of all items in batches, in the order in which they were added."""
        for part in self._parts:
            for rows in part.iterate_rows():
                yield part.segment.ids.take(rows)

    def hash_ids(self) -> np.ndarray:
        """(num_items,) uint64, the sorted hashes of all ids: what two sets of ids are compared by, without the ids."""
        return hash_live_ids(self._parts)

    def add(
        self,
        ids: Sequence[str],
        embeddings: Any,
        *,
        columns: Mapping[str, Sequence[Any]] | None = None,
        on_duplicate: DuplicatePolicy = "fail",
    ) -> int:
        """Add items; everything is checked before anything is changed.

        Args:
            ids: one text per item.
            embeddings: (num_items, embedding_dim), an array or a tensor; or, for several vectors an item,
                (num_items, num_vectors, embedding_dim), where a vector of zeros is none.
            columns: values to filter by, one per item, by the names of `manifest.columns`; None is no value.
            on_duplicate: for an id that is in the index or twice in `ids`: "fail" raises, "skip" keeps the first,
                "overwrite" keeps the last.

        Returns:
            How many of the given embeddings are now in the index.

        Raises:
            ValueError: when counts or the dimension differ, an embedding is NaN, infinite or zero or has not length 1
                (in a normalized index), an item has no vector or more than `manifest.max_vectors`, an id is blank, a
                column is unknown, or an id is there already and the policy is "fail".
            TypeError: when an id is no text, or a value does not fit its column.
        """
        check_policy(on_duplicate)
        names, matrix, counts, table = check_items(ids, embeddings, columns, self._manifest)
        of_parts, places = find_rows(self._parts, names)
        kept = choose_rows(names, places >= 0, on_duplicate)
        if not len(kept):
            return 0
        delete_rows(self._parts, of_parts[kept], places[kept])
        ends = np.cumsum(counts)
        chosen = [vector for row in kept for vector in range(int(ends[row]) - counts[row], int(ends[row]))]
        of_kept = [names[row] for row in kept]
        self._append(of_kept, matrix[chosen], [counts[row] for row in kept], table.take(kept))
        self._num_changes += 1
        return len(kept)

    def upsert(
        self, ids: Sequence[str], embeddings: Any, *, columns: Mapping[str, Sequence[Any]] | None = None
    ) -> int:
        """Add items, in the place of those that have the same ids: `add(..., on_duplicate="overwrite")`."""
        return self.add(ids, embeddings, columns=columns, on_duplicate="overwrite")

    def delete(self, ids: Sequence[str], *, strict: bool = False) -> list[str]:
        """Remove items and return the ids that were not there.

        Raises:
            KeyError: when `strict` and an id is not there; then nothing is removed.
            TypeError: when an id is no text.
        """
        names = list(dict.fromkeys(check_ids(ids)))
        of_parts, rows = find_rows(self._parts, names)
        unknown = [name for name, row in zip(names, rows, strict=True) if row < 0]
        if unknown and strict:
            raise KeyError(f"{len(unknown)} ids are not in the index, the first are {unknown[:5]}")
        delete_rows(self._parts, of_parts, rows)
        self._num_changes += len(unknown) < len(names)
        return unknown

    def search(self, embeddings: Any, k: int, *, where: Filter | None = None) -> list[list[SearchHit]]:
        """Return the `k` nearest items of each question, best first.

        Args:
            embeddings: (num_questions, embedding_dim), an array or a tensor.
            k: at most so many hits per question; fewer items give shorter lists, none empty ones.
            where: which items count, by their columns: {"modality": "text", "year": [1889, 1890]}, or an expression
                such as `pyarrow.compute.field("year") > 1990`. Items are left out before the search: as many as match
                are found.

        Raises:
            ValueError: when k is below 1, the dimension differs, an embedding is NaN, infinite or zero or has not
                length 1 (in a normalized index), or the filter names an unknown column.
            IndexCorruptError: when a block of a file that is read for the first time was altered.
        """
        matrix = check_questions(embeddings, k, self._manifest)
        expression = None if where is None else check_filter(where, self._schema)
        if not len(self) or not len(matrix):
            return [[] for _ in matrix]
        # Each item before the k-th may fill max_vectors places.
        places = (min(int(k), len(self)) - 1) * self._manifest.max_vectors + 1
        results = []
        for number, part in enumerate(self._parts):
            found = part.search(matrix, places, expression)
            if found is not None:
                results.append((found[0], np.where(found[1] < 0, -1, found[1] + (number << _PART_SHIFT))))
        if not results:
            return [[] for _ in matrix]
        return self._name_hits(*merge_results(results, places), int(k))

    def get(self, ids: Sequence[str]) -> np.ndarray:
        """Return the stored embeddings of items, in the order of `ids`.

        Returns:
            (num_ids, embedding_dim) float32; where an item may have several vectors (num_ids, max_vectors,
            embedding_dim), filled up with zeros.

        Raises:
            KeyError: when an id is not in the index.
        """
        names = check_ids(ids)
        of_parts, rows = find_rows(self._parts, names)
        unknown = [name for name, row in zip(names, rows, strict=True) if row < 0]
        if unknown:
            raise KeyError(f"{len(unknown)} ids are not in the index, the first are {unknown[:5]}")
        most = self._manifest.max_vectors
        embeddings = np.zeros((len(names), most, self.embedding_dim), dtype=np.float32)
        for number, part in enumerate(self._parts):
            asked = np.flatnonzero(of_parts == number)
            vectors, counts = part.gather(rows[asked])
            embeddings[np.repeat(asked, counts), count_up(counts)] = vectors
        return embeddings if most > 1 else embeddings[:, 0]

    def save(self, folder: str | Path, *, items_folders: Sequence[str] | None = None) -> IndexManifest:
        """Save into a folder, so that a crash at any point leaves the old index or the new one.

        Into the folder that it was loaded from or saved to only what changed is written. An index of another origin
        that is there is replaced.

        Args:
            folder: made where it does not exist.
            items_folders: the parts of the knowledge base inside `folder`; their files enter the manifest. None keeps
                those of the manifest that lie in `folder`.

        Returns:
            The manifest as saved.

        Raises:
            IndexLockedError: when another process is changing the index, or has changed it since it was loaded.
            OSError: when the disk is full or the folder read-only; says how many bytes are needed.
        """
        self._manifest, self._parts = commit(self, Path(folder), items_folders)
        self._folder = Path(folder).resolve()
        self._num_changes = 0
        return self._manifest

    @classmethod
    def load(
        cls, folder: str | Path, *, expected: Mapping[str, Any] | None = None, verify: bool | None = None
    ) -> KnowledgeIndex:
        """Load an index; vectors and ids are mapped into memory, and nothing is computed from what is not verified.

        Args:
            folder: where it was saved.
            expected: manifest fields that must have these values, for example
                {"model_fingerprint": "ab12", "embedding_dim": 64}.
            verify: True checks every byte of every file now; False checks each block when it is first read; None
                checks all of an index of up to 1 GiB.

        Raises:
            FileNotFoundError: when the folder is no index, or its build did not end.
            IndexMismatchError: when a field differs from `expected`; lists both values.
            IndexCorruptError: when a file is missing, truncated or altered; names it.
        """
        manifest, parts = open_parts(Path(folder), expected=expected, verify=verify)
        return cls(manifest, parts, Path(folder).resolve())

    @property
    def parts(self) -> Sequence[IndexPart]:
        """The segments of the index, with what of them is deleted."""
        return tuple(self._parts)

    @property
    def folder(self) -> Path | None:
        """Where it was loaded from or saved to last; None for an index in memory."""
        return self._folder

    def _append(self, names: list[str], vectors: np.ndarray, counts: list[int], columns: pa.Table) -> None:
        segment = self._parts[-1].segment if self._parts else None
        if not isinstance(segment, MemorySegment):
            segment = MemorySegment(self.embedding_dim, self._schema)
            self._parts.append(IndexPart(segment))
        segment.append(names, vectors, counts, columns)
        self._parts[-1].grow()

    def _name_hits(self, scores: np.ndarray, numbers: np.ndarray, k: int) -> list[list[SearchHit]]:
        names = self._take_names(numbers.ravel())
        hits = list(map(_make_hit, zip(names, scores.ravel().tolist(), strict=True)))
        # What is missing stands at the end of a row.
        starts = range(0, len(hits), numbers.shape[1])
        rows = [
            hits[start : start + count]
            for start, count in zip(starts, (numbers >= 0).sum(axis=1).tolist(), strict=True)
        ]
        if self._manifest.max_vectors == 1:
            return rows
        found = []
        for row in rows:
            best: dict[str, SearchHit] = {}
            for hit in row:
                if len(best) < k:
                    best.setdefault(hit.id, hit)
            found.append(list(best.values()))
        return found

    def _take_names(self, numbers: np.ndarray) -> list[str]:
        """The id of every hit, a blank where there is none."""
        if len(self._parts) == 1 and len(numbers) and numbers.min() >= 0:
            return self._parts[0].segment.ids.take(numbers)
        names = np.full(len(numbers), "", dtype=object)
        for number, part in enumerate(self._parts):
            places = np.flatnonzero((numbers >= 0) & (numbers >> _PART_SHIFT == number))
            if len(places):
                names[places] = part.segment.ids.take(numbers[places] & ((1 << _PART_SHIFT) - 1))
        found: list[str] = names.tolist()
        return found
