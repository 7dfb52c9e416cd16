"""The metrics as modules of `evaluate`: the same figures as the functions, added in batches, without a network."""

from __future__ import annotations

import evaluate
import pytest

from rablip.metrics import VQAReference, WebQAReference, load_metric, score_vqa, score_webqa
from rablip.metrics.modules import MODULES

NONE = {"answer_ids": [], "question_type": "", "answer_type": ""}


def test_equal_to_the_function_and_in_batches() -> None:
    answers = [["red"] * 4 + ["blue"] * 6, ["Two"] * 10]
    said = {"1": "red", "2": "2"}
    expected = score_vqa(
        said, {str(n): VQAReference(answers=row) for n, row in enumerate(answers, start=1)}, variant="simple"
    )
    metric = load_metric("vqa", variant="simple")
    assert isinstance(metric, evaluate.Metric)
    for number, row in enumerate(answers, start=1):
        metric.add(
            prediction={"id": str(number), "answer": said[str(number)]},
            reference={"id": str(number), "answers": row, **NONE},
        )
    found = metric.compute(seed=0)
    assert found["value"] == expected.value and found["variant"] == "simple" and len(found["interval"]) == 2


def test_options_and_empty_fields() -> None:
    metric = load_metric("webqa")
    rows = {
        "predictions": [{"id": "q1", "answer": "red boats"}],
        "references": [{"id": "q1", "answers": ["A red boat"], "keywords": "", "category": "Others"}],
    }
    with pytest.raises(ValueError, match="no keywords"):
        metric.compute(**rows)
    found = load_metric("webqa", variant="approx_val").compute(**rows)
    reference = {"q1": WebQAReference(answers=["A red boat"], category="Others")}
    assert found["value"] == score_webqa({"q1": "red boats"}, reference, variant="approx_val").value == 1.0
    bare = load_metric("webqa", variant="approx_val").compute(**rows, lemmatize=None)
    assert bare["value"] == 0.5 and bare["variant"] == "approx_val"


def test_several_figures_and_rankings() -> None:
    found = load_metric("multimodalqa").compute(
        predictions=[{"id": "q1", "answer": "harbor"}],
        references=[{"id": "q1", "answers": ["The Harbor"], "modality": "text", "question_type": ""}],
    )
    assert found["multimodalqa_exact_match"]["value"] == found["multimodalqa_f1"]["value"] == 100.0
    ranked = load_metric("ranking", metric="recall", k=2).compute(
        predictions=[{"id": "q1", "ids": ["a", "b", "c"]}], references=[{"id": "q1", "ids": ["b", "c"]}]
    )
    assert ranked["value"] == 0.5 and ranked["k"] == 2


def test_unknown_and_repeated_names() -> None:
    with pytest.raises(ValueError, match="Did you mean 'vqa'"):
        load_metric("vqaa")
    row = {"id": "1", "answer": "red"}
    with pytest.raises(ValueError, match="stands twice in the predictions"):
        load_metric("vqa").compute(predictions=[row, row], references=[{"id": "1", "answers": ["red"], **NONE}] * 2)


@pytest.mark.parametrize("name", list(MODULES))
def test_every_module_says_what_it_takes(name: str) -> None:
    metric = load_metric(name)
    assert set(metric.features) == {"predictions", "references"} and metric.description
