"""The knowledge base: knowledge items in a table on disk, opened lazily and verified, with their pictures checked."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from tqdm.auto import tqdm

from ..index.checksums import FileRecord
from ..processing.images_rablip import ImageError, load_image
from ..processing.knowledge_rablip import KnowledgeItem
from ..processing.readers_records import Problem
from .errors import KnowledgeBaseError
from .folder import StoredPart, open_part, place_part
from .table import item_to_row, row_to_item
from .visibility import find_visible, has_row

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["KnowledgeBase"]

logger = logging.getLogger(__name__)

_ROWS_AT_ONCE = 4096
_SHOWN = 10
_TEXT_COLUMNS = ("title", "caption", "text")


class KnowledgeBase:
    """Knowledge items on disk, read row by row; pictures are opened one at a time, and ids stay on disk too.

    Made by `write` or `load`, not by the constructor.

    Example:
        >>> import tempfile
        >>> item = KnowledgeItem(id="t1", text="The tower opened in 1889.")
        >>> base, problems = KnowledgeBase.write([item], Path(tempfile.mkdtemp()) / "towers")
        >>> len(base), base["t1"].text, problems
        (1, 'The tower opened in 1889.', [])
    """

    def __init__(self, parts: Sequence[StoredPart], id_hashes: np.ndarray | None = None) -> None:
        self.folder = parts[-1].folder
        self._parts = list(parts)
        self._rows = find_visible([part.table for part in parts], id_hashes)

    @classmethod
    def write(
        cls,
        items: Iterable[KnowledgeItem],
        folder: str | Path,
        *,
        root: str | Path | None = None,
        images: Literal["embed", "reference"] = "embed",
        on_error: Literal["raise", "skip"] = "raise",
        problems: list[Problem] | None = None,
        progress: bool = False,
    ) -> tuple[KnowledgeBase, list[Problem]]:
        """Write items into a new folder as a stream; every picture is fully decoded, so that all bad ones are named.

        Args:
            items: the knowledge items; only a few are in memory at a time.
            folder: must not exist yet, or be empty; it appears as a whole or not at all.
            root: what the items' picture paths are relative to, and confined to.
            images: "embed" copies the picture files into the table, so that the folder can be moved; "reference"
                keeps the paths, and the pictures must stay where they are.
            on_error: "raise" reports all problems in one error and writes nothing; "skip" leaves those items out.
            problems: a list that a reader fills while `items` is read; its entries count like the base's own.
            progress: whether a bar is shown on a terminal.

        Returns:
            The knowledge base, and the problems of the items that were left out.

        Raises:
            KnowledgeBaseError: when an id is there twice, when items have problems and `on_error` is "raise", or
                when no item is left because all have problems.
            FileExistsError: when the folder is not empty.
            OSError: when the disk is full or read-only; nothing is left behind.
        """
        if images not in ("embed", "reference") or on_error not in ("raise", "skip"):
            raise ValueError(
                f'images must be "embed" or "reference" and on_error "raise" or "skip", got {images!r}, {on_error!r}.'
            )
        target = Path(folder).resolve()
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise FileExistsError(f"{target} exists and is not an empty folder. Give another one, or remove it.")
        found: list[Problem] = [] if problems is None else problems
        base = None if root is None else Path(root).resolve()

        def check(num_items: int) -> None:
            if found and (on_error == "raise" or num_items == 0):
                raise KnowledgeBaseError(_describe(found, num_items), found)

        rows = _checked_rows(items, base, images, found, progress)
        place_part(rows, target, images=images, root=base, check=check)
        for problem in found:
            logger.warning("Left out: %s", problem)
        return cls.load(target), found

    @classmethod
    def load(
        cls, *folders: str | Path, root: str | Path | None = None, id_hashes: np.ndarray | None = None
    ) -> KnowledgeBase:
        """Open a knowledge base; no picture is read, and what is read is first compared with its hashes.

        Args:
            folders: where it was written; of several, which belong together, an item's last version counts.
            root: where referenced pictures are now; None for where they were.
            id_hashes: sorted hashes of the ids that are still there (`KnowledgeIndex.hash_ids`); None for all.

        Raises:
            FileNotFoundError: when a folder is no knowledge base.
            KnowledgeBaseError: when its files are damaged; names the folder.
        """
        return cls([open_part(Path(folder), root) for folder in folders], id_hashes)

    def __len__(self) -> int:
        return sum(map(len, self._rows))

    def __contains__(self, item_id: object) -> bool:
        return isinstance(item_id, str) and self._find([item_id])[0] is not None

    @property
    def ids(self) -> list[str]:
        """The ids of all items, in order."""
        return [
            name
            for part, rows in zip(self._parts, self._rows, strict=True)
            for start in range(0, len(rows), _ROWS_AT_ONCE)
            for name in part.table.ids.take(np.asarray(rows[start : start + _ROWS_AT_ONCE]))
        ]

    def hash_ids(self) -> np.ndarray:
        """(num_items,) uint64, the sorted hashes of all ids, as `KnowledgeIndex.hash_ids` gives them."""
        hashes = [
            part.table.ids.hash_rows(None if isinstance(rows, range) else rows)
            for part, rows in zip(self._parts, self._rows, strict=True)
        ]
        return hashes[0] if len(hashes) == 1 else np.sort(np.concatenate(hashes))

    @property
    def files(self) -> dict[str, FileRecord]:
        """The records of all files of a base in one folder, by their names in it."""
        return dict(self._parts[-1].files)

    @property
    def roots(self) -> set[Path]:
        """The folders that the paths of referenced pictures are relative to; none where pictures are in the tables."""
        return {part.root for part in self._parts if part.root is not None}

    @property
    def root(self) -> Path | None:
        """What the paths of referenced pictures are relative to; None where pictures are in the table.

        Raises:
            ValueError: when the parts have different ones.
        """
        if len({part.root for part in self._parts}) > 1:
            raise ValueError(f"The parts of the knowledge base {self.folder} have different folders: {self.roots}.")
        return self._parts[0].root

    def __getitem__(self, item_id: str) -> KnowledgeItem:
        """Return one item by its id.

        Raises:
            KeyError: when there is none.
        """
        place = self._find([item_id])[0] if isinstance(item_id, str) else None
        if place is None:
            raise KeyError(f"There is no knowledge item {str(item_id)[:80]!r} among the {len(self)} of {self.folder}")
        number, row = place
        return row_to_item(self._parts[number].table.read(row))

    def __iter__(self) -> Iterator[KnowledgeItem]:
        return self.iterate()

    def iterate(self, start: int = 0, stop: int | None = None) -> Iterator[KnowledgeItem]:
        """Items in order, from one place to another.

        Args:
            start: the first item's place among all.
            stop: the place after the last; None for the end.
        """
        return map(row_to_item, self._read_rows(start, stop))

    def _read_rows(self, start: int = 0, stop: int | None = None) -> Iterator[dict[str, Any]]:
        first, last = start, len(self) if stop is None else stop
        for part, rows in zip(self._parts, self._rows, strict=True):
            for row in rows[max(first, 0) : max(last, 0)]:
                yield part.table.read(int(row))
            first, last = first - len(rows), last - len(rows)

    def _find(self, ids: Sequence[str]) -> list[tuple[int, int] | None]:
        """The part and the row of every item: of the last part that has its id, where it is visible there."""
        places: list[tuple[int, int] | None] = [None] * len(ids)
        missing = np.arange(len(ids))
        for number in range(len(self._parts) - 1, -1, -1):
            rows = self._parts[number].table.ids.find([ids[place] for place in missing.tolist()])
            for place, row in zip(missing[rows >= 0].tolist(), rows[rows >= 0].tolist(), strict=True):
                if has_row(self._rows[number], row):
                    places[place] = (number, row)
            missing = missing[rows < 0]
        return places

    def read_texts(self, ids: Sequence[str]) -> list[tuple[str | None, str | None, str | None]]:
        """Title, caption and text of items; their pictures, which are most of the table, are not read.

        Raises:
            KeyError: when there is no such item.
        """
        found = []
        for item_id, place in zip(ids, self._find(ids), strict=True):
            if place is None:
                raise KeyError(f"There is no knowledge item {item_id[:80]!r} in {self.folder}")
            number, row = place
            texts = self._parts[number].table.read(row, _TEXT_COLUMNS)
            found.append((texts["title"], texts["caption"], texts["text"]))
        return found

    def open_image(self, item_id: str) -> Image | None:
        """Open the picture of an item, or return None when it has none.

        Raises:
            KeyError: when there is no such item.
            ImageError: when the picture is missing, damaged or outside the root; names item and file.
        """
        return self.open_item_image(self[item_id])

    def open_item_image(self, item: KnowledgeItem) -> Image | None:
        """Open the picture of an item that was read from this knowledge base; like `open_image`."""
        if item.image is None:
            return None
        root = self.root_of(item.id) if item.image.path is not None else None
        try:
            return load_image(item.image, root=root)
        except ImageError as error:
            raise ImageError(f"Knowledge item {item.id!r}: {error}") from error

    def copy(self, folder: str | Path) -> KnowledgeBase:
        """Write the items into a new folder, as they are: no picture is opened.

        Args:
            folder: must not exist yet.

        Raises:
            ValueError: when pictures are referenced in different folders.
            OSError: when the disk is full or read-only; nothing is left behind.
        """
        target = Path(folder).resolve()
        root = self.root
        place_part(self._read_rows(), target, images="embed" if root is None else "reference", root=root)
        return KnowledgeBase.load(target)

    def verify(self) -> None:
        """Check every byte of every file.

        Raises:
            IndexCorruptError: names the file and the bytes that differ.
        """
        for part in self._parts:
            for file in part.table.files:
                file.verify()

    def root_of(self, item_id: str) -> Path | None:
        """What the path of an item's picture is relative to; None where there is no such item, or it has no root."""
        (place,) = self._find([item_id])
        return None if place is None else self._parts[place[0]].root

    def validate(self) -> list[Problem]:
        """Fully decode every picture again and return those that fail.

        Example:
            >>> import tempfile
            >>> base, _ = KnowledgeBase.write([], Path(tempfile.mkdtemp()) / "empty")
            >>> base.validate()
            []
        """
        found = []
        for row in self._read_rows():
            item = row_to_item(row)
            try:
                self.open_item_image(item)
            except ImageError as error:
                found.append(Problem(item.id, _picture_name(row), _cause(error)))
        return found


