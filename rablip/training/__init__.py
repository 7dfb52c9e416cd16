"""Training: pools and rows, the stages and their trainers over transformers' own, mining, calibration, adapters."""

from .data.batches import make_generator_batch, make_reranker_batch, make_retriever_batch
from .data.candidates import (
    NEGATIVE_STRATEGIES,
    CandidateSet,
    check_room,
    choose_negatives,
    sample_candidates,
    sample_negatives,
    sample_noisy_candidates,
)
from .data.distractors import DISTRACTOR_KINDS, NoiseMix, empty_item, find_distractors, sample_distractors
from .data.label_mining import MinedLabels, apply_labels, generate_texts, mine_labels, same_answer
from .data.mining import (
    index_pool,
    mine_candidates,
    retrieve_candidates,
    retrieve_followups,
    search_questions,
    split_by_modality,
)
from .data.pools import TrainingPool
from .data.rows import QuestionRows, make_generator_row, make_search_row
from .data.sources import make_pool, read_pool, split_pool
from .features.building import build_features
from .features.cache import FeatureCache
from .features.in_memory import encode_pictures
from .fusion.metrics import measure_pair_retrieval
from .fusion.pretraining import FusionPretraining
from .fusion.rows import FusionCollator, PairRows, PicturePair, pairs_from_items
from .runs.adapters import TRAINED_PARTS, add_lora, load_adapter, merge_adapter
from .runs.calibration import fit_temperature, fit_threshold
from .runs.fitting import fit_generator, fit_reranker
from .runs.loading import StartingPoint, load_start
from .runs.presets import STAGES, choose_learning_rate, make_arguments
from .runs.run import run_training
from .runs.saving import gather_trained, save_trained
from .runs.searching import Searcher, find_candidates, open_searcher
from .runs.settings import RunSettings
from .tiny.stages import StepDataset, run_stage
from .trainers.generator_trainer import GeneratorTrainer
from .trainers.pair_trainers import FusionTrainer, RerankerTrainer
from .trainers.precision import widen_trained
from .trainers.relevance_metrics import AnswerMetrics, measure_relevance
from .trainers.retriever_trainer import RetrieverTrainer
from .trainers.stage_trainer import StageTrainer

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
    "Searcher",
    "StageTrainer",
    "StartingPoint",
    "StepDataset",
    "TrainingPool",
    "add_lora",
    "apply_labels",
    "build_features",
    "check_room",
    "choose_learning_rate",
    "choose_negatives",
    "empty_item",
    "encode_pictures",
    "find_candidates",
    "find_distractors",
    "fit_generator",
    "fit_reranker",
    "fit_temperature",
    "fit_threshold",
    "gather_trained",
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
    "open_searcher",
    "pairs_from_items",
    "read_pool",
    "retrieve_candidates",
    "retrieve_followups",
    "run_stage",
    "run_training",
    "same_answer",
    "sample_candidates",
    "sample_distractors",
    "sample_negatives",
    "sample_noisy_candidates",
    "save_trained",
    "search_questions",
    "split_by_modality",
    "split_pool",
    "widen_trained",
]
