"""What a data set says of itself, before a single sample is read."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from maecli.data.file_reading import FileReading
from maecli.data.tabular.columns import Column, num_channels
from maecli.data.volume_reading import VolumeReading

SplitName = Literal["train", "val", "test"]
Range = tuple[float, float]
ValueRange = Range | tuple[Range, ...]
"""Lowest and highest value, of all channels or of each."""
SPLIT_NAMES: tuple[SplitName, ...] = ("train", "val", "test")


def along(values: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Return values (1,), (C,), or of a single channel (S,), one for each cell, in a shape that fits image (C, *S)."""
    if len(image) == 1 and len(values) == image.shape[-1]:
        return values
    return values.reshape(-1, *[1] * (image.ndim - 1))


def ends_of(value_range: ValueRange) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the lowest values and the highest, one each for all channels or one for each."""
    ranges = value_range if isinstance(value_range[0], tuple) else (value_range,)
    lows, highs = zip(*ranges, strict=True)
    return lows, highs


class DataCard(BaseModel):
    """The facts about a data set that models, loaders and reports rely on.

    `channels`, `size` and `value_range` describe the samples' `image` field as the data set gives it, before
    any resizing or normalising. A `mask` (*S) holds class numbers of any integer dtype, `void` where nothing is
    judged. `mean` and `std` are per channel, of the train split, in units of `[0, 1]`
    (that is, after `value_range` was mapped to `[0, 1]`), of the cells that exist.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    title: str = Field(description="one line for people")
    modality: str = Field(default="pictures", description="what samples are: pictures, series, volumes, tables, …")
    fields: tuple[str, ...] = Field(description="what a sample can carry: image, label, mask, …")
    channels: int = Field(ge=1)
    size: tuple[int, ...] | None = Field(
        description="spatial size of every sample, (H, W) for pictures; None when samples differ in size"
    )
    dtype: str = Field(default="uint8", description="dtype of `image`, as numpy spells it")
    value_range: ValueRange = Field(
        default=(0.0, 255.0), description="what becomes 0 and 1, of all channels or of each"
    )
    missing: bool = Field(
        default=False, description="whether cells of `image` can be missing: NaN, or False in the field `valid`"
    )
    mean: tuple[float, ...]
    std: tuple[float, ...]
    classes: tuple[str, ...] = ()
    class_counts: tuple[int, ...] = Field(default=(), description="labelled samples of each class in the train split")
    multi_label: bool = Field(
        default=False, description="whether `label` is (Q,) int8 per sample: 1 present, 0 absent, -1 not to be judged"
    )
    mask_classes: tuple[str, ...] = Field(default=(), description="what the numbers in `mask` mean")
    mask_counts: tuple[int, ...] = Field(
        default=(), description="cells of each mask class in the masks that are learnt from, where they were counted"
    )
    mask_palette: tuple[tuple[int, int, int], ...] = Field(default=(), description="RGB colour of each mask class")
    void: int = Field(default=255, description="number in `mask` where nothing is judged")
    targets: tuple[str, ...] = Field(
        default=(), description="what the numbers in `target` are; of series the channels that are forecast, by name"
    )
    target_mean: tuple[float, ...] = Field(
        default=(), description="mean of each of `targets` over what is learnt from, in its unit, where it was measured"
    )
    target_std: tuple[float, ...] = Field(default=(), description="standard deviation of each of `targets` likewise")
    target_median: tuple[float, ...] = Field(default=(), description="median of each of `targets` likewise")
    horizon: int | None = Field(
        default=None,
        ge=1,
        description="steps after a window of a series that `target` holds; None: it holds none",
    )
    time: str = Field(default="", description="name of the time column of a series in a file; empty: none is named")
    season: int | None = Field(
        default=None, ge=1, description="steps of a series after which it is expected to be alike, such as 24 hours"
    )
    background: int | None = Field(
        default=None, description="the mask class that is no object; None if every class is something"
    )
    split_sizes: dict[str, int]
    split_origin: str = Field(description="where the splits come from, in words")
    channel_names: tuple[str, ...] = Field(
        default=(), description="name of each channel of a series, by which the columns of a file are found"
    )
    cells: tuple[str, ...] = Field(
        default=(), description="name of each cell of a table's row, by which the columns of a file are found"
    )
    columns: tuple[Column, ...] = Field(
        default=(),
        description="what each cell of a table's row is, where `image` holds places and categories of cells",
    )
    withheld: str = Field(
        default="",
        description="how cells that are there were taken from a table's rows, to be measured on as `withheld`, in "
        "words; empty: none were",
    )
    files: FileReading = Field(
        default=FileReading(), description="how the files of pictures are read, and so a person's own"
    )
    volumes: VolumeReading | None = Field(
        default=None, description="how the files of volumes are read, and so a person's own; None: as they are"
    )
    source: str = ""
    licence: str = ""
    reading: str = Field(
        default="",
        description="one line: what was read, and how, as in '300 pictures in 3 classes, by folders train/, val/'",
    )
    converted: dict[str, int] = Field(
        default_factory=dict, description="what was done to samples to make them alike → how many of them"
    )
    left_out: dict[str, int] = Field(
        default_factory=dict, description="why samples that are sound are not used → how many of them"
    )
    notes: tuple[str, ...] = Field(default=(), description="peculiarities to know")

    @model_validator(mode="after")
    def _counts_fit_classes(self) -> DataCard:
        if self.class_counts and len(self.class_counts) != len(self.classes):
            raise ValueError(f"{self.name}: {len(self.class_counts)} class_counts for {len(self.classes)} classes")
        if self.mask_counts and len(self.mask_counts) != len(self.mask_classes):
            raise ValueError(
                f"{self.name}: {len(self.mask_counts)} mask_counts for {len(self.mask_classes)} mask classes"
            )
        num = len(ends_of(self.value_range)[0])
        if num > 1 and num not in (self.channels, *(self.size or ())[-1:]):
            raise ValueError(f"{self.name}: {num} value ranges for {self.channels} channels")
        if len(self.mask_palette) != len(self.mask_classes):
            raise ValueError(f"{self.name}: {len(self.mask_palette)} colours for {len(self.mask_classes)} mask classes")
        return self

    @model_validator(mode="after")
    def _names_fit_the_samples(self) -> DataCard:
        if self.channel_names and len(self.channel_names) != self.channels:
            raise ValueError(f"{self.name}: {len(self.channel_names)} channel_names for {self.channels} channels")
        if self.cells and self.size != (len(self.cells),):
            raise ValueError(f"{self.name}: {len(self.cells)} cells for samples of the size {self.size}")
        if self.columns and self.cells != tuple(column.name for column in self.columns):
            raise ValueError(f"{self.name}: columns of other names than its cells")
        if self.columns and self.channels != num_channels(self.columns):
            raise ValueError(f"{self.name}: {self.channels} channels for columns of {num_channels(self.columns)}")
        return self

    def in_units(self, image: np.ndarray) -> np.ndarray:
        """Return an image (C, *S) as float32 that is 0 and 1 at the ends of `value_range`."""
        lows, highs = (along(np.array(ends), image) for ends in ends_of(self.value_range))
        exact = np.result_type(image.dtype, np.float32)  # float64 where float32 does not hold each value
        made = np.subtract(image, lows, dtype=exact, casting="same_kind")
        return np.divide(made, highs - lows, out=made, casting="same_kind").astype(np.float32, copy=False)

    @property
    def num_classes(self) -> int:
        return len(self.classes)
