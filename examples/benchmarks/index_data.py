"""What the index benchmark searches: vectors, questions and their nearest vectors, made once and kept in a folder.

- `world`: texts and captions of rablip's own worlds, encoded by the tiny retriever at its own dimension; the questions
  are those of another world about the same names. One more world has the same names and other facts, so that every
  name has many near neighbours.
- `clustered`: 256 numbers; clusters of unequal sizes, about 1,000 vectors each, that are wide in 32 directions and
  narrow in the others, as encodings are.
- `isotropic`: 256 numbers, no structure at all: nothing is near, and no structure can find what is a little nearer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

__all__ = ["DATA", "TOP", "Data", "make_data", "measure_recall"]

DATA = ("world", "clustered", "isotropic")
TOP = 10
NUM_QUESTIONS = 512
SYNTHETIC_DIM = 256
# More distinct texts can be drawn, but facts of one name would then be all that there is.
WORLD_ITEMS = 100_000
_WORLD_ENTITIES, _QUESTION_SEED, _QUESTION_ENTITIES = 1800, 987, 250
_ROWS_AT_ONCE = 1 << 15
_CLUSTER_SIZE, _WIDE_DIMENSIONS, _NUM_SHAPES = 1000, 32, 16
_WIDTH, _NOISE = 0.9, 0.3
_RETRIEVER = Path(__file__).resolve().parents[1] / "checkpoints" / "rablip-tiny" / "retriever"


@dataclass(frozen=True, kw_only=True)
class Data:
    """One data set.

    Args:
        name: which.
        vectors: (num_items, dim) float32 of length 1, mapped from disk.
        questions: (512, dim) float32 of length 1.
        best: (512,) float32, the inner product of each question with its tenth nearest vector.
        path: the file of the vectors.
    """

    name: str
    vectors: np.ndarray
    questions: np.ndarray
    best: np.ndarray
    path: Path


def make_data(name: str, size: int, *, seed: int, folder: Path) -> Data:
    """Make a data set, or take it from the folder.

    Args:
        name: one of `DATA`.
        size: number of vectors.
        seed: of synthetic vectors.
        folder: where they are kept.

    Raises:
        ValueError: when the data set is unknown, or the world has fewer texts.
    """
    if name not in DATA:
        raise ValueError(f"data must be one of {', '.join(DATA)}, got {name!r}.")
    if name == "world" and size > WORLD_ITEMS:
        raise ValueError(f"The world gives {WORLD_ITEMS} items, not {size}.")
    folder.mkdir(parents=True, exist_ok=True)
    path, asked, best = (folder / f"{name}-{size}.{part}.npy" for part in ("items", "questions", "best"))
    if not best.is_file():
        if name == "world":
            items, questions = encode_world(size)
            np.save(path, items)
        else:
            shapes = _Shapes(size, seed) if name == "clustered" else None
            out = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(size, SYNTHETIC_DIM))
            start = 0
            for part in draw_vectors(size, seed=seed + 1, shapes=shapes):
                out[start : start + len(part)] = part
                start += len(part)
            out.flush()
            questions = np.concatenate(list(draw_vectors(NUM_QUESTIONS, seed=seed + 2, shapes=shapes)))
        np.save(asked, questions)
        np.save(best, find_best(np.load(path, mmap_mode="r"), questions))
    vectors, questions = np.load(path, mmap_mode="r"), np.load(asked)
    return Data(name=name, vectors=vectors, questions=questions, best=np.load(best), path=path)


class _Shapes:
    """The clusters of the clustered set: centres, shares, and the directions in which each is wide."""

    def __init__(self, size: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        centres = rng.standard_normal((max(16, size // _CLUSTER_SIZE), SYNTHETIC_DIM), dtype=np.float32)
        self.centres = centres / np.linalg.norm(centres, axis=1, keepdims=True)
        shares = rng.lognormal(0, 1, len(centres))
        self.shares = shares / shares.sum()
        square = rng.standard_normal((_NUM_SHAPES, SYNTHETIC_DIM, _WIDE_DIMENSIONS))
        widths = 0.95 ** np.arange(_WIDE_DIMENSIONS)
        widths *= _WIDTH / np.linalg.norm(widths)
        # (num_shapes, wide dimensions, dim): orthogonal directions, each with its width.
        self.directions = (np.linalg.qr(square)[0] * widths).transpose(0, 2, 1).astype(np.float32)

    def draw(self, count: int, rng: np.random.Generator) -> np.ndarray:
        chosen = rng.choice(len(self.centres), size=count, p=self.shares)
        places = rng.standard_normal((count, _WIDE_DIMENSIONS), dtype=np.float32)
        vectors = rng.standard_normal((count, SYNTHETIC_DIM), dtype=np.float32)
        vectors *= _NOISE / np.sqrt(SYNTHETIC_DIM)
        vectors += self.centres[chosen]
        for number, directions in enumerate(self.directions):
            rows = np.flatnonzero(chosen % _NUM_SHAPES == number)
            vectors[rows] += places[rows] @ directions
        return vectors


def draw_vectors(count: int, *, seed: int, shapes: _Shapes | None) -> Iterator[np.ndarray]:
    """Synthetic vectors of length 1, in batches; isotropic ones without shapes."""
    rng = np.random.default_rng(seed)
    for start in range(0, count, _ROWS_AT_ONCE):
        rows = min(_ROWS_AT_ONCE, count - start)
        if shapes is None:
            vectors = rng.standard_normal((rows, SYNTHETIC_DIM), dtype=np.float32)
        else:
            vectors = shapes.draw(rows, rng)
        yield (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def encode_world(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Encodings of so many texts of worlds, and of questions of another world."""
    from rablip import RablipRetriever, RablipRetrieverProcessor
    from rablip.encoding import KnowledgeEncoder
    from rablip.processing.knowledge_rablip import KnowledgeItem
    from rablip.world import make_world
    from rablip.world.entities import draw_entities
    from rablip.world.wording import word_fact

    texts: dict[tuple[str, str | None], str] = {}
    seed = 0
    while len(texts) < size:
        for entity in draw_entities(seed, _WORLD_ENTITIES, split="test"):
            facts = [word_fact(entity, part) for part in ("year", "builder")]
            for text in (*facts, f"{entity.name} in {entity.place}"):
                if text is not None:
                    texts.setdefault((text, None), entity.name)
            texts.setdefault((str(word_fact(entity, "load")), f"Boat of {entity.name}"), entity.name)
        seed += 1
    items = [
        KnowledgeItem(id=str(number), text=text, title=title, caption=caption)
        for number, ((text, caption), title) in enumerate(list(texts.items())[:size])
    ]
    retriever = RablipRetriever.from_pretrained(_RETRIEVER).eval()
    processor = RablipRetrieverProcessor.from_pretrained(_RETRIEVER)
    encoder = KnowledgeEncoder(retriever, processor, batch_size=256)
    batches = [items[start : start + 4096] for start in range(0, size, 4096)]
    vectors = np.concatenate([encoder.encode(batch, [None] * len(batch)) for batch in batches])

    world = make_world(_QUESTION_SEED, _QUESTION_ENTITIES)
    asked = [question.question for question in world.questions if not question.images][:NUM_QUESTIONS]
    inputs = [processor.process_questions(asked[start : start + 64]) for start in range(0, len(asked), 64)]
    import torch

    with torch.inference_mode():
        questions = [retriever.encode_questions(**batch).float().numpy() for batch in inputs]
    return vectors, np.concatenate(questions)


def find_best(vectors: np.ndarray, questions: np.ndarray) -> np.ndarray:
    """The inner product of each question with its tenth nearest vector, by plain arithmetic."""
    best = np.full((len(questions), 0), -np.inf, dtype=np.float32)
    for start in range(0, len(vectors), _ROWS_AT_ONCE // 2):
        scores = np.concatenate([best, questions @ vectors[start : start + _ROWS_AT_ONCE // 2].T], axis=1)
        kept = min(TOP, scores.shape[1])
        best = np.partition(scores, scores.shape[1] - kept, axis=1)[:, -kept:]
    return best.min(axis=1)


def measure_recall(data: Data, rows: list[list[int]]) -> float:
    """The share of the ten nearest that was found; a vector as near as the tenth counts, whichever of them it is.

    Args:
        data: vectors and questions.
        rows: what was found for the first questions, at most ten each; a row that is there twice counts once.
    """
    found = 0
    for number, some in enumerate(rows):
        scores = data.vectors[sorted(set(some))] @ data.questions[number] if some else np.empty(0)
        found += min(TOP, int((scores >= data.best[number] - 1e-6).sum()))
    return found / (TOP * len(rows))
