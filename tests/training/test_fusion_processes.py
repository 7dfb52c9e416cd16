"""Two processes that pre-train fusion together do what one does with the whole batch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from rablip.training.fusion.pretraining import FusionPretraining
from tests.tiny import NUM_IMAGE_TOKENS, QFORMER_VOCAB_SIZE, make_reranker, stir

CHECKOUT = Path(__file__).parents[2]
CUT = 3  # pairs of the first process; the second one has more

SCRIPT = """
import sys
from pathlib import Path
import torch
from safetensors.torch import load_file, save_file
from torch import distributed
from rablip.training.fusion.pretraining import FusionPretraining

folder = Path(sys.argv[1])
distributed.init_process_group("gloo")
rank = distributed.get_rank()
model = FusionPretraining.from_pretrained(folder / "model", captioning=True).freeze_unused()
replica = torch.nn.parallel.DistributedDataParallel(model)
output = replica(**load_file(folder / f"batch-{rank}.safetensors"))
output.loss.backward()
found = {name: value.detach().reshape(1).clone() for name, value in output.items()}
found |= {f"grad.{name}": value.grad for name, value in model.named_parameters() if value.grad is not None}
save_file(found, folder / f"found-{rank}.safetensors")
try:
    model(torch.tensor([[2, 3]]), image_embeds=torch.zeros(1, 1, 5, 24), negative_seed=torch.tensor([0]))
except ValueError as error:
    Path(folder, f"refused-{rank}.txt").write_text(str(error))
"""


def _make_batch() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, QFORMER_VOCAB_SIZE, (7, 6), generator=generator)
    mask = torch.ones_like(ids)
    # The first process has the short captions only.
    mask[:CUT, 4:] = 0
    return {
        "caption_input_ids": ids * mask,
        "caption_attention_mask": mask,
        "image_embeds": torch.randn(7, 1, NUM_IMAGE_TOKENS, 24, generator=generator),
        "image_mask": torch.ones(7, 1, dtype=torch.long),
        # A picture and a caption occur in both processes.
        "picture_keys": torch.tensor([1, 2, 3, 1, 5, 6, 7]),
        "caption_keys": torch.tensor([1, 2, 3, 4, 2, 6, 7]),
    }


@pytest.mark.slow
def test_two_processes_do_what_one_does(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = stir(FusionPretraining(make_reranker().config, captioning=True)).eval().freeze_unused()
    model.save_pretrained(tmp_path / "model")
    batch = _make_batch()
    # The sum over rows is taken in 63 bits, whoever holds them.
    seeds = (2**63 - 5, 9)
    for rank, part in enumerate((slice(CUT), slice(CUT, None))):
        held = {name: values[part] for name, values in batch.items()} | {"negative_seed": torch.tensor([seeds[rank]])}
        if rank == 0:
            held |= {name: held[name][:, :4] for name in ("caption_input_ids", "caption_attention_mask")}
        save_file({name: values.contiguous() for name, values in held.items()}, tmp_path / f"batch-{rank}.safetensors")
    (tmp_path / "train.py").write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "train.py", "."],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = [load_file(tmp_path / f"found-{rank}.safetensors") for rank in (0, 1)]

    output = model(**batch, negative_seed=torch.tensor([sum(seeds) % 2**63]))
    output.loss.backward()
    for name, value in output.items():
        assert found[0][name].item() != pytest.approx(found[1][name].item(), abs=1e-4)
        assert (found[0][name].item() + found[1][name].item()) / 2 == pytest.approx(value.item(), abs=1e-5), name
    gradients = {name: value.grad for name, value in model.named_parameters() if value.requires_grad}
    for rank in (0, 1):
        assert {name for name in found[rank] if name.startswith("grad.")} == {f"grad.{name}" for name in gradients}
        for name, value in gradients.items():
            torch.testing.assert_close(found[rank][f"grad.{name}"], value, atol=1e-5, rtol=1e-4, msg=name)
        assert "picture_keys" in (tmp_path / f"refused-{rank}.txt").read_text()
