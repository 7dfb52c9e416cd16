"""Cards: metadata that huggingface_hub accepts, real figures, and the user's own text that survives."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from huggingface_hub.repocard_data import model_index_to_eval_results

from rablip.hub import CardFields, make_card, own_text, read_contents, update_card, write_card
from rablip.hub.figures import eval_results, read_results, render_figures
from tests.world_reports import FIGURE, RECALL, make_report


@pytest.fixture()
def bundle(tiny_bundle: Path, tmp_path: Path) -> Path:
    folder = Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))
    (folder / "results.json").write_text(json.dumps(make_report(folder)))
    return folder


def parse(card: ModelCard) -> ModelCard:
    """The card as huggingface_hub reads it from a file."""
    return type(card)(str(card))


@pytest.mark.parametrize("kind", ["retriever", "reranker", "generator", "bundle"])
def test_metadata_are_a_cards(kind: str, bundle: Path) -> None:
    fields = CardFields(license="apache-2.0", base_model="someone/base", datasets=("someone/data",))
    card = parse(make_card(read_contents(bundle if kind == "bundle" else bundle / kind), "me/model", fields))
    data = card.data
    assert (data.library_name, data.license, data.base_model) == ("rablip", "apache-2.0", "someone/base")
    assert data.datasets == ["someone/data"] and kind in data.tags
    assert data.pipeline_tag in ("feature-extraction", "text-ranking", "image-text-to-text")
    assert "me/model" in card.text and "$" not in card.text and "{{" not in card.text and "{%" not in card.text
    assert "\n\n\n" not in card.text
    if kind == "reranker":
        assert data.eval_results is None and "## Figures" not in card.text
        return
    assert {result.dataset_revision for result in data.eval_results} == {"abc"}
    values = {result.metric_name: result.metric_value for result in data.eval_results}
    assert ("Recall@5 (image text)" in values) == (kind in ("retriever", "bundle"))
    assert values.get("Accuracy (retrieved)", 0.75) == 0.75
    assert sorted({result.metric_type for result in data.eval_results}) == data.metrics
    assert "| BM25 | 0.500 |" in card.text or kind == "generator"
    # As the Hub stores it and reads it back.
    name, results = model_index_to_eval_results(card.data.to_dict()["model-index"])
    assert name == "model" and len(results) == len(data.eval_results)


def test_figures_of_other_weights_are_refused(bundle: Path, tmp_path: Path) -> None:
    report = json.loads((bundle / "results.json").read_text())
    report["model_fingerprints"]["retriever"] = "0" * 64
    other = tmp_path / "other.json"
    other.write_text(json.dumps(report))
    contents = read_contents(bundle / "retriever")
    with pytest.raises(ValueError, match=r"other weights.*retriever 0000"):
        make_card(contents, "me/model", CardFields(results=other))
    (bundle / "retriever" / "results.json").write_text(json.dumps(report))
    with pytest.raises(ValueError, match="other weights"):
        read_results(contents)
    (bundle / "retriever" / "results.json").unlink()
    # What lies beside a folder, in its parent, may be of anything.
    (bundle / "results.json").write_text(json.dumps(report))
    assert read_results(contents) is None
    other.write_text("[1]")
    with pytest.raises(ValueError, match="no report"):
        read_results(contents, other)
    with pytest.raises(FileNotFoundError):
        read_results(contents, tmp_path / "none.json")


def test_real_reports_give_figures(checkpoint: Path) -> None:
    """The fields that a card reads are those that the evaluation writes."""
    report = json.loads((checkpoint / "results.json").read_text())
    names = {result.metric_name: result.metric_value for result in eval_results(report, "bundle", task_type="x")}
    assert names["Recall@5 (overall)"] == report["retriever"]["recall@5"]["overall"]["value"]
    assert names["Accuracy (oracle)"] == report["answer"]["accuracy"]["oracle"]["overall"]["value"]
    assert names["Abstention F1"] == report["abstain"]["f1"]["value"]
    assert names["Citation precision"] == report["citation"]["precision"]["value"]
    assert render_figures(report, "reranker") == ""


def test_own_text_survives_every_update(bundle: Path) -> None:
    folder = bundle / "retriever"
    readme = folder / "README.md"
    readme.write_text(
        "---\nlicense: mit\nlanguage: de\ntags:\n- mine\n---\n# Mühle\n\nWritten by me: {{ x }} {% y %}.\n"
    )
    write_card(folder, "me/first")
    once = readme.read_text()
    assert "# Mühle\n\nWritten by me: {{ x }} {% y %}." in once and "me/first" in once
    readme.write_text(once + "\nAnd something below.\n")
    write_card(folder, "me/second", CardFields(datasets=("a/b",)))
    twice = readme.read_text()
    assert "Written by me" in twice and "And something below." in twice
    assert "me/second" in twice and "me/first" not in twice and twice.count("rablip:begin") == 1
    assert own_text(twice) == "# Mühle\n\nWritten by me: {{ x }} {% y %}.\nAnd something below."
    data = ModelCard(twice).data
    assert data.license == "mit" and data.language == "de" and data.datasets == ["a/b"]
    assert data.tags[0] == "mine" and "retriever" in data.tags
    write_card(folder, "me/second")
    assert readme.read_text() == twice


def test_a_generated_title_is_nobodys_text(bundle: Path) -> None:
    contents = read_contents(bundle / "retriever")
    first, second = (make_card(contents, name) for name in ("me/first", "me/second"))
    assert own_text(str(first)) == ""
    renamed = update_card(str(first), second).text
    assert "# second" in renamed and "first" not in renamed
    assert own_text("# first") == "# first", "without a generated section somebody wrote it"


def test_what_is_given_now_replaces_what_was_written(bundle: Path) -> None:
    generated = make_card(read_contents(bundle / "retriever"), "me/model", CardFields(license="apache-2.0"))
    existing = "---\nlicense: mit\nbase_model: a/b\n---\nmine\n"
    assert update_card(existing, generated).data.license == "mit"
    card = update_card(existing, generated, CardFields(license="apache-2.0"))
    assert (card.data.license, card.data.base_model) == ("apache-2.0", "a/b")


def test_new_figures_replace_old_ones_and_leave_others(bundle: Path) -> None:
    contents = read_contents(bundle / "retriever")
    first = make_card(contents, "me/model")
    other = first.data.eval_results[0].__class__(
        task_type="x", dataset_type="theirs", dataset_name="Theirs", metric_type="f1", metric_value=0.9
    )
    first.data.eval_results.append(other)
    report = make_report(bundle)
    report["retriever"] = {"recall@5": dict.fromkeys(RECALL["recall@5"], {**FIGURE, "value": 0.625})}
    (bundle / "results.json").write_text(json.dumps(report))
    updated = update_card(str(first), make_card(contents, "me/model"))
    values = sorted(result.metric_value for result in parse(updated).data.eval_results)
    assert values == [0.625] * 5 + [0.9]


def test_empty_templates_are_no_text(bundle: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What peft and huggingface_hub write where nobody has written anything does not stand above the card."""
    with caplog.at_level(logging.ERROR):
        empty = str(ModelCard.from_template(ModelCard("---\nbase_model: a/b\n---\n").data))
    assert own_text(empty) == ""
    card = update_card(empty, make_card(read_contents(bundle / "retriever"), "me/model"))
    assert "More Information Needed" not in card.text and card.data.base_model == "a/b"
    assert card.data.license == "unknown"


