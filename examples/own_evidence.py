"""Answer from evidence that you bring yourself: no index, no retriever."""

from __future__ import annotations

import argparse

from rablip import KnowledgeItem, RablipAnswerer


def main() -> None:
    """Give the generator two texts, of which one helps."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="examples/checkpoints/rablip-tiny")
    arguments = parser.parse_args()

    evidence = [
        KnowledgeItem(id="mill", title="The mill", text="The mill was built by Marlow."),
        KnowledgeItem(id="barn", title="The barn", text="The barn was founded in 1743."),
    ]
    answerer = RablipAnswerer.from_pretrained(arguments.model)
    (answer,) = answerer.generate(["Who built the mill?"], [evidence])
    print(answer.text, answer.citations, answer.reason)
    for one in answer.evidence:
        print(f"  {one.id}: relevance {one.relevance:.2f}")


if __name__ == "__main__":
    main()
