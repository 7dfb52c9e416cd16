"""The retriever's trainer: negatives from all processes, gradient caching, and recall within the batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from ...modeling_rablip import RablipRetrieverOutput, contrastive_loss
from ...modeling_rablip.modeling_rablip_retriever import mark_positives, score_largest
from .gathering import gather_rows, num_processes, sum_over_processes
from .gradient_caching import contrastive_step, embed_in_chunks, select_inputs
from .retrieval_metrics import measure_recall, rank_positives
from .stage_trainer import StageTrainer


class RetrieverTrainer(StageTrainer):
    """Trains a `RablipRetriever` on batches of `RetrieverCollator`.

    Every question is compared with the items of all processes, and the loss is the mean over the questions of all
    processes and accumulated batches: two processes with half a batch each do what one does with the whole. An item
    that several processes hold counts once; an item that is right for a question, or holds the same as a right one, is
    never its negative, whichever process it comes from. Batches that are accumulated keep their own negatives.

    Evaluation gives the loss and `measure_recall` (unless `compute_metrics` is given) within each batch, by modality
    where the batches have `knowledge_modalities`; only ranks are kept, no embeddings.

    Args:
        args, kwargs: as in `StageTrainer`.
        chunk_size: most questions, or items, that are embedded at a time; the gradients are those of the whole batch
            (see `contrastive_step`), at the price of a second forward pass. None embeds the batch at once.

    Raises:
        ValueError: `chunk_size` is below 1; or the model is split over devices by FSDP or DeepSpeed, copied by
            DataParallel, or trained by an optimizer that steps inside backward.

    Example (with a model, arguments, examples and a collator):
        `RetrieverTrainer(model=model, args=arguments, train_dataset=examples, data_collator=collator, chunk_size=32)`
    """

    def __init__(self, *args: Any, chunk_size: int | None = None, **kwargs: Any) -> None:
        if chunk_size is not None and chunk_size < 1:
            raise ValueError(
                f"`chunk_size` is {chunk_size}; give at least 1 row, or None for the whole batch at once."
            )
        super().__init__(*args, **kwargs)
        self.chunk_size = chunk_size
        # The loss is divided by the count of `get_batch_samples`, so Trainer may not divide it once more.
        self.model_accepts_loss_kwargs = True
        if self.compute_metrics is None:
            self.compute_metrics = measure_recall
        self._check_setting()

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> tuple[list[Any], Any]:
        """The batches of one optimizer step, and how many questions all processes ask in them."""
        batches, _ = super().get_batch_samples(*args, **kwargs)
        return batches, self._count_questions(batches) if batches else None

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> torch.Tensor:
        """Forward and backward of one batch, in chunks if so asked.

        Args:
            model: the model, maybe wrapped.
            inputs: a batch of `RetrieverCollator`.
            num_items_in_batch: questions that the loss is the mean over; by default those of this batch.

        Returns:
            This process's part of the loss, times the number of processes.
        """
        if num_items_in_batch is None:
            num_items_in_batch = self._count_questions([inputs])
        if self.chunk_size is None:
            return super().training_step(model, inputs, num_items_in_batch)
        model.train()
        set_training = getattr(self.optimizer, "train", None)  # schedule-free optimizers have it
        if callable(set_training):
            set_training()
        batch = self._prepare_inputs(inputs)

        def compute(question_embeds: torch.Tensor, knowledge_embeds: torch.Tensor) -> torch.Tensor:
            return self._compare(model, question_embeds, knowledge_embeds, batch, num_items_in_batch)[0]

        with self.compute_loss_context_manager():
            return contrastive_step(
                model,
                batch,
                chunk_size=self.chunk_size,
                loss_function=compute,
                backward=self.accelerator.backward,
            )

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None, **kwargs: Any
    ) -> Any:
        """The loss of this process's questions against the items of all.

        Args:
            model: the model, maybe wrapped.
            inputs: a batch of `RetrieverCollator`.
            return_outputs: also give the output.
            num_items_in_batch: questions that the loss is the mean over; by default those of all processes' batches.
            kwargs: not used.

        Returns:
            The loss, such that its mean over processes is the loss of all; with it, a `RablipRetrieverOutput` with
            `scores` (num_questions, num_items of all processes).
        """
        if self.chunk_size is not None and not torch.is_grad_enabled():
            questions, items = embed_in_chunks(model, inputs, chunk_size=self.chunk_size)
        else:
            embedded = model(**select_inputs(inputs), return_loss=False)
            questions, items = embedded["question_embeds"], embedded["knowledge_embeds"]
        if num_items_in_batch is None:
            num_items_in_batch = self._count_questions([inputs])
        loss, scores = self._compare(model, questions, items, inputs, num_items_in_batch)
        if not return_outputs:
            return loss
        return loss, RablipRetrieverOutput(loss=loss, scores=scores, question_embeds=questions, knowledge_embeds=items)

    def prediction_step(
        self, model: Any, inputs: Any, prediction_loss_only: bool, ignore_keys: Any = None, **kwargs: Any
    ) -> tuple[torch.Tensor | None, torch.Tensor | None, torch.Tensor | None]:
        """Loss and ranks of one batch.

        Args:
            model: the model, maybe wrapped.
            inputs: a batch of `RetrieverCollator`.
            prediction_loss_only: leave out the ranks.
            ignore_keys, kwargs: not used.

        Returns:
            The loss of all processes' batches; the rows of `rank_positives`; how many right items each question has
            (num_questions,). The latter two are filled up to one length over processes, with -1 and 0.
        """
        inputs = self._prepare_inputs(inputs)
        with torch.no_grad(), self.compute_loss_context_manager():
            loss, outputs = self.compute_loss(model, inputs, return_outputs=True)
        loss = sum_over_processes(loss) / num_processes()
        if prediction_loss_only:
            return loss, None, None
        positives, kept = _mark_all(inputs)
        modalities = inputs.get("knowledge_modalities")
        if modalities is not None:
            modalities = gather_rows(modalities)[kept]
        ranks = rank_positives(outputs.scores, positives, modalities)
        pad = self.accelerator.pad_across_processes
        return loss, pad(ranks, dim=0, pad_index=-1), pad(positives.sum(dim=1), dim=0)

    def _compare(
        self, model: Any, questions: torch.Tensor, items: torch.Tensor, batch: Any, num_questions: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Loss and scores of this process's questions against the items of all processes."""
        positives, kept = _mark_all(batch)
        # An item's number of vectors depends on what else is in its process's batch; a vector of zeros is none.
        everything = gather_rows(items, fill_value=0.0)[kept]
        scores = self.accelerator.unwrap_model(model).logit_scale(score_largest(questions, everything))
        total = contrastive_loss(scores, positives) * positives.any(dim=1).sum()
        # DistributedDataParallel takes the mean of gradients, and Trainer that of losses.
        return total * num_processes() / num_questions, scores

    def _count_questions(self, batches: list[Any]) -> torch.Tensor:
        """Questions of all processes that have a right item, at least 1."""
        own = torch.zeros((), dtype=torch.long, device=self.args.device)
        for batch in batches:
            right, _ = _mark_all({name: value.to(own.device) for name, value in _without_inputs(batch).items()})
            own = own + right.any(dim=1).sum()
        return sum_over_processes(own).clamp(min=1)

    def _check_setting(self) -> None:
        """ValueError where the weights are not whole in every process, or change during backward."""
        faults = {
            "FSDP": self.is_fsdp_enabled,
            "DeepSpeed": self.is_deepspeed_enabled,
            "DataParallel (several devices in one process)": self.args.n_gpu > 1,
            f"optim={str(self.args.optim)!r}, which steps inside backward,": "lomo" in str(self.args.optim).lower(),
        }
        for name, present in faults.items():
            if present:
                raise ValueError(
                    f"RetrieverTrainer cannot train with {name}: it needs every weight whole and unchanged for the "
                    "whole step. Use one process per device (torchrun or accelerate launch) with "
                    "DistributedDataParallel; if memory is short, give a `chunk_size`."
                )


