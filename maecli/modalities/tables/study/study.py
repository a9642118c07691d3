"""What the rows of a table show together."""

from __future__ import annotations

from collections.abc import Iterator

from maecli.data.card import DataCard
from maecli.modalities.study import Study
from maecli.modalities.tables.study import dependence, shown, told
from maecli.modalities.tables.study.cells import AT_LEAST, Cells, SplitOf, read
from maecli.modalities.tables.study.missingness import missing_elsewhere, missing_together, patterns_of
from maecli.modalities.tables.study.outliers import Outliers, find_limit, find_outliers


def study(split_of: SplitOf, card: DataCard) -> Study | None:
    """Return what rows show together; None of too few to say."""
    cells = read(split_of, card)
    if len(cells) < AT_LEAST:
        return None
    pairs = dependence.correlations(cells)
    patterns, outliers = patterns_of(cells), dict(_outliers(cells))
    same = [pair for pair in pairs if abs(pair.correlation) >= dependence.SAME]
    copies = frozenset(pair.second if not cells.fields[pair.second].target else pair.first for pair in same)
    determined = [*dependence.determined(cells), *dependence.told_by_number(cells)]
    findings = [
        *told.on_same(cells, same),
        *told.on_determined(cells, determined, {(pair.first, pair.second) for pair in same}),
        *told.on_sums(cells, [*dependence.sums(cells, copies)]),
        *told.on_row_numbers(cells),
        *told.on_missing(cells, patterns),
        *told.on_missing_together(cells, missing_together(cells)),
        *told.on_missing_elsewhere(cells, missing_elsewhere(cells)),
        *told.on_outliers(cells, outliers),
        *told.on_limits(cells, _limits(cells)),
    ]
    topics = [
        shown.columns(cells),
        shown.missing(cells, patterns),
        shown.outliers(cells, outliers),
        shown.correlated(cells, pairs),
    ]
    return Study(findings=tuple(findings), topics=tuple(topic for topic in topics if topic is not None))


def _outliers(cells: Cells) -> Iterator[tuple[int, Outliers]]:
    for place, field in enumerate(cells.fields):
        if field.kind in ("number", "integer") and (found := find_outliers(cells.values[:, place])) is not None:
            yield place, found


def _limits(cells: Cells) -> dict[int, tuple[float, int]]:
    found = {
        place: find_limit(cells.values[:, place])
        for place, field in enumerate(cells.fields)
        if field.kind in ("number", "integer")
    }
    return {place: limit for place, limit in found.items() if limit is not None}
