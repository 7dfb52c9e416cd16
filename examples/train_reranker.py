"""Stage 3: the re-ranker on what the retriever finds, then its temperature and threshold, with Trainer.

    python examples/train_reranker.py --data my_folder --model examples/checkpoints/rablip-tiny \
        --output_dir my_reranker --learning_rate 5e-4 --per_device_train_batch_size 16 --num_train_epochs 3
    torchrun --nproc-per-node 2 examples/train_reranker.py ...      (on CPU add --use_cpu)

`my_folder` holds a knowledge base and questions.jsonl (id, question, answers, positive_ids; see `read_pool`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from transformers import HfArgumentParser, TrainingArguments, set_seed

from rablip.processing import RerankerCollator
from rablip.retriever_source import find_retriever, load_retriever
from rablip.training import (
    QuestionRows,
    RerankerTrainer,
    add_lora,
    build_features,
    fit_reranker,
    load_start,
    make_search_row,
    measure_relevance,
    mine_candidates,
    read_pool,
    split_pool,
)


@dataclass
class ScriptArguments:
    """What is trained on what; everything else is Trainer's."""

    data: str = field(metadata={"help": "folder of a knowledge base and questions.jsonl"})
    model: str = field(metadata={"help": "model folder, bundle or Hub id to start from"})
    retriever: str | None = field(default=None, metadata={"help": "finds candidates; by default the bundle's"})
    candidates: int = field(default=4, metadata={"help": "candidates per question, at most half of them right"})
    feature_cache: str | None = field(default=None, metadata={"help": "folder of the frozen tower's features"})
    lora: bool = field(default=False, metadata={"help": "LoRA on the Q-Former instead of all of it"})


def main() -> None:
    """Parse, load, mine, train, calibrate, save."""
    script, arguments = HfArgumentParser((ScriptArguments, TrainingArguments)).parse_args_into_dataclasses()
    set_seed(arguments.seed)
    arguments.train_sampling_strategy = "sequential"
    model, processor, _, _ = load_start("reranker", script.model, seed=arguments.seed)
    model.freeze_vision_tower()
    retriever, retriever_processor = load_retriever(find_retriever(script.retriever or script.model))

    pool = read_pool(script.data)
    # Before there are features: the retriever may have another vision tower.
    print("recall@5 of the retriever:", mine_candidates(retriever, retriever_processor, pool))
    if script.feature_cache is not None:
        pictures = pool.pictures()
        cache, _ = build_features(
            script.feature_cache, pictures, model=model, image_processor=processor.image_processor, root=pool.root
        )
        pool = pool.add_features(cache.view(pictures, root=pool.root))
    learned, validation = split_pool(pool, 0.1, seed=arguments.seed)
    make_row = partial(make_search_row, num_candidates=script.candidates, max_positives=max(1, script.candidates // 2))

    trained = add_lora(model, parts=("qformer",)) if script.lora else model
    lookup = pool.feature_lookup
    trainer = RerankerTrainer(
        model=trained,
        args=arguments,
        train_dataset=QuestionRows(learned, make_row, seed=arguments.seed),
        eval_dataset=QuestionRows(validation, make_row, seed=arguments.seed, shuffle=False),
        data_collator=RerankerCollator(
            processor, generator=None, root=pool.root, features=lookup, question_features=lookup
        ),
        processing_class=processor,
        compute_metrics=measure_relevance,
    )
    trainer.train(resume_from_checkpoint=arguments.resume_from_checkpoint)
    print(trainer.evaluate())
    if trainer.is_world_process_zero():
        # Written into the configuration: probabilities mean what they say, and the threshold gives the best F1.
        print(fit_reranker(model.eval(), processor, validation))
        trained.save_pretrained(arguments.output_dir)
        processor.save_pretrained(arguments.output_dir)


if __name__ == "__main__":
    main()
