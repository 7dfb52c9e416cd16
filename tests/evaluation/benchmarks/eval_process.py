"""Evaluates a tiny WebQA folder, to be run by torchrun or alone; `test_processes.py` starts it.

Arguments: the data, the model, the run's folder, in which process and after how many questions it is killed (or -1).
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from rablip.evaluation.benchmarks import evaluate_benchmark
from rablip.evaluation.benchmarks.asking import QuestionAsker
from rablip.processing.benchmarks import open_benchmark


def main() -> None:
    data, model, out, killed_rank, killed_after = sys.argv[1:]
    rank = int(os.environ.get("RANK", 0))
    original = QuestionAsker.__call__
    asked = []

    def ask(self: Any, questions: Any) -> Any:
        asked.extend(questions)
        if rank == int(killed_rank) and len(asked) > int(killed_after) >= 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(self, questions)

    QuestionAsker.__call__ = ask  # type: ignore[method-assign]
    benchmark = open_benchmark("webqa", data, split="val", setting="distractor")
    evaluate_benchmark(benchmark, model, out=out, stress=["drop-image"], shard_size=1, device="cpu")


if __name__ == "__main__":
    main()
