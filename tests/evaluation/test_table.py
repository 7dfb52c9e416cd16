"""The tables that people read."""

from __future__ import annotations

from rablip.evaluation.table import answer_rows, render_report, retrieval_rows


def _figure(value, **more):
    return {"value": value, "n": 10, "interval": [0.0, 1.0], **more}


def _recall(value):
    names = ("overall", "text", "image", "image_text", "visual_only")
    return {"recall@5": {name: _figure(value) for name in names}}


def _report():
    accuracy = {
        condition: {
            "overall": _figure(value, majority=0.2),
            "by_kind": {kind: _figure(value, majority=0.5) for kind in ("YesNo", "color")},
        }
        for condition, value in {
            "retrieved": 0.9,
            "closed_book": 0.3,
            "oracle": 0.95,
            "shuffled_pictures": None,
        }.items()
    }
    return {
        "retriever": _recall(0.97),
        "baselines": {"random": _recall(0.01), "bm25": _recall(0.4)},
        "answer": {"accuracy": accuracy},
        "abstain": {name: _figure(0.88) for name in ("f1", "precision", "recall")},
        "citation": {name: _figure(0.91) for name in ("precision", "recall")},
    }


def test_rows_put_the_model_last_and_chance_first():
    assert [row[0] for row in retrieval_rows(_report())] == ["Recall@5", "random", "BM25", "RA-BLIP retriever"]
    rows = answer_rows(_report())
    assert rows[0] == ["Accuracy", "n", "majority", "closed book", "shuffled pictures", "retrieved", "oracle"]
    assert rows[-1] == ["overall", "10", "0.200", "0.300", "-", "0.900", "0.950"]


def test_render_report_fits_the_width_and_needs_no_part():
    text = render_report(_report(), width=100)
    assert "0.970" in text and "YesNo" in text and "abstain f1" in text and "0.000 to 1.000" in text
    assert max(map(len, text.splitlines())) <= 100
    assert "\x1b" not in text
    only_retriever = render_report({"retriever": _recall(1.0), "baselines": {}})
    assert "RA-BLIP" in only_retriever and "Accuracy" not in only_retriever
    assert render_report({}) == ""


def test_no_number_or_name_is_cut_on_a_narrow_terminal():
    report = _report()
    kinds = ("question_picture", "unanswerable")
    for figures in report["answer"]["accuracy"].values():
        figures["by_kind"] = {kind: _figure(0.123, majority=0.5) for kind in kinds}
    assert "…" not in render_report(report, width=80)
