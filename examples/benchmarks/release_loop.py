"""How the public RA-BLIP release takes a training step, with rablip's modules in the place of its own.

Re-created, not copied, and checked against recorded losses and gradients of the release itself
(`tests/docs/test_benchmark_training_cost.py`). What a step of it costs, and why:

- Two picture slots, each of which goes through the vision tower for the question's pass and again for the ASKG pass:
  four calls a step, also where a slot is empty or was seen a moment ago. The tower is frozen, the layer norm behind it
  is not.
- Two whole passes through Q-Former and language model, whose instructions differ.
- The language model is frozen and cast to bf16, everything else is fp32. On a GPU the training loop runs all of it
  under fp16 autocast, in which the language model has bf16 autocast of its own; on a CPU the release has no autocast.
- Attention as the release's modules compute it: weights are made and kept (`eager`).
- Masks are made row by row in Python; plain AdamW and, on a GPU, a gradient scaler; the loss is read in every step.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

ASKG_LOSS_WEIGHT = 0.1


@dataclass(frozen=True, kw_only=True)
class ReleaseTexts:
    """The tokens of one pass.

    Args:
        instruction, instruction_mask: `(batch_size, instruction_len)` tokens for the Q-Former and their mask.
        prompt, prompt_mask: `(batch_size, prompt_len)` tokens for the language model, without image tokens.
        labels: `(batch_size, target_len)` what is to be learned, -100 at padding.
        labels_mask: `(batch_size, target_len)` 1 = a token of the target.
    """

    instruction: torch.Tensor
    instruction_mask: torch.Tensor
    prompt: torch.Tensor
    prompt_mask: torch.Tensor
    labels: torch.Tensor
    labels_mask: torch.Tensor


@dataclass(frozen=True, kw_only=True)
class ReleaseBatch:
    """What one step of the release is given.

    Args:
        images: `(batch_size, 2, 3, height, width)` pictures of the question's pass; empty slots hold zeros.
        num_images: how many of a row's slots are filled.
        askg_images: `(batch_size, 2, 3, height, width)` pictures of the ASKG pass, one of which does not count.
        askg_shown: which slot of the ASKG pass counts, 0 or 1, per row.
        qa, askg: the texts of both passes.
    """

    images: torch.Tensor
    num_images: Sequence[int]
    askg_images: torch.Tensor
    askg_shown: Sequence[int]
    qa: ReleaseTexts
    askg: ReleaseTexts


class ReleaseLoop(nn.Module):
    """Loss of one step, from the modules of a `RablipForConditionalGeneration`, which it takes over and changes.

    Args:
        generator: a generator with two picture slots and an encoder-decoder language model. Its fusion and relevance
            heads, which the release does not have, are left out.
        language_dtype: bf16 in the release; another for a control. On a CPU, where there is no autocast, a language
            model in bf16 takes prompts without padding only: transformers' T5 of today makes the mask in fp32.
    """

    def __init__(self, generator: Any, *, language_dtype: torch.dtype = torch.bfloat16) -> None:
        super().__init__()
        if generator.config.max_images != 2 or not generator.config.is_encoder_decoder:
            raise ValueError(
                f"The release has two picture slots and an encoder-decoder language model; got max_images="
                f"{generator.config.max_images} and a {generator.config.text_config.model_type}."
            )
        for part in (generator.vision_model, generator.qformer, generator.language_model):
            part.set_attn_implementation("eager")
        self.vision_model = generator.vision_model
        self.image_slots = generator.image_slots
        self.query_tokens = generator.query_tokens
        self.qformer = generator.qformer
        self.language_projection = generator.language_projection
        self.language_model = generator.language_model
        self.vision_model.requires_grad_(False)
        self.vision_model.post_layernorm.requires_grad_(True)
        self.language_model.requires_grad_(False).to(language_dtype)

    def train(self, mode: bool = True) -> ReleaseLoop:
        """Dropout everywhere but in the frozen tower."""
        super().train(mode)
        self.vision_model.eval()
        return self

    def forward(self, batch: ReleaseBatch) -> tuple[torch.Tensor, torch.Tensor]:
        """The losses of the question's pass and of the ASKG pass; both graphs live until `backward`."""
        with self._autocast(torch.float16):
            qa_mask = self._mask_missing(batch.images, batch.num_images)
            qa_loss = self._run_pass(batch.images, qa_mask, batch.qa)
            askg_mask = self._mask_other(batch.askg_images, batch.askg_shown)
            askg_loss = self._run_pass(batch.askg_images, askg_mask, batch.askg)
        return qa_loss, askg_loss

    def _autocast(self, dtype: torch.dtype) -> Any:
        device = self.query_tokens.weight.device.type
        return torch.autocast("cuda", dtype=dtype) if device == "cuda" else contextlib.nullcontext()

    def _run_pass(self, images: torch.Tensor, image_mask: torch.Tensor, texts: ReleaseTexts) -> torch.Tensor:
        first = self.vision_model(pixel_values=images[:, 0]).last_hidden_state
        second = self.vision_model(pixel_values=images[:, 1]).last_hidden_state
        slots = self.image_slots.slot_embeddings.weight
        image_states = torch.cat([first + slots[0], second + slots[1]], dim=1)
        image_states = image_states + self.image_slots.position_embeddings.weight

        queries = self.query_tokens(len(images))
        query_mask = torch.ones(queries.shape[:2], dtype=torch.long, device=images.device)
        read = self.qformer(
            input_ids=texts.instruction,
            attention_mask=torch.cat([query_mask, texts.instruction_mask], dim=1),
            query_embeds=queries,
            encoder_hidden_states=image_states,
            encoder_attention_mask=image_mask,
        ).last_hidden_state
        prefix = self.language_projection(read[:, : queries.shape[1]])
        with self._autocast(torch.bfloat16):
            words = self.language_model.get_input_embeddings()(texts.prompt)
            return self.language_model(
                inputs_embeds=torch.cat([prefix, words], dim=1),
                attention_mask=torch.cat([query_mask, texts.prompt_mask], dim=1),
                decoder_attention_mask=texts.labels_mask,
                labels=texts.labels,
                use_cache=False,
            ).loss

    def _token_mask(self, images: torch.Tensor) -> torch.Tensor:
        """(batch_size, 2, num_image_tokens) ones."""
        num_tokens = self.image_slots.position_embeddings.num_embeddings // 2
        return torch.ones((len(images), 2, num_tokens), dtype=torch.long, device=images.device)

    def _mask_missing(self, images: torch.Tensor, num_images: Sequence[int]) -> torch.Tensor:
        mask = self._token_mask(images)
        for row, count in enumerate(num_images):
            for slot in range(count, 2):
                mask[row, slot] = 0
        return mask.flatten(1)

    def _mask_other(self, images: torch.Tensor, shown: Sequence[int]) -> torch.Tensor:
        mask = self._token_mask(images)
        for row, slot in enumerate(shown):
            mask[row, 1 - slot] = 0
        return mask.flatten(1)


class ReleaseStep:
    """The release's optimisation: AdamW over all that is not frozen, its gradient scaler, its read of the loss."""

    def __init__(self, model: ReleaseLoop, *, learning_rate: float = 1e-6) -> None:
        self.model = model.train()
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.AdamW(trained, lr=learning_rate, weight_decay=0.01)
        self.scaler = torch.amp.GradScaler("cuda", enabled=trained[0].device.type == "cuda")

    def losses(self, batch: ReleaseBatch) -> tuple[torch.Tensor, torch.Tensor]:
        """The loss of the question's pass and the whole loss."""
        qa_loss, askg_loss = self.model(batch)
        return qa_loss, qa_loss + ASKG_LOSS_WEIGHT * askg_loss

    def __call__(self, batch: ReleaseBatch) -> float:
        """One step; gives the loss."""
        self.optimizer.zero_grad()
        _, loss = self.losses(batch)
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss.item()


__all__ = ["ASKG_LOSS_WEIGHT", "ReleaseBatch", "ReleaseLoop", "ReleaseStep", "ReleaseTexts"]
