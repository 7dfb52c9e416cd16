"""The dense index over LanceDB: KnowledgeIndex's interface where a folder, an object store or a cluster holds it.

Every change is one commit of the engine, seen by every handle; there is nothing to save. The engine guards its own
bytes: unlike KnowledgeIndex this index has no hashes of them (`verify` checks what they say).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from ..columns import Filter, make_schema
from ..duplicates import DuplicatePolicy, check_policy, choose_rows
from ..embedding_checks import check_items, check_questions, check_vectors
from ..errors import IndexCorruptError, IndexLockedError
from ..identifiers import check_ids, hash_ids
from ..knowledge_index import SearchHit
from ..manifest import IndexManifest
from ..search_kinds import choose_kind
from .rows import batch_rows, take_vectors
from .searching import find_nearest
from .sql import match_filter, match_ids
from .structures import choose_structure, make_lookup, make_structure
from .tables import EnginePlace, change_table, check_same, create_table, open_table

__all__ = ["EngineIndex"]

_IDS_AT_ONCE = 1 << 13
_COMPACT_ATTEMPTS = 5

Items = tuple[Sequence[str], Any, Mapping[str, Sequence[Any]] | None]


class EngineIndex:
    """Ids and embeddings of knowledge items in a table of LanceDB, searched by inner product.

    Made by `create` or `open`, not by the constructor. Items have one vector each. What differs from KnowledgeIndex:
    changes are stored at once and by several processes at a time; ids have no order; filters are mappings.

    Args:
        place: where the table is.
        table: of the engine.
        manifest: as stored in it.

    Example:
        >>> manifest = IndexManifest(model_id="tower", model_fingerprint="ab12", embedding_dim=2)
        >>> index = EngineIndex.create("my_engine", manifest)  # doctest: +SKIP
        >>> index.add(["red", "blue"], np.array([[1.0, 0.0], [0.6, 0.8]]))  # doctest: +SKIP
        2
        >>> EngineIndex.open("my_engine").search(np.array([[0.0, 1.0]]), k=1)  # doctest: +SKIP
        [[SearchHit(id='blue', score=0.8)]]
    """

    def __init__(self, place: EnginePlace, table: Any, manifest: IndexManifest) -> None:
        self._place, self._table, self._manifest = place, table, manifest
        self._schema = make_schema(manifest.columns)

    @classmethod
    def create(
        cls,
        uri: str,
        manifest: IndexManifest,
        *,
        table: str = "knowledge",
        items: Iterable[Items] = (),
        storage_options: Mapping[str, str] | None = None,
        refresh_seconds: float = 0.0,
    ) -> EngineIndex:
        """Make an index; it appears with all its first items or not at all.

        Args:
            uri: a folder, an object store such as "s3://bucket/folder", or a cluster such as "db://name".
            manifest: which model made the embeddings, and their form.
            table: the table's name there.
            items: batches of ids, embeddings and columns (or None) as `add` takes them; no id twice.
            storage_options: credentials, region and the like, as the engine takes them.
            refresh_seconds: for how long this handle may not see what others changed; 0 looks before each call.

        Raises:
            FileExistsError: when there is a table of that name.
            ValueError: when items have several vectors each, an id is there twice, or as `add` says.
            ImportError: when LanceDB is not installed.
        """
        if manifest.max_vectors > 1:
            raise ValueError(
                f"The engine holds one vector of an item, this index takes up to {manifest.max_vectors}: its search "
                "over several is by cosine, not by the largest inner product. Use KnowledgeIndex."
            )
        choose_structure(manifest.search, 1 << 40, manifest.embedding_dim)
        stored = dataclasses.replace(manifest, index_id=IndexManifest.new_id())
        place = EnginePlace(str(uri), table, dict(storage_options or {}), refresh_seconds)
        return cls(place, create_table(place, stored, lambda schema: _check_batches(items, stored, schema)), stored)

    @classmethod
    def open(
        cls,
        uri: str,
        *,
        table: str = "knowledge",
        expected: Mapping[str, Any] | None = None,
        storage_options: Mapping[str, str] | None = None,
        refresh_seconds: float = 0.0,
    ) -> EngineIndex:
        """Open an index.

        Args:
            uri, table, storage_options, refresh_seconds: as of `create`.
            expected: manifest fields that must have these values, for example
                {"model_fingerprint": "ab12", "num_items": 1000}; `num_items` is counted, not remembered.

        Raises:
            FileNotFoundError: when there is no such table.
            IndexMismatchError: when a field differs from `expected`; lists both values.
            IndexCorruptError: when the table holds no manifest, or not what its manifest says.
            ImportError: when LanceDB is not installed.
        """
        place = EnginePlace(str(uri), table, dict(storage_options or {}), refresh_seconds)
        index = cls(place, *open_table(place))
        index.manifest.check(expected or {})
        return index

    def __len__(self) -> int:
        return int(self._live().count_rows())

    def __contains__(self, item_id: object) -> bool:
        return isinstance(item_id, str) and bool(self._live().count_rows(match_ids([item_id])))

    @property
    def manifest(self) -> IndexManifest:
        """The description of the index, with the current number of items and of changes."""
        table = self._live()
        return dataclasses.replace(self._manifest, num_items=int(table.count_rows()), generation=int(table.version))

    @property
    def embedding_dim(self) -> int:
        """Dimension of the embeddings."""
        return self._manifest.embedding_dim

    @property
    def ids(self) -> list[str]:
        """The ids of all items, in no order."""
        return [name for names in self.iterate_ids() for name in names]

    def iterate_ids(self) -> Iterator[list[str]]:
        """The ids of all items in batches, in no order."""
        for batch in self._live().search().select(["id"]).to_batches(_IDS_AT_ONCE):
            yield batch.column("id").to_pylist()

    def add(
        self,
        ids: Sequence[str],
        embeddings: Any,
        *,
        columns: Mapping[str, Sequence[Any]] | None = None,
        on_duplicate: DuplicatePolicy = "fail",
    ) -> int:
        """Add items in one commit; everything is checked before anything is changed.

        Args:
            ids, columns, on_duplicate: as of `KnowledgeIndex.add`.
            embeddings: (num_items, embedding_dim), an array or a tensor.

        Returns:
            How many of the given embeddings are now in the index.

        Raises:
            ValueError, TypeError: as of `KnowledgeIndex.add`; also when another process adds the same ids at the same
                moment and the policy is "fail": its items stay, and the others of `ids` are added.
            IndexLockedError: when others change the index so often that the engine gives up; nothing was added.
        """
        check_policy(on_duplicate)
        names, matrix, _, table = check_items(ids, embeddings, columns, self._manifest)
        live = self._live()
        known = set() if on_duplicate == "overwrite" else self._find(names)
        kept = choose_rows(names, [name in known for name in names], on_duplicate)
        if not len(kept):
            return 0
        of_kept = [names[row] for row in kept]
        # An index on the ids would let two processes add the same new id (tried with lancedb 0.40); a scan does not.
        merge = live.merge_insert("id").when_not_matched_insert_all().use_index(False)
        if on_duplicate == "overwrite":
            merge = merge.when_matched_update_all()
        batches = batch_rows(of_kept, matrix[kept], table.take(kept), live.schema)
        with change_table(self._place):
            done = merge.execute(pa.RecordBatchReader.from_batches(live.schema, batches))
        num_written = int(done.num_inserted_rows + done.num_updated_rows)
        if num_written < len(kept) and on_duplicate == "fail":
            raise ValueError(
                f"{len(kept) - num_written} of {len(kept)} ids were added by another process at the same moment: its "
                'items stay, the others were added. Pass on_duplicate="skip" or "overwrite" where several write.'
            )
        return num_written

    def upsert(
        self, ids: Sequence[str], embeddings: Any, *, columns: Mapping[str, Sequence[Any]] | None = None
    ) -> int:
        """Add items, in the place of those that have the same ids: `add(..., on_duplicate="overwrite")`."""
        return self.add(ids, embeddings, columns=columns, on_duplicate="overwrite")

    def delete(self, ids: Sequence[str], *, strict: bool = False) -> list[str]:
        """Remove items and return the ids that were not there; thousands at a time are one commit.

        Their bytes leave the disk with `compact`.

        Raises:
            KeyError: when `strict` and an id is not there; then nothing is removed.
            TypeError: when an id is no text.
            IndexLockedError: when others change the index so often that the engine gives up.
        """
        names = list(dict.fromkeys(check_ids(ids)))
        known = self._find(names)
        unknown = [name for name in names if name not in known]
        if unknown and strict:
            raise KeyError(f"{len(unknown)} ids are not in the index, the first are {unknown[:5]}")
        live = self._live()
        for some in _split([name for name in names if name in known]):
            with change_table(self._place):
                live.delete(match_ids(some))
        return unknown

    def search(self, embeddings: Any, k: int, *, where: Filter | None = None) -> list[list[SearchHit]]:
        """Return the `k` nearest items of each question, best first.

        Below 50,000 items (that match) the search is exact; above, a structure that `compact` built finds candidates,
        and scores are exact all the same. What was added since is searched too, exactly.

        Args:
            embeddings: (num_questions, embedding_dim), an array or a tensor.
            k: at most so many hits per question; fewer items give shorter lists, none empty ones.
            where: which items count: a mapping from column to a value or values, as of `KnowledgeIndex.search`.

        Raises:
            ValueError: when k is below 1, the dimension differs, an embedding is NaN, infinite or zero or has not
                length 1 (in a normalized index), or the filter names an unknown column.
            TypeError: when the filter is no mapping.
        """
        matrix = check_questions(embeddings, k, self._manifest)
        condition = None if where is None else match_filter(where, self._schema)
        live = self._live()
        num_matching = int(live.count_rows(condition))
        if not num_matching or not len(matrix):
            return [[] for _ in matrix]
        settings = choose_structure(self._manifest.search, num_matching, self.embedding_dim)
        # Of few that match, the lists that a structure looks into may hold none.
        is_exact = int(k) >= num_matching or (condition is not None and choose_kind(num_matching) == "exact")
        if is_exact:
            settings = dataclasses.replace(settings, kind="exact")
        found = find_nearest(live, matrix, int(k), condition, settings)
        short = [row for row, hits in enumerate(found) if len(hits) < min(int(k), num_matching)]
        if short and settings.kind != "exact":
            settings = dataclasses.replace(settings, kind="exact")
            for row, hits in zip(short, find_nearest(live, matrix[short], int(k), condition, settings), strict=True):
                found[row] = hits
        return found

    def get(self, ids: Sequence[str]) -> np.ndarray:
        """Return the stored embeddings of items, in the order of `ids`.

        Returns:
            (num_ids, embedding_dim) float32.

        Raises:
            KeyError: when an id is not in the index.
        """
        names = check_ids(ids)
        rows: dict[str, np.ndarray] = {}
        for some in _split(list(dict.fromkeys(names))):
            found = self._live().search().where(match_ids(some)).select(["id", "vector"]).limit(len(some)).to_arrow()
            rows.update(zip(found["id"].to_pylist(), take_vectors(found, self.embedding_dim), strict=True))
        unknown = [name for name in names if name not in rows]
        if unknown:
            raise KeyError(f"{len(unknown)} ids are not in the index, the first are {unknown[:5]}")
        return np.array([rows[name] for name in names], dtype=np.float32).reshape(len(names), self.embedding_dim)

    def compact(self, *, keep_days: float = 7.0, rebuild: bool = False) -> None:
        """Join small files, free the room of what was deleted, and bring search structure and look-ups up to date.

        The structure is made when there are items enough, and made anew when more are outside it than inside.

        Args:
            keep_days: changes older than this cannot be gone back to, and their bytes are freed; a process that reads
                at the same time needs what it reads.
            rebuild: make the structure anew whatever it holds.

        Raises:
            IndexLockedError: when others change the index so often that it cannot be done; searches are right as ever.
        """
        for attempt in range(_COMPACT_ATTEMPTS):
            try:
                with change_table(self._place):
                    self._compact(keep_days, rebuild)
                return
            except IndexLockedError:
                if attempt == _COMPACT_ATTEMPTS - 1:
                    raise

    def verify(self) -> int:
        """Read every item and check that ids are there once and embeddings are numbers of the right length.

        Returns:
            How many items there are.

        Raises:
            IndexCorruptError: when it is not so.
        """
        hashes, num_items = [np.empty(0, dtype="<u8")], 0
        for batch in self._live().search().select(["id", "vector"]).to_batches(_IDS_AT_ONCE):
            names = batch.column("id").to_pylist()
            try:
                check_ids(names)
                check_vectors(take_vectors(batch, self.embedding_dim), lambda row: repr(names[row]), self._manifest)  # noqa: B023
            except (TypeError, ValueError) as error:
                raise IndexCorruptError(f"{self._place}: {error}") from error
            hashes.append(hash_ids(names))
            num_items += len(names)
        num_ids = len(np.unique(np.concatenate(hashes)))
        if num_ids != num_items:
            raise IndexCorruptError(f"{self._place} has {num_items} items of {num_ids} different ids. Build it again.")
        return num_items

    def _live(self) -> Any:
        """The table, checked to be the one that was opened."""
        check_same(self._table, self._manifest, self._place)
        return self._table

    def _compact(self, keep_days: float, rebuild: bool) -> None:
        live = self._live()
        settings = choose_structure(self._manifest.search, int(live.count_rows()), self.embedding_dim)
        made = {index.columns[0]: index for index in live.list_indices()}
        for column in set(live.schema.names) - set(made) - {"vector"}:
            live.create_index(column, config=make_lookup())
        old = made.get("vector")
        if settings.kind != "exact":
            kind, description = make_structure(settings, self.embedding_dim)
            if rebuild or old is None or old.index_type != kind or old.num_unindexed_rows > old.num_indexed_rows:
                live.create_index("vector", config=description, replace=True)
        elif old is not None:
            live.drop_index(old.name)
        live.optimize(cleanup_older_than=timedelta(days=keep_days))

    def _find(self, names: Sequence[str]) -> set[str]:
        found: set[str] = set()
        for some in _split(names):
            rows = self._live().search().where(match_ids(some)).select(["id"]).limit(len(some)).to_arrow()
            found.update(rows["id"].to_pylist())
        return found


def _split(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), _IDS_AT_ONCE):
        yield names[start : start + _IDS_AT_ONCE]


def _check_batches(items: Iterable[Items], manifest: IndexManifest, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Check first items batch by batch; eight bytes of each id are kept."""
    hashes, num_items = [np.empty(0, dtype="<u8")], 0
    for ids, embeddings, columns in items:
        names, matrix, _, table = check_items(ids, embeddings, columns, manifest)
        hashes.append(hash_ids(names))
        num_items += len(names)
        yield from batch_rows(names, matrix, table, schema)
    if len(np.unique(np.concatenate(hashes))) != num_items:
        raise ValueError("An id is given twice among the first items. Make ids unique; nothing was created.")
