"""Random inputs for the tiny models, rows of different length and with different numbers of pictures."""

from __future__ import annotations

from typing import Any

import torch

from tests.tiny import IMAGE_SIZE, IMAGE_TOKEN_ID, LM_VOCAB_SIZE, NUM_QUERY_TOKENS, QFORMER_VOCAB_SIZE

NUM_PICTURES = (2, 1, 0, 3)
TEXT_LENGTHS = (9, 5, 7, 3)


def trunk_rows(*, seed: int = 0) -> list[dict[str, torch.Tensor]]:
    """One dictionary of model inputs per row, each a batch of one without padding."""
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for num_pictures, length in zip(NUM_PICTURES, TEXT_LENGTHS, strict=True):
        row = {"input_ids": torch.randint(5, QFORMER_VOCAB_SIZE, (1, length), generator=generator)}
        row["attention_mask"] = torch.ones_like(row["input_ids"])
        if num_pictures:
            shape = (1, num_pictures, 3, IMAGE_SIZE, IMAGE_SIZE)
            row["pixel_values"] = torch.randn(shape, generator=generator)
            row["image_mask"] = torch.ones((1, num_pictures), dtype=torch.long)
        rows.append(row)
    return rows


def pad(tensors: list[torch.Tensor], value: float, *, left: bool = False) -> torch.Tensor:
    """Join (1, length, ...) tensors into one padded batch."""
    longest = max(tensor.shape[1] for tensor in tensors)
    padded = []
    for tensor in tensors:
        filling = tensor.new_full((1, longest - tensor.shape[1], *tensor.shape[2:]), value)
        padded.append(torch.cat([filling, tensor] if left else [tensor, filling], dim=1))
    return torch.cat(padded)


def join_trunk_rows(rows: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """The rows of `trunk_rows` as one padded batch; padding holds rubbish, so that only masks can hide it."""
    empty = torch.zeros((1, 0, 3, IMAGE_SIZE, IMAGE_SIZE))
    no_mask = torch.zeros((1, 0), dtype=torch.long)
    return {
        "input_ids": pad([row["input_ids"] for row in rows], 77),
        "attention_mask": pad([row["attention_mask"] for row in rows], 0),
        "pixel_values": pad([row.get("pixel_values", empty) for row in rows], 9.0),
        "image_mask": pad([row.get("image_mask", no_mask) for row in rows], 0),
    }


def generator_rows(*, seed: int = 0) -> list[dict[str, torch.Tensor]]:
    """Rows for the generator: a trunk row as instruction and pictures, a prompt with the right image tokens."""
    generator = torch.Generator().manual_seed(seed + 1)
    rows = []
    for number, trunk in enumerate(trunk_rows(seed=seed)):
        length = 6 + 2 * number
        prompt = torch.randint(5, LM_VOCAB_SIZE - 5, (1, length), generator=generator)
        if "pixel_values" in trunk:
            prompt = torch.cat([torch.full((1, NUM_QUERY_TOKENS), IMAGE_TOKEN_ID), prompt], dim=1)
        num_candidates = number % 3 + 1
        row = {f"qformer_{name}": trunk[name] for name in ("input_ids", "attention_mask")}
        row.update({name: trunk[name] for name in ("pixel_values", "image_mask") if name in trunk})
        row["input_ids"] = prompt
        row["attention_mask"] = torch.ones_like(prompt)
        row["reference_positions"] = torch.arange(prompt.shape[1] - num_candidates, prompt.shape[1])[None]
        row["candidate_mask"] = torch.ones((1, num_candidates), dtype=torch.long)
        # Two tokens of question, then the candidates, the first one from there to its marker.
        row["segment_ids"] = torch.zeros_like(prompt)
        row["segment_ids"][:, -length : 2 - length] = 1
        row["segment_ids"][:, 2 - length :] = 2
        row["segment_ids"][:, prompt.shape[1] - num_candidates :] = torch.arange(2, 2 + num_candidates)
        rows.append(row)
    return rows


def join_generator_rows(rows: list[dict[str, torch.Tensor]], *, left: bool = False) -> dict[str, Any]:
    """The rows of `generator_rows` as one batch, prompts padded on the chosen side."""
    trunk = [
        {name.removeprefix("qformer_"): value for name, value in row.items() if name.startswith("qformer_")}
        | {name: row[name] for name in ("pixel_values", "image_mask") if name in row}
        for row in rows
    ]
    batch = join_trunk_rows(trunk)
    longest = max(row["input_ids"].shape[1] for row in rows)
    shifts = [longest - row["input_ids"].shape[1] if left else 0 for row in rows]
    return {
        "qformer_input_ids": batch["input_ids"],
        "qformer_attention_mask": batch["attention_mask"],
        "pixel_values": batch["pixel_values"],
        "image_mask": batch["image_mask"],
        "input_ids": pad([row["input_ids"] for row in rows], 0, left=left),
        "attention_mask": pad([row["attention_mask"] for row in rows], 0, left=left),
        "reference_positions": pad(
            [row["reference_positions"] + shift for row, shift in zip(rows, shifts, strict=True)], -1
        ),
        "candidate_mask": pad([row["candidate_mask"] for row in rows], 0),
        "segment_ids": pad([row["segment_ids"] for row in rows], 0, left=left),
    }
