"""The questions of a world: quotas per kind, filled from draft streams and written as question examples."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any

from ..processing.knowledge_rablip import QuestionExample
from .asking import Asker
from .catalog import Catalog
from .chance import Chance
from .drafts import Draft, choose_negatives, evidence_modality
from .knobs import PICTURE_KINDS, WorldKnobs
from .unanswerable import unanswerable_streams

__all__ = ["GUID_TAIL", "build_questions", "divide_quota"]

GUID_TAIL = "0dba11ecb1e81171463288e9"  # WebQA's question ids differ in their first eight digits only
_BALANCED = ("YesNo", "choose")


def divide_quota(total: int, shares: Mapping[str, float]) -> dict[str, int]:
    """Divide a number of questions by shares; what rounding leaves goes to the largest remainders.

    Example:
        >>> divide_quota(10, {"a": 2, "b": 1})
        {'a': 7, 'b': 3}
    """
    whole = sum(shares.values())
    if whole <= 0:
        return dict.fromkeys(shares, 0)
    exact = {kind: total * share / whole for kind, share in shares.items()}
    quota = {kind: int(value) for kind, value in exact.items()}
    by_remainder = sorted(shares, key=lambda kind: quota[kind] - exact[kind])
    for kind in by_remainder[: total - sum(quota.values())]:
        quota[kind] += 1
    return quota


def build_questions(catalog: Catalog, *, split: str, seed: int, knobs: WorldKnobs) -> list[QuestionExample]:
    """Ask as many questions of every kind as its quota says, or as the world allows."""
    asker = Asker(catalog, "questions", split, seed)
    total = round(knobs.questions_per_entity * len(catalog.entities))
    num_unanswerable = round(total * knobs.unanswerable_share)
    drafts: list[Draft] = []
    for kind, quota in divide_quota(total - num_unanswerable, knobs.kind_shares).items():
        if kind in PICTURE_KINDS:
            drafts += _fill_picture_kind(asker, kind, quota, knobs.visual_only_share)
        elif kind == "text":
            drafts += _take(asker.text_streams(), quota)
        elif kind == "two_hop":
            drafts += _take(asker.two_hop_streams(), quota)
        else:
            drafts += _take(asker.question_picture_streams(), quota)
    drafts += _take(unanswerable_streams(catalog, asker, split), num_unanswerable)
    return _write(Chance("order", split, seed).shuffled(drafts), catalog, split=split, seed=seed, knobs=knobs)


def _fill_picture_kind(asker: Asker, kind: str, quota: int, visual_only_share: float) -> list[Draft]:
    visual_quota = round(quota * visual_only_share)
    if kind in _BALANCED:
        quota, visual_quota = quota // 2 * 2, visual_quota // 2 * 2
    drafts: list[Draft] = []
    for visual_only, wanted in ((True, visual_quota), (False, quota - visual_quota)):
        streams = asker.picture_streams(kind, visual_only=visual_only)
        part = _take(streams, wanted, balanced=kind == "choose")
        if kind in _BALANCED:
            part = part[: len(part) // 2 * 2]
        drafts += part
    return drafts


def _take(streams: Sequence[Iterator[Draft]], quota: int, *, balanced: bool = False) -> list[Draft]:
    """Take from the streams in turn; with `balanced`, stop as soon as one of them is empty."""
    drafts: list[Draft] = []
    waiting = list(streams)
    while waiting and len(drafts) < quota:
        stream = waiting.pop(0)
        draft = next(stream, None)
        if draft is not None:
            drafts.append(draft)
            waiting.append(stream)
        elif balanced:
            break
    return drafts


def _write(
    drafts: Sequence[Draft], catalog: Catalog, *, split: str, seed: int, knobs: WorldKnobs
) -> list[QuestionExample]:
    questions: list[QuestionExample] = []
    used: set[str] = set()
    for number, draft in enumerate(drafts):
        question_id = _question_id(split, seed, number, used)
        metadata: dict[str, Any] = {
            "kind": draft.kind,
            "attribute": draft.attribute,
            "evidence_modality": evidence_modality(draft.attribute),
            "visual_only": draft.visual_only,
            "hops": [list(hop) for hop in draft.hops],
        }
        if draft.reason:
            metadata["reason"] = draft.reason
        questions.append(
            QuestionExample(
                id=question_id,
                question=draft.question,
                images=() if draft.image is None else (draft.image,),
                answers=() if draft.answer is None else (draft.answer,),
                positive_ids=tuple(item_id for hop in draft.hops for item_id in hop),
                negative_ids=choose_negatives(draft, catalog, knobs, Chance("negatives", split, seed, question_id)),
                category=draft.kind,
                metadata=metadata,
            )
        )
    return questions


def _question_id(split: str, seed: int, number: int, used: set[str]) -> str:
    for again in count():
        digest = hashlib.sha256(f"{split}/{seed}/{number}/{again}".encode()).hexdigest()[:8]
        if digest not in used:
            break
    used.add(digest)
    return digest + GUID_TAIL
