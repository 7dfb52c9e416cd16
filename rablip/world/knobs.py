"""The knobs of the world: how many of what, with the defaults that the frozen benchmark uses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["KIND_SHARES", "PICTURE_KINDS", "QUESTION_KINDS", "WorldKnobs"]

PICTURE_KINDS: tuple[str, ...] = ("color", "shape", "number", "YesNo", "choose", "Others")
KIND_SHARES: Mapping[str, float] = {
    "color": 19,
    "shape": 17,
    "number": 17,
    "YesNo": 17,
    "choose": 15,
    "Others": 15,
    "text": 23,
    "two_hop": 18,
    "question_picture": 21,
}
QUESTION_KINDS: tuple[str, ...] = (*KIND_SHARES, "unanswerable")


@dataclass(frozen=True, kw_only=True)
class WorldKnobs:
    """Settings of a world. The defaults are the benchmark; changing a default changes the world's version.

    Args:
        questions_per_entity: how many questions are asked per entity, all kinds together.
        kind_shares: relative share of each answerable kind; this is also the text : image mix of the questions.
        unanswerable_share: share of all questions that have no answer in the knowledge base.
        visual_only_share: share of a picture kind's questions that name nothing and describe the picture.
        num_facts: text facts written per entity (0, 1 or 2): the text : image mix of the items.
        missing_fact_rate: probability that an entity lacks one of them.
        boat_share: share of the entities that have a boat item (picture and text).
        look_alike_share: share of the entities that look like another one in all but one attribute.
        dropped_modality: "text", "image" or "image_text": items of this modality and the questions that need them are
            left out.
        same_entity_distractors, look_alike_distractors, name_alike_distractors, other_modality_distractors: how many
            `negative_ids` of each kind a question lists.

    Raises:
        ValueError: when a knob is out of its range or names something that does not exist.

    Example:
        >>> WorldKnobs(unanswerable_share=0.2).visual_only_share
        0.45
    """

    questions_per_entity: float = 3.0
    kind_shares: Mapping[str, float] = field(default_factory=lambda: dict(KIND_SHARES), hash=False)
    unanswerable_share: float = 0.1
    visual_only_share: float = 0.45
    num_facts: int = 2
    missing_fact_rate: float = 0.08
    boat_share: float = 1.0
    look_alike_share: float = 0.0
    dropped_modality: str | None = None
    same_entity_distractors: int = 2
    look_alike_distractors: int = 3
    name_alike_distractors: int = 2
    other_modality_distractors: int = 1

    def __post_init__(self) -> None:
        for name in ("unanswerable_share", "visual_only_share", "missing_fact_rate", "boat_share", "look_alike_share"):
            value = getattr(self, name)
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"WorldKnobs.{name} must be from 0 to 1, got {value!r}.")
        if self.questions_per_entity < 0:
            raise ValueError(f"WorldKnobs.questions_per_entity must not be negative, got {self.questions_per_entity}.")
        if self.num_facts not in (0, 1, 2):
            raise ValueError(f"WorldKnobs.num_facts must be 0, 1 or 2, got {self.num_facts!r}.")
        if self.dropped_modality not in (None, "text", "image", "image_text"):
            raise ValueError(
                f"WorldKnobs.dropped_modality must be None, 'text', 'image' or 'image_text', got "
                f"{self.dropped_modality!r}."
            )
        unknown = sorted(set(self.kind_shares) - set(KIND_SHARES))
        if unknown or any(share < 0 for share in self.kind_shares.values()):
            raise ValueError(
                f"WorldKnobs.kind_shares must map kinds of {list(KIND_SHARES)} to shares of at least 0, got "
                f"{dict(self.kind_shares)}."
            )
        for name in ("same_entity", "look_alike", "name_alike", "other_modality"):
            if getattr(self, f"{name}_distractors") < 0:
                raise ValueError(f"WorldKnobs.{name}_distractors must not be negative.")
