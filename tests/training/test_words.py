"""Masked and replaced words: what is hidden or wrong, what is learned from it, and which weights learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rablip.training.tiny.data import pair_texts
from rablip.training.tiny.tokenizers import build_qformer_tokenizer
from rablip.training.tiny.words import WordsAndPictures, make_replaced_batch, make_words_batch
from rablip.world import ReplacedRow, make_look_rows, make_pretraining_split, make_reading_rows, make_replaced_rows
from tests.tiny import IMAGE_SIZE, IMAGE_TOKEN_ID, LM_VOCAB_SIZE, NUM_QUERY_TOKENS, QFORMER_VOCAB_SIZE, make_generator

PAIRS = [(f"a red wall and {number} windows", f"{number} windows in a red wall") for number in range(100, 160)]


def _make_batch(seed: int, num_rows: int = 50, mask_share: float = 0.25) -> tuple[dict[str, torch.Tensor], object]:
    tokenizer = build_qformer_tokenizer(text for pair in PAIRS for text in pair)
    generator = np.random.default_rng(seed)
    return make_words_batch(PAIRS, generator, tokenizer, num_rows, mask_share=mask_share), tokenizer


def test_masked_tokens_are_the_labels_and_nothing_else_is() -> None:
    batch, tokenizer = _make_batch(0)
    ids, labels = batch["words_input_ids"], batch["words_labels"]
    assert ids.shape == labels.shape == batch["words_attention_mask"].shape and len(ids) == 50
    learned = labels != -100
    whole = torch.where(learned, labels, ids)
    texts = tokenizer.batch_decode(whole, skip_special_tokens=True)
    joined = {f"{first} {second}" for first, second in [*PAIRS, *(pair[::-1] for pair in PAIRS)]}
    assert set(texts) <= joined and len(set(texts)) == 50
    # [CLS], [SEP] and padding are never hidden.
    assert not learned[whole < 5].any()
    counted = (whole >= 5).sum()
    assert 0.18 < float(learned.sum() / counted) < 0.32
    assert 0.7 < float((ids[learned] == tokenizer.mask_token_id).float().mean()) < 0.9


def test_a_batch_is_a_function_of_the_generator() -> None:
    first, again, other = _make_batch(1)[0], _make_batch(1)[0], _make_batch(2)[0]
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["words_input_ids"], other["words_input_ids"])


def test_more_is_hidden_where_more_is_asked() -> None:
    few, many = (_make_batch(0, mask_share=share)[0]["words_labels"] for share in (0.1, 0.6))
    assert (few != -100).sum() * 3 < (many != -100).sum()


def _make_model() -> WordsAndPictures:
    torch.manual_seed(0)
    return WordsAndPictures(make_generator().config).eval()


def _make_inputs() -> dict[str, object]:
    words = torch.randint(5, QFORMER_VOCAB_SIZE, (3, 7), generator=torch.Generator().manual_seed(0))
    labels = torch.full_like(words, -100)
    labels[0, 2], labels[2, 5] = 8, 9
    prompt = [IMAGE_TOKEN_ID] * NUM_QUERY_TOKENS + [7, 8]
    pictures = {
        "pixel_values": torch.rand(2, 1, 3, IMAGE_SIZE, IMAGE_SIZE, generator=torch.Generator().manual_seed(1)),
        "qformer_input_ids": torch.tensor([[5, 6], [6, 7]]),
        "input_ids": torch.tensor([prompt, prompt]),
        "labels": torch.randint(2, LM_VOCAB_SIZE - 1, (2, 4), generator=torch.Generator().manual_seed(2)),
    }
    replaced = {
        "input_ids": torch.tensor([[5, 6, 7, 8], [8, 7, 6, 0]]),
        "attention_mask": torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]]),
        "pixel_values": pictures["pixel_values"],
        "labels": torch.tensor([[-100, 1, -100, 0], [0, -100, -100, -100]]),
    }
    return {
        "words_input_ids": words,
        "words_attention_mask": torch.ones_like(words),
        "words_labels": labels,
        "replaced": replaced,
        "pictures": pictures,
    }


def test_the_loss_is_the_masked_words_the_replaced_ones_and_the_generators_own() -> None:
    model, inputs = _make_model(), _make_inputs()
    output = model(**inputs)
    generator = make_generator()
    generator.load_trunk(model)
    torch.testing.assert_close(output.pictures_loss, generator(**inputs["pictures"]).loss)
    states = model.qformer(
        input_ids=inputs["words_input_ids"], attention_mask=inputs["words_attention_mask"]
    ).last_hidden_state
    logits = model.words_transform(states) @ model.qformer.get_input_embeddings().weight.T + model.words_bias
    expected = torch.nn.functional.cross_entropy(logits.transpose(1, 2), inputs["words_labels"])
    torch.testing.assert_close(output.words_loss, expected)
    replaced = dict(inputs["replaced"])
    labels = replaced.pop("labels")
    states = model.extract(**replaced, fuse=False).hidden_states[:, NUM_QUERY_TOKENS:]
    told = [
        (states[row, place] @ model.replaced_head.weight[0] + model.replaced_head.bias, labels[row, place])
        for row, place in [(0, 1), (0, 3), (1, 0)]
    ]
    wrong = torch.stack([torch.nn.functional.softplus(-logit if label else logit) for logit, label in told]).mean()
    torch.testing.assert_close(output.replaced_loss, wrong)
    torch.testing.assert_close(output.loss, expected + wrong + output.pictures_loss)


def test_replaced_words_are_judged_by_the_picture() -> None:
    model, inputs = _make_model(), _make_inputs()
    before = model(**inputs).replaced_loss
    inputs["replaced"] |= {"pixel_values": inputs["replaced"]["pixel_values"].flip(0)}
    assert not torch.isclose(model(**inputs).replaced_loss, before)
    inputs["replaced"] |= {"labels": 1 - inputs["replaced"]["labels"].clamp(min=0)}
    model(**inputs).replaced_loss.backward()
    touched = {name for name, value in model.named_parameters() if value.grad is not None and value.grad.any()}
    parts = {name.partition(".")[0] for name in touched}
    assert parts == {"qformer", "query_tokens", "image_slots", "vision_model", "replaced_head"}


def test_a_replaced_batch_labels_values_and_nothing_else() -> None:
    pictures = make_pretraining_split(0, 20)
    rows = make_replaced_rows(0, pictures, 60)
    features = {picture.id: torch.full((3, 4), float(place)) for place, picture in enumerate(pictures)}
    tokenizer = build_qformer_tokenizer(" ".join(row.words) for row in rows)
    batch = make_replaced_batch(rows, features, np.random.default_rng(0), tokenizer, 50)
    assert batch["image_embeds"].shape == (50, 1, 3, 4)
    asked = {" ".join(row.words).lower().replace(" ", ""): row for row in rows}
    texts = tokenizer.batch_decode(batch["input_ids"], skip_special_tokens=True)
    for number, text in enumerate(texts):
        row = asked[text.replace(" ", "")]
        assert batch["image_embeds"][number].unique().item() == features[row.picture_id][0, 0]
        labels = batch["labels"][number]
        judged = [
            (tokenizer.decode(batch["input_ids"][number, place]), int(labels[place]))
            for place in (labels != -100).nonzero()[:, 0]
        ]
        # A word's comma or question mark is a token of its own.
        words = [pair for pair in judged if pair[0] not in ",?"]
        told = [
            (word.strip(",?"), int(wrong))
            for word, wrong in zip(row.words, row.replaced, strict=True)
            if wrong is not None
        ]
        assert words == told
        assert set(labels.tolist()) <= {-100, 0, 1} and (labels[batch["attention_mask"][number] == 0] == -100).all()


def test_a_value_of_several_tokens_is_judged_at_each() -> None:
    tokenizer = build_qformer_tokenizer(["a red roof?", "an or ange ##s"])
    row = ReplacedRow(picture_id="p", words=("a", "redor", "roof?"), replaced=(None, True, None))
    batch = make_replaced_batch([row], {"p": torch.zeros(3, 4)}, np.random.default_rng(0), tokenizer, 1)
    pieces = len(tokenizer.tokenize("redor"))
    assert (batch["labels"] == 1).sum() == pieces > 1


def test_words_teach_the_q_former_alone() -> None:
    model = _make_model()
    model(**_make_inputs()).words_loss.backward()
    touched = {name for name, value in model.named_parameters() if value.grad is not None and value.grad.any()}
    assert all(name.startswith(("qformer", "words_")) for name in touched)
    assert any("attention.attention.key" in name for name in touched)


def test_pairs_tell_of_the_same() -> None:
    pictures = make_pretraining_split(0, 40)
    looks, reading = make_look_rows(0, pictures, 30), make_reading_rows(0, 20)
    pairs = pair_texts(pictures, looks, reading)
    answered = sum(len(row.relevant) for row in looks)
    assert len(pairs) == 40 * 2 + answered * 3 + 20
    descriptions = {text: picture.id for picture in pictures for text in picture.descriptions}
    asked = {row.question: row for row in looks}
    for first, second in pairs[:-20]:
        if first in descriptions:
            assert descriptions[first] == descriptions[second]
        else:
            assert asked[first].items[asked[first].relevant[0]].id == descriptions[second]
    assert all(
        any(name in second for name in row.items[0].title.split()[:1])
        for row, (_, second) in zip(reading, pairs[-20:], strict=True)
    )


@pytest.mark.parametrize("name", ["words_input_ids", "words_attention_mask", "words_labels"])
def test_a_batch_has_what_the_model_takes(name: str) -> None:
    assert _make_batch(0)[0][name].dtype == torch.long
