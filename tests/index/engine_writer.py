"""What another process does to an index in the engine; imports as little as that needs, so that it starts at once.

Usage: python -m tests.index.engine_writer FOLDER look|write NUMBER
"""

from __future__ import annotations

import sys

import numpy as np

from rablip.index import EngineIndex

DIM, NUM_STEPS = 4, 4


def make_row(seed: int) -> np.ndarray:
    """(1, DIM): one vector of length 1."""
    vector = np.random.default_rng(seed).normal(size=(1, DIM))
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def look(folder: str) -> None:
    """Finds the four items that are there, deletes one, replaces one and adds one."""
    index = EngineIndex.open(folder, expected={"model_fingerprint": "ab12", "num_items": 4})
    assert {hit.id for hit in index.search(make_row(0), 9)[0]} == {"item 0", "item 1", "item 3", "item 4"}
    index.delete(["item 0"])
    index.upsert(["item 1", "new"], np.concatenate([make_row(8), make_row(9)]))


def write(folder: str, number: int) -> None:
    """Adds ids of its own and ids that others add too, replaces one that all replace, deletes some of its own."""
    index = EngineIndex.open(folder)
    for step in range(NUM_STEPS):
        rows = np.concatenate([make_row(step), make_row(50 + step)])
        index.add([f"own {number} {step}", f"shared {step}"], rows, on_duplicate="skip")
        index.upsert(["item 0"], make_row(100 + number))
        if step % 2:
            index.delete([f"own {number} {step}"])


if __name__ == "__main__":
    if sys.argv[2] == "look":
        look(sys.argv[1])
    else:
        write(sys.argv[1], int(sys.argv[3]))
