"""What a sweep found, as the first sentences about it: which setting was best, by how much, and how surely."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from maecli.reports.numbers import format_mean, rough_interval, verdict
from maecli.results import Difference
from maecli.sweep.outcome import Outcome, Row, point_title
from maecli.sweep.plan import Axis
from maecli.text import capitalised, number_of, some

SPLITS = {"test": "test", "val": "validation", "train": "the training data"}
MOST_ARMS = 3
"""Whose best setting is named, besides the best of all."""

Between = Callable[[str, str], Difference | None]
"""How far a run lies above another one on the same samples, by the names of their directories; None: not known."""


def finding(outcome: Outcome, between: Between) -> list[str]:
    """Return the sentences, the one that matters most first.

    They are of the first metric on the first split, of what was learnt from labels where something was. Settings whose
    baselines differ are not compared: their metrics are of different things.
    """
    rows = next((rows for verb in ("finetune", "pretrain") for rows in outcome.by_metric(verb)), [])
    ranked = sorted((row for row in rows if math.isfinite(row.metric.value)), key=_worst_last)
    if not ranked:
        return ["No run of it was measured."]
    if len(ranked) == 1:
        return [*_single(ranked[0], outcome.axes)]
    if not all(_same_baselines(ranked[0], row) for row in ranked):
        return ["No setting is called best: what was measured differs between them, as their baselines show."]
    usual = next((row for row in ranked if row.usual and row.point and row.arm == ranked[0].arm), None)
    return [*_best(ranked, usual, outcome.axes), *_of_arms(ranked, outcome.axes), *_how_surely(ranked, usual, between)]


def folds_finding(outcome: Outcome) -> list[str]:
    """Return the same of runs that are folds: how far they lie apart."""
    rows = next(iter(outcome.by_metric("finetune")), [])
    ranked = sorted((row for row in rows if math.isfinite(row.metric.value)), key=_worst_last)
    if not ranked:
        return ["No fold was measured."]
    best, worst = ranked[0], ranked[-1]
    low, high = (f"{_value(row)} in fold {next(iter(row.point.values()))}" for row in (worst, best))
    return [
        f"Over {number_of(len(ranked), 'fold')}, {best.metric.label} lies between {low} and {high}.",
        "What all folds found as one stands on the page of the run that they belong to.",
    ]


def _worst_last(row: Row) -> float:
    return -row.metric.value if row.metric.better == "higher" else row.metric.value


def _same_baselines(one: Row, other: Row) -> bool:
    mine, theirs = one.metric.baselines, other.metric.baselines
    return mine.keys() == theirs.keys() and all(math.isclose(mine[name], theirs[name], rel_tol=1e-6) for name in mine)


def _single(row: Row, axes: Sequence[Axis]) -> Iterator[str]:
    yield capitalised(f"{row.metric.label} is {_value(row)} on {SPLITS[row.split]}, {_seeds(row)}.")
    if found := verdict(row.metric):
        yield found


def _best(ranked: Sequence[Row], usual: Row | None, axes: Sequence[Axis]) -> Iterator[str]:
    """Yield which setting is best, and that it is not better than a trivial predictor where that is so."""
    best = ranked[0]
    equal = [row for row in ranked if row.metric.value == best.metric.value]

    def name(row: Row) -> str:
        return f"the default, {_title(row, axes)}" if row is usual else _title(row, axes)

    others = {"": usual} if usual is not None and usual not in equal else {}
    if len(equal) == 1:
        others = {"the next is ": ranked[1]} if usual is ranked[1] else others | {"the next is ": ranked[1]}
    which = f"are equally good, {some(map(name, equal))}" if len(equal) > 1 else f"is {name(best)}"
    what = f"{best.metric.label} of {_value(best)} on {SPLITS[best.split]}"
    than = (f"{begin}{name(row)}, {'with' if begin else 'has'} {_value(row)}" for begin, row in others.items())
    yield f"The best of {number_of(len(ranked), 'setting')} {'; '.join([f'{which}: {what}', *than])}."
    if found := verdict(best.metric):
        yield f"Even the best {found[:1].lower()}{found[1:]}"


def _of_arms(ranked: Sequence[Row], axes: Sequence[Axis]) -> Iterator[str]:
    """Yield the best setting of each of the other arms that has several."""
    arms = dict.fromkeys(row.arm for row in ranked if row.arm != ranked[0].arm)
    for arm in list(arms)[:MOST_ARMS]:
        of_arm = [row for row in ranked if row.arm == arm]
        if len(of_arm) > 1:
            yield f"Of {arm}, the best is {point_title(of_arm[0].point, axes)}, with {_value(of_arm[0])}."


def _how_surely(ranked: Sequence[Row], usual: Row | None, between: Between) -> Iterator[str]:
    """Yield whether seeds or samples tell the best from the default and the next, and that it flatters itself."""
    best, after = ranked[0], ranked[1]
    if usual is None or usual in (best, after):
        yield _apart(best, after, "the two", between)
    else:
        yield _apart(best, usual, "it and the default", between)
        yield _apart(best, after, "it and the next", between)
    if len(_shared_seeds(best, after)) < 2:
        yield "With one seed each, what another seed would change is not known."
    yield f"The best was chosen on {SPLITS[best.split]}, so its own figure there is rather too good."


def _apart(best: Row, other: Row, both: str, between: Between) -> str:
    """Return whether seeds, or else the same samples, tell two settings apart."""
    seeds = _shared_seeds(best, other)
    if len(seeds) > 1:
        p = _paired_by_seed(best, other, seeds)
        return f"{len(seeds)} seeds {'tell' if p < 0.05 else 'do not tell'} {both} apart (paired t-test, {_p(p)})."
    difference = between(best.runs[0], other.runs[0])
    if difference is None:
        return f"Nothing tells whether {both} lie apart by chance."
    told = "more" if difference.is_told else "no more"
    how = f"{_p(difference.p_value)}, {difference.test} on {difference.num_samples:,} samples"
    return f"{capitalised(both)} lie {told} than chance may make apart ({how})."


def _shared_seeds(one: Row, other: Row) -> list[int]:
    return [*{*one.seeds} & {*other.seeds}]


def _paired_by_seed(one: Row, other: Row, seeds: Sequence[int]) -> float:
    """Return how likely chance alone puts two settings as far apart, by what they get with the same seeds."""
    from scipy.stats import ttest_1samp  # type: ignore[import-untyped]  # slow to import, and only needed here

    mine, theirs = (dict(zip(row.seeds, row.values, strict=True)) for row in (one, other))
    differences = [mine[seed] - theirs[seed] for seed in seeds]
    if math.isclose(min(differences), max(differences), rel_tol=1e-6, abs_tol=1e-12):
        return float(differences[0] == 0)
    return float(ttest_1samp(differences, 0).pvalue)


def _p(p: float) -> str:
    return "p below 0.001" if p < 0.001 else f"p = {p:.2g}"


def _title(row: Row, axes: Sequence[Axis]) -> str:
    return ", ".join(filter(None, [point_title(row.point, axes), row.arm])) or "the one without the grid"


def _value(row: Row) -> str:
    """Return a value as a sentence holds it, with its deviation over seeds or its interval over samples."""
    if row.sd is not None or row.metric.interval is None:
        return format_mean(row.metric, row.sd)
    whole = format_mean(row.metric.model_copy(update={"interval": None}), None)
    return f"{whole} ({rough_interval(row.metric.interval, row.metric.unit)})"


def _seeds(row: Row) -> str:
    return "with one seed" if len(row.seeds) == 1 else f"over {len(row.seeds)} seeds"
