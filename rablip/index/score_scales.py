"""One scale for the scores of all modalities: how far a score stands above what its modality usually scores.

Pictures and texts of one embedding space lie in regions of their own (the modality gap), so inner products with
questions have another mean and spread for each modality, and in one ranking a modality can crowd out the others. A
score becomes `(score - mean) / spread`, with both measured between sample questions and sample items of the modality:
nearly all such pairs do not belong together, so this is the distribution of what is not relevant.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .checked_json import dump_checked, parse_versioned, read_parsed
from .errors import IndexCorruptError, IndexMismatchError
from .files import write_text_atomically
from .knowledge_index import KnowledgeIndex, SearchHit

__all__ = ["SCALES_NAME", "ScoreScale", "ScoreScales"]

SCALES_NAME = "score_scales.json"

_FORMAT_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class ScoreScale:
    """Where the scores of a modality lie.

    Args:
        mean: of the scores.
        spread: their standard deviation, above 0.
        num_items: sample items.
        num_questions: sample questions.

    Raises:
        ValueError: when a number is not finite, or the spread is not above 0.

    Example:
        >>> ScoreScale(mean=0.5, spread=0.25, num_items=20, num_questions=10).normalize(1.0)
        2.0
    """

    mean: float
    spread: float
    num_items: int
    num_questions: int

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean) and math.isfinite(self.spread) and self.spread > 0):
            raise ValueError(
                f"A scale needs a finite mean and a finite spread above 0, got mean {self.mean} and spread "
                f"{self.spread}."
            )

    def normalize(self, score: float) -> float:
        """How many spreads a score lies above the mean."""
        return (score - self.mean) / self.spread

    def normalize_hits(self, hits: Iterable[SearchHit]) -> list[SearchHit]:
        """Hits with normalised scores, in the order given."""
        return [SearchHit(hit.id, self.normalize(hit.score)) for hit in hits]


@dataclass(frozen=True, kw_only=True)
class ScoreScales:
    """The scales of an index by modality, saved beside it; they outlive changes of the index, not of its model.

    Args:
        scales: modality -> its scale.
        index_id: of the index.
        model_fingerprint: of the retriever that scored.

    Example:
        >>> scale = ScoreScale(mean=0.1, spread=0.2, num_items=20, num_questions=10)
        >>> scales = ScoreScales(scales={"text": scale}, index_id="7", model_fingerprint="ab12")
        >>> ScoreScales.from_json(scales.to_json()) == scales
        True
    """

    scales: Mapping[str, ScoreScale]
    index_id: str
    model_fingerprint: str

    def check(self, index: KnowledgeIndex, modalities: Iterable[str]) -> None:
        """Check that these are the scales of an index with such modalities.

        Raises:
            IndexMismatchError: when they are another index's or another model's, or a modality has none.
        """
        manifest = index.manifest
        wanted = {"index_id": manifest.index_id, "model_fingerprint": manifest.model_fingerprint}
        wrong = [
            f"{name} is {getattr(self, name)!r} there, {value!r} here"
            for name, value in wanted.items()
            if getattr(self, name) != value
        ]
        missing = sorted(set(modalities) - set(self.scales))
        if missing:
            wrong.append(f"there is no scale for {', '.join(missing)}, only for {', '.join(sorted(self.scales))}")
        if wrong:
            raise IndexMismatchError(
                f"The score scales do not belong to this index: {'; '.join(wrong)}. Fit them again: rablip index "
                f"scales {index.folder or 'INDEX'} --questions FILE --model M."
            )

    def to_json(self) -> str:
        """The scales as JSON text with a checksum."""
        return dump_checked({"format_version": _FORMAT_VERSION, **dataclasses.asdict(self)})

    @classmethod
    def from_json(cls, text: str) -> ScoreScales:
        """Read what `to_json` wrote.

        Raises:
            IndexCorruptError: when it is something else, or was altered.
            IndexMismatchError: when it has another format version.
        """
        content = parse_versioned(text, _FORMAT_VERSION, what="score scales")
        try:
            scales = {name: ScoreScale(**scale) for name, scale in content.pop("scales").items()}
            return cls(scales=scales, **content)
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise IndexCorruptError(f"no score scales: {error}") from error

    def save(self, folder: str | Path) -> None:
        """Write them into the folder of the index, as a whole or not at all."""
        write_text_atomically(Path(folder) / SCALES_NAME, self.to_json())

    @classmethod
    def load(cls, folder: str | Path) -> ScoreScales:
        """Read those of an index.

        Raises:
            FileNotFoundError: when there are none; says which command fits them.
            IndexCorruptError, IndexMismatchError: as `from_json`; names the file.
        """
        path = Path(folder) / SCALES_NAME
        if not path.is_file():
            raise FileNotFoundError(
                f"There is no {path}. Fit the scales on questions of yours: rablip index scales {folder} --questions "
                "FILE --model M."
            )
        return read_parsed(path, cls.from_json)
