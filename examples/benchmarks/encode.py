"""How fast knowledge items are encoded: rablip, a plain transformers loop, and sentence-transformers, same weights.

    python examples/benchmarks/encode.py

Every arm reads the same knowledge base from disk with the same model (random weights) and the same processor. Each
measurement is a process of its own, the arms take turns, and ratios are of medians. sentence-transformers is left out,
and said to be, where it is not installed; `--size vit-g --device cuda` measures the share of a card's bf16 peak.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from encode_arms import ARMS, CORPORA, SIZES, count_tower_flops, make_base, make_model
from reporting import describe_run, write_report

from rablip.knowledge_base import KnowledgeBase

RESULTS = Path(__file__).parent / "results" / "encode.json"
WARM_UP_ITEMS = 8


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """One arm on one corpus, in this process: seconds, peak memory and the embeddings' checksum."""
    if args.threads:
        torch.set_num_threads(args.threads)
    base = KnowledgeBase.load(args.base)
    model, processor = make_model(args.size, args.device)
    encode = ARMS[args.arm]
    encode(model, processor, list(base.iterate(0, WARM_UP_ITEMS)), base, args)
    before = _peak_bytes(args.device)
    started = time.perf_counter()
    embeddings = encode(model, processor, None, base, args)
    seconds = time.perf_counter() - started
    pictures = {item.image for item in base if item.image is not None}
    found = {
        "seconds": seconds,
        "items_per_second": len(base) / seconds,
        "peak_bytes": _peak_bytes(args.device),
        "peak_bytes_before": before,
        "mean": np.asarray(embeddings, dtype=np.float64).mean(axis=0)[:4].tolist(),
    }
    if args.device == "cuda":
        from cost_measures import find_card_peak

        found["tower_tflops"] = count_tower_flops(model) * len(pictures) / seconds / 1e12
        peak = find_card_peak()
        if peak is not None:
            found["share_of_peak"] = found["tower_tflops"] / peak
    return found


def _peak_bytes(device: str) -> int:
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def run_measurement(args: argparse.Namespace, arm: str, base: Path) -> dict[str, Any]:
    """`measure` in a process of its own."""
    command = [sys.executable, __file__, "--arm", arm, "--base", str(base), "--size", args.size]
    command += ["--device", args.device, "--batch-size", str(args.batch_size), "--threads", str(args.threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{arm} failed: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare(args: argparse.Namespace, arms: list[str], base: Path) -> dict[str, Any]:
    """All arms on one corpus, in turns; medians, and ratios to the plain loop."""
    runs: dict[str, list[dict[str, Any]]] = {arm: [] for arm in arms}
    for _ in range(args.repeats):
        for arm in arms:
            runs[arm].append(run_measurement(args, arm, base))
            print(f"{base.name} {arm}: {runs[arm][-1]['items_per_second']:.1f} items/s", flush=True)
    means = [np.array(of_arm[0]["mean"]) for of_arm in runs.values()]
    if max(np.abs(mean - means[0]).max() for mean in means) > 0.02:
        sys.exit(f"The arms' embeddings differ: {means}")
    table: dict[str, Any] = {}
    for arm, of_arm in runs.items():
        speeds = [run["items_per_second"] for run in of_arm]
        plain = [run["items_per_second"] for run in runs["plain"]]
        ratios = [speed / other for speed, other in zip(speeds, plain, strict=True)]
        table[arm] = {
            "items_per_second": float(np.median(speeds)),
            "ratio_to_plain": float(np.median(ratios)),
            "ratios": ratios,
            "peak_mib": max(run["peak_bytes"] for run in of_arm) / 2**20,
        }
        if "share_of_peak" in of_arm[0]:
            table[arm]["share_of_peak"] = float(np.median([run["share_of_peak"] for run in of_arm]))
    return table


def parse_arguments() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpora", nargs="+", default=list(CORPORA), choices=list(CORPORA))
    parser.add_argument("--items", type=int, default=384)
    parser.add_argument("--size", default="small", choices=list(SIZES))
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--threads", type=int, default=0, help="of torch; 0 for its own choice")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--arm", choices=list(ARMS), help=argparse.SUPPRESS)
    parser.add_argument("--base", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Measure every arm on every corpus and write the table."""
    args = parse_arguments()
    if args.arm:
        print(json.dumps(measure(args)))
        return
    arms = [arm for arm in ARMS if arm != "sentence_transformers" or find_spec("sentence_transformers")]
    if len(arms) < len(ARMS):
        print("sentence-transformers is not installed: its arm is left out", file=sys.stderr)
    table = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in args.corpora:
            make_base(name, args.items, args.seed, Path(folder, name))
            table[name] = compare(args, arms, Path(folder, name))
    del args.arm, args.base
    report = describe_run(args, "encode") | {"table": table}
    write_report(report, args.out)
    print(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
