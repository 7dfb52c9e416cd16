"""Sizes and data of the cost benchmark: the same random pictures and texts, as the release and as rablip take them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from release_loop import ReleaseBatch, ReleaseTexts
from transformers import AutoConfig, BlipImageProcessorPil

from rablip import ImageRef, RablipConfig

PICTURES_PER_EXAMPLE = 2
CANDIDATES_PER_EXAMPLE = 2


@dataclass(frozen=True)
class Dims:
    """How large the model and its inputs are.

    Args:
        vision: `(width, feed-forward width, layers, heads, picture size, patch size)` of the tower.
        qformer: `(width, layers, heads, vocabulary)`; the feed-forward part is four times as wide.
        num_fusion_layers: of rablip's fusion, as wide as the Q-Former.
        language: `(width, feed-forward width, layers, heads, width of a head, vocabulary)` of the T5.
        num_queries: query tokens.
        tokens: lengths of instruction, question's prompt, ASKG prompt, answer and ASKG target.
    """

    vision: tuple[int, int, int, int, int, int]
    qformer: tuple[int, int, int, int]
    num_fusion_layers: int
    language: tuple[int, int, int, int, int, int]
    num_queries: int
    tokens: tuple[int, int, int, int, int]


# A question of WebQA with two captions and its answer, and the same question with one reference of either modality.
_TOKENS = (64, 64, 128, 24, 12)
DIMS = {
    "tiny": Dims((24, 32, 2, 2, 16, 8), (32, 2, 4, 120), 1, (32, 48, 2, 4, 8, 140), 3, (6, 7, 9, 4, 3)),
    # Every width of "full" by four, every depth by eight: the parts about keep their shares of the work.
    "small": Dims((352, 1536, 5, 4, 224, 14), (192, 2, 3, 7631), 1, (512, 1280, 3, 8, 64, 8032), 32, _TOKENS),
    "full": Dims((1408, 6144, 39, 16, 224, 14), (768, 12, 12, 30523), 3, (2048, 5120, 24, 32, 64, 32128), 32, _TOKENS),
}


def describe_trunk(
    vision: tuple[int, int, int, int, int, int], qformer: tuple[int, int, int, int], num_fusion_layers: int
) -> dict[str, dict[str, int]]:
    """The parts that every configuration shares: ViT of EVA's form, BERT-like Q-Former, fusion as wide as that.

    Args:
        vision, qformer, num_fusion_layers: as of `Dims`.
    """
    width, inner, layers, heads, image_size, patch_size = vision
    q_width, q_layers, q_heads, q_vocabulary = qformer
    q_shape = {"num_attention_heads": q_heads, "intermediate_size": 4 * q_width}
    return {
        "vision_config": {
            "hidden_size": width,
            "intermediate_size": inner,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "image_size": image_size,
            "patch_size": patch_size,
        },
        "qformer_config": {
            "hidden_size": q_width,
            "num_hidden_layers": q_layers,
            "vocab_size": q_vocabulary,
            **q_shape,
        },
        "adaptive_fusion_config": {"num_hidden_layers": num_fusion_layers, **q_shape},
    }


def make_config(dims: Dims) -> RablipConfig:
    """The generator's configuration: the trunk, and Flan-T5 with the release's exact GELU."""
    t_width, t_inner, t_layers, t_heads, t_head_width, vocabulary = dims.language
    text = AutoConfig.for_model(
        "t5",
        vocab_size=vocabulary,
        d_model=t_width,
        d_ff=t_inner,
        num_layers=t_layers,
        num_heads=t_heads,
        d_kv=t_head_width,
        feed_forward_proj="gated-gelu",
        decoder_start_token_id=0,
        pad_token_id=0,
        eos_token_id=1,
    )
    text.dense_act_fn = "gelu"
    return RablipConfig(
        **describe_trunk(dims.vision, dims.qformer, dims.num_fusion_layers),
        text_config=text,
        num_query_tokens=dims.num_queries,
        image_token_index=vocabulary - 1,
        max_images=PICTURES_PER_EXAMPLE,
    )


def make_image_processor(dims: Dims) -> Any:
    """The image processor of the model's picture size."""
    return BlipImageProcessorPil(size={"height": dims.vision[4], "width": dims.vision[4]})


