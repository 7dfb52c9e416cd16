"""Pictures that are cut off, used as far as they go where that is asked for, and never silently."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace

from ..images_rablip import ImageError, load_image
from ..knowledge_rablip import ImageRef, KnowledgeItem
from ..readers_records import Problem, report_problem

__all__ = ["TRUNCATED_KEY", "mend_pictures"]

TRUNCATED_KEY = "truncated_picture"


def mend_pictures(
    items: Iterable[KnowledgeItem], *, root: str | os.PathLike[str] | None, problems: list[Problem] | None = None
) -> Iterator[KnowledgeItem]:
    """Yield the items, those with a cut-off picture with a complete one in its place.

    A picture that is cut off becomes a PNG of the pixels that Pillow gives under `LOAD_TRUNCATED_IMAGES`, which is
    what official code of WebQA shows to its models. Each of them is said three times: by a warning, by
    `metadata["truncated_picture"] = True` of its item, and in `problems` where a list is given. Every picture is
    decoded here, which costs its time once more.

    Args:
        items: knowledge items.
        root: the folder that picture paths are relative to, and confined to.
        problems: where cut-off and unusable pictures are reported; None raises at the first unusable one.

    Raises:
        ReaderError: a picture cannot be used at all and `problems` is None.

    Example:
        >>> [item.id for item in mend_pictures([KnowledgeItem(id="t1", text="No picture.")], root=None)]
        ['t1']
    """
    for item in items:
        if item.image is None:
            yield item
            continue
        try:
            load_image(item.image, root=root)
        except ImageError as damage:
            try:
                picture = load_image(item.image, root=root, allow_truncated=True)
            except ImageError as error:
                report_problem(Problem(item.id, item.image.name, str(error)), problems)
                continue
            if problems is not None:
                problems.append(Problem(item.id, item.image.name, f"cut off and used as far as it goes: {damage}"))
            buffer = io.BytesIO()
            picture.save(buffer, "PNG")
            metadata = {**item.metadata, TRUNCATED_KEY: True}
            yield replace(item, image=ImageRef(data=buffer.getvalue()), metadata=metadata)
        else:
            yield item
