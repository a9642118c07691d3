"""What was done to pixels before an encoder of others saw them, as the files beside its weights say.

Hugging Face's `preprocessor_config.json` scales values of 0 to 255 by a factor and then normalises them; timm's
`pretrained_cfg` normalises values of 0 to 1. Here all is of values of 0 to 1, as `data.mean` and `data.std` are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from maecli.weights.files import WeightFile

WHITE = 255
"""The largest value of a picture as Hugging Face reads it."""


@dataclass(frozen=True)
class PixelScale:
    """Mean and standard deviation of each channel, or one of each for all, of values of 0 to 1."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __str__(self) -> str:
        return f"mean {_numbers(self.mean)} and deviation {_numbers(self.std)}"


def scale_on_record(file: WeightFile, in_chans: int) -> PixelScale | None:
    """Return how the pixels for an encoder of so many channels are normalised, None where its files do not say."""
    scale = _of_hugging_face(file.pixels) if file.pixels else _of_timm(file.config.get("pretrained_cfg"))
    if scale is None or not {len(scale.mean), len(scale.std)} <= {1, in_chans}:
        return None
    fine = all(map(math.isfinite, (*scale.mean, *scale.std))) and min(scale.std) > 0
    return scale if fine else None


def size_on_record(file: WeightFile, patch_size: Sequence[int]) -> tuple[int, ...]:
    """Return the size of pictures (height, width) in whole patches, () where no file says one."""
    timm = file.config.get("pretrained_cfg")
    stated: Any = timm.get("input_size") if isinstance(timm, Mapping) else None
    sizes = [stated[1:] if isinstance(stated, list) else stated]
    for key in ("crop_size", "size") if file.pixels.get("do_center_crop", True) else ("size",):
        value = file.pixels.get(key)
        sizes.append([value.get("height"), value.get("width")] if isinstance(value, Mapping) else [value, value])
    return next((tuple(size) for size in sizes if _is_size(size, patch_size)), ())


def _is_size(size: Any, patch_size: Sequence[int]) -> bool:
    """Whether a value is a size in whole patches."""
    if not isinstance(size, list) or len(size) != len(patch_size) or not all(type(n) is int and n > 0 for n in size):
        return False
    return not any(length % patch for length, patch in zip(size, patch_size, strict=True))


def _of_hugging_face(config: Mapping[str, Any]) -> PixelScale | None:
    factor = config.get("rescale_factor", 1 / WHITE) if config.get("do_rescale", True) else 1.0
    if not _is_number(factor) or factor <= 0:
        return None
    of_one = factor * WHITE  # what the largest value is scaled to
    if config.get("do_normalize", True) is False:
        return PixelScale((0.0,), (1 / of_one,))
    mean, std = _values(config.get("image_mean")), _values(config.get("image_std"))
    if not mean or not std:
        return None
    if of_one == 1:
        return PixelScale(mean, std)
    return PixelScale(tuple(each / of_one for each in mean), tuple(each / of_one for each in std))


def _of_timm(config: Any) -> PixelScale | None:
    if not isinstance(config, Mapping):
        return None
    mean, std = _values(config.get("mean")), _values(config.get("std"))
    return PixelScale(mean, std) if mean and std else None


def _values(value: Any) -> tuple[float, ...]:
    values = value if isinstance(value, list) else [value]
    return tuple(map(float, values)) if all(map(_is_number, values)) else ()


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e6


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)
