"""Scores of a split of volumes, a case each: Dice, and how far surfaces lie apart in mm.

Every score is taken of a class in a case. The mean over the cases is that class's score, and the mean over the classes
without the background is the split's. A class that is in neither a case's truth nor its prediction has no score there.

Shapes: B batch, K cases, D, H, W a volume's size, Q classes, R resamples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maecli import api
from maecli.api.measure import RESAMPLES, bootstrap_interval, constant_counts, overlap_counts, paired_bootstrap

from .evaluator import MOST_BARS, Overlap
from .heads import Segmenter
from .shown import View
from .surface import hausdorff95

Scores = NDArray[np.float64]
MOST_CASES, MOST_COLUMNS = 30, 15
"""Cases that get a row of a table, and classes that get a column of it."""
NAME_BYTES = 120


def dice(counts: np.ndarray) -> Scores:
    """Return Dice (K, Q) of counts (K, 3, Q): twice the hits over the voxels of truth and prediction; NaN of none."""
    hits, truth, predicted = np.moveaxis(counts, -2, 0).astype(np.float64)
    total = truth + predicted
    return np.where(total > 0, 2 * hits / np.maximum(total, 1), np.nan)


def class_means(scores: Scores, times: np.ndarray) -> Scores:
    """Return the mean (…, Q) over cases of scores (K, Q), each counted so many `times` (…, K); NaN where there is none.

    Scores that are NaN do not count.
    """
    known = ~np.isnan(scores)
    num = times @ known.astype(np.float64)
    return np.where(num > 0, times @ np.where(known, scores, 0) / np.maximum(num, 1), np.nan)


def mean_over_cases(scores: Scores) -> Scores:
    """Return the mean (Q,) over cases of scores (K, Q); NaN where there is none."""
    return class_means(scores, np.ones(len(scores)))


def split_mean(means: Scores) -> Scores:
    """Return the mean (…) over the classes (…, Q) that have a score; NaN where none has."""
    known = ~np.isnan(means)
    num = known.sum(-1)
    return np.where(num > 0, np.where(known, means, 0).sum(-1) / np.maximum(num, 1), np.nan)


def resampled_means(scores: Scores) -> Scores:
    """Return the split's score in resamples (R,) of whole cases; of as many cases the same ones are drawn."""
    K = len(scores)
    times = np.random.default_rng(0).multinomial(K, np.full(K, 1 / K), RESAMPLES)
    return split_mean(class_means(scores, times))


def as_rows(names: Sequence[str]) -> Tensor:
    """Return names as rows (B, N) int16 of their last bytes, which add up over parts of a split as all else does."""
    rows = np.zeros((len(names), NAME_BYTES), np.int16)
    for row, name in zip(rows, names, strict=True):
        letters = name.encode(errors="replace")[-NAME_BYTES:]
        row[: len(letters)] = np.frombuffer(letters, np.uint8)
    return torch.from_numpy(rows)


def as_names(rows: Tensor) -> list[str]:
    """Return what `as_rows` was given."""
    return [bytes(row[row > 0].tolist()).decode(errors="replace") for row in rows]


