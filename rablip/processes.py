"""Several processes that do one work together, started by torchrun or `accelerate launch`; or just this one."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list, gather_object

__all__ = ["Processes", "is_first", "join_processes"]

Made = TypeVar("Made")


def join_processes(use_cpu: bool) -> PartialState:
    """The processes of this run, or just this one.

    Args:
        use_cpu: whether they work on the CPU.

    Raises:
        RuntimeError: when several processes were started that do not see each other.
    """
    state = PartialState(cpu=use_cpu)
    num_started = _count_started()
    if state.num_processes != num_started:
        # On the CPU accelerate takes each process for the only one unless it is told, and all would do all the work.
        raise RuntimeError(
            f"{num_started} processes were started, but accelerate sees {state.num_processes} on {state.device}. Pass "
            "use_cpu=True to whatever comes first in the script: TrainingArguments or build_features."
        )
    return state


class Processes:
    """This process among those that were started with it; alone, everything is done at once and nothing is shared.

    An error in any process becomes an error in all of them, so that none waits for ever.

    Args:
        device: where models run; "cuda" becomes each process's own device. None for the GPU where there is one, else
            the CPU.

    Attributes:
        rank: number of this process; the first, 0, does what is done once.
        count: how many there are.
        device: of this process.

    Example:
        >>> alone = Processes()
        >>> alone.count, alone.lead(lambda: "written"), alone.join(lambda: 3)
        (1, 'written', [3])
    """

    def __init__(self, device: Any = None) -> None:
        wanted = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self.rank, self.count, self.device = 0, 1, wanted
        if _count_started() > 1:
            state = join_processes(str(wanted) == "cpu")
            self.rank, self.count, self.device = state.process_index, state.num_processes, state.device

    def lead(self, make: Callable[[], Made]) -> Made:
        """What the first process makes, in every process.

        Raises:
            Exception: in the first process as `make` raised it.
            RuntimeError: in the others; has its words.
        """
        if self.count == 1:
            return make()
        attempt = _Attempt(make) if self.rank == 0 else None
        outcome: list[Any] = [(attempt.made, attempt.said) if attempt is not None else None]
        broadcast_object_list(outcome, from_process=0)
        if attempt is not None and attempt.error is not None:
            raise attempt.error
        made, said = outcome[0]
        if said is not None:
            raise RuntimeError(f"The first of {self.count} processes failed: {said}")
        result: Made = made
        return result

    def join(self, make: Callable[[], Made]) -> list[Made]:
        """What every process makes, in every process, in the order of their ranks; waits for all.

        Raises:
            Exception: in a process as its own `make` raised it.
            RuntimeError: in the others; has its words.
        """
        if self.count == 1:
            return [make()]
        attempt = _Attempt(make)
        outcomes = gather_object([(attempt.made, attempt.said)])
        if attempt.error is not None:
            raise attempt.error
        failed = [f"process {rank + 1}: {said}" for rank, (_, said) in enumerate(outcomes) if said is not None]
        if failed:
            raise RuntimeError(f"{len(failed)} of {self.count} processes failed: {'; '.join(failed)}")
        return [made for made, _ in outcomes]


class _Attempt:
    """What a call made, or the error that it raised and its words, which go to other processes where errors cannot."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.made: Any = None
        self.said: str | None = None
        self.error: Exception | None = None
        try:
            self.made = make()
        except Exception as error:
            self.error, self.said = error, f"{type(error).__name__}: {error}"


def is_first() -> bool:
    """Whether this is the process that speaks for all of them.

    Example:
        >>> is_first()
        True
    """
    return int(os.environ.get("RANK", 0)) == 0


def _count_started() -> int:
    return int(os.environ.get("WORLD_SIZE", 1)) if "LOCAL_RANK" in os.environ else 1
