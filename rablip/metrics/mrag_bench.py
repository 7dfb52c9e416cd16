"""MRAG-Bench: the option a reply names, and the share of right ones overall and by scenario."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .results import MetricResult
from .scorer_inputs import compare_ids, require_choice, require_texts

__all__ = ["MRAG_BENCH_OPTIONS", "MRAGBenchReference", "parse_mrag_bench_reply", "score_mrag_bench"]

MRAG_BENCH_OPTIONS = ("A", "B", "C", "D")

_STRIPPED_IN_TURN = ",.!?;:'"
_SCALE = 100
_SHORT = 5  # tokens; the official parser does other things with longer replies that name no option


@dataclass(frozen=True, kw_only=True)
class MRAGBenchReference:
    """What is known of one question.

    Args:
        answer_choice: the letter of the right option.
        scenario: one of the nine, such as `"Incomplete"`; None where it is not known.

    Raises:
        ValueError: when the letter is none of `MRAG_BENCH_OPTIONS`.

    Example:
        >>> MRAGBenchReference(answer_choice="B", scenario="Angle").answer_choice
        'B'
    """

    answer_choice: str
    scenario: str | None = None

    def __post_init__(self) -> None:
        require_choice(self.answer_choice, MRAG_BENCH_OPTIONS, name="answer_choice")


def parse_mrag_bench_reply(reply: str) -> str | None:
    """The option that a reply names, as the official `parse_multi_choice_response` finds it in its first two steps.

    White space goes from both ends, then each of `, . ! ? ; : '` once and in this order ("A.," names A, and "A,." does
    not). A capital letter in parentheses, "(B)", counts; without any, one between blanks. Of several options the one
    that comes last is taken.

    Args:
        reply: what was answered.

    Returns:
        The letter, or None where no option is named.

    Example:
        >>> [parse_mrag_bench_reply(text) for text in ("B.", "(A) or rather (C)", "A dog, so D", "a", "It is a cat")]
        ['B', 'C', 'D', None, None]
    """
    text = f" {_strip(reply)} "
    for form in ("({})", " {} "):
        places = {option: text.rfind(form.format(option)) for option in MRAG_BENCH_OPTIONS}
        last = max(places, key=places.__getitem__)
        if places[last] >= 0:
            return last
    return None


def score_mrag_bench(predictions: Mapping[str, str], references: Mapping[str, MRAGBenchReference]) -> MetricResult:
    """The share of replies that name the right option, overall and by scenario, as `eval/score.py` of MRAG-Bench.

    A reply that names none counts as wrong here. The official script asks GPT-3.5 to read it; where it is longer than
    five tokens the script ends with an exception before it asks. How many there are is in `details`. So is how many
    questions have no reply: those count as wrong, while the official script scores the replies that are in its file.

    Args:
        predictions: question id to reply. One for an unknown question counts nowhere.
        references: question id to reference.

    Returns:
        The share times 100, rounded to two decimals, also by scenario.

    Raises:
        TypeError: when a reply is no string, or ids differ in type only.
        ValueError: when there is no reference.

    Example:
        >>> references = {"1": MRAGBenchReference(answer_choice="A", scenario="Scope"),
        ...               "2": MRAGBenchReference(answer_choice="B", scenario="Scope"),
        ...               "3": MRAGBenchReference(answer_choice="B", scenario="Angle")}
        >>> result = score_mrag_bench({"1": "(A)", "2": "a basenji", "3": "B"}, references)
        >>> result.value, dict(result.groups), result.details["unparsed_short"]
        (66.67, {'scenario/Angle': 100.0, 'scenario/Scope': 50.0}, 1)
    """
    details = compare_ids(predictions, references) | {"unparsed_short": 0, "unparsed_long": 0}
    require_texts(predictions)
    right: dict[str, bool] = {}
    groups: dict[str, list[bool]] = {}
    for question_id, reference in references.items():
        option = parse_mrag_bench_reply(predictions[question_id]) if question_id in predictions else None
        if option is None and question_id in predictions:
            is_short = len(_strip(predictions[question_id]).split()) <= _SHORT
            details["unparsed_short" if is_short else "unparsed_long"] += 1
        right[question_id] = option == reference.answer_choice
        if reference.scenario is not None:
            groups.setdefault(f"scenario/{reference.scenario}", []).append(right[question_id])
    return MetricResult(
        metric="mrag_bench_accuracy",
        variant="unparsed_wrong",
        value=_percent(list(right.values())),
        values={question_id: float(_SCALE * outcome) for question_id, outcome in right.items()},
        scale=_SCALE,
        groups={group: _percent(groups[group]) for group in sorted(groups)},
        details=details,
    )


def _strip(reply: str) -> str:
    text = reply.strip()
    for character in _STRIPPED_IN_TURN:
        text = text.strip(character)
    return text


def _percent(outcomes: Sequence[bool]) -> float:
    return round(sum(outcomes) / len(outcomes) * _SCALE, 2)
