"""Tables: a sample is a row (C, F), a single channel where all cells are plain numbers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from maecli.data.card import DataCard
from maecli.data.csv_files import csv_bytes
from maecli.data.files.unread import Unread
from maecli.data.sample import Split
from maecli.data.tabular.columns import as_cells
from maecli.data.tabular.read import SUFFIXES, read_names
from maecli.errors import BrokenSample
from maecli.modalities.files import find_source
from maecli.modalities.hand_back import HandBack
from maecli.modalities.modality import Modality
from maecli.modalities.study import Study
from maecli.modalities.survey import Look, look_at
from maecli.modalities.tables.draw import draw_row, one_line
from maecli.modalities.tables.hand_back import FilledArray, FilledTable
from maecli.modalities.tables.read import Rows, Unseen, cell_columns, image_of, read_rows
from maecli.modalities.tables.study.cells import SplitOf
from maecli.modalities.tables.study.study import study
from maecli.text import some

NUM_NAMED = 20


class Tables(Modality):
    """Rows of a table: numbers, truths, categories and dates in CSV or Parquet files, or numbers in arrays (N, F).

    Cells may be missing. Columns are found by the names on the card, and others are ignored; without names all must be
    numbers. Where the card says what its columns are, the first channel holds places of numbers, others which category.
    """

    name = "tables"
    unit, one, part = "rows", "row", "cell"
    axis_names = ("cells",)
    axes = 1
    suffixes = frozenset({*SUFFIXES, ".npy"})
    unread = (
        Unread("a spreadsheet", (".numbers", ".ods", ".xls", ".xlsm", ".xlsx"), "export it as CSV"),
        Unread(
            "a table in a format of its own",
            (".arff", ".arrow", ".dta", ".feather", ".orc", ".rds", ".sas7bdat", ".sav"),
            "write it as CSV, Parquet or .npy",
        ),
        *Modality.unread,
    )
    default_fit = "crop"
    per_cell = True
    recurs = True
    cpu_batch = 128
    augments = frozenset()
    crops = frozenset({"none"})

    def read(self, path: Path, card: DataCard) -> np.ndarray:
        """Return the only row of a table (C, F); `open` gives all rows of a longer one."""
        rows = read_rows(path, card)
        if len(rows) != 1:
            raise BrokenSample(str(path), f"holds {len(rows):,} rows where one sample, a single row, is wanted")
        return image_of(rows[0], card.columns)

    def open(self, source: Path, card: DataCard, size: Sequence[int]) -> tuple[Path, Split]:
        root, paths = find_source(source, self.suffixes, "tables", self.unread)
        return root, self.open_files(root, paths, card, size)

    def open_files(self, root: Path, paths: Sequence[str], card: DataCard, size: Sequence[int]) -> Rows:
        unseen: Unseen = {}
        return Rows(root, paths, partial(read_rows, card=card, unseen=unseen), card.columns, unseen)

    def draw(self, image: np.ndarray, hidden: np.ndarray | None = None) -> np.ndarray:
        return draw_row(one_line(image), hidden)

    def keyed(self, caption: str, card: DataCard) -> str:
        names = f"Cells in their order: {some(card.cells, NUM_NAMED)}; from" if card.cells else "From"
        return f"{caption} {names} violet, the least, to yellow, the greatest; hatched where nothing is known."

    def survey(self, split: Split, index: int, size: tuple[int, ...], card: DataCard) -> Look:
        """Return what a row shows: its cells in units of the data, categories by their number."""
        sample = split[index]
        if card.columns and sample["image"].shape == (card.channels, *size):
            cells = as_cells(sample["image"], card.columns)
            units = [column.unit(cell) for column, cell in zip(card.columns, cells.tolist(), strict=True)]
            sample = {"image": np.array(units)[None]}
            card = card.model_copy(update={"channels": 1, "columns": (), "value_range": (-np.inf, np.inf)})
        return look_at(split.keys[index], sample, size, card, self.axes, self.per_cell)

    def study(self, split_of: SplitOf, card: DataCard) -> Study | None:
        """Return what the rows show together: what is missing with what, outliers, columns that give others away."""
        return study(split_of, card)

    def encode(self, values: np.ndarray, card: DataCard, source: Path | None = None) -> tuple[str, bytes]:
        """Return a CSV file of a header and the row, with the names of the card or else of `source`."""
        if card.columns:
            cells = as_cells(values, card.columns).tolist()
            return ".csv", csv_bytes(card.cells, [[c.text(x) for c, x in zip(card.columns, cells, strict=True)]])
        names = list(card.cells)
        if not names and source is not None and source.suffix.lower() != ".npy":
            columns = read_names(source)
            names = [columns[i] for i in cell_columns(source, columns, card)]
        if len(names) != values.shape[1]:
            names = [f"cell {number}" for number in range(1, values.shape[1] + 1)]
        return ".csv", csv_bytes(names, values.astype(np.float32))

    def hand_back(self, source: Path, card: DataCard) -> HandBack:
        return FilledArray(source) if source.suffix.lower() == ".npy" else FilledTable(source, card)
