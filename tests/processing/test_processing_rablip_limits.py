"""What the generator's processor cuts, neutralises and refuses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rablip.processing import KnowledgeItem, RablipProcessor, build_qa_prompt
from tests.processing.generation_rows import BLUE, FACT, MODELS, PROCESSORS, RED, VIEW, read
from tests.processing.tiny_tokenizers import make_processor


@pytest.fixture(params=MODELS)
def processor(request: pytest.FixtureRequest) -> RablipProcessor:
    return PROCESSORS[request.param]


def test_rows_may_be_long_as_long_as_they_fit(processor: RablipProcessor) -> None:
    text = " ".join(f"word{i}" for i in range(400))
    evidence = [[KnowledgeItem(id="1", text=text), FACT, KnowledgeItem(id="2", text=text)], [FACT]]
    batch = processor.process_generation(["When was it built?", "When?"], evidence, return_truncated=True, askg=True)
    assert batch["truncated"].tolist() == [True, False]
    for prefix in ("", "askg_"):
        assert batch[f"{prefix}input_ids"].shape[1] <= 512
        assert batch[f"{prefix}input_ids"].shape[1] > 480
        prompt = read(processor, batch, 0, f"{prefix}input_ids")
        assert prompt.startswith("Question: When was it built? References: [1] text: word0 ")
        assert "[2] text: Tower | Built in 1889. [/2] [3] text: word0 " in prompt
        first, third = prompt.split("[/1]")[0], prompt.split("[3] text: ")[1].split("[/3]")[0]
        assert abs(len(first) - len("Question: When was it built? References: [1] text: ") - len(third)) < 20
        for number in (1, 2, 3):
            position = int(batch[f"{prefix}reference_positions"][0, number - 1])
            before = processor.tokenizer.decode(batch[f"{prefix}input_ids"][0, : position + 1])
            assert before.endswith(f"[/{number}]")


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(MODELS),
    st.lists(st.integers(0, 120), max_size=3),
    st.integers(1, 150),
    st.booleans(),
    st.booleans(),
)
def test_limits_hold_for_any_lengths(
    name: str, lengths: list[int], question_length: int, picture: bool, learn: bool
) -> None:
    processor = make_processor(name, max_prompt_tokens=200, max_question_tokens=40, max_instruction_tokens=30)
    items = [KnowledgeItem(id=str(i), title="t", text="x y" + " z" * length) for i, length in enumerate(lengths)]
    question = "q" * question_length
    images = [[RED if picture and i == 0 else None for i in range(len(items))]]
    targets: Any = {"answers": ["r" * question_length]} if learn else {}
    batch = processor.process_generation([question], [items], images, **targets, return_truncated=True)
    num_learned = int((batch["labels"] != -100).sum()) if learn else 0
    prompt_length = batch["input_ids"].shape[1] - (num_learned if processor.causal_lm else 0)
    assert prompt_length <= 200 and batch["qformer_input_ids"].shape[1] <= 30 and num_learned <= 64
    text = read(processor, batch, 0)
    kept_question = text.count("q")
    assert kept_question >= min(question_length, 39)  # T5 and Llama spend one token on the blank in front
    whole = build_qa_prompt(question, items, [1 if image is not None else None for image in images[0]]).text
    assert (text != whole) <= bool(batch["truncated"][0])
    if items:
        markers = [text.index(f"[/{i + 1}]") for i in range(len(items))]
        assert markers == sorted(markers)


def test_evidence_is_cut_before_the_question() -> None:
    processor = make_processor(max_prompt_tokens=160, max_question_tokens=100)
    batch = processor.process_generation(["q" * 90], [[KnowledgeItem(id="1", text="x" * 200)]], return_truncated=True)
    text = read(processor, batch, 0)
    assert text.count("q") == 90 and 0 < text.count("x") - "text:".count("x") < 60
    assert batch["truncated"].tolist() == [True]


def test_candidates_that_cannot_fit_are_refused_with_numbers() -> None:
    processor = make_processor(max_prompt_tokens=60)
    with pytest.raises(ValueError, match=r"Row 1: 9 candidates need \d+ tokens .* may have 60"):
        processor.process_generation(["Who?", "Who?"], [[], [FACT] * 9])


def test_long_answers_and_instructions_are_flagged() -> None:
    processor = make_processor(max_answer_tokens=6, max_instruction_tokens=16)
    batch = processor.process_generation(
        ["Who?", "Who?", "q" * 40], answers=["abcdefghij", "ab", "ab"], return_truncated=True
    )
    assert batch["truncated"].tolist() == [True, False, True]
    assert batch["labels"].shape[1] == 6 and batch["labels"][0, -1] == processor.eos_token_id
    with pytest.raises(ValueError, match="1 of 2 rows .* row 1"):
        processor.process_generation(["Who?", "q" * 40], strict=True)
    assert "truncated" not in processor.process_generation(["Who?"], strict=True)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(MODELS),
    st.lists(
        st.sampled_from(
            [
                "<image>",
                "</s>",
                "<s>",
                "<pad>",
                "<unk>",
                "<extra_id_0>",
                "<|endoftext|>",
                "[SEP]",
                "[1]",
                "[/1]",
                "[/2]",
            ]
            + ["<", "image", ">", "a", " ", "\u200b", "１"]
        ),
        max_size=8,
    ),
)
def test_texts_from_outside_cannot_forge_tokens_or_markers(name: str, parts: list[str]) -> None:
    processor = PROCESSORS[name]
    text = "a" + "".join(parts)
    items = [KnowledgeItem(id="1", title=text, text=text), KnowledgeItem(id="2", image=VIEW.image, caption=text)]
    batch = processor.process_generation([text], [items], [[None, RED]], answers=[text])
    unknown = processor.tokenizer.unk_token_id
    forged = {processor.tokenizer.convert_tokens_to_ids(token) for token in processor.special_tokens} - {unknown}
    ids = batch["input_ids"][0].tolist()
    inner = ids[4:-1] if processor.tokenizer.bos_token_id == ids[3] else ids[3:-1]
    assert not forged & set(inner)
    assert ids.count(processor.image_token_id) == 3
    prompt = build_qa_prompt(text, items, [None, 1], special_tokens=processor.special_tokens).text
    assert all(prompt.count(f"[/{number}]") == 1 for number in (1, 2))
    position = int(batch["reference_positions"][0, 0])
    before = processor.tokenizer.decode(batch["input_ids"][0, : position + 1])
    assert before.count("[/1]") == 1 and "[2]" not in before


def test_too_many_pictures_are_refused_with_the_limit(processor: RablipProcessor) -> None:
    with pytest.raises(ValueError, match="Row 0 has 3 pictures, but max_images=2"):
        processor.process_generation(["Who?"], [[VIEW, VIEW]], [[RED, BLUE]], [RED])


def test_features_take_the_place_of_pictures(processor: RablipProcessor) -> None:
    features = torch.arange(12.0).reshape(4, 3)
    batch = processor.process_generation(["Who?", "Who?"], [[FACT, VIEW], []], [[None, features], None])
    assert batch["image_embeds"].shape == (2, 1, 4, 3) and "pixel_values" not in batch
    assert torch.equal(batch["image_embeds"][0, 0], features)
    assert "picture 1: A tower" in read(processor, batch, 0)


def test_wrong_calls_say_what_to_do(processor: RablipProcessor) -> None:
    calls: list[tuple[str, dict[str, Any]]] = [
        ("Question 0 is empty", {"questions": [" "]}),
        ("1 questions but 2 rows of evidence", {"evidence": [[], []]}),
        ("2 candidates but 1 pictures", {"evidence": [[VIEW, VIEW]], "images": [[RED]]}),
        ("`images` has 2 rows for 1", {"evidence": [[VIEW]], "images": [[RED], [RED]]}),
        ("1 questions but 2 answers", {"answers": ["a", "b"]}),
        ("Answer 0 is empty", {"answers": ["  "]}),
        ("lengths", {"evidence": [[FACT]], "relevance": [[1, 0]]}),
        (r"0\.\.1, got nan", {"evidence": [[FACT]], "relevance": [[float("nan")]]}),
        (r"0\.\.1, got 2", {"evidence": [[FACT]], "relevance": [[2]]}),
    ]
    for message, arguments in calls:
        with pytest.raises(ValueError, match=message):
            processor.process_generation(**{"questions": ["Who?"], **arguments})
    with pytest.raises(TypeError, match="KnowledgeItems"):
        processor.process_generation(["Who?"], [["Built in 1889."]])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="never guessed"):
        processor.process_generation(["Who?"], [[VIEW]], [["b.png"]])  # type: ignore[list-item]


@pytest.mark.parametrize("options", [{"num_query_tokens": 0}, {"max_prompt_tokens": 10}, {"max_images": -1}])
def test_options_that_cannot_work_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        make_processor(**options)
