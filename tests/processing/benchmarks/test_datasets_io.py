"""Benchmarks as datasets: typed, undecoded, nothing cached, and back to what they were."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rablip.processing import ImageRef, KnowledgeItem, QuestionExample, load_image
from rablip.processing.benchmarks import Benchmark
from rablip.processing.benchmarks.dataset_rows import decode_item, decode_question, encode_item, encode_question
from rablip.processing.benchmarks.datasets_io import (
    load_knowledge,
    load_questions,
    make_features,
    stream_knowledge,
    stream_questions,
)
from rablip.processing.benchmarks.multimodalqa import open_multimodalqa
from rablip.processing.benchmarks.webqa import open_webqa
from rablip.processing.readers_records import Problem, ReaderError
from tests.processing.benchmarks.multimodalqa_folder import make_row, picture, write_documents, write_lines
from tests.processing.benchmarks.webqa_folder import make_files, write_files

ROOT = Path(__file__).parent.parent.parent.parent


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The cache of `datasets`, moved to an empty folder that must stay empty."""
    import datasets

    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", folder)
    yield folder
    assert list(folder.rglob("*")) == []


def make_benchmark(
    root: Path, questions: list[QuestionExample] | None = None, items: list[KnowledgeItem] | None = None
) -> Benchmark:
    return Benchmark(
        name="mine",
        split="test",
        setting="full",
        root=root,
        files={},
        read_questions=lambda problems: iter(questions or []),
        read_knowledge=lambda problems: iter(items or []),
    )


@pytest.mark.parametrize("place", ["memory", "file"])
@pytest.mark.parametrize("name", ["webqa", "multimodalqa"])
@pytest.mark.parametrize("setting", ["distractor", "full"])
def test_benchmarks_come_back_as_they_were(tmp_path: Path, name: str, setting: str, place: str) -> None:
    if name == "webqa":
        benchmark = open_webqa(write_files(tmp_path, make_files(3)), split="val", setting=setting)
    else:
        write_lines(write_documents(tmp_path) / "MMQA_dev.jsonl", [make_row()])
        benchmark = open_multimodalqa(tmp_path, split="dev", setting=setting)
    files = (tmp_path / "questions.arrow", tmp_path / "knowledge.arrow") if place == "file" else (None, None)
    questions, items = list(benchmark.questions()), list(benchmark.knowledge())
    loaded, known = load_questions(benchmark, file=files[0]), load_knowledge(benchmark, file=files[1])
    assert loaded.features == make_features("questions") and known.features == make_features("knowledge")
    assert [decode_question(row, root=benchmark.root) for row in loaded] == questions
    assert [decode_item(row, root=benchmark.root) for row in known] == items
    for dataset, expected, decode in (
        (stream_questions(benchmark), questions, decode_question),
        (stream_knowledge(benchmark), items, decode_item),
    ):
        for _ in range(2):
            assert [decode(row, root=benchmark.root) for row in dataset] == expected
    assert bool(loaded.cache_files) == (place == "file")
    assert not list(tmp_path.glob(".*.part"))


def test_pictures_are_paths_or_bytes_and_open_when_asked(tmp_path: Path) -> None:
    from datasets import Image, List

    (tmp_path / "a.png").write_bytes(picture("red"))
    images = (ImageRef(path="a.png"), ImageRef(data=picture("blue")))
    benchmark = make_benchmark(tmp_path, [QuestionExample(id="q1", question="Which?", images=images)])
    dataset = load_questions(benchmark)
    assert dataset[0]["images"] == [
        {"bytes": None, "path": str(tmp_path.resolve() / "a.png")},
        {"bytes": picture("blue"), "path": None},
    ]
    opened = dataset.cast_column("images", List(Image()))[0]["images"]
    assert [image.getpixel((0, 0)) for image in opened] == [(255, 0, 0), (0, 0, 255)]
    (question,) = (decode_question(row, root=tmp_path) for row in dataset)
    assert question.images == images
    assert load_image(question.images[0], root=tmp_path).size == (8, 6)
    elsewhere = decode_question(dataset[0], root=tmp_path / "other")
    assert elsewhere.images[0].path == str(tmp_path.resolve() / "a.png")
    with pytest.raises(TypeError, match="Cast the column back"):
        decode_question(dataset.cast_column("images", List(Image()))[0], root=tmp_path)


def test_a_picture_outside_the_root_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret.png").write_bytes(picture())
    (root / "link.png").symlink_to(tmp_path / "secret.png")
    for path in ("../secret.png", str(tmp_path / "secret.png"), "link.png"):
        item = KnowledgeItem(id="i", image=ImageRef(path=path))
        with pytest.raises(ValueError, match="lies outside its folder"):
            load_knowledge(make_benchmark(root, items=[item]))
        with pytest.raises(ValueError, match="lies outside its folder"):
            list(stream_knowledge(make_benchmark(root, items=[item])))


