"""The same models over other knowledge: what every control and stress test asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..answering import AnswerSettings, RablipAnswerer
    from ..index.protocol import SearchableIndex
    from ..knowledge_base import KnowledgeBase

__all__ = ["answer_over"]


def answer_over(
    answerer: RablipAnswerer,
    index: SearchableIndex | None,
    knowledge_base: KnowledgeBase | None,
    *,
    settings: AnswerSettings | None = None,
) -> RablipAnswerer:
    """An answerer with the models of another one, over another index.

    Args:
        answerer: whose models are used; they are not copied.
        index: the index.
        knowledge_base: the items that its ids name.
        settings: how it answers; None for those of `answerer`.
    """
    return type(answerer)(
        retriever=answerer.retriever,
        retriever_processor=answerer.retriever_processor,
        index=index,
        knowledge_base=knowledge_base,
        reranker=answerer.reranker,
        reranker_processor=answerer.reranker_processor,
        generator=answerer.generator,
        generator_processor=answerer.generator_processor,
        settings=answerer.settings if settings is None else settings,
    )
