"""Search by words: equal to the formula, tied to the state of the index, filtered, verified, never a deleted id."""

from __future__ import annotations

import math
import shutil
import sys
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rablip import IndexCorruptError, IndexMismatchError, KnowledgeIndex
from rablip.lexical import LexicalIndex, lexical_words
from rablip.lexical.bm25 import Bm25
from rablip.lexical.storage import LEXICAL_NAME, LexicalRecord
from tests.index.test_knowledge_index import make_manifest, make_vectors

TEXTS = {
    "mill": "The old mill by the river",
    "boat": "The boat is on the river",
    "tower": "A tower",
    "bare": "",
    "long": "the boat and the many words that a long text about a river needs to be long",
}


def make_index(texts: dict[str, str], folder: Path | None = None) -> KnowledgeIndex:
    index = KnowledgeIndex.create(make_manifest(columns={"size": "int64"}))
    index.add(list(texts), make_vectors(len(texts)), columns={"size": list(map(len, texts.values()))})
    if folder is not None:
        index.save(folder)
    return index


def make_lexical(texts: dict[str, str], folder: Path | None = None) -> LexicalIndex:
    return LexicalIndex.create(make_index(texts, folder), texts.values())


def score_by_hand(texts: dict[str, str], question: str, k1: float = 1.5, b: float = 0.75) -> dict[str, float]:
    documents = {name: lexical_words(text) for name, text in texts.items()}
    average = sum(map(len, documents.values())) / len(documents)
    scores = dict.fromkeys(texts, 0.0)
    for word in lexical_words(question):
        df = sum(word in other for other in documents.values())
        idf = math.log(1 + (len(documents) - df + 0.5) / (df + 0.5))
        for name, words in documents.items():
            tf = words.count(word)
            scores[name] += idf * tf / (tf + k1 * (1 - b + b * len(words) / average)) if tf else 0.0
    return {name: score for name, score in scores.items() if score}


words = st.lists(st.sampled_from("mill boat river tower of old".split()), max_size=6).map(" ".join)


@settings(max_examples=40, deadline=None)
@given(st.lists(words, min_size=1, max_size=8), words, st.integers(1, 9))
def test_equals_the_formula(documents: list[str], question: str, k: int) -> None:
    texts = {f"i{number}": text for number, text in enumerate(documents)}
    expected = score_by_hand(texts, question)
    (hits,) = make_lexical(texts).search([question], k)
    assert len(hits) == min(k, len(expected)) and len({hit.id for hit in hits}) == len(hits)
    for hit, best in zip(hits, sorted(expected.values(), reverse=True), strict=False):
        assert hit.score == pytest.approx(expected[hit.id], rel=1e-5) == pytest.approx(best, rel=1e-5)
    assert hits == make_lexical(texts).search([question], 99)[0][:k], "a smaller k gives the first of the hits"


def test_nothing_to_find_is_nothing_found() -> None:
    lexical = make_lexical(TEXTS)
    assert lexical.search(["", " ?! ", "whale", "Wal 鯨"], 5) == [[], [], [], []]
    assert lexical.search([], 5) == []
    assert [hit.id for hit in lexical.search(["whale tower"], 5)[0]] == ["tower"]
    for texts in ({}, {"a": "", "b": "?"}):
        assert make_lexical(texts).search(["tower"], 5) == [[]]


def test_equal_scores_do_not_follow_the_order_of_the_items() -> None:
    texts = {f"i{number:03}": "mill" for number in range(100)}
    lexical = make_lexical(texts)
    found = [hit.id for hit in lexical.search(["mill"], 100)[0]]
    assert sorted(found) == list(texts) and found not in (sorted(found), sorted(found, reverse=True))
    assert found[:7] == [hit.id for hit in lexical.search(["mill"], 7)[0]]


@pytest.mark.parametrize("deleted", [[], ["mill"], ["mill", "long", "bare"]])
def test_filters_and_deletions_are_those_of_the_index(deleted: list[str], tmp_path: Path) -> None:
    index = make_index(TEXTS, tmp_path)
    index.add(["late"], make_vectors(1, seed=7), columns={"size": [9]})
    index.save(tmp_path)
    index = KnowledgeIndex.load(tmp_path)
    index.delete(deleted)
    texts = {**TEXTS, "late": "A river late"}
    lexical = LexicalIndex.create(index, [texts[item_id] for item_id in index.ids])
    left = {item_id for item_id in texts if item_id not in deleted}
    rivers = {item_id for item_id in left if "river" in texts[item_id]}
    assert {hit.id for hit in lexical.search(["river"], 9)[0]} == rivers
    sizes = {**{name: len(text) for name, text in TEXTS.items()}, "late": 9}
    for where, kept in (({"size": [9, 25]}, (9, 25)), (pc.field("size") < 30, range(30))):
        expected = {item_id for item_id in rivers if sizes[item_id] in kept}
        found = lexical.search(["river"], 9, where=where)[0]
        assert {hit.id for hit in found} == expected
        unfiltered = dict(lexical.search(["river"], 9)[0])
        assert all(hit.score == unfiltered[hit.id] for hit in found)
        assert lexical.search(["river"], 1, where=where)[0] == found[:1]
    with pytest.raises(ValueError, match="no column 'year'"):
        lexical.search(["river"], 9, where={"year": 3})


