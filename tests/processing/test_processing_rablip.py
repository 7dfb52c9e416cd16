"""The generator's processor: prompts, markers, labels, image tokens, saving, and parity with InstructBLIP."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers import InstructBlipProcessor, LlamaTokenizer

from rablip.processing import (
    KnowledgeItem,
    RablipProcessor,
    build_askg_prompt,
    build_askg_target,
    build_instruction,
    build_qa_prompt,
)
from tests.processing.generation_rows import (
    BLUE,
    EVIDENCE,
    FACT,
    IMAGES,
    MODELS,
    PROCESSORS,
    QUESTIONS,
    RED,
    RELEVANCE,
    VIEW,
    process,
    read,
)
from tests.processing.tiny_tokenizers import IMAGE_SIZE, make_llama_tokenizer, make_processor

GOLDEN = Path(__file__).parent.parent / "fixtures" / "golden"


@pytest.fixture(params=MODELS)
def processor(request: pytest.FixtureRequest) -> RablipProcessor:
    return PROCESSORS[request.param]


def process_padded(name: str, side: str) -> tuple[RablipProcessor, Any]:
    """A processor that pads on the given side, and its batch with answers and both passes."""
    processor = make_processor(name)
    processor.tokenizer.padding_side = side
    return processor, process(processor, answers=["1889", None, "red"], relevance=RELEVANCE, askg=True)


def test_prompts_are_those_of_the_prompt_functions(processor: RablipProcessor) -> None:
    batch = process(processor, answers=["1889", None, "red"], relevance=RELEVANCE, askg=True)
    numbers = [[None, 1], [], [1, None, 2]]
    for row, question in enumerate(QUESTIONS):
        arguments: Any = (question, EVIDENCE[row], numbers[row])
        assert read(processor, batch, row) == build_qa_prompt(*arguments).text
        askg = read(processor, batch, row, "askg_input_ids", "askg_labels")
        assert askg == build_askg_prompt(*arguments).text
        ids = batch["qformer_input_ids"][row][batch["qformer_attention_mask"][row].bool()]
        instruction = processor.qformer_tokenizer.decode(ids, skip_special_tokens=True).replace(" ", "")
        assert instruction == build_instruction(*arguments).lower().replace(" ", "")


def test_keys_shapes_and_types(processor: RablipProcessor) -> None:
    batch = process(processor, answers=["1889", None, "red"], relevance=RELEVANCE, askg=True, return_truncated=True)
    assert set(batch) == {
        "input_ids", "attention_mask", "qformer_input_ids", "qformer_attention_mask", "pixel_values", "image_mask",
        "reference_positions", "candidate_mask", "labels", "relevance_labels", "askg_input_ids",
        "askg_attention_mask", "askg_labels", "askg_reference_positions", "segment_ids", "askg_segment_ids",
        "truncated",
    }  # fmt: skip
    assert batch["pixel_values"].shape == (3, 2, 3, IMAGE_SIZE, IMAGE_SIZE)
    assert batch["image_mask"].tolist() == [[1, 0], [0, 0], [1, 1]]
    assert batch["candidate_mask"].tolist() == [[1, 1, 0], [0, 0, 0], [1, 1, 1]]
    assert batch["relevance_labels"].tolist() == [[1, 0, -100], [-100, -100, -100], [0, 0, 1]]
    assert batch["relevance_labels"].dtype == torch.float32
    assert batch["truncated"].tolist() == [False, False, False]
    for name in ("reference_positions", "askg_reference_positions"):
        assert batch[name].shape == batch["candidate_mask"].shape and batch[name].dtype == torch.long
    if processor.causal_lm:
        assert batch["labels"].shape == batch["input_ids"].shape
        assert batch["askg_labels"].shape == batch["askg_input_ids"].shape


def test_batches_without_pictures_candidates_or_targets_lack_their_keys(processor: RablipProcessor) -> None:
    plain = processor.process_generation(["Who?"])
    assert set(plain) == {"input_ids", "attention_mask", "qformer_input_ids", "qformer_attention_mask"}
    assert read(processor, plain, 0) == "Question: Who? Answer:"
    withheld = processor.process_generation(["Who?"], [[VIEW]])
    assert set(withheld) == set(plain) | {"reference_positions", "candidate_mask", "segment_ids"}
    assert "[1] text: A tower [/1]" in read(processor, withheld, 0)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("name", MODELS)
def test_positions_point_at_the_end_of_each_closing_marker(name: str, side: str) -> None:
    processor, batch = process_padded(name, side)
    for prefix in ("", "askg_"):
        for row, items in enumerate(EVIDENCE):
            ids = batch[f"{prefix}input_ids"][row]
            for number in range(1, len(items) + 1):
                position = int(batch[f"{prefix}reference_positions"][row, number - 1])
                assert batch[f"{prefix}attention_mask"][row, position] == 1
                before = processor.tokenizer.decode(ids[: position + 1], skip_special_tokens=True)
                assert before.endswith(f"[/{number}]")
            assert not batch[f"{prefix}reference_positions"][row, len(items) :].any()


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("name", MODELS)
def test_segments_are_the_question_and_each_candidate_with_its_markers(name: str, side: str) -> None:
    processor, batch = process_padded(name, side)
    for prefix in ("", "askg_"):
        for row, (question, items) in enumerate(zip(QUESTIONS, EVIDENCE, strict=True)):
            ids, parts = batch[f"{prefix}input_ids"][row], batch[f"{prefix}segment_ids"][row]
            assert parts.shape == ids.shape
            if not items:
                assert not parts.any()
                continue
            texts = [
                processor.tokenizer.decode(ids[parts == part], skip_special_tokens=True).strip()
                for part in range(1, 2 + len(items))
            ]
            assert texts[0].replace(" ", "") == f"Question:{question}References:".replace(" ", "")
            for number, text in enumerate(texts[1:], start=1):
                assert text.startswith(f"[{number}]") and text.endswith(f"[/{number}]")
            assert int(parts.max()) == 1 + len(items)
            assert not parts[ids == processor.image_token_id].any()
            assert not parts[batch[f"{prefix}attention_mask"][row] == 0].any()


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("name", MODELS)
def test_padding_follows_the_tokenizer_and_changes_no_row(name: str, side: str) -> None:
    processor = make_processor(name)
    processor.tokenizer.padding_side = side
    batch = process(processor)
    for row in range(3):
        alone = processor.process_generation([QUESTIONS[row]], [EVIDENCE[row]], [IMAGES[row]])
        length = alone["input_ids"].shape[1]
        width = batch["input_ids"].shape[1]
        kept = slice(width - length, None) if side == "left" else slice(0, length)
        assert torch.equal(batch["input_ids"][row, kept], alone["input_ids"][0])
        assert batch["attention_mask"][row].sum() == length and batch["attention_mask"][row, kept].all()
        if EVIDENCE[row]:
            shift = width - length if side == "left" else 0
            positions = batch["reference_positions"][row, : len(EVIDENCE[row])]
            assert torch.equal(positions - shift, alone["reference_positions"][0])


def test_default_sides_are_those_of_the_tokenizers() -> None:
    sides = {name: processor.tokenizer.padding_side for name, processor in PROCESSORS.items()}
    assert sides == {"t5": "right", "llama": "left", "gpt2": "right"}
    assert process(PROCESSORS["llama"])["attention_mask"][1].tolist()[0] == 0


def test_image_tokens_stand_in_front_of_rows_with_pictures_only(processor: RablipProcessor) -> None:
    batch = process(processor, askg=True)
    for prefix in ("", "askg_"):
        ids, mask = batch[f"{prefix}input_ids"], batch[f"{prefix}attention_mask"]
        assert (ids == processor.image_token_id).sum(1).tolist() == [3, 0, 3]
        for row in (0, 2):
            assert (ids[row][mask[row].bool()][:3] == processor.image_token_id).all()


def test_question_pictures_come_first(processor: RablipProcessor) -> None:
    batch = processor.process_generation(["Who?", "Who?"], [[VIEW], [VIEW]], [[RED], [RED]], [BLUE, None])
    assert "Question picture 1. Question: Who? References: [1] picture 2: A tower [/1]" in read(processor, batch, 0)
    assert read(processor, batch, 1).startswith("Question: Who? References: [1] picture 1: A tower [/1]")
    expected = processor.image_processor([BLUE, RED], return_tensors="pt")["pixel_values"]
    assert torch.equal(torch.as_tensor(batch["pixel_values"][0]), torch.stack(list(expected)))
    assert batch["image_mask"].tolist() == [[1, 1], [1, 0]]


def test_encoder_decoder_labels_are_the_answer_alone() -> None:
    processor = PROCESSORS["t5"]
    batch = process(processor, answers=["red", None, "in 1889"])
    assert processor.decode_answers(batch["labels"]) == ["red", "", "in 1889"]
    assert (batch["labels"][1] == -100).all()
    for row in (0, 2):
        answer = batch["labels"][row][batch["labels"][row] != -100]
        assert (answer == processor.eos_token_id).nonzero().tolist() == [[len(answer) - 1]]
    assert torch.equal(batch["input_ids"], process(processor)["input_ids"])


@pytest.mark.parametrize("name", MODELS)
def test_a_batch_without_any_answer_has_labels_that_count_nowhere(name: str) -> None:
    batch = process(PROCESSORS[name], answers=[None, None, None], relevance=RELEVANCE, askg=True)
    assert batch["labels"].shape == ((3, 1) if name == "t5" else batch["input_ids"].shape)
    assert (batch["labels"] == -100).all()
    assert (batch["askg_labels"] != -100).any(dim=1).all(), "that nothing is relevant is to be said, too"


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_decoder_only_labels_follow_the_prompt(name: str) -> None:
    processor = PROCESSORS[name]
    batch = process(processor, answers=["red", None, "in 1889"], relevance=RELEVANCE, askg=True)
    assert processor.decode_answers(batch["labels"]) == ["red", "", "in 1889"]
    assert processor.decode_answers(batch["askg_labels"])[2] == "The relevant references are [3]."
    for row, answer in enumerate(["red", None, "in 1889"]):
        learned = batch["labels"][row] != -100
        assert torch.equal(batch["labels"][row][learned], batch["input_ids"][row][learned])
        prompt = processor.process_generation([QUESTIONS[row]], [EVIDENCE[row]], [IMAGES[row]])["input_ids"][0]
        full = batch["input_ids"][row][batch["attention_mask"][row].bool()]
        assert torch.equal(full[: len(prompt)], prompt)
        if answer is not None:
            assert full[-1] == processor.eos_token_id and learned.sum() == len(full) - len(prompt)
            text = processor.tokenizer.decode(full, skip_special_tokens=True)
            assert text.endswith(f"Answer: {answer}")


def test_decoder_only_answers_are_the_tokens_they_have_behind_a_prompt() -> None:
    processor = PROCESSORS["gpt2"]
    ids = processor.process_generation(["Who?"], answers=["red"])["labels"][0]
    assert processor.tokenizer.convert_ids_to_tokens(int(ids[ids != -100][0])) == "Ġre"


def test_an_end_token_behind_a_decoder_only_prompt_is_dropped() -> None:
    plain = PROCESSORS["llama"]
    tokenizer = make_llama_tokenizer(add_eos_token=True)
    processor = RablipProcessor(
        plain.image_processor, tokenizer, plain.qformer_tokenizer, num_query_tokens=3, causal_lm=True
    )
    assert tokenizer("a")["input_ids"][-1] == tokenizer.eos_token_id
    for arguments in ({}, {"answers": ["red", None, "1889"]}):
        expected, batch = process(plain, **arguments), process(processor, **arguments)
        assert all(torch.equal(batch[key], expected[key]) for key in expected)


def test_askg_targets_name_the_relevant_candidates(processor: RablipProcessor) -> None:
    batch = process(processor, relevance=RELEVANCE, askg=True)
    targets = processor.decode_answers(batch["askg_labels"])
    assert targets == [build_askg_target([1]), build_askg_target([]), build_askg_target([3])]
    assert "labels" not in batch
    assert "askg_labels" not in process(processor, askg=True)


def test_decoding_skips_padding_special_and_negative_ids(processor: RablipProcessor) -> None:
    ids = processor.tokenizer("red", add_special_tokens=False)["input_ids"]
    rows = [[*ids, processor.eos_token_id, processor.pad_token_id], [*ids, -100, -1]]
    assert processor.decode_answers(torch.tensor([row + [-100] * (9 - len(row)) for row in rows])) == ["red", "red"]
    assert processor.decode_answers([[]]) == [""]


@pytest.mark.parametrize("name", MODELS)
def test_a_saved_processor_gives_the_same_tensors(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"num_query_tokens": 5, "max_images": 4, "max_prompt_tokens": 130, "max_question_tokens": 31}
    options |= {"max_instruction_tokens": 22, "max_answer_tokens": 7, "image_token": "<picture>"}
    processor = make_processor(name, **options)
    processor.save_pretrained(tmp_path / "saved" / "generator")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    shutil.copytree(tmp_path / "saved", tmp_path / "copied")
    shutil.rmtree(tmp_path / "saved")
    arguments: Any = {"answers": ["red", None, "1889"], "relevance": RELEVANCE, "askg": True}
    before = processor.process_generation(QUESTIONS, EVIDENCE, IMAGES, **arguments)
    for loaded in (
        RablipProcessor.from_pretrained(tmp_path / "copied" / "generator"),
        RablipProcessor.from_pretrained(tmp_path / "copied", subfolder="generator"),
    ):
        assert {option: getattr(loaded, option) for option in options} == options
        assert loaded.causal_lm is processor.causal_lm
        assert loaded.image_token_id == processor.image_token_id
        assert len(loaded.tokenizer) == len(processor.tokenizer)
        after = loaded.process_generation(QUESTIONS, EVIDENCE, IMAGES, **arguments)
        assert set(before) == set(after) and all(torch.equal(before[key], after[key]) for key in before)


def test_what_a_saved_processor_lacks_is_never_guessed(tmp_path: Path) -> None:
    make_processor().save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "processor_config.json").read_text())
    del saved["num_query_tokens"]
    (tmp_path / "processor_config.json").write_text(json.dumps(saved))
    with pytest.raises(ValueError, match="num_query_tokens"):
        RablipProcessor.from_pretrained(tmp_path)
    make_processor().save_pretrained(tmp_path)
    shutil.rmtree(tmp_path / "qformer_tokenizer")
    with pytest.raises(OSError, match="qformer_tokenizer"):
        RablipProcessor.from_pretrained(tmp_path)


def test_option_names_are_not_taken_for_parts() -> None:
    assert RablipProcessor.get_attributes() == ["image_processor", "tokenizer", "qformer_tokenizer"]


def test_the_image_token_is_one_token_and_added_once() -> None:
    processor = make_processor()
    again = RablipProcessor(
        processor.image_processor, processor.tokenizer, processor.qformer_tokenizer, num_query_tokens=3
    )
    assert again.image_token_id == processor.image_token_id == len(processor.tokenizer) - 1
    assert (
        processor.tokenizer("<image><image>", add_special_tokens=False)["input_ids"] == [processor.image_token_id] * 2
    )


def test_plain_call_prepares_pictures_and_texts_for_pipelines(processor: RablipProcessor) -> None:
    batch = processor(images=RED, text="What is it?", padding=True, return_tensors="pt")
    assert batch["pixel_values"].shape == (1, 1, 3, IMAGE_SIZE, IMAGE_SIZE)
    assert batch["input_ids"][0, :3].tolist() == [processor.image_token_id] * 3
    text_only = processor(text=["What is it?", "Who?"], padding=True, return_tensors="pt")
    assert set(text_only) == {"input_ids", "attention_mask", "qformer_input_ids", "qformer_attention_mask"}
    short = processor(images=RED, text="What is it?", truncation=True, max_length=8, return_tensors="pt")
    assert short["input_ids"].shape[1] == 8
    with pytest.raises(ValueError, match="text"):
        processor(images=RED)
    with pytest.raises(ValueError, match="process_generation"):
        processor(images=[RED, None], text=["a", "b"])
    with pytest.raises(TypeError, match="never guessed"):
        processor(images=["red.png"], text=["a"])


@pytest.mark.parametrize("name", ["instructblip-t5-tiny", "instructblip-llama-tiny"])
def test_plain_call_equals_instructblip(name: str) -> None:
    folder = GOLDEN / name
    questions = json.loads((folder / "meta.json").read_text())["texts"]["questions"]
    expected = load_file(folder / "inputs.safetensors")
    pictures = [Image.fromarray(expected[f"raw_image.{i}"].numpy()) for i in range(3)]
    arguments: Any = {"images": pictures, "text": questions, "padding": True, "return_tensors": "pt"}
    batch = RablipProcessor.from_pretrained(folder / "checkpoint")(**arguments)
    for key in ("input_ids", "attention_mask", "qformer_input_ids", "qformer_attention_mask"):
        assert torch.equal(batch[key], expected[key]), key
    stock = InstructBlipProcessor.from_pretrained(folder / "checkpoint")(**arguments)
    assert torch.equal(batch["pixel_values"][:, 0], torch.as_tensor(stock["pixel_values"]))
    # The fixture's pixels come from the torchvision backend, which differs by up to 0.05.
    assert (batch["pixel_values"][:, 0] - expected["pixel_values"]).abs().max() < 0.05


def test_markers_are_found_where_character_offsets_are_wrong() -> None:
    # This tokenizer drops the characters it does not know, and its offsets are wrong behind them.
    processor = PROCESSORS["llama"]
    items = [KnowledgeItem(id=str(i), text="\u6771\u4eac a \u00e9") for i in range(3)]
    batch = processor.process_generation(["a"], [items])
    for number, position in enumerate(batch["reference_positions"][0].tolist(), start=1):
        before = processor.tokenizer.decode(batch["input_ids"][0, : position + 1])
        assert before.endswith(f"[/{number}]")
    parts = batch["segment_ids"][0]
    for number, position in enumerate(batch["reference_positions"][0].tolist(), start=1):
        assert parts[position] == 1 + number and parts[position + 1] in (0, 2 + number)
    announced = processor.tokenizer.decode(batch["input_ids"][0, parts == 1], skip_special_tokens=True)
    assert announced.replace(" ", "").startswith("Question:aReferences:")


def test_a_tokenizer_that_cannot_spell_the_markers_is_refused() -> None:
    tokenizer = LlamaTokenizer(
        vocab={piece: i for i, piece in enumerate(["<unk>", "<s>", "</s>", "\u2581", *"Question:refncsAwtx1"])},
        merges=[],
        pad_token="</s>",
    )
    processor = PROCESSORS["llama"]
    broken = RablipProcessor(
        processor.image_processor, tokenizer, processor.qformer_tokenizer, num_query_tokens=3, causal_lm=True
    )
    with pytest.raises(ValueError, match="spells only 0 of 1 reference markers"):
        broken.process_generation(["Who?"], [[FACT]])
