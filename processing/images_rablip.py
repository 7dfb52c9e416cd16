"""The one image rule: any picture becomes the same 8-bit RGB, or an error that names it and says why."""

from __future__ import annotations

import io
import logging
import os
import stat
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from .knowledge_rablip import ImageRef

__all__ = ["ImageError", "load_image", "read_image_data", "read_image_file"]

logger = logging.getLogger(__name__)

# The largest picture file that is read by default.
MAX_BYTES = 100_000_000
# Raster formats only: some of Pillow's other readers start programs (EPS) or read further files.
IMAGE_FORMATS = (
    "AVIF",
    "BMP",
    "DIB",
    "GIF",
    "ICO",
    "JPEG",
    "JPEG2000",
    "PNG",
    "PPM",
    "QOI",
    "TGA",
    "TIFF",
    "WEBP",
)
_SIXTEEN_BIT_MODES = ("I", "I;16", "I;16L", "I;16B", "I;16N")
_ORIENTATION_TAG = 0x0112
_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"


class ImageError(ValueError):
    """A picture cannot be used; the message names it and says why.

    Example:
        >>> issubclass(ImageError, ValueError)
        True
    """


def load_image(
    image: ImageRef | Image.Image,
    *,
    root: str | os.PathLike[str] | None = None,
    max_pixels: int = 50_000_000,
    max_bytes: int = MAX_BYTES,
    float_range: tuple[float, float] | None = None,
    allow_truncated: bool = False,
) -> Image.Image:
    """Opens and fully decodes a picture, and brings it into 8-bit RGB.

    One rule for question pictures and knowledge pictures: the EXIF rotation is applied; transparency is laid on
    white; 16-bit grey (modes `I;16*`, and `I`, which holds 16-bit values) keeps its high byte; of an animation the
    first frame is taken, with one warning. Size limits are checked before anything is decoded. Pillow's global
    settings are never changed.

    Args:
        image: a picture reference or a PIL image. A str or a path is refused.
        root: folder that relative paths start from and that no path may leave, symbolic links resolved.
        max_pixels: most pixels (width times height) a picture may have.
        max_bytes: most bytes an encoded picture may have.
        float_range: (lowest, highest) value of mode `F` pictures, which are refused without it.
        allow_truncated: whether a picture file that is cut off is used as far as it goes, with a warning each time:
            the pixels that Pillow's global `LOAD_TRUNCATED_IMAGES` gives, which official code of some benchmarks
            sets. A PIL image is always read whole.

    Returns:
        A PIL image of mode RGB. An RGB image that needs no change is returned as it is.

    Raises:
        TypeError: when `image` is neither an ImageRef nor a PIL image.
        ImageError: when the picture is missing, outside `root`, too large, empty, damaged or of an unknown kind.

    Example:
        >>> load_image(Image.new("LA", (4, 3), (0, 0))).getpixel((0, 0))
        (255, 255, 255)
    """
    if isinstance(image, Image.Image):
        name = getattr(image, "filename", "") or f"<PIL image of mode {image.mode}, {image.width}x{image.height}>"
        return _decode(image, str(name), max_pixels, float_range)
    if not isinstance(image, ImageRef):
        raise TypeError(
            f"A picture must be an ImageRef or a PIL image, got {type(image).__name__}. Strings are never guessed to "
            "be pictures: pass ImageRef(path=...) for a file, Image.fromarray(...) for an array."
        )
    data = read_image_data(image, root, max_bytes)
    try:
        opened = Image.open(io.BytesIO(data), formats=IMAGE_FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(f"Picture {image.name} has too many pixels (max_pixels={max_pixels}): {error}") from error
    except Exception as error:  # Pillow's readers raise errors of any type on damaged headers
        cause = "the file is empty" if not data else f"{type(error).__name__}: not a readable picture"
        raise ImageError(f"Picture {image.name} cannot be opened: {cause}. Known kinds: {IMAGE_FORMATS}.") from error
    with opened:
        return _decode(opened, image.name, max_pixels, float_range, cut=data if allow_truncated else None)


def read_image_data(image: ImageRef, root: str | os.PathLike[str] | None = None, max_bytes: int = MAX_BYTES) -> bytes:
    """The bytes of a picture file, read where they are not given; nothing is decoded.

    Args:
        image: where the picture is.
        root: folder that relative paths start from and that no path may leave.
        max_bytes: the largest size.

    Raises:
        ImageError: as of `read_image_file`.

    Example:
        >>> read_image_data(ImageRef(data=b"123"))
        b'123'
    """
    data = read_image_file(image.path, root, max_bytes) if image.path is not None else image.data or b""
    if len(data) > max_bytes:
        raise ImageError(f"Picture {image.name} has {len(data)} bytes, more than max_bytes={max_bytes}.")
    return data


def read_image_file(path: str, root: str | os.PathLike[str] | None, max_bytes: int = MAX_BYTES) -> bytes:
    """The bytes of a picture file, confined to its folder.

    Args:
        path: the file, relative to the root or absolute.
        root: folder that the file must lie in, symbolic links resolved; None for anywhere.
        max_bytes: the largest size.

    Raises:
        ImageError: it is missing, outside the root, too large or no regular file; names it.
    """
    file = Path(path)
    try:
        if root is not None:
            folder = Path(root).resolve()
            file = (folder / file).resolve()
            if not file.is_relative_to(folder):
                raise ImageError(
                    f"Picture {path} lies outside its folder {folder}. Move it inside, or change the root."
                )
        with open(file, "rb", opener=_open_without_waiting) as handle:
            status = os.fstat(handle.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ImageError(f"Picture {path} is not a regular file.")
            if status.st_size > max_bytes:
                raise ImageError(f"Picture {path} has {status.st_size} bytes, more than max_bytes={max_bytes}.")
            return handle.read(max_bytes + 1)
    except FileNotFoundError as error:
        raise ImageError(f"Picture {path} is missing: there is no file {file}.") from error
    except (OSError, RuntimeError) as error:  # RuntimeError: a circle of symbolic links
        raise ImageError(f"Picture {path} cannot be read: {error}") from error


def _open_without_waiting(path: str, flags: int) -> int:
    # Opening a named pipe would wait for a writer for ever.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _decode(
    image: Image.Image,
    name: str,
    max_pixels: int,
    float_range: tuple[float, float] | None,
    *,
    cut: bytes | None = None,
) -> Image.Image:
    width, height = image.size
    if width < 1 or height < 1:
        raise ImageError(f"Picture {name} has no pixels ({width}x{height}).")
    if width * height > max_pixels:
        raise ImageError(
            f"Picture {name} has {width}x{height} = {width * height} pixels, more than max_pixels={max_pixels}. "
            "Make it smaller, or raise max_pixels if you trust it."
        )
    try:
        if getattr(image, "is_animated", False):
            if image.format != "MPO":  # the further frames of an MPO are previews of the first
                logger.warning("Picture %s is animated; its first frame is used.", name)
            image.seek(0)
        try:
            image.load()
        except OSError:
            if cut is None:
                raise
            image = _load_cut(cut)
            logger.warning("Picture %s is cut off; it is used as far as it goes.", name)
        if image.getexif().get(_ORIENTATION_TAG, 1) != 1:
            image = ImageOps.exif_transpose(image)
        return _to_rgb(image, name, float_range)
    except ImageError:
        raise
    except Exception as error:  # Pillow's decoders raise errors of any type on damaged data
        raise ImageError(
            f"Picture {name} is damaged or of an unknown kind: {type(error).__name__}: {error}"
        ) from error


def _load_cut(data: bytes) -> Image.Image:
    """What is there of a picture file that ends early; the rest is what the decoder fills in."""
    if data.startswith(_JPEG_START):
        data += _JPEG_END  # the decoder holds its last rows back until the file ends
    image = Image.open(io.BytesIO(data), formats=IMAGE_FORMATS)
    try:
        image.load()
    except OSError:
        if image.format == "TIFF" and not image.tile:
            raise  # compressed TIFF is decoded as a whole or not at all
        image.tile = []  # nothing more is to be decoded: pixels that are not there stay 0
        image.load()
    return image


def _to_rgb(image: Image.Image, name: str, float_range: tuple[float, float] | None) -> Image.Image:
    if image.mode == "F":
        return _float_to_rgb(image, name, float_range)
    if image.mode in _SIXTEEN_BIT_MODES:
        return _sixteen_bit_to_rgb(image, name)
    if image.has_transparency_data:
        straight = {"La": "LA", "RGBa": "RGBA"}.get(image.mode)
        colors = (image.convert(straight) if straight else image).convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", colors.size, "white"), colors).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _sixteen_bit_to_rgb(image: Image.Image, name: str) -> Image.Image:
    levels = np.asarray(image).astype(np.int64)
    lowest, highest = int(levels.min()), int(levels.max())
    if lowest < 0 or highest > 65535:
        raise ImageError(
            f"Picture {name} (mode {image.mode}) has values from {lowest} to {highest}; grey beyond 8 bit must lie in "
            "0..65535. Scale it and save it again."
        )
    grey = (levels >> 8).astype(np.uint8)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey[levels == transparent] = 255
    return Image.fromarray(grey).convert("RGB")


def _float_to_rgb(image: Image.Image, name: str, float_range: tuple[float, float] | None) -> Image.Image:
    levels = np.asarray(image, dtype=np.float64)
    if float_range is None:
        raise ImageError(
            f"Picture {name} has floating-point pixels (mode F), whose range is not known. Pass "
            "float_range=(0.0, 1.0) or the range it has, or convert it to 8 bit first."
        )
    lowest, highest = float_range
    if not highest > lowest:
        raise ImageError(f"float_range must be (lowest, highest), got {float_range}.")
    if not np.isfinite(levels).all() or levels.min() < lowest or levels.max() > highest:
        raise ImageError(f"Picture {name} (mode F) has NaN or values outside the declared float_range={float_range}.")
    return Image.fromarray(np.rint((levels - lowest) / (highest - lowest) * 255).astype(np.uint8)).convert("RGB")
