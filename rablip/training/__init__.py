"""Training: pools and batches, stages over transformers' Trainer, mining, calibration, and the tiny checkpoint."""

from .adapters import TRAINED_PARTS, add_lora, load_adapter, merge_adapter
from .batches import make_generator_batch, make_reranker_batch, make_retriever_batch
from .calibration import fit_temperature, fit_threshold
from .candidates import CandidateSet, sample_candidates, sample_negatives
from .features import encode_pictures
from .fitting import fit_generator, fit_reranker
from .mining import mine_candidates, retrieve_candidates
from .pools import TrainingPool
from .stages import StageTrainer, StepDataset, run_stage

__all__ = [
    "TRAINED_PARTS",
    "CandidateSet",
    "StageTrainer",
    "StepDataset",
    "TrainingPool",
    "add_lora",
    "encode_pictures",
    "fit_generator",
    "fit_reranker",
    "fit_temperature",
    "fit_threshold",
    "load_adapter",
    "make_generator_batch",
    "make_reranker_batch",
    "make_retriever_batch",
    "merge_adapter",
    "mine_candidates",
    "retrieve_candidates",
    "run_stage",
    "sample_candidates",
    "sample_negatives",
]