class CostData:
    """Batches of examples with two pictures and two candidates each, a function of the seed.

    Both slots of every example are filled: the case in which leaving out empty slots gains nothing.

    Args:
        dims: sizes.
        seed: of pictures and tokens.
        folder: where the pictures are written; None writes none, for runs that only count.
        num_batches: how many batches there are; steps go round them.
        batch_size: examples per batch.
        device: where the tokens are.

    Attributes:
        pictures: files of the pictures by id.
        picture_ids: ids of each batch's pictures, two per example.
        tokens_per_step: what the language model reads and writes in both passes.
    """

    def __init__(
        self, dims: Dims, *, seed: int, folder: Path | None, num_batches: int, batch_size: int, device: str = "cpu"
    ) -> None:
        generator = np.random.default_rng(seed)
        self.dims, self.batch_size, self.device = dims, batch_size, device
        self.pictures: dict[str, ImageRef] = {}
        self.picture_ids: list[list[str]] = []
        self._batches: list[dict[str, torch.Tensor]] = []
        processor = make_image_processor(dims)
        instruction, qa, askg, answer, target = dims.tokens
        self.tokens_per_step = batch_size * (2 * dims.num_queries + qa + askg + answer + target)
        for number in range(num_batches):
            opened = []
            for place in range(PICTURES_PER_EXAMPLE * batch_size):
                # Coarse blocks of colour: noise would make the files, not the tower, the work of the cache.
                blocks = generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)
                image = Image.fromarray(blocks).resize(
                    (2 * dims.vision[4], 2 * dims.vision[4]), Image.Resampling.NEAREST
                )
                path = (folder or Path()) / f"picture-{number}-{place}.png"
                self.pictures[path.stem] = ImageRef(path=str(path))
                if folder is not None:
                    image.save(path)
                opened.append(image)
            self.picture_ids.append(list(self.pictures)[-len(opened) :])
            pixels = processor(opened, return_tensors="pt")["pixel_values"]
            batch = {"pixels": pixels.unflatten(0, (batch_size, PICTURES_PER_EXAMPLE))}
            lengths = {"instruction": instruction, "askg_instruction": instruction, "qa": qa, "askg": askg}
            for name, length in (lengths | {"answer": answer, "target": target}).items():
                vocabulary = dims.qformer[3] if "instruction" in name else dims.language[5]
                ids = generator.integers(5, vocabulary - 8, (batch_size, length))
                batch[name] = torch.from_numpy(ids).to(device)
            self._batches.append(batch)

    def __len__(self) -> int:
        return len(self._batches)

    def make_release_batch(self, number: int) -> ReleaseBatch:
        """Step `number` as the release takes it; one slot of the ASKG pass is masked, as it always is there."""
        batch = self._batches[number % len(self)]

        def texts(instruction: str, prompt: str, labels: str) -> ReleaseTexts:
            return ReleaseTexts(
                instruction=batch[instruction],
                instruction_mask=torch.ones_like(batch[instruction]),
                prompt=batch[prompt],
                prompt_mask=torch.ones_like(batch[prompt]),
                labels=batch[labels],
                labels_mask=torch.ones_like(batch[labels]),
            )

        return ReleaseBatch(
            images=batch["pixels"].to(self.device),
            num_images=[PICTURES_PER_EXAMPLE] * self.batch_size,
            askg_images=batch["pixels"].to(self.device),
            askg_shown=[row % 2 for row in range(self.batch_size)],
            qa=texts("instruction", "qa", "answer"),
            askg=texts("askg_instruction", "askg", "target"),
        )

    def make_inputs(self, number: int, *, image_embeds: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        """Step `number` as `RablipForConditionalGeneration.forward` takes it.

        Args:
            number: of the step.
            image_embeds: `(2 * batch_size, num_image_tokens, vision_hidden_size)` features of its pictures, given to
                the model instead of the pictures.
        """
        batch = self._batches[number % len(self)]
        size, num_queries = self.batch_size, self.dims.num_queries
        slots = torch.full((size, num_queries), self.dims.language[5] - 1, device=self.device)
        inputs = {"image_mask": torch.ones((size, PICTURES_PER_EXAMPLE), dtype=torch.long, device=self.device)}
        if image_embeds is None:
            inputs["pixel_values"] = batch["pixels"].to(self.device)
        else:
            inputs["image_embeds"] = image_embeds.to(self.device).unflatten(0, (size, PICTURES_PER_EXAMPLE))
        inputs["qformer_input_ids"] = batch["instruction"]
        for prefix, prompt in (("", "qa"), ("askg_", "askg")):
            length = num_queries + batch[prompt].shape[1]
            # A third of the text is the question, the rest is shared by the candidates.
            parts = torch.linspace(1, 2 + CANDIDATES_PER_EXAMPLE - 1e-3, length - num_queries).long()
            parts = torch.cat([torch.zeros(num_queries, dtype=torch.long), parts])
            markers = [int((parts == 2 + place).nonzero().max()) for place in range(CANDIDATES_PER_EXAMPLE)]
            inputs[f"{prefix}input_ids"] = torch.cat([slots, batch[prompt]], dim=1)
            inputs[f"{prefix}segment_ids"] = parts.expand(size, -1).to(self.device)
            inputs[f"{prefix}reference_positions"] = torch.tensor([markers] * size, device=self.device)
        relevance = [[float(place == row % 2) for place in range(CANDIDATES_PER_EXAMPLE)] for row in range(size)]
        inputs["relevance_labels"] = torch.tensor(relevance, device=self.device)
        return inputs | {"labels": batch["answer"], "askg_labels": batch["target"]}


__all__ = [
    "CANDIDATES_PER_EXAMPLE",
    "DIMS",
    "PICTURES_PER_EXAMPLE",
    "CostData",
    "Dims",
    "describe_trunk",
    "make_config",
    "make_image_processor",
]
