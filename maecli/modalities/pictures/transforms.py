"""What happens to a file's picture and mask before they leave their worker: cut, resized, mirrored, recoloured.

The random numbers are ours (`Draws`), so that a sample depends on seed, epoch and position alone; the work on pixels
is Albumentations'. Pictures shrink by area averaging and grow bilinearly; masks take the nearest pixel, always.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # importing it would look for a newer version on the network

import albumentations as A  # type: ignore[import-untyped]
import cv2
import numpy as np
import torch
from torch import Tensor

from maecli.data.preprocess import centred_box
from maecli.data.randomness import Draws, derive_seed
from maecli.errors import SpecError
from maecli.modalities.pictures.augment import crop_boxes
from maecli.modalities.pictures.fit import as_tensor
from maecli.modalities.pictures.masks import VOID
from maecli.schema import AugmentSpec

Box = tuple[int, int, int, int]
"""Top, left, height, width in pixels; it may reach outside the picture."""


class TrainTransform:
    """Makes training samples of one size (h, w) from pictures (C, H, W) with or without a mask (H, W)."""

    def __init__(self, spec: AugmentSpec, size: tuple[int, int], seed: int) -> None:
        self.spec, self.size, self.seed = spec, size, seed
        cv2.setNumThreads(1)  # the workers share the cores
        self.resize = A.Resize(
            *size,
            interpolation=cv2.INTER_LINEAR,
            mask_interpolation=cv2.INTER_NEAREST_EXACT,  # INTER_NEAREST does not look from the pixels' centres
            area_for_downscale="image",
        )
        self.flip = A.HorizontalFlip(p=1.0)
        strength = spec.color
        self.color = A.Compose(
            [A.ColorJitter(strength, strength, strength, hue=0.0, p=1.0)] if strength else [],
            seed=0,
        )

    def __call__(self, sample: Mapping[str, np.ndarray], epoch: int, index: int) -> dict[str, Tensor]:
        """Return the changed `image` (C, h, w), in its own dtype, and `mask` (h, w), with the other fields as they are.

        Raises SpecError when colours are to change in pictures that have none.
        """
        draws = Draws(self.seed, epoch, torch.tensor([index]))
        image = sample["image"].transpose(1, 2, 0)  # (H, W, C)
        wide = image.dtype == np.int32
        arrays = {"image": image.astype(np.float32) if wide else image}  # OpenCV resizes no int32
        if "mask" in sample:
            arrays["mask"] = sample["mask"]
        box = self._box(draws, image.shape[0], image.shape[1])
        changed = {name: _cut(array, box, VOID if name == "mask" else 0) for name, array in arrays.items()}
        if (box[2], box[3]) != self.size:
            changed = self.resize(**changed)
        if self.spec.flip and float(draws.uniform("flip", 1)) < 0.5:
            changed = self.flip(**changed)
        if self.spec.color:
            _check_colours(image)
            self.color.set_random_seed(derive_seed(self.seed, "color", epoch, index) % 2**32)
            changed = self.color(**changed)
        pixels = np.rint(changed["image"]).astype(np.int32) if wide else changed["image"]
        tensors = {name: torch.from_numpy(np.array(array)) for name, array in sample.items() if name not in arrays}
        tensors["image"] = as_tensor(pixels.reshape(*self.size, -1).transpose(2, 0, 1))
        if "mask" in changed:
            tensors["mask"] = as_tensor(changed["mask"])
        return tensors

    def _box(self, draws: Draws, height: int, width: int) -> Box:
        """Return the part to cut out: random if the spec says so, else the centre in the model's proportions."""
        boxes = crop_boxes(draws, (height, width), self.size, self.spec)
        if boxes is None:
            return centred_box((height, width), self.size)
        top, left, high, wide = boxes[0].tolist()
        rows, columns = max(1, round(high * height)), max(1, round(wide * width))
        return _inside(round(top * height), rows, height), _inside(round(left * width), columns, width), rows, columns


def _inside(start: int, length: int, available: int) -> int:
    """Return `start` moved so that a part of this length stays inside; a longer one keeps everything."""
    low, high = sorted((0, available - length))
    return min(max(start, low), high)


def _cut(array: np.ndarray, box: Box, fill: int) -> np.ndarray:
    """Return the part of (H, W, …) in the box; what lies outside is `fill`."""
    top, left, height, width = box
    H, W = array.shape[:2]
    part = array[max(top, 0) : top + height, max(left, 0) : left + width]
    before = max(-top, 0), max(-left, 0)
    after = max(top + height - H, 0), max(left + width - W, 0)
    if any(before + after):
        pads = [(before[0], after[0]), (before[1], after[1]), *[(0, 0)] * (array.ndim - 2)]
        part = np.pad(part, pads, constant_values=fill)
    return np.ascontiguousarray(part)


def _check_colours(image: np.ndarray) -> None:
    if image.dtype != np.uint8 or image.shape[2] not in (1, 3):
        raise SpecError(
            f"augment.color changes 8-bit grey or RGB pictures, not {image.shape[2]} channels of {image.dtype}; "
            "set augment.color to 0"
        )
