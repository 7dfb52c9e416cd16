"""The vector index beside bare FAISS, exact search and a peer: time, recall, memory and disk, by kind of search.

    OMP_NUM_THREADS=1 python examples/benchmarks/index.py --sizes 100000 --data world clustered isotropic
    OMP_NUM_THREADS=1 python examples/benchmarks/index.py --sizes 1000000 --data clustered --peer

Every (data, size, kind) is a run of its own, kept in `--work-dir`: what was measured is not measured again, and the
report is of all runs that are there. A run builds the index, loads it, and searches it in processes of their own.
In the last one the arms take turns (index_arms.py) and are compared within each turn, by the time on the processor,
which other work of the machine lengthens less than the wall clock; both are kept.

Memory is what Linux says of the process: `anonymous`, which stays, and `mapped`, pages of files (vectors, ids) that
the system takes back when it needs room. "An item" is the growth divided by the number of items.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import faiss
from index_data import DATA, WORLD_ITEMS, make_data
from reporting import describe_command, describe_run, keep_run, write_report

from rablip.index.search_kinds import KINDS

RESULTS = Path(__file__).parent / "results" / "index.json"


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[100_000], help="numbers of vectors")
    parser.add_argument("--data", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=[kind for kind in KINDS if kind != "auto"])
    parser.add_argument(
        "--peer", action="store_true", help="also txtai, where it is installed, beside the kind `auto`"
    )
    parser.add_argument("--rounds", type=int, default=5, help="turns of every arm")
    parser.add_argument("--seed", type=int, default=0, help="of synthetic vectors")
    parser.add_argument(
        "--work-dir", type=Path, default=Path("index_runs"), help="data and runs; goes on where it was"
    )
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        parser.error(f"--rounds must be at least 1, got {options.rounds}.")
    if min(options.sizes) < 1000:
        parser.error(f"--sizes must be at least 1000, got {min(options.sizes)}: fewer vectors are searched exactly.")
    return options


def run_worker(options: argparse.Namespace, worker: str, data: str, size: int, kind: str, folder: Path) -> Any:
    """A measurement in a process of its own."""
    script = Path(__file__).with_name("index_runs.py")
    words = [worker, data, size, kind, folder, options.work_dir / "data", options.rounds, options.seed]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, str(script), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise RuntimeError(f"{worker} of {kind} over {size} {data} vectors failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def measure(
    options: argparse.Namespace, data: str, size: int, kind: str, workers: Sequence[str], folder: Path
) -> dict[str, Any]:
    """Build an index, take the other measurements of it, and remove it."""
    dim = make_data(data, size, seed=options.seed, folder=options.work_dir / "data").vectors.shape[1]
    shutil.rmtree(folder, ignore_errors=True)
    try:
        taken = {worker: run_worker(options, worker, data, size, kind, folder) for worker in ("build", *workers)}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {"data": data, "size": size, "dim": dim, "kind": kind, "command": describe_command("index"), **taken}


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Take the measurements that are not there yet, print the table and write the report; gives the report.

    Args:
        arguments: of the command line; those of the process by default.
    """
    options = parse_arguments(arguments)
    has_peer = options.peer and find_spec("txtai") is not None
    if options.peer and not has_peer:
        print("The peer, txtai, is not installed and left out: install it in an environment of its own.")
    for name in options.data:
        for size in options.sizes:
            if name == "world" and size > WORLD_ITEMS:
                print(f"The world gives {WORLD_ITEMS} items: {size} are left out.")
                continue
            wanted: list[tuple[str, tuple[str, ...]]] = [(kind, ("memory", "search")) for kind in options.kinds]
            for kind, workers in wanted + ([("auto", ("peer",))] if has_peer else []):
                title = f"{name}-{size}-{'peer' if workers == ('peer',) else kind}"
                print_run(keep_run(options, title, partial(measure, options, name, size, kind, workers)))
    report = describe_run(options, "index")
    report["versions"]["faiss"] = faiss.__version__
    report["runs"] = read_runs(options.work_dir)
    report["commands"] = list(dict.fromkeys(run["command"] for run in report["runs"]))
    write_report(report, options.out)
    return report


def read_runs(folder: Path) -> list[dict[str, Any]]:
    """All runs that are kept, in the order of data, size and kind."""
    runs = [json.loads(file.read_text(encoding="utf-8")) for file in folder.glob("*-*.json")]
    return sorted(
        runs, key=lambda run: (DATA.index(run["data"]), run["size"], KINDS.index(run["kind"]), "peer" in run)
    )


def print_run(run: dict[str, Any]) -> None:
    """One line."""
    words = [
        f"{run['data']} {run['size']} x {run['dim']} {run['kind']}: built in {run['build']['seconds']['cpu']:.1f} s"
    ]
    if "memory" in run:
        grown = run["memory"]["bytes_an_item"]["searched"]
        words.append(f"{grown['anonymous']:.1f} resident bytes an item and {grown['mapped']:.0f} mapped")
    taken = run.get("search") or run["peer"]
    for name, times in taken["seconds"].items():
        batch, single = times["batch"]["cpu"]["p50"], times["single"]["cpu"]["p50"]
        ratio = taken["over_ours"].get(name, {}).get("batch", {}).get("median", 1.0)
        recall = taken["recall"][name]
        words.append(f"{name} {1e3 * batch:.2f} ms, {1e3 * single:.3f} ms, x{ratio:.3f}, recall {recall:.4f}")
    print("; ".join(words), flush=True)


if __name__ == "__main__":
    main()
