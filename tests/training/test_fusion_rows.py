"""Rows, batches and metrics of fusion pre-training, and that a small model learns from them."""

from __future__ import annotations

import io
import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from rablip import RablipRerankerConfig
from rablip.processing import ImageRef, KnowledgeItem, RablipRetrieverProcessor
from rablip.training.fusion.metrics import find_ranks, measure_pair_retrieval
from rablip.training.fusion.pretraining import FusionPretraining
from rablip.training.fusion.rows import FusionCollator, PairExample, PairRows, PicturePair, pairs_from_items
from rablip.training.tiny.tokenizers import build_qformer_tokenizer
from tests.processing.tiny_tokenizers import make_image_processor, make_retriever_processor
from tests.tiny import make_reranker, make_retriever, stir, trunk_arguments
from tests.training.tiny_pool import make_pool


def _paint(color: tuple[int, int, int], kind: str = "PNG") -> ImageRef:
    stream = io.BytesIO()
    Image.new("RGB", (20, 20), color).save(stream, kind)
    return ImageRef(data=stream.getvalue())


RED, GREEN, BLUE = _paint((255, 0, 0)), _paint((0, 255, 0)), _paint((0, 0, 255))
PAIRS = [
    PicturePair(id="r", image=RED, texts=("red", "all red", "it is red")),
    PicturePair(id="g", image=GREEN, texts=("green",)),
    PicturePair(id="b", image=BLUE, texts=("blue", "all blue")),
]


def test_pairs_are_the_pictures_with_their_texts() -> None:
    items = [
        KnowledgeItem(id="1", image=RED, title="Tower", caption="A red roof", text="Tower, of 1889."),
        KnowledgeItem(id="2", text="No picture."),
        KnowledgeItem(id="3", image=GREEN),
        KnowledgeItem(id="4", image=GREEN, title="Gate", caption="Gate", text="  "),
        KnowledgeItem(id="5", image=BLUE, title="Gate", text="Gates are wide."),
    ]
    # As in the text of an item: what a later part begins with is not said twice.
    assert [(pair.id, pair.texts) for pair in pairs_from_items(items)] == [
        ("1", ("A red roof", "Tower, of 1889.")),
        ("4", ("Gate",)),
        ("5", ("Gate", "Gates are wide.")),
    ]
    pool = make_pool()
    pairs = pairs_from_items(pool.items.values())
    assert {pair.id for pair in pairs} <= {key for key, item in pool.items.items() if item.image is not None}
    assert len(pairs) > 10 and pairs_from_items([]) == []


def test_bad_pairs_are_refused() -> None:
    with pytest.raises(TypeError, match="ImageRef"):
        PicturePair(id="1", image="tower.png", texts=("a",))
    with pytest.raises(TypeError, match="tuple of str"):
        PicturePair(id="1", image=RED, texts="red")
    for texts in ((), ("red", " ")):
        with pytest.raises(ValueError, match="texts with words"):
            PicturePair(id="1", image=RED, texts=texts)
    with pytest.raises(ValueError, match="no pairs"):
        PairRows([], seed=0)


def test_a_row_is_a_function_of_seed_epoch_and_index() -> None:
    rows, again, other = PairRows(PAIRS, seed=1), PairRows(PAIRS, seed=1), PairRows(PAIRS, seed=2)
    seen: dict[str, set[str]] = {pair.id: set() for pair in PAIRS}
    epochs = []
    for epoch in range(40):
        for dataset in (rows, again, other):
            dataset.set_epoch(epoch)
        epoch_rows = [rows[index] for index in range(3)]
        assert [again[index] for index in (2, 0, 1)] == [epoch_rows[index] for index in (2, 0, 1)]
        assert rows[-1] == epoch_rows[2]
        assert sorted(row.id for row in epoch_rows) == ["b", "g", "r"]
        for row in epoch_rows:
            seen[row.id].add(row.text)
        epochs.append(epoch_rows)
    assert {key: len(texts) for key, texts in seen.items()} == {"r": 3, "g": 1, "b": 2}
    assert len({tuple(row.id for row in epoch_rows) for epoch_rows in epochs}) == 6
    assert len({row.seed for epoch_rows in epochs for row in epoch_rows}) == 120
    assert [other[index] for index in range(3)] != epochs[-1]
    with pytest.raises(IndexError):
        rows[3]


