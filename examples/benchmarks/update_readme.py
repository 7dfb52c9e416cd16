"""Writes the measured figures (examples/benchmarks/results/) into README.md; `--check` only compares."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ARM_NAMES = {
    "without": "without ASKG",
    "release": "the release's ASKG",
    "ours": "ours",
    "ours_turns": "ours + noise",
    "unlabelled": "no relevance labels",
    "mined": "ours + noise, mined labels",
}


def render_askg(report: Mapping[str, Any]) -> list[str]:
    """Accuracy by number of distractors, what 9 of them cost, and the leak."""
    table, arguments, leak = report["table"], report["arguments"], report["leak"]
    kinds = {"none/0": "0", "mixed/3": "3 mixed", "mixed/9": "9 mixed"}
    kinds |= {
        f"{kind}/9": f"9 {kind.replace('_', ' ')}" for kind in ("same_entity", "look_alike", "other_modality", "empty")
    }
    lines = [
        f"**ASKG** (`{report['command']}`, {name_seeds(arguments)}, {arguments['steps']} steps, "
        f"{arguments['eval_questions']} questions each): accuracy of the generator with the right evidence among so "
        "many distractors, answering from all of it; lost: from 0 to 9, mean over kinds, with a 95 % bootstrap "
        "interval; selected: lost when it answers from what it judges relevant, as the answerer does (arms that learn "
        "relevance); at 0: the difference to the arm without ASKG with right evidence alone, in the answerer's way.",
        "",
        f"| trained | {' | '.join(kinds.values())} | lost | selected | at 0 |",
        f"|---|{'---:|' * (len(kinds) + 3)}",
    ]
    for arm, figures in table.items():
        cells = [f"{figures['direct'][key]:.3f}" for key in kinds]
        lines.append(
            f"| {ARM_NAMES[arm]} | {' | '.join(cells)} | {interval(figures['direct_lost'])} "
            f"| {interval(figures['selected_lost']) if 'selected_lost' in figures else '-'} | {_at_zero(figures)} |"
        )
    lines += [
        "",
        f'The leak: answering "the first reference" is right in {100 * leak["release_first"]:.0f} % of the release\'s '
        f"pairs and in {100 * leak['ours_first']:.1f} % of our rows, where a guess is right in "
        f"{100 * leak['ours_chance']:.1f} %.",
    ]
    if gain := report.get("label_gain"):
        low, high = gain["share_interval"]
        lines += [
            "",
            f"Labels mined without humans: over no labels, accuracy in the mean of all kinds and numbers rises by "
            f"{interval(gain['mined'])}, with gold labels by {interval(gain['gold'])}: {100 * gain['share']:.0f} % of "
            f"it ({100 * low:.0f} to {100 * high:.0f} %).",
        ]
    return lines


def _at_zero(figures: Mapping[str, Any]) -> str:
    for way in ("selected", "direct"):
        if gained := figures.get(f"{way}_gained_at_none"):
            return interval(gained)
    return "-"


def render_retriever(report: Mapping[str, Any]) -> list[str]:
    """Recall by modality and kind of negatives."""
    table, arguments = report["recall@5"], report["arguments"]
    columns = [name for name in next(iter(table.values())) if name not in ("worst", "overall", "gain")]
    names = {"start": "start (in-batch only)", "in_batch": "in-batch only, as long", "random": "random items"}
    names |= {"random_hard": "random hard", "modality": "modality-aware hard"}
    lines = [
        f"**Hard negatives** (`{report['command']}`, {name_seeds(arguments)}, {arguments['first_steps']} + "
        f"{arguments['steps']} steps): Recall@5 on an unseen world by modality of the needed item; the worst in bold.",
        "",
        f"| negatives | {' | '.join(name.replace('_', '+') for name in columns)} | overall |",
        f"|---|{'---:|' * (len(columns) + 1)}",
    ]
    for arm, figures in table.items():
        cells = []
        for name in columns:
            value = f"{figures[name]['value']:.3f}"
            cells.append(f"**{value}**" if name == figures["worst"] else value)
        lines.append(f"| {names[arm]} | {' | '.join(cells)} | {interval(figures['overall'])} |")
    return lines


def render_adapters(report: Mapping[str, Any]) -> list[str]:
    """Quality, trained parameters and memory of adapters and of full fine-tuning."""
    lines = [
        f"**Adapters** (`{report['command']}`, {name_seeds(report['arguments'])}, "
        f"{report['arguments']['steps']} steps): what is trained beside Q-Former, fusion, projection and heads.",
        "",
        "| language model | accuracy | trained parameters | gradients and optimizer, MB | saved, MB |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, figures in report["arms"].items():
        lines.append(
            f"| {name} | {interval(figures['accuracy'])} | {figures['trained_parameters']:,} "
            f"| {figures['state_megabytes']:.1f} | {figures['saved_megabytes']:.1f} |"
        )
    return lines


def render_cost(report: Mapping[str, Any]) -> list[str]:
    """Speed and memory beside the release's loop."""
    names = {
        "release": "the release's loop, its own precisions",
        "release_fp32": "the same, language model in fp32",
        "cache_off": "ours, cache off",
        "cache_on": "ours, cached features",
        "cache_on_lora": "ours, cached, LoRA on the language model",
        "cache_on_one_pass": "ours, cached, relevance read in the answer's pass only",
    }
    machine = report["machine"]
    lines = [
        f"**Cost of a step** (`{report['command']}`; {machine['cpu']}, {machine['threads']} "
        f"thread, {machine['cpu_capability']}; reduced dims; {report['rounds']} paired rounds): steps a second as "
        "ratios, peak memory beyond the model as it is built.",
        "",
        "| loop | speed over the release | over the release in fp32 | peak memory, MB | tower calls a step |",
        "|---|---:|---:|---:|---:|",
    ]
    for arm, figures in report["arms"].items():
        speed, fair = figures["speed_over_release"], figures["speed_over_release_fp32"]
        memory = figures["memory_megabytes"]["peak_above_construction"]
        lines.append(
            f"| {names.get(arm, arm)} | {speed['median']:.1f} ({speed['low']:.1f} to {speed['high']:.1f}) "
            f"| {fair['median']:.2f} ({fair['low']:.2f} to {fair['high']:.2f}) | {memory:.0f} "
            f"| {figures['calls_per_step']['vision_calls']:g} |"
        )
    return lines


