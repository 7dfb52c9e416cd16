"""The path of a question one arrow at a time: retrieve, re-rank, select, generate."""

from __future__ import annotations

import argparse

from rablip import RablipAnswerer


def main() -> None:
    """Show what each step passes on to the next."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("index", help="an index folder made by `rablip index build`")
    parser.add_argument("question")
    parser.add_argument("--model", default="examples/checkpoints/rablip-tiny")
    arguments = parser.parse_args()

    answerer = RablipAnswerer.from_pretrained(arguments.model, index=arguments.index)
    questions = [arguments.question]
    candidates = answerer.retrieve(questions, k=10)
    print("retrieved ", [candidate.id for candidate in candidates[0]])
    candidates = answerer.rerank(questions, candidates)
    print("re-ranked ", [(candidate.id, round(candidate.rerank_relevance, 2)) for candidate in candidates[0]])
    evidence = answerer.select(candidates)
    print("kept      ", [candidate.id for candidate in evidence[0]])
    (answer,) = answerer.generate(questions, evidence)
    print("answer    ", answer.text, answer.citations, answer.reason)


if __name__ == "__main__":
    main()
