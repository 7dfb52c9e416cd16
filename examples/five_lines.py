"""The five lines of the README: index a folder, ask, see what the answer rests on."""

from __future__ import annotations

import argparse

from rablip import RablipAnswerer, build_index


def main() -> None:
    """Index a folder and answer one question from it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", help="a folder with metadata.jsonl")
    parser.add_argument("question")
    parser.add_argument("--model", default="examples/checkpoints/rablip-tiny")
    parser.add_argument("--out", default="my_index")
    arguments = parser.parse_args()

    report = build_index(arguments.folder, model=arguments.model, out=arguments.out, on_error="skip")
    for problem in report.problems:
        print("left out", problem)
    answerer = RablipAnswerer.from_pretrained(arguments.model, index=arguments.out)
    answer = answerer(arguments.question)
    print(answer.text, answer.citations, answer.reason)
    for evidence in answer.evidence:
        print(f"  {evidence.id}: relevance {evidence.relevance:.2f}")


if __name__ == "__main__":
    main()
