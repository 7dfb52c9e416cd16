"""Tensors to tensors: visual extraction, fusion, retriever, re-ranker, generator, losses."""

from .losses_rablip import contrastive_loss, language_modeling_loss, relevance_loss
from .modeling_rablip_base import RablipPreTrainedModel, RablipTrunkOutput
from .modeling_rablip_generator import RablipForConditionalGeneration, RablipOutput
from .modeling_rablip_reranker import RablipReranker, RablipRerankerOutput
from .modeling_rablip_retriever import RablipRetriever, RablipRetrieverOutput

__all__ = [
    "RablipForConditionalGeneration",
    "RablipOutput",
    "RablipPreTrainedModel",
    "RablipReranker",
    "RablipRerankerOutput",
    "RablipRetriever",
    "RablipRetrieverOutput",
    "RablipTrunkOutput",
    "contrastive_loss",
    "language_modeling_loss",
    "relevance_loss",
]
