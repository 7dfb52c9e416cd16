"""Halving loses no row, runs none twice that was done, and gives up only when a single row does not fit."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rablip.batch_halving import is_out_of_memory, run_in_batches


@given(num_rows=st.integers(0, 60), batch_size=st.integers(1, 40), room=st.integers(1, 40))
def test_every_row_is_run_once_and_in_order(num_rows: int, batch_size: int, room: int) -> None:
    def run(start: int, stop: int) -> list[int]:
        if stop - start > room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return list(range(start, stop))

    parts, kept = run_in_batches(run, num_rows, batch_size, unit="rows", name_row=str)
    assert [row for part in parts for row in part] == list(range(num_rows))
    assert kept <= batch_size and all(len(part) <= room for part in parts)


def test_a_row_that_never_fits_is_named_and_other_errors_pass() -> None:
    def no_memory(start: int, stop: int) -> None:
        raise MemoryError("no room")

    with pytest.raises(MemoryError, match="row 0 alone does not fit in memory: no room"):
        run_in_batches(no_memory, 8, 8, unit="rows", name_row=lambda row: f"row {row}")

    def broken(start: int, stop: int) -> None:
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="^shapes do not match$"):
        run_in_batches(broken, 8, 8, unit="rows", name_row=str)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("CUDA out of memory."), False),
    ],
)
def test_out_of_memory_is_told_from_other_errors(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) is expected
