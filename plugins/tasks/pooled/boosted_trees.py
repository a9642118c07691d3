"""Gradient-boosted trees on the rows of a table, which whoever has one would try first: a baseline.

Shapes: B batch, F columns, N rows.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maecli import api

NAME = "gradient-boosted trees"
ALL = sys.maxsize
"""Training rows that they learn from."""
MOST_CATEGORIES = 255
"""Of a column that scikit-learn's trees split by sets; of more its numbers are taken as they come."""


class BoostedTrees:
    """scikit-learn's histogram trees with its defaults, on the rows that a task learns from.

    Missing cells and categories are what they are there: no value is filled in. From 10,000 rows on they stop early by
    a tenth of these, without which a class of a few rows among so many makes them worse round by round.
    """

    def __init__(self, card: api.DataCard, preprocess: api.Preprocess, kind: Literal["classes", "numbers"]) -> None:
        self.card, self.preprocess, self.kind = card, preprocess, kind
        self.model: Any = None
        """None before `fit`, and where there is nothing to tell apart."""

    @classmethod
    def of(
        cls, card: api.DataCard, preprocess: api.Preprocess, kind: Literal["classes", "numbers"]
    ) -> BoostedTrees | None:
        """Return new trees where samples are rows of a table, and whole ones, else None."""
        whole = not card.columns or tuple(preprocess.img_size) == (len(card.columns),)
        return cls(card, preprocess, kind) if isinstance(preprocess.modality, api.modalities.Tables) and whole else None

    def fit(self, batches: Iterable[api.Batch], truth: str) -> None:
        """Learn from training rows whose field `truth` holds what is to be predicted; a second time changes nothing."""
        if self.model is not None:
            return
        parts = [(self.cells(batch), batch[truth].flatten().cpu().numpy()) for batch in batches]
        if not parts:
            return
        cells, wanted = (np.concatenate(each) for each in zip(*parts, strict=True))
        known = ~np.isnan(wanted) if wanted.dtype.kind == "f" else wanted >= 0
        if len(np.unique(wanted[known])) > 1:
            self.model = self._new(wanted[known]).fit(cells[known], wanted[known])

    def predict(self, batch: api.Batch) -> Tensor | None:
        """Return numbers (B,) float32 or class numbers (B,) of rows, where the batch is; None where nothing is told."""
        if self.model is None or "image" not in batch:
            return None
        made = self.model.predict(self.cells(batch))
        return torch.from_numpy(made.astype(np.int64 if self.kind == "classes" else np.float32)).to(
            batch.draws.ids.device
        )

    def cells(self, batch: api.Batch) -> NDArray[np.float32]:
        """Return the cells (B, F) of normalised rows: numbers on a scale of their own, categories by their number."""
        values = self.preprocess.to_values(self.preprocess.to_pixels(batch["image"].float()))
        if "valid" in batch:
            values = torch.where(batch["valid"], values, torch.nan)
        return api.tables.as_cells(values.cpu().numpy(), self.card.columns)

    def describe(self) -> str:
        """Say what they are, for a report."""
        return (
            "Gradient-boosted trees are scikit-learn's histogram-based ones with its defaults (100 rounds; of more "
            "than 10,000 rows a tenth says when to stop), fitted on the training rows that the model learnt from; "
            "missing cells and categories are used as they are."
        )

    def _new(self, wanted: NDArray[Any]) -> Any:
        """Return trees for what is wanted (N,)."""
        from sklearn.ensemble import (  # type: ignore[import-untyped]  # slow to import
            HistGradientBoostingClassifier,
            HistGradientBoostingRegressor,
        )

        columns = self.card.columns
        categories = [0 < len(column.categories) <= MOST_CATEGORIES for column in columns]
        made = HistGradientBoostingClassifier if self.kind == "classes" else HistGradientBoostingRegressor
        lonely = self.kind == "classes" and np.unique(wanted, return_counts=True)[1].min() < 2
        return made(
            categorical_features=categories if any(categories) else None,
            early_stopping=False if lonely else "auto",  # a class of one row cannot be in both parts
            random_state=0,
        )
