"""Ten times the items take hardly more memory to encode and index."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

PROGRAM = """
import json, resource, sys
from rablip import ImageRef, KnowledgeItem, build_index
from tests.knowledge_base.test_knowledge_base import png

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

def make_items(count):
    picture = png((8, 8), "red")
    for number in range(count):
        # Trailing bytes: no two pictures are the same, and each takes 20 kB.
        data = picture + number.to_bytes(4, "big") + bytes(20_000)
        image = ImageRef(data=data) if number % 2 else None
        yield KnowledgeItem(id=f"item {number}", text=f"Tower {number} opened.", image=image)

model, folder, count = sys.argv[1:]
build_index(make_items(64), model=model, out=f"{folder}/first", progress=False)
before = peak()
build_index(make_items(int(count)), model=model, out=f"{folder}/{count}", progress=False, batch_size=32)
print(json.dumps({"before": before, "after": peak()}))
"""


def measure(model: Path, folder: Path, count: int) -> dict[str, int]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(model), str(folder), str(count)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_ten_times_the_items_take_hardly_more_memory(tiny_bundle: Path, tmp_path: Path) -> None:
    few, many = (measure(tiny_bundle, tmp_path, count) for count in (1000, 10_000))
    assert many["after"] < 1.3 * few["after"]
    # The pictures of the larger one are 100 MB, and what it takes beyond the program itself is not near that.
    assert many["after"] - many["before"] < 1.3 * (few["after"] - few["before"]) + 30_000_000
