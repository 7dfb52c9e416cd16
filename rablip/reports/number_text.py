"""Numbers as a person reads them on a report page: values, differences, intervals, counts and p-values."""

from __future__ import annotations

import math

__all__ = [
    "NOTHING",
    "check_finite",
    "check_scale",
    "compact_count",
    "count_or_nothing",
    "difference_text",
    "interval_text",
    "p_value_text",
    "plain_number",
    "short_value_text",
    "value_text",
]

NOTHING = "–"
"""What stands where there is no number."""

_MINUS = "\N{MINUS SIGN}"


def value_text(value: float | None, *, scale: float = 1.0) -> str:
    """A figure with as many decimals as a table needs: four of a share, two of a percentage.

    Args:
        value: the figure; None shows as a dash.
        scale: what a perfect answer scores, 1 or 100.

    Example:
        >>> value_text(0.45834), value_text(45.834, scale=100), value_text(None)
        ('0.4583', '45.83', '–')
    """
    return _fixed(value, 4 - _places(scale))


def short_value_text(value: float | None, *, scale: float = 1.0) -> str:
    """A figure with as many decimals as fit beside a bar: three of a share, one of a percentage.

    Example:
        >>> short_value_text(0.45834), short_value_text(45.834, scale=100)
        ('0.458', '45.8')
    """
    return _fixed(value, 3 - _places(scale))


def difference_text(value: float | None, *, scale: float = 1.0) -> str:
    """A difference with its sign.

    Example:
        >>> difference_text(0.0123), difference_text(-1.5, scale=100), difference_text(-0.000001)
        ('+0.0123', '−1.50', '0.0000')
    """
    text = value_text(value, scale=scale)
    is_positive = value is not None and value > 0 and text.strip("0.") != ""
    return f"+{text}" if is_positive else text


def interval_text(interval: tuple[float, float] | None, *, scale: float = 1.0, signed: bool = False) -> str:
    """The two bounds of an interval.

    Example:
        >>> interval_text((0.4, 0.5)), interval_text((-1.0, 2.0), scale=100, signed=True), interval_text(None)
        ('0.4000 to 0.5000', '−1.00 to +2.00', '–')
    """
    if interval is None:
        return NOTHING
    say = difference_text if signed else value_text
    return f"{say(interval[0], scale=scale)} to {say(interval[1], scale=scale)}"


def compact_count(number: int) -> str:
    """A count in at most four characters, for a narrow bar.

    Example:
        >>> [compact_count(number) for number in (7, 999, 1250, 34_960, 7_540_000)]
        ['7', '999', '1.2k', '35k', '7.5M']
    """
    for limit, divisor, letter in ((1_000, 1, ""), (999_500, 1_000, "k"), (999_500_000, 1_000_000, "M")):
        if number < limit:
            share = number / divisor
            return f"{share:.0f}{letter}" if divisor == 1 or share >= 9.95 else f"{share:.1f}{letter}"
    return f"{number / 1e9:.0f}G"


def count_or_nothing(number: int | None) -> str:
    """A count in full.

    Example:
        >>> count_or_nothing(7540), count_or_nothing(None)
        ('7,540', '–')
    """
    return NOTHING if number is None else f"{number:,}"


def p_value_text(p_value: float | None) -> str:
    """A p-value with three decimals.

    Example:
        >>> p_value_text(0.0312), p_value_text(0.00001), p_value_text(None)
        ('0.031', '< 0.001', '–')
    """
    if p_value is None:
        return NOTHING
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"


def plain_number(number: float, *, decimals: int) -> str:
    """A number without needless zeros, as attributes have it.

    Example:
        >>> plain_number(12.0, decimals=2), plain_number(1 / 3, decimals=2), plain_number(-0.001, decimals=2)
        ('12', '0.33', '0')
    """
    text = f"{number:.{decimals}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text


def check_finite(name: str, *values: float | None) -> None:
    """Refuses what no page can draw or say.

    Args:
        name: what the values belong to.
        values: the values; None is a value that is not there.

    Raises:
        ValueError: when one is NaN or infinite.

    Example:
        >>> check_finite("recall", 0.5, None)
    """
    for value in values:
        if value is not None and not math.isfinite(value):
            raise ValueError(f"{name} has the value {value}. Give None where there is no value.")


def check_scale(name: str, scale: float) -> None:
    """Refuses a scale that no figure can have.

    Raises:
        ValueError: when it is not a positive number.

    Example:
        >>> check_scale("recall", 100)
    """
    check_finite(name, scale)
    if scale <= 0:
        raise ValueError(f"{name} has the scale {scale}. It is what a perfect answer scores, such as 1 or 100.")


def _fixed(value: float | None, decimals: int) -> str:
    if value is None:
        return NOTHING
    text = f"{value:.{max(0, decimals)}f}"
    # What rounds to zero has no sign.
    return text.lstrip("-") if text.strip("-0.") == "" else text.replace("-", _MINUS)


def _places(scale: float) -> int:
    """Decimal places that a scale takes from its figures: 0 of 1, 2 of 100."""
    return max(0, round(math.log10(scale)))
