"""The retriever's processor: fields, limits, pictures beside features, and saving."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rablip.processing import ImageError, ImageRef, KnowledgeItem, RablipRetrieverProcessor
from tests.processing.tiny_tokenizers import IMAGE_SIZE, make_qformer_tokenizer, make_retriever_processor

RED, BLUE = (Image.new("RGB", (20, 10), color) for color in ("red", "blue"))
FACT = KnowledgeItem(id="a", title="Tower", text="Built in 1889.")
VIEW = KnowledgeItem(id="b", image=ImageRef(path="b.png"), caption="A tower")
SPECIAL_IDS = set(make_qformer_tokenizer().all_special_ids)
PICTURE_KEYS = {"pixel_values", "image_mask"}


@pytest.fixture(scope="module")
def processor() -> RablipRetrieverProcessor:
    return make_retriever_processor()


def read(processor: RablipRetrieverProcessor, batch: Any, row: int = 0) -> str:
    ids = batch["input_ids"][row][batch["attention_mask"][row].bool()]
    return processor.qformer_tokenizer.decode(ids).replace(" ", "")


def test_text_only_batches_have_no_picture_keys(processor: RablipRetrieverProcessor) -> None:
    for batch in (
        processor.process_questions(["What color?", "When was it built?"]),
        processor.process_questions(["What color?"], [None]),
        processor.process_knowledge([FACT, VIEW]),
    ):
        assert set(batch) == {"input_ids", "attention_mask"}
        assert batch["input_ids"].dtype == batch["attention_mask"].dtype == torch.long
    pairs = processor.process_pairs(["When?"], [FACT], [None], [None])
    assert set(pairs) == set(batch) | {f"{side}_{name}" for side in ("question", "knowledge") for name in batch}


def test_texts_are_those_of_the_prompt_functions(processor: RablipRetrieverProcessor) -> None:
    assert read(processor, processor.process_questions(["What color?"])) == "[CLS]whatcolor?[SEP]"
    assert read(processor, processor.process_knowledge([FACT])) == "[CLS]tower|builtin1889.[SEP]"
    bare = KnowledgeItem(id="c", image=ImageRef(path="c.png"))
    assert read(processor, processor.process_knowledge([bare], [RED])) == "[CLS][SEP]"
    pairs = processor.process_pairs(["When?", "Who?"], [FACT, VIEW], [None, RED], [None, BLUE])
    assert read(processor, pairs, 0) == "[CLS]when?|text:tower|builtin1889.[SEP]"
    assert read(processor, pairs, 1) == "[CLS]questionpicture1.who?|picture2:atower[SEP]"


def test_each_side_of_a_pair_is_also_there_as_the_retriever_reads_it(processor: RablipRetrieverProcessor) -> None:
    questions, items = ["When?", "Who was it? " * 200], [FACT, VIEW]
    pairs = processor.process_pairs(questions, items, [None, [RED, BLUE]], [BLUE, None])
    for side, alone in (
        ("question", processor.process_questions(questions)),
        ("knowledge", processor.process_knowledge(items)),
    ):
        for name in ("input_ids", "attention_mask"):
            assert torch.equal(pairs[f"{side}_{name}"], alone[name])
    assert pairs["image_mask"].tolist() == [[1, 0], [1, 1]]
    assert pairs["question_image_mask"].tolist() == [[0, 0], [1, 1]]


def test_a_side_that_is_cut_is_reported_where_the_pair_has_room(processor: RablipRetrieverProcessor) -> None:
    question = "a" * (processor.max_question_tokens + 4) + "?"
    pairs = processor.process_pairs(
        [question, "When?"], [KnowledgeItem(id="1", text="b"), FACT], return_truncated=True
    )
    assert pairs["attention_mask"].sum(dim=1)[0] > processor.max_question_tokens
    assert pairs["truncated"].tolist() == [True, False]
    with pytest.raises(ValueError, match="1 of 2 rows have texts over the token limits, the first is row 0"):
        processor.process_pairs([question, "When?"], [KnowledgeItem(id="1", text="b"), FACT], strict=True)


def test_pictures_are_prepared_alike_wherever_they_stand(processor: RablipRetrieverProcessor, tmp_path: Path) -> None:
    RED.save(tmp_path / "red.png")
    reference = ImageRef(path=str(tmp_path / "red.png"))
    expected = processor.image_processor(RED, return_tensors="pt")["pixel_values"][0]
    asked = processor.process_questions(["What?", "Who?"], [[BLUE, RED], None])
    known = processor.process_knowledge([FACT, VIEW], [None, reference])
    pairs = processor.process_pairs(["What?"], [VIEW], [BLUE], [RED])
    assert asked["pixel_values"].shape == (2, 2, 3, IMAGE_SIZE, IMAGE_SIZE)
    assert asked["image_mask"].tolist() == [[1, 1], [0, 0]]
    assert known["image_mask"].tolist() == [[0], [1]]
    assert pairs["image_mask"].tolist() == [[1, 1]]
    for pixels in (asked["pixel_values"][0, 1], known["pixel_values"][1, 0], pairs["pixel_values"][0, 1]):
        assert torch.equal(pixels, expected)
    assert not asked["pixel_values"][1].any() and not known["pixel_values"][0].any()


def test_a_question_picture_takes_the_first_slot_of_a_pair(processor: RablipRetrieverProcessor) -> None:
    both = processor.process_pairs(["What?"], [VIEW], [RED], [BLUE])
    swapped = processor.process_pairs(["What?"], [VIEW], [BLUE], [RED])
    assert torch.equal(both["pixel_values"][0, 0], swapped["pixel_values"][0, 1])
    assert not torch.equal(both["pixel_values"][0, 0], both["pixel_values"][0, 1])


def test_rows_do_not_depend_on_their_batch(processor: RablipRetrieverProcessor) -> None:
    questions, images = ["What color is the roof?", "Who?"], [[RED], None]
    batch = processor.process_questions(questions, images)
    for row, (question, image) in enumerate(zip(questions, images, strict=True)):
        alone = processor.process_questions([question], [image])
        assert read(processor, batch, row) == read(processor, alone)
        length = alone["input_ids"].shape[1]
        assert batch["attention_mask"][row].tolist() == [1] * length + [0] * (batch["input_ids"].shape[1] - length)


def test_features_take_the_place_of_pictures(processor: RablipRetrieverProcessor) -> None:
    features = torch.arange(24.0).reshape(2, 4, 3)
    batch = processor.process_knowledge([VIEW, FACT, VIEW], [features[0], None, features[1]])
    assert set(batch) == {"input_ids", "attention_mask", "image_embeds", "image_mask"}
    assert batch["image_embeds"].shape == (3, 1, 4, 3)
    assert torch.equal(batch["image_embeds"][[0, 2], 0], features)
    assert batch["image_mask"].tolist() == [[1], [0], [1]]
    with pytest.raises(ValueError, match="mixes 1 feature tensors with 1 pictures"):
        processor.process_knowledge([VIEW, VIEW], [features[0], RED])
    with pytest.raises(ValueError, match="num_patches"):
        processor.process_knowledge([VIEW], [features])


@pytest.mark.parametrize("question", ["", "  ", "\n\t"])
def test_blank_questions_are_refused(processor: RablipRetrieverProcessor, question: str) -> None:
    with pytest.raises(ValueError, match="Question 1 is empty"):
        processor.process_questions(["What?", question])
    with pytest.raises(ValueError, match="Question 0 is empty"):
        processor.process_pairs([question], [FACT])


def test_wrong_calls_say_what_to_do(processor: RablipRetrieverProcessor) -> None:
    wrong: Any = "What color?"
    with pytest.raises(TypeError, match=r"Pass \['What color\?'\]"):
        processor.process_questions(wrong)
    with pytest.raises(ValueError, match="at least one"):
        processor.process_questions([])
    with pytest.raises(ValueError, match="at least one"):
        processor.process_knowledge([])
    with pytest.raises(ValueError, match="2 questions but 1 items"):
        processor.process_pairs(["a", "b"], [FACT])
    with pytest.raises(ValueError, match="2 entries for 1 rows"):
        processor.process_questions(["a"], [RED, RED])
    with pytest.raises(ValueError, match="text"):
        processor(images=RED)


def test_strings_are_never_opened_as_pictures(processor: RablipRetrieverProcessor, tmp_path: Path) -> None:
    RED.save(tmp_path / "red.png")
    for wrong in (str(tmp_path / "red.png"), "http://127.0.0.1/x.png", [str(tmp_path / "red.png")]):
        entry: Any = wrong
        with pytest.raises(TypeError, match="never guessed"):
            processor.process_questions(["What?"], [entry])
        with pytest.raises(TypeError, match="never guessed"):
            processor.process_knowledge([VIEW], [entry])
    with pytest.raises(TypeError, match="Pass it in a list"):
        one: Any = RED
        processor.process_questions(["What?"], one)


def test_text_that_looks_like_an_address_stays_text(processor: RablipRetrieverProcessor) -> None:
    batch = processor.process_questions(["http://127.0.0.1/x.png"])
    assert set(batch) == {"input_ids", "attention_mask"}


def test_pictures_that_cannot_be_used_are_named(processor: RablipRetrieverProcessor, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"nothing")
    with pytest.raises(ImageError, match=r"bad\.png"):
        processor.process_knowledge([VIEW], [ImageRef(path=str(tmp_path / "bad.png"))])


def test_too_many_pictures_are_refused_with_the_limit(processor: RablipRetrieverProcessor) -> None:
    with pytest.raises(ValueError, match="Row 0 has 3 pictures, but max_images=2"):
        processor.process_questions(["What?"], [[RED, BLUE, RED]])
    with pytest.raises(ValueError, match="Row 0 has 3 pictures, but max_images=2"):
        processor.process_pairs(["What?"], [VIEW], [[RED, BLUE]], [RED])
    assert make_retriever_processor(max_images=3).process_questions(["What?"], [[RED] * 3])["image_mask"].sum() == 3


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 40), st.integers(0, 400))
def test_limits_hold_and_are_reported(question_letters: int, item_letters: int) -> None:
    processor = make_retriever_processor(max_question_tokens=16, max_knowledge_tokens=20)
    question = "a?" + "b" * question_letters
    item = KnowledgeItem(id="1", text="c d" + " e" * item_letters)
    asked = processor.process_questions([question, "a?"], return_truncated=True)
    assert asked["input_ids"].shape[1] <= 16
    assert asked["truncated"].tolist() == [question_letters + 2 + 2 > 16, False]
    known = processor.process_knowledge([item], return_truncated=True)
    assert known["input_ids"].shape[1] <= 20
    assert known["truncated"].tolist() == [item_letters + 2 + 2 > 20]
    assert known["input_ids"][0, -1] == processor.qformer_tokenizer.sep_token_id


def test_in_a_pair_the_candidate_is_cut_before_the_question() -> None:
    processor = make_retriever_processor(max_question_tokens=20, max_knowledge_tokens=20)
    item = KnowledgeItem(id="1", text="z " * 300)
    batch = processor.process_pairs(["abcdefghijklmnop?", "a?"], [item, FACT], return_truncated=True)
    assert batch["truncated"].tolist() == [True, False]
    assert batch["input_ids"].shape[1] == 40
    assert read(processor, batch).startswith("[CLS]abcdefghijklmnop?|text:z")
    long = processor.process_pairs(["q" * 90 + "?"], [KnowledgeItem(id="1", text="y" * 60)])
    text = read(processor, long)
    assert long["input_ids"].shape[1] <= 40
    assert text.count("q") == 18 and text.count("y") > 10


def test_strict_calls_raise_where_a_text_would_be_cut(processor: RablipRetrieverProcessor) -> None:
    long = KnowledgeItem(id="1", text="word " * 200)
    with pytest.raises(ValueError, match="1 of 1 rows"):
        processor.process_questions(["word " * 200], strict=True)
    with pytest.raises(ValueError, match="1 of 2 rows .* row 1"):
        processor.process_knowledge([FACT, long], strict=True)
    with pytest.raises(ValueError, match="1 of 2 rows .* row 0"):
        processor.process_pairs(["When?", "When?"], [long, FACT], strict=True)
    assert processor.process_knowledge([FACT], strict=True)["input_ids"].shape[0] == 1


def test_very_long_texts_take_no_long_time_and_fit(processor: RablipRetrieverProcessor) -> None:
    batch = processor.process_knowledge([KnowledgeItem(id="1", text="word " * 100_000)], return_truncated=True)
    assert batch["input_ids"].shape == (1, 128)
    assert batch["truncated"].tolist() == [True]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from(["[SEP]", "[CLS]", "[PAD]", "[MASK]", "[UNK]", "[", "SEP", "]", " ", "a", "\u200b", "\0"])
    )
)
def test_special_tokens_in_texts_stay_text(parts: list[str]) -> None:
    processor = make_retriever_processor()
    text = "a" + "".join(parts)
    for batch in (
        processor.process_questions([text]),
        processor.process_knowledge([KnowledgeItem(id="1", title=text, caption=text, text=text)]),
        processor.process_pairs([text], [KnowledgeItem(id="1", text=text)]),
    ):
        inner = batch["input_ids"][0, 1:-1].tolist()
        unknown = processor.qformer_tokenizer.unk_token_id
        assert not (SPECIAL_IDS - {unknown}) & set(inner)
        if "\u200b" not in text:
            assert unknown not in inner


def test_plain_call_takes_one_question_or_many(processor: RablipRetrieverProcessor) -> None:
    assert processor(text="What?", images=RED)["pixel_values"].shape[0] == 1
    assert processor(text=["What?", "Who?"])["input_ids"].shape[0] == 2


def test_a_saved_processor_gives_the_same_tensors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"max_question_tokens": 11, "max_knowledge_tokens": 13, "max_images": 4}
    processor = make_retriever_processor(**options)
    processor.save_pretrained(tmp_path / "saved" / "retriever")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    shutil.move(tmp_path / "saved", tmp_path / "moved")
    for loaded in (
        RablipRetrieverProcessor.from_pretrained(tmp_path / "moved" / "retriever"),
        RablipRetrieverProcessor.from_pretrained(tmp_path / "moved", subfolder="retriever"),
    ):
        assert {name: getattr(loaded, name) for name in options} == options
        assert type(loaded.image_processor) is type(processor.image_processor)
        arguments: Any = (["What color is the roof?"], [FACT], [RED], [None])
        before, after = processor.process_pairs(*arguments), loaded.process_pairs(*arguments)
        assert set(before) == set(after) and all(torch.equal(before[name], after[name]) for name in before)


def test_a_missing_tokenizer_folder_is_an_error(tmp_path: Path) -> None:
    make_retriever_processor().save_pretrained(tmp_path)
    shutil.rmtree(tmp_path / "qformer_tokenizer")
    with pytest.raises(OSError, match="qformer_tokenizer"):
        RablipRetrieverProcessor.from_pretrained(tmp_path)


@pytest.mark.parametrize("options", [{"max_images": 0}, {"max_question_tokens": "9"}, {"max_knowledge_tokens": True}])
def test_options_that_cannot_work_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        make_retriever_processor(**options)


def test_tokenizers_that_cannot_work_are_refused() -> None:
    tokenizer = make_qformer_tokenizer()
    tokenizer.pad_token = None
    with pytest.raises(ValueError, match="padding token"):
        RablipRetrieverProcessor(make_retriever_processor().image_processor, tokenizer)
