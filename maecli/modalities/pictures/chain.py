"""Transforms of Albumentations, one after another, on one decoded picture and its mask.

They know bytes in [0, 255] and float32 in [0, 1]. So a picture of 8 bits goes through as bytes and any other one as
float32, its range stretched to theirs and cut off where it ends.
Masks take the nearest pixel, and are void where a transform shows what lies outside. All chance comes from one seed.

Shapes: C channels, H, W height and width, h, w those after the chain.
"""

from __future__ import annotations

import functools
import inspect
import os
import random
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import numpy as np
from pydantic import ValidationError

from maecli.data.card import ValueRange, ends_of
from maecli.data.sample import Sample
from maecli.errors import SpecError, nearest
from maecli.schema import Transform
from maecli.text import brief, shortened

OTHER_FORM = frozenset({"FromFloat", "Lambda", "Normalize", "ToFloat", "ToRGB"})
"""Transforms of single pictures that give another dtype or other channels, or take functions."""
NEEDS = ("key", "metadata", "read_fn")
"""How parameters end by which a transform takes more than a picture and its mask."""
NOT_GIVEN = frozenset({"self", "mask_interpolation"})
"""Parameters that nobody may give: between two classes of a mask there is none."""
LEVELS = 255
EXACT = 2**24
"""Numbers below this are exact in float32."""


def check_chain(chain: Sequence[Transform]) -> None:
    """Raise SpecError for a transform or parameter that is not known, or does not suit a single picture."""
    for each in chain:
        _made(each, void=0)


def changed(sample: Sample, chain: tuple[Transform, ...], seed: int, value_range: ValueRange, void: int) -> Sample:
    """Return a sample with `image` (C, h, w) and `mask` (h, w), in their dtypes, as a chain makes them by a seed.

    Raises SpecError for what a transform refuses.
    """
    image = sample["image"]
    if "valid" in sample or (image.dtype.kind == "f" and np.isnan(image).any()):
        raise SpecError("augment.chain does not suit pictures with missing cells; leave it out")
    arrays = {"image": _shown(image, value_range)}
    if "mask" in sample:
        arrays["mask"] = _as_numbers(sample["mask"], void)
    chance = np.random.default_rng(seed), random.Random(seed)
    for transform in _transforms(chain, void):
        transform.set_random_state(*chance)
        arrays = _applied(transform, arrays, image)
    made = {**sample, "image": _taken_back(arrays["image"], image.dtype, value_range)}
    if "mask" in arrays:
        made["mask"] = arrays["mask"].astype(sample["mask"].dtype)
    return made


def _applied(transform: Any, arrays: Mapping[str, np.ndarray], image: np.ndarray) -> dict[str, np.ndarray]:
    """Return what a transform makes of a picture (H, W, C) and its mask; `image` is the sample's, for messages."""
    try:
        with warnings.catch_warnings(action="ignore"):
            made = dict(transform(**arrays))
    except Exception as error:
        height, width, channels = arrays["image"].shape
        what = f"a picture {(channels, height, width)} of {image.dtype}"
        raise SpecError(f"augment.chain: {type(transform).__name__} cannot change {what}: {_first(error)}") from error
    made["image"] = made["image"].reshape(*made["image"].shape[:2], -1)
    before, after = arrays["image"], made["image"]
    if (after.shape[2], after.dtype) != (before.shape[2], before.dtype):
        raise SpecError(
            f"augment.chain: {type(transform).__name__} makes {after.shape[2]} channels of {after.dtype} out of "
            f"{before.shape[2]} of {before.dtype}, and pictures keep theirs; leave it out"
        )
    return made


def _first(error: Exception) -> str:
    """Return the first line of a message of Albumentations or OpenCV, less the place in the latter's sources."""
    line = next(iter(str(error).splitlines()), type(error).__name__)
    return shortened(line.split(") ", 1)[-1] if type(error).__name__ == "error" else line, 300).rstrip(". ")


def _shown(image: np.ndarray, value_range: ValueRange) -> np.ndarray:
    """Return (H, W, C) of its own: of 8 bits in [0, 255], else float32 in [0, 1]."""
    pixels = image.transpose(1, 2, 0)
    if _as_it_is(image.dtype, value_range):
        return np.array(pixels, order="C")
    low, high = (np.array(end, np.float32) for end in ends_of(value_range))
    units = np.clip((pixels.astype(np.float32) - low) / (high - low), 0, 1)
    return np.ascontiguousarray(np.rint(units * LEVELS).astype(np.uint8) if image.dtype == np.uint8 else units)


def _taken_back(pixels: np.ndarray, dtype: np.dtype[Any], value_range: ValueRange) -> np.ndarray:
    """Return (C, h, w) in the dtype and range of the data: the inverse of `_shown`."""
    values = pixels.transpose(2, 0, 1)
    if not _as_it_is(dtype, value_range):
        low, high = (np.array(end, np.float32).reshape(-1, 1, 1) for end in ends_of(value_range))
        units = values.astype(np.float32) / (LEVELS if dtype == np.uint8 else 1)
        values = units * (high - low) + low
        if dtype.kind in "iu":
            values = np.clip(np.rint(values), np.iinfo(dtype).min, np.iinfo(dtype).max)
    return np.ascontiguousarray(values.astype(dtype, copy=False))


