"""BARTScore against a loop over single tokens, and what must not change it: batches, padding, order, dropout."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from rablip.metrics.bart_score import BartScorer
from tests.metrics.tiny_bart import MAX_POSITIONS, make_bart, make_bart_tokenizer

SOURCES = ["Two towers an", "a green door", "x", "The longest of these sources by far", ""]
TARGETS = ["2 towers", "door", "an", "", "the longest target is an other one"]


@pytest.fixture(scope="module")
def model():
    return make_bart()


@pytest.fixture(scope="module")
def tokenizer():
    return make_bart_tokenizer()


def score_by_hand(model, tokenizer, source, target):
    """One pair, one decoder step for each token: log p(y_t | </s>, y_0 ... y_t-1, x), then the mean."""
    source_ids = torch.tensor([tokenizer(source).input_ids])
    target_ids = tokenizer(target).input_ids
    assert target_ids[0] == tokenizer.bos_token_id and target_ids[-1] == tokenizer.eos_token_id
    before, total = [model.config.decoder_start_token_id], 0.0
    for token in target_ids:
        with torch.no_grad():
            logits = model(input_ids=source_ids, decoder_input_ids=torch.tensor([before])).logits[0, -1]
        total += float(torch.log_softmax(logits.double(), -1)[token])
        before.append(token)
    return total / len(target_ids)


def test_every_token_counts_the_same(model, tokenizer):
    scores = BartScorer(model, tokenizer)(SOURCES, TARGETS)
    expected = [score_by_hand(model, tokenizer, *pair) for pair in zip(SOURCES, TARGETS, strict=True)]
    assert scores == pytest.approx(expected, abs=1e-5)
    assert len({round(score, 3) for score in scores}) == len(scores) and max(scores) < 0


@pytest.mark.parametrize("batch_size", [1, 2, 3, 16])
def test_batches_and_padding_change_nothing(model, tokenizer, batch_size):
    alone = [
        BartScorer(model, tokenizer)([source], [target])[0] for source, target in zip(SOURCES, TARGETS, strict=True)
    ]
    assert BartScorer(model, tokenizer, batch_size=batch_size)(SOURCES, TARGETS) == pytest.approx(alone, abs=1e-5)
    assert BartScorer(model, tokenizer)(SOURCES[::-1], TARGETS[::-1]) == pytest.approx(alone[::-1], abs=1e-5)


def test_a_tokenizer_that_pads_on_the_left_changes_nothing(model, tokenizer):
    left = make_bart_tokenizer()
    left.padding_side = "left"
    assert BartScorer(model, left)(SOURCES, TARGETS) == pytest.approx(BartScorer(model, tokenizer)(SOURCES, TARGETS))


def test_direction(model, tokenizer):
    scorer = BartScorer(model, tokenizer)
    forth, back = scorer(["a green door", "door"], ["door", "a green door"])
    assert forth == pytest.approx(score_by_hand(model, tokenizer, "a green door", "door"), abs=1e-5)
    assert abs(forth - back) > 0.01


def test_texts_are_cut(model, tokenizer):
    scorer = BartScorer(model, tokenizer, max_tokens=6)
    assert scorer(["abcdefgh"], ["mnopqrst"]) == scorer(["abcd"], ["mnop"])
    long = "ab" * MAX_POSITIONS  # the model's own limit is lower than 1024
    assert BartScorer(model, tokenizer)([long], [long]) == BartScorer(model, tokenizer)([long + "ba"], [long + "ba"])


def test_dropout_is_off_and_the_mode_comes_back(tokenizer):
    model = make_bart(dropout=0.5).train()
    scorer = BartScorer(model, tokenizer)
    assert scorer(SOURCES, TARGETS) == scorer(SOURCES, TARGETS)
    assert model.training
    assert scorer(SOURCES, TARGETS) == BartScorer(model.eval(), tokenizer)(SOURCES, TARGETS)
    assert not model.training


def test_single_precision_even_under_autocast(model, tokenizer):
    scorer = BartScorer(model, tokenizer)
    plain = scorer(SOURCES, TARGETS)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert scorer(SOURCES, TARGETS) == plain
    with pytest.raises(ValueError, match=r"torch.float32, but the model's weights are in torch.bfloat16"):
        BartScorer(make_bart().to(torch.bfloat16), tokenizer)


def test_no_pair_and_wrong_pairs(model, tokenizer):
    scorer = BartScorer(model, tokenizer)
    assert scorer([], []) == []
    with pytest.raises(ValueError, match="2 sources were given for 1 targets"):
        scorer(["a", "b"], ["a"])
    with pytest.raises(TypeError, match="texts must be strings, but None"):
        scorer(["a"], [None])


def test_a_folder_is_loaded_at_the_first_call(model, tokenizer, tmp_path):
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    scorer = BartScorer(tmp_path)
    assert scorer._model is None
    expected = BartScorer(model, tokenizer)(SOURCES, TARGETS)
    assert scorer(SOURCES, TARGETS) == pytest.approx(expected, abs=1e-6)
    assert BartScorer(str(tmp_path), device="cpu")(SOURCES, TARGETS) == pytest.approx(expected, abs=1e-6)
    loaded = scorer._model
    scorer(SOURCES, TARGETS)
    assert scorer._model is loaded


def test_a_folder_in_half_precision_is_loaded_in_single(model, tokenizer, tmp_path):
    make_bart().to(torch.bfloat16).save_pretrained(tmp_path)
    scorer = BartScorer(tmp_path, tokenizer)
    scorer(["a"], ["b"])
    assert scorer._model.dtype == torch.float32


def test_what_is_no_bart(model, tokenizer, tmp_path):
    with pytest.raises(ValueError, match="is no folder"):
        BartScorer("facebook/bart-large-cnn")
    with pytest.raises(ValueError, match="needs its tokenizer"):
        BartScorer(model)
    with pytest.raises(ValueError, match="device='cuda'"):
        BartScorer(model, tokenizer, device="cuda")
    with pytest.raises(TypeError, match="but is a Linear"):
        BartScorer(torch.nn.Linear(2, 2), tokenizer)
    other = SimpleNamespace(config=SimpleNamespace(model_type="t5"))
    with pytest.raises(TypeError, match="must be a BartForConditionalGeneration or a folder"):
        BartScorer(other, tokenizer)
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        BartScorer(model, tokenizer, batch_size=0)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ValueError, match="model of type 'bert'"):
        BartScorer(tmp_path, tokenizer)(["a"], ["b"])


def test_missing_weights_are_refused(model, tokenizer, tmp_path):
    weights = {name: weight for name, weight in model.state_dict().items() if "decoder.layers.1" not in name}
    model.save_pretrained(tmp_path, state_dict=weights)
    with pytest.raises(ValueError, match="lacks weights"):
        BartScorer(tmp_path, tokenizer)(["a"], ["b"])
