"""Pictures and their masks brought to the model's size, one by one, before they are stacked.

Shapes: C channels, H, W a picture's size, h, w the model's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from maecli.data.preprocess import centred_box
from maecli.modalities.pictures.bands import BAND


def crop_and_resize(image: np.ndarray, size: Sequence[int]) -> Tensor:
    """Return the largest centred part of a picture (C, H, W) in the proportions of `size` (h, w), resized to it.

    Keeps the dtype. Antialiased, as evaluation and inference want it; training has `transforms`.

    Cutting before resizing keeps the cost bounded for any shape of picture.
    """
    h, w = size
    top, left, height, width = centred_box(image.shape[1:], size)
    cut = as_tensor(image[:, top : top + height, left : left + width])
    if (height, width) == (h, w):
        return cut.contiguous()
    step = 1 if cut.numel() > BAND else len(cut)  # of a large picture, one plane at a time as float32
    parts = [
        F.interpolate(cut[i : i + step].unsqueeze(0).to(torch.float32), (h, w), mode="bilinear", antialias=True)[0]
        for i in range(0, len(cut), step)
    ]
    resized = torch.cat(parts)
    if cut.dtype.is_floating_point:
        return resized.to(cut.dtype)
    return resized.round_().clamp_(torch.iinfo(cut.dtype).min, torch.iinfo(cut.dtype).max).to(cut.dtype)


def crop_and_resize_mask(mask: np.ndarray, size: Sequence[int]) -> Tensor:
    """Return the part of a mask (H, W) that `crop_and_resize` takes of its picture, nearest pixels, (h, w) uint8."""
    top, left, height, width = centred_box(mask.shape, size)
    part = as_tensor(mask[top : top + height, left : left + width])
    return F.interpolate(part[None, None], (size[0], size[1]), mode="nearest-exact")[0, 0]


def as_tensor(array: np.ndarray) -> Tensor:
    """Return a tensor for an array of any dtype that torch has a counterpart of (uint16 becomes int32)."""
    if array.dtype == np.uint16:
        array = array.astype(np.int32)
    array = np.ascontiguousarray(array)
    return torch.from_numpy(array if array.flags.writeable else array.copy())
