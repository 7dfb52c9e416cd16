"""Knowledge items, picture references and question examples: what they refuse and how they name their modality."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from rablip.processing import ImageRef, KnowledgeItem, Modality, QuestionExample

PICTURE = ImageRef(path="tower.png")


@pytest.mark.parametrize(
    ("fields", "modality"),
    [
        ({"text": "A tower."}, Modality.TEXT),
        ({"title": "Tower"}, Modality.TEXT),
        ({"caption": "A view"}, Modality.TEXT),
        ({"image": PICTURE}, Modality.IMAGE),
        ({"image": PICTURE, "title": "Tower", "caption": "A view"}, Modality.IMAGE),
        ({"image": PICTURE, "text": "  "}, Modality.IMAGE),
        ({"image": PICTURE, "text": "A tower."}, Modality.IMAGE_TEXT),
    ],
)
def test_modality_follows_body_text_and_picture(fields: dict[str, Any], modality: Modality) -> None:
    assert KnowledgeItem(id="1", **fields).modality is modality


@pytest.mark.parametrize("fields", [{}, {"text": ""}, {"text": " \n", "title": "\t"}, {"source": "a book"}])
def test_an_item_without_content_is_refused_by_name(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="'seven' is empty"):
        KnowledgeItem(id="seven", **fields)


@pytest.mark.parametrize("value", ["tower.png", "http://169.254.169.254/x.png", b"123"])
def test_a_string_is_never_a_picture(value: Any) -> None:
    with pytest.raises(TypeError, match="ImageRef"):
        KnowledgeItem(id="1", image=value)
    with pytest.raises(TypeError, match="ImageRef"):
        QuestionExample(id="1", question="What?", images=(value,))
    with pytest.raises(TypeError, match="tuple"):
        QuestionExample(id="1", question="What?", images=value)


@pytest.mark.parametrize("item_id", ["", "  "])
def test_empty_ids_are_refused(item_id: str) -> None:
    with pytest.raises(ValueError, match="id"):
        KnowledgeItem(id=item_id, text="A tower.")
    with pytest.raises(ValueError, match="id"):
        QuestionExample(id=item_id, question="What?")


def test_ids_and_texts_of_other_types_are_refused() -> None:
    wrong: Any = 7
    with pytest.raises(TypeError, match="id must be a str"):
        KnowledgeItem(id=wrong, text="A tower.")
    with pytest.raises(TypeError, match=r"text of item '7' must be a str"):
        KnowledgeItem(id="7", text=wrong)
    with pytest.raises(TypeError, match="metadata"):
        KnowledgeItem(id="7", text="A tower.", metadata=wrong)


@pytest.mark.parametrize(
    "path",
    ["http://127.0.0.1/x.png", "HTTPS://host/x.png", "file:///etc/passwd", "data:image/png;base64,AA", "s3://b/k"],
)
def test_urls_are_refused_as_paths(path: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        ImageRef(path=path)


def test_long_urls_are_shortened_in_errors() -> None:
    with pytest.raises(ValueError) as error:
        ImageRef(path="http://host/" + "x" * 5000)
    assert len(str(error.value)) < 400


@pytest.mark.parametrize(
    "fields", [{}, {"path": "a.png", "data": b"1"}, {"path": ""}, {"data": b""}, {"path": "a\0b"}]
)
def test_a_reference_names_exactly_one_picture(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="ImageRef"):
        ImageRef(**fields)


def test_picture_bytes_do_not_show_in_a_repr() -> None:
    assert "secret" not in repr(KnowledgeItem(id="1", image=ImageRef(data=b"secret")))


def test_question_examples_take_lists_but_no_bare_string() -> None:
    example = QuestionExample(id="1", question="What?", answers=["red"], positive_ids=["7"], images=[PICTURE])  # type: ignore[arg-type]
    assert (example.answers, example.positive_ids, example.images) == (("red",), ("7",), (PICTURE,))
    with pytest.raises(TypeError, match="answers"):
        QuestionExample(id="1", question="What?", answers="red")  # type: ignore[arg-type]


def test_answerable_means_that_an_answer_is_known() -> None:
    assert QuestionExample(id="1", question="What?", answers=("red",)).answerable
    assert not QuestionExample(id="1", question="What?", positive_ids=("7",)).answerable


def test_blank_questions_and_contradicting_ids_are_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        QuestionExample(id="1", question=" \n")
    with pytest.raises(ValueError, match="both positive and negative"):
        QuestionExample(id="1", question="What?", positive_ids=("a", "b"), negative_ids=("b",))


def test_items_are_equal_and_hashable_by_content() -> None:
    items = {KnowledgeItem(id="1", text="A tower.", metadata={"page": [1]}) for _ in range(2)}
    assert len(items) == 1


def test_items_prompts_and_images_are_importable_without_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None; sys.modules['transformers'] = None\n"
        "import rablip.processing as p\n"
        "p.KnowledgeItem; p.build_qa_prompt; p.load_image; import rablip.processing.readers_jsonl\n"
        "assert sorted(p.__all__) == p.__all__ and set(p.__all__) <= set(dir(p))\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_every_public_name_of_the_package_resolves() -> None:
    import rablip.processing as processing

    assert all(getattr(processing, name) is not None for name in processing.__all__)
    with pytest.raises(AttributeError, match="no_such_name"):
        processing.no_such_name  # noqa: B018
