"""Taking away cells that are there, so that it can be measured how well they are filled in: MCAR, MAR and MNAR.

Shapes: N rows, F columns, K of them kept whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from maecli import api

Mechanism = Literal["mcar", "mar", "mnar"]
NAMES: dict[str, str] = {
    "mcar": "completely at random (MCAR)",
    "mar": "at random given columns that are kept whole (MAR)",
    "mnar": "by their own values (MNAR)",
}
KEPT = 0.3
"""Share of the columns that MAR keeps whole."""
FAR = 40.0
"""Beyond all logits, where the logistic function is 0 or 1."""


def hidden_cells(
    columns: Sequence[api.tables.Kindred],
    nothing: api.tables.Missing,
    mechanism: Mechanism,
    share: float,
    seed: int,
) -> NDArray[np.bool_]:
    """Return which cells (N, F) are taken away: some of those that are there.

    mcar: each goes with the chance `share`. mar: 30% of the columns are kept whole, drawn from those that lack nothing
    while there are any; a cell of another column goes by a logistic model of its row's cells in these, with normal
    weights. mnar: a cell goes by a logistic model of its own value, rising or falling (self-masking). Logits have a
    deviation of 1 over the rows, and an offset by which `share` of each column goes that is not kept. The same draws
    decide for every share: what goes at 10% goes at 20% too.
    Source: Muzellec et al., arXiv:2002.03860, section 4. Ours know categories, too, each as a number that is drawn for
    it; what was missing before counts as the mean.
    """
    values = np.stack([_values(column, nothing) for column in columns], 1)
    there, random = ~np.isnan(values), np.random.default_rng(seed)
    draws = random.random(values.shape)
    if mechanism == "mcar":
        return there & (draws < share)
    weights = random.standard_normal((len(columns), len(columns)))
    scores = np.stack([_scores(column, each, random) for column, each in zip(columns, values.T, strict=True)], 1)
    kept = _kept_columns(there, random) if mechanism == "mar" else np.zeros(0, np.int64)
    logits = scores[:, kept] @ weights[kept] if mechanism == "mar" else scores * np.sign(weights.diagonal())
    goes = np.stack([_chances(*each, share) for each in zip(logits.T, there.T, strict=True)], 1)
    goes[:, kept] = 0
    return there & (draws < goes)


def _values(column: api.tables.Kindred, nothing: api.tables.Missing) -> NDArray[np.float64]:
    """Return a column's numbers (N,), or those of its categories, NaN for nothing."""
    if column.values is not None:
        return column.values
    texts = ["" if nothing(cell) else cell for cell in column.cells]
    numbers = {text: number for number, text in enumerate(sorted(set(texts) - {""}))}
    return np.array([numbers.get(text, np.nan) for text in texts])


def _scores(
    column: api.tables.Kindred, values: NDArray[np.float64], random: np.random.Generator
) -> NDArray[np.float64]:
    """Return values (N,) with mean 0 and deviation 1, and 0 for nothing; a category's is drawn for it."""
    there = ~np.isnan(values)
    if column.values is None and there.any():
        drawn = random.standard_normal(int(values[there].max()) + 1)
        values = np.where(there, drawn[np.where(there, values, 0).astype(int)], np.nan)
    return _standardised(np.where(there, values, values[there].mean() if there.any() else 0.0))


def _standardised(values: NDArray[np.float64]) -> NDArray[np.float64]:
    deviation = values.std()
    return (values - values.mean()) / (deviation if deviation > 0 else 1.0)


def _kept_columns(there: NDArray[np.bool_], random: np.random.Generator) -> NDArray[np.int64]:
    """Return which columns (K,) MAR keeps: at random, those that lack something last."""
    num = there.shape[1]
    order = random.permutation(num)
    complete_first = order[np.argsort(~there[:, order].all(0), kind="stable")]
    return np.sort(complete_first[: max(1, int(KEPT * num))])


def _chances(logits: NDArray[np.float64], there: NDArray[np.bool_], share: float) -> NDArray[np.float64]:
    """Return with which chance each cell (N,) of a column goes, so that of those that are there `share` do."""
    if not there.any():
        return np.zeros_like(logits)
    from scipy.optimize import brentq  # type: ignore[import-untyped]  # heavy
    from scipy.special import expit  # type: ignore[import-untyped]

    logits = _standardised(logits)
    reach = FAR + float(np.abs(logits).max())
    offset = brentq(lambda each: float(expit(logits[there] + each).mean()) - share, -reach, reach)
    return np.asarray(expit(logits + offset))