def test_unshuffled_rows_stay_as_they_are() -> None:
    rows = PairRows(PAIRS, seed=1, shuffle=False)
    before = [rows[index] for index in range(3)]
    rows.set_epoch(5)
    assert [rows[index] for index in range(3)] == before
    assert [row.id for row in before] == ["r", "g", "b"]


def test_worker_processes_see_the_epoch() -> None:
    rows = PairRows(PAIRS * 4, seed=1)
    loader = torch.utils.data.DataLoader(
        rows, batch_size=4, num_workers=1, persistent_workers=True, collate_fn=list, multiprocessing_context="fork"
    )
    for epoch in (0, 1, 3):
        rows.set_epoch(epoch)
        assert [row for batch in loader for row in batch] == [rows[index] for index in range(12)]


def _example(image: ImageRef, text: str, *, key: str = "x", seed: int = 1) -> PairExample:
    return PairExample(id=key, image=image, text=text, seed=seed)


def test_the_batch_is_what_the_model_takes_and_the_retriever_reads() -> None:
    processor = make_retriever_processor()
    batch = FusionCollator(processor)([_example(RED, "a red wall"), _example(GREEN, "green")])
    torch.manual_seed(0)
    model = stir(FusionPretraining(make_reranker().config, captioning=True)).eval()
    assert all(value.isfinite() for value in model(**batch).values())
    retriever = make_retriever()
    retriever.load_trunk(model.to_reranker())
    items = [KnowledgeItem(id="1", image=RED), KnowledgeItem(id="2", image=GREEN)]
    pictures = retriever.encode_knowledge(**processor.process_knowledge(items, [RED, GREEN]))
    texts = retriever.encode_knowledge(
        **processor.process_knowledge([KnowledgeItem(id="1", text="a red wall"), KnowledgeItem(id="2", text="green")])
    )
    torch.testing.assert_close(
        model.embed(
            batch["input_ids"],
            batch["attention_mask"],
            image_embeds=model.encode_images(batch["pixel_values"]),
            image_mask=batch["image_mask"],
        ),
        pictures,
    )
    torch.testing.assert_close(model.embed(batch["caption_input_ids"], batch["caption_attention_mask"]), texts)


def test_equal_contents_have_equal_keys_whatever_their_names() -> None:
    collator = FusionCollator(make_retriever_processor(max_knowledge_tokens=10))
    examples = [
        _example(RED, "Red  Wall", key="1"),
        _example(_paint((255, 0, 0), "BMP"), "red wall", key="2"),
        _example(GREEN, "a long text that is cut here", key="1"),
        _example(BLUE, "a long text that is cut too", key="3"),
    ]
    batch = collator(examples)
    pictures, captions = batch["picture_keys"].tolist(), batch["caption_keys"].tolist()
    assert pictures[0] == pictures[1] and len(set(pictures)) == 3
    # The model sees ten tokens of either.
    assert captions[0] == captions[1] and captions[2] == captions[3] and len(set(captions)) == 2
    assert torch.equal(batch["pixel_values"][0], batch["pixel_values"][1])


def test_the_seed_does_not_depend_on_the_order() -> None:
    collator = FusionCollator(make_retriever_processor())
    examples = [_example(RED, "red", seed=2**63 - 1), _example(GREEN, "green", seed=5), _example(BLUE, "b", seed=7)]
    seed = collator(examples)["negative_seed"]
    assert seed.tolist() == [11] and torch.equal(collator(examples[::-1])["negative_seed"], seed)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_features_stand_for_pictures(dtype: torch.dtype) -> None:
    asked: list[Sequence[str]] = []
    features = {name: torch.full((5, 24), float(value), dtype=dtype) for name, value in (("1", 1), ("2", 2), ("3", 1))}

    def look_up(ids: Sequence[str]) -> torch.Tensor:
        asked.append(ids)
        return torch.stack([features[key] for key in ids])

    missing = ImageRef(path="missing.png")
    collator = FusionCollator(make_retriever_processor(), features=look_up)
    batch = collator([_example(missing, "a", key=key) for key in ("1", "2", "1", "3")])
    assert asked == [["1", "2", "3"]] and "pixel_values" not in batch
    assert batch["image_embeds"].dtype == dtype and batch["image_embeds"][:, 0, 0, 0].tolist() == [1, 2, 1, 1]
    keys = batch["picture_keys"].tolist()
    assert keys[0] == keys[2] == keys[3] != keys[1]
    # Known by their bytes, pictures are equal although their features differ in the last bits.
    features["3"] = features["1"] * 1.01
    known = collator([_example(RED, "a", key="1"), _example(RED, "b", key="3"), _example(GREEN, "c", key="2")])
    assert known["picture_keys"][0] == known["picture_keys"][1] != known["picture_keys"][2]


