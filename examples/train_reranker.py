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
from rablip.training import (
    QuestionRows,
    RerankerTrainer,
    add_lora,
    build_features,
    find_candidates,
    fit_reranker,
    gather_trained,
    load_start,
    make_search_row,
    measure_relevance,
    open_searcher,
    read_pool,
    save_trained,
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
    load = partial(load_start, "reranker", script.model, seed=arguments.seed)
    start = load()
    model, processor = start.model, start.processor
    model.freeze_vision_tower()

    # By one process for all, before there are features: the retriever may have another vision tower.
    searcher = open_searcher(script.retriever or script.model)
    pool, found = find_candidates(read_pool(script.data), searcher, start, device=arguments.device)
    print("the retriever:", found)
    if script.feature_cache is not None:
        pictures = pool.pictures()
        cache, _ = build_features(
            script.feature_cache, pictures, model=model, image_processor=processor.image_processor, root=pool.root
        )
        pool = pool.add_features(cache.view(pictures, root=pool.root))
    learned, validation = split_pool(pool, 0.1, seed=arguments.seed)
    make_row = partial(make_search_row, num_candidates=script.candidates, max_positives=max(1, script.candidates // 2))

    lookup = pool.feature_lookup
    trainer = RerankerTrainer(
        model=add_lora(model, parts=("qformer",)) if script.lora else model,
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
    trained = gather_trained(trainer, reload=load)
    if trained is not None:  # in the first process
        # Probabilities mean what they say, and the threshold gives the best F1.
        fitted = fit_reranker(trained, processor, validation)
        print(fitted)
        save_trained(trained, start, arguments.output_dir, fitted=fitted)


if __name__ == "__main__":
    main()
