"""WebQA's QA-FL: how likely a BART finds the answer given the reference, beside the reference given itself."""

from __future__ import annotations

import math
import re
import string
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .results import MetricResult
from .scorer_inputs import require_same_ids, require_texts
from .webqa import WebQAReference, group_by_category

if TYPE_CHECKING:
    from transformers import BartForConditionalGeneration, PreTrainedTokenizerBase

__all__ = ["BartScorer", "LikelihoodScorer", "prepare_fluency_text", "score_webqa_fluency", "score_webqa_overall"]

LikelihoodScorer = Callable[[Sequence[str], Sequence[str]], Sequence[float]]
"""Takes sources and targets of one length; gives the mean log-probability of each target's tokens given its source."""

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_MAX_TOKENS = 1024


class BartScorer:
    """The likelihood of texts by a BART, as BARTScore: in fp32, cut at 1,024 tokens, padding never counts.

    The official model is `facebook/bart-large-cnn` with the weights of `bart.pth` (fine-tuned on ParaBank2), which is
    a pickle. Convert it once, in an environment of your own: load it there with `weights_only=True` into that model,
    and `save_pretrained` model and tokenizer; then give the folder here. Without these weights figures are not those
    of the leaderboard.

    Args:
        model: the model; it is used as it is, on its device.
        tokenizer: its tokenizer.
        batch_size: texts at once.

    Example:
        >>> scorer = BartScorer.from_pretrained("bart_parabank")  # doctest: +SKIP
        >>> scorer(["The door is red."], ["A red door."])  # doctest: +SKIP
        [-1.7]
    """

    def __init__(
        self, model: BartForConditionalGeneration, tokenizer: PreTrainedTokenizerBase, *, batch_size: int = 16
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}.")
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.batch_size = batch_size

    @classmethod
    def from_pretrained(cls, folder: str | Path, *, device: str | None = None, batch_size: int = 16) -> BartScorer:
        """Load model and tokenizer of a folder; nothing is downloaded.

        Args:
            folder: as `save_pretrained` made it.
            device: where it runs; None for the CPU.
            batch_size: texts at once.

        Raises:
            FileNotFoundError: when there is no such folder.
        """
        import torch
        from transformers import AutoTokenizer, BartForConditionalGeneration

        if not Path(folder).is_dir():
            raise FileNotFoundError(f"There is no folder {folder} with a BART. Save one there with save_pretrained.")
        model: Any = BartForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
        return cls(model.to(device or "cpu"), AutoTokenizer.from_pretrained(folder), batch_size=batch_size)

    def __call__(self, sources: Sequence[str], targets: Sequence[str]) -> list[float]:
        """The mean log-probability of the tokens of each target, `<s>` and `</s>` included, given its source.

        Args:
            sources: what the encoder reads.
            targets: what the decoder says; as many.

        Raises:
            ValueError: when there are not as many of both.
        """
        if len(sources) != len(targets):
            raise ValueError(f"There are {len(sources)} sources for {len(targets)} targets.")
        scores: list[float] = []
        for start in range(0, len(sources), self.batch_size):
            part = slice(start, start + self.batch_size)
            scores += self._score(list(sources[part]), list(targets[part]))
        return scores

    def _score(self, sources: list[str], targets: list[str]) -> list[float]:
        import torch

        read, said = (
            self.tokenizer(texts, padding=True, truncation=True, max_length=_MAX_TOKENS, return_tensors="pt").to(
                self.model.device
            )
            for texts in (sources, targets)
        )
        with torch.no_grad():
            logits = self.model(
                input_ids=read["input_ids"], attention_mask=read["attention_mask"], labels=said["input_ids"]
            ).logits
        of_tokens = logits.float().log_softmax(-1).gather(2, said["input_ids"].unsqueeze(2)).squeeze(2)
        mask = said["attention_mask"]
        means: list[float] = ((of_tokens * mask).sum(1) / mask.sum(1)).tolist()
        return means


def prepare_fluency_text(text: str) -> str:
    """Delete all ASCII punctuation and collapse blanks; the case stays.

    Example:
        >>> prepare_fluency_text('"The  door is red." ')
        'The door is red'
    """
    return re.sub(r"\s+", " ", text.translate(_PUNCTUATION)).strip()


