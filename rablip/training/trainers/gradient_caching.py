"""Gradient caching: the contrastive loss of a large batch with the memory of a small one, exactly.

All rows are embedded in chunks without a graph, the loss is computed over all embeddings at once, and each chunk is
embedded again, under the random state it had, to pass the loss's gradient of its embeddings on to the weights.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import get_device_states, set_device_states

EMBEDDING_INPUTS = ("input_ids", "attention_mask", "pixel_values", "image_embeds", "image_mask")


def select_inputs(batch: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """What of a batch embeds questions and knowledge items: no masks of positives, no keys.

    Args:
        batch: as `RetrieverCollator` gives it.

    Returns:
        The entries named in `EMBEDDING_INPUTS`, plain for questions and with the prefix `knowledge_` for items.

    Example:
        >>> sorted(select_inputs({"input_ids": 1, "knowledge_input_ids": 2, "positive_mask": 3}))
        ['input_ids', 'knowledge_input_ids']
    """
    names = (*EMBEDDING_INPUTS, *(f"knowledge_{name}" for name in EMBEDDING_INPUTS))
    return {name: batch[name] for name in names if batch.get(name) is not None}


def embed_in_chunks(
    retriever: torch.nn.Module, batch: Mapping[str, Any], *, chunk_size: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Embed the questions and the items of a batch a few rows at a time, without gradient.

    Args:
        retriever: a `RablipRetriever`, maybe wrapped.
        batch: inputs of `RablipRetriever.forward` for questions and items.
        chunk_size: most rows at a time.

    Returns:
        `question_embeds` and `knowledge_embeds`, as in `RablipRetrieverOutput`.

    Raises:
        ValueError: as `contrastive_step`.
    """
    chunks = _split(batch, chunk_size)
    with torch.no_grad():
        embeds = [chunk.embed(retriever) for chunk in chunks]
    return _join(chunks, embeds, "question_embeds"), _join(chunks, embeds, "knowledge_embeds")


def contrastive_step(
    retriever: torch.nn.Module,
    batch: Mapping[str, Any],
    *,
    chunk_size: int,
    loss_function: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    backward: Callable[[torch.Tensor], Any] = torch.Tensor.backward,
) -> torch.Tensor:
    """Back-propagate a contrastive loss over a whole batch, with the activations of one chunk at a time.

    The gradients are those of embedding the same chunks in one graph: without dropout those of the plain batch, with
    dropout those under the random state in which each chunk is embedded first. Weights are read twice, so nothing may
    change them in between.

    Args:
        retriever: a `RablipRetriever`, maybe wrapped by PEFT, by DistributedDataParallel (gradients are exchanged with
            the last chunk, and only if they would be after a plain backward), or to run under autocast.
        batch: inputs of `RablipRetriever.forward` for questions and items; other entries are not read.
        chunk_size: most questions, or items, that are embedded at a time.
        loss_function: takes `question_embeds` (num_questions, embedding_dim) and `knowledge_embeds` (num_items,
            embedding_dim) or (num_items, num_vectors, embedding_dim), gives the scalar loss; weights that it uses
            itself, such as the temperature, get their gradient too. It may gather over processes.
        backward: back-propagates the loss; what scales the loss there (`accelerator.backward`, a GradScaler) scales
            all gradients alike.

    Returns:
        The loss, detached and unscaled.

    Raises:
        ValueError: `chunk_size` is below 1, questions or items are missing, the tensors of one side differ in their
            number of rows, no weight is trained; or DistributedDataParallel is told that its graph is static, or to
            find unused weights where the last chunk uses none.

    Example (with a retriever and a batch):
        `contrastive_step(retriever, batch, chunk_size=32, loss_function=lambda questions, items: contrastive_loss(
        retriever.logit_scale(score_largest(questions, items)), batch["positive_mask"]))`
    """
    chunks = _split(batch, chunk_size)
    if not any(parameter.requires_grad for parameter in retriever.parameters()):
        raise ValueError("No weight of the retriever is trained. Set requires_grad on what is to learn.")
    distributed = _find_distributed(retriever)
    witnesses = _device_witnesses(retriever, batch)
    states, embeds = [], []
    with torch.no_grad():
        for chunk in chunks:
            states.append(_RandomState(witnesses))
            embeds.append(chunk.embed(retriever))
    leaves = {name: _join(chunks, embeds, name).requires_grad_() for name in ("question_embeds", "knowledge_embeds")}
    del embeds

    with torch.enable_grad():
        with _no_sync(distributed):
            loss = loss_function(leaves["question_embeds"], leaves["knowledge_embeds"])
            backward(loss)
        gradients = {name: torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for name, leaf in leaves.items()}
        for number, (chunk, state) in enumerate(zip(chunks, states, strict=True), start=1):
            exchanging = distributed if number == len(chunks) else None
            with _no_sync(None if exchanging else distributed), state.replay():
                roots: dict[torch.Tensor, torch.Tensor | None] = {
                    chunk.embed(retriever): gradients[chunk.output][chunk.rows]
                }
                if exchanging is not None and not exchanging.find_unused_parameters:
                    roots[_touch(exchanging)] = None
                # A chunk may use frozen weights only, such as texts where only the reading of pictures is trained.
                learning = [root for root in roots if root.requires_grad]
                if learning:
                    torch.autograd.backward(learning, [roots[root] for root in learning])
                elif exchanging is not None:
                    raise ValueError(
                        "The last chunk of knowledge items uses no trained weight, so that the gradients would not be "
                        "exchanged. Make DistributedDataParallel with find_unused_parameters=False "
                        "(`ddp_find_unused_parameters` of TrainingArguments)."
                    )
    return loss.detach()


