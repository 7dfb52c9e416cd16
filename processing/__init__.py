"""Text and pictures to tensors: knowledge items, prompts, processors, collators and readers, imported on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .candidate_example import CandidateExample
    from .collators import GeneratorCollator, RerankerCollator, RetrieverCollator
    from .images_rablip import ImageError, load_image
    from .knowledge_rablip import ImageRef, KnowledgeItem, Modality, QuestionExample
    from .processing_rablip import RablipProcessor, RablipRetrieverProcessor
    from .prompts_rablip import (
        Prompt,
        build_askg_prompt,
        build_askg_target,
        build_instruction,
        build_qa_prompt,
        build_reranker_text,
        format_knowledge_item,
        neutralize_markers,
        parse_askg_answer,
    )
    from .raw_rows import read_row

__all__ = [
    "CandidateExample",
    "GeneratorCollator",
    "ImageError",
    "ImageRef",
    "KnowledgeItem",
    "Modality",
    "Prompt",
    "QuestionExample",
    "RablipProcessor",
    "RablipRetrieverProcessor",
    "RerankerCollator",
    "RetrieverCollator",
    "build_askg_prompt",
    "build_askg_target",
    "build_instruction",
    "build_qa_prompt",
    "build_reranker_text",
    "format_knowledge_item",
    "load_image",
    "neutralize_markers",
    "parse_askg_answer",
    "read_row",
]

_MODULES: dict[str, tuple[str, ...]] = {
    "candidate_example": ("CandidateExample",),
    "collators": ("GeneratorCollator", "RerankerCollator", "RetrieverCollator"),
    "images_rablip": ("ImageError", "load_image"),
    "knowledge_rablip": ("ImageRef", "KnowledgeItem", "Modality", "QuestionExample"),
    "processing_rablip": ("RablipProcessor", "RablipRetrieverProcessor"),
    "prompts_rablip": (
        "Prompt",
        "build_askg_prompt",
        "build_askg_target",
        "build_instruction",
        "build_qa_prompt",
        "build_reranker_text",
        "format_knowledge_item",
        "neutralize_markers",
        "parse_askg_answer",
    ),
    "raw_rows": ("read_row",),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Imports the module that holds `name` on first use, so that texts and readers never cost an import of torch."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
