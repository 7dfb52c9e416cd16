"""The result of an evaluation on the world: figures under fixed keys, beside everything that made them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["WorldReport"]


@dataclass(frozen=True, kw_only=True)
class WorldReport:
    """Figures of one model on one world.

    Args:
        run: what was run: world version, seed, entities, model and its fingerprints, rablip version, machine, seconds.
        figures: the nested figures; every leaf is `{"value", "n", "interval": [low, high]}`, accuracies with
            `majority` and `majority_by_attribute` beside them:
            `retriever.recall@5.{overall, text, image, image_text, visual_only, by_kind.<kind>}`,
            `baselines.<name>.recall@5.*` alike,
            `answer.accuracy.{retrieved, oracle, closed_book, shuffled_pictures}.{overall, visual_only,
            by_kind.<kind>, by_modality.<modality>}`,
            `abstain.{f1, precision, recall}`, `citation.{precision, recall, reference_disagreement}`.

    Example:
        >>> report = WorldReport(run={"seed": 7}, figures={"abstain": {"f1": {"value": 0.5}}})
        >>> report.figure("abstain", "f1")["value"], report.to_json()["seed"]
        (0.5, 7)
    """

    run: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)

    def figure(self, *path: str) -> Mapping[str, Any]:
        """The part of the figures under a path of keys, such as `"retriever", "recall@5", "overall"`.

        Raises:
            KeyError: names the key that is not there, and the ones that are.
        """
        part: Any = self.figures
        for place, key in enumerate(path):
            if not isinstance(part, Mapping) or key not in part:
                known = ", ".join(part) if isinstance(part, Mapping) else "none"
                raise KeyError(f"There is no {key!r} under {'.'.join(path[:place]) or 'the report'}; known: {known}.")
            part = part[key]
        return part

    def to_json(self) -> dict[str, Any]:
        """One plain object: what was run, then the figures."""
        return {**self.run, **self.figures}
