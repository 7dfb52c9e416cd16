"""Rows to rectangles: what the processors share to count and cut tokens, pad ids and stack pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from PIL import Image

from .images_rablip import load_image
from .knowledge_rablip import ImageRef

__all__ = [
    "Picture",
    "check_questions",
    "collect_special_tokens",
    "cut_text",
    "encode_texts",
    "list_pictures",
    "pad_rows",
    "share_tokens",
    "stack_pictures",
]

# A picture reference, a PIL image, or frozen vision-tower features (num_patches + 1, vision_hidden_size) of a picture.
Picture: TypeAlias = ImageRef | Image.Image | torch.Tensor


def check_questions(questions: Sequence[str]) -> list[str]:
    """The questions as a list, every one a str with words in it.

    Raises:
        TypeError: when the batch is one str, or a question is no str.
        ValueError: when the batch is empty, or a question is blank.

    Example:
        >>> check_questions(("What color is it?",))
        ['What color is it?']
    """
    if isinstance(questions, str):
        raise TypeError(f"Questions must be a sequence of str, got one str. Pass [{questions[:40]!r}].")
    rows = list(questions)
    if not rows:
        raise ValueError("There are no questions in the batch. Pass at least one.")
    for row, question in enumerate(rows):
        if not isinstance(question, str):
            raise TypeError(f"Question {row} must be a str, got {type(question).__name__}.")
        if not question.strip():
            raise ValueError(f"Question {row} is empty: {question[:40]!r}. Ask with words, or leave the row out.")
    return rows


def collect_special_tokens(*tokenizers: Any) -> tuple[str, ...]:
    """Every string that one of the tokenizers reads as a token of its own: special and added tokens, sorted."""
    tokens: set[str] = set()
    for tokenizer in tokenizers:
        tokens.update(str(token) for token in tokenizer.all_special_tokens)
        tokens.update(str(token) for token in tokenizer.get_added_vocab())
    return tuple(sorted(tokens))


def encode_texts(tokenizer: Any, texts: Sequence[str], max_tokens: int) -> tuple[list[list[int]], list[bool]]:
    """Token ids of each text, special tokens included, cut at the end of the text to at most `max_tokens`.

    Args:
        tokenizer: a tokenizer with character offsets.
        texts: the texts.
        max_tokens: most ids a row may have.

    Returns:
        The ids per row, and per row whether it was cut.
    """
    rows: list[list[int]] = tokenizer(list(texts), verbose=False)["input_ids"]
    too_long = [len(ids) > max_tokens for ids in rows]
    num_special = tokenizer.num_special_tokens_to_add()
    for row in (row for row, cut in enumerate(too_long) if cut):
        rows[row] = tokenizer(cut_text(tokenizer, texts[row], max_tokens - num_special), verbose=False)["input_ids"]
    return rows, too_long


def cut_text(tokenizer: Any, text: str, max_tokens: int) -> str:
    """The longest beginning of a text, in whole tokens, that has at most `max_tokens` of them (no special tokens)."""
    keep = max_tokens
    while keep > 0:
        encoding = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        if len(encoding["input_ids"]) <= max_tokens:
            return text
        # A beginning may fall into other tokens than it had inside the whole text: look again, and give up one more.
        text = text[: encoding["offset_mapping"][keep - 1][1]].rstrip()
        keep -= 1
    return ""


def share_tokens(lengths: Sequence[int], available: int) -> list[int]:
    """Shares a number of tokens fairly: short texts stay whole, the long ones get equally much.

    Args:
        lengths: tokens of each text.
        available: tokens to share.

    Returns:
        How many tokens each text may keep; their sum is at most `available`.

    Example:
        >>> share_tokens([2, 50, 30], 22)
        [2, 10, 10]
    """
    shares = [0] * len(lengths)
    left = max(available, 0)
    shortest_first = sorted(range(len(lengths)), key=lambda i: lengths[i])
    for rank, i in enumerate(shortest_first):
        shares[i] = min(lengths[i], left // (len(lengths) - rank))
        left -= shares[i]
    return shares


def pad_rows(rows: Sequence[Sequence[int]], value: int, side: str = "right") -> tuple[torch.Tensor, torch.Tensor]:
    """Pads rows of ids to one length.

    Args:
        rows: ids per row.
        value: what is filled in.
        side: "right" or "left", where it is filled in.

    Returns:
        The ids (batch_size, seq_len) long, and their mask (batch_size, seq_len) long, 1 = an id of the row.

    Example:
        >>> ids, mask = pad_rows([[5, 6], [7]], 0, "left")
        >>> ids.tolist(), mask.tolist()
        ([[5, 6], [0, 7]], [[1, 1], [0, 1]])
    """
    length = max((len(row) for row in rows), default=0)
    ids, masks = [], []
    for row in rows:
        padding = length - len(row)
        if side == "left":
            ids.append([value] * padding + list(row))
            masks.append([0] * padding + [1] * len(row))
        else:
            ids.append(list(row) + [value] * padding)
            masks.append([1] * len(row) + [0] * padding)
    return torch.tensor(ids, dtype=torch.long), torch.tensor(masks, dtype=torch.long)


def list_pictures(pictures: Any, num_rows: int, what: str) -> list[list[Picture]]:
    """Brings the pictures of a batch into one list per row.

    Args:
        pictures: None, or per row: None, one picture, or a sequence of pictures.
        num_rows: rows of the batch.
        what: name of the argument in error messages.

    Raises:
        TypeError: when something is not a picture (a str never is one).
        ValueError: when the number of rows differs.
    """
    if pictures is None:
        return [[] for _ in range(num_rows)]
    if isinstance(pictures, (str, bytes, Image.Image, ImageRef, torch.Tensor)):
        raise TypeError(f"`{what}` must hold one entry per row, got one {type(pictures).__name__}. Pass it in a list.")
    if len(pictures) != num_rows:
        raise ValueError(f"`{what}` has {len(pictures)} entries for {num_rows} rows. Pass one per row, None for none.")
    rows = []
    for entry in pictures:
        row = list(entry) if isinstance(entry, (list, tuple)) else [entry]
        row = [picture for picture in row if picture is not None]
        for picture in row:
            if not isinstance(picture, (Image.Image, ImageRef, torch.Tensor)):
                raise TypeError(
                    f"`{what}` must hold PIL images, ImageRefs or feature tensors, got {type(picture).__name__}. A "
                    "string is never guessed to be a picture: pass ImageRef(path=...)."
                )
        rows.append(row)
    return rows


def stack_pictures(rows: Sequence[Sequence[Picture]], image_processor: Any) -> dict[str, torch.Tensor]:
    """Stacks the pictures of a batch; rows with fewer pictures are filled with zeros and masked.

    Args:
        rows: the pictures of each row, all of them pictures or all of them features.
        image_processor: turns PIL images into pixel values.

    Returns:
        An empty dict when no row has a picture. Otherwise `image_mask` (batch_size, num_images) long, 1 = a picture,
        and `pixel_values` (batch_size, num_images, 3, height, width), or `image_embeds` (batch_size, num_images,
        num_patches + 1, vision_hidden_size) when the pictures came as features.

    Raises:
        ValueError: when pictures and features are mixed, or features differ in shape.
        ImageError: when a picture cannot be used.
    """
    flat = [picture for row in rows for picture in row]
    if not flat:
        return {}
    num_features = sum(isinstance(picture, torch.Tensor) for picture in flat)
    if num_features not in (0, len(flat)):
        raise ValueError(
            f"The batch mixes {num_features} feature tensors with {len(flat) - num_features} pictures. Pass one kind."
        )
    # The same object is prepared once: a question's picture stands in every row that pairs it with a candidate.
    distinct = {id(picture): picture for picture in flat}
    values = _check_features(distinct) if num_features else _prepare_pixels(distinct, image_processor)
    shape = next(iter(values.values())).shape
    num_images = max(len(row) for row in rows)
    dtype = next(iter(values.values())).dtype
    stacked = torch.zeros((len(rows), num_images, *shape), dtype=dtype)
    mask = torch.zeros((len(rows), num_images), dtype=torch.long)
    for i, row in enumerate(rows):
        for slot, picture in enumerate(row):
            stacked[i, slot] = values[id(picture)]
            mask[i, slot] = 1
    return {"image_embeds" if num_features else "pixel_values": stacked, "image_mask": mask}


def _prepare_pixels(pictures: dict[int, Any], image_processor: Any) -> dict[int, torch.Tensor]:
    loaded = [load_image(picture) for picture in pictures.values()]
    pixels = image_processor(loaded, return_tensors="pt")["pixel_values"]
    return dict(zip(pictures, pixels, strict=True))


def _check_features(features: dict[int, Any]) -> dict[int, torch.Tensor]:
    shapes = sorted({tuple(feature.shape) for feature in features.values()})
    if len(shapes) > 1 or len(shapes[0]) != 2:
        raise ValueError(
            f"Picture features must all be (num_patches + 1, vision_hidden_size), got {shapes[:3]}. Pass the rows of "
            "`model.encode_images(pixel_values)`."
        )
    return features
