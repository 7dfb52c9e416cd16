"""Small reports of an evaluation on a world, with the fields that tables and cards read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rablip.index import fingerprint_folder

FIGURE = {"value": 0.5, "n": 4, "interval": [0.1, 0.9], "majority": 0.25, "majority_by_attribute": 0.3}
RECALL = {"recall@5": dict.fromkeys(["overall", "text", "image", "image_text", "visual_only"], FIGURE)}


def make_report(bundle: Path) -> dict[str, Any]:
    """A report for the weights of a bundle; every figure is 0.5, but the accuracy over all kinds is 0.75."""
    accuracy = {"overall": {**FIGURE, "value": 0.75}, "by_kind": {"color": FIGURE}}
    parts = ("retriever", "reranker", "generator")
    return {
        "seed": 7,
        "num_entities": 12,
        "split": "test",
        "world_version": "abc",
        "model_fingerprints": {name: fingerprint_folder(bundle / name) for name in parts},
        "retriever": RECALL,
        "baselines": {"bm25": RECALL},
        "answer": {
            "accuracy": dict.fromkeys(["retrieved", "oracle", "closed_book", "shuffled_pictures"], accuracy),
        },
        "abstain": dict.fromkeys(["f1", "precision", "recall"], FIGURE),
        "citation": dict.fromkeys(["precision", "recall"], FIGURE),
    }
