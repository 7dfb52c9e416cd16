"""Published results beside which a run is shown, each with where it was read and what may be compared with it.

Every number was read in the source that its row names: the authors' own text, table or repository ("source"), or what
another text says of them ("secondary"). Numbers that nobody could be found to state are not here. Rows of another
protocol (knowledge base, split, metric variant) are kept apart by `protocol`: they stand beside a run's numbers, but
say nothing about which system is better.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["PUBLISHED", "PublishedResult", "find_published"]


@dataclass(frozen=True, kw_only=True)
class PublishedResult:
    """What was published of one system on one benchmark.

    Args:
        system: its name.
        values: metric name, as the publication calls it, to value.
        split: of the benchmark.
        protocol: what was searched and how it was scored; only rows of one protocol can be compared.
        read_in: the text or repository that the numbers were read in.
        is_secondary: whether that text is another one than the system's own authors'.
    """

    system: str
    values: Mapping[str, float]
    split: str
    protocol: str
    read_in: str
    is_secondary: bool = False


_RABLIP_TABLE = "assets/webqa.png in iLearn-Lab/TMM25-RA-BLIP"
_REAUSE = "table of ReAuSE"
_CC_VQA = "README of CC-VQA"


def _webqa(
    system: str, fluency: float, accuracy: float, overall: float, retrieval: float | None = None
) -> PublishedResult:
    values = {} if retrieval is None else {"Retr-F1": retrieval}
    return PublishedResult(
        system=system,
        values=values | {"QA-FL": fluency, "QA-Acc": accuracy, "QA": overall},
        split="test",
        protocol="leaderboard (hidden test keywords, official scorer)",
        read_in=_RABLIP_TABLE,
    )


def _webqa_oracle(system: str, fluency: float, accuracy: float, product: float) -> PublishedResult:
    return PublishedResult(
        system=system,
        values={"QA-FL": fluency, "QA-Acc": accuracy, "QA": product},
        split="val",
        protocol="image questions, right sources given, keywords from the authors' dump",
        read_in="README of WebQnA/WebQA_Baseline",
    )


def _mmqa(system: str, exact_match: float, f1: float, **more: float) -> PublishedResult:
    return PublishedResult(
        system=system,
        values={"EM": exact_match, "F1": f1, **more},
        split="dev",
        protocol="distractor, all questions",
        read_in="README of allenai/multimodalqa",
    )


def _okvqa(
    system: str, accuracy: float, read_in: str = _REAUSE, protocol: str = "own corpus", secondary: bool = False
) -> PublishedResult:
    return PublishedResult(
        system=system,
        values={"VQA accuracy": accuracy},
        split="test",
        protocol=protocol,
        read_in=read_in,
        is_secondary=secondary,
    )


def _aokvqa(
    system: str, mc: tuple[float, float] | None, da: tuple[float | None, float | None]
) -> list[PublishedResult]:
    rows = []
    for place, split in enumerate(("val", "test")):
        values = {} if mc is None else {"MC": mc[place]}
        if (answer := da[place]) is not None:
            values["DA"] = answer
        if values:
            rows.append(
                PublishedResult(system=system, values=values, split=split, protocol="own corpus", read_in=_REAUSE)
            )
    return rows


def _infoseek(
    system: str,
    question: float | None,
    entity: float | None,
    every: float | None,
    read_in: str,
    *,
    secondary: bool = False,
) -> PublishedResult:
    given = {"unseen question": question, "unseen entity": entity, "all": every}
    return PublishedResult(
        system=system,
        values={name: value for name, value in given.items() if value is not None},
        split="val",
        protocol="Wikipedia articles",
        read_in=read_in,
        is_secondary=secondary,
    )


def _evqa(
    system: str, single: float, every: float | None, read_in: str = _CC_VQA, *, secondary: bool = False
) -> PublishedResult:
    return PublishedResult(
        system=system,
        values={"single-hop": single} if every is None else {"single-hop": single, "all": every},
        split="test",
        protocol="2M Wikipedia articles, BEM",
        read_in=read_in,
        is_secondary=secondary,
    )


PUBLISHED: dict[str, tuple[PublishedResult, ...]] = {
    "webqa": (
        _webqa("VLP", 42.6, 36.7, 22.6, 0.69),
        _webqa("VLP+VinVL", 44.2, 38.9, 24.1, 0.71),
        _webqa("MuRAG", 55.7, 54.6, 36.1, 0.75),
        _webqa("SKURG", 55.4, 57.1, 37.7, 0.88),
        _webqa("Solar", 60.9, 58.9, 40.9, 0.89),
        _webqa("InstructBLIP FlanT5-XL", 51.7, 59.0, 31.4),
        _webqa("InstructBLIP FlanT5-XXL", 53.4, 62.5, 35.0),
        _webqa("RA-BLIP T5-base", 62.6, 59.7, 41.6),
        _webqa("RA-BLIP T5-large", 62.9, 60.9, 42.5),
        _webqa("RA-BLIP FlanT5-XL", 65.1, 65.3, 45.8, 0.83),
        _webqa("RA-BLIP FlanT5-XXL", 65.5, 68.7, 48.5, 0.89),
        PublishedResult(
            system="Query-Driven Multimodal GraphRAG (GPT-4)",
            values={"QA": 43.63},
            split="test",
            protocol="leaderboard (hidden test keywords, official scorer)",
            read_in="a summary of the paper",
            is_secondary=True,
        ),
        _webqa_oracle("VLP+VinVL", 47.59, 49.61, 27.53),
        _webqa_oracle("VLP+x101fpn", 46.92, 44.29, 23.77),
        PublishedResult(
            system="PromptCap+GPT-3 8-shot",
            values={"QA-FL": 53.0, "QA-Acc": 57.2, "QA": 34.5},
            split="val",
            protocol="image questions, right sources given, keywords from the authors' dump",
            read_in="the paper's text",
        ),
    ),
    "multimodalqa": (
        _mmqa("context only", 7.41, 10.03),
        _mmqa("AutoRouting", 44.65, 51.13, **{"EM single-hop": 51.68, "EM multi-hop": 34.18}),
        _mmqa("ImplicitDecomp", 48.79, 55.48, **{"EM single-hop": 51.60, "EM multi-hop": 44.59}),
        PublishedResult(
            system="human",
            values={"F1": 90.1},
            split="dev",
            protocol="distractor, all questions",
            read_in="README of allenai/multimodalqa",
        ),
        PublishedResult(
            system="SKURG (released checkpoint)",
            values={"EM": 60.34, "F1": 64.60},
            split="dev",
            protocol="distractor, all questions",
            read_in="name of the released checkpoint",
        ),
        PublishedResult(
            system="Query-Driven Multimodal GraphRAG",
            values={"EM": 60.3, "F1": 68.0},
            split="dev",
            protocol="distractor, all questions",
            read_in="a summary of the paper",
            is_secondary=True,
        ),
    ),
    "okvqa": (
        _okvqa("TRiG", 50.5),
        _okvqa("RA-VQA", 54.5),
        _okvqa("TwO", 56.7),
        _okvqa("ReVeaL", 59.1),
        _okvqa("FLMR / RA-VQA-v2 (BLIP-2)", 62.1),
        _okvqa("KSVQA", 62.8),
        _okvqa("ReAuSE", 65.7),
        _okvqa("GPT-4V", 64.3, protocol="no retrieval"),
        _okvqa("PaLM-E-562B", 66.1, protocol="no retrieval"),
        _okvqa("Prophet", 61.1, protocol="no retrieval"),
        _okvqa("PMSR", 66.0, read_in="a leaderboard site", secondary=True),
    ),
    "aokvqa": (
        *_aokvqa("ReAuSE", (85.0, 80.3), (67.7, 65.8)),
        *_aokvqa("LLaVA-1.5-7B", (77.1, 74.5), (63.7, 58.6)),
        *_aokvqa("InstructBLIP-7B fine-tuned", (73.0, 71.1), (62.4, 58.7)),
        *_aokvqa("Cola-FT", (78.1, 76.7), (None, None)),
        *_aokvqa("CKR-VQA", (76.2, 75.4), (58.1, 60.1)),
        *_aokvqa("Prophet", (76.4, 73.6), (58.2, 55.7)),
        *_aokvqa("REVEAL", None, (52.2, None)),
    ),
    "infoseek": (
        _infoseek("BLIP-2 XXL", 12.7, 12.3, 12.5, "repository of InfoSeek"),
        _infoseek("InstructBLIP", 8.9, 7.4, 8.1, "repository of InfoSeek"),
        _infoseek("Wiki-LLaVA", 30.1, 27.8, 28.9, _CC_VQA),
        _infoseek("EchoSight", 30.0, 30.7, 30.4, _CC_VQA),
        _infoseek("RORA-VLM", 25.1, 27.3, None, _CC_VQA),
        _infoseek("MMKB-RAG", None, None, 36.4, _CC_VQA),
        _infoseek("ReflectiVA", 40.4, 39.8, 40.1, _CC_VQA),
        _infoseek("Wiki-PRF", 43.3, 42.7, 42.8, _CC_VQA),
        _infoseek("CC-VQA", 44.7, 46.1, 45.1, _CC_VQA),
        _infoseek("Wiki-R1", 47.8, None, 44.1, "other papers' tables", secondary=True),
        _infoseek("DBAgent", 46.5, 51.0, 49.9, "other papers' tables", secondary=True),
        _infoseek("WikiSeeker", None, None, 44.7, "other papers' tables", secondary=True),
    ),
    "encyclopedic_vqa": (
        _evqa("PaLM + Google Lens", 48.8, None, "the paper's text"),
        _evqa("PaLI", 13.0, None, "the paper's text"),
        _evqa("Wiki-LLaVA", 17.7, 20.3),
        _evqa("EchoSight", 26.4, 24.9),
        _evqa("ReflectiVA", 28.0, 29.2),
        _evqa("Wiki-PRF", 37.1, 36.0),
        _evqa("MMKB-RAG", 39.7, 35.9),
        _evqa("CC-VQA", 41.4, 36.1),
        _evqa("WikiSeeker", 55.6, None, "other papers' tables", secondary=True),
        _evqa("PMSR", 59.9, None, "other papers' tables", secondary=True),
    ),
}


def find_published(benchmark: str, split: str) -> list[PublishedResult]:
    """What was published on one split of a benchmark.

    Args:
        benchmark: its name.
        split: of it.

    Example:
        >>> [row.system for row in find_published("webqa", "test")][-2]
        'RA-BLIP FlanT5-XXL'
    """
    return [row for row in PUBLISHED.get(benchmark, ()) if row.split == split]
