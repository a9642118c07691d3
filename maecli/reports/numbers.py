"""How numbers are written, on the terminal and in reports alike."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from maecli.results import Figure

_PLAIN = re.compile(r"-?[\d,]+(?:\.(\d+))?(\D*)")
"""A number as `format_value` writes it: its decimals, and what follows."""


def format_value(value: float, unit: str = "") -> str:
    """Return `value` as people read it, given a unit of `results.Figure`.

    A share becomes a percentage of two decimals, or more where two would turn it into a false 0 or 100.
    Counts and whole numbers keep all their digits, dB has two decimals, everything else four significant
    digits. NaN is "n/a".
    """
    if math.isnan(value):
        return "n/a"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if unit == "share":
        return _percentage(value)
    if unit == "dB":
        return f"{value:.2f} dB"
    if isinstance(value, int) or unit == "count":
        return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"
    return _significant(value)


def format_interval(interval: tuple[float, float], unit: str = "") -> str:
    """Return a 95% interval such as "96.88% to 97.53%"."""
    return " to ".join(format_value(end, unit) for end in interval)


def format_figure(figure: Figure) -> str:
    """Return a figure's value, with its 95% interval in parentheses if it has one."""
    value = format_value(figure.value, figure.unit)
    return f"{value} ({format_interval(figure.interval, figure.unit)})" if figure.interval else value


def format_mean(figure: Figure, sd: float | None) -> str:
    """Return `97.22 ± 0.31%`; of one seed the value with its 95% interval."""
    if sd is None:
        return format_figure(figure)
    text = format_value(figure.value, figure.unit)
    found = _PLAIN.fullmatch(text)
    if not found:
        return f"{text} ± {format_value(sd, figure.unit)}"
    decimals, suffix = len(found[1] or ""), found[2]
    scale = 100 if figure.unit == "share" else 1
    return f"{text.removesuffix(suffix)} ± {scale * sd:.{decimals}f}{suffix}"


def format_twins(figure: Figure) -> list[str]:
    """Return the trivial twins of a figure, such as ["majority 11.35%", "chance 10.00%"]."""
    return [f"{_words(name)} {format_value(value, figure.unit)}" for name, value in figure.twins.items()]


def verdict(figure: Figure) -> str:
    """Return the sentence that names the twins which the figure does not beat; empty if it beats them all."""
    if figure.beats_twins is not False:
        return ""
    unbeaten = (name for name, twin in figure.twins.items() if not _is_better(figure, figure.value, twin))
    return f"Does not beat {_listed(figure, unbeaten)}."


def caution(figure: Figure) -> str:
    """Return a sentence if the figure beats its twins only by less than its 95% interval; empty otherwise."""
    if not figure.beats_twins or figure.interval is None:
        return ""
    worst = min(figure.interval) if figure.better == "higher" else max(figure.interval)
    doubtful = [name for name, twin in figure.twins.items() if not _is_better(figure, worst, twin)]
    return (
        f"Not clearly better than {_listed(figure, doubtful)}, which lies within its 95% interval." if doubtful else ""
    )


def _is_better(figure: Figure, value: float, twin: float) -> bool:
    return value > twin if figure.better == "higher" else value < twin


def _listed(figure: Figure, names: Iterable[str]) -> str:
    return " or ".join(f"{_words(name)} ({format_value(figure.twins[name], figure.unit)})" for name in names)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _percentage(share: float) -> str:
    for decimals in range(2, 8):
        text = f"{100 * share:.{decimals}f}"
        if float(text) not in (0, 100) or share in (0, 1):
            break
    return f"{text}%"


def _significant(value: float) -> str:
    exponent = int(f"{value:.3e}".split("e")[1])  # after rounding: 9.9996 has the exponent of 10.00
    if value != 0 and not -4 <= exponent < 7:
        return f"{value:.3e}"
    return f"{value:,.{max(0, 3 - exponent)}f}" if value != 0 else "0"
