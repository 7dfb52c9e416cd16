"""From knowledge items to embeddings: length-sorted batches, pictures decoded ahead, shards that can be resumed."""

from .encoder import KnowledgeEncoder, encode_knowledge
from .precision import choose_bf16
from .shards import EncodingShards

__all__ = ["EncodingShards", "KnowledgeEncoder", "choose_bf16", "encode_knowledge"]