def test_saved_and_loaded_it_finds_the_same(tmp_path: Path) -> None:
    built = make_lexical(TEXTS, tmp_path)
    record = built.save()
    loaded = LexicalIndex.load(KnowledgeIndex.load(tmp_path))
    questions = ["the river boat", "old", "tower whale", ""]
    assert loaded.search(questions, 4) == built.search(questions, 4)
    num_words = len(set(lexical_words(" ".join(TEXTS.values()))))
    assert (len(loaded), loaded.num_words) == (record.num_items, record.num_words) == (5, num_words)
    assert isinstance(loaded._bm25._scorer.scores["data"], np.memmap)
    names = [path.name for path in (tmp_path / record.folder_name).iterdir()]
    assert sorted(names) == sorted(record.files) and not [name for name in names if "corpus" in name]
    content = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"old mill" not in content, "no text is kept, only its words"


def test_an_index_without_any_word_is_saved_too(tmp_path: Path) -> None:
    make_lexical({"a": "", "b": ""}, tmp_path).save()
    assert LexicalIndex.load(KnowledgeIndex.load(tmp_path)).search(["a"], 3) == [[]]
    assert not list(tmp_path.glob("lexical-*"))


def test_a_new_one_takes_the_place_of_the_old(tmp_path: Path) -> None:
    first = make_lexical(TEXTS, tmp_path)
    first.save()
    (tmp_path / "lexical-left-by-a-crash").mkdir()
    second = LexicalIndex.create(first.index, [text.replace("tower", "spire") for text in TEXTS.values()])
    name = second.save().folder_name
    assert [path.name for path in tmp_path.glob("lexical-*")] == [name]
    assert [hit.id for hit in LexicalIndex.load(first.index).search(["spire"], 3)[0]] == ["tower"]


def test_a_failed_save_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lexical = make_lexical(TEXTS, tmp_path)
    before = lexical.save()

    def fail(self: Bm25, folder: Path) -> None:
        (folder / "half").write_bytes(b"x")
        raise OSError("disk full")

    monkeypatch.setattr(Bm25, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        lexical.save()
    assert [path.name for path in tmp_path.glob("lexical-*")] == [before.folder_name]
    assert LexicalIndex.load(lexical.index).search(["tower"], 1)[0][0].id == "tower"


def test_stale_after_every_change_in_memory() -> None:
    index = make_index(TEXTS)
    lexical = LexicalIndex.create(index, TEXTS.values())
    index.delete(["no such id"])
    index.add(["mill"], make_vectors(1), on_duplicate="skip")
    assert lexical.search(["tower"], 1)[0], "nothing was changed"
    for change in (
        lambda: index.delete(["tower"]),
        lambda: index.add(["new"], make_vectors(1)),
        lambda: index.upsert(["new"], make_vectors(1, seed=5)),
    ):
        lexical = LexicalIndex.create(index, ["tower"] * len(index))
        change()
        with pytest.raises(IndexMismatchError, match="rablip index lexical"):
            lexical.search(["tower"], 1)


def test_stale_after_a_change_on_disk(tmp_path: Path) -> None:
    lexical = make_lexical(TEXTS, tmp_path)
    lexical.save()
    index = KnowledgeIndex.load(tmp_path)
    index.delete(["tower"])
    with pytest.raises(IndexMismatchError, match=rf"1 unsaved changes.*rablip index lexical {tmp_path}"):
        LexicalIndex.load(index)
    index.save(tmp_path)
    with pytest.raises(IndexMismatchError, match=r"generation 1 .* at generation 2.*rablip index lexical"):
        LexicalIndex.load(KnowledgeIndex.load(tmp_path))
    # The one that was open goes on with the index that was open.
    assert [hit.id for hit in lexical.search(["tower"], 3)[0]] == ["tower"]
    rebuilt = LexicalIndex.create(index, [TEXTS[item_id] for item_id in index.ids])
    rebuilt.save()
    assert LexicalIndex.load(KnowledgeIndex.load(tmp_path)).search(["tower", "old"], 3)[0] == []
    make_index(TEXTS, tmp_path)
    with pytest.raises(IndexMismatchError, match="stale"):
        LexicalIndex.load(KnowledgeIndex.load(tmp_path))


def test_not_there_or_not_savable(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="in memory only"):
        make_lexical(TEXTS).save()
    with pytest.raises(ValueError, match="in memory only"):
        LexicalIndex.load(make_index(TEXTS))
    index = make_index(TEXTS, tmp_path)
    with pytest.raises(FileNotFoundError, match=f"rablip index lexical {tmp_path}"):
        LexicalIndex.load(index)
    index.delete(["mill"])
    with pytest.raises(IndexMismatchError, match="1 changes that are not saved"):
        LexicalIndex.create(index, ["x"] * 4).save()
    with pytest.raises(ValueError, match="3 texts for 4 items"):
        LexicalIndex.create(index, ["x"] * 3)


def test_bad_questions_are_named() -> None:
    lexical = make_lexical(TEXTS)
    with pytest.raises(TypeError, match="one str"):
        lexical.search("Who?", 3)
    for k in (0, True, 1.5):
        with pytest.raises(ValueError, match="k must be"):
            lexical.search(["Who?"], k)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="k1"):
        Bm25.fit([["a"]], b=2.0)


