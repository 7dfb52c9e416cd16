"""The benchmark world, drawn once for all tests that only look at it."""

from __future__ import annotations

import pytest

from rablip.world import World, make_world


@pytest.fixture(scope="session")
def benchmark_world() -> World:
    return make_world(987, 600)


@pytest.fixture(scope="session")
def small_world() -> World:
    return make_world(5, 40)
