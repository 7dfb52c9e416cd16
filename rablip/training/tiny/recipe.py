"""Sizes and schedules of the tiny checkpoint: everything about it that is a number."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

VISION: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "image_size": 48,
    "patch_size": 8,
    "initializer_range": 0.05,
}
QFORMER: dict[str, Any] = {
    "hidden_size": 96,
    "intermediate_size": 192,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "cross_attention_frequency": 1,
    "max_position_embeddings": 192,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "initializer_range": 0.05,
}
FUSION: dict[str, Any] = {
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "intermediate_size": 192,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "initializer_range": 0.05,
}
LANGUAGE_MODEL: dict[str, Any] = {
    "model_type": "t5",
    "d_model": 96,
    "d_kv": 24,
    "d_ff": 192,
    "num_layers": 3,
    "num_decoder_layers": 2,
    "num_heads": 4,
    "dropout_rate": 0.0,
    "feed_forward_proj": "relu",
    "decoder_start_token_id": 0,
    "pad_token_id": 0,
    "eos_token_id": 1,
}
RETRIEVAL: dict[str, Any] = {"embedding_dim": 128, "initial_temperature": 0.1}
NUM_QUERY_TOKENS = 8
MAX_IMAGES = 4
MATCHING_DIM = 128
MAX_CANDIDATES = 4


@dataclass(frozen=True)
class StageSchedule:
    """How long and how fast one stage learns.

    Args:
        num_steps: optimizer steps at scale 1.
        learning_rate: peak learning rate.
        num_rows: questions of a world, pictures or other rows per step; some stages add rows of a second kind.
    """

    num_steps: int
    learning_rate: float
    num_rows: int


@dataclass(frozen=True)
class TinyRecipe:
    """The whole recipe of the tiny checkpoint.

    Args:
        seed: seeds worlds, weights and batches.
        scale: multiplies steps and data; 1.0 is the committed checkpoint, tests use much less.
        num_train_worlds: knowledge bases of train-split entities.
        num_vocabulary_worlds: those of them that the tokenizers are built from; ten hold every word many times.
        entities_per_world: entities of each.
        validation_entities: entities of the validation world, on which thresholds are fitted.
        num_pretraining_pictures: described pictures, of which all that stage 0 learns about pictures is made.
        num_reading_rows: questions about facts, for the language model.
        num_viewing_rows: questions about described pictures, for the language model behind the Q-Former.
        num_look_rows: descriptions of one of several look-alikes, for every stage after the language model's.
        num_replaced_rows: questions with wrong words, for the Q-Former.
        stages: schedule per stage.
    """

    seed: int = 0
    scale: float = 1.0
    num_train_worlds: int = 20
    num_vocabulary_worlds: int = 10
    entities_per_world: int = 600
    validation_entities: int = 300
    num_pretraining_pictures: int = 16000
    num_reading_rows: int = 40000
    num_viewing_rows: int = 40000
    num_look_rows: int = 40000
    num_replaced_rows: int = 40000
    stages: dict[str, StageSchedule] = field(
        default_factory=lambda: {
            "vision": StageSchedule(num_steps=4000, learning_rate=2e-3, num_rows=64),
            "words": StageSchedule(num_steps=6000, learning_rate=1.5e-3, num_rows=48),
            "language": StageSchedule(num_steps=4500, learning_rate=6e-4, num_rows=48),
            "base": StageSchedule(num_steps=3000, learning_rate=6e-4, num_rows=64),
            "retriever": StageSchedule(num_steps=3500, learning_rate=9e-4, num_rows=48),
            "reranker": StageSchedule(num_steps=2500, learning_rate=6e-4, num_rows=48),
            "generator": StageSchedule(num_steps=3500, learning_rate=8e-4, num_rows=32),
        }
    )

    def scaled(self, count: int, *, minimum: int = 1) -> int:
        """A count of steps, pictures or entities at this recipe's scale."""
        return max(minimum, round(count * self.scale))


__all__ = [
    "FUSION",
    "LANGUAGE_MODEL",
    "MATCHING_DIM",
    "MAX_CANDIDATES",
    "MAX_IMAGES",
    "NUM_QUERY_TOKENS",
    "QFORMER",
    "RETRIEVAL",
    "VISION",
    "StageSchedule",
    "TinyRecipe",
]
