"""From samples as a data set gives them to the numbers that a model sees, and back to pixels.

Shapes: B batch, C channels, S spatial axes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from maecli.data.batch import Batch
from maecli.data.card import DataCard, ValueRange, along, ends_of
from maecli.data.sample import OWN, Sample
from maecli.errors import SpecError
from maecli.modalities.boxes import Box, whole, window_around
from maecli.modalities.constants import constant
from maecli.modalities.fit import as_tensor, nearest
from maecli.modalities.modality import Modality
from maecli.modalities.pictures.modality import Pictures
from maecli.schema import AugmentSpec, Fit

UNCHANGED = AugmentSpec()


class _Record(BaseModel):
    """What a checkpoint keeps of a `Preprocess`; older ones keep the first five."""

    model_config = ConfigDict(extra="forbid")

    img_size: tuple[int, ...]
    in_chans: int
    value_range: ValueRange
    mean: tuple[float, ...]
    std: tuple[float, ...]
    modality: str = ""
    how: Fit = "resize"
    missing: bool = False
    void: int = 255


@dataclass(frozen=True)
class Preprocess:
    """How samples become model input: size, channels, range, mean and standard deviation, and what kind they are."""

    img_size: tuple[int, ...]
    in_chans: int
    value_range: ValueRange
    mean: tuple[float, ...]
    std: tuple[float, ...]
    modality: Modality = field(default_factory=Pictures)
    how: Fit = "resize"
    """How samples are brought to `img_size`."""
    missing: bool = False
    """Whether batches tell by `valid` which cells exist."""
    void: int = 255
    """The number in a `mask` where nothing is judged."""

    @classmethod
    def of(
        cls,
        card: DataCard,
        img_size: Sequence[int],
        channels: int | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        modality: Modality | None = None,
        fit: str = "auto",
    ) -> Self:
        """Take what is not given from the card. One grey channel can be copied to any number.

        Raises SpecError when `channels` cannot be had from the data, or mean and std do not fit it.
        """
        in_chans = channels or card.channels
        if in_chans != card.channels and card.channels != 1:
            raise SpecError(
                f"data.channels ({in_chans}) differs from the {card.channels} channels of {card.name}; only "
                "single-channel data can be copied to more channels"
            )
        modality = modality or Pictures()
        num, parts = (img_size[-1], "cells") if modality.per_cell else (in_chans, "channels")
        values = {"mean": mean or card.mean, "std": std or card.std}
        for name, value in values.items():
            if len(value) == 1:
                values[name] = tuple(value) * num
            elif modality.per_cell and len(value) < num:
                values[name] = (*value, *[{"mean": 0.0, "std": 1.0}[name]] * (num - len(value)))
            elif len(value) != num:
                raise SpecError(f"data.{name} has {len(value)} values for {num} {parts}")
        if min(values["std"]) <= 0:
            raise SpecError(f"data.std {tuple(values['std'])} must be above 0")
        how: Fit = "crop" if (modality.default_fit if fit == "auto" else fit) == "crop" else "resize"
        padded = how == "crop" and (
            card.size is None or any(have < want for have, want in zip(card.size, img_size, strict=True))
        )
        return cls(
            tuple(img_size),
            in_chans,
            _as_wide(card.value_range, modality, img_size),
            tuple(values["mean"]),
            tuple(values["std"]),
            modality,
            how,
            card.missing or padded,
            card.void,
        )

    @classmethod
    def from_record(cls, recorded: Mapping[str, Any], modality: Modality) -> Self:
        """Return what was recorded of samples of this kind. Raises ValueError for what is no record."""
        return cls(**dict(_Record.model_validate(recorded)) | {"modality": modality})

    def for_files(self, card: DataCard) -> Self:
        """Return the preprocessing of a person's own files, which may use their range otherwise than the data set."""
        missing = self.missing or self.modality.gaps
        ranges = _as_wide(self.modality.file_range(card), self.modality, self.img_size)
        return replace(self, value_range=ranges, missing=missing)

    def record(self) -> dict[str, Any]:
        """Return what a checkpoint keeps, in plain values."""
        return asdict(self) | {"modality": self.modality.name}

    def box(
        self,
        shape: Sequence[int],
        spec: AugmentSpec | None = None,
        numbers: Sequence[float] = (),
        centres: ArrayLike | None = None,
    ) -> Box:
        """Return the part of a sample of this shape that a model sees; see `Modality.box`.

        In training a part of the model's size lies around one of the sample's `centres` (K, S), where it has such.
        """
        cuts = self.how == "crop" and (spec or UNCHANGED).crop == "none"
        if numbers and cuts and centres is not None and len(cells := np.asarray(centres)):
            return window_around(shape, self.img_size, cells[int(numbers[0] * len(cells))].tolist())
        return self.modality.box(shape, self.img_size, self.how, spec or UNCHANGED, numbers)

    def prepare(self, sample: Sample, spec: AugmentSpec, seed: int) -> Sample:
        """Return a decoded training sample as `augment.chain` changes it; see `Modality.prepare`."""
        return self.modality.prepare(sample, spec, seed, self.value_range, self.void)

    def fit(self, sample: Sample, spec: AugmentSpec | None = None, numbers: Sequence[float] = ()) -> dict[str, Tensor]:
        """Return a sample's tensors at the model's size, in their own dtypes."""
        box = self.box(sample["image"].shape[1:], spec, numbers, sample.get("centres"))
        return self.modality.fit(sample, box, self.img_size, self.void, self.missing)

    def as_is(self, sample: Sample) -> dict[str, Tensor]:
        """Return a sample's tensors at its own size, with what it was before it was resampled."""
        size = sample["image"].shape[1:]
        own = {name: as_tensor(sample[name]) for name in OWN if name in sample}
        return self.modality.fit(sample, whole(size), size, self.void, self.missing) | own

    def mean_pixels(self, batches: Iterable[Batch]) -> Tensor | None:
        """Return the mean (C, *S), in pixel units, of normalised batches; None where there is none.

        Missing cells do not count; one that is missing everywhere gets the mean of its channel.
        """
        total: Tensor | None = None
        num: Tensor | int = 0
        for batch in batches:
            pixels, valid = self.to_pixels(batch["image"]).double(), batch.tensors.get("valid")
            if valid is not None:
                pixels = torch.where(valid, pixels, 0.0)
            total = pixels.sum(0) if total is None else total + pixels.sum(0)
            num = num + (len(pixels) if valid is None else valid.sum(0))
        if total is None or isinstance(num, int):
            return None if total is None else (total / num).float()
        mean = (total / num.clamp(min=1)).float()
        return torch.where(num > 0, mean, self.to_pixels(torch.zeros_like(mean)[None])[0])

    def _constant(self, values: tuple[float, ...], x: Tensor) -> Tensor:
        return constant(values, x.device, x.ndim, self.modality.per_cell and len(values) > 1)

    def pixels(self, raw: Tensor) -> Tensor:
        """Return float32 in [0, 1] (B, C, *S) of samples in the data's own dtype and range."""
        x = raw.to(torch.float32)
        lows, highs = ends_of(self.value_range)
        scale = tuple(1.0 / (high - low) for low, high in zip(lows, highs, strict=True))
        if len(lows) > 1:
            return (x - self._constant(lows, x)).mul_(self._constant(scale, x))
        return x * scale[0] if lows[0] == 0 else (x - lows[0]).mul_(scale[0])

    def normalize(self, pixels: Tensor, valid: Tensor | None = None) -> Tensor:
        """Return (pixels - mean) / std (B, in_chans, *S), 0 where it is not `valid`; one channel is copied if asked."""
        if pixels.shape[1] != self.in_chans:
            pixels = pixels.expand(-1, self.in_chans, *[-1] * (pixels.ndim - 2))
        x = (pixels - self._constant(self.mean, pixels)).div_(self._constant(self.std, pixels))
        return x if valid is None else x.masked_fill_(~valid, 0.0)

    def where_valid(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return tensors of a batch with `valid` as wide as the model's input, and a `mask` void where nothing is."""
        image, valid = tensors["image"], tensors["valid"]
        if image.shape[1] != self.in_chans:
            valid = valid.expand(-1, self.in_chans, *[-1] * (valid.ndim - 2))
        made = tensors | {"valid": valid}
        for name in ("mask", "own_mask"):
            if name in tensors:
                there = nearest(tensors["valid"].any(1), tensors[name].shape[1:])
                made[name] = torch.where(there, tensors[name], self.void).to(tensors[name].dtype)
        return made

    def to_pixels(self, x: Tensor) -> Tensor:
        """Return pixels in [0, 1] units of normalised x (B, in_chans, *S): the inverse of `normalize`."""
        return (x * self._constant(self.std, x)).add_(self._constant(self.mean, x))

    def draw(self, pixels: Tensor, valid: Tensor | None = None, hidden: Tensor | None = None) -> list[NDArray[Any]]:
        """Return a picture (3, H, W) in [0, 1] of each sample of pixels (B, C, *S), with gaps where it is not `valid`.

        Cells that are `hidden` (B, *S) from a model are marked.
        """
        shown = pixels.float() if valid is None else torch.where(valid, pixels.float(), torch.nan)
        covers = [None] * len(shown) if hidden is None else [*hidden.cpu().numpy()]
        samples = zip(shown.cpu().numpy(), covers, strict=True)
        return [self.modality.draw(image, cover).clip(0, 1) for image, cover in samples]

    def to_values(self, pixels: Tensor) -> Tensor:
        """Return pixels (B, C, *S) in [0, 1] units in the units of the data: the inverse of `pixels`."""
        lows, highs = ends_of(self.value_range)
        span = tuple(high - low for low, high in zip(lows, highs, strict=True))
        return pixels * self._constant(span, pixels) + self._constant(lows, pixels)

    def to_samples(self, pixels: Tensor, card: DataCard) -> NDArray[np.float32]:
        """Return pixels (B, C, *S) of a person's own samples in the units and with the channels of their files.

        They are rounded to a millionth of the data's range: float32 is not exact enough for more.
        """
        if pixels.shape[1] != card.channels:
            pixels = pixels.mean(1, keepdim=True)  # one channel was copied
        preprocess = self.for_files(card)
        values = preprocess.to_values(pixels).double().cpu().numpy()
        lows, highs = ends_of(preprocess.value_range)
        step = along(10.0 ** (np.ceil(np.log10(np.subtract(highs, lows))) - 6), values[0])
        return (np.rint(values / step) * step).astype(np.float32)

    def in_place(self, values: NDArray[Any], shape: Sequence[int]) -> NDArray[Any]:
        """Return values (C, *s) at their place in a sample of this shape: NaN, or void, where the model saw nothing.

        What was resized covers the sample at another resolution, and stays as it is.
        """
        box, size = self.box(shape), values.shape[1:]
        if size == tuple(shape) or box.lengths != size:
            return values
        whole = np.full((len(values), *shape), np.nan if values.dtype.kind == "f" else self.void, values.dtype)
        inside, target = [slice(None)], [slice(None)]
        for start, length, cells in zip(box.starts, size, shape, strict=True):
            first, end = max(start, 0), min(start + length, cells)
            target.append(slice(first, end))
            inside.append(slice(first - start, end - start))
        whole[tuple(target)] = values[tuple(inside)]
        return whole


def _as_wide(ranges: ValueRange, modality: Modality, img_size: Sequence[int]) -> ValueRange:
    """Return one range for each cell of a model, where cells have their own: 0 to 1 of those beyond the data's."""
    ends = ends_of(ranges)
    num = len(ends[0])
    if not modality.per_cell or num == 1:
        return ranges
    return (*zip(*ends, strict=True), *[(0.0, 1.0)] * (img_size[-1] - num))
