"""The knowledge base: knowledge items in an Arrow table on disk, opened lazily, with their pictures checked."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .knowledge_table import empty_table, item_to_row, open_table, row_to_item, write_table
from .processing.images_rablip import ImageError, load_image
from .processing.knowledge_rablip import KnowledgeItem
from .processing.readers_records import Problem

if TYPE_CHECKING:
    from datasets import Dataset
    from PIL.Image import Image

__all__ = ["KnowledgeBase", "KnowledgeBaseError", "Problem"]

logger = logging.getLogger(__name__)

FORMAT_VERSION = 1
_STATE_NAME = "knowledge_base.json"
_SHOWN = 10
_TEXT_COLUMNS = ("title", "caption", "text")


class KnowledgeBaseError(ValueError):
    """Items cannot be stored or read; `problems` has every one, the message the first ten.

    Args:
        message: what is wrong.
        problems: the items concerned.

    Example:
        >>> KnowledgeBaseError("no", [Problem("a", "a.png", "missing")]).problems[0].file
        'a.png'
    """

    def __init__(self, message: str, problems: Iterable[Problem] = ()) -> None:
        super().__init__(message)
        self.problems = list(problems)


class KnowledgeBase:
    """Knowledge items on disk: an Arrow table, read row by row; pictures are opened one at a time.

    Made by `write` or `load`, not by the constructor.

    Example:
        >>> import tempfile
        >>> item = KnowledgeItem(id="t1", text="The tower opened in 1889.")
        >>> base, problems = KnowledgeBase.write([item], Path(tempfile.mkdtemp()) / "towers")
        >>> len(base), base["t1"].text, problems
        (1, 'The tower opened in 1889.', [])
    """

    def __init__(self, parts: Sequence[_Part], ids: Collection[str] | None = None) -> None:
        self.folder = parts[-1].folder
        self._parts = list(parts)
        # Of an id in several parts the last counts.
        self._places: dict[str, tuple[int, int]] = {}
        for number, part in enumerate(self._parts):
            for row, item_id in enumerate(part.dataset.data.column("id").to_pylist()):
                if ids is None or item_id in ids:
                    self._places[item_id] = (number, row)

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

        _place_table(_checked_rows(items, base, images, found), target, images=images, root=base, check=check)
        for problem in found:
            logger.warning("Left out: %s", problem)
        return cls.load(target), found

    @classmethod
    def load(
        cls, *folders: str | Path, root: str | Path | None = None, ids: Collection[str] | None = None
    ) -> KnowledgeBase:
        """Open a knowledge base; no picture is read.

        Args:
            folders: where it was written; of several, which belong together, an item's last version counts.
            ids: the items that are still there; None for all.
            root: where referenced pictures are now; None for where they were.

        Raises:
            FileNotFoundError: when a folder is no knowledge base.
            KnowledgeBaseError: when its files are damaged; names the folder.
        """
        return cls([_open_part(Path(folder), root) for folder in folders], ids)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._places

    @property
    def ids(self) -> list[str]:
        """The ids of all items, in order."""
        return list(self._places)

    @property
    def root(self) -> Path | None:
        """What the paths of referenced pictures are relative to; None where pictures are in the table.

        Raises:
            ValueError: when the parts have different ones.
        """
        roots = {part.root for part in self._parts}
        if len(roots) > 1:
            raise ValueError(f"The parts of the knowledge base {self.folder} have different picture folders: {roots}.")
        return roots.pop()

    def __getitem__(self, item_id: str) -> KnowledgeItem:
        """Return one item by its id.

        Raises:
            KeyError: when there is none.
        """
        if item_id not in self._places:
            raise KeyError(f"There is no knowledge item {str(item_id)[:80]!r} among the {len(self)} of {self.folder}")
        number, row = self._places[item_id]
        return row_to_item(self._parts[number].dataset[row])

    def __iter__(self) -> Iterator[KnowledgeItem]:
        for row in self._rows():
            yield row_to_item(row)

    def _rows(self) -> Iterator[Mapping[str, Any]]:
        for number, part in enumerate(self._parts):
            for place, row in enumerate(part.dataset):
                if self._places.get(row["id"]) == (number, place):
                    yield row

    def read_texts(self, ids: Sequence[str]) -> list[tuple[str | None, str | None, str | None]]:
        """Title, caption and text of items; their pictures, which are most of the table, are not read.

        Raises:
            KeyError: when there is no such item.
        """
        found: dict[str, tuple[str | None, str | None, str | None]] = {}
        for number, part in enumerate(self._parts):
            names = [item_id for item_id in ids if self._places[item_id][0] == number]
            if names:
                rows = [self._places[item_id][1] for item_id in names]
                columns = part.dataset.select_columns(list(_TEXT_COLUMNS))[rows]
                texts = zip(*(columns[name] for name in _TEXT_COLUMNS), strict=True)
                found.update(zip(names, texts, strict=True))
        return [found[item_id] for item_id in ids]

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
        try:
            return load_image(item.image, root=self.root_of(item.id))
        except ImageError as error:
            raise ImageError(f"Knowledge item {item.id!r}: {error}") from error

    def copy(self, folder: str | Path, ids: Collection[str]) -> KnowledgeBase:
        """Write some of the items into a new folder, as they are: no picture is opened.

        Args:
            folder: must not exist yet.
            ids: which items.

        Raises:
            ValueError: when pictures are referenced in different folders.
            OSError: when the disk is full or read-only; nothing is left behind.
        """
        target = Path(folder).resolve()
        root = self.root
        rows = (dict(row) for row in self._rows() if row["id"] in ids)
        _place_table(rows, target, images="embed" if root is None else "reference", root=root)
        return KnowledgeBase.load(target)

    def root_of(self, item_id: str) -> Path | None:
        """What the path of an item's picture is relative to; None where there is no such item, or it has no root."""
        return self._parts[self._places[item_id][0]].root if item_id in self._places else None

    def validate(self) -> list[Problem]:
        """Fully decode every picture again and return those that fail.

        Example:
            >>> base, _ = KnowledgeBase.write([], Path(tempfile.mkdtemp()) / "empty")
            >>> base.validate()
            []
        """
        found = []
        for row in self._rows():
            item = row_to_item(row)
            try:
                self.open_item_image(item)
            except ImageError as error:
                found.append(Problem(item.id, _picture_name(row), _cause(error)))
        return found