def _as_it_is(dtype: np.dtype[Any], value_range: ValueRange) -> bool:
    return dtype == np.uint8 and ends_of(value_range) == ((0.0,), (float(LEVELS),))


def _as_numbers(mask: np.ndarray, void: int) -> np.ndarray:
    """Return a mask of its own in a dtype that OpenCV moves and that holds void."""
    if mask.dtype == np.uint8 and 0 <= void <= 255:
        return np.array(mask, order="C")
    if mask.size and int(np.abs(mask.astype(np.int64)).max()) > EXACT:
        raise SpecError(f"augment.chain does not suit masks with numbers above {EXACT:,}; leave it out")
    return np.array(mask, np.float32, order="C")


@functools.lru_cache(maxsize=4)
def _transforms(chain: tuple[Transform, ...], void: int) -> tuple[Any, ...]:
    """Return the transforms of a chain; each process makes its own."""
    import cv2

    cv2.setNumThreads(1)  # workers share the cores
    return tuple(_made(each, void) for each in chain)


def _made(each: Transform, void: int) -> Any:
    """Return a transform of Albumentations with its parameters."""
    kind = _kind(each.name)
    parameters = inspect.signature(kind.__init__).parameters
    known = [name for name in parameters if name not in NOT_GIVEN]
    for name in each.options:
        if name not in known:
            way_out = nearest(name, known) or f"; it has {', '.join(known)}"
            raise SpecError(f"augment.chain: {each.name} has no {brief(name)}{way_out}")
    try:
        with warnings.catch_warnings(action="ignore"):
            return kind(**{**_of_masks(kind, parameters, void), **each.options})
    except Exception as error:
        raise SpecError(f"augment.chain: {each.name} {_why(error, each.options)}") from error


def _why(error: Exception, options: Mapping[str, Any]) -> str:
    """Return what Albumentations says first of parameters."""
    if not isinstance(error.__cause__, ValidationError):
        return f"refuses its parameters: {_first(error)}"
    first = error.__cause__.errors(include_url=False)[0]
    text = first["msg"].removeprefix("Value error, ").rstrip(".")
    text = text[0].lower() + text[1:]
    if not first["loc"]:
        return f"refuses its parameters: {text}"
    name = str(first["loc"][0])
    return f"has {name} {brief(options[name])}: {text}" if name in options else f"lacks {name}"


def _of_masks(kind: Any, parameters: Mapping[str, inspect.Parameter], void: int) -> dict[str, int]:
    """Return parameters by which masks are void outside, and take the pixel whose centre is the nearest.

    A transform that leaves masks alone where it fills the picture, as dropout does, goes on doing so.
    """
    import cv2

    options = {}
    if "fill_mask" in parameters and parameters["fill_mask"].default is not None:
        options["fill_mask"] = void
    if "mask_interpolation" in parameters:
        choices = get_args(kind.InitSchema.model_fields["mask_interpolation"].annotation)
        exact = cv2.INTER_NEAREST_EXACT in choices
        options["mask_interpolation"] = cv2.INTER_NEAREST_EXACT if exact else cv2.INTER_NEAREST
    return options


def _kind(name: str) -> Any:
    """Return the class of a transform. Raises SpecError where none of this name suits a single picture."""
    kinds = _kinds()
    if name not in kinds:
        suited = [known for known, kind in kinds.items() if _suits(kind)]
        raise SpecError(f"augment.chain: Albumentations has no transform {brief(name)}{nearest(name, suited)}")
    if not _suits(kinds[name]):
        raise SpecError(
            f"augment.chain: {name} needs more than a picture and its mask, or changes dtype or channels; leave it out"
        )
    return kinds[name]


@functools.cache
def _kinds() -> dict[str, Any]:
    """Return the transforms of Albumentations by name."""
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # importing it would look for a newer one on the network
    import albumentations as A  # type: ignore[import-untyped]

    found = ((name, getattr(A, name)) for name in dir(A))
    bases = {A.BasicTransform, A.DualTransform, A.ImageOnlyTransform, A.Transform3D}
    return {
        name: kind
        for name, kind in found
        if inspect.isclass(kind) and issubclass(kind, A.BasicTransform) and kind not in bases
    }


def _suits(kind: Any) -> bool:
    """Whether a transform changes a single picture, with or without a mask, and leaves its dtype and channels."""
    import albumentations as A

    parameters = inspect.signature(kind.__init__).parameters
    return (
        issubclass(kind, A.DualTransform | A.ImageOnlyTransform)
        and not issubclass(kind, A.Transform3D)
        and not any(name.endswith(NEEDS) for name in parameters)
        and "BBox" not in kind.__name__
        and kind.__name__ not in OTHER_FORM
    )
