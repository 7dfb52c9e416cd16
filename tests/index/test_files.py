"""A file appears in its place as a whole or not at all, whatever happens on the way and whoever reads meanwhile."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from rablip.index.files import write_atomically


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failure_on_the_way_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    path = tmp_path / "manifest.json"
    path.write_text("old")

    def fail(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="no space left"):
        write_atomically(path, lambda temporary: temporary.write_text("new"))
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_reader_never_sees_a_part(tmp_path: Path) -> None:
    path, size = tmp_path / "manifest.json", 1 << 20
    path.write_bytes(b"0" * size)
    seen: set[tuple[int, bytes]] = set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            content = path.read_bytes()
            seen.add((len(content), bytes(set(content))))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(40):
        write_atomically(path, lambda temporary, digit=number % 10: temporary.write_bytes(b"%d" % digit * size))
    done.set()
    reader.join()
    assert {length for length, _ in seen} == {size} and all(len(digits) == 1 for _, digits in seen)
