"""After how many steps a series repeats itself.

Peaks of the autocorrelation propose periods, and cycles laid over each other dispose: what repeats looks alike in all.

Shapes: T steps, P steps of a period.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maecli.modalities.series.study.lags import later

Values = NDArray[np.float64]

LEAST_CYCLES = 6
"""Of a period in a series; fewer look alike by chance."""
LEAST_SHARE = 0.05
"""Of the variance around the moving average that a repeated cycle explains at least."""
SURE = 12.0
"""Deviations by which that share lies above what cycles of noise share, at least: many periods are tried."""
LEAST_PEAK = 0.05
"""Of the autocorrelation: its height and prominence."""
BAND = 3
"""Times the shortest period that the longest one is which are looked for around one moving average."""
MOST_PEAKS = 6
CLOSE, AS_GOOD = 0.03, 0.95
"""Share of a likely period that another one may lie off, and of what it explains, and still be meant by it."""
ROUNDING = 1e-6
"""Of float32, relative to a value: what varies less is constant."""
FEW_TIMES = 6
"""Times a period up to which a longer one holds it, as a day holds its halves: what repeats is told by that one."""


@dataclass(frozen=True)
class Season:
    """A period that was found."""

    period: int
    """Steps."""
    share: float
    """Of the variance around the moving average of a period, without shorter seasons, that repeats."""


def find_seasons(values: Values, likely: Sequence[int] = ()) -> list[Season]:
    """Return the periods of a series (T,), NaN where nothing is known, the shortest first.

    `likely` are periods that are proposed without a peak, such as the steps of a day; one that holds what was found,
    as a day holds its halves, need only be sure.
    """
    periods: list[int] = []
    rest = values
    for period in sorted({*_proposed(values), *likely}):
        if not 1 < period <= len(values) // LEAST_CYCLES:
            continue
        best = _best_near(rest, period, likely)
        share = _shared(rest, best)
        holds = best in likely and any(best in _longer(shorter) for shorter in periods)
        if share >= SURE * _chance(rest, best) and (holds or share >= LEAST_SHARE):
            periods.append(best)
            rest = rest - cycle_of(rest, best)
    return [*_measured(values, [period for period in periods if not _longer(period) & set(periods)])]


def _longer(period: int) -> set[int]:
    """Return the periods that hold this one a few times."""
    return {period * times for times in range(2, FEW_TIMES + 1)}


def _measured(values: Values, periods: Sequence[int]) -> Iterator[Season]:
    """Yield the seasons of these periods, each of what the shorter ones leave."""
    for period in periods:
        yield Season(period, _shared(values, period))
        values = values - cycle_of(values, period)


def without_seasons(values: Values, seasons: Iterable[Season]) -> Values:
    """Return a series (T,) without what repeats in it."""
    for season in seasons:
        values = values - cycle_of(values, season.period)
    return values


def autocorrelation(values: Values, most: int) -> Values:
    """Return the autocorrelation of a series at the lags 0 to `most`, over the pairs of which both are known."""
    there = ~np.isnan(values)
    centred = np.where(there, values - (values[there].mean() if there.any() else 0.0), 0.0)
    sums, pairs = later(centred, centred, most), later(there.astype(float), there.astype(float), most)
    means = sums / np.maximum(np.rint(pairs), 1)
    return means / means[0] if means[0] > 0 else np.zeros(len(means))


def moving_average(values: Values, width: int) -> Values:
    """Return the mean of the `width` values around each (T,); NaN at the ends, and where fewer than half are known.

    Of an even width half of the first value and of the one behind the last count, so that it is in the middle.
    """
    if width % 2 == 0:
        lower = _average(values, width)
        return (lower + np.append(lower[1:], np.nan)) / 2
    return _average(values, width)


def _average(values: Values, width: int) -> Values:
    there = ~np.isnan(values)
    sums = np.cumsum(np.append(0.0, np.where(there, values, 0.0)))
    nums = np.cumsum(np.append(0, there))
    mean = np.full(len(values), np.nan)
    num = nums[width:] - nums[:-width]
    with np.errstate(invalid="ignore", divide="ignore"):
        inner = np.where(2 * num >= width, (sums[width:] - sums[:-width]) / num, np.nan)
    mean[width // 2 : width // 2 + len(inner)] = inner
    return mean


def cycle_of(values: Values, period: int) -> Values:
    """Return for each step (T,) the mean of its place in the period, around the moving average."""
    cycles = _cycles(_around(values, period), period)
    return np.tile(_means(cycles), len(cycles))[: len(values)]


def _best_near(values: Values, period: int, likely: Sequence[int]) -> int:
    """Return the period at which cycles are most alike, near one that was proposed; a likely one if it is as good."""
    share = _shared(values, period)
    if period in likely or period < 10 or share < LEAST_SHARE / 2:
        return period
    shares = {near: _shared(values, near) for near in range(period - 2, period + 3)}
    best = max(shares, key=lambda near: shares[near])
    close = [each for each in likely if abs(each - best) <= CLOSE * each]
    return next((each for each in close if _shared(values, each) >= AS_GOOD * shares[best]), best)


def _shared(values: Values, period: int) -> float:
    """Return the share of the variance around the moving average that is the same in all cycles.

    It is the adjusted R² of the mean of each place in the cycle, so of noise it is 0 on average.
    """
    cycles = _cycles(_around(values, period), period)
    there = ~np.isnan(cycles)
    num = there.sum() / period
    if num < LEAST_CYCLES - 1:
        return 0.0
    total, rest = (float(np.where(there, np.square(each), 0.0).sum()) for each in (cycles, cycles - _means(cycles)))
    if total <= there.sum() * (ROUNDING * float(np.nanmax(np.abs(values)))) ** 2:
        return 0.0
    return 1 - rest / total * num / (num - 1)


def _chance(values: Values, period: int) -> float:
    """Return the deviation of that share for noise: of the variance of a mean of cycles.

    Cycles have as many independent values as the autocorrelation of what does not repeat leaves: smooth ones few.
    """
    cycles = _cycles(_around(values, period), period)
    num = (~np.isnan(cycles)).sum() / period
    memory = autocorrelation((cycles - _means(cycles)).ravel(), period)
    independent = max(2.0, period / (1 + 2 * float(np.square(memory[1:]).sum())))
    return float(np.sqrt(2 / independent)) / num


def _around(values: Values, period: int) -> Values:
    """Return a series (T,) around its moving average of a period, 0 in the mean."""
    apart = values - moving_average(values, period)
    there = ~np.isnan(apart)
    return apart - (apart[there].mean() if there.any() else 0.0)


def _cycles(values: Values, period: int) -> Values:
    """Return a series as rows of cycles (T / P, P), the last one filled up with NaN."""
    num = -(-len(values) // period)
    padded = np.full(num * period, np.nan)
    padded[: len(values)] = values
    return padded.reshape(num, period)


def _means(cycles: Values) -> Values:
    there = ~np.isnan(cycles)
    return np.where(there, cycles, 0.0).sum(0) / np.maximum(there.sum(0), 1)


def _proposed(values: Values) -> Iterator[int]:
    """Yield the lags of peaks of the autocorrelation, around moving averages of several widths."""
    from scipy.signal import find_peaks  # type: ignore[import-untyped]  # heavy

    longest = len(values) // LEAST_CYCLES
    while longest >= 2:
        most = min(len(values) - 1, longest + longest // 2 + 2)
        height = autocorrelation(values - moving_average(values, longest), most)
        peaks, facts = find_peaks(height, height=LEAST_PEAK, prominence=LEAST_PEAK)
        order = np.argsort(-facts["prominences"], kind="stable")
        inside = [int(peaks[i]) for i in order if longest / BAND <= peaks[i] <= longest]
        for peak in inside[:MOST_PEAKS]:
            yield from (peak, round(peak / 2), round(peak / 3))  # what repeats thrice has its highest peak anywhere
        longest //= BAND
