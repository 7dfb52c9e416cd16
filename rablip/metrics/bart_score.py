"""BARTScore: how likely a BART finds one text after another, per token."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from transformers import BartForConditionalGeneration, PreTrainedTokenizerBase

__all__ = ["BartScorer", "FluencyScorer"]


class FluencyScorer(Protocol):
    """Anything that scores texts after texts as `BartScorer` does."""

    def __call__(self, sources: Sequence[str], targets: Sequence[str]) -> Sequence[float]:
        """The mean log-probability of every target's tokens given its source."""
        ...


class BartScorer:
    """Scores texts with a BART: the mean over a target's tokens of log p(token | tokens before it, source).

    The mean is over all of the target's tokens, `<s>` and `</s>` included, as in BARTScore (Yuan et al. 2021); padding
    does not count. Weights are in single precision, and texts are cut at `max_tokens`.

    The official WebQA scorer loads `facebook/bart-large-cnn` and over it the ParaBank2 state dict of BARTScore
    (`bart.pth`, a pickle). rablip reads no pickle; convert it once, where the file is trusted:
    `model.load_state_dict(torch.load("bart.pth", weights_only=True))` on a
    `BartForConditionalGeneration.from_pretrained("facebook/bart-large-cnn")`, then `model.save_pretrained(folder)` and
    `tokenizer.save_pretrained(folder)`. Without that state dict the figures are others, and must be called so.

    Args:
        model: a `BartForConditionalGeneration`, or a folder that `from_pretrained` reads, which is loaded at the first
            call (safetensors only, in single precision).
        tokenizer: the model's tokenizer; None for the one in the folder.
        batch_size: pairs at once. It changes no score beyond rounding.
        max_tokens: where texts are cut; the model's own limit where that is lower.
        device: where a model from a folder runs; a given model stays where it is.

    Raises:
        TypeError: when the model is neither.
        ValueError: when a given model has no tokenizer or is not in single precision, or the folder holds no BART.

    Example:
        >>> scorer = BartScorer("converted-bart-large-cnn")  # doctest: +SKIP
        >>> scorer(["The door is green."], ["A green door."])  # doctest: +SKIP
        [-2.41]
    """

    def __init__(
        self,
        model: BartForConditionalGeneration | str | os.PathLike[str],
        tokenizer: PreTrainedTokenizerBase | None = None,
        *,
        batch_size: int = 16,
        max_tokens: int = 1024,
        device: str | None = None,
    ) -> None:
        if batch_size < 1 or max_tokens < 2:
            raise ValueError(
                f"batch_size must be at least 1 and max_tokens at least 2, but they are {batch_size} and {max_tokens}."
            )
        self.batch_size = batch_size
        self.max_tokens = max_tokens
        self._folder: Path | None = None
        self._model: Any = None
        self._tokenizer: Any = tokenizer
        self._device = device
        if isinstance(model, (str, os.PathLike)):
            self._folder = Path(model)
            if not self._folder.is_dir():
                raise ValueError(
                    f"{str(model)!r} is no folder. Give a loaded model and its tokenizer, or the folder that "
                    "save_pretrained wrote (a name on the Hub is downloaded first: huggingface_hub.snapshot_download)."
                )
        else:
            if tokenizer is None:
                raise ValueError("a given model needs its tokenizer: BartScorer(model, tokenizer).")
            if device is not None:
                raise ValueError(f"device={device!r} is for a model from a folder; move a given model before.")
            _check_model(model)
            self._model = model

    def __call__(self, sources: Sequence[str], targets: Sequence[str]) -> list[float]:
        """The mean log-probability of every target's tokens given its source.

        Args:
            sources: (num_pairs,) texts to condition on.
            targets: (num_pairs,) texts to score.

        Returns:
            (num_pairs,) scores, never above 0.

        Raises:
            TypeError: when a text is no string.
            ValueError: when there are more sources than targets, or the other way round.
        """
        if len(sources) != len(targets):
            raise ValueError(f"{len(sources)} sources were given for {len(targets)} targets.")
        for text in (*sources, *targets):
            if not isinstance(text, str):
                raise TypeError(f"texts must be strings, but {text!r} was given.")
        if not sources:
            return []
        self._load()
        # Pairs of like length share a batch: less padding to compute.
        order = sorted(range(len(sources)), key=lambda pair: len(sources[pair]) + len(targets[pair]))
        scores = [0.0] * len(sources)
        training = self._model.training
        self._model.eval()
        try:
            for start in range(0, len(order), self.batch_size):
                batch = order[start : start + self.batch_size]
                found = self._score_batch([sources[pair] for pair in batch], [targets[pair] for pair in batch])
                for pair, score in zip(batch, found, strict=True):
                    scores[pair] = score
        finally:
            self._model.train(training)
        return scores

    def _score_batch(self, sources: list[str], targets: list[str]) -> list[float]:
        import torch

        device = self._model.device
        with torch.inference_mode(), torch.autocast(device.type, enabled=False):
            source, target = self._encode(sources).to(device), self._encode(targets).to(device)
            logits = self._model(
                input_ids=source["input_ids"],
                attention_mask=source["attention_mask"],
                decoder_input_ids=self._model.prepare_decoder_input_ids_from_labels(labels=target["input_ids"]),
                use_cache=False,
            ).logits  # (batch_size, seq_len, vocab_size)
            token_scores = logits.log_softmax(-1).gather(-1, target["input_ids"].unsqueeze(-1)).squeeze(-1)
            mask = target["attention_mask"]  # (batch_size, seq_len), 1 = a token of the target
            means = (token_scores * mask).sum(-1) / mask.sum(-1)
        return [float(mean) for mean in means]

    def _encode(self, texts: list[str]) -> Any:
        # Positions of BART are counted from the left, padding or not: it has to stand on the right.
        return self._tokenizer(
            texts,
            padding=True,
            padding_side="right",
            truncation=True,
            max_length=min(self.max_tokens, self._model.config.max_position_embeddings),
            return_tensors="pt",
        )

    def _load(self) -> None:
        """Load the model and the tokenizer of the folder, once."""
        folder = self._folder
        if self._model is not None or folder is None:
            return
        import torch
        from transformers import AutoConfig, AutoTokenizer, BartForConditionalGeneration

        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        if config.model_type != "bart":
            raise ValueError(f"{str(folder)!r} holds a model of type {config.model_type!r}; BARTScore needs a BART.")
        loaded: Any = BartForConditionalGeneration.from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True, local_files_only=True, output_loading_info=True
        )
        model, info = loaded
        if info["missing_keys"]:
            missing = ", ".join(sorted(info["missing_keys"])[:3])
            raise ValueError(
                f"{str(folder)!r} lacks weights ({missing}, ...), which would be random: save the whole "
                "BartForConditionalGeneration with save_pretrained."
            )
        if self._tokenizer is None:
            self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self._model = model.to(self._device) if self._device else model


def _check_model(model: Any) -> None:
    import torch

    if getattr(getattr(model, "config", None), "model_type", None) != "bart":
        raise TypeError(f"model must be a BartForConditionalGeneration or a folder, but is a {type(model).__name__}.")
    dtypes = {parameter.dtype for parameter in model.parameters()}
    if dtypes != {torch.float32}:
        found = ", ".join(sorted(str(dtype) for dtype in dtypes))
        raise ValueError(
            f"BARTScore is computed in torch.float32, but the model's weights are in {found}: load it with "
            "dtype=torch.float32."
        )
