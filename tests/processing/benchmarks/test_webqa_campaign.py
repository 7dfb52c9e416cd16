"""A damaged WebQA folder is refused, reported by file and place, or read right: nothing is lost in silence."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.processing.benchmarks.webqa_campaign import check_case


def test_damaged_folders_are_never_read_wrongly_in_silence(tmp_path: Path, full: bool) -> None:
    outcomes: Counter[str] = Counter()
    for seed in range(1000 if full else 80):
        folder = tmp_path / str(seed)
        folder.mkdir()
        outcomes[check_case(folder, seed)] += 1
    assert min(outcomes[kind] for kind in ("refused", "reported", "right")) >= sum(outcomes.values()) // 20, outcomes
