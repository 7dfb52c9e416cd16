"""How the index benchmark measures: memory of a process by kind, time of a call on the processor, ratios of rounds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

__all__ = ["PeakMemory", "compare_rounds", "describe_times", "parse_status", "read_memory", "time_call"]

_STATUS = Path("/proc/self/status")


def parse_status(text: str) -> dict[str, int]:
    """Bytes of a process in memory, from Linux's `/proc/PID/status`.

    Returns:
        "anonymous", which the process made itself, and "mapped", pages of files that the system takes back when it
        needs room.

    Raises:
        ValueError: when the system does not say.
    """
    lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    try:
        return {
            name: 1024 * int(lines[field].split()[0])
            for name, field in (("anonymous", "RssAnon"), ("mapped", "RssFile"))
        }
    except KeyError as error:
        raise ValueError(f"/proc/self/status has no {error}: memory is measured on Linux only.") from None


def read_memory() -> dict[str, int]:
    """`parse_status` of this process."""
    return parse_status(_STATUS.read_text(encoding="ascii"))


class PeakMemory:
    """The most anonymous memory of this process while the context is open, looked at every few milliseconds.

    Attributes:
        start, peak: bytes.
    """

    def __init__(self, every_seconds: float = 0.005) -> None:
        self._every = every_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PeakMemory:
        self.start = self.peak = read_memory()["anonymous"]
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._look()

    def _look(self) -> None:
        self.peak = max(self.peak, read_memory()["anonymous"])

    def _watch(self) -> None:
        while not self._stop.wait(self._every):
            self._look()


def time_call(call: Callable[[], Any]) -> dict[str, float]:
    """Seconds of a call: on the processor, which other processes do not lengthen, and on the wall clock."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {"cpu": cpu, "wall": wall}


def describe_times(seconds: Sequence[float]) -> dict[str, float]:
    """Median and 95th percentile."""
    p50, p95 = np.percentile(seconds, [50, 95])
    return {"p50": float(p50), "p95": float(p95), "n": len(seconds)}


def compare_rounds(rounds: Sequence[Mapping[str, float]], name: str, other: str) -> dict[str, float]:
    """How many times as long `name` takes as `other` in the same round: the median of the rounds, and their quartiles.

    Args:
        rounds: seconds by arm.
        name, other: arms.
    """
    ratios = [times[name] / times[other] for times in rounds]
    low, median, high = np.percentile(ratios, [25, 50, 75])
    return {"median": float(median), "low": float(low), "high": float(high)}
