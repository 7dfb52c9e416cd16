"""What a training step of the generator costs: the public release's loop beside rablip, without and with a cache.

    OMP_NUM_THREADS=1 python examples/benchmarks/training_cost.py --dims small
    python examples/benchmarks/training_cost.py --dims full --device cuda

All arms train models of the same size from the same random pictures and texts, the same number of examples a step, in
one process with the same number of threads. They take turns, so that what else the machine does falls on all of them,
and are compared within each turn. Peak memory is measured in a process of each arm's own (on a GPU: in its own turn).

A CPU without bf16 instructions emulates bf16, in which the release keeps its language model: there, the arm
`release_fp32` tells what the release's structure costs, and the arm `release` mostly what the emulation does.
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from cost_arms import ARMS, Arm, make_arm, make_tower_owner
from cost_measures import (
    count_calls,
    count_flops,
    count_flops_on_meta,
    describe_machine,
    measure_matmuls,
    measure_memory,
    synchronize,
)
from cost_report import make_report, print_report
from cost_setup import DIMS, CostData, make_image_processor

from rablip.training.features.cache import FeatureCache

RESULTS = Path(__file__).parent / "results" / "training_cost.json"
NUM_BATCHES = 4
# An arm whose first step takes longer takes one step in each turn.
SLOW_SECONDS = 5.0


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Options; full size needs a GPU."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--dims", choices=sorted(DIMS), default="small")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--steps", type=int, default=2, help="steps of an arm in each round")
    parser.add_argument("--rounds", type=int, default=5, help="how often each arm has its turn")
    parser.add_argument("--batch-size", type=int, default=2, help="examples per step; the release trains with 2 a GPU")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-memory", action="store_true", help="leave out the processes that measure memory")
    parser.add_argument("--out", type=Path, default=RESULTS, help="the JSON file with all raw figures")
    parser.add_argument("--measure-memory", choices=tuple(ARMS), help=argparse.SUPPRESS)
    parser.add_argument("--cache", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.dims == "full" and options.device == "cpu":
        parser.error(
            "--dims full is ViT-g, Q-Former and Flan-T5-XL, four billion weights whose step takes minutes on a CPU. "
            "Give --device cuda, or take --dims small."
        )
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda was given, but torch sees no CUDA device. Use --device cpu with --dims small.")
    for name in ("steps", "rounds", "batch_size"):
        if getattr(options, name) < 1:
            parser.error(f"--{name.replace('_', '-')} must be at least 1, got {getattr(options, name)}.")
    return options


def choose_dtype(device: str, rates: dict[str, float]) -> torch.dtype:
    """rablip's half precision is for machines on which it is faster."""
    faster = all(rates[f"bfloat16_{way}"] > rates[f"float32_{way}"] for way in ("forward", "backward"))
    return torch.bfloat16 if device == "cuda" or faster else torch.float32


