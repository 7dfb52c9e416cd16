"""The image rule: every mode, damaged and oversized files, paths that leave their folder, nothing global changed."""

from __future__ import annotations

import io
import logging
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from rablip.processing import ImageError, ImageRef, load_image

SIZE = (8, 6)


def encode(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def gradient(mode: str) -> Image.Image:
    """A picture of a mode in which every pixel differs from its neighbours."""
    levels = np.linspace(0, 255, SIZE[0] * SIZE[1]).reshape(SIZE[1], SIZE[0]).astype(np.uint8)
    color = Image.fromarray(np.stack([levels, levels[::-1], levels.T.reshape(levels.shape)], axis=-1))
    return color.convert(mode)


def header_only_png(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to no data."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr", "HSV"])
def test_opaque_modes_give_what_pillow_gives(mode: str) -> None:
    image = gradient(mode)
    loaded = load_image(image)
    assert loaded.mode == "RGB"
    difference = np.abs(np.asarray(loaded, dtype=int) - np.asarray(image.convert("RGB"), dtype=int))
    assert difference.max() <= 1


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM"])
def test_a_file_and_its_bytes_and_its_pil_image_give_the_same_pixels(kind: str, tmp_path: Path) -> None:
    data = encode(gradient("RGB"), kind)
    file = tmp_path / "picture"
    file.write_bytes(data)
    expected = Image.open(io.BytesIO(data)).convert("RGB")
    for given_picture in (ImageRef(data=data), ImageRef(path=str(file)), Image.open(file)):
        assert np.array_equal(np.asarray(load_image(given_picture)), np.asarray(expected))
    assert np.array_equal(np.asarray(load_image(ImageRef(path="picture"), root=tmp_path)), np.asarray(expected))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "RGBa", "La"])
@pytest.mark.parametrize("alpha", [0, 128, 255])
def test_transparency_is_laid_on_white(mode: str, alpha: int) -> None:
    straight = {"RGBa": "RGBA", "La": "LA", "PA": "RGBA"}.get(mode, mode)
    color = (40, 40, 40, alpha) if straight == "RGBA" else (40, alpha)
    image = Image.new(straight, SIZE, color)
    if mode == "PA":
        image = Image.new("PA", SIZE)
        image.putpalette([40, 40, 40] * 256)
        image.putalpha(alpha)
    elif mode != straight:
        image = image.convert(mode)
    expected = round(40 * alpha / 255 + 255 * (1 - alpha / 255))
    assert np.abs(np.asarray(load_image(image), dtype=int) - expected).max() <= 1


def test_transparent_palettes_and_transparent_colors_become_white() -> None:
    palette = Image.new("P", SIZE, 1)
    palette.putpalette([10, 20, 30, 40, 50, 60])
    assert load_image(ImageRef(data=encode(palette, transparency=1))).getpixel((0, 0)) == (255, 255, 255)
    assert load_image(ImageRef(data=encode(palette, transparency=0))).getpixel((0, 0)) == (40, 50, 60)
    color = Image.new("RGB", SIZE, (1, 2, 3))
    assert load_image(ImageRef(data=encode(color, transparency=(1, 2, 3)))).getpixel((0, 0)) == (255, 255, 255)
    grey = Image.new("L", SIZE, 7)
    assert load_image(ImageRef(data=encode(grey, transparency=7))).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I"])
def test_sixteen_bit_grey_keeps_its_high_byte(mode: str) -> None:
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    dtype = {"I;16": "<u2", "I;16B": ">u2", "I": "<i4"}[mode]
    image = Image.frombytes(mode, (256, 256), ramp.astype(dtype).tobytes())
    levels = np.asarray(load_image(image))[..., 0]
    assert np.array_equal(levels, (ramp >> 8).astype(np.uint8))
    assert len(np.unique(levels)) >= 250


def test_a_sixteen_bit_png_keeps_its_levels() -> None:
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    loaded = load_image(ImageRef(data=encode(Image.fromarray(ramp))))
    assert len(np.unique(np.asarray(loaded))) == 256


