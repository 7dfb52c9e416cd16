"""Builds an index from a JSONL file, to be run by torchrun or alone; `test_resuming.py` starts it.

Arguments: the source, the model, the index folder, items of a shard, and in which process and after how many batches
the process kills itself (or -1).
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from rablip import build_index
from rablip.encoding import KnowledgeEncoder


def main() -> None:
    source, model, out, shard_size, killed_rank, killed_after = sys.argv[1:]
    rank = int(os.environ.get("RANK", 0))
    original = KnowledgeEncoder._run_model
    done = []

    def run_model(self: Any, *arguments: Any) -> Any:
        done.append(1)
        if rank == int(killed_rank) and len(done) > int(killed_after) >= 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(self, *arguments)

    KnowledgeEncoder._run_model = run_model  # type: ignore[method-assign]
    report = build_index(
        source, model=model, out=out, shard_size=int(shard_size), batch_size=4, device="cpu", progress=False
    )
    Path(f"{out}-{rank}.json").write_text(json.dumps({"num_items": report.num_items, "batches": len(done)}))


if __name__ == "__main__":
    main()
