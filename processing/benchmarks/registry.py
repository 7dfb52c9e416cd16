"""All benchmarks by name: which splits and settings each has, which files it expects, and one way to open any.

A reader is imported when its benchmark is opened, so that looking at the table costs nothing.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any

from .benchmark import Benchmark
from .choices import check_choice

__all__ = ["BENCHMARKS", "BenchmarkEntry", "open_benchmark"]


@dataclass(frozen=True, kw_only=True)
class BenchmarkEntry:
    """What is known of a benchmark before it is opened.

    Args:
        name: what `open_benchmark` and `rablip eval` call it; its reader is `open_<name>` in the module `<name>`.
        title: what papers call it.
        splits: those that there are; none where the files of a folder decide.
        default_split: the one that papers report, or, where its labels are hidden, the one with labels.
        settings: where evidence is looked for.
        default_setting: the setting that is opened where none is named.
        files: what its folder holds.

    Example:
        >>> BENCHMARKS["webqa"].default_split, BENCHMARKS["webqa"].settings
        ('val', ('distractor', 'full'))
    """

    name: str
    title: str
    splits: tuple[str, ...]
    default_split: str
    settings: tuple[str, ...] = ("full",)
    default_setting: str = "full"
    files: tuple[str, ...]

    @property
    def opener(self) -> Callable[..., Benchmark]:
        """The reader, imported now: `opener(root, *, split, setting, ...)`."""
        module = import_module(f".{self.name}", __package__)
        return getattr(module, f"open_{self.name}")


_ENTRIES = (
    BenchmarkEntry(
        name="webqa",
        title="WebQA",
        splits=("train", "val", "test"),
        default_split="val",
        settings=("distractor", "full"),
        default_setting="distractor",
        files=("WebQA_train_val.json", "WebQA_test.json", "imgs.tsv", "imgs.lineidx"),
    ),
    BenchmarkEntry(
        name="multimodalqa",
        title="MultimodalQA",
        splits=("train", "dev", "test"),
        default_split="dev",
        settings=("distractor", "full"),
        default_setting="distractor",
        files=(
            "MMQA_<split>.jsonl[.gz]",
            "MMQA_texts.jsonl[.gz]",
            "MMQA_tables.jsonl[.gz]",
            "MMQA_images.jsonl[.gz]",
            "final_dataset_images/",
        ),
    ),
    BenchmarkEntry(
        name="okvqa",
        title="OK-VQA",
        splits=("train", "test"),
        default_split="test",
        files=("OpenEnded_mscoco_<part>_questions.json", "mscoco_<part>_annotations.json", "<part>/COCO_<part>_*.jpg"),
    ),
    BenchmarkEntry(
        name="aokvqa",
        title="A-OKVQA",
        splits=("train", "val", "test", "test_w_ans"),
        default_split="val",
        files=("aokvqa_v1p0_<split>.json", "<split>2017/*.jpg"),
    ),
    BenchmarkEntry(
        name="infoseek",
        title="InfoSeek",
        splits=("train", "val", "test", "human"),
        default_split="val",
        files=("infoseek_<split>.jsonl", "infoseek_<split>_withkb.jsonl", "infoseek_val_qtype.jsonl"),
    ),
    BenchmarkEntry(
        name="encyclopedic_vqa",
        title="Encyclopedic-VQA",
        splits=("train", "val", "test"),
        default_split="test",
        files=("<split>.csv", "encyclopedic_kb_wiki.json"),
    ),
    BenchmarkEntry(
        name="mrag_bench",
        title="MRAG-Bench",
        splits=("test",),
        default_split="test",
        settings=("gt", "retrieved"),
        default_setting="gt",
        files=("data/test-*.parquet",),
    ),
    BenchmarkEntry(
        name="m2kr",
        title="M2KR",
        splits=("train", "valid", "test"),
        default_split="test",
        files=("<TASK>_data/<split>-*.parquet", "<TASK>_passages/<split>_passages-*.parquet"),
    ),
    BenchmarkEntry(
        name="remuq",
        title="ReMuQ",
        splits=("train", "test"),
        default_split="test",
        files=("<split>.json", "*corpus*.csv", "imgs.tsv", "imgs.lineidx"),
    ),
    BenchmarkEntry(
        name="retrieval_collection",
        title="a retrieval collection in the form of BEIR, TREC or UMRB",
        splits=(),
        default_split="test",
        files=("corpus.jsonl[.gz] or corpus.parquet", "queries.jsonl[.gz] or query.parquet", "qrels/<split>.tsv"),
    ),
)
BENCHMARKS: Mapping[str, BenchmarkEntry] = MappingProxyType({entry.name: entry for entry in _ENTRIES})


def open_benchmark(
    name: str, root: str | Path, *, split: str | None = None, setting: str | None = None, **options: Any
) -> Benchmark:
    """Open a benchmark by its name.

    Args:
        name: one of `BENCHMARKS`.
        root: the folder of its files.
        split: which part of it; None for its default.
        setting: where evidence is looked for; None for its default.
        **options: what its reader takes beside, such as `pictures=False`; see `open_<name>`.

    Raises:
        FileNotFoundError: a file that is needed is missing.
        ValueError: there is no such benchmark, split or setting; names the nearest.
        TypeError: its reader has no such option (names the nearest), or needs one that is not given.

    Example:
        >>> open_benchmark("webqaa", "data")
        Traceback (most recent call last):
        ...
        ValueError: There is no benchmark 'webqaa'. Did you mean 'webqa'? Known: webqa, multimodalqa, okvqa, ...
    """
    entry = BENCHMARKS[check_choice("benchmark", name, BENCHMARKS)]
    opener = entry.opener
    parameters = inspect.signature(opener).parameters
    known = [option for option in parameters if option not in ("root", "split", "setting")]
    for option in options:
        if option not in known:
            near = difflib.get_close_matches(option, known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise TypeError(f"{entry.title} has no option {option!r}.{hint} Known: {', '.join(known)}.")
    for option in known:
        if parameters[option].default is inspect.Parameter.empty and option not in options:
            raise TypeError(f"{entry.title} needs the option {option!r}; see open_{entry.name}.")
    return opener(
        root,
        split=entry.default_split if split is None else split,
        setting=entry.default_setting if setting is None else setting,
        **options,
    )