def test_pictures_are_opened_below_their_root(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8), (255, 0, 0)).save(tmp_path / "red.png")
    collator = FusionCollator(make_retriever_processor(), root=tmp_path)
    batch = collator([_example(ImageRef(path="red.png"), "red")])
    assert batch["pixel_values"].shape == (1, 1, 3, 16, 16)
    with pytest.raises(ValueError, match="missing"):
        collator([_example(ImageRef(path="blue.png"), "blue")])


def test_a_worker_makes_the_same_batches() -> None:
    rows, collator = PairRows(PAIRS * 2, seed=1), FusionCollator(make_retriever_processor())
    here = torch.utils.data.DataLoader(rows, batch_size=3, collate_fn=collator)
    there = torch.utils.data.DataLoader(
        rows, batch_size=3, collate_fn=collator, num_workers=1, multiprocessing_context="fork"
    )
    for first, second in zip(here, there, strict=True):
        assert first.keys() == second.keys()
        assert all(torch.equal(first[name], second[name]) for name in first)


def test_ranks_give_nothing_to_ties_and_to_what_is_no_number() -> None:
    known = torch.tensor([[True, False, False, True]])
    assert find_ranks(torch.tensor([[1.0, 5.0, 3.0, 4.0]]), known).tolist() == [1]
    assert find_ranks(torch.zeros(1, 4), known).tolist() == [2]
    assert find_ranks(torch.tensor([[torch.nan, 5.0, 3.0, torch.nan]]), known).tolist() == [2]
    assert find_ranks(torch.tensor([[9.0, 5.0, torch.nan, 0.0]]), known).tolist() == [1]


def test_measures_are_those_of_a_plain_loop() -> None:
    torch.manual_seed(0)
    model = stir(FusionPretraining(make_reranker().config)).train()
    processor = make_retriever_processor()
    pairs = [
        PicturePair(
            id=str(number), image=_paint((number * 20, 255 - number * 15, 40)), texts=(f"n{number}", f"{number}")
        )
        for number in range(9)
    ]
    # The same picture again with another text, and a text that two pictures share.
    pairs += [PicturePair(id="again", image=pairs[0].image, texts=("n1", "zero"))]
    measured = measure_pair_retrieval(model, processor, pairs, batch_size=4)
    assert model.training
    assert measured == measure_pair_retrieval(model, processor, pairs, batch_size=100)
    assert measure_pair_retrieval(model, processor, pairs, seed=3) != measured

    model.eval()
    texts = list(dict.fromkeys(text for pair in pairs for text in pair.texts))
    shown = pairs[:9]
    inputs = processor.process_knowledge(
        [KnowledgeItem(id="-", image=pair.image) for pair in shown], [pair.image for pair in shown]
    )
    images = model.encode_images(inputs.pop("pixel_values"))
    words = processor.process_knowledge([KnowledgeItem(id="-", text=text) for text in texts])
    with torch.no_grad():
        scores = model.embed(**inputs, image_embeds=images) @ model.embed(**words).T
    right = [{texts.index(text) for pair in pairs if pair.image == one.image for text in pair.texts} for one in shown]
    for k in (1, 5):
        found = [bool(right[row] & set(scores[row].topk(k).indices.tolist())) for row in range(9)]
        assert measured[f"picture_to_text_recall@{k}"] == pytest.approx(sum(found) / 9)
        found = [
            any(column in right[row] for row in scores[:, column].topk(k).indices.tolist())
            for column in range(len(texts))
        ]
        assert measured[f"text_to_picture_recall@{k}"] == pytest.approx(sum(found) / len(texts))


