"""The corpora, the model and the arms of the encoding benchmark."""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cost_setup import describe_trunk
from PIL import Image
from transformers import BlipImageProcessorPil

from rablip import ImageRef, KnowledgeItem, RablipRetriever, RablipRetrieverConfig, RablipRetrieverProcessor
from rablip.encoding import KnowledgeEncoder
from rablip.knowledge_base import KnowledgeBase

ROOT = Path(__file__).resolve().parents[2]
TOKENIZER = ROOT / "examples" / "checkpoints" / "rablip-tiny" / "retriever"
# Items with a picture, and how many items share each picture (the sections of one page, say).
CORPORA = {"texts": (0.0, 1), "pictures": (1.0, 1), "mixed": (0.5, 1), "pages": (1.0, 3)}
# `(width, feed-forward width, layers, heads, picture size, patch size)` of the tower, `(width, layers, heads)` of the
# Q-Former and the fusion.
SIZES = {
    "tiny": ((24, 32, 2, 2, 16, 8), (32, 2, 4)),
    "small": ((384, 1536, 6, 6, 224, 16), (256, 4, 4)),
    "vit-g": ((1408, 6144, 39, 16, 224, 14), (768, 12, 12)),
}
MAX_TOKENS = 128


def make_model(size: str, device: str) -> tuple[RablipRetriever, RablipRetrieverProcessor]:
    """A retriever with random weights, and its processor."""
    vision, (q_width, q_layers, q_heads) = SIZES[size]
    small = RablipRetrieverProcessor.from_pretrained(TOKENIZER)
    torch.manual_seed(0)
    qformer = (q_width, q_layers, q_heads, len(small.qformer_tokenizer))
    config = RablipRetrieverConfig(
        **describe_trunk(vision, qformer, 2),
        num_query_tokens=32 if size != "tiny" else 3,
    )
    model = RablipRetriever(config).to(device).eval()
    image_processor = BlipImageProcessorPil(size={"height": vision[4], "width": vision[4]})
    return model, RablipRetrieverProcessor(
        image_processor, small.qformer_tokenizer, max_knowledge_tokens=MAX_TOKENS, max_images=1
    )


def count_tower_flops(model: RablipRetriever) -> float:
    """Floating-point operations of the matrix products for one picture."""
    config = model.config.vision_config
    tokens = model.config.num_image_tokens
    per_token = 4 * config.hidden_size**2 + 2 * config.hidden_size * config.intermediate_size
    attention = 2 * tokens * config.hidden_size
    return 2.0 * tokens * config.num_hidden_layers * (per_token + attention)


def make_base(name: str, num_items: int, seed: int, folder: Path) -> KnowledgeBase:
    """A corpus: texts of log-normal length, JPEG pictures of 640x480."""
    share, times = CORPORA[name]
    generator = np.random.default_rng(seed)
    # Words that are one token each, so that lengths are those of texts and not of spelling.
    words = ("building", "built", "carries", "bench", "blue", "boat", "day", "diamond", "fence", "flat")
    items = []
    for number in range(num_items):
        length = int(np.clip(generator.lognormal(3.0, 0.8), 3, 200))
        text = " ".join(words[int(place)] for place in generator.integers(len(words), size=length))
        image = None
        if generator.random() < share:
            picture = Image.fromarray(
                np.random.default_rng([seed, number // times]).integers(0, 256, (60, 80, 3), dtype=np.uint8)
            )
            stream = io.BytesIO()
            picture.resize((640, 480), Image.Resampling.BICUBIC).save(stream, "JPEG", quality=90)
            image = ImageRef(data=stream.getvalue())
        items.append(KnowledgeItem(id=f"{name}-{number}", title=f"Page {number // times}", text=text, image=image))
    return KnowledgeBase.write(items, folder)[0]


@torch.inference_mode()
def encode_plain(
    model: Any, processor: Any, items: list[KnowledgeItem] | None, base: KnowledgeBase, args: argparse.Namespace
) -> np.ndarray:
    """Batches in order, each prepared, then encoded: what one writes with transformers alone."""
    rows = list(base) if items is None else items
    parts = []
    for start in range(0, len(rows), args.batch_size):
        batch = rows[start : start + args.batch_size]
        inputs = processor.process_knowledge(batch, [base.open_item_image(item) for item in batch])
        inputs = {name: value.to(model.device) for name, value in inputs.items()}
        parts.append(model.encode_knowledge(**inputs).float().cpu().numpy())
    return np.concatenate(parts)


def encode_rablip(
    model: Any, processor: Any, items: list[KnowledgeItem] | None, base: KnowledgeBase, args: argparse.Namespace
) -> np.ndarray:
    """`KnowledgeEncoder` as `rablip index build` uses it."""
    encoder = KnowledgeEncoder(model, processor, batch_size=args.batch_size)
    given = base if items is None else items
    return np.concatenate([part for _, part in encoder.stream(given, base.open_item_image)])


def encode_sentence_transformers(
    model: Any, processor: Any, items: list[KnowledgeItem] | None, base: KnowledgeBase, args: argparse.Namespace
) -> np.ndarray:
    """`SentenceTransformer.encode` around the same model and processor."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import InputModule

    class Tower(InputModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def preprocess(self, inputs: Any, prompt: str | None = None, **_: Any) -> dict[str, torch.Tensor]:
            batch = [entry["item"] for entry in inputs]
            return dict(processor.process_knowledge(batch, [base.open_item_image(item) for item in batch]))

        def forward(self, features: dict[str, torch.Tensor], **_: Any) -> dict[str, torch.Tensor]:
            return {"sentence_embedding": self.model.encode_knowledge(**features)}

        def save(self, *_: Any, **__: Any) -> None:
            raise NotImplementedError("The benchmark saves nothing.")

    rows = list(base) if items is None else items
    wrapped = SentenceTransformer(modules=[Tower()], device=args.device)
    entries = [{"text": f"{item.title} {item.text}", "item": item} for item in rows]
    found: np.ndarray = wrapped.encode(entries, batch_size=args.batch_size, show_progress_bar=False)
    return found


ARMS = {"plain": encode_plain, "sentence_transformers": encode_sentence_transformers, "rablip": encode_rablip}
