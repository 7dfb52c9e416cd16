"""Rows of fusion pre-training: pictures with the texts that are right for them, one drawn per epoch, as batches."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from ...processing.batching_rablip import Picture
from ...processing.collators import FeatureLookup
from ...processing.images_rablip import load_image
from ...processing.knowledge_rablip import ImageRef, KnowledgeItem
from ...processing.processing_rablip_retriever import RablipRetrieverProcessor
from ...processing.prompts_rablip import format_knowledge_item


@dataclass(frozen=True, kw_only=True)
class PicturePair:
    """A picture and the texts that are right for it.

    Args:
        id: name of the picture; its features are looked up by it.
        image: the picture.
        texts: captions, titles or descriptions, at least one, none of them blank.

    Raises:
        TypeError: when a field has another type than documented.
        ValueError: when there is no text, or a blank one.

    Example:
        >>> PicturePair(id="8", image=ImageRef(path="tower.png"), texts=("The tower", "A red roof")).texts[1]
        'A red roof'
    """

    id: str
    image: ImageRef
    texts: tuple[str, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.image, ImageRef):
            raise TypeError(
                f"PicturePair.image of {self.id!r} must be an ImageRef, got {type(self.image).__name__}. Pass "
                "ImageRef(path=...)."
            )
        if not isinstance(self.texts, (tuple, list)) or not all(isinstance(text, str) for text in self.texts):
            raise TypeError(f"PicturePair.texts of {self.id!r} must be a tuple of str, got {self.texts!r:.80}.")
        object.__setattr__(self, "texts", tuple(self.texts))
        if not self.texts or not all(text.strip() for text in self.texts):
            raise ValueError(f"PicturePair {self.id!r} needs texts with words in them, got {self.texts!r:.80}.")


@dataclass(frozen=True, kw_only=True)
class PairExample:
    """One row of a batch: a picture with one of its texts.

    Args:
        id: name of the picture.
        image: the picture.
        text: the text.
        seed: from 0 to 2**63 - 1; the seeds of a batch's rows decide which wrong pairs it learns from.
    """

    id: str
    image: ImageRef
    text: str
    seed: int


def pairs_from_items(items: Iterable[KnowledgeItem]) -> list[PicturePair]:
    """The pictures of knowledge items, each with its item's title, caption and text.

    As where an item's text is formatted, a part that a later one repeats or begins with is left out.

    Args:
        items: knowledge items; those without a picture, or without any text, give no pair.

    Returns:
        The pairs, in the order of the items.

    Example:
        >>> picture = ImageRef(path="tower.png")
        >>> item = KnowledgeItem(id="8", image=picture, title="Tower", caption="A red roof", text="Tower: of 1889.")
        >>> [pair.texts for pair in pairs_from_items([item, KnowledgeItem(id="9", image=picture)])]
        [('A red roof', 'Tower: of 1889.')]
    """
    pairs = []
    for item in items:
        parts = [part for part in (item.title, item.caption, item.text) if part and part.strip()]
        texts = tuple(
            part for place, part in enumerate(parts) if not any(_says(later, part) for later in parts[place + 1 :])
        )
        if item.image is not None and texts:
            pairs.append(PicturePair(id=item.id, image=item.image, texts=texts))
    return pairs


def _says(text: str, part: str) -> bool:
    """Whether the formatted text is the same with and without the part as its title."""
    return format_knowledge_item(KnowledgeItem(id="-", title=part, text=text)) == format_knowledge_item(
        KnowledgeItem(id="-", text=text)
    )


class PairRows(torch.utils.data.Dataset):
    """Pairs as rows, each with one of its texts: row *i* is a function of the seed, the epoch and *i* alone.

    The order of an epoch is the dataset's own (`train_sampling_strategy="sequential"` keeps it). `Trainer` and
    accelerate call `set_epoch`; worker processes see it too.

    Args:
        pairs: pictures with their texts.
        seed: seed of order, texts and wrong pairs.
        shuffle: False keeps the order of the pairs, as evaluation wants it, and epochs alike.

    Raises:
        ValueError: when there are no pairs.

    Example:
        >>> rows = PairRows([PicturePair(id="8", image=ImageRef(path="tower.png"), texts=("The tower",))], seed=0)
        >>> len(rows), rows[0].text
        (1, 'The tower')
    """

    def __init__(self, pairs: Sequence[PicturePair], *, seed: int, shuffle: bool = True) -> None:
        if not pairs:
            raise ValueError("There are no pairs of a picture and a text to train on. Pass at least one.")
        self.pairs = list(pairs)
        self.seed = seed
        self.shuffle = shuffle
        # Shared memory, so that workers that outlive an epoch see the next one.
        self._epoch = torch.zeros((), dtype=torch.long).share_memory_()
        self._ordered: tuple[int, list[int]] | None = None

    def set_epoch(self, epoch: int) -> None:
        """Order and texts are those of this epoch from now on."""
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> PairExample:
        epoch = int(self._epoch) if self.shuffle else 0
        if self._ordered is None or self._ordered[0] != epoch:
            order = np.random.default_rng([self.seed, epoch]).permutation(len(self.pairs))
            self._ordered = (epoch, order.tolist() if self.shuffle else list(range(len(self.pairs))))
        place = self._ordered[1][index]
        pair = self.pairs[place]
        # The place in the pairs, not in the epoch, so that -1 gives what the last index gives.
        generator = np.random.default_rng([self.seed, epoch, place])
        text = pair.texts[int(generator.integers(len(pair.texts)))]
        return PairExample(id=pair.id, image=pair.image, text=text, seed=int(generator.integers(2**63)))


class FusionCollator:
    """Rows to the inputs of `FusionPretraining.forward`.

    A picture comes as the retriever gets a picture without words, a text as it gets an item that is text. Pictures and
    texts that are equal to the model get equal keys, whatever their ids.

    Args:
        processor: the retriever's processor.
        root: folder of the pictures' relative paths.
        features: picture ids to the frozen tower's features, used instead of opening pictures.

    Example (with a processor):
        `DataLoader(PairRows(pairs, seed=0), batch_size=64, collate_fn=FusionCollator(processor))`
    """

    def __init__(
        self,
        processor: RablipRetrieverProcessor,
        *,
        root: str | os.PathLike[str] | None = None,
        features: FeatureLookup | None = None,
    ) -> None:
        self.processor = processor
        self.root = root
        self.features = features

    def __call__(self, examples: Sequence[PairExample]) -> dict[str, torch.Tensor]:
        """Collates rows.

        Returns:
            The pictures' inputs, the texts' with the prefix `caption_`, `picture_keys` and `caption_keys`
            (num_pairs,) long, and `negative_seed` (1,) long, which does not depend on the order of the rows.
        """
        pictures = self.prepare_pictures([(example.id, example.image) for example in examples])
        captions = self.prepare_texts([example.text for example in examples])
        seed = sum(example.seed for example in examples) % 2**63
        return {**pictures, **captions, "negative_seed": torch.tensor([seed])}

    def prepare_pictures(self, pictures: Sequence[tuple[str, ImageRef]]) -> dict[str, torch.Tensor]:
        """Pictures by themselves.

        Args:
            pictures: id and picture of each.

        Returns:
            `input_ids`, `attention_mask`, `image_mask`, `pixel_values` or `image_embeds`, and `picture_keys`.
        """
        opened = self._open(pictures)
        keys: dict[int, int] = {}
        for (_, image), picture in zip(pictures, opened, strict=True):
            if id(picture) not in keys:
                keys[id(picture)] = _hash(_read_bytes(image, picture))
        batch = self.processor.process_knowledge(
            [KnowledgeItem(id=key, image=image) for key, image in pictures], opened
        )
        return {**batch, "picture_keys": torch.tensor([keys[id(picture)] for picture in opened])}

    def _open(self, pictures: Sequence[tuple[str, ImageRef]]) -> list[Picture]:
        """Pictures, or their features; what occurs twice is opened once, and is the same object then."""
        if self.features is not None:
            ids = list(dict.fromkeys(key for key, _ in pictures))
            looked_up = dict(zip(ids, self.features(ids), strict=True))
            return [looked_up[key] for key, _ in pictures]
        opened = {image: load_image(image, root=self.root) for image in dict.fromkeys(image for _, image in pictures)}
        return [opened[image] for _, image in pictures]

    def prepare_texts(self, texts: Sequence[str]) -> dict[str, torch.Tensor]:
        """Texts by themselves.

        Args:
            texts: the texts.

        Returns:
            `caption_input_ids`, `caption_attention_mask` and `caption_keys`.
        """
        batch = self.processor.process_knowledge([KnowledgeItem(id="-", text=text) for text in texts])
        ids, mask = batch["input_ids"], batch["attention_mask"]
        keys = [_hash(row[kept.bool()].numpy().tobytes()) for row, kept in zip(ids, mask, strict=True)]
        return {"caption_input_ids": ids, "caption_attention_mask": mask, "caption_keys": torch.tensor(keys)}


def _read_bytes(image: ImageRef, picture: Picture) -> bytes:
    """What tells a picture from others: its pixels; where it is not opened, its file's bytes, else its features."""
    if isinstance(picture, Image.Image):
        return repr(picture.size).encode() + picture.tobytes()
    if image.data is not None:
        # The features of equal pictures may differ in the last bits, with the batch in which they were computed.
        return image.data
    # numpy knows no bfloat16: the bytes themselves are read.
    return torch.as_tensor(picture).detach().cpu().contiguous().view(torch.uint8).numpy().tobytes()


def _hash(content: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big", signed=True)


__all__ = ["FusionCollator", "PairExample", "PairRows", "PicturePair", "pairs_from_items"]
