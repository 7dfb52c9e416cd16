"""The measurements of the index benchmark, each made in a process of its own: build, memory, search, and the peer.

index.py starts them; they import little, so that little but the index is in the memory that they measure.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from index_arms import Arm, build_index, make_arms, make_peer
from index_data import TOP, Data, make_data, measure_recall
from index_measures import PeakMemory, compare_rounds, describe_times, read_memory, time_call

from rablip.index import IndexManifest, KnowledgeIndex, SearchSettings
from rablip.index.exact_search import search_exact
from rablip.index.faiss_import import import_faiss
from rablip.index.segments import STRUCTURE_NAME, VECTORS_NAME

__all__ = ["BATCH", "WORKERS", "take_turns"]

BATCH = 256
# Questions of a search, and how often an arm makes one in each round; exact search takes seconds a batch at a million.
_TURNS = {"batch": (BATCH, 7, 1), "single": (1, 24, 3)}
_SLOW_SECONDS = 0.02


def measure_build(data: Data, kind: Any, folder: Path, rounds: int) -> dict[str, Any]:
    """Build the index: seconds, the peak of memory, and bytes on disk by what they are for."""
    import_faiss()
    with PeakMemory() as memory:
        times = time_call(lambda: build_index(data, SearchSettings(kind=kind), folder))
    manifest = IndexManifest.load(folder)
    disk = dict.fromkeys(("vectors", "structure", "ids"), 0.0)
    count = len(data.vectors)
    for name, record in manifest.files.items():
        of = name.rpartition("/")[2]
        part = "vectors" if of.startswith(VECTORS_NAME) else "structure" if of.startswith(STRUCTURE_NAME) else "ids"
        disk[part] += record.num_bytes / count
    return {
        "seconds": times,
        "peak_bytes_an_item": (memory.peak - memory.start) / count,
        "disk_bytes_an_item": disk,
        "settings": vars(manifest.segments[0].search),
    }


def measure_memory(data: Data, kind: Any, folder: Path, rounds: int) -> dict[str, Any]:
    """Load the index and search it: memory after each step, and what the first search costs, which verifies."""
    questions, count = np.ascontiguousarray(data.questions), len(data.vectors)
    # What FAISS and matrix products take once, however many items there are, is no part of an item.
    search_exact(questions[:BATCH], questions, TOP)
    start = read_memory()
    indexes: list[KnowledgeIndex] = []
    times = {"load": time_call(lambda: indexes.append(KnowledgeIndex.load(folder, verify=False)))}
    (index,) = indexes
    steps = {"loaded": read_memory()}
    times["first_single"] = time_call(lambda: index.search(questions[:1], TOP))
    steps["opened"] = read_memory()
    times["first_batch"] = time_call(lambda: index.search(questions[:BATCH], TOP))
    for _ in range(rounds):
        index.search(questions[-BATCH:], TOP)
        times["later_batch"] = time_call(lambda: index.search(questions[:BATCH], TOP))
    steps["searched"] = read_memory()
    grown = {step: {name: (after[name] - start[name]) / count for name in start} for step, after in steps.items()}
    return {"bytes_an_item": grown, "seconds": times}


def measure_search(data: Data, kind: Any, folder: Path, rounds: int) -> dict[str, Any]:
    """Recall and time of the arms over the index."""
    return take_turns(make_arms(KnowledgeIndex.load(folder, verify=True)), data, rounds)


def measure_peer(data: Data, kind: Any, folder: Path, rounds: int) -> dict[str, Any]:
    """The peer beside the index; its memory is what building it added and left."""
    arms = make_arms(KnowledgeIndex.load(folder, verify=True))
    found: list[Arm | None] = []
    before = read_memory()["anonymous"]
    times = time_call(lambda: found.append(make_peer(data)))
    peer = found[0]
    if peer is None:
        sys.exit("The peer, txtai, is not installed.")
    held = (read_memory()["anonymous"] - before) / len(data.vectors)
    taken = take_turns({"ours": arms["ours"], "peer": peer}, data, rounds)
    return {**taken, "peer_build_seconds": times, "peer_bytes_an_item": held}


WORKERS: Mapping[str, Callable[[Data, Any, Path, int], dict[str, Any]]] = {
    "build": measure_build,
    "memory": measure_memory,
    "search": measure_search,
    "peer": measure_peer,
}


def take_turns(arms: Mapping[str, Arm], data: Data, rounds: int) -> dict[str, Any]:
    """Every arm in every round, batches and single questions, one after the other; the order turns round each time.

    Args:
        arms: one of them is "ours".
        data: questions, and what is near them.
        rounds: how many.
    """
    questions = np.ascontiguousarray(data.questions)
    recall = {name: measure_recall(data, arm.rows(arm.search(questions))) for name, arm in arms.items()}
    taken: dict[str, dict[str, list[dict[str, float]]]] = {name: {"batch": [], "single": []} for name in arms}
    of_rounds: dict[str, list[dict[str, float]]] = {"batch": [], "single": []}
    slow = [name for name, arm in arms.items() if time_call(partial(arm.search, questions[:1]))["cpu"] > _SLOW_SECONDS]
    for number in range(rounds):
        for what, (size, count, slow_count) in _TURNS.items():
            times: dict[str, list[dict[str, float]]] = {name: [] for name in arms}
            for turn in range(-1, count):
                start = (number * count + turn) % (len(questions) - size + 1)
                some = questions[start : start + size]
                for name in list(arms) if (number + turn) % 2 == 0 else list(arms)[::-1]:
                    # A slow arm is done before the others begin, and leaves them nothing in the processor's caches:
                    # their first turn is not counted.
                    if (name in slow) == (turn < 0):
                        calls = slow_count if turn < 0 else 1
                        times[name] += [time_call(partial(arms[name].search, some)) for _ in range(calls)]
                    elif turn < 0:
                        arms[name].search(some)
            for name in arms:
                taken[name][what] += times[name]
            of_rounds[what].append({name: float(np.median([one["cpu"] for one in times[name]])) for name in arms})
    return {
        "recall": recall,
        "seconds": {
            name: {
                what: {clock: describe_times([one[clock] for one in times]) for clock in ("cpu", "wall")}
                for what, times in of_arm.items()
            }
            for name, of_arm in taken.items()
        },
        "over_ours": {
            name: {what: compare_rounds(rows, name, "ours") for what, rows in of_rounds.items()}
            for name in arms
            if name != "ours"
        },
        "rounds": of_rounds,
    }


def main(worker: str, data: str, size: str, kind: str, folder: str, data_folder: str, rounds: str, seed: str) -> None:
    """Take one measurement and print it."""
    made = make_data(data, int(size), seed=int(seed), folder=Path(data_folder))
    print(json.dumps(WORKERS[worker](made, kind, Path(folder), int(rounds))))


if __name__ == "__main__":
    main(*sys.argv[1:])
