"""Series: (C, T)."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from maecli.data.card import SPLIT_NAMES, DataCard, SplitName
from maecli.data.csv_files import csv_bytes, csv_head
from maecli.data.files.unread import Unread
from maecli.data.sample import Split
from maecli.modalities.arrays import npy_shape
from maecli.modalities.files import Files, find_source, reading
from maecli.modalities.modality import Modality
from maecli.modalities.series.draw import draw_series
from maecli.modalities.series.read import array_layout, channel_columns, csv_index, read_series
from maecli.modalities.series.study.study import study
from maecli.modalities.series.timed import forecast_csv, last_window
from maecli.modalities.series.windows import Windows
from maecli.modalities.study import Study

INTO_NPY = "write it as CSV or .npy"


class Series(Modality):
    """Channels over time, float32, in CSV files with a column per channel or in arrays; long ones become windows.

    A first column of dates or words in a CSV file is an index and no channel. Arrays are (T,), (T, C) or (C, T).
    """

    name = "series"
    unit, one, part = "windows", "window", "step"
    axis_names = ("steps",)
    axes = 1
    suffixes = frozenset({".csv", ".npy"})
    unread = (
        Unread("a sound", (".aif", ".aiff", ".au", ".flac", ".m4a", ".mp3", ".ogg", ".opus", ".wav"), INTO_NPY),
        Unread("a recording of a device", (".bdf", ".edf", ".fif", ".gdf", ".mat", ".mseed", ".wfdb"), INTO_NPY),
        Unread("a table", (".feather", ".hdf5", ".h5", ".npz", ".ods", ".parquet", ".tsv", ".xls", ".xlsx"), INTO_NPY),
        *Modality.unread,
    )
    default_fit = "crop"

    def read(self, path: Path, card: DataCard) -> np.ndarray:
        return read_series(path, card)

    def open(self, source: Path, card: DataCard, size: Sequence[int]) -> tuple[Path, Split]:
        root, paths = find_source(source, self.suffixes, "series", self.unread)
        return root, self.open_files(root, paths, card, size)

    def open_files(self, root: Path, paths: Sequence[str], card: DataCard, size: Sequence[int]) -> Split:
        """Return the windows of files; to forecast, as a card with a horizon asks for, the last one of each."""
        if card.horizon is not None:
            return Files(root, paths, partial(last_window, card=card, steps=size[0]))
        return Windows(root, paths, partial(self.read, card=card), size[0])

    def draw(self, image: np.ndarray, hidden: np.ndarray | None = None) -> np.ndarray:
        return draw_series(image, hidden)

    def study(self, split_of: Callable[[SplitName, Sequence[str]], Split], card: DataCard) -> Study | None:
        """Return what the series show that windows are cut from, where splits are `Recorded`."""
        return study({name: split_of(name, ("image",)) for name in SPLIT_NAMES}, card)

    def encode(self, values: np.ndarray, card: DataCard, source: Path | None = None) -> tuple[str, bytes]:
        """Return an array in the layout of `source` if that is one, else a CSV file of its channels' names.

        A single channel of integers is that of classes. The index of `source` is kept where it has as many steps. What
        was forecast, as many steps as the card's horizon, gets the times that follow those of `source`.
        """
        if card.horizon is not None and values.shape == (len(card.targets), card.horizon):
            return ".csv", forecast_csv(values, card, source)
        if source is not None and source.suffix.lower() == ".npy":
            return ".npy", _npy_bytes(values, source, card)
        names, index = _names_and_index(values, card, source)
        cells = values if values.dtype.kind in "iu" else values.astype(np.float32)
        rows: list[Sequence[object]] = [*cells.T]  # (T, C)
        if index is not None:
            names, rows = [index[0], *names], [[cell, *row] for cell, row in zip(index[1], rows, strict=True)]
        return ".csv", csv_bytes(names, rows)


def _npy_bytes(values: np.ndarray, source: Path, card: DataCard) -> bytes:
    with reading(source):
        layout = array_layout(source, npy_shape(source), card.channels)
    if len(values) != card.channels:
        layout = "channels first"
    buffer = io.BytesIO()
    np.save(buffer, values[0] if layout == "steps" else values.T if layout == "steps first" else values)
    return buffer.getvalue()


def _names_and_index(
    values: np.ndarray, card: DataCard, source: Path | None
) -> tuple[list[str], tuple[str, list[str]] | None]:
    """Return the names of the channels, of the card or of `source`, and the index of a source of as many steps."""
    names, index = list(card.channel_names), None
    if source is not None:
        columns, first = csv_head(source)
        names = names or [columns[i] for i in channel_columns(source, columns, first, card)]
        index = csv_index(source, values.shape[1])
    if values.dtype.kind in "iu" and len(values) == 1:
        names = ["class"]
    elif len(names) != len(values):
        names = [f"channel {number}" for number in range(1, len(values) + 1)]
    return names, index
