"""Tables: a sample is a row (1, F)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from maecli.data.card import DataCard
from maecli.data.csv_files import csv_bytes, csv_head
from maecli.data.files.unread import Unread
from maecli.data.sample import Split
from maecli.errors import BrokenSample
from maecli.modalities.files import find_source
from maecli.modalities.modality import Modality
from maecli.modalities.tables.draw import draw_row
from maecli.modalities.tables.read import Rows, cell_columns, read_table


class Tables(Modality):
    """Rows of numbers, float32, in CSV files with a header or in arrays (N, F); cells may be missing.

    Columns are found by the names on the card, and others are ignored; without names all must be numbers.
    """

    name = "tables"
    unit, one, part = "rows", "row", "cell"
    axis_names = ("cells",)
    axes = 1
    suffixes = frozenset({".csv", ".npy"})
    unread = (
        Unread("a spreadsheet", (".numbers", ".ods", ".xls", ".xlsm", ".xlsx"), "export it as CSV"),
        Unread(
            "a table in a format of its own",
            (".arff", ".arrow", ".dta", ".feather", ".orc", ".parquet", ".rds", ".sas7bdat", ".sav", ".tab", ".tsv"),
            "write it as CSV or .npy",
        ),
        *Modality.unread,
    )
    default_fit = "crop"
    per_cell = True
    augments = frozenset()
    crops = frozenset({"none"})

    def read(self, path: Path, card: DataCard) -> np.ndarray:
        """Return the only row of a table (1, F); `open` gives all rows of a longer one."""
        rows = read_table(path, card)
        if len(rows) != 1:
            raise BrokenSample(str(path), f"holds {len(rows):,} rows where one sample, a single row, is wanted")
        return rows

    def open(self, source: Path, card: DataCard, size: Sequence[int]) -> tuple[Path, Split]:
        root, paths = find_source(source, self.suffixes, "tables", self.unread)
        return root, self.open_files(root, paths, card, size)

    def open_files(self, root: Path, paths: Sequence[str], card: DataCard, size: Sequence[int]) -> Rows:
        return Rows(root, paths, partial(read_table, card=card))

    def draw(self, image: np.ndarray, hidden: np.ndarray | None = None) -> np.ndarray:
        return draw_row(image, hidden)

    def encode(self, values: np.ndarray, card: DataCard, source: Path | None = None) -> tuple[str, bytes]:
        """Return a CSV file of a header and the row, with the names of the card or else of `source`."""
        names = list(card.cells)
        if not names and source is not None and source.suffix.lower() != ".npy":
            columns, _ = csv_head(source)
            names = [columns[i] for i in cell_columns(source, columns, card)]
        if len(names) != values.shape[1]:
            names = [f"cell {number}" for number in range(1, values.shape[1] + 1)]
        return ".csv", csv_bytes(names, values.astype(np.float32))
