"""The stages' trainers in two processes, to be run by torchrun; `test_stage_processes.py` starts it."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import Seq2SeqTrainingArguments

from rablip.processing import GeneratorCollator, RerankerCollator
from rablip.training import (
    AnswerMetrics,
    FusionCollator,
    FusionPretraining,
    FusionTrainer,
    GeneratorTrainer,
    PairRows,
    QuestionRows,
    RerankerTrainer,
    make_generator_row,
    make_search_row,
    measure_relevance,
    pairs_from_items,
)
from rablip.training.trainers.gathering import num_processes, process_rank
from tests.processing.tiny_tokenizers import make_processor, make_retriever_processor
from tests.tiny import make_generator, make_reranker, stir, trunk_arguments
from tests.training.stage_inputs import ragged_rows
from tests.training.tiny_pool import make_pool

GLOBAL_BATCH, STEPS = 8, 3
# Of torchrun: the processes meet only when Trainer starts.
WORLD_SIZE = int(os.environ.get("WORLD_SIZE", "1"))
# No multiple of two processes' batches: the last batch is filled up with rows from the start.
NUM_EVALUATED, EVAL_BATCH = 9, 2


def train(stage: str, folder: Path) -> dict[str, Any]:
    """A few steps with the same global batch, however many processes share it: the losses and the last weights."""
    pool, lookups = make_pool(), {}
    lookups = {"features": pool.feature_lookup, "question_features": pool.feature_lookup}
    no_dropout = {
        name: {**trunk_arguments()[name], "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
        for name in ("qformer_config", "adaptive_fusion_config")
    }
    if stage == "generator":
        processor: Any = make_processor("t5", max_images=3)
        model: Any = make_generator("t5", image_token_index=processor.image_token_id, **no_dropout)
        make_row: Any = partial(make_generator_row, max_candidates=3, max_pictures=3)
        trainer_class: Any = GeneratorTrainer
        collator: Any = GeneratorCollator(processor, generator=None, **lookups)
    else:
        processor = make_retriever_processor(max_images=3)
        model = make_reranker(**no_dropout)
        make_row = partial(make_search_row, num_candidates=3, max_positives=1)
        trainer_class, collator = RerankerTrainer, RerankerCollator(processor, generator=None, **lookups)
    model.freeze_vision_tower()
    arguments = Seq2SeqTrainingArguments(
        str(folder / stage),
        use_cpu=True,
        per_device_train_batch_size=GLOBAL_BATCH // WORLD_SIZE,
        max_steps=STEPS,
        learning_rate=1e-2,
        optim="sgd",
        lr_scheduler_type="constant",
        max_grad_norm=0.0,
        train_sampling_strategy="sequential",
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        ddp_find_unused_parameters=True,
    )
    trainer = trainer_class(
        model=model,
        args=arguments,
        train_dataset=QuestionRows(pool, make_row, seed=1),
        data_collator=collator,
        processing_class=processor,
    )
    trainer.train()
    return {
        "losses": torch.tensor([entry["loss"] for entry in trainer.state.log_history if "loss" in entry]),
        **{name: value.detach() for name, value in model.named_parameters() if value.requires_grad},
    }


def evaluate(stage: str, folder: Path) -> dict[str, float]:
    """What an evaluation measures, however many processes share its rows."""
    pool = make_pool()
    pool = dataclasses.replace(pool, examples=pool.examples[:NUM_EVALUATED])
    arguments = Seq2SeqTrainingArguments(
        str(folder / stage),
        use_cpu=True,
        per_device_eval_batch_size=EVAL_BATCH,
        predict_with_generate=True,
        report_to="none",
    )
    options: dict[str, Any] = {"args": arguments}
    if stage == "fusion":
        # The pairs of a batch are compared with each other, so one process gets what two share, repeated rows too.
        rows = PairRows(pairs_from_items(pool.items.values())[: EVAL_BATCH + 1], seed=0, shuffle=False)
        arguments.per_device_eval_batch_size = 2 * EVAL_BATCH // WORLD_SIZE
        whole = [rows[number] for number in range(len(rows))]
        collator: Any = FusionCollator(make_retriever_processor(), features=pool.feature_lookup)
        trainer: Any = FusionTrainer(
            model=stir(FusionPretraining(make_reranker().config)).eval(),
            eval_dataset=whole if WORLD_SIZE == 2 else [*whole, whole[0]],
            data_collator=collator,
            **options,
        )
    elif stage == "generator":
        processor = make_processor("t5", max_images=3)
        make_row = partial(make_generator_row, max_candidates=3, max_pictures=3)
        trainer = GeneratorTrainer(
            model=make_generator("t5", image_token_index=processor.image_token_id),
            eval_dataset=QuestionRows(pool, make_row, seed=1, shuffle=False),
            data_collator=GeneratorCollator(processor, generator=None, **pool.picture_sources),
            processing_class=processor,
            compute_metrics=AnswerMetrics(processor),
            **options,
        )
    else:
        trainer = RerankerTrainer(
            model=make_reranker(),
            eval_dataset=ragged_rows(pool),
            data_collator=RerankerCollator(
                make_retriever_processor(max_images=3), generator=None, **pool.picture_sources
            ),
            compute_metrics=measure_relevance,
            **options,
        )
        predicted = trainer.predict(trainer.eval_dataset)
        assert predicted.predictions.shape == predicted.label_ids.shape == (NUM_EVALUATED, 4)
    measured = trainer.evaluate()
    return {name: value for name, value in measured.items() if not name.endswith(("runtime", "second", "time"))}


def main() -> None:
    """Every rank trains and evaluates; the first writes what came out."""
    from safetensors.torch import save_file

    folder = Path(sys.argv[1])
    for stage in ("generator", "reranker"):
        trained = train(stage, folder)
        if process_rank() == 0:
            weights = {name: value.contiguous().clone() for name, value in trained.items()}
            save_file(weights, folder / f"{stage}-{num_processes()}.safetensors")
    measured = {stage: evaluate(stage, folder) for stage in ("fusion", "generator", "reranker")}
    if process_rank() == 0:
        (folder / f"measured-{num_processes()}.json").write_text(json.dumps(measured))


if __name__ == "__main__":
    main()
