"""The models without the answerer: Auto classes of transformers, tensors in, tensors out."""

from __future__ import annotations

import argparse

import torch
from transformers import AutoModel, AutoProcessor

import rablip


def main() -> None:
    """Encode two questions and three knowledge items and print how near they are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="examples/checkpoints/rablip-tiny/retriever")
    arguments = parser.parse_args()

    processor = AutoProcessor.from_pretrained(arguments.model)
    retriever = AutoModel.from_pretrained(arguments.model).eval()
    items = [
        rablip.KnowledgeItem(id="a", text="The mill was built by Marlow."),
        rablip.KnowledgeItem(id="b", text="The barn was founded in 1743."),
        rablip.KnowledgeItem(id="c", title="The well", text="It holds 340 barrels."),
    ]
    with torch.no_grad():
        questions = retriever.encode_questions(
            **processor.process_questions(["Who built the mill?", "In what year was the barn founded?"])
        )
        knowledge = retriever.encode_knowledge(**processor.process_knowledge(items))
    print(questions @ knowledge.T)


if __name__ == "__main__":
    main()
