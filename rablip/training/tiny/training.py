"""The stages behind `make tiny`: from nothing to the three models that ship with the repository.

Stage 0 pre-trains the vision tower (by listing what pictures show), the Q-Former (by that, by filling in words and by
telling which words a picture makes wrong) and the language model (by reading facts), then joins them (by answering
from pictures and facts); tower and language model are frozen from then on, as at full size. The retriever, the
re-ranker (on what the retriever finds) and the generator (LoRA on its language model) are trained on top. Each
finished stage is kept in the work folder, so that an interrupted run goes on.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import set_seed
from transformers.utils import logging

from ...configuration.configuration_rablip import RablipConfig, RablipRerankerConfig, RablipRetrieverConfig
from ...modeling_rablip import RablipForConditionalGeneration, RablipReranker, RablipRetriever
from ...world import (
    ReadingRow,
    ReplacedRow,
    World,
    make_look_rows,
    make_pretraining_split,
    make_reading_rows,
    make_replaced_rows,
    make_viewing_rows,
    make_world,
)
from ..data.batches import draw_rows, make_generator_batch, make_reranker_batch, make_retriever_batch
from ..data.mining import mine_candidates
from ..data.pools import TrainingPool
from ..features.in_memory import encode_pictures
from ..runs.adapters import add_lora
from .data import (
    build_pool,
    build_processors,
    collect_corpus,
    judge_row,
    make_base_batch,
    make_listing_batch,
    make_reading_batch,
    make_visible_batch,
    pair_texts,
    render_pixels,
)
from .recipe import (
    FUSION,
    LANGUAGE_MODEL,
    MATCHING_DIM,
    MAX_CANDIDATES,
    MAX_IMAGES,
    NUM_QUERY_TOKENS,
    QFORMER,
    RETRIEVAL,
    VISION,
    TinyRecipe,
)
from .stages import run_stage
from .words import WordsAndPictures, make_replaced_batch, make_words_batch

logger = logging.get_logger(__name__)

# What stage 0 trains on texts: the language model, and the heads that say which of several texts is relevant.
LANGUAGE_PARTS = ("language_model", "relevance_head", "segment_pooler", "matching_projection", "matching_head")


class TinyTraining:
    """The stages of one run and what they share.

    Args:
        work_dir: checkpoints and finished stages.
        recipe: sizes and schedules.
    """

    def __init__(self, work_dir: str | Path, recipe: TinyRecipe) -> None:
        self.work_dir = Path(work_dir)
        self.recipe = recipe
        self.work_dir.mkdir(parents=True, exist_ok=True)
        num_pictures = recipe.scaled(recipe.num_pretraining_pictures, minimum=64)
        self.worlds = [
            make_world(1000 * (recipe.seed + 1) + number, self._num_entities(), split="train")
            for number in range(recipe.scaled(recipe.num_train_worlds))
        ]
        self.pretraining = make_pretraining_split(recipe.seed, num_pictures, split="train")
        self.reading = make_reading_rows(recipe.seed, recipe.scaled(recipe.num_reading_rows, minimum=64))
        descriptions = [text for row in self.pretraining for text in row.descriptions]
        self.retriever_processor, self.processor = build_processors(
            list(collect_corpus(self.worlds[: recipe.num_vocabulary_worlds], descriptions))
        )
        self._pools: list[TrainingPool] | None = None
        self._features: dict[str, torch.Tensor] | None = None

    @cached_property
    def _looks(self) -> list[ReadingRow]:
        num_rows = self.recipe.scaled(self.recipe.num_look_rows, minimum=64)
        return make_look_rows(self.recipe.seed, self.pretraining, num_rows)

    def _answered_looks(self) -> list[ReadingRow]:
        """Look rows without those whose picture only tells of whom a missing text is: that is not evidence enough."""
        return [row for row in self._looks if bool(row.answer) == bool(row.relevant)]

    def _num_entities(self) -> int:
        return min(self.recipe.entities_per_world, self.recipe.scaled(self.recipe.entities_per_world, minimum=40))

    def _trunk(self) -> dict[str, Any]:
        return {
            "vision_config": dict(VISION),
            "qformer_config": {**QFORMER, "vocab_size": len(self.processor.qformer_tokenizer)},
            "adaptive_fusion_config": dict(FUSION),
            "num_query_tokens": NUM_QUERY_TOKENS,
            "max_images": MAX_IMAGES,
            "initializer_range": 0.05,
        }

    def _finished(self, stage: str, model_class: Any, train: Callable[[], Any]) -> Any:
        """The model of a finished stage from the work folder, or trained now and kept there."""
        folder = self.work_dir / f"{stage}-model"
        if not folder.is_dir():
            set_seed(self.recipe.seed)
            logger.warning("Training stage %s.", stage)
            # Renamed when it is whole, so that a run killed while it writes does not leave half a model behind.
            partial = folder.with_name(f"{folder.name}.partial")
            train().save_pretrained(partial)
            partial.rename(folder)
        return model_class.from_pretrained(folder).eval()

    def _run(self, stage: str, model: Any, make_batch: Callable[[np.random.Generator], Any]) -> Any:
        schedule = self.recipe.stages[stage]
        return run_stage(
            model,
            make_batch,
            output_dir=self.work_dir / stage,
            num_steps=self.recipe.scaled(schedule.num_steps, minimum=2),
            learning_rate=schedule.learning_rate,
            seed=self.recipe.seed,
        )

    def _generator_config(self) -> RablipConfig:
        return RablipConfig(
            **self._trunk(),
            text_config={**LANGUAGE_MODEL, "vocab_size": len(self.processor.tokenizer)},
            image_token_index=self.processor.image_token_id,
            matching_dim=MATCHING_DIM,
            askg_loss_weight=1.0,
        )

    def train_vision(self) -> RablipForConditionalGeneration:
        """Stage 0, vision: the tower and the Q-Former learn to list what is visible through a language model."""

        def train() -> RablipForConditionalGeneration:
            model = RablipForConditionalGeneration(self._generator_config())
            pixels = render_pixels(self.processor.image_processor, [row.image for row in self.pretraining])
            num_rows = self.recipe.stages["vision"].num_rows

            def make_batch(generator: np.random.Generator) -> dict[str, torch.Tensor]:
                return make_visible_batch(pixels, self.pretraining, generator, self.processor, num_rows)

            return self._run("vision", model, make_batch)

        return self._finished("vision", RablipForConditionalGeneration, train)

    def train_words(self) -> WordsAndPictures:
        """Stage 0, words: the Q-Former learns to read and to compare words with pictures, and goes on to list.

        At full size it brings the first from BERT and the second from BLIP-2's pre-training.
        """

        def train() -> WordsAndPictures:
            model = WordsAndPictures(self._generator_config())
            model.load_trunk(self.train_vision())
            model.freeze_vision_tower()
            features = self.features(model)
            num_rows = self.recipe.stages["words"].num_rows

            def make_batch(generator: np.random.Generator) -> dict[str, Any]:
                pictures = make_listing_batch(self.pretraining, features, generator, self.processor, num_rows // 2)
                return {"pictures": pictures, **self._draw_words(features, generator, num_rows)}

            return self._run("words", model, make_batch)

        return self._finished("words", WordsAndPictures, train)

    def _draw_words(
        self, features: dict[str, torch.Tensor], generator: np.random.Generator, num_rows: int
    ) -> dict[str, Any]:
        """Masked and replaced words, as many rows of each."""
        tokenizer = self.processor.qformer_tokenizer
        replaced = make_replaced_batch(self._replaced, features, generator, tokenizer, num_rows)
        return {"replaced": replaced, **make_words_batch(self._text_pairs, generator, tokenizer, num_rows)}

    @cached_property
    def _replaced(self) -> list[ReplacedRow]:
        num_rows = self.recipe.scaled(self.recipe.num_replaced_rows, minimum=64)
        return make_replaced_rows(self.recipe.seed, self.pretraining, num_rows)

    @cached_property
    def _text_pairs(self) -> list[tuple[str, str]]:
        return pair_texts(self.pretraining, self._looks, self.reading)

    def train_language(self) -> RablipForConditionalGeneration:
        """Stage 0, language: the language model learns to read facts and to answer from them."""

        def train() -> RablipForConditionalGeneration:
            model = RablipForConditionalGeneration(self._generator_config())
            model.requires_grad_(False)
            for part in LANGUAGE_PARTS:
                getattr(model, part).requires_grad_(True)
            num_rows = self.recipe.stages["language"].num_rows

            def make_batch(generator: np.random.Generator) -> dict[str, torch.Tensor]:
                return make_reading_batch(self.reading, generator, self.processor, num_rows)

            return self._run("language", model, make_batch)

        return self._finished("language", RablipForConditionalGeneration, train)

    def train_base(self) -> RablipForConditionalGeneration:
        """Stage 0, both: joined, they learn to answer from pictures and facts; what was learned of words is kept.

        At full size this is InstructBLIP, from which RA-BLIP starts; every later stage starts from what it gives.
        """

        def train() -> RablipForConditionalGeneration:
            model, language = self.train_words(), self.train_language()
            for part in LANGUAGE_PARTS:
                getattr(model, part).load_state_dict(getattr(language, part).state_dict())
            model.freeze_vision_tower()
            features = self.features(model)
            num_viewing = self.recipe.scaled(self.recipe.num_viewing_rows, minimum=64)
            viewing = make_viewing_rows(self.recipe.seed, self.pretraining, num_viewing)
            looks = self._answered_looks()
            num_rows = self.recipe.stages["base"].num_rows

            def make_batch(generator: np.random.Generator) -> dict[str, Any]:
                pictures = make_base_batch(
                    self.pretraining, features, viewing, looks, self.reading, generator, self.processor, num_rows
                )
                # What is not asked for is forgotten: without words comparing fell from 0.99 to 0.67 in 1,000 steps.
                return {"pictures": pictures, **self._draw_words(features, generator, num_rows // 4)}

            generator_model = RablipForConditionalGeneration(self._generator_config())
            generator_model.load_trunk(self._run("base", model, make_batch))
            return generator_model

        return self._finished("base", RablipForConditionalGeneration, train)

    def features(self, base: Any) -> dict[str, torch.Tensor]:
        """The frozen tower's features of the pre-training pictures; encoded once."""
        if self._features is None:
            pictures = {row.id: row.image for row in self.pretraining}
            self._features = encode_pictures(base, self.processor.image_processor, pictures)
        return self._features

    def pools(self, base: Any) -> list[TrainingPool]:
        """The training worlds with the frozen tower's features, and those of the pre-training pictures; built once."""
        if self._pools is None:
            image_processor = self.processor.image_processor
            pools = [build_pool(world, base, image_processor) for world in self.worlds]
            self._pools = [pool.add_features(self.features(base)) for pool in pools]
        return self._pools

    def validation_world(self) -> World:
        """A world of validation entities, on which temperatures and thresholds are fitted."""
        count = self.recipe.scaled(self.recipe.validation_entities, minimum=40)
        return make_world(self.recipe.seed + 1, min(self.recipe.validation_entities, count), split="validation")

    def train_retriever(self, base: Any) -> RablipRetriever:
        """The dense retriever, warm-started from stage 0's Q-Former, vision tower frozen."""

        def train() -> RablipRetriever:
            retriever = RablipRetriever(RablipRetrieverConfig(**self._trunk(), retrieval_config=dict(RETRIEVAL)))
            logger.warning("New weights of the retriever: %s", retriever.load_trunk(base))
            retriever.freeze_vision_tower()
            pools = self.pools(base)
            looks = [judge_row(row) for row in self._looks if row.relevant]
            num_rows = self.recipe.stages["retriever"].num_rows

            def make_batch(generator: np.random.Generator) -> dict[str, torch.Tensor]:
                pool = pools[int(generator.integers(len(pools)))]
                return make_retriever_batch(
                    pool,
                    generator,
                    self.retriever_processor,
                    num_questions=num_rows,
                    negatives_per_question=2,
                    more_rows=draw_rows(looks, generator, 2 * num_rows // 3),
                )

            return self._run("retriever", retriever, make_batch)

        return self._finished("retriever", RablipRetriever, train)

    def train_reranker(self, base: Any, retriever: RablipRetriever) -> RablipReranker:
        """The re-ranker, warm-started from the retriever and trained on what the retriever finds."""

        def train() -> RablipReranker:
            reranker = RablipReranker(RablipRerankerConfig(**self._trunk(), retrieval_config=dict(RETRIEVAL)))
            logger.warning("New weights of the re-ranker: %s", reranker.load_trunk(retriever))
            reranker.freeze_vision_tower()
            pools = self.mined_pools(base, retriever)
            looks = [judge_row(row) for row in self._looks]
            num_rows = self.recipe.stages["reranker"].num_rows

            def make_batch(generator: np.random.Generator) -> dict[str, torch.Tensor]:
                pool = pools[int(generator.integers(len(pools)))]
                return make_reranker_batch(
                    pool,
                    generator,
                    self.retriever_processor,
                    num_questions=num_rows // 2,
                    more_rows=draw_rows(looks, generator, num_rows // 2),
                )

            return self._run("reranker", reranker, make_batch)

        return self._finished("reranker", RablipReranker, train)

    def mined_pools(self, base: Any, retriever: RablipRetriever) -> list[TrainingPool]:
        """The training pools with the retriever's candidates."""
        pools = self.pools(base)
        for number, pool in enumerate(pools):
            if not pool.mined:
                recall = mine_candidates(retriever, self.retriever_processor, pool)
                logger.warning("Training world %d: recall@5 %.3f.", number, recall)
        return pools

    def train_generator(self, base: Any, retriever: RablipRetriever) -> RablipForConditionalGeneration:
        """The generator: frozen language model with LoRA, Q-Former, fusion, projection and relevance heads trained.

        Its wrong candidates are the worlds' own and what the retriever finds, as when it answers.
        """

        def train() -> RablipForConditionalGeneration:
            generator_model = copy.deepcopy(base)
            generator_model.requires_grad_(True)
            generator_model.freeze_vision_tower()
            generator_model.freeze_language_model()
            adapted = add_lora(generator_model, rank=32)
            pools = self.mined_pools(base, retriever)
            looks = [judge_row(row) for row in self._answered_looks()]
            num_rows = self.recipe.stages["generator"].num_rows

            def make_batch(generator: np.random.Generator) -> dict[str, torch.Tensor]:
                pool = pools[int(generator.integers(len(pools)))]
                num_looks = num_rows // 4
                return make_generator_batch(
                    pool,
                    generator,
                    self.processor,
                    num_questions=num_rows - num_looks,
                    max_candidates=MAX_CANDIDATES,
                    more_rows=draw_rows(looks, generator, num_looks),
                )

            return self._run("generator", adapted, make_batch).merge_and_unload()

        return self._finished("generator", RablipForConditionalGeneration, train)


__all__ = ["TinyTraining"]