def score_webqa_fluency(
    predictions: Mapping[str, str],
    references: Mapping[str, WebQAReference],
    *,
    scorer: LikelihoodScorer,
    normalize: bool = True,
) -> MetricResult:
    """QA-FL: `min(1, max over references A of exp(s(A -> answer)) / exp(s(A -> A)))`, averaged over questions.

    The source is the reference, the target the answer.

    Args:
        predictions: question id (Guid) to answer; a question without one, or with an empty one, scores 0.
        references: question id to reference.
        scorer: gives s, such as a `BartScorer`; where it is not the official model, say so beside the figure.
        normalize: whether s is divided by what the reference gives itself; False is the official `--no_norm`.

    Returns:
        The mean, from 0 to 1, also by category.

    Raises:
        TypeError: when a prediction is no string.
        ValueError: when a prediction belongs to no question, a question has no reference answer, or the scorer gives
            something else than one finite number a pair.

    Example:
        >>> def shares_words(sources, targets):
        ...     return [-float(source != target) for source, target in zip(sources, targets)]
        >>> references = {"q1": WebQAReference(answers=["It is red."], category="color")}
        >>> round(score_webqa_fluency({"q1": "Red!"}, references, scorer=shares_words).value, 4)
        0.3679
    """
    require_texts(predictions)
    counts = require_same_ids(predictions, references, allow_missing=True)
    bare = [question_id for question_id, one in references.items() if not one.answers]
    if bare:
        raise ValueError(f"{len(bare)} questions have no reference answer, such as {bare[0]!r}: leave them out.")
    pairs = [
        (question_id, prepare_fluency_text(answer), prepare_fluency_text(predictions[question_id]))
        for question_id, reference in references.items()
        if prepare_fluency_text(predictions.get(question_id, ""))
        for answer in reference.answers
    ]
    sources = [source for _, source, _ in pairs]
    said = _ask(scorer, sources, [target for _, _, target in pairs])
    itself = _ask(scorer, sources, sources) if normalize else [0.0] * len(pairs)
    values = dict.fromkeys(references, 0.0)
    for (question_id, _, _), score, best in zip(pairs, said, itself, strict=True):
        values[question_id] = max(values[question_id], min(1.0, math.exp(score - best)))
    return MetricResult(
        metric="webqa_fluency",
        variant="official" if normalize else "no_norm",
        value=sum(values.values()) / len(values),
        values=values,
        groups=group_by_category(values, references),
        details=counts,
    )


def score_webqa_overall(fluency: MetricResult, accuracy: MetricResult) -> MetricResult:
    """QA: the mean over questions of fluency times accuracy (not the product of the two means).

    Args:
        fluency: of `score_webqa_fluency`.
        accuracy: of `score_webqa`, over the same questions.

    Raises:
        ValueError: when they are of other questions.

    Example:
        >>> one = MetricResult(metric="a", variant="official", value=0.5, values={"q1": 1.0, "q2": 0.0})
        >>> score_webqa_overall(one, one).value
        0.5
    """
    if fluency.values.keys() != accuracy.values.keys():
        raise ValueError(
            f"Fluency is of {fluency.num_questions} questions and accuracy of {accuracy.num_questions}, and not the "
            "same ones. Score both over one split."
        )
    values = {question_id: value * accuracy.values[question_id] for question_id, value in fluency.values.items()}
    return MetricResult(
        metric="webqa_overall",
        variant=accuracy.variant if fluency.variant == "official" else f"{accuracy.variant}, {fluency.variant}",
        value=sum(values.values()) / len(values),
        values=values,
    )


def _ask(scorer: LikelihoodScorer, sources: Sequence[str], targets: Sequence[str]) -> list[float]:
    scores: list[Any] = list(scorer(sources, targets)) if sources else []
    if len(scores) != len(sources) or not all(math.isfinite(score) for score in scores):
        raise ValueError(f"The scorer gave {len(scores)} scores for {len(sources)} pairs, or one that is not finite.")
    return [float(score) for score in scores]
