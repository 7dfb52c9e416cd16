"""Collators: seeded order, no trace of relevance in places, pictures opened once, and models that take the batches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from rablip.processing import (
    CandidateExample,
    GeneratorCollator,
    ImageRef,
    KnowledgeItem,
    QuestionExample,
    RerankerCollator,
    RetrieverCollator,
)
from tests.processing.tiny_tokenizers import IMAGE_SIZE, make_processor, make_retriever_processor

RETRIEVER = make_retriever_processor(max_images=3)
GENERATORS = {name: make_processor(name, max_images=3) for name in ("t5", "llama")}


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def make_items(count: int, *, pictures: bool = True) -> list[KnowledgeItem]:
    """Items of which every second has a picture, whose file is named after its id."""
    return [
        KnowledgeItem(id=f"i{n}", text=f"fact {n}", image=ImageRef(path=f"i{n}.png") if pictures and n % 2 else None)
        for n in range(count)
    ]


def make_example(
    number: int, items: Sequence[KnowledgeItem], relevant: set[int], *, picture: bool = False
) -> CandidateExample:
    """A question about some items, the given ones relevant."""
    return CandidateExample(
        question=QuestionExample(
            id=f"q{number}", question=f"what {number}?", images=(ImageRef(path=f"q{number}.png"),) if picture else ()
        ),
        candidates=tuple(items),
        relevance=tuple(float(i in relevant) for i in range(len(items))),
        answer="red" if relevant else None,
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for i in range(8):
        for kind in "iq":
            Image.new("RGB", (12, 9), (i * 30, 10, 60 if kind == "q" else 200)).save(folder / f"{kind}{i}.png")
    return folder


def read(processor: Any, batch: dict[str, torch.Tensor], row: int, name: str = "input_ids") -> str:
    tokenizer = getattr(processor, "tokenizer", processor.qformer_tokenizer)
    return tokenizer.decode(batch[name][row], skip_special_tokens=True)


def test_the_same_seed_gives_the_same_batches_and_another_seed_others() -> None:
    example = make_example(0, make_items(6, pictures=False), {1, 4})
    for make in (
        lambda seed: GeneratorCollator(GENERATORS["t5"], generator=generator(seed)),
        lambda seed: RerankerCollator(RETRIEVER, generator=generator(seed)),
        lambda seed: RetrieverCollator(RETRIEVER, generator=generator(seed)),
    ):
        first, again, other = (make(seed) for seed in (1, 1, 2))
        batches = [[collator([example]) for _ in range(3)] for collator in (first, again, other)]
        for one, two in zip(batches[0], batches[1], strict=True):
            assert set(one) == set(two) and all(torch.equal(one[key], two[key]) for key in one)
        assert any(
            not torch.equal(one[key], two[key]) if one[key].shape == two[key].shape else True
            for one, two in zip(batches[0], batches[2], strict=True)
            for key in one
        )


def test_a_candidates_place_says_nothing_of_its_relevance(full: bool) -> None:
    # Fault 4 of the public release: its positive always stands first.
    rounds = 3000 if full else 600
    collator = GeneratorCollator(GENERATORS["t5"], generator=generator())
    example = make_example(0, make_items(4, pictures=False), {0})
    places: Counter[int] = Counter()
    for _ in range(rounds // 30):
        labels = collator([example] * 30)["relevance_labels"]
        places.update(labels.argmax(dim=1).tolist())
    expected = rounds / 4
    chi_squared = sum((places[place] - expected) ** 2 / expected for place in range(4))
    assert chi_squared < 16.3  # 99.9 % of fair draws, three degrees of freedom


def test_labels_and_targets_follow_the_shuffled_candidates() -> None:
    processor = GENERATORS["t5"]
    collator = GeneratorCollator(processor, generator=generator(3))
    example = make_example(0, make_items(5, pictures=False), {1, 3})
    batch = collator([example] * 8)
    targets = processor.decode_answers(batch["askg_labels"])
    for row in range(8):
        text = read(processor, batch, row)
        labels = batch["relevance_labels"][row].tolist()
        relevant = [n for n in range(1, 6) if f"[{n}] text: fact 1 " in text or f"[{n}] text: fact 3 " in text]
        assert [n for n, label in enumerate(labels, start=1) if label] == relevant
        assert targets[row] == f"The relevant references are [{relevant[0]}] [{relevant[1]}]."


def test_pictures_follow_their_items(root: Path) -> None:
    examples = [make_example(0, make_items(4), {1}, picture=True), make_example(1, make_items(2), set())]
    collator = RerankerCollator(RETRIEVER, generator=generator(5), root=root)
    batch = collator(examples)
    texts = [read(RETRIEVER, batch, row) for row in range(6)]
    shown = [("what 0" in text) + ("picture" in text.split("|")[1]) for text in texts]
    assert batch["image_mask"].sum(1).tolist() == shown
    for row in range(6):
        text = read(RETRIEVER, batch, row)
        number = int(text.split("fact")[1])
        if number % 2:
            slot = 1 if "what 0" in text else 0
            expected = RETRIEVER.image_processor(Image.open(root / f"i{number}.png"), return_tensors="pt")
            assert torch.equal(batch["pixel_values"][row, slot], torch.as_tensor(expected["pixel_values"][0]))
        assert batch["relevance_labels"][row] == float("what 0" in text and number == 1)


def test_every_item_of_the_batch_is_a_candidate_once() -> None:
    items = make_items(5, pictures=False)
    first = make_example(0, items[:3], {0})
    second = CandidateExample(
        question=QuestionExample(id="q1", question="what 1?", positive_ids=("i3", "i1")),
        candidates=(items[3], items[2], items[4]),
        relevance=(1.0, 0.0, 0.0),
    )
    batch = RetrieverCollator(RETRIEVER, generator=generator())([first, second])
    facts = [int(read(RETRIEVER, batch, row, "knowledge_input_ids").split("fact")[1]) for row in range(5)]
    assert sorted(facts) == [0, 1, 2, 3, 4]
    # Item 1 came as a negative of the first question, but it also answers the second.
    assert {n for n, label in zip(facts, batch["positive_mask"][0].tolist(), strict=True) if label} == {0}
    assert {n for n, label in zip(facts, batch["positive_mask"][1].tolist(), strict=True) if label} == {1, 3}


def test_features_are_looked_up_once_a_batch_and_no_picture_is_opened() -> None:
    asked: list[list[str]] = []

    def features(ids: Sequence[str]) -> torch.Tensor:
        asked.append(list(ids))
        return torch.stack([torch.full((5, 24), float(key[1:])) for key in ids])

    examples = [make_example(n, make_items(4), {1}, picture=n == 1) for n in range(2)]
    options: Any = {"generator": generator(), "features": features, "question_features": features}
    batch = GeneratorCollator(GENERATORS["t5"], **options)(examples)
    assert batch["image_embeds"].shape == (2, 3, 5, 24) and "pixel_values" not in batch
    assert batch["image_mask"].tolist() == [[1, 1, 0], [1, 1, 1]]
    assert sorted(map(sorted, asked)) == [["i1", "i3"], ["q1"]]
    assert batch["image_embeds"][1, 0, 0, 0] == 1.0
    assert sorted(batch["image_embeds"][0, :2, 0, 0].tolist()) == [1.0, 3.0]
    text_only = RetrieverCollator(RETRIEVER, **options)([make_example(0, make_items(2, pictures=False), {1})])
    assert not any("image" in key for key in text_only) and len(asked) == 2
    two = QuestionExample(id="q0", question="what?", images=(ImageRef(path="a.png"), ImageRef(path="b.png")))
    with pytest.raises(ValueError, match="'q0' has 2 pictures"):
        RerankerCollator(RETRIEVER, **options)([CandidateExample(question=two, candidates=(), relevance=())])


def test_askg_can_be_left_out() -> None:
    collator = GeneratorCollator(GENERATORS["t5"], generator=generator(), askg=False)
    assert not any(key.startswith("askg") for key in collator([make_example(0, make_items(2, pictures=False), {0})]))


def test_examples_that_teach_nothing_are_refused_by_name() -> None:
    items = make_items(2, pictures=False)
    with pytest.raises(ValueError, match="'q7' has no relevant candidate"):
        RetrieverCollator(RETRIEVER, generator=generator())([make_example(7, items, set())])
    with pytest.raises(ValueError, match="None of the 1 examples"):
        RerankerCollator(RETRIEVER, generator=generator())([make_example(7, [], set())])
    with pytest.raises(ValueError, match="'q7' has 2 candidates but 1"):
        CandidateExample(question=make_example(7, items, set()).question, candidates=tuple(items), relevance=(1.0,))
    with pytest.raises(TypeError, match="numpy Generator"):
        RetrieverCollator(RETRIEVER, generator=0)  # type: ignore[arg-type]


def test_workers_shuffle_unlike_each_other_and_alike_for_one_seed() -> None:
    example = make_example(0, make_items(6, pictures=False), {0})

    def orders(seed: int) -> list[str]:
        collator = GeneratorCollator(GENERATORS["t5"], generator=generator(seed), askg=False)
        torch.manual_seed(seed)
        loader = DataLoader([example] * 4, batch_size=1, num_workers=2, collate_fn=collator)  # type: ignore[arg-type]
        return [read(GENERATORS["t5"], batch, 0) for _ in range(2) for batch in loader]

    drawn = orders(0)
    assert len(set(drawn)) >= 6
    assert drawn == orders(0)


@pytest.mark.parametrize("name", ["t5", "llama"])
def test_the_generator_takes_its_batches(name: str, root: Path) -> None:
    from tests.tiny import LM_VOCAB_SIZE, make_generator

    processor = GENERATORS[name]
    assert len(processor.tokenizer) <= LM_VOCAB_SIZE
    model = make_generator(name, image_token_index=processor.image_token_id)
    examples = [make_example(0, make_items(4), {1}, picture=True), make_example(1, make_items(1), {0})]
    batch = GeneratorCollator(processor, generator=generator(), root=root)(examples)
    assert batch["pixel_values"].shape[-1] == IMAGE_SIZE
    output = model(**batch)
    assert torch.isfinite(output.loss) and output.relevance_logits.shape == (2, 4)


def test_the_retriever_and_the_reranker_take_their_batches(root: Path) -> None:
    from tests.tiny import make_reranker, make_retriever

    examples = [make_example(0, make_items(4), {1}, picture=True), make_example(1, make_items(2), {0})]
    batch = RetrieverCollator(RETRIEVER, generator=generator(), root=root)(examples)
    assert torch.isfinite(make_retriever()(**batch).loss)
    batch = RerankerCollator(RETRIEVER, generator=generator(), root=root)(examples)
    output = make_reranker()(**batch)
    assert torch.isfinite(output.loss) and output.relevance_logits.shape == (6,)


@pytest.mark.parametrize("name", ["t5", "llama"])
def test_pipelines_take_model_and_processor(name: str) -> None:
    from transformers import pipeline

    from tests.tiny import make_generator

    processor = GENERATORS[name]
    model = make_generator(name, image_token_index=processor.image_token_id)
    pipe = pipeline("image-text-to-text", model=model, processor=processor)
    pictures = [Image.new("RGB", (20, 20), color) for color in ("red", "blue")]
    answers = pipe(pictures, text=["what is it?", "who?"], max_new_tokens=3, return_full_text=False)
    assert [set(answer) for answer in answers] == [{"input_text", "generated_text"}] * 2