@dataclass(frozen=True)
class _Part:
    """One folder of a knowledge base."""

    folder: Path
    dataset: Dataset
    root: Path | None


def _open_part(source: Path, root: str | Path | None) -> _Part:
    if not (source / _STATE_NAME).is_file():
        raise FileNotFoundError(
            f"{source} is not a knowledge base: it has no {_STATE_NAME}. Build one: rablip index build SOURCE "
            "--model M --out DIR."
        )
    try:
        state = json.loads((source / _STATE_NAME).read_text(encoding="utf-8"))
        version, num_items, stored_root = state["format_version"], state["num_items"], state["root"]
        if version != FORMAT_VERSION:
            raise ValueError(f"it has format version {version!r}, this rablip reads {FORMAT_VERSION}")
        dataset = open_table(source) if num_items else empty_table()
        if len(dataset) != num_items:
            raise ValueError(f"it has {len(dataset)} items, {_STATE_NAME} says {num_items}")
        place = root if root is not None else stored_root
        return _Part(source, dataset, None if place is None else Path(place))
    except (ValueError, KeyError, TypeError, OSError) as error:  # Arrow's errors are ValueErrors and OSErrors
        raise KnowledgeBaseError(f"The knowledge base {source} cannot be read: {error}") from error


def _place_table(
    rows: Iterator[dict[str, Any]],
    target: Path,
    *,
    images: str,
    root: Path | None,
    check: Callable[[int], None] = lambda num_items: None,
) -> None:
    """Write rows as a knowledge base that appears in its place as a whole, after a check of their number."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as scratch:
        num_items = write_table(rows, cache=Path(scratch, "cache"), folder=Path(scratch, "table"))
        check(num_items)
        stored_root = str(root) if images == "reference" and root is not None else None
        state = {"format_version": FORMAT_VERSION, "num_items": num_items, "images": images, "root": stored_root}
        Path(scratch, "table", _STATE_NAME).write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")
        _sync_files(Path(scratch, "table"))
        if target.exists():
            target.rmdir()
        os.replace(Path(scratch, "table"), target)


def _checked_rows(
    items: Iterable[KnowledgeItem], root: Path | None, images: str, problems: list[Problem]
) -> Iterator[dict[str, Any]]:
    seen: set[str] = set()
    for item in items:
        if not isinstance(item, KnowledgeItem):
            raise TypeError(f"A knowledge base holds KnowledgeItem, got {type(item).__name__}.")
        if item.id in seen:
            raise KnowledgeBaseError(
                f"The id {item.id!r} is there twice. Give every knowledge item an id of its own: answers cite items "
                "by id."
            )
        seen.add(item.id)
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


def _sync_files(folder: Path) -> None:
    for path in folder.iterdir():
        with open(path, "rb+") as handle:
            os.fsync(handle.fileno())