class Benchmark:
    """One run: data and cache, arms in turns, memory, and the report.

    Args:
        options: of the command line.
        folder: for pictures and caches.
    """

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options, self.folder = options, folder
        self.machine = describe_machine(options.device)
        self.rates = measure_matmuls(options.device)
        self.dtype = choose_dtype(options.device, self.rates)
        self.data = CostData(
            DIMS[options.dims],
            seed=options.seed,
            folder=folder,
            num_batches=NUM_BATCHES,
            batch_size=options.batch_size,
            device=options.device,
        )
        # The control is for machines that emulate bf16, which no GPU does.
        self.names = [name for name in ARMS if options.device == "cpu" or name != "release_fp32"]
        self.built: dict[str, Arm] = {}
        self.rounds: dict[str, list[dict[str, float]]] = {name: [] for name in self.names}
        self.builds: list[dict[str, float]] = []

    def open_cache(self, folder: Path) -> Any:
        """A cache for this run's tower."""
        owner = make_tower_owner(self.data, seed=self.options.seed, dtype=self.dtype)
        processor = make_image_processor(self.data.dims)
        return FeatureCache.open(folder, model=owner, image_processor=processor)

    def build_cache(self, number: int) -> Path:
        """Build a new cache, and note what that cost."""
        folder = self.folder / f"cache-{number}"
        cache = self.open_cache(folder)
        cpu = time.process_time()
        report = cache.build(self.data.pictures, progress=False)
        row = {"cpu_seconds": time.process_time() - cpu, "seconds": report.seconds}
        self.builds.append({name: value / report.num_encoded for name, value in row.items()})
        return folder

    def make(self, name: str, cache: Path | None) -> Arm:
        """Build an arm; the model that the cache is opened with does not outlive this."""
        features = None
        if name.startswith("cache_on"):
            if cache is None:
                raise ValueError(f"The arm {name!r} needs the folder of a cache.")
            features = self.open_cache(cache).view(self.data.pictures)
        return make_arm(name, self.data, seed=self.options.seed, dtype=self.dtype, features=features)

    def take_turn(self, arm: Arm, number: int, steps: int) -> dict[str, float]:
        """Some steps of an arm, timed."""
        synchronize(self.options.device)
        wall, cpu = time.perf_counter(), time.process_time()
        for step in range(steps):
            arm.step(number * steps + step)
        synchronize(self.options.device)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        return {"steps": steps, "seconds": wall / steps, "cpu_seconds": cpu / steps}

    def run(self) -> dict[str, Any]:
        """Everything; gives what is known of each arm."""
        options = self.options
        cache = self.build_cache(0)
        arms: dict[str, dict[str, Any]] = {name: {"what": ARMS[name]} for name in self.names}
        if not options.no_memory:
            for name in self.names:
                arms[name]["memory_megabytes"] = self.measure_memory(name, cache)
        steps = dict.fromkeys(self.names, options.steps)
        for number in range(options.rounds):
            for name in self.names:
                arm = self.built.get(name) or self.make(name, cache)
                if name not in self.built:
                    # Not timed: the optimiser makes its states, the allocator its pools.
                    first = self.take_turn(arm, 0, 1)
                    if first["cpu_seconds"] > SLOW_SECONDS:
                        steps[name] = 1
                self.rounds[name].append(self.take_turn(arm, number, steps[name]))
                if number == 0:
                    arms[name]["calls_per_step"] = count_calls(arm)
                    # Precision changes no count, and emulated bf16 is slow.
                    if not (name == "release" and "release_fp32" in self.names):
                        arms[name]["flops_per_step"] = count_flops(arm)
                if options.dims != "full":
                    self.built[name] = arm
                del arm
                self.tidy()
            if options.dims != "full" and number + 1 < options.rounds:
                self.build_cache(number + 1)
        arms["release"].setdefault("flops_per_step", arms.get("release_fp32", {}).get("flops_per_step"))
        return {name: arm | {"rounds": self.rounds[name]} for name, arm in arms.items()}

    def tidy(self) -> None:
        """Free what no arm holds any more."""
        gc.collect()
        if self.options.device == "cuda":
            torch.cuda.empty_cache()

    def measure_memory(self, name: str, cache: Path) -> dict[str, Any]:
        """Memory of an arm: on a CPU in a process of its own, on a GPU here, while no other arm is built."""
        options = self.options
        if options.device == "cuda":
            measured = measure_memory(lambda: self.make(name, cache))
            self.tidy()
            return measured
        command = [sys.executable, __file__, "--measure-memory", name, "--cache", str(cache)]
        for option in ("dims", "batch_size", "seed"):
            command += [f"--{option.replace('_', '-')}", str(getattr(options, option))]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"Measuring the memory of {name!r} failed:\n{done.stderr[-2000:]}")
        return json.loads(done.stdout.splitlines()[-1])


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Run the benchmark, print its table and write its figures; gives the figures.

    Args:
        arguments: of the command line; those of the process by default.
    """
    options = parse_arguments(arguments)
    with tempfile.TemporaryDirectory() as folder:
        benchmark = Benchmark(options, Path(folder))
        if options.measure_memory is not None:
            measured = measure_memory(lambda: benchmark.make(options.measure_memory, options.cache))
            print(json.dumps(measured))
            return measured
        arms = benchmark.run()
    report = make_report(
        arms,
        options=options,
        command=" ".join(sys.argv[1:] if arguments is None else arguments),
        machine=benchmark.machine | {"matmul_gflops": benchmark.rates},
        precision=str(benchmark.dtype).removeprefix("torch."),
        data=benchmark.data,
        builds=benchmark.builds,
        at_full=None if options.dims == "tiny" else count_flops_on_meta("full", batch_size=2, seed=options.seed),
    )
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print_report(report)
    return report


if __name__ == "__main__":
    main()