def test_grey_beyond_sixteen_bit_is_refused_with_its_range() -> None:
    with pytest.raises(ImageError, match=r"-5 to 70000"):
        load_image(Image.fromarray(np.array([[-5, 70000]], dtype=np.int32)))


def test_float_pictures_need_a_declared_range() -> None:
    image = Image.fromarray(np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4))
    with pytest.raises(ImageError, match="float_range"):
        load_image(image)
    levels = np.asarray(load_image(image, float_range=(0.0, 1.0)))[..., 0].ravel()
    assert levels.tolist() == np.rint(np.linspace(0, 255, 12)).tolist()
    for wrong in (np.nan, np.inf, 1.5, -0.1):
        with pytest.raises(ImageError, match="NaN or values outside"):
            load_image(Image.fromarray(np.full((2, 2), wrong, dtype=np.float32)), float_range=(0.0, 1.0))
    with pytest.raises(ImageError, match="lowest, highest"):
        load_image(image, float_range=(1.0, 0.0))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied_to_files_and_to_pil_images(orientation: int) -> None:
    image = gradient("RGB")
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(image, "PNG", exif=exif)
    methods = [
        None,
        "FLIP_LEFT_RIGHT",
        "ROTATE_180",
        "FLIP_TOP_BOTTOM",
        "TRANSPOSE",
        "ROTATE_270",
        "TRANSVERSE",
        "ROTATE_90",
    ]
    name = methods[orientation - 1]
    expected = image if name is None else image.transpose(Image.Transpose[name])
    for given_picture in (ImageRef(data=data), Image.open(io.BytesIO(data))):
        assert np.array_equal(np.asarray(load_image(given_picture)), np.asarray(expected))


def test_of_an_animation_the_first_frame_is_used_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    frames = [Image.new("RGB", SIZE, color) for color in ("red", "lime", "blue")]
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    moved = Image.open(io.BytesIO(data))
    moved.seek(2)
    for given_picture in (ImageRef(data=data), moved):
        caplog.clear()
        with caplog.at_level(logging.WARNING, logger="rablip"):
            assert load_image(given_picture).getpixel((0, 0)) == (255, 0, 0)
        assert [record.message.count("animated") for record in caplog.records] == [1]


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (0, 0)])
def test_pictures_without_pixels_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ImageError, match="no pixels"):
        load_image(Image.new("RGB", size))


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (3, 4)])
def test_extreme_shapes_keep_their_size(size: tuple[int, int]) -> None:
    assert load_image(Image.new("L", size, 9)).size == size


@pytest.mark.parametrize("side", [8_000, 13_000, 20_000])
def test_oversized_pictures_are_refused_from_the_header(side: int, tmp_path: Path) -> None:
    (tmp_path / "bomb.png").write_bytes(header_only_png(side, side))
    before = Image.MAX_IMAGE_PIXELS
    with pytest.raises(ImageError, match=r"bomb\.png.*max_pixels"):
        load_image(ImageRef(path="bomb.png"), root=tmp_path)
    assert before == Image.MAX_IMAGE_PIXELS
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


def test_limits_can_be_set() -> None:
    with pytest.raises(ImageError, match="max_pixels=47"):
        load_image(gradient("RGB"), max_pixels=47)
    assert load_image(gradient("RGB"), max_pixels=48).size == SIZE
    data = encode(gradient("RGB"))
    with pytest.raises(ImageError, match="max_bytes"):
        load_image(ImageRef(data=data), max_bytes=len(data) - 1)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "TIFF", "WEBP"])
