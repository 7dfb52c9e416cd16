"""The Trainer of every stage: raw columns, loss terms in the log, and one loss whatever the number of devices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from transformers import Trainer, TrainerCallback
from transformers.utils import logging

from .precision import widen_trained

logger = logging.get_logger(__name__)


class StageTrainer(Trainer):
    """transformers' Trainer for rablip's models.

    What differs: columns of a dataset are never dropped (the collator reads them all); every loss term of the model's
    output (`qa_loss`, `askg_loss`, ...) is logged beside the total; and where a step is spread over processes or over
    accumulated batches, each term is averaged over everything of the whole step that it counts, so that the loss and
    its gradients are those of one process with the whole batch. Likewise the loss of an evaluation is that of the
    whole evaluation set, whatever its batches; rows that only fill up the last batch of several processes count
    nowhere. And what is trained is in fp32 from the start (`widen_trained`), whatever the checkpoint is in; a model
    that is saved in two precisions loads in the wider one unless a `dtype` is given.

    Args:
        args, kwargs: as for `transformers.Trainer`. `label_names` need not be given.
        processing_class: the processor; every checkpoint gets it.

    Raises:
        ValueError: labels are to be smoothed.
    """

    # What `label_names` is where the arguments leave it open; the class of the stage decides.
    stage_label_names: ClassVar[tuple[str, ...]] = ("labels",)

    def __init__(self, *args: Any, processing_class: Any = None, **kwargs: Any) -> None:
        # Trainer looks for a language model's tokenizer in it, which only the generator's processor has.
        reads_prompts = hasattr(processing_class, "tokenizer")
        kwargs["processing_class"] = processing_class if reads_prompts else None
        super().__init__(*args, **kwargs)
        if self.label_smoother is not None:
            raise ValueError(
                f"`label_smoothing_factor` is {self.args.label_smoothing_factor}, but rablip's models compute their "
                "losses themselves, several at once and without smoothing. Leave it at 0."
            )
        self._widen(self.model)
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
        # While an evaluation runs: by term, the sum over all that counts and how much that is.
        self._evaluated: dict[str, list[float]] | None = None

    def call_model_init(self, trial: Any = None) -> Any:
        """A new model, as in Trainer; what is trained is in fp32."""
        return self._widen(super().call_model_init(trial))

    def _widen(self, model: Any) -> Any:
        # DeepSpeed and FSDP 1 keep fp32 copies of their own, and want parts in one precision.
        if self.is_deepspeed_enabled or (self.is_fsdp_enabled and not self.accelerator.is_fsdp2):
            return model
        num_cast = widen_trained(model)
        if num_cast:
            num_kept = sum(not parameter.requires_grad for parameter in model.parameters())
            logger.info(
                "%d tensors that are trained were in half precision and are in float32 now; %d frozen ones keep "
                "their precision.",
                num_cast,
                num_kept,
            )
        return model

    def count_terms(self, inputs: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        """How much of a batch each loss term averages over, by the term's name; empty for a plain mean over batches.

        Args:
            inputs: one batch.
        """
        return {}

    def split_loss(self, outputs: Any) -> dict[str, torch.Tensor]:
        """The terms that `count_terms` counts, each a weighted mean over a batch; together they are the loss.

        Args:
            outputs: the model's output for one batch; a term that it does not have may be left out.
        """
        return {}

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
                share = self._share_loss(outputs, self.count_terms(inputs), self._step_counts)
                # Trainer divides by the accumulated batches, and data parallelism by the processes.
                loss = share * self.current_gradient_accumulation_steps * self.accelerator.num_processes
        elif self._evaluated is not None:
            counts = self.count_terms(inputs)
            for name, mean in self.split_loss(outputs).items():
                total = self._evaluated.setdefault(name, [0.0, 0.0])
                total[0] += float(mean) * float(counts[name])
                total[1] += float(counts[name])
        return (loss, outputs) if return_outputs else loss

    def _share_loss(
        self, outputs: Any, counts: Mapping[str, torch.Tensor], totals: Mapping[str, float]
    ) -> torch.Tensor:
        """This batch's share of the loss of the whole step: every term times its count here over its count there."""
        terms = self.split_loss(outputs)
        shares = [mean * (counts[name].to(mean.device) / max(totals[name], 1.0)) for name, mean in terms.items()]
        return torch.stack(shares).sum()

    def evaluation_loop(
        self,
        dataloader: Any,
        description: str,
        prediction_loss_only: bool | None = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> Any:
        """As in Trainer, with the loss of everything at once in place of the mean of the batches' losses."""
        self._evaluated = {}
        try:
            output = super().evaluation_loop(
                dataloader, description, prediction_loss_only, ignore_keys, metric_key_prefix
            )
            sums = [value for name in sorted(self._evaluated) for value in self._evaluated[name]]
        finally:
            self._evaluated = None
        if sums and output.metrics is not None:
            pairs = torch.tensor(sums, dtype=torch.float64)
            if self.accelerator.num_processes > 1:
                pairs = self.accelerator.reduce(pairs.to(self.args.device), reduction="sum").cpu()
            total, count = pairs.view(-1, 2).unbind(dim=1)
            output.metrics[f"{metric_key_prefix}_loss"] = float((total / count.clamp(min=1.0)).sum())
        return output

    def _count_new_rows(self, num_rows: int) -> int:
        """How many rows of this process's batch, from the first on, are not repeated to fill up a last batch."""
        state = self.accelerator.gradient_state
        if self.accelerator.num_processes == 1 or not state.end_of_dataloader or state.remainder <= 0:
            return num_rows
        return min(max(state.remainder - self.accelerator.process_index * num_rows, 0), num_rows)

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
