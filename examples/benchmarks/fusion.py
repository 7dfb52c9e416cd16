"""Ways of combining what searches find, on the world: vectors alone, modality by modality, with words.

    python examples/benchmarks/fusion.py --model examples/checkpoints/rablip-tiny

Recall over pairs of a question and an item that it needs, by the modality of the item; the item of a second hop is
looked for by the second search, which asks again with the title of the best picture of the first. `words` is BM25
alone; in `hybrid, words 0.25` its ranking counts a quarter of the vectors', a weight chosen on another world. The
scales of `by_modality_scores` are fitted on questions of another world. Differences to `dense` are paired.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from reporting import describe_run, write_report

from rablip import AnswerSettings, RablipAnswerer
from rablip.answering import fit_scales, load_parts
from rablip.answering.types import RETRIEVALS
from rablip.evaluation.memory_items import MemoryItems
from rablip.evaluation.two_hops import SearchFunction, rank_in_hops
from rablip.evaluation.world_scoring import GoldPair, gold_pairs, recall_figures
from rablip.indexing import index_knowledge
from rablip.lexical import LexicalIndex, searchable_text
from rablip.metrics import bootstrap_interval
from rablip.world import make_world

RESULTS = Path(__file__).parent / "results" / "fusion.json"
CUTOFFS = (5, 10)
COLUMNS = ("text", "image", "image_text", "visual_only", "overall")


def parse_arguments() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=Path("examples/checkpoints/rablip-tiny"))
    parser.add_argument("--seed", type=int, default=987)
    parser.add_argument("--entities", type=int, default=200)
    parser.add_argument("--sample-questions", type=int, default=200)
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser.parse_args()


def prepare(args: argparse.Namespace, world: Any) -> dict[str, Any]:
    """The retriever, an index over the world, its lexical part and the scales of its scores, as the answerer's."""
    loaded = load_parts(args.model)
    parts = {name: loaded[name] for name in ("retriever", "retriever_processor")}
    base: Any = MemoryItems(world.items)
    index = index_knowledge(
        parts["retriever"],
        parts["retriever_processor"],
        base,
        model_id="benchmark",
        model_fingerprint="in memory",
        progress=False,
    )
    lexical = LexicalIndex.create(index, (searchable_text(base[item_id]) for item_id in index.ids))
    sample = make_world(args.seed + 1, args.entities).questions
    rng = np.random.default_rng(args.seed)
    drawn = [sample[place] for place in rng.permutation(len(sample))[: args.sample_questions]]
    scales = fit_scales(
        parts["retriever"],
        parts["retriever_processor"],
        index,
        [one.question for one in drawn],
        [list(one.images) or None for one in drawn],
    )
    return parts | {"index": index, "knowledge_base": base, "lexical": lexical, "scales": scales}


def make_searches(parts: dict[str, Any], world: Any) -> dict[str, SearchFunction]:
    """A search function of every way."""
    images = [list(question.images) or None for question in world.questions]

    def by(retrieval: Any, weight: float = 1.0) -> SearchFunction:
        settings = AnswerSettings(retrieval=retrieval, lexical_weight=weight, batch_size=64)
        answerer = RablipAnswerer(**parts, settings=settings)

        def search(questions: Any, places: Any) -> list[list[str]]:
            found = answerer.retrieve(questions, [images[place] for place in places], k=max(CUTOFFS))
            return [[candidate.id for candidate in row] for row in found]

        return search

    def by_words(questions: Any, places: Any) -> list[list[str]]:
        return [[hit.id for hit in hits] for hits in parts["lexical"].search(questions, max(CUTOFFS))]

    return {**{name: by(name) for name in RETRIEVALS}, "hybrid, words 0.25": by("hybrid", 0.25), "words": by_words}


def compare(pairs: list[GoldPair], rankings: Any, dense: Any) -> dict[str, Any]:
    """Recall@5 less that of the dense search, with an interval over questions."""
    found = [
        [
            pair.gold_id in way[pair.question][min(pair.hop, len(way[pair.question]) - 1)][: CUTOFFS[0]]
            for pair in pairs
        ]
        for way in (rankings, dense)
    ]
    sums: dict[int, list[float]] = {}
    for pair, here, there in zip(pairs, *found, strict=True):
        row = sums.setdefault(pair.question, [0.0, 0.0])
        row[0] += float(here) - float(there)
        row[1] += 1
    rows = np.array(list(sums.values()))
    low, high = bootstrap_interval(rows, lambda values: values[:, 0] / values[:, 1])
    return {"value": float(rows[:, 0].sum() / rows[:, 1].sum()), "interval": [low, high], "n": len(rows)}


def render(ways: dict[str, Any]) -> str:
    """The table in Markdown: Recall@5 / Recall@10."""
    first = next(iter(ways.values()))["recall@5"]
    heads = [f"{name} (n {first[name]['n']})" for name in COLUMNS]
    lines = [f"| search | {' | '.join(heads)} | @5 against dense |", "|---" + "|---:" * (len(heads) + 1) + "|"]
    for name, figures in ways.items():
        cells = [" / ".join(f"{figures[f'recall@{k}'][column]['value']:.3f}" for k in CUTOFFS) for column in COLUMNS]
        gain = figures["against_dense"]
        cells.append(f"{gain['value']:+.3f} ({gain['interval'][0]:+.3f} to {gain['interval'][1]:+.3f})")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure every way and print the table."""
    args = parse_arguments()
    world = make_world(args.seed, args.entities)
    items = {item.id: item for item in world.items}
    pairs = gold_pairs(world.questions, items)
    searches = make_searches(prepare(args, world), world)
    rankings = {name: rank_in_hops(world.questions, items, search) for name, search in searches.items()}
    ways = {
        name: {
            **{f"recall@{k}": recall_figures(pairs, found, k=k) for k in CUTOFFS},
            "against_dense": compare(pairs, found, rankings["dense"]),
        }
        for name, found in rankings.items()
    }
    write_report(describe_run(args, "fusion") | {"ways": ways}, args.out)
    print(render(ways))


if __name__ == "__main__":
    main()
