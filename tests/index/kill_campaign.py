"""Kills processes that change an index, at random moments, and checks what they leave; run by test_kills.py.

    python -m tests.index.kill_campaign FOLDER SEED NUM_KILLS

Every change is made by a forked process that is killed with SIGKILL. What is then loaded, with every byte verified,
must be the index before the change or after it; the next change starts from there.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np

from rablip.index import IndexBuilder, IndexManifest, KnowledgeIndex, SearchSettings
from rablip.index.maintenance import compact_index

DIM = 8
State = dict[str, int]


def make_vector(seed: int) -> np.ndarray:
    vector = np.random.default_rng(seed).normal(size=DIM).astype(np.float32)
    return vector / np.linalg.norm(vector)


def plan(state: State, rng: random.Random) -> tuple[str, State]:
    """A change, and the index after it."""
    after = dict(state)
    operation = rng.choice(["add", "add many", "upsert", "delete", "compact", "stream"])
    if operation in ("add", "add many", "stream"):
        for _ in range(rng.randint(1, 5) if operation == "add" else 1100):
            after[f"id {rng.randrange(10**9)}"] = rng.randrange(10**6)
    elif operation == "upsert":
        for name in rng.sample(sorted(state), min(len(state), 3)):
            after[name] = rng.randrange(10**6)
    elif operation == "delete":
        for name in rng.sample(sorted(state), len(state) * 9 // 10 if len(state) > 4000 else min(len(state), 2)):
            del after[name]
    return operation, after


def change(folder: Path, operation: str, state: State, after: State) -> None:
    """Do it."""
    new = {name: seed for name, seed in after.items() if state.get(name) != seed}
    vectors = np.stack([make_vector(seed) for seed in new.values()]) if new else np.empty((0, DIM), np.float32)
    if operation == "compact":
        compact_index(folder, progress=False)
    elif operation == "stream":
        with IndexBuilder(folder) as builder:
            builder.add(list(new), vectors)
            builder.commit()
    else:
        index = KnowledgeIndex.load(folder)
        index.delete([name for name in state if name not in after])
        index.upsert(list(new), vectors)
        index.save(folder)


def read_state(folder: Path) -> dict[str, tuple[float, ...]]:
    index = KnowledgeIndex.load(folder, verify=True)
    return dict(zip(index.ids, map(tuple, index.get(index.ids).tolist()), strict=True)) if len(index) else {}


def expect(state: State) -> dict[str, tuple[float, ...]]:
    return {name: tuple(make_vector(seed).tolist()) for name, seed in state.items()}


def main(folder: Path, seed: int, num_kills: int) -> dict[str, int]:
    rng = random.Random(seed)
    state: State = {"first": 1}
    index = KnowledgeIndex.create(
        IndexManifest(model_id="m", model_fingerprint="f", embedding_dim=DIM, search=SearchSettings(kind="ivf"))
    )
    index.add(["first"], make_vector(1)[None])
    index.save(folder)
    counts = {"killed": 0, "old": 0, "new": 0, "finished": 0}
    seconds = {}
    while counts["killed"] < num_kills:
        operation, after = plan(state, rng)
        longest = seconds.get(operation, 0.2)
        started = time.monotonic()
        child = os.fork()
        if not child:
            try:
                change(folder, operation, state, after)
            except BaseException:
                os._exit(1)
            os._exit(0)
        # The first of every kind runs to its end, so that kills fall into its whole length.
        if operation in seconds:
            time.sleep(rng.random() * longest)
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        was_killed = os.WIFSIGNALED(status)
        assert was_killed or os.WEXITSTATUS(status) == 0, f"{operation} failed"
        if not was_killed:
            seconds[operation] = max(longest if operation in seconds else 0.0, time.monotonic() - started)
        found = read_state(folder)
        if found == expect(after):
            outcome = "new"
            state = after
        else:
            assert was_killed and found == expect(state), f"{operation}: neither the old nor the new index"
            outcome = "old"
        if was_killed:
            counts["killed"] += 1
            counts[outcome] += 1
        else:
            counts["finished"] += 1
    # What was left behind by those that were killed goes with the next change.
    change(folder, "add", state, {**state, "last": 2})
    manifest = IndexManifest.load(folder)
    named = {"manifest.json", ".lock", *manifest.files}
    left = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert left == named, sorted(left ^ named)[:5]
    return counts


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
