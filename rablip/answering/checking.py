"""Checks of what a caller gives the answerer: questions, pictures, evidence, and parts that fit together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from PIL import Image

from ..processing.knowledge_rablip import KnowledgeItem
from .pictures import QuestionImages, open_question_images
from .types import Candidate, Selection

if TYPE_CHECKING:
    from ..index.protocol import SearchableIndex
    from ..modeling_rablip import RablipRetriever

__all__ = ["check_dimension", "check_evidence", "check_processor", "check_questions"]


def check_questions(
    questions: Sequence[str], images: QuestionImages | None, *, max_images: int | None = None
) -> list[list[Image.Image]]:
    """Refuses blank questions and opens the pictures of the questions.

    Args:
        questions: the questions.
        images: one entry per question: a picture, several, or None.
        max_images: most pictures of one question; None for no limit.

    Returns:
        The opened pictures of each question; an empty list for a question without any.

    Raises:
        TypeError: when the questions are one str, or a question or picture has another type than documented.
        ValueError: when a question is blank or has too many pictures, or there are not as many picture entries as
            questions.
        ImageError: when a picture cannot be opened.

    Example:
        >>> check_questions(["Who built it?"], None)
        [[]]
    """
    if isinstance(questions, str):
        raise TypeError("questions must be a sequence of questions, got one str. Put it in a list.")
    for position, question in enumerate(questions):
        if not isinstance(question, str):
            raise TypeError(f"Question {position} must be a str, got {type(question).__name__}.")
        if not question.strip():
            raise ValueError(f"Question {position} is empty: {question!r}. Give the words of the question.")
    opened = open_question_images(images, len(questions))
    for position, pictures in enumerate(opened):
        if max_images is not None and len(pictures) > max_images:
            raise ValueError(
                f"Question {position} has {len(pictures)} pictures, but only {max_images} find a place beside the "
                "evidence. Leave pictures out, or use a model with more image slots (max_images)."
            )
    return opened


def check_evidence(
    evidence: Sequence[Sequence[Candidate | KnowledgeItem]], num_questions: int
) -> list[Sequence[Candidate]]:
    """Knowledge items and candidates of each question as candidates.

    Raises:
        ValueError: when the lists differ in length, or an id stands twice among the items of one question.

    Example:
        >>> check_evidence([[KnowledgeItem(id="7", text="It opened in 1889.")]], 1)[0][0].id
        '7'
    """
    if len(evidence) != num_questions:
        raise ValueError(
            f"There are {num_questions} questions but {len(evidence)} lists of items. Give one per question."
        )
    rows: list[Sequence[Candidate]] = []
    for given in evidence:
        row = tuple(one if isinstance(one, Candidate) else Candidate(one) for one in given)
        ids = [candidate.id for candidate in row]
        twice = sorted({item_id for item_id in ids if ids.count(item_id) > 1})
        if twice:
            raise ValueError(f"The ids {twice[:5]} stand more than once in the items of one question. Give each once.")
        rows.append(Selection(row, tuple(getattr(given, "dropped_pictures", ()))))
    return rows


def check_dimension(retriever: RablipRetriever, index: SearchableIndex) -> None:
    """Refuses an index that holds vectors of another dimension than the retriever makes.

    Raises:
        ValueError: with both dimensions.
    """
    expected, found = retriever.config.embedding_dim, index.manifest.embedding_dim
    if expected != found:
        raise ValueError(
            f"The retriever encodes into {expected} dimensions, but the index holds vectors of {found}. Build the "
            "index again with this retriever, or load the retriever that built it."
        )


def check_processor(name: str, model: Any, processor: Any) -> None:
    """Refuses a processor whose prompts, pictures or tokens are not what its model was made for.

    Args:
        name: "retriever", "reranker" or "generator".
        model: the model.
        processor: its processor.

    Raises:
        ValueError: names every value that differs, in the model and in the processor.
    """
    config = model.config
    size = getattr(processor.image_processor, "size", None)
    pairs = [("image_size", config.vision_config.image_size, size["height"] if size is not None else None)]
    if processor.max_images > config.max_images:
        pairs.append(("max_images", config.max_images, processor.max_images))
    if len(processor.qformer_tokenizer) > config.qformer_config.vocab_size:
        pairs.append(
            ("size of the Q-Former's vocabulary", config.qformer_config.vocab_size, len(processor.qformer_tokenizer))
        )
    longest = (
        processor.max_instruction_tokens
        if name == "generator"
        else processor.max_question_tokens + (processor.max_knowledge_tokens if name == "reranker" else 0)
    )
    if longest > config.qformer_config.max_position_embeddings:
        pairs.append(("most tokens of the Q-Former", config.qformer_config.max_position_embeddings, longest))
    if name == "generator":
        pairs.append(("num_query_tokens", config.num_query_tokens, processor.num_query_tokens))
        pairs.append(("id of the image token", config.image_token_index, processor.image_token_id))
        always = (config.queries_without_pictures, processor.queries_without_pictures)
        pairs.append(("image tokens in rows without pictures", *always))
        pairs.append(("decoder-only", not config.is_encoder_decoder, processor.causal_lm))
        if not config.is_encoder_decoder:
            # With padding behind the prompt a decoder-only model would continue the padding.
            pairs.append(("padding side", "left", processor.tokenizer.padding_side))
    wrong = [f"{what}: the model has {one}, the processor {other}" for what, one, other in pairs if one != other]
    if wrong:
        raise ValueError(f"The processor does not fit the {name}. {'; '.join(wrong)}. Save both together again.")