def _without_inputs(batch: Mapping[str, Any]) -> dict[str, Any]:
    """What of a batch says which items are right: small, where pictures are large."""
    return {name: batch[name] for name in ("positive_mask", "positive_keys", "knowledge_keys") if name in batch}


def _mark_all(batch: Mapping[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """Which items of all processes answer this process's questions, each item once.

    Returns:
        The mask (num_questions, num_kept) bool, and the places (num_kept,) of these items among the gathered ones.
    """
    if "knowledge_keys" in batch and "positive_keys" in batch:
        keys = gather_rows(batch["knowledge_keys"])
        kept = _first_places(keys[:, 0])
        return mark_positives(batch["positive_keys"], keys[kept]), kept
    if num_processes() > 1 or "positive_mask" not in batch:
        raise ValueError(
            f"The batch has {sorted(batch)}, but not `knowledge_keys` and `positive_keys`"
            f"{' which say what is right among the items of other processes' if num_processes() > 1 else ''}. "
            "Make batches with `RetrieverCollator`."
        )
    mask = batch["positive_mask"].bool()
    return mask, torch.arange(mask.shape[1], device=mask.device)


def _first_places(keys: torch.Tensor) -> torch.Tensor:
    """Where each key (num_keys,) occurs first, in rising order."""
    distinct, numbers = torch.unique(keys, return_inverse=True)
    places = torch.arange(len(keys), device=keys.device)
    first = torch.full((len(distinct),), len(keys), device=keys.device)
    return first.scatter_reduce(0, numbers, places, "amin").sort().values


__all__ = ["RetrieverTrainer"]