@pytest.mark.parametrize("line", ["- **Developed by:** me", "My own sentence."])
def test_a_template_with_one_line_filled_in_is_text(line: str, bundle: Path) -> None:
    empty = str(ModelCard.from_template(ModelCard("---\nlicense: mit\n---\n").data))
    filled = empty.replace("- **Developed by:** [More Information Needed]", line)
    assert filled != empty and line in own_text(filled)
    assert line in update_card(filled, make_card(read_contents(bundle / "retriever"), "me/model")).text


def test_what_transformers_and_peft_write_by_themselves_is_no_text() -> None:
    sentence = (
        "This is the model card of a 🤗 transformers model that has been pushed on the Hub. This model card has been "
        "automatically generated."
    )
    data = ModelCard("---\nlicense: mit\n---\n").data
    card = str(ModelCard.from_template(data, model_description=sentence))
    assert own_text(card) == ""
    assert own_text(f"{card}\n### Framework versions\n\n- PEFT 0.21.2") == ""


def test_figures_of_weights_that_are_gone_do_not_stay(bundle: Path) -> None:
    """A card is written again after another training: no figure of the old weights may stand in it."""
    contents = read_contents(bundle / "retriever")
    theirs = (
        make_card(contents, "me/model")
        .data.eval_results[0]
        .__class__(task_type="x", dataset_type="theirs", dataset_name="Theirs", metric_type="f1", metric_value=0.9)
    )
    old = make_card(contents, "me/model")
    old.data.eval_results.append(theirs)
    report = make_report(bundle)
    report |= {"seed": 8, "world_version": "def"}
    (bundle / "results.json").write_text(json.dumps(report))
    other_world = parse(update_card(str(old), make_card(contents, "me/model")))
    assert {result.dataset_revision for result in other_world.data.eval_results} == {"def", None}
    (bundle / "results.json").unlink()
    unmeasured = parse(update_card(str(old), make_card(contents, "me/model")))
    assert [result.dataset_type for result in unmeasured.data.eval_results] == ["theirs"]
    old.data.eval_results.remove(theirs)
    nothing = parse(update_card(str(old), make_card(contents, "me/model")))
    assert nothing.data.eval_results is None and "0.500" not in nothing.text


def test_a_mark_without_its_end_is_refused(bundle: Path) -> None:
    """What stands below could be anybody's."""
    generated = make_card(read_contents(bundle / "retriever"), "me/model")
    broken = str(generated).replace("<!-- rablip:end -->", "") + "\nMine, below.\n"
    with pytest.raises(ValueError, match="rablip:end"):
        update_card(broken, generated)
    with pytest.raises(ValueError, match="rablip:end"):
        own_text(broken)


def test_metadata_that_are_none_are_refused(bundle: Path) -> None:
    generated = make_card(read_contents(bundle / "retriever"), "me/model")
    with pytest.raises(ValueError, match="dict"):
        update_card("---\n- a\n---\nmine\n", generated)
