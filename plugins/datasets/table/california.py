"""California's districts of 1990."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from maecli import api

from .dataset import Table

FILE, OF_SCIKIT_LEARN = "california_housing.csv", "california_housing_8.csv"
"""The form of 10 columns, and what is made of scikit-learn's download."""


class California(Table):
    """Districts of California in the census of 1990: where they lie, their houses, rooms, people and incomes.

    Source: Pace and Barry, "Sparse spatial autoregressions", 1997, StatLib. `california_housing.csv` in the root is the
        form of 10 columns of "Hands-on machine learning" (`ocean_proximity` is text, and 207 cells of `total_bedrooms`
        are missing); without it scikit-learn downloads the form of 8 columns and the price, in which no cell is
        missing, and which is kept as `california_housing_8.csv`.
    Format: 20,640 rows, CSV.
    Splits: one row in ten for each of val and test, cut with the fixed seed 0; there are no official ones.
    Licence: public census data.
    """

    name = "california"
    named_by_root = meant_by_rows = False
    title = "districts of California, census of 1990"
    source = "Pace and Barry 1997, StatLib"
    licence = "public census data"

    def find(self) -> Path:
        if self.root.is_file():
            return self.root
        for name in (FILE, OF_SCIKIT_LEARN):
            if (self.root / name).is_file():
                return self.root / name
        return self._download(self.root / OF_SCIKIT_LEARN)

    def _download(self, path: Path) -> Path:
        from sklearn.datasets import fetch_california_housing  # type: ignore[import-untyped]  # heavy

        with api.downloading(self._missing):
            made = fetch_california_housing(data_home=self.root)
        names = [*made.feature_names, *made.target_names]
        buffer = io.StringIO()
        np.savetxt(buffer, np.c_[made.data, made.target], "%.10g", ",", header=",".join(names), comments="")
        api.write_text(path, buffer.getvalue())
        return path

    def _missing(self, why: str) -> str:
        return (
            f"{FILE} was not found in {self.root} and {why}; put the file there, or point --root or MAE_DATA at the "
            "folder that holds it"
        )


@api.hookimpl
def mae_datasets() -> list[type[api.Dataset]]:
    return [California]
