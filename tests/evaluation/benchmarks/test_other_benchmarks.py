"""Runs of the benchmarks of questions with pictures, from tiny official files to figures and official predictions."""

from __future__ import annotations

import json
from pathlib import Path

from rablip.evaluation.benchmarks import evaluate_benchmark
from rablip.processing.benchmarks import open_benchmark
from tests.evaluation.benchmarks.tiny_benchmarks import draw
from tests.processing.benchmarks import (
    test_aokvqa,
    test_encyclopedic_vqa,
    test_infoseek,
    test_mrag_bench,
)
from tests.processing.benchmarks.benchmark_files import write_json, write_lines

WIKI = test_encyclopedic_vqa.WIKI


def test_a_run_of_aokvqa(tiny_bundle: Path, tmp_path: Path) -> None:
    rows = [test_aokvqa.row("q1"), test_aokvqa.row("q2", difficult_direct_answer=True)]
    write_json(tmp_path / "aokvqa_v1p0_val.json", rows)
    (tmp_path / "000000299207.jpg").write_bytes(draw("red", "JPEG"))
    (tmp_path / "corpus.csv").write_text("kid,text\n1,Men await a cab.\n", encoding="utf-8")
    benchmark = open_benchmark("aokvqa", tmp_path, split="val", corpus=tmp_path / "corpus.csv")
    results = evaluate_benchmark(benchmark, tiny_bundle, out=tmp_path / "run")
    counted = {one.metric: one.num_questions for one in results.metrics["plain"] if one.metric.startswith("aokvqa")}
    assert counted == {"aokvqa_direct_answer": 1, "aokvqa_multiple_choice": 2}
    made = json.loads((tmp_path / "run" / "submission" / "aokvqa_predictions.json").read_text(encoding="utf-8"))
    assert {name: set(said) for name, said in made.items()} == dict.fromkeys(
        ("q1", "q2"), {"multiple_choice", "direct_answer"}
    )


def test_a_run_of_infoseek(tiny_bundle: Path, tmp_path: Path) -> None:
    rows = [
        test_infoseek.row(0),
        test_infoseek.row(1, data_split="val_unseen_question", answer_eval=[{"wikidata": 1.0, "range": [0.9, 1.1]}]),
    ]
    types = [
        {"data_id": test_infoseek.name_of(n), "question_type": kind} for n, kind in enumerate(("String", "Numerical"))
    ]
    test_infoseek.write_files(tmp_path, rows, types=types)
    (tmp_path / "oven_images").mkdir()
    (tmp_path / "oven_images" / "oven_01963180.JPEG").write_bytes(draw("red", "JPEG"))
    articles = [
        {"wikidata_id": f"Q{n}", "wikipedia_title": f"Panda {n}", "wikipedia_content": f"It lives in China. Fact {n}."}
        for n in range(3)
    ]
    write_lines(tmp_path / "Wiki6M_ver_1_0.jsonl", articles)
    benchmark = open_benchmark("infoseek", tmp_path, split="val", max_words=3)
    results = evaluate_benchmark(benchmark, tiny_bundle, out=tmp_path / "run")
    by_key = {one.key: one for one in results.metrics["plain"]}
    assert by_key["infoseek_accuracy (official)"].details["scored_by_split"] == {
        "unseen_question": 1,
        "unseen_entity": 1,
    }
    assert by_key["recall@10 (binary)"].value == 1.0, "a passage counts as the entity that it is about"
    lines = (tmp_path / "run" / "submission" / "infoseek_predictions.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["data_id"] for line in lines] == [test_infoseek.name_of(0), test_infoseek.name_of(1)]


def test_a_run_of_encyclopedic_vqa(tiny_bundle: Path, tmp_path: Path) -> None:
    parts = test_encyclopedic_vqa.row(answer="red&&blue", question_type="multi_answer")
    test_encyclopedic_vqa.write_files(tmp_path, [test_encyclopedic_vqa.row(), parts])
    write_json(tmp_path / "val_id2name.json", {"2686843": "a.jpg", "2686844": "a.jpg"})
    (tmp_path / "inaturalist").mkdir()
    (tmp_path / "inaturalist" / "a.jpg").write_bytes(draw("red", "JPEG"))
    article = {
        "title": "Dwarf cornel",
        "section_titles": ["Dwarf cornel", "Description"],
        "section_texts": ["A plant.", "It grows to 20 cm."],
        "image_urls": [],
        "image_reference_descriptions": [],
        "image_section_indices": [],
        "url": f"{WIKI}Dwarf_cornel",
    }
    write_json(tmp_path / "encyclopedic_kb_wiki.json", {article["url"]: article})
    results = evaluate_benchmark(open_benchmark("encyclopedic_vqa", tmp_path), tiny_bundle, out=tmp_path / "run")
    by_key = {one.key: one for one in results.metrics["plain"]}
    assert by_key["encyclopedic_vqa_accuracy (exact)"].num_questions == 2
    assert by_key["recall@5 (binary)"].value == 1.0 and "pseudo_recall@1 (strict)" in by_key


def test_a_run_of_mrag_bench(tiny_bundle: Path, tmp_path: Path) -> None:
    images = [{"bytes": draw(color), "path": None} for color in ("red", "green", "blue", "white", "black")]
    row = test_mrag_bench.row("7", image=images[0], gt_images=images, retrieved_images=images)
    test_mrag_bench.write_files(tmp_path, [row])
    results = evaluate_benchmark(open_benchmark("mrag_bench", tmp_path), tiny_bundle, out=tmp_path / "run")
    by_key = {one.key: one for one in results.metrics["plain"]}
    assert (
        by_key["mrag_bench_accuracy (unparsed_wrong)"].num_questions == 1 and by_key["recall@5 (binary)"].value == 1.0
    )
    (made,) = (tmp_path / "run" / "submission" / "mrag_bench_results.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(made)["gt_choice"] == "B" and json.loads(made)["scenario"] == "Angle"