def test_changed_files_give_new_rows(tmp_path: Path) -> None:
    write_files(tmp_path, make_files(1))
    benchmark = open_webqa(tmp_path, split="val", setting="distractor")
    stream = stream_questions(benchmark)
    before = load_questions(benchmark)["question"][:], [row["question"] for row in stream]
    write_files(tmp_path, make_files(2))
    after = load_questions(benchmark)["question"][:], [row["question"] for row in stream]
    assert before[0] == before[1] and after[0] == after[1] and before[0] != after[0]
    file = tmp_path / "rows.arrow"
    load_questions(benchmark, file=file)
    with pytest.raises(FileExistsError, match="rows in it may be old"):
        load_questions(benchmark, file=file)


def test_an_error_leaves_no_file(tmp_path: Path) -> None:
    (tmp_path / "WebQA_train_val.json").write_text('{"q": {}}')
    benchmark = open_webqa(tmp_path, split="val", setting="distractor", pictures=False)
    with pytest.raises(ReaderError):
        load_questions(benchmark, file=tmp_path / "rows.arrow")
    assert [path.name for path in tmp_path.iterdir()] == ["WebQA_train_val.json"]
    write_files(tmp_path, make_files(2))
    (tmp_path / "imgs.lineidx").write_bytes(make_files(3)["imgs.lineidx"])
    problems: list[Problem] = []
    dataset = load_knowledge(open_webqa(tmp_path, split="val", setting="full"), problems=problems)
    assert problems and len(dataset) > 0


def test_streams_do_what_streams_do(tmp_path: Path) -> None:
    from torch.utils.data import DataLoader

    questions = [QuestionExample(id=f"q{number}", question="Which?") for number in range(200)]
    stream = stream_questions(make_benchmark(tmp_path, questions))
    assert stream.features == make_features("questions")
    assert [row["id"] for row in stream.skip(3).take(2)] == ["q3", "q4"]
    shuffled = [row["id"] for row in stream.shuffle(seed=1, buffer_size=50)]
    assert sorted(shuffled) == sorted(question.id for question in questions) and shuffled[:9] != [
        f"q{n}" for n in range(9)
    ]
    assert len(list(DataLoader(stream.select_columns(["id"]), batch_size=50))) == 4
    assert len(load_questions(make_benchmark(tmp_path, questions))) == 200
    assert len(load_questions(make_benchmark(tmp_path))) == 0


def test_knowledge_that_a_benchmark_does_not_bring(tmp_path: Path) -> None:
    benchmark = replace(make_benchmark(tmp_path), read_knowledge=None)
    assert len(load_knowledge(benchmark)) == 0 and list(stream_knowledge(benchmark)) == []


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8).filter(str.strip)


@settings(max_examples=60, deadline=None)
@given(
    st.builds(
        QuestionExample,
        id=texts,
        question=texts,
        images=st.lists(st.binary(min_size=1, max_size=4).map(lambda data: ImageRef(data=data)), max_size=2).map(
            tuple
        ),
        answers=st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=3).map(tuple),
        positive_ids=st.lists(texts, max_size=3).map(tuple),
        category=st.just("") | texts,
        metadata=st.dictionaries(st.text(max_size=4), values, max_size=3),
    )
)
def test_every_question_comes_back_to_its_last_tuple(example: QuestionExample) -> None:
    assert decode_question(encode_question(example, root=ROOT), root=ROOT) == example
    dataset = load_questions(make_benchmark(ROOT, [example]))
    back = decode_question(dataset[0], root=ROOT)
    assert back == example and repr(back) == repr(example)  # True is not 1, and a list is no tuple


@pytest.mark.parametrize("value", [{7: "a"}, {"__list__": 1}, float("nan"), b"bytes", {"a"}])
def test_metadata_that_json_cannot_hold_is_named(value: Any) -> None:
    item = KnowledgeItem(id="t7", text="a", metadata={"inner": value})
    with pytest.raises(ValueError, match="metadata of 't7' cannot be written as JSON"):
        encode_item(item, root=ROOT)


def test_datasets_is_imported_when_it_is_used() -> None:
    names = "[name for name in ('datasets', 'pyarrow', 'torch') if name in sys.modules]"
    code = f"import sys, rablip.processing.benchmarks.datasets_io; print({names})"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=environment, check=True
    )
    assert done.stdout.strip() == "[]"
    with pytest.raises(ValueError, match="'questions' or 'knowledge'"):
        make_features("items")
