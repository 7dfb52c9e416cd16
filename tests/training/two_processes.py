"""What two processes have to do as one does, to be run by torchrun; `test_gathering.py` starts it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from rablip.training.trainers.gathering import gather_rows, num_processes, process_rank, sum_over_processes
from tests.training.contrastive_rows import (
    assert_same_gradients,
    make_collator,
    make_examples,
    make_model,
    make_trainer,
    read_gradients,
)


def check_gathering() -> None:
    """Rows come in the order of ranks, whatever their number, and gradients go home."""
    rank = process_rank()
    assert num_processes() == 2
    own = torch.arange(3.0 - rank).add(10 * rank).repeat(2, 1).T.clone().requires_grad_()  # 3 rows, then 2
    rows = gather_rows(own)
    assert rows[:, 0].tolist() == [0.0, 1.0, 2.0, 10.0, 11.0]
    # Process r says (r + 1) * (row number + 1) of each row: a row's gradient is the sum of both.
    weights = torch.arange(1.0, 6.0)
    ((rank + 1) * rows[:, 0] * weights).sum().backward()
    expected = 3 * (weights[:3] if rank == 0 else weights[3:])
    assert own.grad is not None and torch.equal(own.grad[:, 0], expected) and not own.grad[:, 1].any()
    assert gather_rows(own[: 2 * rank]).shape == (2, 2), "a process may have no rows at all"
    keys = gather_rows(torch.tensor([2**62 + rank, -1]))
    assert keys.tolist() == [2**62, -1, 2**62 + 1, -1]
    assert sum_over_processes(torch.tensor(rank + 1)).item() == 3
    vectors = torch.ones(1, 1 + rank, 2, requires_grad=True)
    filled = gather_rows(vectors, fill_value=0.0)
    assert filled.shape == (2, 2, 2) and not filled[0, 1].any() and filled[1].all()
    filled.sum().backward()
    assert vectors.grad is not None and vectors.grad.unique().item() == 2.0
    try:
        gather_rows(vectors)
    except ValueError as error:
        assert "(1, 1, 2), (1, 2, 2)" in str(error)
    else:
        raise AssertionError("rows of different width are no error")


def reference(sizes: tuple[int, ...], **model_options: Any) -> tuple[float, dict[str, torch.Tensor]]:
    """Loss and gradients of one process, by the model's own forward, as a mean over questions."""
    model, examples, collator = make_model(**model_options), make_examples(), make_collator()
    total, start = 0.0, 0
    for size in sizes:
        loss = model(**collator(examples[start : start + size])).loss * size / sum(sizes)
        loss.backward()
        total, start = total + loss.item(), start + size
    return total, read_gradients(model)


def check_steps(folder: Path) -> None:
    """The halves of a batch, equal or not, at once or in chunks, give its loss and gradients."""
    rank = process_rank()
    kinds: dict[str, dict[str, Any]] = {
        name: {"retrieval_config": {"embedding_dim": 16, "vectors": name}} for name in ("one", "per_query")
    }
    references = {name: reference((8,), **options) for name, options in kinds.items()}
    # Where one side has no pictures, its chunks leave weights unused that the other side needs.
    cases: list[tuple[str, int, int | None, bool]] = [
        ("one", 4, None, True),
        ("one", 4, 3, True),
        ("one", 1, 3, True),
        ("one", 1, 1, False),
        ("per_query", 1, None, True),
        ("per_query", 1, 3, False),
    ]
    for name, cut, chunk_size, find_unused in cases:
        loss, gradients = references[name]
        batch = make_collator()(make_examples()[:cut] if rank == 0 else make_examples()[cut:])
        assert cut != 1 or ("knowledge_image_embeds" in batch) == (rank == 1)
        counts = gather_rows(torch.tensor([len(batch["knowledge_input_ids"])]))
        assert counts[0] != counts[1], "the processes have different numbers of items"
        model = make_model(**kinds[name])
        trainer = make_trainer(model, folder, chunk_size=chunk_size)
        wrapped = DistributedDataParallel(model, find_unused_parameters=find_unused)
        for _ in range(2):  # the second step shows that the first one left nothing behind
            model.zero_grad()
            mean = sum_over_processes(trainer.training_step(wrapped, batch)).item() / 2
            assert abs(mean - loss) < 1e-6 * max(1.0, loss), (mean, loss, name, cut, chunk_size)
            assert_same_gradients(read_gradients(wrapped), gradients)


def check_training(folder: Path) -> None:
    """Trainer itself, with accumulation: two micro-batches of four questions, two from each process."""
    loss, gradients = reference((4, 4))
    for chunk_size in (None, 3):
        options = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 2, "ddp_backend": "gloo"}
        trainer = make_trainer(make_model(), folder, chunk_size=chunk_size, per_device_eval_batch_size=4, **options)
        metrics = trainer.evaluate()
        whole, _ = reference((8,))
        assert abs(metrics["eval_loss"] - whole) < 1e-5 and 0.0 <= metrics["eval_recall@1"] <= 1.0
        assert trainer.predict(make_examples()).predictions.shape == (8, 4)  # type: ignore[arg-type]
        trainer.train()
        assert trainer.args.world_size == 2 and len(trainer.watch.steps) == 1  # type: ignore[attr-defined]
        logged = [line["loss"] for line in trainer.state.log_history if "loss" in line]
        assert abs(logged[0] - loss) < 1e-4, (logged, loss)  # the log is rounded
        assert_same_gradients(trainer.watch.steps[0], gradients)  # type: ignore[attr-defined]


if __name__ == "__main__":
    distributed.init_process_group("gloo")
    torch.set_num_threads(1)
    check_gathering()
    check_steps(Path(sys.argv[1]))
    check_training(Path(sys.argv[1]))
    (Path(sys.argv[1]) / f"done-{process_rank()}").touch()
    distributed.destroy_process_group()
