"""Two processes build what one builds, and a build that is killed outright goes on where it was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from rablip import RablipRetriever
from rablip.processing import ImageRef
from rablip.training.features.building import build_features
from rablip.training.features.cache import FeatureCache
from tests.processing.tiny_tokenizers import make_image_processor
from tests.tiny import make_retriever
from tests.training.feature_inputs import write_pictures

CHECKOUT = Path(__file__).parents[2]
NUM_PICTURES = 14

SCRIPT = """
import dataclasses, json, sys, time
from pathlib import Path
import torch
from accelerate import PartialState
from rablip import RablipRetriever
from rablip.processing import ImageRef
from rablip.training.features.building import build_features
from tests.processing.tiny_tokenizers import make_image_processor

folder, model_folder, root, seconds = sys.argv[1:]
model = RablipRetriever.from_pretrained(model_folder)
original = model.encode_images

def slow(*inputs):
    time.sleep(float(seconds))
    return original(*inputs)

model.encode_images = slow
pictures = {name: ImageRef(path=name) for name in sorted(path.name for path in Path(root).iterdir())}
cache, report = build_features(
    folder, pictures, model=model, image_processor=make_image_processor(), dtype=torch.float32, root=root,
    batch_size=2, shard_size=2, progress=False,
)
state = PartialState()
found = {"processes": state.num_processes, "stored": len(cache), **dataclasses.asdict(report)}
Path(folder, f"report-{state.process_index}.json").write_text(json.dumps(found))
"""


@pytest.fixture
def places(tmp_path: Path) -> list[str]:
    """The folders of the cache, the model and the pictures."""
    make_retriever().save_pretrained(tmp_path / "model")
    (tmp_path / "pictures").mkdir()
    pictures = write_pictures(tmp_path / "pictures", NUM_PICTURES)
    for key, image in pictures.items():
        if image.data is not None:
            (tmp_path / "pictures" / f"{key.split()[1]}.png").write_bytes(image.data)
    return [str(tmp_path / name) for name in ("cache", "model", "pictures")]


def start(
    places: Sequence[str], tmp_path: Path, *, launcher: Sequence[str] = (), seconds: float = 0.0
) -> subprocess.Popen:
    script = tmp_path / "build.py"
    script.write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, *launcher, str(script), *places, str(seconds)]
    return subprocess.Popen(
        command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def name_pictures(root: str) -> dict[str, ImageRef]:
    return {path.name: ImageRef(path=path.name) for path in Path(root).iterdir()}


def build_alone(folder: Path, places: Sequence[str]) -> FeatureCache:
    model = RablipRetriever.from_pretrained(places[1])
    form = {"image_processor": make_image_processor(), "dtype": torch.float32}
    cache, report = build_features(folder, name_pictures(places[2]), model=model, root=places[2], **form)
    assert report.num_encoded + report.num_found == NUM_PICTURES == len(cache)
    return cache


def assert_same(one: FeatureCache, other: FeatureCache, root: str) -> None:
    pictures = name_pictures(root)
    expected, found = one.view(pictures, root=root), other.view(pictures, root=root)
    for key in pictures:
        torch.testing.assert_close(found[key], expected[key], rtol=1e-6, atol=1e-6)


@pytest.mark.slow
def test_two_processes_build_what_one_builds(places: list[str], tmp_path: Path) -> None:
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    process = start(places, tmp_path, launcher=torchrun)
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output
    reports = [json.loads(Path(places[0], f"report-{rank}.json").read_text()) for rank in range(2)]
    assert reports[0] == reports[1]
    report = reports[0]
    assert (report["processes"], report["stored"], report["num_found"]) == (2, NUM_PICTURES, 0)
    assert report["num_pictures"] == report["num_encoded"] == NUM_PICTURES
    files = list(Path(places[0]).glob("features-*.safetensors"))
    assert len(files) == 8  # seven pictures each, two in a file
    assert report["num_bytes"] == sum(path.stat().st_size for path in files)
    shared = build_alone(Path(places[0]), places)
    assert len(list(Path(places[0]).glob("features-*.safetensors"))) == len(files)  # nothing was encoded anew
    assert_same(build_alone(tmp_path / "alone", places), shared, places[2])


@pytest.mark.slow
def test_a_killed_build_goes_on(places: list[str], tmp_path: Path) -> None:
    process = start(places, tmp_path, seconds=0.5)
    try:
        until = time.monotonic() + 120
        while len(list(Path(places[0]).glob("features-*.safetensors"))) < 3:
            assert process.poll() is None and time.monotonic() < until, process.communicate()[0]
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    model = RablipRetriever.from_pretrained(places[1])
    cache = FeatureCache.open(places[0], model=model, image_processor=make_image_processor(), dtype=torch.float32)
    stored = len(cache)
    assert 6 <= stored < NUM_PICTURES
    report = cache.build(name_pictures(places[2]), root=places[2])
    assert (report.num_found, report.num_encoded) == (stored, NUM_PICTURES - stored)
    assert_same(build_alone(tmp_path / "alone", places), cache, places[2])


def test_one_process_alone_needs_no_launcher(places: list[str], tmp_path: Path) -> None:
    cache = build_alone(tmp_path / "alone", places)
    assert len(build_alone(tmp_path / "alone", places)) == len(cache) == NUM_PICTURES


def test_processes_that_do_not_see_each_other_are_refused(
    places: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_alone(tmp_path / "alone", places)  # accelerate's state is one process now
    monkeypatch.setenv("LOCAL_RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(
        RuntimeError, match="2 processes were started, but accelerate sees 1 on cpu. Pass use_cpu=True"
    ):
        build_alone(tmp_path / "alone", places)
