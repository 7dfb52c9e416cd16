"""Gathering over processes: nothing happens in one, and two with gloo do what one does."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from rablip.training.trainers.gathering import gather_rows, num_processes, process_rank, sum_over_processes
from tests.module_processes import run_module


def test_one_process_gathers_its_own_rows() -> None:
    rows = torch.randn(3, 2, requires_grad=True)
    assert gather_rows(rows) is rows and gather_rows(rows, fill_value=0.0) is rows
    assert (num_processes(), process_rank()) == (1, 0)
    total = sum_over_processes(rows)
    assert torch.equal(total, rows) and not total.requires_grad and total.data_ptr() != rows.data_ptr()


def test_one_number_has_no_rows() -> None:
    with pytest.raises(ValueError, match="one number without a dimension of rows"):
        gather_rows(torch.tensor(1.0))


@pytest.mark.slow
def test_two_processes_do_what_one_does(tmp_path: Path) -> None:
    run_module("tests.training.two_processes", tmp_path)
    assert {path.name for path in tmp_path.glob("done-*")} == {"done-0", "done-1"}