def name_seeds(arguments: Mapping[str, Any]) -> str:
    """Which seeds were run."""
    seeds = arguments["seeds"]
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"


def interval(figure: Mapping[str, Any]) -> str:
    """A value with its interval."""
    low, high = figure["interval"]
    return f"{figure['value']:.3f} ({low:.3f} to {high:.3f})"


def render_index(report: Mapping[str, Any]) -> list[str]:
    """Speed, recall, memory and overhead of every kind of search, and the peer."""
    arguments = report["arguments"]
    commands = "; ".join(f"`{command}`" for command in report["commands"])
    lines = [
        f"**Search measured** ({commands}; FAISS {report['versions']['faiss']}, {report['machine']}; "
        f"{arguments['rounds']} rounds in turns, medians of the time on one core): a batch is 256 questions, ten hits "
        "each; bytes an item: resident is what the process holds, mapped what it has read of vectors and ids, which "
        "the system takes back; over FAISS: the time beside bare FAISS with the same structure and refinement.",
        "",
        "| vectors | kind | recall@10 | batch, ms a question | one question, ms, p50 / p95 "
        "| speed over exact, batch / one | over FAISS | resident / mapped / structure on disk | build, s; its peak |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    notes = []
    for run in report["runs"]:
        vectors = f"{run['data']}, {run['size']:,} x {run['dim']}"
        if "peer" in run:
            notes.append(_describe_peer(vectors, run["peer"]))
            continue
        search, grown = run["search"], run["memory"]["bytes_an_item"]["searched"]
        batch, single = (search["seconds"]["ours"][what]["cpu"] for what in ("batch", "single"))
        exact = search["over_ours"].get("exact")
        speed = "1" if exact is None else f"{exact['batch']['median']:.0f} / {exact['single']['median']:.0f}"
        overhead = 100 * (1 / search["over_ours"]["bare"]["batch"]["median"] - 1)
        build, first = run["build"], run["memory"]["seconds"]
        if build["settings"]["kind"] == "ivf_pq":
            opened, first_single, first_batch, later = (
                first[step]["cpu"] for step in ("load", "first_single", "first_batch", "later_batch")
            )
            notes.append(
                f"Opened without verifying all at once ({vectors}, {run['kind']}): {opened:.3f} s to open, "
                f"{first_single:.2f} s for the first question and {first_batch:.2f} s for the first batch, which "
                f"verify what they read; {later:.2f} s for a later one."
            )
        lines.append(
            f"| {vectors} | {run['kind']} | {search['recall']['ours']:.3f} | {1e3 * batch['p50'] / 256:.3f} "
            f"| {1e3 * single['p50']:.2f} / {1e3 * single['p95']:.2f} | {speed} | {overhead:+.1f} % "
            f"| {grown['anonymous']:.0f} / {grown['mapped']:.0f} / {build['disk_bytes_an_item']['structure']:.0f} "
            f"| {build['seconds']['cpu']:.0f}; {build['peak_bytes_an_item']:.0f} |"
        )
    return [*lines, "", *(f"- {note}" for note in notes)]


def _describe_peer(vectors: str, peer: Mapping[str, Any]) -> str:
    over = peer["over_ours"]["peer"]
    return (
        f"txtai at its defaults beside `auto` ({vectors}): {over['batch']['median']:.1f} times as long for a batch, "
        f"{over['single']['median']:.1f} times for one question, recall@10 {peer['recall']['peer']:.3f} beside "
        f"{peer['recall']['ours']:.3f}, {peer['peer_bytes_an_item']:.0f} resident bytes an item."
    )


def render_encode(report: Mapping[str, Any]) -> list[str]:
    """Speed and memory of encoding beside a plain loop and sentence-transformers."""
    names = {"plain": "a plain loop", "sentence_transformers": "sentence-transformers", "rablip": "rablip"}
    corpora = {
        "texts": "texts of log-normal length",
        "pictures": "pictures, each of its own",
        "mixed": "texts, half of them with a picture",
        "pages": "texts, three to a picture",
    }
    arguments = report["arguments"]
    arms = list(next(iter(report["table"].values())))
    lines = [
        f"**Encoding measured** (`{report['command']}`; {report['machine']}; {arguments['repeats']} rounds in turns, "
        f"each a process, {arguments['items']} items, {arguments['size']} tower with random weights): items a second "
        "as ratios to a plain transformers loop, and peak memory of the process, the same model and processor in all.",
        "",
        f"| items | {' | '.join(names[arm] for arm in arms)} | peak MiB, {' / '.join(names[arm] for arm in arms)} |",
        f"|---|{'---:|' * (len(arms) + 1)}",
    ]
    for corpus, figures in report["table"].items():
        ratios = " | ".join(
            f"{figures[arm]['ratio_to_plain']:.2f} ({min(figures[arm]['ratios']):.2f} to "
            f"{max(figures[arm]['ratios']):.2f})"
            for arm in arms
        )
        peaks = " / ".join(f"{figures[arm]['peak_mib']:.0f}" for arm in arms)
        lines.append(f"| {corpora[corpus]} | {ratios} | {peaks} |")
    return lines


# By section of the README, then by result.
RENDERERS: dict[str, dict[str, Callable[[Mapping[str, Any]], list[str]]]] = {
    "index": {"index": render_index, "encode": render_encode},
    "training": {
        "askg_ablation": render_askg,
        "retriever_ablation": render_retriever,
        "adapters": render_adapters,
        "training_cost": render_cost,
    },
}


def render(results: Path, section: str) -> str:
    """All parts of a section whose results are there."""
    parts = []
    for name, renderer in RENDERERS[section].items():
        file = results / f"{name}.json"
        if file.is_file():
            parts.append("\n".join(renderer(json.loads(file.read_text(encoding="utf-8")))))
    return "\n\n".join(parts)


def main() -> None:
    """Update the README, or say that it is out of date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", default=Path(__file__).parent / "results", type=Path)
    parser.add_argument("--readme", default=ROOT / "README.md", type=Path)
    parser.add_argument("--check", action="store_true", help="exit code 1 when it is out of date")
    arguments = parser.parse_args()
    text = wanted = arguments.readme.read_text(encoding="utf-8")
    for section in RENDERERS:
        rendered = render(arguments.results, section)
        if rendered:
            start, end = wanted.index(f"<!-- {section}:begin"), wanted.index(f"<!-- {section}:end -->")
            first_line = wanted[start : wanted.index("\n", start)]
            wanted = f"{wanted[:start]}{first_line}\n{rendered}\n{wanted[end:]}"
    if not arguments.check:
        arguments.readme.write_text(wanted, encoding="utf-8")
    elif wanted != text:
        sys.exit(f"{arguments.readme} is out of date: run this script without --check")


if __name__ == "__main__":
    main()