def _checked_rows(
    items: Iterable[KnowledgeItem], root: Path | None, images: str, problems: list[Problem], progress: bool
) -> Iterator[dict[str, Any]]:
    bar = tqdm(items, desc="reading", unit="item", disable=None if progress else True)
    for item in bar:
        if not isinstance(item, KnowledgeItem):
            raise TypeError(f"A knowledge base holds KnowledgeItem, got {type(item).__name__}.")
        data = path = None
        if item.image is not None:
            data, path = item.image.data, item.image.path
            try:
                load_image(item.image, root=root)
                if path is not None and images == "embed":
                    data = ((root or Path()) / path).read_bytes()
                elif path is not None and root is None:
                    path = str(Path(path).resolve())  # another process has another working folder
            except (ImageError, OSError) as error:
                problems.append(Problem(item.id, item.image.name, _cause(error)))
                bar.set_postfix({"left out": len(problems)})
                continue
        try:
            yield item_to_row(item, image_bytes=data, image_path=path)
        except (TypeError, ValueError) as error:
            raise KnowledgeBaseError(f"The metadata of {item.id!r} cannot be stored as JSON: {error}") from error


def _picture_name(row: Mapping[str, Any]) -> str:
    return row["image_path"] or f"<{len(row['image_bytes'] or b'')} bytes of picture data>"


def _cause(error: BaseException) -> str:
    inner = error.__cause__ if isinstance(error.__cause__, ImageError) else error
    return str(inner)


def _describe(problems: list[Problem], num_items: int) -> str:
    shown = "\n".join(f"  {problem}" for problem in problems[:_SHOWN])
    more = f"\n  and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    if num_items == 0:
        return f"None of the {len(problems)} knowledge items can be used:\n{shown}{more}"
    return (
        f"{len(problems)} of {num_items + len(problems)} knowledge items cannot be used:\n{shown}{more}\n"
        'Repair them, or leave them out with on_error="skip".'
    )