def test_every_altered_byte_is_noticed(tmp_path: Path, full: bool) -> None:
    make_lexical(TEXTS, tmp_path / "index").save()
    index = KnowledgeIndex.load(tmp_path / "index")
    folder = tmp_path / "index"
    record = LexicalRecord.load(folder)
    for file in [folder / LEXICAL_NAME, *(folder / record.folder_name).iterdir()]:
        content = file.read_bytes()
        places = np.random.default_rng(1).permutation(len(content))[: None if full else 12]
        for place in places.tolist():
            altered = bytearray(content)
            altered[place] ^= 1 << (place % 8)
            file.write_bytes(altered)
            with pytest.raises((IndexCorruptError, IndexMismatchError), match=f"{file.name}|{folder}"):
                LexicalIndex.load(index)
        for cut in (content[:-1], content + b"\n", b""):
            file.write_bytes(cut)
            with pytest.raises(IndexCorruptError, match=file.name):
                LexicalIndex.load(index)
        file.write_bytes(content)
    LexicalIndex.load(index)
    shutil.rmtree(folder / record.folder_name)
    with pytest.raises(IndexCorruptError, match="missing.*rablip index lexical"):
        LexicalIndex.load(index)


def rewrite(folder: Path, **changes: object) -> None:
    """Alter the record with a right checksum."""
    record = LexicalRecord.load(folder)
    content = {**record.__dict__, **changes}
    (folder / LEXICAL_NAME).write_text(LexicalRecord(**content).to_json(), encoding="utf-8")


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"tokenizer": "words-0"}, IndexMismatchError, "'words-0'.*rablip index lexical"),
        ({"num_items": 4}, IndexCorruptError, "4 documents"),
        ({"num_words": 3}, IndexCorruptError, "3 words"),
        ({"folder_name": "../elsewhere"}, IndexCorruptError, "outside the index"),
    ],
)
def test_a_record_that_does_not_fit_is_refused(
    changes: dict[str, object], error: type[Exception], words: str, tmp_path: Path
) -> None:
    make_lexical(TEXTS, tmp_path).save()
    rewrite(tmp_path, **changes)
    with pytest.raises(error, match=words):
        LexicalIndex.load(KnowledgeIndex.load(tmp_path))


def test_arrays_of_objects_are_never_unpickled(tmp_path: Path) -> None:
    """Even with right hashes: numpy would run code from such a file."""
    make_lexical(TEXTS, tmp_path).save()
    record = LexicalRecord.load(tmp_path)
    file = tmp_path / record.folder_name / "data.csc.index.npy"
    np.save(file, np.array([{}], dtype=object), allow_pickle=True)
    files = {**record.files, file.name: type(record.files[file.name]).of(file)}
    rewrite(tmp_path, files=files)
    with pytest.raises(IndexCorruptError, match="cannot be read"):
        LexicalIndex.load(KnowledgeIndex.load(tmp_path))


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bm25s", None)
    with pytest.raises(ImportError, match=r"rablip\[hybrid\]"):
        make_lexical(TEXTS)
