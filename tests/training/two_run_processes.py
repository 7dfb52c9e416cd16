"""A run in two processes, to be run by torchrun; `test_searching.py` starts it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from rablip.training import RunSettings, run_training
from rablip.training.runs import run, searching
from rablip.training.runs.processes import compute_once
from rablip.training.trainers.gathering import num_processes, process_rank


def check_once() -> None:
    """One computes for both, and its failure is everybody's."""
    assert num_processes() == 2
    called = []
    text = "ä" * 3000
    value = compute_once(lambda: called.append(1) or {"ids": ["a", text], "none": None})
    assert value == {"ids": ["a", text], "none": None}
    assert len(called) == (process_rank() == 0)

    def fail() -> None:
        raise FileNotFoundError("no such index")

    try:
        compute_once(fail)
    except (FileNotFoundError, RuntimeError) as error:
        assert "no such index" in str(error)
        assert isinstance(error, FileNotFoundError) == (process_rank() == 0)
    else:
        raise AssertionError("a failure of the first process is no error")


def main() -> None:
    """A re-ranker learns from what the first process finds, and the folder's checkpoints are the run's."""
    folder, data, model = map(Path, sys.argv[1:])
    indexed, pools = [], []
    index_pool, prepare = searching.index_pool, run.PREPARE["reranker"]

    def count(*args: Any, **kwargs: Any) -> Any:
        indexed.append(process_rank())
        return index_pool(*args, **kwargs)

    def keep(*args: Any, **kwargs: Any) -> Any:
        parts = prepare(*args, **kwargs)
        pools.extend(rows.pool for rows in (parts.train_dataset, parts.eval_dataset))
        return parts

    searching.index_pool = count  # type: ignore[attr-defined]
    run.PREPARE["reranker"] = keep
    settings = RunSettings(batch_size=2, max_steps=2, eval_steps=1, arguments={"disable_tqdm": True})
    summary = run_training("reranker", data, model, folder / "out", settings)
    assert summary["steps"] == 2 and ("fitted" in summary) == (process_rank() == 0)
    # Training and validation questions are about the same items, so that one index will do.
    assert indexed == ([0] if process_rank() == 0 else [])
    mined = [sorted((key, hop, ids) for (key, hop), ids in pool.mined.items()) for pool in pools]
    (folder / f"mined-{process_rank()}.json").write_text(json.dumps(mined))
    check_once()
    try:
        run_training("reranker", data, model, folder / "out", RunSettings(batch_size=2, max_steps=2, seed=5))
    except (ValueError, RuntimeError) as error:
        assert "seed is 5 and was 0" in str(error)
    else:
        raise AssertionError("the checkpoints of another run are gone on from")


if __name__ == "__main__":
    main()
