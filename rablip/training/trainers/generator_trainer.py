"""The trainer of the generator: evaluates by generating, and keeps token ids and relevance only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import distributed
from transformers import Seq2SeqTrainer
from transformers.integrations.deepspeed import is_deepspeed_zero3_enabled

from .stage_trainer import StageTrainer


class GeneratorTrainer(StageTrainer, Seq2SeqTrainer):
    """Trainer of `RablipForConditionalGeneration` with or without PEFT; its arguments are `Seq2SeqTrainingArguments`.

    Predictions are `(token ids, relevance logits)`, labels `(answers, relevance labels)`, padded with -100. The ids
    are generated with `predict_with_generate`, otherwise the likeliest next ones at the places of the labels, so that
    memory never grows with the vocabulary. `processing_class` is the `RablipProcessor`.
    """

    def count_terms(self, inputs: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        """Tokens of answers and of reference lists, and judged candidates."""
        counts = {}
        for term, name in (("qa", "labels"), ("askg", "askg_labels"), ("relevance", "relevance_labels")):
            values = inputs.get(name)
            if values is not None and term != "relevance" and not self._is_encoder_decoder():
                values = values[:, 1:]
            counts[term] = torch.zeros(()) if values is None else (values != -100).sum()
        return counts

    def split_loss(self, outputs: Any) -> dict[str, torch.Tensor]:
        """L_QA, and the two parts of lambda * L_ASKG."""
        # `get`, since an output does not have what is None in it.
        qa, askg, relevance = (outputs.get(f"{name}_loss") for name in ("qa", "askg", "relevance"))
        weight = self.model.config.askg_loss_weight
        terms = {} if qa is None else {"qa": qa}
        if askg is not None:
            terms["askg"] = weight * (askg if relevance is None else askg - relevance)
        if relevance is not None:
            terms["relevance"] = weight * relevance
        return terms

    def prediction_step(
        self,
        model: Any,
        inputs: dict[str, Any],
        prediction_loss_only: bool,
        ignore_keys: list[str] | None = None,
        **gen_kwargs: Any,
    ) -> tuple[Any, Any, Any]:
        """The loss, `(ids, relevance logits)` and `(labels, relevance labels)` of one batch."""
        asked = self._prepare_inputs(inputs)
        inputs = self._judge_once(asked)
        has_labels = inputs.get("labels") is not None
        with torch.no_grad(), self.compute_loss_context_manager():
            if has_labels:
                loss, outputs = self.compute_loss(model, inputs, return_outputs=True)
                loss = loss.detach().mean()
            else:
                loss, outputs = None, model(**inputs)
        if prediction_loss_only:
            return loss, None, None
        if self.args.predict_with_generate:
            ids = self._generate(asked, gen_kwargs)
        elif not has_labels:
            raise ValueError(
                "The batch has no `labels`, so there is nothing to predict token by token. Set predict_with_generate."
            )
        else:
            ids = self._align(outputs["logits"].argmax(dim=-1), inputs["labels"])
        relevance = outputs.get("relevance_logits")
        if relevance is None:
            relevance = torch.full((len(ids), 1), -1e4, device=ids.device)
        if not has_labels:
            return None, (ids, relevance.float()), None
        judged = inputs.get("relevance_labels")
        if judged is None:
            judged = torch.full_like(relevance, -100.0)
        return loss, (ids, relevance.float()), (inputs["labels"], judged)

    def _align(self, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The likeliest next ids, each at the place of the label that it should be; -100 where there is none."""
        if not self._is_encoder_decoder():
            ids = ids.roll(1, dims=1)
        return ids.masked_fill(labels == -100, -100)

    def _generate(self, inputs: Mapping[str, Any], gen_kwargs: dict[str, Any]) -> torch.Tensor:
        options = {name: value for name, value in (gen_kwargs or self._gen_kwargs).items() if value is not None}
        if not {"max_length", "max_new_tokens"} & set(options):
            options["max_new_tokens"] = getattr(self.processing_class, "max_answer_tokens", 32)
        sharded = gather_for_methods(self.model, "generate", "predict_relevance")
        # Processes that are done sooner go on with empty steps where parameters are spread over all of them.
        options["synced_gpus"] = is_deepspeed_zero3_enabled() or self.is_fsdp_enabled or sharded
        asked = dict(inputs)
        if not self._is_encoder_decoder():
            pad = self.processing_class.pad_token_id if self.processing_class is not None else 0
            asked |= cut_answers(asked["input_ids"], asked["attention_mask"], asked.get("labels"), pad_token_id=pad)
        return self.model.generate(**asked, **options)

    def _judge_once(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The batch, with nothing to learn or to judge in rows that are repeated from the start of the data set."""
        num_rows = self._count_new_rows(len(inputs["input_ids"]))
        judged = dict(inputs)
        for name in ("labels", "askg_labels", "relevance_labels"):
            if judged.get(name) is not None:
                judged[name] = judged[name].clone()
                judged[name][num_rows:] = -100
        return judged

    def _is_encoder_decoder(self) -> bool:
        return bool(self.model.config.is_encoder_decoder)


def gather_for_methods(model: torch.nn.Module, *names: str) -> bool:
    """Let methods of a model that is in shards find its weights whole, as `forward` does.

    Args:
        model: a model; one without torch's `fully_shard` (FSDP 2) stays as it is.
        names: its methods that read weights.

    Returns:
        Whether it is in such shards.

    Example:
        >>> gather_for_methods(torch.nn.Linear(1, 1), "generate")
        False
    """
    if not distributed.is_available():
        return False
    from torch.distributed.fsdp import FSDPModule, register_fsdp_forward_method

    if not isinstance(model, FSDPModule):
        return False
    for name in names:
        if name not in vars(model):  # where an earlier call has put it
            register_fsdp_forward_method(model, name)
    return True


def cut_answers(
    input_ids: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor | None, *, pad_token_id: int
) -> dict[str, torch.Tensor]:
    """Prompts of a decoder-only model without the answers that follow them in training.

    Args:
        input_ids (`torch.LongTensor` of shape `(batch_size, seq_len)`): prompts with their answers.
        attention_mask (`torch.LongTensor` of shape `(batch_size, seq_len)`): 1 = keep.
        labels (`torch.LongTensor` of shape `(batch_size, seq_len)`, *optional*): the answers, -100 elsewhere.
        pad_token_id: what fills up shorter prompts, on the left.

    Returns:
        `input_ids` and `attention_mask` of shape `(batch_size, prompt_len)`.

    Example:

    ```python
    >>> import torch
    >>> ids, labels = torch.tensor([[5, 6, 7, 1]]), torch.tensor([[-100, -100, 7, 1]])
    >>> cut_answers(ids, torch.ones_like(ids), labels, pad_token_id=0)["input_ids"].tolist()
    [[5, 6]]

    ```
    """
    keep = attention_mask.bool() if labels is None else attention_mask.bool() & (labels == -100)
    rows = [ids[kept] for ids, kept in zip(input_ids, keep, strict=True)]
    length = max(len(row) for row in rows)
    cut = input_ids.new_full((len(rows), length), pad_token_id)
    mask = attention_mask.new_zeros((len(rows), length))
    for number, row in enumerate(rows):
        cut[number, length - len(row) :] = row
        mask[number, length - len(row) :] = 1
    return {"input_ids": cut, "attention_mask": mask}


__all__ = ["GeneratorTrainer", "cut_answers", "gather_for_methods"]
