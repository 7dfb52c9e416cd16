"""How well pictures and texts find each other, and how well the joint view tells right pairs from wrong ones."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import torch

from ...processing.collators import FeatureLookup
from ...processing.processing_rablip_retriever import RablipRetrieverProcessor
from .pair_negatives import draw_negatives
from .pretraining import FusionPretraining
from .rows import FusionCollator, PicturePair


def find_ranks(scores: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """The rank of the best right column of every row; a wrong one with the same score stands before it.

    Args:
        scores (`torch.Tensor` of shape `(num_rows, num_columns)`): scores.
        known (`torch.BoolTensor` of shape `(num_rows, num_columns)`): True where the column is right for the row.

    Returns:
        `torch.LongTensor` of shape `(num_rows,)`: 0 where the best is right.

    Example:

    ```python
    >>> import torch
    >>> scores = torch.tensor([[3.0, 2.0, 1.0], [1.0, 1.0, 1.0]])
    >>> find_ranks(scores, torch.tensor([[True, False, True], [False, True, False]])).tolist()
    [0, 2]

    ```
    """
    best = scores.masked_fill(~known, -torch.inf).amax(dim=1, keepdim=True)
    # Not `>=`: a score that is no number must not make its row a find.
    return (~(scores < best) & ~known).sum(dim=1)


@torch.no_grad()
def measure_pair_retrieval(
    model: FusionPretraining,
    processor: RablipRetrieverProcessor,
    pairs: Sequence[PicturePair],
    *,
    root: str | os.PathLike[str] | None = None,
    features: FeatureLookup | None = None,
    batch_size: int = 64,
    seed: int = 0,
) -> dict[str, float]:
    """Retrieval between the pictures and the texts of some pairs, and matching of right and wrong pairs.

    Equal pictures count once, equal texts too; a text is right for a picture when any pair says so. What is measured
    does not depend on the batch size.

    Args:
        model: the model; it is measured in evaluation mode.
        processor: the retriever's processor.
        pairs: pictures with their texts, at least two of either that do not belong together.
        root: folder of the pictures' relative paths.
        features: picture ids to the frozen tower's features, used instead of opening pictures.
        batch_size: rows that go through the model at a time.
        seed: decides which wrong pairs are matched.

    Returns:
        `picture_to_text_recall@1`, `picture_to_text_recall@5`, `text_to_picture_recall@1`,
        `text_to_picture_recall@5`: the share of pictures (texts) with a right text (picture) among so many best.
        `matching_accuracy`: the mean of two shares, of all right pairs that are judged right, and of wrong pairs that
        are judged wrong, one per picture, drawn evenly; 0.5 for a model that says the same of all.

    Raises:
        ValueError: there is no wrong pair.
    """
    collator = FusionCollator(processor, root=root, features=features)
    was_training = model.training
    model.eval()
    try:
        pictures = _Pictures(model, collator, pairs, batch_size)
        texts = _Texts(model, collator, pairs, batch_size)
        known = torch.zeros(len(pictures.keys), len(texts.keys), dtype=torch.bool)
        for pair, key in zip(pairs, pictures.of_pairs, strict=True):
            for text in pair.texts:
                known[key, texts.places[text]] = True
        if known.all():
            raise ValueError(
                f"All {len(texts.keys)} texts are right for all {len(pictures.keys)} pictures, so there is nothing to "
                "tell apart. Give pairs of different pictures with different texts."
            )
        measured = {}
        for name, rows, columns, right in (
            ("picture_to_text", pictures.embeds, texts.embeds, known),
            ("text_to_picture", texts.embeds, pictures.embeds, known.T),
        ):
            ranks = torch.cat(
                [find_ranks(rows[batch] @ columns.T, right[batch]) for batch in _split(len(rows), batch_size)]
            )
            for k in (1, 5):
                measured[f"{name}_recall@{k}"] = int((ranks < k).sum()) / len(ranks)
        measured["matching_accuracy"] = _match_all(model, pictures, texts, known, batch_size, seed)
    finally:
        model.train(was_training)
    return measured


class _Pictures:
    """The different pictures of the pairs: their embeddings, keys and, batch by batch, their inputs."""

    def __init__(
        self, model: FusionPretraining, collator: FusionCollator, pairs: Sequence[PicturePair], batch_size: int
    ) -> None:
        self.model = model
        self.collator = collator
        places: dict[int, int] = {}
        self.of_pairs: list[int] = []
        self.shown: list[PicturePair] = []
        embeds = []
        for batch in _split(len(pairs), batch_size):
            rows = pairs[batch]
            inputs = self._prepare(rows)
            keys = inputs.pop("picture_keys").tolist()
            fresh = []
            for row, key in enumerate(keys):
                if key not in places:
                    places[key] = len(places)
                    self.shown.append(rows[row])
                    fresh.append(row)
                self.of_pairs.append(places[key])
            if fresh:
                embeds.append(model.embed(**inputs)[fresh].cpu())
        self.keys = torch.tensor(list(places))
        self.embeds = torch.cat(embeds)

    def _prepare(self, rows: Sequence[PicturePair]) -> dict[str, torch.Tensor]:
        batch = self.collator.prepare_pictures([(row.id, row.image) for row in rows])
        inputs = {name: values.to(self.model.device) for name, values in batch.items()}
        if "pixel_values" in inputs:
            inputs["image_embeds"] = self.model.encode_images(inputs.pop("pixel_values"), inputs["image_mask"])
        return inputs

    def take(self, places: torch.Tensor) -> dict[str, torch.Tensor]:
        """What `FusionPretraining.match` takes of these pictures."""
        inputs = self._prepare([self.shown[place] for place in places.tolist()])
        return {name: inputs[name] for name in ("image_embeds", "image_mask")}


class _Texts:
    """The different texts of the pairs: their embeddings, keys and, batch by batch, their inputs."""

    def __init__(
        self, model: FusionPretraining, collator: FusionCollator, pairs: Sequence[PicturePair], batch_size: int
    ) -> None:
        self.collator = collator
        self.device = model.device
        spelled = list(dict.fromkeys(text for pair in pairs for text in pair.texts))
        of_keys: dict[int, int] = {}
        self.places: dict[str, int] = {}
        self.shown: list[str] = []
        embeds = []
        for batch in _split(len(spelled), batch_size):
            prepared = collator.prepare_texts(spelled[batch])
            fresh = []
            for row, key in enumerate(prepared["caption_keys"].tolist()):
                text = spelled[batch][row]
                if key not in of_keys:
                    of_keys[key] = len(of_keys)
                    self.shown.append(text)
                    fresh.append(row)
                self.places[text] = of_keys[key]
            if fresh:
                ids, mask = (prepared[f"caption_{name}"].to(self.device) for name in ("input_ids", "attention_mask"))
                embeds.append(model.embed(ids, mask)[fresh].cpu())
        self.keys = torch.tensor(list(of_keys))
        self.embeds = torch.cat(embeds)

    def take(self, places: torch.Tensor) -> dict[str, torch.Tensor]:
        """What `FusionPretraining.match` takes of these texts."""
        prepared = self.collator.prepare_texts([self.shown[place] for place in places.tolist()])
        return {name: prepared[f"caption_{name}"].to(self.device) for name in ("input_ids", "attention_mask")}


def _match_all(
    model: FusionPretraining, pictures: _Pictures, texts: _Texts, known: torch.Tensor, batch_size: int, seed: int
) -> float:
    drawn, found = draw_negatives(
        torch.zeros(known.shape), known, torch.tensor([seed]), row_keys=pictures.keys, column_keys=texts.keys
    )
    wrong = torch.stack([found.nonzero()[:, 0], drawn[found]], dim=1)
    right = known.nonzero()
    judged = []
    for places in (right, wrong):
        hits = [
            model.match(**texts.take(places[batch, 1]), **pictures.take(places[batch, 0])).cpu() > 0
            for batch in _split(len(places), batch_size)
        ]
        judged.append(int(torch.cat(hits).sum()) / len(places))
    return (judged[0] + (1 - judged[1])) / 2


def _split(count: int, size: int) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, count, size))


__all__ = ["find_ranks", "measure_pair_retrieval"]