@dataclass(frozen=True)
class _Chunk:
    """Some rows of the questions, or of the items, as inputs of the model's forward."""

    output: str
    rows: slice
    inputs: dict[str, torch.Tensor]

    def embed(self, retriever: torch.nn.Module) -> torch.Tensor:
        """The embeddings of these rows; through `forward`, where wrappers hook in."""
        embeds: torch.Tensor = retriever(**self.inputs, return_loss=False)[self.output]
        return embeds


def _split(batch: Mapping[str, Any], chunk_size: int) -> list[_Chunk]:
    """The questions' chunks, then the items'."""
    if chunk_size < 1:
        raise ValueError(f"`chunk_size` is {chunk_size}; give the number of rows to embed at a time, at least 1.")
    inputs = select_inputs(batch)
    chunks = []
    for output, prefix in (("question_embeds", ""), ("knowledge_embeds", "knowledge_")):
        side = {name: values for name, values in inputs.items() if name.startswith("knowledge_") == bool(prefix)}
        counts = {name: len(values) for name, values in side.items()}
        if not any(counts.values()):
            what = "questions" if not prefix else "knowledge items"
            raise ValueError(f"There are no {what} in the batch, only {sorted(batch)}. Give `{prefix}input_ids`.")
        if len(set(counts.values())) > 1:
            raise ValueError(f"These differ in their number of rows: {counts}. Give one row each per input.")
        for start in range(0, next(iter(counts.values())), chunk_size):
            rows = slice(start, start + chunk_size)
            chunks.append(_Chunk(output, rows, {name: values[rows] for name, values in side.items()}))
    return chunks


def _join(chunks: list[_Chunk], embeds: list[torch.Tensor], output: str) -> torch.Tensor:
    return torch.cat([part for chunk, part in zip(chunks, embeds, strict=True) if chunk.output == output])


def _device_witnesses(retriever: torch.nn.Module, batch: Mapping[str, Any]) -> list[torch.Tensor]:
    """One tensor of every device in use."""
    tensors = [*retriever.parameters(), *select_inputs(batch).values()]
    return list({tensor.device: tensor for tensor in tensors}.values())


class _RandomState:
    """The random state of the CPU and the devices in use, to be had once more."""

    def __init__(self, witnesses: list[torch.Tensor]) -> None:
        kinds = sorted({tensor.device.type for tensor in witnesses} - {"cpu", "meta"})
        self.kind = kinds[0] if kinds else "cuda"  # without devices the kind is not looked at
        self.cpu = torch.get_rng_state()
        self.devices, self.states = get_device_states(*witnesses)

    @contextlib.contextmanager
    def replay(self) -> Iterator[None]:
        """Go back to this state, and afterwards to the one before."""
        with torch.random.fork_rng(self.devices, device_type=self.kind):
            torch.set_rng_state(self.cpu)
            set_device_states(self.devices, self.states, device_type=self.kind)
            yield


def _no_sync(distributed: DistributedDataParallel | None) -> contextlib.AbstractContextManager[None]:
    """Keep gradients in this process for now."""
    return contextlib.nullcontext() if distributed is None else distributed.no_sync()


def _find_distributed(retriever: torch.nn.Module) -> DistributedDataParallel | None:
    """The DistributedDataParallel around the model, also inside what torch.compile makes."""
    model = getattr(retriever, "_orig_mod", retriever)
    if not isinstance(model, DistributedDataParallel):
        return None
    if model.static_graph:
        raise ValueError(
            "DistributedDataParallel was made with static_graph=True, but chunks do not all use the same weights. "
            "Make it with static_graph=False."
        )
    return model


def _touch(model: torch.nn.Module) -> torch.Tensor:
    """Nothing of every trained weight: DistributedDataParallel waits for all of them in the last chunk's backward."""
    nothing = [parameter.reshape(-1)[:0].float().sum() for parameter in model.parameters() if parameter.requires_grad]
    return torch.stack([part.to(nothing[0].device) for part in nothing]).sum()


__all__ = ["EMBEDDING_INPUTS", "contrastive_step", "embed_in_chunks", "select_inputs"]
