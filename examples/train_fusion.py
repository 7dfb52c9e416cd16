"""Stage 1: fusion pre-training on pictures and their texts, with Trainer.

    python examples/train_fusion.py --data my_folder --model examples/checkpoints/rablip-tiny \
        --output_dir my_fusion --learning_rate 5e-4 --per_device_train_batch_size 32 --max_steps 200
    torchrun --nproc-per-node 2 examples/train_fusion.py ...        (on CPU add --use_cpu)

`my_folder` is any knowledge base that `rablip index build` reads; every item with a picture and a text is a pair.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from transformers import HfArgumentParser, TrainingArguments, set_seed

from rablip.processing.readers_sources import open_source, source_root
from rablip.training import (
    FusionCollator,
    FusionTrainer,
    PairRows,
    build_features,
    gather_trained,
    load_start,
    measure_pair_retrieval,
    pairs_from_items,
    save_trained,
)


@dataclass
class ScriptArguments:
    """What is trained on what; everything else is Trainer's."""

    data: str = field(metadata={"help": "knowledge base with pictures"})
    model: str = field(metadata={"help": "model folder, bundle or Hub id to start from"})
    captioning: bool = field(default=False, metadata={"help": "also learn to write captions"})
    feature_cache: str | None = field(default=None, metadata={"help": "folder of the frozen tower's features"})
    num_validation: int = field(default=64, metadata={"help": "pairs kept for validation"})


def stack_features(features: Mapping[str, torch.Tensor], ids: Sequence[str]) -> torch.Tensor:
    """Features (num_ids, num_image_tokens, vision_hidden_size) of several pictures."""
    return torch.stack([features[key] for key in ids])


def main() -> None:
    """Parse, load, train, measure, save."""
    script, arguments = HfArgumentParser((ScriptArguments, TrainingArguments)).parse_args_into_dataclasses()
    set_seed(arguments.seed)
    # Rows and their order are the data set's, a function of seed and epoch.
    arguments.train_sampling_strategy = "sequential"
    load = partial(load_start, "fusion", script.model, seed=arguments.seed, captioning=script.captioning)
    start = load()
    model, processor = start.model, start.processor
    model.freeze_unused()
    print(f"weights that start anew: {start.new_weights}")

    root = source_root(script.data)
    pairs = pairs_from_items(open_source(script.data))
    num_kept = min(script.num_validation, len(pairs) // 2)
    held_out, learned = pairs[:num_kept], pairs[num_kept:]
    lookup = None
    if script.feature_cache is not None:
        pictures = {pair.id: pair.image for pair in pairs}
        cache, _ = build_features(
            script.feature_cache, pictures, model=model, image_processor=processor.image_processor, root=root
        )
        features = cache.view(pictures, root=root)
        lookup = partial(stack_features, features)

    trainer = FusionTrainer(
        model=model,
        args=arguments,
        train_dataset=PairRows(learned, seed=arguments.seed),
        eval_dataset=PairRows(held_out, seed=arguments.seed, shuffle=False),
        data_collator=FusionCollator(processor, root=root, features=lookup),
        processing_class=processor,
    )
    trainer.train(resume_from_checkpoint=arguments.resume_from_checkpoint)
    trained = gather_trained(trainer, reload=load)
    if trained is not None:  # in the first process
        print(measure_pair_retrieval(trained, processor, held_out, root=root, features=lookup, seed=arguments.seed))
        # A plain re-ranker: the retriever's and the re-ranker's stages start from it.
        save_trained(trained, start, arguments.output_dir)


if __name__ == "__main__":
    main()
