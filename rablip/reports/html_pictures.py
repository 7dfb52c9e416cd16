"""Pictures inside a report page: as data, no larger than they are shown."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

from PIL import Image

from .html_parts import escape

__all__ = ["LARGE_PICTURE", "THUMBNAIL", "PictureSize", "fit_picture", "image_tag"]

# A PNG takes much longer to make than a JPEG: it is tried for drawings, which have few colours, and tiny pictures.
_MOST_COLORS = 1024
_TINY = 64 * 64  # pixels


@dataclass(frozen=True, kw_only=True)
class PictureSize:
    """How large a picture is carried by a page, and how well.

    Args:
        largest_side: the longer side in pixels at most.
        quality: of the JPEG, 1 to 95.
        exact_bytes: a PNG of fewer bytes is taken without loss, whatever a JPEG would save.

    Example:
        >>> PictureSize(largest_side=224, quality=75, exact_bytes=4_000).largest_side
        224
    """

    largest_side: int
    quality: int
    exact_bytes: int


LARGE_PICTURE = PictureSize(largest_side=480, quality=88, exact_bytes=20_000)
"""Twice the width at which a picture is shown on a card."""

THUMBNAIL = PictureSize(largest_side=96, quality=80, exact_bytes=3_000)
"""Twice the width at which a picture is shown in a row."""


def fit_picture(picture: Image.Image, size: PictureSize) -> Image.Image:
    """A copy of a picture that is no larger than a size.

    Example:
        >>> fit_picture(Image.new("RGB", (960, 480)), LARGE_PICTURE).size
        (480, 240)
    """
    fitted = picture.convert("RGB")
    if max(fitted.size) > size.largest_side:
        # On a copy: converting gives back the caller's own picture where there is nothing to convert.
        fitted = fitted.copy()
        fitted.thumbnail((size.largest_side, size.largest_side))
    return fitted


def image_tag(picture: Image.Image, description: str, size: PictureSize = LARGE_PICTURE) -> str:
    """A picture inside the page itself, no larger than it is shown.

    Example:
        >>> image_tag(Image.new("RGB", (4, 3)), "A tower")[:50]
        '<img alt="A tower" width="4" height="3" src="data:'
    """
    fitted = fit_picture(picture, size)
    kind, data = "jpeg", _encode(fitted, "JPEG", quality=size.quality)
    # Drawings stay sharp as PNG; photographs are many times smaller as JPEG.
    if fitted.width * fitted.height <= _TINY or fitted.getcolors(_MOST_COLORS) is not None:
        png = _encode(fitted, "PNG", optimize=True)
        if len(png) <= 2 * len(data) or len(png) < size.exact_bytes:
            kind, data = "png", png
    width, height = fitted.size
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
    return f'<img alt="{escape(description)}" width="{width}" height="{height}" src="{source}">'


def _encode(picture: Image.Image, kind: str, **options: int | bool) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()
