"""The Trainer of every stage: raw columns, loss terms in the log, and one loss whatever the number of devices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from transformers import Trainer, TrainerCallback
from transformers.utils import logging

logger = logging.get_logger(__name__)


class StageTrainer(Trainer):
    """transformers' Trainer for rablip's models.

    What differs: columns of a dataset are never dropped (the collator reads them all); every loss term of the model's
    output (`qa_loss`, `askg_loss`, ...) is logged beside the total; and where a step is spread over processes or over
    accumulated batches, each term is averaged over everything of the whole step that it counts, so that the loss and
    its gradients are those of one process with the whole batch.

    Args:
        args, kwargs: as for `transformers.Trainer`. `label_names` need not be given.
        processing_class: the processor; every checkpoint gets it.
    """

    # What `label_names` is where the arguments leave it open; the class of the stage decides.
    stage_label_names: ClassVar[tuple[str, ...]] = ("labels",)

    def __init__(self, *args: Any, processing_class: Any = None, **kwargs: Any) -> None:
        # Trainer looks for a language model's tokenizer in it, which only the generator's processor has.
        reads_prompts = hasattr(processing_class, "tokenizer")
        kwargs["processing_class"] = processing_class if reads_prompts else None
        super().__init__(*args, **kwargs)
        self.processor = processing_class
        # A collator of rows needs their columns, whatever `forward` calls its arguments.
        self.args.remove_unused_columns = False
        if self.args.label_names is None:
            self.label_names = list(self.stage_label_names)
        self.add_callback(_EpochCallback(self.train_dataset))
        # The loss is averaged here, not in the model.
        self.model_accepts_loss_kwargs = False
        self._loss_terms: dict[str, list[torch.Tensor]] = {}
        self._step_counts: dict[str, float] | None = None

    def count_terms(self, inputs: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        """How much of a batch each loss term averages over, by the term's name; empty for a plain mean over batches.

        Args:
            inputs: one batch.
        """
        return {}

    def combine_terms(
        self, outputs: Any, counts: Mapping[str, torch.Tensor], totals: Mapping[str, float]
    ) -> torch.Tensor:
        """This process's share of the loss of the whole step: every term times its count here over its count there.

        Args:
            outputs: the model's output for one batch.
            counts: of `count_terms` for the batch.
            totals: the sums of such counts over all processes and accumulated batches of the step.
        """
        (name,) = counts
        return outputs["loss"] * (counts[name] / max(totals[name], 1.0))

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """Train, as Trainer does, also after an evaluation.

        Args:
            args, kwargs: as in `Trainer.train`.
        """
        # An evaluation marks the bare model as prepared; accelerate then puts no DistributedDataParallel around it,
        # and every process would train its own weights.
        model: Any = self.model
        if self.accelerator.num_processes > 1 and getattr(model, "_is_accelerate_prepared", False):
            model._is_accelerate_prepared = False
        return super().train(*args, **kwargs)

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: Any) -> tuple[list, Any]:
        """The batches of one step, as Trainer gets them; what their loss terms average over is counted on the way."""
        batches, num_items = super().get_batch_samples(epoch_iterator, num_batches, device)
        self._step_counts = self._count_step(batches, device)
        return batches, num_items

    def _count_step(self, batches: Sequence[Mapping[str, Any]], device: Any) -> dict[str, float] | None:
        """Counts over all processes and batches of the step; None where one batch is the whole step."""
        num_processes = self.accelerator.num_processes
        if not batches or (num_processes == 1 and len(batches) == 1):
            return None
        counted = [self.count_terms(batch) for batch in batches]
        if not counted[0]:
            return None
        names = sorted(counted[0])
        sums = torch.tensor([float(sum(counts[name] for counts in counted)) for name in names], device=device)
        if num_processes > 1:
            sums = self.accelerator.reduce(sums, reduction="sum")
        return dict(zip(names, sums.tolist(), strict=True))

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **kwargs: Any) -> Any:
        """The model's own loss, as a share of the whole step where that is more than this batch."""
        loss, outputs = super().compute_loss(model, inputs, return_outputs=True, **kwargs)
        if model.training:
            self._keep_terms(outputs)
            if self._step_counts is not None:
                share = self.combine_terms(outputs, self.count_terms(inputs), self._step_counts)
                # Trainer divides by the accumulated batches, and data parallelism by the processes.
                loss = share * self.current_gradient_accumulation_steps * self.accelerator.num_processes
        return (loss, outputs) if return_outputs else loss

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        super()._save(output_dir, state_dict)
        if self.processor is not None and self.processing_class is None:
            self.processor.save_pretrained(output_dir or self.args.output_dir)

    def _keep_terms(self, outputs: Any) -> None:
        for name, value in outputs.items():
            if name.endswith("_loss") and value is not None:
                self._loss_terms.setdefault(name, []).append(value.detach())

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Add the mean of every loss term since the last log line of training (of this process's batches)."""
        if "loss" in logs:
            for name, values in self._loss_terms.items():
                logs[name] = round(float(torch.stack(values).mean()), 4)
            self._loss_terms.clear()
        super().log(logs, *args, **kwargs)


class _EpochCallback(TrainerCallback):
    """Tells the data set its epoch: accelerate does not where several processes draw from a seeded random sampler."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Called before the first batch of an epoch, also of one that a resumed run goes on with."""
        if hasattr(self.dataset, "set_epoch"):
            self.dataset.set_epoch(int(state.epoch or 0))


__all__ = ["StageTrainer"]
