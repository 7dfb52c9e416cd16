"""Questions with evidence, pictures and relevance for tests of the generator's processor, and how to read a batch."""

from __future__ import annotations

from typing import Any

from PIL import Image

from rablip.processing import ImageRef, KnowledgeItem, RablipProcessor
from tests.processing.tiny_tokenizers import make_processor

RED, BLUE = (Image.new("RGB", (20, 10), color) for color in ("red", "blue"))
FACT = KnowledgeItem(id="a", title="Tower", text="Built in 1889.")
VIEW = KnowledgeItem(id="b", image=ImageRef(path="b.png"), caption="A tower")
BOTH = KnowledgeItem(id="c", image=ImageRef(path="c.png"), title="Bridge", text="A bridge.")
MODELS = ("t5", "llama", "gpt2")
PROCESSORS = {name: make_processor(name) for name in MODELS}
QUESTIONS = ["When was it built?", "What color?", "Who?"]
EVIDENCE = [[FACT, VIEW], [], [BOTH, FACT, VIEW]]
IMAGES = [[None, RED], None, [BLUE, None, RED]]
RELEVANCE = [[1.0, 0.0], [], [0.0, 0.0, 1.0]]


def process(processor: RablipProcessor, **options: Any) -> Any:
    return processor.process_generation(QUESTIONS, EVIDENCE, IMAGES, **options)


def read(processor: RablipProcessor, batch: Any, row: int, name: str = "input_ids", labels: str = "labels") -> str:
    """The text of a row's prompt: neither padding, nor image tokens, nor what is to be learned."""
    ids, mask = batch[name][row], batch[name.replace("input_ids", "attention_mask")][row].bool()
    if processor.causal_lm and labels in batch:
        mask = mask & (batch[labels][row] == -100)
    return processor.tokenizer.decode(ids[mask], skip_special_tokens=True).strip()
