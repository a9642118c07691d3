"""How numbers are written, on the terminal and in reports alike."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from maecli.results import Metric

_PLAIN = re.compile(r"-?[\d,]+(?:\.(\d+))?(\D*)")
"""A number as `format_value` writes it: its decimals, and what follows."""


def format_value(value: float, unit: str = "") -> str:
    """Return `value` as people read it, given a unit of `results.Metric`.

    A share becomes a percentage of two decimals, or more where two would turn it into a false 0 or 100.
    Counts and whole numbers keep all their digits, dB has two decimals, everything else four significant
    digits; mm are named. NaN is "n/a".
    """
    if math.isnan(value):
        return "n/a"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if unit == "share":
        return _percentage(value)
    if unit == "dB":
        return f"{value:.2f} dB"
    if unit == "mm":
        return f"{_significant(value)} mm"
    if isinstance(value, int) or unit == "count":
        return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"
    return _significant(value)


def format_interval(interval: tuple[float, float], unit: str = "") -> str:
    """Return a 95% interval such as "96.88% to 97.53%"."""
    return " to ".join(format_value(end, unit) for end in interval)


def rough_interval(interval: tuple[float, float], unit: str = "") -> str:
    """Return a 95% interval as a sentence says it: a share in whole percent, such as "36 to 70%".

    Where the ends are less than five points apart, they have one decimal, or what it takes to tell them apart.
    """
    if unit != "share":
        return format_interval(interval, unit)
    low, high = (100 * end for end in interval)
    decimals = 0 if high - low >= 5 else 1
    ends = [f"{low:.{decimals}f}", f"{high:.{decimals}f}"]
    return f"{ends[0]} to {ends[1]}%" if ends[0] != ends[1] else format_interval(interval, unit)


def format_metric(metric: Metric) -> str:
    """Return a metric's value, with its 95% interval in parentheses if it has one."""
    value = format_value(metric.value, metric.unit)
    return f"{value} ({format_interval(metric.interval, metric.unit)})" if metric.interval else value


def format_mean(metric: Metric, sd: float | None) -> str:
    """Return `97.22 ± 0.31%`; of one seed the value with its 95% interval."""
    if sd is None:
        return format_metric(metric)
    text = format_value(metric.value, metric.unit)
    match = _PLAIN.fullmatch(text)
    if not match:
        return f"{text} ± {format_value(sd, metric.unit)}"
    decimals, suffix = len(match[1] or ""), match[2]
    scale = 100 if metric.unit == "share" else 1
    return f"{text.removesuffix(suffix)} ± {scale * sd:.{decimals}f}{suffix}"


def format_baselines(metric: Metric) -> list[str]:
    """Return the baselines of a metric, such as ["majority 11.35%", "chance 10.00%"]."""
    return [f"{_words(name)} {format_value(value, metric.unit)}" for name, value in metric.baselines.items()]


def verdict(metric: Metric) -> str:
    """Return the sentence that names the baselines which the metric does not beat; empty if it beats them all."""
    if metric.beats_baselines is not False:
        return ""
    unbeaten = (name for name, baseline in metric.baselines.items() if not _is_better(metric, metric.value, baseline))
    return f"Does not beat {_listed(metric, unbeaten)}."


def caution(metric: Metric) -> str:
    """Return a sentence if the metric beats its baselines only by less than its 95% interval; empty otherwise."""
    if not metric.beats_baselines or metric.interval is None:
        return ""
    worst = min(metric.interval) if metric.better == "higher" else max(metric.interval)
    doubtful = [name for name, baseline in metric.baselines.items() if not _is_better(metric, worst, baseline)]
    return (
        f"Not clearly better than {_listed(metric, doubtful)}, which lies within its 95% interval." if doubtful else ""
    )


def _is_better(metric: Metric, value: float, baseline: float) -> bool:
    return value > baseline if metric.better == "higher" else value < baseline


def _listed(metric: Metric, names: Iterable[str]) -> str:
    return " or ".join(f"{_words(name)} ({format_value(metric.baselines[name], metric.unit)})" for name in names)


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
