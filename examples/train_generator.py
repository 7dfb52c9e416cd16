"""Stage 4: the generator with ASKG, distractors from the index, LoRA on its language model, with Seq2SeqTrainer.

    python examples/train_generator.py --data my_folder --model examples/checkpoints/rablip-tiny \
        --output_dir my_adapter --learning_rate 5e-4 --lora --per_device_train_batch_size 16 --predict_with_generate
    torchrun --nproc-per-node 2 examples/train_generator.py ...     (on CPU add --use_cpu)
    accelerate launch --config_file examples/fsdp_flan_t5_xxl.yaml examples/train_generator.py ... --bf16

`my_folder` holds a knowledge base and questions.jsonl (id, question, answers, positive_ids; see `read_pool`). With
`--mine_labels` no positive_ids are read: what turns a wrong answer into a right one counts as relevant.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from transformers import HfArgumentParser, Seq2SeqTrainingArguments, set_seed

from rablip.processing import GeneratorCollator
from rablip.training import (
    AnswerMetrics,
    GeneratorTrainer,
    NoiseMix,
    QuestionRows,
    add_lora,
    build_features,
    check_room,
    find_candidates,
    fit_generator,
    gather_trained,
    load_start,
    make_generator_row,
    open_searcher,
    read_pool,
    save_trained,
    split_pool,
)


@dataclass
class ScriptArguments:
    """What is trained on what; everything else is Seq2SeqTrainer's."""

    data: str = field(metadata={"help": "folder of a knowledge base and questions.jsonl"})
    model: str = field(metadata={"help": "model folder, bundle or Hub id to start from"})
    retriever: str | None = field(default=None, metadata={"help": "finds candidates; by default the bundle's"})
    candidates: int = field(default=4, metadata={"help": "most candidates shown"})
    max_images: int | None = field(default=None, metadata={"help": "picture slots of the model"})
    mine_labels: bool = field(default=False, metadata={"help": "find relevance labels with the generator itself"})
    feature_cache: str | None = field(default=None, metadata={"help": "folder of the frozen tower's features"})
    lora: bool = field(default=False, metadata={"help": "LoRA on the language model, which is frozen otherwise"})


def main() -> None:
    """Parse, load, find distractors, train, fit thresholds, save."""
    script, arguments = HfArgumentParser((ScriptArguments, Seq2SeqTrainingArguments)).parse_args_into_dataclasses()
    set_seed(arguments.seed)
    arguments.train_sampling_strategy = "sequential"
    load = partial(load_start, "generator", script.model, seed=arguments.seed, max_images=script.max_images)
    start = load()
    model, processor = start.model, start.processor
    model.freeze_vision_tower()
    model.freeze_language_model()

    # By one process for all, before there are features: the retriever may have another vision tower.
    pool, found = find_candidates(
        read_pool(script.data),
        open_searcher(script.retriever or script.model),
        start,
        device=arguments.device,
        labels=script.mine_labels,
        distractors=True,
    )
    print("the retriever:", found)
    if script.feature_cache is not None:
        pictures = pool.pictures()
        cache, _ = build_features(
            script.feature_cache, pictures, model=model, image_processor=processor.image_processor, root=pool.root
        )
        pool = pool.add_features(cache.view(pictures, root=pool.root))
    learned, validation = split_pool(pool, 0.1, seed=arguments.seed)
    noise = NoiseMix(max_distractors=script.candidates - 1)
    room = {"max_candidates": script.candidates, "max_pictures": processor.max_images}
    make_row, check = partial(make_generator_row, noise=noise, **room), partial(check_room, **room)

    lookup = pool.feature_lookup
    trainer = GeneratorTrainer(
        model=add_lora(model) if script.lora else model,
        args=arguments,
        train_dataset=QuestionRows(learned, make_row, seed=arguments.seed, check=check),
        eval_dataset=QuestionRows(validation, make_row, seed=arguments.seed, shuffle=False, check=check),
        data_collator=GeneratorCollator(
            processor, generator=None, root=pool.root, features=lookup, question_features=lookup
        ),
        processing_class=processor,
        compute_metrics=AnswerMetrics(processor),
    )
    trainer.train(resume_from_checkpoint=arguments.resume_from_checkpoint)
    print(trainer.evaluate())
    trained = gather_trained(trainer, reload=load)
    if trained is not None:  # in the first process
        shown = {"max_candidates": script.candidates, "noise": noise}
        fitted = fit_generator(trained, processor, validation, seed=arguments.seed, **shown)
        print(fitted)
        save_trained(trained, start, arguments.output_dir, fitted=fitted)


if __name__ == "__main__":
    main()
