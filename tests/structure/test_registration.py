"""`import rablip` makes the Auto classes know our classes, whichever is imported first and however often."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.structure.package_files import ROOT

CHECK = """
import pickle
from transformers import AutoConfig, AutoModel, AutoModelForImageTextToText, AutoProcessor
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING
import rablip
names = {
    "rablip": (rablip.RablipConfig, rablip.RablipForConditionalGeneration, rablip.RablipProcessor),
    "rablip_reranker": (rablip.RablipRerankerConfig, rablip.RablipReranker, rablip.RablipRetrieverProcessor),
    "rablip_retriever": (rablip.RablipRetrieverConfig, rablip.RablipRetriever, rablip.RablipRetrieverProcessor),
}
for model_type, (config, model, processor) in names.items():
    assert type(AutoConfig.for_model(model_type)) is config
    assert AutoModel._model_mapping[config].__name__ == model.__name__
    assert PROCESSOR_MAPPING[config].__name__ == processor.__name__
assert AutoModelForImageTextToText._model_mapping[rablip.RablipConfig].__name__ == "RablipForConditionalGeneration"
assert rablip.RablipRetrieverConfig not in AutoModelForImageTextToText._model_mapping
pickle.loads(pickle.dumps(AutoModel._model_mapping))
assert all(model.pusher is not None for _, model, _ in names.values()), "models do not know the way to the Hub"
"""
FIRST_LINES = {
    "rablip first": "import rablip",
    "transformers first": "from transformers import AutoConfig, AutoModel, AutoModelForImageTextToText, AutoProcessor",
    "a config of transformers in the middle": "import rablip\nfrom transformers import InstructBlipConfig",
    "a model of transformers in the middle": "import rablip\nfrom transformers import InstructBlipModel, T5Model",
    "the trainer in the middle": "import rablip\nfrom transformers import Trainer, pipeline",
    "peft first": "import rablip\nimport peft",
    "only the config module first": "from transformers import AutoConfig\nimport rablip",
    "one of our models first": "from rablip import RablipRetriever",
    "one of our processors first": "from rablip import RablipProcessor",
    "our config first": "from rablip import RablipConfig",
    "the model package first": "import rablip.modeling_rablip\nfrom rablip.modeling_rablip import RablipReranker",
    "twice": (
        "import rablip\nimport transformers.models.auto.modeling_auto\nfrom rablip._registration import install\n"
        "install(); install()\nimport sys\n"
        "assert sum(type(f).__name__ == '_RegisteringFinder' for f in sys.meta_path) == 1"
    ),
}


def run(code: str, *arguments: str, cwd: Path = ROOT) -> str:
    """Run code in a fresh interpreter; its output, or the failure of this test with its error."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=cwd, env=environment, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


SAMPLE = (
    "rablip first",
    "transformers first",
    "a config of transformers in the middle",
    "one of our models first",
    "twice",
)


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(line, id=name, marks=() if name in SAMPLE else pytest.mark.full)
        for name, line in FIRST_LINES.items()
    ],
)
def test_every_order_of_imports(first: str) -> None:
    run(first + CHECK)


def test_classes_are_themselves_after_first_use() -> None:
    """A stand-in in the mapping behaves like its class and makes room for it once it was used."""
    run(
        """
import rablip
from transformers import AutoModel
config = rablip.RablipRetrieverConfig
stand_in = AutoModel._model_mapping[config]
import sys
assert "rablip.modeling_rablip.modeling_rablip_retriever" not in sys.modules
assert stand_in.config_class is config and not hasattr(stand_in, "__wrapped__")
assert "rablip.modeling_rablip.modeling_rablip_retriever" not in sys.modules, "looking must not import"
assert stand_in.base_model_prefix == rablip.RablipRetriever.base_model_prefix
assert AutoModel._model_mapping[config] is rablip.RablipRetriever
assert issubclass(rablip.RablipRetriever, stand_in) and not issubclass(int, stand_in)
assert not isinstance(3, stand_in)
"""
    )


ORDERS = list(itertools.permutations(["import rablip", "import transformers", "import torch"]))[::2]


@pytest.mark.parametrize(
    "order",
    [
        pytest.param(order, id=", ".join(line.split()[1] for line in order), marks=pytest.mark.full if number else ())
        for number, order in enumerate(ORDERS)
    ],
)
def test_loading_by_the_auto_classes(order: tuple[str, ...], tiny_folders: dict[str, Path]) -> None:
    """Save here, load in a fresh process by Auto classes only: the right classes come back."""
    run(
        "\n".join(order)
        + """
import sys
from transformers import AutoConfig, AutoModel, AutoModelForImageTextToText, AutoProcessor
retriever, reranker, generator = sys.argv[1:]
assert type(AutoModel.from_pretrained(retriever)) is rablip.RablipRetriever
assert type(AutoModel.from_pretrained(reranker)) is rablip.RablipReranker
assert type(AutoModel.from_pretrained(generator)) is rablip.RablipForConditionalGeneration
assert type(AutoModelForImageTextToText.from_pretrained(generator)) is rablip.RablipForConditionalGeneration
assert type(AutoProcessor.from_pretrained(retriever)) is rablip.RablipRetrieverProcessor
assert type(AutoProcessor.from_pretrained(reranker)) is rablip.RablipRetrieverProcessor
assert type(AutoProcessor.from_pretrained(generator)) is rablip.RablipProcessor
assert type(AutoConfig.from_pretrained(reranker)) is rablip.RablipRerankerConfig
""",
        *(str(tiny_folders[name]) for name in ("retriever", "reranker", "generator")),
    )
