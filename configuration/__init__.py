"""What a rablip model is: strict, typed configurations (imports transformers only)."""

from .configuration_rablip import (
    RablipConfig,
    RablipFusionConfig,
    RablipRerankerConfig,
    RablipRetrievalConfig,
    RablipRetrieverConfig,
)

__all__ = [
    "RablipConfig",
    "RablipFusionConfig",
    "RablipRerankerConfig",
    "RablipRetrievalConfig",
    "RablipRetrieverConfig",
]
