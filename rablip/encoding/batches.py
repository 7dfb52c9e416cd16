"""Which items are encoded together, and preparing batches ahead of the model in worker threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from ..processing.knowledge_rablip import ImageRef, KnowledgeItem

__all__ = ["iterate_windows", "plan_batches", "run_ahead"]

Given = TypeVar("Given")
Made = TypeVar("Made")

# Items among which batches are chosen: enough to find others of like length, few enough to be held in memory.
_WINDOW_ITEMS = 4096
_WINDOW_BYTES = 64_000_000


def iterate_windows(items: Iterable[KnowledgeItem]) -> Iterator[list[KnowledgeItem]]:
    """Items in lists that are bounded in number and in the bytes of their picture files.

    Example:
        >>> item = KnowledgeItem(id="a", text="It opened.")
        >>> [len(window) for window in iterate_windows([item] * 5000)]
        [4096, 904]
    """
    window: list[KnowledgeItem] = []
    num_bytes = 0
    for item in items:
        window.append(item)
        num_bytes += len(item.image.data or b"") if item.image is not None else 0
        if len(window) >= _WINDOW_ITEMS or num_bytes >= _WINDOW_BYTES:
            yield window
            window, num_bytes = [], 0
    if window:
        yield window


def plan_batches(items: Sequence[KnowledgeItem], batch_size: int) -> list[list[int]]:
    """Places of items, in batches that waste little.

    Texts never pay for empty picture slots: items with and without a picture are apart. Texts of like length are
    together, so that little is padding, the longest first, so that a lack of memory shows at once. Items with the same
    picture are neighbours, so that it is decoded and looked at once.

    Args:
        items: what is to be encoded.
        batch_size: most items of a batch.

    Example:
        >>> texts = ["long " * 9, "short", "longer " * 9, "tiny"]
        >>> plan_batches([KnowledgeItem(id=text, text=text) for text in texts], 2)
        [[2, 0], [1, 3]]
    """
    lengths = [sum(len(text or "") for text in (item.title, item.caption, item.text)) for item in items]
    longest: dict[ImageRef, int] = {}
    first: dict[ImageRef, int] = {}
    for place, item in enumerate(items):
        if item.image is not None:
            first.setdefault(item.image, place)
            longest[item.image] = max(longest.get(item.image, 0), lengths[place])

    def key(place: int) -> tuple[int, int, int]:
        image = items[place].image
        if image is None:
            return -lengths[place], place, 0
        return -longest[image], first[image], -lengths[place]

    batches = []
    for with_picture in (True, False):
        places = sorted(
            (place for place, item in enumerate(items) if (item.image is not None) == with_picture), key=key
        )
        batches += [places[start : start + batch_size] for start in range(0, len(places), batch_size)]
    return batches


def run_ahead(make: Callable[[Given], Made], given: Iterable[Given], num_workers: int) -> Iterator[Made]:
    """What `make` makes of everything given, in order, made in threads ahead of whoever takes it.

    Args:
        make: called in a worker thread.
        given: read in the caller's thread, at most `num_workers` + 1 ahead.
        num_workers: threads; 0 makes each when it is asked for.

    Raises:
        Exception: as `make` raised it, in the place of what it should have made.

    Example:
        >>> list(run_ahead(str, range(3), 2))
        ['0', '1', '2']
    """
    if not num_workers:
        yield from map(make, given)
        return
    with ThreadPoolExecutor(num_workers, thread_name_prefix="rablip-encoding") as pool:
        waiting: deque[Future[Made]] = deque()
        try:
            for one in given:
                waiting.append(pool.submit(make, one))
                if len(waiting) > num_workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
