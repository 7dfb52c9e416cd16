"""The dense index: ids and embeddings of knowledge items, exact search by inner product, saved so that it is verified.

It knows vectors and ids, nothing of models, pictures or texts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from .. import __version__
from .errors import IndexCorruptError
from .manifest import FileRecord, IndexManifest
from .storage import check_ids, import_faiss, read_ids, read_vectors, write_ids, write_vectors

__all__ = ["KnowledgeIndex", "SearchHit"]

DuplicatePolicy = Literal["fail", "skip", "overwrite"]

_POLICIES = ("fail", "skip", "overwrite")
_LENGTH_TOLERANCE = 1e-2  # what bf16 does to a vector of length 1


class SearchHit(NamedTuple):
    """One item that a search found: its id and its score (inner product; higher is nearer)."""

    id: str
    score: float


class KnowledgeIndex:
    """Ids and embeddings of knowledge items, searched exactly by inner product.

    Made by `create` or `load`, not by the constructor. Ids are texts; FAISS's own whole-number ids are never shown
    and never used twice, so that a deleted item cannot come back as another one. An item may have several vectors
    (`manifest.max_vectors`): its score is the largest of theirs.

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

    def __init__(self, manifest: IndexManifest, vectors: Any, internal_ids: dict[str, range], next_id: int) -> None:
        self._manifest = manifest
        self._vectors = vectors
        self._internal_ids = internal_ids
        self._ids = {number: item_id for item_id, numbers in internal_ids.items() for number in numbers}
        self._next_id = next_id

    @classmethod
    def create(cls, manifest: IndexManifest) -> KnowledgeIndex:
        """Return an empty index for the embeddings that `manifest` describes."""
        faiss = import_faiss()
        return cls(manifest, faiss.IndexIDMap2(faiss.IndexFlatIP(manifest.embedding_dim)), {}, 0)

    def __len__(self) -> int:
        return len(self._internal_ids)

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._internal_ids

    @property
    def manifest(self) -> IndexManifest:
        """The description of the index, with the current number of items."""
        return dataclasses.replace(self._manifest, num_items=len(self))

    @property
    def embedding_dim(self) -> int:
        """Dimension of the embeddings."""
        return self._manifest.embedding_dim

    @property
    def ids(self) -> list[str]:
        """The ids of all items, in the order in which they were added."""
        return list(self._internal_ids)

    def add(self, ids: Sequence[str], embeddings: Any, *, on_duplicate: DuplicatePolicy = "fail") -> int:
        """Add items; everything is checked before anything is changed.

        Args:
            ids: one text per item.
            embeddings: (num_items, embedding_dim), an array or a tensor; or, for several vectors an item,
                (num_items, num_vectors, embedding_dim), where a vector of zeros is none.
            on_duplicate: for an id that is in the index or twice in `ids`: "fail" raises, "skip" keeps the first,
                "overwrite" keeps the last.

        Returns:
            How many of the given embeddings are now in the index.

        Raises:
            ValueError: when counts or the dimension differ, an embedding is NaN, infinite or zero or has not length 1
                (in a normalized index), an item has no vector or more than `manifest.max_vectors`, an id is blank, or
                an id is there already and the policy is "fail".
            TypeError: when an id is no text.
        """
        if on_duplicate not in _POLICIES:
            raise ValueError(f"on_duplicate must be one of {', '.join(_POLICIES)}, got {on_duplicate!r}.")
        names = check_ids(ids)
        matrix, counts = self._flatten_vectors(embeddings)
        if len(names) != len(counts):
            raise ValueError(f"There are {len(names)} ids but {len(counts)} embeddings. Give one embedding per id.")
        of_names = [name for name, count in zip(names, counts, strict=True) for _ in range(count)]
        self._check_vectors(matrix, [f"item {name!r}" for name in of_names])
        self._check_counts(names, counts)
        rows: dict[str, int] = {}
        repeated = []
        for row, name in enumerate(names):
            if name in rows or name in self._internal_ids:
                repeated.append(name)
                if on_duplicate != "overwrite":
                    continue
            rows[name] = row
        if repeated and on_duplicate == "fail":
            shown = list(dict.fromkeys(repeated))
            raise ValueError(
                f"{len(shown)} ids are in the index already or given twice, the first are {shown[:5]}. Make ids "
                'unique, or pass on_duplicate="skip" or "overwrite".'
            )
        if not rows:
            return 0
        self.delete([name for name in rows if name in self._internal_ids])
        ends = np.cumsum(counts)
        kept: list[int] = []
        for name, row in rows.items():
            numbers = range(self._next_id, self._next_id + counts[row])
            kept += range(int(ends[row]) - counts[row], int(ends[row]))
            self._internal_ids[name] = numbers
            self._ids.update(dict.fromkeys(numbers, name))
            self._next_id = numbers.stop
        internal = np.arange(self._next_id - len(kept), self._next_id, dtype=np.int64)
        self._vectors.add_with_ids(np.ascontiguousarray(matrix[kept]), internal)
        return len(rows)

    def delete(self, ids: Sequence[str], *, strict: bool = False) -> list[str]:
        """Remove items and return the ids that were not there.

        Raises:
            KeyError: when `strict` and an id is not there; then nothing is removed.
            TypeError: when an id is no text.
        """
        names = list(dict.fromkeys(check_ids(ids)))
        unknown = [name for name in names if name not in self._internal_ids]
        if unknown and strict:
            raise KeyError(f"{len(unknown)} ids are not in the index, the first are {unknown[:5]}")
        gone = [name for name in names if name in self._internal_ids]
        if gone:
            internal = [number for name in gone for number in self._internal_ids.pop(name)]
            self._vectors.remove_ids(np.array(internal, dtype=np.int64))
            for number in internal:
                del self._ids[number]
        return unknown

    def search(self, embeddings: Any, k: int) -> list[list[SearchHit]]:
        """Return the `k` nearest items of each question, best first.

        Args:
            embeddings: (num_questions, embedding_dim), an array or a tensor.
            k: at most so many hits per question; a smaller index gives shorter lists, an empty one empty lists.

        Raises:
            ValueError: when k is below 1, the dimension differs, or an embedding is NaN, infinite or zero or has not
                length 1 (in a normalized index).
        """
        if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
            raise ValueError(f"k must be a whole number of at least 1, got {k!r}.")
        matrix = self._check_matrix(embeddings)
        self._check_vectors(matrix, [f"question {row}" for row in range(len(matrix))])
        if not len(self) or not len(matrix):
            return [[] for _ in matrix]
        # Each item before the k-th may fill max_vectors places.
        places = (min(int(k), len(self)) - 1) * self._manifest.max_vectors + 1
        scores, internal = self._vectors.search(matrix, min(places, len(self._ids)))
        found = []
        for row, numbers in zip(scores.tolist(), internal.tolist(), strict=True):
            best: dict[str, float] = {}
            for score, number in zip(row, numbers, strict=True):
                if number >= 0 and len(best) < k:
                    best.setdefault(self._ids[number], score)
            found.append([SearchHit(name, score) for name, score in best.items()])
        return found

    def get(self, ids: Sequence[str]) -> np.ndarray:
        """Return the stored embeddings of items, in the order of `ids`.

        Returns:
            (num_ids, embedding_dim) float32; where an item may have several vectors (num_ids, max_vectors,
            embedding_dim), filled up with zeros.

        Raises:
            KeyError: when an id is not in the index.
        """
        names = check_ids(ids)
        unknown = [name for name in names if name not in self._internal_ids]
        if unknown:
            raise KeyError(f"{len(unknown)} ids are not in the index, the first are {unknown[:5]}")
        most = self._manifest.max_vectors
        embeddings = np.zeros((len(names), most, self.embedding_dim), dtype=np.float32)
        for row, name in enumerate(names):
            for place, number in enumerate(self._internal_ids[name]):
                embeddings[row, place] = self._vectors.reconstruct(number)
        return embeddings if most > 1 else embeddings[:, 0]

    def save(self, folder: str | Path, *, items_folder: str | None = None) -> IndexManifest:
        """Save into a folder, so that a crash at any point leaves the old index or the new one.

        Vectors and ids get file names of their own content; the manifest that names them is renamed into place last,
        and files that no manifest names any more are then removed.

        Args:
            folder: made where it does not exist.
            items_folder: the knowledge base inside `folder`; its files enter the manifest. None keeps the one of the
                manifest where it lies in `folder`.

        Returns:
            The manifest as saved.

        Raises:
            OSError: when the disk is full or the folder read-only; says how many bytes are needed.
        """
        target = Path(folder)
        num_bytes = len(self._ids) * (4 * self.embedding_dim + 8)
        try:
            target.mkdir(parents=True, exist_ok=True)
            vectors = write_vectors(target, self._vectors)
            ids = write_ids(target, self._internal_ids, self._next_id)
            files = {path.name: FileRecord.of(path) for path in (vectors, ids)}
            items, records = self._item_records(target, items_folder)
            manifest = dataclasses.replace(
                self.manifest,
                files={**files, **records},
                items_folder=items,
                rablip_version=__version__,
                created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            )
            manifest.save(target)
        except (OSError, RuntimeError) as error:  # FAISS reports a failed write as a RuntimeError
            _remove_unnamed(target)
            raise OSError(
                f"The index could not be saved in {target}; it needs about {num_bytes} bytes there, and an index that "
                f"was there before is as it was: {error}"
            ) from error
        self._manifest = manifest
        _remove_unnamed(target)
        return manifest

    @classmethod
    def load(cls, folder: str | Path, *, expected: Mapping[str, Any] | None = None) -> KnowledgeIndex:
        """Load an index; size and hash of every file are checked before FAISS reads a byte.

        Args:
            folder: where it was saved.
            expected: manifest fields that must have these values, for example
                {"model_fingerprint": "ab12", "embedding_dim": 64}.

        Raises:
            FileNotFoundError: when the folder is no index, or its build did not end.
            IndexMismatchError: when a field differs from `expected`; lists both values.
            IndexCorruptError: when a file is missing, truncated or altered; names it.
        """
        source = Path(folder)
        manifest = IndexManifest.load(source)
        manifest.check(expected or {})
        manifest.verify_files(source)
        vectors = read_vectors(source, manifest)
        internal_ids, next_id = read_ids(source, manifest)
        stored = import_faiss().vector_to_array(vectors.id_map).tolist()
        known = sorted(number for numbers in internal_ids.values() for number in numbers)
        if len(internal_ids) != manifest.num_items or sorted(stored) != known:
            raise IndexCorruptError(
                f"{source}: the manifest says {manifest.num_items} items, there are {len(internal_ids)} ids with "
                f"{len(known)} vectors and {len(stored)} vectors, or they are different ones. Build the index again."
            )
        return cls(manifest, vectors, internal_ids, next_id)

    def _item_records(self, target: Path, items_folder: str | None) -> tuple[str | None, dict[str, FileRecord]]:
        if items_folder is not None:
            paths = sorted(path for path in (target / items_folder).rglob("*") if path.is_file())
            return items_folder, {path.relative_to(target).as_posix(): FileRecord.of(path) for path in paths}
        kept = self._manifest.items_folder
        if kept is None or not (target / kept).is_dir():
            return None, {}
        # The hashes made when the items were written stay: measuring again would declare a damaged file whole.
        return kept, {name: entry for name, entry in self._manifest.files.items() if name.startswith(f"{kept}/")}

    def _flatten_vectors(self, embeddings: Any) -> tuple[np.ndarray, list[int]]:
        """All vectors of all items, one a row, and how many each item has."""
        array = _as_array(embeddings)
        if array.ndim != 3:
            return self._check_matrix(array), [1] * len(array)
        present = (array != 0).any(axis=2)
        return self._check_matrix(array[present]), present.sum(axis=1).tolist()

    def _check_counts(self, names: Sequence[str], counts: Sequence[int]) -> None:
        most = self._manifest.max_vectors
        for name, count in zip(names, counts, strict=True):
            if not 1 <= count <= most:
                raise ValueError(f"Item {name!r} has {count} vectors; this index takes 1 to {most} of each item.")

    def _check_matrix(self, embeddings: Any) -> np.ndarray:
        matrix = _as_array(embeddings)
        if matrix.ndim != 2 or matrix.shape[1] != self.embedding_dim:
            raise ValueError(
                f"embeddings must have the shape (rows, {self.embedding_dim}) of this index (built by "
                f"{self._manifest.model_id}), got {np.shape(embeddings)}."
            )
        return matrix

    def _check_vectors(self, matrix: np.ndarray, names: Sequence[str]) -> None:
        lengths = np.linalg.norm(matrix.astype(np.float64), axis=1)
        broken = ~np.isfinite(lengths) | (lengths == 0)
        if broken.any():
            rows = np.flatnonzero(broken)
            raise ValueError(
                f"{len(rows)} embeddings are NaN, infinite or zero: {', '.join(names[row] for row in rows[:5])}. The "
                "model's weights or inputs are broken; nothing was added or searched."
            )
        if self._manifest.normalized and (np.abs(lengths - 1) > _LENGTH_TOLERANCE).any():
            row = int(np.argmax(np.abs(lengths - 1)))
            raise ValueError(
                f"This index holds embeddings of length 1, but {names[row]} has length {lengths[row]:.4g}. Divide "
                "each embedding by its length."
            )


def _as_array(embeddings: Any) -> np.ndarray:
    if hasattr(embeddings, "detach"):  # a tensor, possibly on a device or in bf16, which numpy does not know
        embeddings = embeddings.detach().float().cpu().numpy()
    return np.ascontiguousarray(embeddings, dtype=np.float32)


def _remove_unnamed(folder: Path) -> None:
    """Remove vectors and ids that the manifest in place does not name: of an older save, or of one that failed."""
    try:
        named = set(IndexManifest.load(folder).files)
    except (OSError, ValueError):
        return
    for path in (*folder.glob("vectors-*.faiss"), *folder.glob("ids-*.json")):
        if path.name not in named:
            path.unlink(missing_ok=True)
