"""From official files through `rablip eval` to figures, official predictions and a page, with random tiny models."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rablip.evaluation.benchmarks import EvaluationResults, RunMismatchError, evaluate_benchmark
from rablip.metrics import compare_paired
from rablip.processing.benchmarks import open_benchmark
from rablip.processing.benchmarks.webqa_submission import check_webqa_submission
from tests.cli.test_commands import one_line_error, run
from tests.evaluation.benchmarks.tiny_benchmarks import (
    FIRST_IMAGE,
    GUID,
    write_m2kr,
    write_multimodalqa,
    write_okvqa,
    write_webqa,
)


def keys(results: EvaluationResults, condition: str = "plain") -> set[str]:
    return {one.key for one in results.metrics[condition]}


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def webqa(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_webqa(tmp_path_factory.mktemp("webqa"))


@pytest.fixture(scope="module")
def webqa_run(
    webqa: Path, tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, EvaluationResults]:
    """A whole run with every stress test."""
    out = tmp_path_factory.mktemp("run") / "webqa"
    benchmark = open_benchmark("webqa", webqa, split="val", setting="distractor")
    stress = ["dilute", "shuffle-image", "drop-text", "drop-image", "distract"]
    return out, evaluate_benchmark(benchmark, tiny_bundle, out=out, stress=stress, seed=5)


def test_a_whole_run_of_webqa(webqa_run: tuple[Path, EvaluationResults]) -> None:
    out, results = webqa_run
    assert {"webqa_accuracy (official)", "webqa_retrieval_f1 (baseline)", "recall@5 (binary)"} <= keys(results)
    assert set(results.metrics) == {
        "plain", "dilute", "shuffle-image", "drop-text", "drop-image", "oracle", "distract"
    }  # fmt: skip
    written = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert written["num_questions"] == 4 and written["setting"] == "distractor" and written["seed"] == 5
    assert written["rablip_version"] and written["machine"]["torch"] and written["model_fingerprints"]
    assert len(written["data"]["questions"]["sha256"]) == 64
    # The JPEG that is cut off, and the picture that is not in the file.
    assert written["knowledge"]["num_problems"] == 2
    assert any(str(FIRST_IMAGE + 99) in problem for problem in written["knowledge"]["problems"])
    assert written["counts"]["plain"]["candidates_not_in_index"] == 4
    recall = next(one for one in results.metrics["plain"] if one.key == "recall@5 (binary)")
    assert recall.value == 1.0, "each question has at most five candidates that can be read"
    assert set(written["stress"]) == set(results.metrics) - {"plain"}
    assert set(written["importance"]["recall@5 (binary)"]["all"]) >= {"plain", "drop-text", "drop-image"}
    drop = {one.key: one for one in results.metrics["drop-image"]}["recall@5 (binary)"]
    assert drop.values == {GUID.format(n): 1.0 for n in range(4)}, "captions stay where pictures are dropped"
    text = {one.key: one for one in results.metrics["drop-text"]}["recall@5 (binary)"]
    assert [text.values[GUID.format(number)] for number in range(4)] == [1.0, 1.0, 0.0, 0.0]


def test_official_predictions_and_page(webqa_run: tuple[Path, EvaluationResults]) -> None:
    out, results = webqa_run
    submission = json.loads((out / "submission" / "webqa_submission.json").read_text(encoding="utf-8"))
    ids = [GUID.format(number) for number in range(4)]
    assert list(submission) == ids
    assert check_webqa_submission(out / "submission" / "webqa_submission.json", question_ids=ids) == []
    for entry in submission.values():
        assert all(isinstance(source, int) or "_" in source for source in entry["sources"])
    ranking = (out / "submission" / "ranking.trec").read_text(encoding="utf-8").split("\n")
    assert {line.split()[0] for line in ranking if line} == set(ids)
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "What color is the door?" in page and "MuRAG" not in page, "the published table is that of the split"
    assert "<script" not in page and "PromptCap" in page


def test_a_run_goes_on_and_is_never_mixed(
    webqa: Path, tiny_bundle: Path, webqa_run: tuple[Path, EvaluationResults], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, results = webqa_run
    benchmark = open_benchmark("webqa", webqa, split="val", setting="distractor")
    (out / "results.json").unlink()
    from rablip.answering import RablipAnswerer

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("everything was asked before")

    with monkeypatch.context() as patch:
        patch.setattr(RablipAnswerer, "answer_batch", refuse)
        again = evaluate_benchmark(benchmark, tiny_bundle, out=out, seed=5)
    assert {one.key: one.value for one in again.metrics["plain"]} == {
        one.key: one.value for one in results.metrics["plain"]
    }
    before = (out / "results.json").read_bytes()
    with pytest.raises(RunMismatchError, match="seed: 5 then, 6 now"):
        evaluate_benchmark(benchmark, tiny_bundle, out=out, seed=6)
    with pytest.raises(RunMismatchError, match="setting"):
        evaluate_benchmark(open_benchmark("webqa", webqa, split="val", setting="full"), tiny_bundle, out=out, seed=5)
    assert (out / "results.json").read_bytes() == before


def test_full_setting_maps_equal_texts_to_the_questions_own(webqa: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    benchmark = open_benchmark("webqa", webqa, split="val", setting="full")
    results = evaluate_benchmark(benchmark, tiny_bundle, out=tmp_path)
    # One item stands for the sentence that all questions have; it is right for both questions that need it.
    deep = {one.key: one for one in results.metrics["plain"]}["recall@10 (binary)"]
    assert deep.value == 1.0 and deep.corpus == "full"


def test_hidden_labels_give_predictions_and_no_figures(webqa: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    benchmark = open_benchmark("webqa", webqa, split="test", setting="distractor")
    results = evaluate_benchmark(benchmark, tiny_bundle, out=tmp_path)
    assert results.metrics["plain"] == []
    assert list(json.loads((tmp_path / "submission" / "webqa_submission.json").read_text())) == [GUID.format(9)]
    with pytest.raises(ValueError, match="does not say which items are right"):
        evaluate_benchmark(benchmark, tiny_bundle, out=tmp_path / "other", stress=["distract"])


def test_a_run_of_multimodalqa(tiny_bundle: Path, tmp_path: Path) -> None:
    data = write_multimodalqa(tmp_path)
    results = evaluate_benchmark(open_benchmark("multimodalqa", data, split="dev"), tiny_bundle, out=tmp_path / "run")
    assert {"multimodalqa_exact_match (official)", "multimodalqa_f1 (official)"} <= keys(results)
    assert results.metrics["plain"][0].num_questions == 3
    assert set(results.metrics["plain"][0].groups) >= {"modality/image", "hop/single", "type/TableQ"}
    made = json.loads((tmp_path / "run" / "submission" / "multimodalqa_predictions.json").read_text())
    assert list(made) == ["q1", "q2", "q3"]


def test_a_run_of_okvqa(tiny_bundle: Path, tmp_path: Path) -> None:
    data = write_okvqa(tmp_path)
    benchmark = open_benchmark("okvqa", data, split="test", corpus=data / "corpus.csv")
    results = evaluate_benchmark(benchmark, tiny_bundle, out=tmp_path / "run")
    assert {"vqa_accuracy (leave_one_out)", "vqa_accuracy (simple)", "pseudo_recall@1 (substring)"} <= keys(results)
    written = json.loads((tmp_path / "run" / "results.json").read_text(encoding="utf-8"))
    assert written["question_problems"]["num"] == 1, "the second question's picture is lost"
    made = json.loads((tmp_path / "run" / "submission" / "okvqa_results.json").read_text())
    assert [row["question_id"] for row in made] == [11]


def test_a_run_of_m2kr(tiny_bundle: Path, tmp_path: Path) -> None:
    data = write_m2kr(tmp_path)
    results = evaluate_benchmark(
        open_benchmark("m2kr", data, task="OKVQA", images=data), tiny_bundle, out=tmp_path / "run"
    )
    assert {"recall@1 (binary)", "pseudo_recall@1 (strict)", "exact_match (normalized)"} <= keys(results)


@pytest.mark.parametrize(
    ("name", "write", "options"),
    [("webqa", write_webqa, ()), ("okvqa", write_okvqa, ("--option", "corpus=corpus.csv"))],
)
def test_the_command(
    name: str, write: Callable[[Path], Path], options: tuple[str, ...], tiny_bundle: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    (tmp_path / "data").mkdir()
    data = write(tmp_path / "data")
    monkeypatch.chdir(data)
    out = tmp_path / "run"
    done = run("eval", name, "--data", data, "-m", tiny_bundle, "--out", out, "--limit", 2, "--json", *options)
    assert done.exit_code == 0, done.output
    made = json.loads(done.stdout)
    assert made["num_questions"] <= 2 and made["limit"] == 2 and (out / "report.html").is_file()
    shown = run("eval", name, "--data", data, "-m", tiny_bundle, "--out", out, "--limit", 2, *options)
    assert shown.exit_code == 0 and made["metrics"]["plain"][0]["metric"] in shown.stdout
    compared = run("report", "compare", out, out, "--out", tmp_path / "compared.html", "--json")
    assert compared.exit_code == 0, compared.output
    assert all(
        one["paired"] is None or one["paired"]["difference"] == 0 for one in json.loads(compared.stdout)["metrics"]
    )
    assert (tmp_path / "compared.html").is_file()


def test_bad_input_is_one_line(webqa: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    call = ("eval", "webqa", "--data", webqa, "-m", tiny_bundle, "--out", tmp_path / "run")
    assert "shuffle-image" in one_line_error(run(*call, "--stress", "shuffle"))
    assert "NAME=VALUE" in one_line_error(run(*call, "--option", "subset"))
    assert "distractor, full" in one_line_error(run(*call, "--setting", "closed"))
    assert not (tmp_path / "run").exists()
    assert "WebQA_train_val.json" in one_line_error(run("eval", "webqa", "--data", tmp_path, *call[4:]))
    assert "rablip eval" in one_line_error(run("report", "compare", tmp_path, tmp_path))
    bare = write_okvqa(tmp_path)
    (bare / "corpus.csv").unlink()
    assert "--index" in one_line_error(
        run("eval", "okvqa", "--data", bare, "-m", tiny_bundle, "--out", tmp_path / "run")
    )


def test_paired_values_of_two_conditions_are_of_the_same_questions(webqa_run: tuple[Path, EvaluationResults]) -> None:
    _, results = webqa_run
    by_key = {one.key: one for one in results.metrics["shuffle-image"]}
    for one in results.metrics["plain"]:
        if one.is_mean and one.values:
            assert compare_paired(one.values, by_key[one.key].values, seed=0).num_unpaired == 0
