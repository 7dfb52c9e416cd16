"""Two processes train and evaluate as one does: generator and re-ranker, and what pre-training measures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.module_processes import run_module


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path: Path) -> None:
    for num_processes in (1, 2):
        run_module("tests.training.two_stage_processes", tmp_path, num_processes=num_processes)
    for stage in ("generator", "reranker"):
        one, two = (load_file(tmp_path / f"{stage}-{number}.safetensors") for number in (1, 2))
        assert one.keys() == two.keys() and len(one["losses"]) == 3
        assert len(set(one["losses"].tolist())) == 3
        # Trainer writes four digits of it; the weights say the rest.
        torch.testing.assert_close(two["losses"], one["losses"], rtol=0, atol=1.1e-4)
        for name, value in one.items():
            torch.testing.assert_close(two[name], value, rtol=1e-4, atol=1e-5, msg=f"{stage}: {name}")
    measured = [json.loads((tmp_path / f"measured-{number}.json").read_text()) for number in (1, 2)]
    for stage, one in measured[0].items():
        assert "eval_loss" in one and (stage == "fusion" or "eval_relevance_auc" in one)
        assert measured[1][stage] == pytest.approx(one, rel=1e-5), stage
