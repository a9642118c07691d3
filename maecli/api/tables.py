"""People's tables: their cells as text, what their columns are, and rows as samples."""

from maecli.data.tabular.columns import (
    PLACES,
    Column,
    Kind,
    Scaler,
    as_cells,
    as_image,
    moments,
    num_channels,
    read_cells,
    read_truth,
)
from maecli.data.tabular.fit import fit_column
from maecli.data.tabular.kinds import MOST_CATEGORIES, Choice, Kindred, find_kinds
from maecli.data.tabular.missing import MISSING, Missing
from maecli.data.tabular.read import SUFFIXES, read_table
from maecli.data.tabular.table import TextColumn, TextTable
from maecli.modalities.tables.read import TableRows, row_names

__all__ = [
    "MISSING",
    "MOST_CATEGORIES",
    "PLACES",
    "SUFFIXES",
    "Choice",
    "Column",
    "Kind",
    "Kindred",
    "Missing",
    "Scaler",
    "TableRows",
    "TextColumn",
    "TextTable",
    "as_cells",
    "as_image",
    "find_kinds",
    "fit_column",
    "moments",
    "num_channels",
    "read_cells",
    "read_table",
    "read_truth",
    "row_names",
]
