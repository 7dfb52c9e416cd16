"""Training: pools and rows, the stages and their trainers over transformers' own, mining, calibration, adapters."""

from .adapters import TRAINED_PARTS, add_lora, load_adapter, merge_adapter
from .batches import make_generator_batch, make_reranker_batch, make_retriever_batch
from .calibration import fit_temperature, fit_threshold
from .candidates import (
    NEGATIVE_STRATEGIES,
    CandidateSet,
    choose_negatives,
    sample_candidates,
    sample_negatives,
    sample_noisy_candidates,
)
from .distractors import DISTRACTOR_KINDS, NoiseMix, empty_item, find_distractors, sample_distractors
from .feature_building import build_features
from .feature_cache import FeatureCache
from .features import encode_pictures
from .fitting import fit_generator, fit_reranker
from .fusion_metrics import measure_pair_retrieval
from .fusion_pretraining import FusionPretraining
from .fusion_rows import FusionCollator, PairRows, PicturePair, pairs_from_items
from .generator_trainer import GeneratorTrainer
from .label_mining import MinedLabels, apply_labels, generate_texts, mine_labels, same_answer
from .loading import StartingPoint, load_start
from .mining import index_pool, mine_candidates, retrieve_candidates, search_questions, split_by_modality
from .pools import TrainingPool
from .presets import STAGES, choose_learning_rate, make_arguments
from .relevance_metrics import AnswerMetrics, measure_relevance
from .reranker_trainer import FusionTrainer, RerankerTrainer
from .retriever_trainer import RetrieverTrainer
from .rows import QuestionRows, make_generator_row, make_search_row
from .runs import run_training
from .settings import RunSettings
from .sources import make_pool, read_pool, split_pool
from .stage_trainer import StageTrainer
from .stages import StepDataset, run_stage

__all__ = [
    "DISTRACTOR_KINDS",
    "NEGATIVE_STRATEGIES",
    "STAGES",
    "TRAINED_PARTS",
    "AnswerMetrics",
    "CandidateSet",
    "FeatureCache",
    "FusionCollator",
    "FusionPretraining",
    "FusionTrainer",
    "GeneratorTrainer",
    "MinedLabels",
    "NoiseMix",
    "PairRows",
    "PicturePair",
    "QuestionRows",
    "RerankerTrainer",
    "RetrieverTrainer",
    "RunSettings",
    "StageTrainer",
    "StartingPoint",
    "StepDataset",
    "TrainingPool",
    "add_lora",
    "apply_labels",
    "build_features",
    "choose_learning_rate",
    "choose_negatives",
    "empty_item",
    "encode_pictures",
    "find_distractors",
    "fit_generator",
    "fit_reranker",
    "fit_temperature",
    "fit_threshold",
    "generate_texts",
    "index_pool",
    "load_adapter",
    "load_start",
    "make_arguments",
    "make_generator_batch",
    "make_generator_row",
    "make_pool",
    "make_reranker_batch",
    "make_retriever_batch",
    "make_search_row",
    "measure_pair_retrieval",
    "measure_relevance",
    "merge_adapter",
    "mine_candidates",
    "mine_labels",
    "pairs_from_items",
    "read_pool",
    "retrieve_candidates",
    "run_stage",
    "run_training",
    "same_answer",
    "sample_candidates",
    "sample_distractors",
    "sample_negatives",
    "sample_noisy_candidates",
    "search_questions",
    "split_by_modality",
    "split_pool",
]
