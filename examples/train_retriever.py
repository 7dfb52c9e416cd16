"""Stage 2: the retriever, with hard negatives mined from the index and gradient caching, with Trainer.

    python examples/train_retriever.py --data my_folder --model examples/checkpoints/rablip-tiny \
        --output_dir my_retriever --learning_rate 5e-4 --per_device_train_batch_size 64 --chunk_size 16
    torchrun --nproc-per-node 2 examples/train_retriever.py ...     (on CPU add --use_cpu)

`my_folder` holds a knowledge base and questions.jsonl (id, question, answers, positive_ids; see `read_pool`). Each
question meets the items of all processes; only `--chunk_size` rows are embedded at a time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from transformers import HfArgumentParser, TrainingArguments, set_seed

from rablip.processing import RetrieverCollator
from rablip.training import (
    QuestionRows,
    RetrieverTrainer,
    Searcher,
    add_lora,
    build_features,
    find_candidates,
    gather_trained,
    load_start,
    make_search_row,
    mine_candidates,
    read_pool,
    save_trained,
    split_pool,
)


@dataclass
class ScriptArguments:
    """What is trained on what; everything else is Trainer's."""

    data: str = field(metadata={"help": "folder of a knowledge base and questions.jsonl"})
    model: str = field(metadata={"help": "model folder, bundle or Hub id to start from"})
    negatives: int = field(default=2, metadata={"help": "hard negatives per question"})
    strategy: str = field(default="modality", metadata={"help": "modality, random_hard, mixed or random"})
    chunk_size: int | None = field(default=None, metadata={"help": "gradient caching: rows embedded at a time"})
    feature_cache: str | None = field(default=None, metadata={"help": "folder of the frozen tower's features"})
    lora: bool = field(default=False, metadata={"help": "LoRA on the Q-Former instead of all of it"})


def main() -> None:
    """Parse, load, mine, train, measure, save."""
    script, arguments = HfArgumentParser((ScriptArguments, TrainingArguments)).parse_args_into_dataclasses()
    set_seed(arguments.seed)
    arguments.train_sampling_strategy = "sequential"
    load = partial(load_start, "retriever", script.model, seed=arguments.seed)
    start = load()
    model, processor = start.model, start.processor
    model.freeze_vision_tower()

    pool = read_pool(script.data)
    if script.feature_cache is not None:
        pictures = pool.pictures()
        cache, _ = build_features(
            script.feature_cache, pictures, model=model, image_processor=processor.image_processor, root=pool.root
        )
        pool = pool.add_features(cache.view(pictures, root=pool.root))
    # By one process for all.
    pool, found = find_candidates(pool, Searcher(model, processor), start, device=arguments.device)
    print("before:", found)
    learned, validation = split_pool(pool, 0.1, seed=arguments.seed)
    make_row = partial(make_search_row, num_candidates=1 + script.negatives, max_positives=1, strategy=script.strategy)

    lookup = pool.feature_lookup
    trainer = RetrieverTrainer(
        model=add_lora(model, parts=("qformer",)) if script.lora else model,
        args=arguments,
        train_dataset=QuestionRows(
            learned, make_row, seed=arguments.seed, answerable_only=True, balance_modalities=True
        ),
        eval_dataset=QuestionRows(validation, make_row, seed=arguments.seed, answerable_only=True, shuffle=False),
        data_collator=RetrieverCollator(
            processor, generator=None, root=pool.root, features=lookup, question_features=lookup, modalities=True
        ),
        processing_class=processor,
        chunk_size=script.chunk_size,
    )
    trainer.train(resume_from_checkpoint=arguments.resume_from_checkpoint)
    print(trainer.evaluate())
    trained = gather_trained(trainer, reload=load)
    if trained is not None:  # in the first process
        print("recall@5 after:", mine_candidates(trained, processor, validation))
        save_trained(trained, start, arguments.output_dir)


if __name__ == "__main__":
    main()
