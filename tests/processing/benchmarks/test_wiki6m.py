"""Wiki6M: one article a line, by the ids of entities, cut into passages only when asked."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rablip.processing.benchmarks.infoseek import open_infoseek
from rablip.processing.benchmarks.wiki6m import entity_id_of, read_wiki6m
from rablip.processing.readers_records import Problem, ReaderError
from tests.processing.benchmarks.benchmark_files import causes, items_of, peak, write_lines


def article(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "wikidata_id": f"Q{number}",
        "wikipedia_title": f"Harbor {number}",
        "wikipedia_summary": "A harbor.",
        "wikipedia_content": "A harbor of stone.\n\nIt opened  in 1889.",
        "wikipedia_image_url": "https://upload.wikimedia.org/1.jpg",
    } | changes


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz"])
def test_articles_are_the_knowledge_of_infoseek(tmp_path: Path, suffix: str) -> None:
    write_lines(tmp_path / "infoseek_test.jsonl", [])
    file = tmp_path / f"Wiki6M_ver_1_0.{suffix}"
    text = (json.dumps(article(1)) + "\n" + json.dumps(article(2, wikipedia_content="")) + "\n").encode()
    file.write_bytes(gzip.compress(text) if suffix.endswith("gz") else text)
    benchmark = open_infoseek(tmp_path, split="test")
    items, problems = items_of(benchmark)
    assert problems == [] and benchmark.files["knowledge"] == file
    assert [(item.id, item.title, item.text) for item in items] == [
        ("Q1", "Harbor 1", "A harbor of stone.\n\nIt opened  in 1889."),
        ("Q2", "Harbor 2", "A harbor."),
    ]
    assert items[0].metadata == {"entity_id": "Q1", "image_url": "https://upload.wikimedia.org/1.jpg"}
    assert items[0].image is None, "an address is never opened"


def test_without_a_file_there_is_no_knowledge(tmp_path: Path) -> None:
    write_lines(tmp_path / "infoseek_test.jsonl", [])
    benchmark = open_infoseek(tmp_path, split="test")
    assert benchmark.read_knowledge is None and list(benchmark.knowledge()) == []
    with pytest.raises(FileNotFoundError, match="none.jsonl. It comes from the InfoSeek page"):
        open_infoseek(tmp_path, split="test", knowledge=tmp_path / "none.jsonl")


def test_long_articles_are_cut_and_short_ones_are_not(tmp_path: Path) -> None:
    file = write_lines(
        tmp_path / "wiki.jsonl", [article(1), article(2, wikipedia_content="Seven words are here in this one.")]
    )
    write_lines(tmp_path / "infoseek_test.jsonl", [])
    items = list(open_infoseek(tmp_path, split="test", knowledge=file, max_words=7).knowledge())
    assert [(item.id, item.text) for item in items] == [
        ("Q1#0", "A harbor of stone.\n\nIt opened  in"),
        ("Q1#1", "1889."),
        ("Q2", "Seven words are here in this one."),
    ]
    assert [entity_id_of(item.id) for item in items] == ["Q1", "Q1", "Q2"]
    assert {item.metadata["entity_id"] for item in items} == {"Q1", "Q2"}


@given(words=st.lists(st.text("ab", min_size=1, max_size=3), min_size=1, max_size=30), max_words=st.integers(1, 12))
@settings(max_examples=60, deadline=None)
def test_passages_together_are_the_article(
    tmp_path_factory: pytest.TempPathFactory, words: list[str], max_words: int
) -> None:
    file = tmp_path_factory.mktemp("wiki") / "wiki.jsonl"
    write_lines(file, [article(wikipedia_content="  ".join(words))])
    items = list(read_wiki6m(file, max_words=max_words))
    lengths = [len((item.text or "").split()) for item in items]
    assert " ".join(item.text or "" for item in items).split() == words
    assert all(length == max_words for length in lengths[:-1]) and 1 <= lengths[-1] <= max_words
    assert len({item.id for item in items}) == len(items)


def test_titles_alone_are_items_that_are_a_title(tmp_path: Path) -> None:
    file = write_lines(tmp_path / "titles.jsonl", [{"wikidata_id": "Q1", "wikipedia_title": "Harbor"}])
    (item,) = read_wiki6m(file, max_words=3)
    assert (item.id, item.title, item.text) == ("Q1", "Harbor", None)


def test_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    rows = [article(1), article(1), {"wikidata_id": "Q3"}, article(4, wikidata_id=None), article(5)]
    rows += [article(6, wikipedia_content=7), article(7, wikidata_id="Q7#1"), article(8, wikipedia_title="\ud800")]
    file = write_lines(tmp_path / "wiki.jsonl", rows)
    problems: list[Problem] = []
    assert [item.id for item in read_wiki6m(file, problems=problems)] == ["Q1", "Q5"]
    found = causes(problems)
    assert [place for place, _, _ in found] == [
        "line 2 (wikidata_id Q1)",
        "line 3 (wikidata_id Q3)",
        "line 4",
        "line 6 (wikidata_id Q6)",
        "line 7 (wikidata_id Q7#1)",
        "line 8 (wikidata_id Q8)",
    ]
    for expected, (_, name, cause) in zip(
        ("appears twice", "neither", "must be an id", "must be text", "holds a '#'", "lone surrogate"),
        found,
        strict=True,
    ):
        assert expected in cause and name == "wiki.jsonl"
    with pytest.raises(ReaderError, match=r"wiki\.jsonl: line 2 \(wikidata_id Q1\): its wikidata_id appears twice"):
        list(read_wiki6m(file))


def test_memory_stays_flat_in_the_size_of_the_file(tmp_path: Path) -> None:
    peaks = []
    for count in (100, 1_000):
        file = write_lines(
            tmp_path / f"{count}.jsonl", [article(n, wikipedia_content="word " * 100) for n in range(count)]
        )
        peaks.append(peak(lambda file=file: read_wiki6m(file, max_words=50)))  # type: ignore[misc]
    assert peaks[1] < 1.3 * peaks[0], peaks
