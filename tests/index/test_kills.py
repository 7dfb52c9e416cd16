"""SIGKILL at any moment of any change leaves the old index or the new one; a second process that changes it fails."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from rablip.index import IndexLockedError, KnowledgeIndex
from rablip.index.locking import lock_folder
from tests.index.test_knowledge_index import make_index, make_vectors

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.skipif(sys.platform == "win32", reason="processes are forked and killed")
def test_a_killed_change_leaves_the_old_or_the_new_index(tmp_path: Path, full: bool) -> None:
    num_kills = 150 if full else 12
    command = [sys.executable, "-m", "tests.index.kill_campaign", str(tmp_path), "7" if full else "1", str(num_kills)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    assert counts["killed"] == counts["old"] + counts["new"] == num_kills
    assert counts["old"] > num_kills // 4, "kills must fall into the change, not after it"


def test_what_a_killed_process_left_goes_with_the_next_change(tmp_path: Path) -> None:
    """Of a segment, a mask, items and a manifest that were written and never named."""
    index = make_index(3)
    index.save(tmp_path)
    for name in ("segment-dead/vectors.f32", "items-dead/data.arrow", ".items-dead-x/table"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    for name in ("deleted-dead", ".manifest.json.4711.tmp"):
        (tmp_path / name).touch()
    index.delete(["item 1"])
    manifest = index.save(tmp_path)
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {".lock", "manifest.json", *manifest.files}


def test_a_second_process_that_changes_an_index_fails_at_once_and_readers_go_on(tmp_path: Path) -> None:
    make_index(3).save(tmp_path)
    code = (
        "import sys; from rablip.index import KnowledgeIndex as K, IndexLockedError\n"
        "index = K.load(sys.argv[1]); print(len(index)); index.delete(['item 0'])\n"
        "try: index.save(sys.argv[1])\n"
        "except IndexLockedError as error: print(error)\n"
    )
    with lock_folder(tmp_path):
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert done.stdout.startswith("3\nAnother process is changing the index")
    index = KnowledgeIndex.load(tmp_path)
    index.add(["a"], make_vectors(1))
    index.save(tmp_path)
    assert len(KnowledgeIndex.load(tmp_path)) == 4


def test_two_threads_cannot_change_an_index_at_once(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    make_index(3).save(tmp_path)

    def change() -> str:
        try:
            make_index(2).save(tmp_path)
        except IndexLockedError:
            return "locked"
        return "saved"

    with lock_folder(tmp_path), ThreadPoolExecutor(1) as pool:
        assert pool.submit(change).result() == "locked"
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(change).result() == "saved"


def test_a_read_only_folder_is_named_and_left_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    if os.geteuid() == 0:
        # Root may write anywhere, so what the system would say is said here.
        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "mkdir", refuse)
    else:
        tmp_path.chmod(0o500)
    with pytest.raises(OSError, match="could not be saved.*Permission denied"):
        make_index(3).save(tmp_path / "index")