class Cases(Overlap):
    """Dice of each class and case, surface distances where there is time for them, and overlap over all voxels."""

    @property
    def by_sample(self) -> bool:
        return True

    def keep(self, batch: api.Batch, truths: Tensor, predicted: Tensor, counts: Tensor) -> None:
        rows = {"counts": counts}
        if self.thorough:
            if batch.keys:
                rows["name"] = as_rows(batch.keys).to(counts.device)
            distances = [
                self._distances(truth.cpu().numpy(), guess.cpu().numpy(), spacing)
                for truth, guess, spacing in zip(truths, predicted, self._spacings(batch), strict=True)
            ]
            rows["distances"] = torch.tensor(distances, dtype=torch.float32, device=counts.device)
            self._show(batch, truths, predicted, dice(counts.cpu().numpy()))
        self.add_rows(batch.draws.ids, rows)

    def _spacings(self, batch: api.Batch) -> list[list[float]]:
        """Return mm between the voxels of each sample; 1 where that is not known."""
        own = batch.tensors.get("own_spacing")
        return [[1.0] * 3] * len(batch) if own is None else own.nan_to_num(1.0).tolist()

    def _distances(self, truth: np.ndarray, guess: np.ndarray, spacing: Sequence[float]) -> list[float]:
        """Return the 95% Hausdorff distance of each class (Q,) of masks (D, H, W); NaN where it is none."""
        judged = (truth >= 0) & (truth < len(self.card.mask_classes)) & (truth != self.card.void)
        return [
            math.nan
            if number == self.card.background
            else hausdorff95(truth == number, (guess == number) & judged, spacing)
            for number in range(len(self.card.mask_classes))
        ]

    def _show(self, batch: api.Batch, truths: Tensor, predicted: Tensor, scores: Scores) -> None:
        """Show those of a batch with a score to what holds examples."""
        means = split_mean(self._judged(scores))
        for i in np.flatnonzero(~np.isnan(means)).tolist():
            view = partial(self._slices, batch, i, truths[i], predicted[i])
            self.examples.add(batch.keys[i], float(means[i]), view)

    def _slices(self, batch: api.Batch, i: int, truth: Tensor, guess: Tensor) -> View:
        """Return three slices of the i-th volume of a batch through the middle of what it truly shows."""
        picture, masks = self.task.slices(batch, i, [truth.cpu().numpy(), guess.cpu().numpy()])
        return View(torch.from_numpy(picture)[None], *map(torch.from_numpy, masks))

    def _judged(self, scores: Scores) -> Scores:
        """Return scores (…, Q) without those of the background."""
        if self.card.background is not None:
            scores[..., self.card.background] = np.nan
        return scores

    def _scores(self, name: str) -> Scores | None:
        """Return `dice` or `distances` (K, Q) of the cases, the background's NaN; None where they were not taken."""
        name_of_rows = "counts" if name == "dice" else name
        rows = self.rows(name_of_rows) if name_of_rows in self.state() else None
        if rows is None:
            return None
        return self._judged(dice(rows.numpy()) if name == "dice" else rows.double().numpy())

    def _class_means(self, name: str) -> Scores:
        """Return the mean of a score over the cases (Q,); of no class where it was not taken."""
        scores = self._scores(name)
        return np.full(0, np.nan) if scores is None else mean_over_cases(scores)

    def difference(self, other: api.Evaluator[Segmenter]) -> api.Difference | None:
        """Return that of Dice by resampling cases, the same ones for both."""
        counts = self.shared_rows(other, "counts")
        if counts is None or len(counts[0]) < 2:
            return None
        scores = [self._judged(dice(each.numpy())) for each in counts]
        one, another = (float(split_mean(mean_over_cases(each))) for each in scores)
        gaps = np.subtract(*map(resampled_means, scores))
        if math.isnan(one - another) or np.isnan(gaps).all():
            return None
        return paired_bootstrap(one - another, gaps[~np.isnan(gaps)], len(scores[0]))

    def metrics(self) -> Sequence[api.Metric]:
        made = [self._metric("dice"), self._metric("distances")] if self._scores("dice") is not None else []
        return [*(metric for metric in made if metric is not None), *super().metrics()]

    def _metric(self, name: str) -> api.Metric | None:
        """Return the split's mean of a score; None where no class of any case has one, but of Dice 0."""
        scores = self._scores(name)
        if scores is None:
            return None
        means = mean_over_cases(scores)
        value = float(split_mean(means))
        resampled = resampled_means(scores)
        resampled = resampled[~np.isnan(resampled)]
        is_dice = name == "dice"
        if math.isnan(value) and not is_dice:
            return None
        wide = self.thorough and len(scores) > 1 and len(resampled) > 0
        num = int((~np.isnan(means)).sum())
        note = f"mean over cases, then over {num} class{'' if num == 1 else 'es'}"
        return api.Metric(
            name="dice" if is_dice else "hd95",
            label="mean Dice" if is_dice else "95% Hausdorff distance",
            value=0.0 if math.isnan(value) else value,
            unit="share" if is_dice else "mm",
            better="higher" if is_dice else "lower",
            baselines=self._constant_dice() if is_dice else {},
            interval=bootstrap_interval(value, resampled, 1.0 if is_dice else math.inf) if wide else None,
            note=note,
        )

    def _constant_dice(self) -> dict[str, float]:
        """Return the trivial predictor's name and mean Dice."""
        rows = self.rows("counts")
        assert rows is not None
        always, _ = self._constant(overlap_counts(self.matrix).numpy())
        number = self.card.background
        if number is not None:
            return {always: 0.0}
        number = self.card.mask_classes.index(always.removeprefix("all "))
        counts = np.stack([constant_counts(case, number) for case in rows.numpy()])
        return {always: float(np.nan_to_num(split_mean(mean_over_cases(dice(counts)))))}

    def finding(self) -> str:
        means = self._class_means("dice")
        known = np.flatnonzero(~np.isnan(means)).tolist()
        if not known:
            return ""
        names = self.card.mask_classes
        text = f"mean Dice is {split_mean(means):.0%}"
        lost = sum(means[q] == 0 for q in known)
        if lost == len(known):
            return f"{text}: no class is found in any case"
        best, worst = max(known, key=lambda q: means[q]), min(known, key=lambda q: means[q])
        if len(known) == 1:
            return f"{text}, {names[best]} alone has it"
        text += f": {names[best]} is drawn best (Dice {means[best]:.0%})"
        if lost > 1:
            return f"{text}, {lost} of {len(known)} classes are not found at all"
        return f"{text}, {names[worst]} worst ({means[worst]:.0%})"

    def tables(self) -> Sequence[api.Table]:
        scores = self._scores("dice")
        if scores is None:
            return super().tables()
        names = self.rows("name") if "name" in self.state() else None
        cases = [] if names is None else [self._of_cases(scores, as_names(names))]
        return [self._table(), *cases, *super().tables()]

    def _of_cases(self, scores: Scores, names: Sequence[str]) -> api.Table:
        """Return the Dice (K, Q) of each case by itself, the lowest mean first."""
        means, distances = split_mean(scores), self._scores("distances")
        apart = None if distances is None else split_mean(distances)
        known = np.flatnonzero(~np.isnan(scores).all(0))
        shown = known.tolist() if len(known) <= MOST_COLUMNS else []
        order = np.argsort(means, kind="stable")  # those without a score come last
        rows = [
            (names[k], means[k], *(scores[k, q] for q in shown), *([apart[k]] if apart is not None else []))
            for k in order[:MOST_CASES].tolist()
        ]
        num = f"the {len(rows)} lowest of {len(scores):,}" if len(rows) < len(scores) else "the lowest first"
        return api.Table(
            title=f"Dice of each case, {num}",
            columns=(
                *("case", "mean Dice", *(self.card.mask_classes[q] for q in shown)),
                *(("HD95 in mm",) if apart is not None else ()),
            ),
            rows=tuple((name, *("n/a" if math.isnan(x) else float(x) for x in cells)) for name, *cells in rows),
        )

    def _table(self) -> api.Table:
        """Return how well each class but the background is drawn, and in how many cases that could not be told."""
        rows, distances = self.rows("counts"), self._class_means("distances")
        assert rows is not None
        _, truth, predicted = np.moveaxis(rows.numpy() > 0, 1, 0)
        both, one, none = (truth & predicted).sum(0), (truth ^ predicted).sum(0), (~truth & ~predicted).sum(0)
        columns = [("Dice", self._class_means("dice"))]
        if len(distances):
            columns.append(("HD95 in mm", distances))
        title = (
            "Per class, means over cases. A class that is in neither truth nor prediction of a case is left out there; "
            "in one of the two alone it has Dice 0 and no 95% Hausdorff distance (HD95)"
        )
        return api.Table(
            title=title,
            columns=("class", *(name for name, _ in columns), "cases in both", "in one", "in neither"),
            rows=tuple(
                (
                    name,
                    *("n/a" if math.isnan(means[i]) else float(means[i]) for _, means in columns),
                    *(int(number[i]) for number in (both, one, none)),
                )
                for i, name in enumerate(self.card.mask_classes)
                if i != self.card.background
            ),
        )

    def drawings(self) -> Sequence[api.Drawing]:
        pixels = lambda picture: picture.mul(255).round().to(torch.uint8).numpy()  # noqa: E731
        examples = self.examples.drawings(pixels, self.task.style, "mean Dice", self.task.preprocess.modality.one)
        return [*examples, *self._dice_bars(), self._confusion()]

    def _dice_bars(self) -> list[api.Drawing]:
        means = self._class_means("dice")
        known = np.flatnonzero(~np.isnan(means))[:MOST_BARS].tolist()
        if not known:
            return []
        bars = {self.card.mask_classes[i]: float(means[i]) for i in known}
        png = api.draw.class_bars(bars, "mean Dice")
        return [api.Drawing(name="dice-per-class", caption="Mean Dice over the cases, of each class.", png=png)]
