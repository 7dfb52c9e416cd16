"""Rules for every test: offline, seeded, nothing that transformers has deprecated, nothing left out in silence."""

from __future__ import annotations

import logging
import os
import random
import socket
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Set before any library of Hugging Face is imported.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
_MARKS = ("slow", "full", "browser", "gpu", "hub")
_left_out: Counter[str] = Counter()


# Marks of what `make test` leaves out.
_LEFT_OUT = ("slow", "full", "browser")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--counts-only", action="store_true", help="run only what `make test` leaves out, or runs on a sample"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--counts-only"):
        return
    kept = [
        item
        for item in items
        if "full" in getattr(item, "fixturenames", ()) or any(item.get_closest_marker(mark) for mark in _LEFT_OUT)
    ]
    names = {id(item) for item in kept}
    config.hook.pytest_deselected(items=[item for item in items if id(item) not in names])
    items[:] = kept


def pytest_configure(config: pytest.Config) -> None:
    level = os.environ.setdefault("RABLIP_TEST_LEVEL", "sample")
    if level not in ("sample", "full"):
        raise pytest.UsageError(f"RABLIP_TEST_LEVEL is {level!r}; it must be sample or full")
    # Users would see these only after an upgrade has broken them.
    for category in ("FutureWarning", "DeprecationWarning"):
        config.addinivalue_line("filterwarnings", f"error::{category}:rablip")
        config.addinivalue_line("filterwarnings", f"error:.*[Tt]ransformers.*:{category}")
        config.addinivalue_line("filterwarnings", f"error::{category}:transformers")


def pytest_deselected(items: list[pytest.Item]) -> None:
    for item in items:
        _left_out.update([next((mark for mark in _MARKS if item.get_closest_marker(mark)), "not selected by name")])


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if _left_out:
        listed = ", ".join(f"{count} {mark}" for mark, count in sorted(_left_out.items()))
        terminalreporter.write_line(f"LEFT OUT of this run, by mark: {listed}", yellow=True, bold=True)
    skipped = len(terminalreporter.stats.get("skipped", []))
    if skipped:
        terminalreporter.write_line(f"SKIPPED: {skipped} (the reasons are above)", yellow=True, bold=True)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Every test starts from the same state of the global generators, whatever ran before it."""
    random.seed(0)
    np.random.seed(0)
    torch = __import__("sys").modules.get("torch")
    if torch is not None:
        torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that reaches for the network fails and says so; sockets of this machine work."""
    connect = socket.socket.connect

    def refuse(self: socket.socket, address: Any, *args: Any) -> Any:
        if self.family == socket.AF_UNIX:
            return connect(self, address, *args)
        host = address[0] if isinstance(address, tuple) else str(address)
        if host in ("127.0.0.1", "::1", "localhost"):
            return connect(self, address, *args)
        raise AssertionError(f"this test tried to connect to {address}: tests run offline")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(autouse=True)
def _deprecations_of_transformers() -> Iterator[None]:
    """transformers says some deprecations in its log only: those fail the test too."""
    found: list[str] = []

    class Watch(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            message = record.getMessage()
            if "deprecated" in message.lower():
                found.append(message)

    watch, logger = Watch(level=logging.WARNING), logging.getLogger("transformers")
    logger.addHandler(watch)
    yield
    logger.removeHandler(watch)
    assert not found, f"transformers reports the use of something deprecated: {found}"


@pytest.fixture(scope="session")
def full() -> bool:
    """True when the stated counts are asked for (`make test-full`), False for the seeded sample of `make test`."""
    return os.environ["RABLIP_TEST_LEVEL"] == "full"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared fixtures beside the checkout; the test is skipped aloud where there is none."""
    folder = ROOT.parent / "shared"
    if not (folder / "golden").is_dir():
        warnings.warn(f"{folder} is missing: checks against the shared fixtures are skipped", stacklevel=1)
        pytest.skip(f"no shared fixtures at {folder}")
    return folder


@pytest.fixture(scope="session")
def checkpoint() -> Path:
    """The trained tiny checkpoint that ships with the repository."""
    folder = ROOT / "examples" / "checkpoints" / "rablip-tiny"
    if not (folder / "retriever" / "config.json").is_file():
        pytest.skip(f"no trained checkpoint at {folder} (make tiny)")
    return folder


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with random tiny models: retriever/, reranker/ and generator/, each with its processor."""
    from tests import tiny
    from tests.processing import tiny_tokenizers

    folder = tmp_path_factory.mktemp("tiny-bundle")
    retriever_processor = tiny_tokenizers.make_retriever_processor()
    processor = tiny_tokenizers.make_processor(num_query_tokens=tiny.NUM_QUERY_TOKENS)
    image_token = processor.tokenizer.convert_tokens_to_ids(processor.image_token)
    for name, model, its_processor in (
        ("retriever", tiny.make_retriever(), retriever_processor),
        ("reranker", tiny.make_reranker(), retriever_processor),
        ("generator", tiny.make_generator(image_token_index=image_token), processor),
    ):
        model.save_pretrained(folder / name)
        its_processor.save_pretrained(folder / name)
    return folder


@pytest.fixture(scope="session")
def tiny_folders(tiny_bundle: Path) -> dict[str, Path]:
    """The folders of the tiny models by name: retriever, reranker, generator."""
    return {name: tiny_bundle / name for name in ("retriever", "reranker", "generator")}
