"""Readers of public benchmarks: their official files to questions and knowledge items, with nothing guessed."""

from __future__ import annotations

from .benchmark import Benchmark

__all__ = ["Benchmark"]
