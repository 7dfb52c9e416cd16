"""Pictures that a benchmark names by path: there or missing, and never outside their folder."""

from __future__ import annotations

from pathlib import Path

from ..knowledge_rablip import ImageRef

__all__ = ["refer_to_picture"]


def refer_to_picture(path: str, root: Path) -> ImageRef:
    """Return a reference to a picture file that is there; it is not opened.

    Args:
        path: of the picture, relative to the root.
        root: the folder that it must lie in, symbolic links resolved.

    Raises:
        ValueError: the path is a URL, leaves the folder, or no file is there.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "a.jpg").touch()
        >>> refer_to_picture("a.jpg", folder).path
        'a.jpg'
        >>> refer_to_picture("../b.jpg", folder)
        Traceback (most recent call last):
        ...
        ValueError: the picture '../b.jpg' lies outside its folder
    """
    picture = ImageRef(path=path)
    try:
        folder = root.resolve()
        file = (folder / path).resolve()
        inside, there = file.is_relative_to(folder), file.is_file()
    except (OSError, RuntimeError) as error:  # too long a name, a circle of symbolic links
        raise ValueError(f"the picture {path[:80]!r} cannot be looked for: {error}") from error
    if not inside:
        raise ValueError(f"the picture {path!r} lies outside its folder")
    if not there:
        raise ValueError(f"the picture is missing: there is no file {path!r} in {root}")
    return picture