def test_a_cut_file_is_found_by_decoding_it_whole(kind: str, tmp_path: Path) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8))
    data = encode(noise, kind)
    (tmp_path / "cut").write_bytes(data[: len(data) * 6 // 10])
    with pytest.raises(ImageError, match=r"Picture cut "):
        load_image(ImageRef(path="cut"), root=tmp_path)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF"])
def test_a_cut_file_is_used_where_that_is_allowed_and_each_time_said_aloud(
    kind: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8))
    data = encode(noise, kind)
    image = ImageRef(data=data[: len(data) * 6 // 10])
    with caplog.at_level(logging.WARNING, logger="rablip"):
        shown = [np.asarray(load_image(image, allow_truncated=True)) for _ in range(2)]
    assert caplog.text.count("cut off") == 2
    with pytest.raises(ImageError, match="damaged"):
        load_image(image)
    caplog.clear()
    load_image(ImageRef(data=data), allow_truncated=True)
    assert "cut off" not in caplog.text
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    expected = np.asarray(load_image(image))  # what Pillow gives under its global setting
    assert np.array_equal(shown[0], expected) and np.array_equal(shown[1], expected)


def test_a_cut_file_is_still_bounded_and_damage_is_still_damage() -> None:
    data = encode(gradient("RGB"), "JPEG")
    with pytest.raises(ImageError, match="max_pixels=4"):
        load_image(ImageRef(data=data[:-20]), max_pixels=4, allow_truncated=True)
    with pytest.raises(ImageError, match="cannot be opened"):
        load_image(ImageRef(data=data[:3]), allow_truncated=True)
    compressed = bytearray(encode(gradient("RGB"), "TIFF", compression="tiff_lzw"))
    compressed[8:20] = b"\xff" * 12
    with pytest.raises(ImageError, match="damaged"):
        load_image(ImageRef(data=bytes(compressed)), allow_truncated=True)


@pytest.mark.parametrize(
    ("data", "cause"),
    [(b"", "empty"), (b"not a picture", "UnidentifiedImageError"), (b"%!PS-Adobe-3.0 EPSF-3.0\n", "Unid")],
)
def test_files_that_are_no_pictures_are_named(data: bytes, cause: str, tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_bytes(data)
    with pytest.raises(ImageError, match=rf"notes\.png cannot be opened: .*{cause}"):
        load_image(ImageRef(path="notes.png"), root=tmp_path)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 200), st.sampled_from(["PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP"]))
def test_damaged_bytes_give_a_picture_or_an_image_error(noise: bytes, position: int, kind: str) -> None:
    data = encode(gradient("RGB"), kind)
    damaged = data[:position] + noise + data[position + len(noise) :]
    try:
        assert load_image(ImageRef(data=damaged), max_pixels=10_000).mode == "RGB"
    except ImageError:
        pass


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"Picture gone\.png is missing"):
        load_image(ImageRef(path="gone.png"), root=tmp_path)
    with pytest.raises(ImageError, match="cannot be read|not a regular file"):
        load_image(ImageRef(path="."), root=tmp_path)


def test_a_named_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no named pipes")
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(ImageError, match="not a regular file"):
        load_image(ImageRef(path="pipe.png"), root=tmp_path)


def test_paths_cannot_leave_their_root(tmp_path: Path) -> None:
    root, outside = tmp_path / "base", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (outside / "secret.png").write_bytes(encode(gradient("RGB")))
    (root / "file.png").symlink_to(outside / "secret.png")
    (root / "folder").symlink_to(outside)
    (root / "inside.png").write_bytes(encode(gradient("RGB")))
    (root / "good.png").symlink_to(root / "inside.png")
    for path in ("../outside/secret.png", str(outside / "secret.png"), "file.png", "folder/secret.png"):
        with pytest.raises(ImageError, match="outside its folder"):
            load_image(ImageRef(path=path), root=root)
    for path in ("inside.png", "good.png", str(root / "inside.png"), "../base/inside.png"):
        assert load_image(ImageRef(path=path), root=root).size == SIZE


@pytest.mark.parametrize(
    "value", ["picture.png", "http://127.0.0.1/x.png", b"123", Path("picture.png"), None, np.zeros((3, 3))]
)
def test_only_references_and_pil_images_are_opened(
    value: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "picture.png").write_bytes(encode(gradient("RGB")))
    with pytest.raises(TypeError, match="ImageRef"):
        load_image(value)


def test_the_given_image_is_not_changed() -> None:
    image = Image.new("RGBA", SIZE, (1, 2, 3, 0))
    before = image.tobytes()
    load_image(image)
    assert (image.mode, image.tobytes()) == ("RGBA", before)
