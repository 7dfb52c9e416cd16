"""Pages as a run fills them, for the tests: invented figures, drawn pictures, every part of a page in use."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from rablip.answering import AbstainReason, Answer, Candidate, EvidenceRelevance
from rablip.processing.knowledge_rablip import ImageRef, KnowledgeItem
from rablip.reports import (
    Bar,
    BarChart,
    CalibrationBin,
    CalibrationPlot,
    ChangedQuestion,
    ComparisonPage,
    Curve,
    CurvePoint,
    EvaluationPage,
    LineChart,
    MetricRow,
    PageEntry,
    PairedFigure,
    PublishedRow,
    PublishedTable,
    SourceMark,
)

__all__ = ["draw_scene", "make_comparison", "make_entries", "make_evaluation"]

CATEGORIES = {"text": 2455, "YesNo": 828, "Others": 669, "choose": 502, "number": 259, "color": 179, "shape": 74}
QUESTIONS = (
    (
        "Is the dome of the Kestrel observatory darker than the roof of the mill beside it?",
        "Yes, it is darker.",
        "YesNo",
    ),
    ("What colour are the shutters of the old post office in Velmor?", "The shutters are green.", "color"),
    ("How many arches does the bridge at Thilous Gate have on its upper level?", "It has seven arches.", "number"),
    ("Which has a taller spire, the chapel of Marlow or the town hall of Bryn?", "The town hall of Bryn.", "choose"),
    ("In which year did the mill whose wheel is painted red open to the public?", "It opened in 1743.", "text"),
    ("What shape are the windows above the main entrance?", "They are round.", "shape"),
    ("What is carved above the door of the library in Kestrel?", "A heron with a fish.", "Others"),
)


def draw_scene(seed: int, size: tuple[int, int] = (640, 480)) -> Image.Image:
    """A hilly landscape with the grain of a photograph."""
    rng = np.random.default_rng(seed)
    width, height = size
    top, bottom = rng.integers(90, 250, 3), rng.integers(90, 250, 3)
    ramp = np.linspace(0, 1, height)[:, None, None]
    picture = Image.fromarray(np.broadcast_to(top * (1 - ramp) + bottom * ramp, (height, width, 3)).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    for layer in range(4):
        color = tuple(int(c) for c in rng.integers(20, 180, 3))
        phase, base = rng.uniform(0, 6, 2), height * (0.45 + 0.13 * layer)
        xs = np.arange(0, width + 8, 8)
        ys = base + 34 * np.sin(xs / 90 + phase[0]) + 16 * np.sin(xs / 31 + phase[1])
        draw.polygon([(0, height), *zip(xs.tolist(), ys.tolist(), strict=True), (width, height)], fill=color)
    left = int(rng.integers(width // 8, width // 2))
    draw.rectangle(
        [left, height // 3, left + width // 6, height * 3 // 4], fill=tuple(map(int, rng.integers(60, 240, 3)))
    )
    grain = rng.normal(0, 6, (height, width, 3))
    return Image.fromarray(np.clip(np.asarray(picture) + grain, 0, 255).astype(np.uint8))


def make_entries(num_entries: int, *, seed: int = 0, size: tuple[int, int] = (640, 480)) -> list[PageEntry]:
    """Questions with pictures: right, partly right, wrong and withheld ones, with and without what they need."""
    rng = random.Random(seed)
    scenes = [draw_scene(number, size) for number in range(12)]
    return [_entry(number, rng, scenes) for number in range(num_entries)]


def _entry(number: int, rng: random.Random, scenes: Sequence[Image.Image]) -> PageEntry:
    question, expected, kind = QUESTIONS[number % len(QUESTIONS)]
    candidates, pictures = [], {}
    for place in range(8):
        item_id, relevance = f"{30_000_000 + 97 * number + place}", max(0.01, 0.95 - 0.13 * place - 0.1 * rng.random())
        if place % 3 == 2:
            words = "The mill on the river Aun opened in 1743 and was rebuilt twice, last after the great flood."
            item = KnowledgeItem(
                id=item_id, title="Mill on the Aun", text=f"{words} {'It stands to this day. ' * place}"
            )
        else:
            caption = (
                f"View of Kestrel from the {('north', 'south', 'east')[place % 3]}, seen on a clear day in autumn"
            )
            item = KnowledgeItem(id=item_id, image=ImageRef(path=f"{item_id}.png"), caption=caption)
            pictures[item_id] = scenes[(number + place) % len(scenes)]
        candidates.append(Candidate(item, round(0.83 - 0.05 * place, 4), relevance, hop=1 + (place == 3)))
    evidence = tuple(
        EvidenceRelevance(one.id, one.rerank_relevance, one.rerank_relevance, one.score, one.hop, one.has_picture)
        for one in candidates[:3]
    )
    withheld, score = number % 9 == 8, (1.0, 1.0, 0.0, 1.0, 0.42)[number % 5]
    answer = Answer(
        question=question,
        text="I cannot answer this." if withheld else expected if score else "It is hard to say from the pictures.",
        citations=() if withheld else tuple(one.id for one in evidence[: 1 + number % 2]),
        abstained=withheld,
        reason=AbstainReason.NO_RELEVANT_EVIDENCE if withheld else None,
        evidence=evidence,
        candidates=tuple(candidates),
    )
    gold = (candidates[0].id, candidates[4].id) if number % 4 else ("30999999",)
    return PageEntry(
        answer=answer,
        kind=kind,
        expected=() if number % 18 == 17 else (expected,),
        score=float(number % 18 == 17) if withheld else score,
        question_images=(scenes[number % len(scenes)],) if number % 3 == 0 else (),
        pictures=pictures,
        question_id=f"d5c1{number:04d}0bb911ec81c0",
        gold_ids=gold,
    )


def _bars(shift: float) -> list[Bar]:
    bars = []
    for place, (name, count) in enumerate(CATEGORIES.items()):
        value, half = 0.78 - 0.06 * place + shift, 0.9 / count**0.5
        bars.append(Bar(name=name, value=value, interval=(value - half, min(1.0, value + half)), num_questions=count))
    return bars


def _curves() -> list[Curve]:
    curves = []
    for name, start in (("RA-BLIP retriever", 0.52), ("CLIP ViT-B/32, pictures and texts", 0.37), ("BM25", 0.3)):
        points = []
        for k in (1, 2, 5, 10, 20, 50, 100):
            value = 1 - (1 - start) * k**-0.42
            points.append(CurvePoint(k=k, value=value, interval=(value - 0.02, min(1.0, value + 0.02))))
        curves.append(Curve(name=name, points=points))
    return curves


def _calibration() -> CalibrationPlot:
    counts = (41, 77, 120, 180, 260, 391, 520, 801, 1270, 1306)
    bins = []
    for place, count in enumerate(counts):
        confidence, accuracy = place / 10 + 0.052, min(0.97, 0.12 + 0.078 * place)
        half = 0.9 / count**0.5
        bins.append(
            CalibrationBin(
                low=place / 10,
                high=(place + 1) / 10,
                confidence=confidence,
                accuracy=accuracy,
                num_questions=count,
                interval=(max(0.0, accuracy - half), min(1.0, accuracy + half)),
            )
        )
    return CalibrationPlot(
        title="Confidence of the answers",
        bins=bins,
        error=0.087,
        note="On the line, answers are right as often as the generator's relevance says. Bars below it: too sure.",
    )


def _published() -> PublishedTable:
    read, where = SourceMark.READ, "Table 2 of the paper"
    other = "validation split, with the right sources given"
    return PublishedTable(
        metrics=["Retr-F1", "QA-FL", "QA-Acc", "QA"],
        rows=[
            PublishedRow(system="VLP + VinVL", values=["0.71", "44.2", "38.9", "24.1"], mark=read, source=where),
            PublishedRow(
                system="MuRAG", values=["0.75", "55.7", "54.6", "36.1"], mark=SourceMark.SECONDARY, source=where
            ),
            PublishedRow(system="RA-BLIP FlanT5-XL", values=["0.83", "65.1", "65.3", "45.8"], mark=read, source=where),
            PublishedRow(system="this run", values=["0.81", "64.4", "64.9", "45.1"], is_own=True),
            PublishedRow(system="A GraphRAG", values=[None, None, None, "43.63"], mark=SourceMark.RECALLED),
            PublishedRow(system="VLP + VinVL", values=[None, "47.6", "49.6", "27.5"], mark=read, not_comparable=other),
        ],
        note="Test split, restricted setting. All but Retr-F1 out of 100.",
    )


def make_evaluation(entries: Sequence[PageEntry] = (), **parts: object) -> EvaluationPage:
    """An evaluation of WebQA."""
    stress = [
        PairedFigure(name=name, first=0.451, second=second, interval=interval, num_questions=4966, metric="QA")
        for name, second, interval in (
            ("every picture replaced by another one", 0.212, (-0.252, -0.226)),
            ("candidates in another order", 0.449, (-0.005, 0.001)),
            ("three look-alikes added", 0.418, (-0.041, -0.025)),
        )
    ]
    modalities = [
        PairedFigure(name=name, first=0.451, second=second, interval=interval, num_questions=4966)
        for name, second, interval in (
            ("pictures", 0.243, (-0.221, -0.195)),
            ("captions", 0.338, (-0.124, -0.102)),
            ("texts", 0.267, (-0.196, -0.172)),
        )
    ]
    webqa = {"corpus": "distractors", "num_questions": 4966, "variant": "official"}
    values: dict[str, object] = {
        "title": "RA-BLIP on WebQA, validation",
        "introduction": "Every question of the split was answered from its own candidates. The figures are those of "
        "the official scorer; what it leaves open is said beside them.",
        "facts": [
            ("Benchmark", "WebQA"),
            ("Split", "validation"),
            ("Setting", "distractors"),
            ("Corpus", "390,000 pictures, 540,000 snippets"),
            ("Model", "rablip-flan-t5-xl, 3f9a1c77d2e8"),
            ("Data", "WebQA_train_val.json, 0b6f21e49ad0"),
            ("Seed", "0"),
            ("Hardware", "one H100, bfloat16"),
            ("Versions", "rablip 0.1.0, torch 2.10, transformers 5.23"),
            ("Questions", "4,966 scored, 0 without a prediction"),
        ],
        "command": "rablip eval webqa --split val --setting distractors --model rablip-flan-t5-xl --seed 0 --out run",
        "problems": ["12 questions name a picture that is not in imgs.tsv", "2 pictures cannot be decoded"],
        "metrics": [
            MetricRow(name="QA-FL", value=0.6441, interval=(0.635, 0.653), is_main=True, **webqa),
            MetricRow(name="QA-Acc", value=0.6493, interval=(0.639, 0.659), is_main=True, **webqa),
            MetricRow(name="QA", value=0.4512, interval=(0.441, 0.461), is_main=True, **webqa),
            MetricRow(name="retrieval F1", value=0.8107, interval=(0.803, 0.818), is_main=True, **webqa),
            MetricRow(
                name="recall@5", value=0.93, interval=(0.924, 0.937), k=5, num_questions=4966, corpus="distractors"
            ),
            MetricRow(
                name="VQA accuracy", variant="simple", value=61.27, scale=100, num_questions=2511, note="for reference"
            ),
        ],
        "published": [_published()],
        "categories": [
            BarChart(title="QA-Acc", bars=_bars(0.0), note="A category with few questions has a wide interval."),
            BarChart(title="Retrieval F1", bars=_bars(0.14)),
        ],
        "curves": [LineChart(title="Share of the needed items among the first k", curves=_curves())],
        "calibration": [_calibration()],
        "trust": [
            MetricRow(name="abstention precision", value=0.71, interval=(0.66, 0.76), num_questions=412),
            MetricRow(name="abstention recall", value=0.64, interval=(0.59, 0.69), num_questions=480),
            MetricRow(name="citation F1", value=0.83, interval=(0.82, 0.84), num_questions=4554),
        ],
        "stress": stress,
        "modality_importance": modalities,
        "entries": entries,
        "num_questions": 4966,
        "sample_note": "Drawn at random with seed 0, before anything was answered.",
        "footer": "Made by rablip; nothing on this page is loaded from elsewhere.",
    }
    return EvaluationPage(**{**values, **parts})  # type: ignore[arg-type]


def make_comparison(entries: Sequence[PageEntry] = (), **parts: object) -> ComparisonPage:
    """Two runs of which each is better on some questions."""
    wrong = Answer(question="", text="It is blue.")
    changed = []
    for place, entry in enumerate(entries):
        good = PageEntry(**{**vars(entry), "score": 1.0, "expected": entry.expected or ("It is green.",)})
        answer = Answer(**{**vars(wrong), "question": entry.answer.question, "candidates": entry.answer.candidates})
        bad = PageEntry(**{**vars(good), "score": 0.0 if place % 4 else 0.3, "answer": answer})
        changed.append(
            ChangedQuestion(first=bad, second=good) if place % 3 else ChangedQuestion(first=good, second=bad)
        )
    metrics = [
        PairedFigure(
            name="QA-FL", first=0.6182, second=0.6441, interval=(0.019, 0.033), p_value=0.0002, num_questions=4966
        ),
        PairedFigure(
            name="QA-Acc", first=0.6471, second=0.6493, interval=(-0.004, 0.009), p_value=0.48, num_questions=4966
        ),
        PairedFigure(
            name="recall@5", first=0.912, second=0.93, interval=(0.012, 0.024), p_value=0.001, num_questions=4966
        ),
    ]
    values: dict[str, object] = {
        "title": "With and without adaptive fusion",
        "first_name": "concatenated tokens, rablip-concat 81c0",
        "second_name": "adaptive fusion, rablip-flan-t5-xl 3f9a",
        "introduction": "Both runs answered the same questions of WebQA's validation split from the same candidates.",
        "facts": [
            ("Model", "rablip-concat, 81c0de11aa05", "rablip-flan-t5-xl, 3f9a1c77d2e8"),
            ("Split", "validation", "validation"),
            ("Seed", "0", "0"),
        ],
        "metrics": metrics,
        "categories": [
            BarChart(
                title="QA-Acc",
                bars=_bars(-0.05),
                compared_bars=_bars(0.0),
                series=("A: concatenated tokens", "B: adaptive fusion"),
            )
        ],
        "changed": changed,
        "num_first_better": 241,
        "num_second_better": 387,
        "num_questions": 4966,
        "sample_note": "Some of both, drawn with seed 0.",
    }
    return ComparisonPage(**{**values, **parts})  # type: ignore[arg-type]