def test_a_model_that_says_the_same_of_all_gets_no_credit() -> None:
    torch.manual_seed(0)
    model = FusionPretraining(make_reranker().config)
    with torch.no_grad():
        for module in (model.retrieval_projection, model.relevance_head):
            module.weight.zero_()
            module.bias.fill_(1.0)
    measured = measure_pair_retrieval(model, make_retriever_processor(), PAIRS)
    assert measured["picture_to_text_recall@1"] == measured["text_to_picture_recall@1"] == 0.0
    assert measured["matching_accuracy"] == 0.5
    with pytest.raises(ValueError, match="nothing to tell apart"):
        measure_pair_retrieval(model, make_retriever_processor(), PAIRS[:1])
    assert model.training


COLORS = ("red", "green", "blue", "black", "white", "yellow")
SHAPES = ("tower", "bridge", "house", "boat", "gate", "barn")


def _make_combinations() -> tuple[list[PicturePair], list[PicturePair], dict[str, torch.Tensor]]:
    """Pairs to learn from, pairs of known colors with known shapes that were not seen together, and features."""
    generator = torch.Generator().manual_seed(0)
    looks = {word: torch.randn(24, generator=generator) for word in (*COLORS, *SHAPES)}
    seen: list[PicturePair] = []
    unseen: list[PicturePair] = []
    features: dict[str, torch.Tensor] = {}
    for number, (color, shape) in enumerate(itertools.product(COLORS, SHAPES)):
        name = f"{color} {shape}"
        features[name] = torch.zeros(5, 24)
        features[name][1], features[name][3] = looks[color], looks[shape]
        pair = PicturePair(id=name, image=ImageRef(path=name), texts=(f"a {name}", f"the {shape} is {color}"))
        (unseen if number % 7 == 3 or (number and number % 7 == 0) else seen).append(pair)
    return seen, unseen, features


def _learn(num_steps: int, *, captioning: bool) -> tuple[list[dict[str, float]], list[dict[str, float]]]:
    """Losses by step, and measures of unseen combinations before and after, then of the seen ones."""
    seen, unseen, features = _make_combinations()
    tokenizer = build_qformer_tokenizer(text for pair in seen for text in pair.texts)
    processor = RablipRetrieverProcessor(make_image_processor(), tokenizer)
    arguments = trunk_arguments()
    arguments["qformer_config"] |= {
        "vocab_size": len(tokenizer),
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    }

    def look_up(ids: Sequence[str]) -> torch.Tensor:
        return torch.stack([features[key] for key in ids])

    torch.manual_seed(0)
    config = RablipRerankerConfig(**arguments, retrieval_config={"embedding_dim": 16})
    model = FusionPretraining(config, captioning=captioning).freeze_unused()
    measured = [measure_pair_retrieval(model, processor, unseen, features=look_up)]
    optimizer = torch.optim.AdamW([value for value in model.parameters() if value.requires_grad], lr=3e-3)
    rows, collator, losses = PairRows(seen, seed=0), FusionCollator(processor, features=look_up), []
    model.train()
    for epoch in range(num_steps):
        rows.set_epoch(epoch)
        output = model(**collator([rows[index] for index in range(len(rows))]))
        optimizer.zero_grad()
        output.loss.backward()
        optimizer.step()
        losses.append({name: value.item() for name, value in output.items()})
    measured += [measure_pair_retrieval(model, processor, pairs, features=look_up) for pairs in (unseen, seen)]
    return losses, measured


def test_a_small_model_learns_to_find_what_it_has_not_seen_together() -> None:
    losses, (before, after, _) = _learn(90, captioning=False)
    first, last = (
        {name: float(np.mean([loss[name] for loss in part])) for name in part[0]} for part in (losses[:5], losses[-5:])
    )
    assert last["contrastive_loss"] < 0.2 * first["contrastive_loss"]
    assert last["matching_loss"] < first["matching_loss"]
    # Chance is a tenth.
    for name in ("picture_to_text_recall@1", "text_to_picture_recall@1"):
        assert before[name] <= 0.3 and after[name] >= 0.6, (name, before, after)


@pytest.mark.slow
def test_longer_it_learns_to_judge_pairs_and_to_tell_captions() -> None:
    losses, (before, _, of_seen) = _learn(400, captioning=True)
    # Half is chance. Of ten unseen pictures the accuracy is too coarse to tell more of the model than of the seed.
    assert before["matching_accuracy"] < 0.65 and of_seen["matching_accuracy"] > 0.9, (before, of_seen)
    # Each picture has two texts: which one is meant is all that cannot be known, log(2) for some six tokens.
    assert losses[-1]["captioning_loss"] < 0.4 and losses[0]["captioning_loss"] > 3
