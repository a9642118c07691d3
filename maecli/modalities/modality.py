"""What samples look like, by kind: the one protocol by which files become samples, and samples input and drawings.

Whoever is no modality asks it, and counts no axes. A data set's card names its modality; a package brings one by an
entry point, as it brings a data set.

Shapes: B batch, C channels, S spatial axes (as many as `axes`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from maecli.data.card import DataCard, SplitName, ValueRange
from maecli.data.files.unread import KEPT, UNFINISHED, Unread
from maecli.data.randomness import Draws
from maecli.data.sample import Sample, Split
from maecli.errors import BrokenSample, SpecError
from maecli.modalities import boxes
from maecli.modalities import fit as fits
from maecli.modalities.boxes import Box
from maecli.modalities.hand_back import HandBack
from maecli.modalities.joined import join_files
from maecli.modalities.known_masks import KnownMasks
from maecli.modalities.study import Study
from maecli.modalities.survey import Look, look_at, with_gaps
from maecli.schema import AugmentSpec, Fit

MOST_NUMBERS = 5
"""Random numbers that choose a part of a sample: for its size, its proportions, and its place on up to three axes."""


class Modality(ABC):
    """Base of a modality. It holds no state; its subclass's docstring says what a sample is."""

    name: ClassVar[str]
    unit: ClassVar[str] = "samples"
    """What samples are called when they are counted: images, rows, windows, volumes."""
    one: ClassVar[str] = "sample"
    """What a single one is called."""
    part: ClassVar[str] = "value"
    """What one of its parts is called: a pixel, a step, a cell, a voxel."""
    axis_names: ClassVar[tuple[str, ...]] = ()
    """What the lengths of its axes are called, in their order."""
    axes: ClassVar[int]
    """Spatial axes of `image`."""
    suffixes: ClassVar[frozenset[str]]
    """How names of files end that may hold samples, in lower case."""
    unread: ClassVar[Sequence[Unread]] = (KEPT, UNFINISHED)
    """Files that are like samples and are not read, so that they are told by name."""
    default_fit: ClassVar[Fit] = "resize"
    keeps_proportions: ClassVar[bool] = False
    """Whether resizing takes the largest centred part in the model's proportions, instead of stretching all of it."""
    gaps: ClassVar[bool] = True
    """Whether cells may be missing in a person's own files, also where the data set lacks none."""
    pictorial: ClassVar[bool] = False
    """Whether a drawing shows all of a sample, so that predictions are written as pictures and not as numbers."""
    by_case: ClassVar[bool] = False
    """Whether each sample is a case, as a patient's volume is: masks are judged in each, and shown in its `slices`."""
    per_cell: ClassVar[bool] = False
    """Whether range, mean and deviation are those of each cell, as of a table's columns, instead of each channel."""
    any_size: ClassVar[bool] = False
    """Whether an exported file takes samples of any size, which it resizes by `resize_in_graph`."""
    recurs: ClassVar[bool] = False
    """Whether samples may be equal by chance, as rows of few categories, and are then no copies."""
    cpu_batch: ClassVar[int] = 32
    """The batch, a power of two, that a plan takes on a CPU; more where samples are so small that calls cost most."""
    mirror_axis: ClassVar[int] = -1
    """The axis that mirror images turn around, counted from the end."""
    augments: ClassVar[frozenset[str]] = frozenset({"crop", "crop_scale", "flip"})
    """The keys of `augment` that change samples of this kind; others are refused."""
    crops: ClassVar[frozenset[str]] = frozenset({"none", "random-resized"})
    """What `augment.crop` may be."""

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))

    @abstractmethod
    def read(self, path: Path, card: DataCard) -> np.ndarray:
        """Return what a person's file holds (C, *S), with the channels and dtype of `card`; NaN where nothing is known.

        Raises BrokenSample for a file that is damaged, or cannot be brought to that.
        """

    def read_sample(self, path: Path, card: DataCard) -> Sample:
        """Return what `read` does as a sample, as `open` gives it. Override it to tell by `valid` what is missing."""
        return {"image": self.read(path, card)}

    def convert(self, opened: Any, card: DataCard) -> np.ndarray:
        """Return an array (C, *S), or (*S) of one channel, or another object with a sample, as `read` does a file.

        Raises BrokenSample if it cannot be brought to that.
        """
        image = np.asarray(opened)
        image = image[None] if image.ndim == self.axes else image
        if image.ndim != self.axes + 1 or len(image) != card.channels:
            wanted = f"({card.channels}, …) of {self.axes} axes more"
            raise BrokenSample("sample", f"has the shape {image.shape}; this model takes arrays {wanted}")
        return image.astype(card.dtype if np.can_cast(image.dtype, card.dtype) else np.float32)

    @abstractmethod
    def open(self, source: Path, card: DataCard, size: Sequence[int]) -> tuple[Path, Split]:
        """Return a root and the samples of a person's own file, or of all files below a folder, as `card` has them.

        A file may hold several samples for a model of this size: the rows of a table, the windows of a series. The key
        of a sample begins with the path of its file relative to the root; what follows, if anything, begins with # and
        says which part of the file it is. Raises DataError where nothing is found.
        """

    def open_files(self, root: Path, paths: Sequence[str], card: DataCard, size: Sequence[int]) -> Split:
        """Return the samples of several files below a root, as `open` returns those of each.

        Override it where opening each by itself is dear, or keeps much.
        """
        return join_files(root, paths, lambda path: self.open(path, card, size))

    def samples_among(self, keys: Sequence[str], card: DataCard) -> Sequence[str]:
        """Return those of several folders and files that are samples, and not parts of others, such as their masks."""
        return keys

    def known_masks(
        self, root: Path, keys: Sequence[str], folders: Mapping[Path, bool], card: DataCard
    ) -> KnownMasks | None:
        """Return the true masks of a person's own samples, by their keys below a root; None for a kind without such.

        `folders` hold the samples: whether each counts with all that lies below it, as a folder does that was named.
        """
        return None

    @abstractmethod
    def draw(self, image: np.ndarray, hidden: np.ndarray | None = None) -> np.ndarray:
        """Return a picture (3, H, W) float32 in [0, 1] of a sample (C, *S), whose values lie mostly in [0, 1].

        NaN is shown as missing. `hidden` (*S) bool: cells to be marked as hidden from the model.
        """

    def slices(
        self,
        image: np.ndarray,
        masks: Sequence[np.ndarray],
        fill: int,
        lengths: Sequence[float],
        shows: np.ndarray,
    ) -> tuple[np.ndarray, Sequence[np.ndarray]]:
        """Return a drawing (3, h, w) of slices of a sample (C, *S) of three axes, and masks (*S) as they lie on it.

        A mask may have other numbers of cells than the image, for the same space, whose `lengths` the drawing has; it
        is `fill` beside the slices. They go through the middle of what `shows` (*S) marks. A kind of samples that are
        cases overrides it.
        """
        raise NotImplementedError(f"{self.name} draw no slices")

    def keyed(self, caption: str, card: DataCard) -> str:
        """Return a caption of drawn samples, with what places and colours of `draw` mean where it is not plain."""
        return caption

    def preview(self, sample: Sample, card: DataCard) -> tuple[np.ndarray, np.ndarray | None]:
        """Return a drawing (3, H, W) of a sample as the data set gives it, and its mask (H, W) if it lies on that.

        There is none where a drawing does not show a sample's parts at their places.
        """
        return self.draw(card.in_units(with_gaps(sample))), None

    def survey(self, split: Split, index: int, size: tuple[int, ...], card: DataCard) -> Look:
        """Return what a sample of this size shows to a survey of its data set, which `mae eda` tells of.

        Raises BrokenSample if it cannot be read, or is not as the card says.
        """
        return look_at(split.keys[index], split[index], size, card, self.axes, self.per_cell)

    def study(self, split_of: Callable[[SplitName, Sequence[str]], Split], card: DataCard) -> Study | None:
        """Return what the samples of a data set show together; None for nothing. Called after all were surveyed.

        `split_of` is what the data set gives for a split and fields of samples.
        """
        return None

    @abstractmethod
    def encode(self, values: np.ndarray, card: DataCard, source: Path | None = None) -> tuple[str, bytes]:
        """Return the suffix and the contents of a file of predicted values (C, *S), in units of the data.

        `source` is the file that the sample came from, whose header, names or geometry the new one takes over.
        """

    def stem(self, key: str) -> str:
        """Return what of a file's path names what is made of it, before a suffix such as `.mask.png`: all of it.

        Override it where what is made has the ending of the file, which would stand there twice.
        """
        return key

    def hand_back(self, source: Path, card: DataCard) -> HandBack | None:
        """Return what takes the samples of a person's own file, filled in, and gives it back as one file.

        None: each of them is written by itself, as `encode` does. Raises BrokenSample for a file that cannot be read.
        """
        return None

    def file_range(self, card: DataCard) -> ValueRange:
        """Return what becomes 0 and 1 in a person's own files."""
        return card.value_range

    def prepare(self, sample: Sample, spec: AugmentSpec, seed: int, value_range: ValueRange, void: int) -> Sample:
        """Return a decoded training sample as `augment.chain` changes it, at its own size, by a seed of its own.

        Called in worker processes, where there is a chain. The sample's arrays belong to a cache: they are not
        written to.
        """
        return sample

    def box(
        self, shape: Sequence[int], size: Sequence[int], fit: Fit, spec: AugmentSpec, numbers: Sequence[float] = ()
    ) -> Box:
        """Return the part of a sample of this shape that becomes the model's size.

        In training, `numbers` (MOST_NUMBERS,) in [0, 1) are the sample's own, and choose it as `spec` says.
        """
        if numbers and spec.crop == "random-resized":
            return boxes.random_part(numbers[: 2 + self.axes], shape, spec)
        if numbers and spec.crop == "scale-jitter":
            return boxes.jittered_part(numbers[: 1 + self.axes], shape, size, spec)
        if fit == "crop":
            return boxes.window(shape, size, numbers[: self.axes])
        return boxes.centred_part(shape, size) if self.keeps_proportions else boxes.whole(shape)

    def fit(
        self, sample: Sample, box: Box, size: Sequence[int], void: int = 255, missing: bool = False
    ) -> dict[str, Tensor]:
        """Return a sample's tensors, its image and mask cut by a box and resized; see `maecli.modalities.fit`."""
        return fits.fit(sample, box, size, void, missing)

    def resize_in_graph(self, samples: Tensor, size: Sequence[int]) -> Tensor:
        """Return raw samples (B, C, *S) float32 as `box` and `fit` bring them to a size in evaluation, `resize`.

        Of operations that `torch.export` can follow for samples of any size. Those with `any_size` override it.
        """
        raise NotImplementedError(f"{self.name} are not resized in exported files")

    def augment(self, tensors: dict[str, Tensor], draws: Draws, spec: AugmentSpec, void: int) -> dict[str, Tensor]:
        """Return a training batch changed by chance, each sample by its own draws, on whatever device it is.

        Takes `image` (B, C, *S) float32 in [0, 1], `mask` (B, *S), `valid` (B, C, *S) bool of the model's size.
        """
        return mirrored(tensors, draws, self.mirror_axis) if spec.flip else tensors

    def check_augment(self, spec: AugmentSpec) -> None:
        """Raise SpecError for changes that this kind of sample does not know."""
        for name in sorted(spec.model_fields_set - self.augments):
            if getattr(spec, name) != AugmentSpec.model_fields[name].default:
                known = ", ".join(sorted(self.augments)) or "nothing"
                raise SpecError(f"augment.{name} does not suit {self.name}, which know {known}; leave it out")
        if spec.crop not in self.crops:
            known = ", ".join(sorted(self.crops))
            raise SpecError(f"augment.crop {spec.crop} does not suit {self.name}; use one of {known}")


def mirrored(tensors: dict[str, Tensor], draws: Draws, axis: int = -1) -> dict[str, Tensor]:
    """Return a batch in which half of the samples, by their draws, are mirrored along an axis, counted from the end."""
    coin = draws.uniform("flip", 1).flatten() < 0.5  # (B,)
    fields = {name: tensors[name] for name in ("image", "mask", "valid") if name in tensors}
    return tensors | {
        name: torch.where(coin.reshape(-1, *[1] * (tensor.ndim - 1)), tensor.flip(axis), tensor)
        for name, tensor in fields.items()
    }
