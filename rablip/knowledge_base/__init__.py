"""The knowledge base: knowledge items on disk, with their pictures, opened lazily and verified."""

from ..processing.readers_records import Problem
from .base import KnowledgeBase
from .errors import KnowledgeBaseError
from .loading import load_items

__all__ = ["KnowledgeBase", "KnowledgeBaseError", "Problem", "load_items"]
