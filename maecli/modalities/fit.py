"""Samples and their targets brought to the model's size: a part is cut out, and resized where it has another size.

One implementation, antialiased, for training and evaluation and any number of axes. `fit` is for a sample by itself;
`fit_batch` gives the same, within one level of an integer, for a batch of alike samples on a device where a call for
each sample would take too long.

Shapes: B batch, C channels, S spatial axes of a sample, s of the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from maecli.data.sample import Sample
from maecli.modalities.boxes import Box

BAND = 2**24
"""Values up to which a sample is resized as a whole; of a larger one, a channel at a time."""


def fit(sample: Sample, box: Box, size: Sequence[int], void: int = 255, missing: bool = False) -> dict[str, Tensor]:
    """Return a sample's tensors, `image` (C, *s) and `mask` (*s) being the part `box` of theirs, in their own dtypes.

    Outside a sample is 0, its mask void. With `missing`, `valid` (C, *s) bool tells which cells exist, and `image` has
    no NaN: a cell is a mean over those that exist, and exists if these have half of the weight.
    """
    return fit_alike({name: as_tensor(array) for name, array in sample.items()}, box, size, void, missing)


def fit_alike(
    tensors: Mapping[str, Tensor], box: Box, size: Sequence[int], void: int = 255, missing: bool = False
) -> dict[str, Tensor]:
    """Return what `fit` does of the tensors of one sample, or of samples of one size along a first axis."""
    made = {name: tensor for name, tensor in tensors.items() if name != "valid"}
    image = cut(tensors["image"], box, 0)
    if missing:
        valid = cut(cells_there(tensors, len(size)), box, False).expand(image.shape)
        made["image"], made["valid"] = _resized_where_valid(image, valid, size)
    else:
        made["image"] = resized(image, size)
    if "mask" in tensors:
        made["mask"] = nearest(cut(tensors["mask"], box, void), size)
    return made


def cells_there(tensors: Mapping[str, Tensor], axes: int) -> Tensor:
    """Return which cells of `image` (…, C, *S) exist, bool (…, 1 or C, *S); NaN does not, nor what is not `valid`."""
    image, valid = tensors["image"], tensors.get("valid")
    if valid is None:
        valid = torch.ones(image.shape[image.ndim - axes :], dtype=torch.bool, device=image.device)
    elif valid.ndim < image.ndim:
        valid = valid.unsqueeze(-1 - axes)  # of all channels
    return valid & ~image.isnan() if image.is_floating_point() else valid


def as_tensor(array: np.ndarray) -> Tensor:
    """Return a tensor for an array of any dtype that torch has a counterpart of (uint16 becomes int32)."""
    if array.dtype == np.uint16:
        array = array.astype(np.int32)
    array = np.asarray(array, order="C")
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def cut(x: Tensor, box: Box, fill: float) -> Tensor:
    """Return the part of x (…, *S) in a box; what lies outside is `fill`."""
    axes = len(box.starts)
    lead = x.ndim - axes
    inside: list[slice] = [slice(None)] * lead
    pads: list[int] = []
    for length, start, part in zip(x.shape[lead:], *box, strict=True):
        inside.append(slice(max(start, 0), max(start + part, 0)))
        pads = [max(-start, 0), max(start + part - length, 0), *pads]
    x = x[tuple(inside)]
    return F.pad(x, pads, value=fill) if any(pads) else x


def resized(x: Tensor, size: Sequence[int]) -> Tensor:
    """Return x (…, *S) resized to (…, *s), linear and antialiased, in its dtype; integers are rounded."""
    lead = x.shape[: x.ndim - len(size)]
    if tuple(x.shape[len(lead) :]) == tuple(size):
        return x.contiguous()
    planes = x.reshape(-1, *x.shape[len(lead) :])
    step = max(1, BAND // planes[:1].numel())
    made = [
        _as_dtype(_resized(planes[i : i + step].to(torch.float32), size), x.dtype) for i in range(0, len(planes), step)
    ]
    return torch.cat(made).reshape(*lead, *size)


def nearest(x: Tensor, size: Sequence[int]) -> Tensor:
    """Return x (…, *S) resized to (…, *s): of each new cell, the old one in which its middle lies."""
    lead = x.ndim - len(size)
    for axis, (old, new) in enumerate(zip(x.shape[lead:], size, strict=True)):
        if old != new:
            x = x.index_select(lead + axis, (2 * torch.arange(new, device=x.device) + 1) * old // (2 * new))
    return x.contiguous()


def _resized(x: Tensor, size: Sequence[int]) -> Tensor:
    """Return float x (P, *S) as (P, *s). torch antialiases two axes at once; others are taken one by one, as rows."""
    if len(size) == 2 and x.shape[2] > 1:  # torch 2.15 takes a single column for a constant
        return F.interpolate(x[None], (size[0], size[1]), mode="bilinear", antialias=True)[0]
    for axis, new in enumerate(size, start=1):
        if x.shape[axis] != new:
            rows = x.movedim(axis, -1)
            made = F.interpolate(rows.reshape(1, -1, 1, rows.shape[-1]), (1, new), mode="bilinear", antialias=True)
            x = made.reshape(*rows.shape[:-1], new).movedim(-1, axis)
    return x


def _resized_where_valid(image: Tensor, valid: Tensor, size: Sequence[int]) -> tuple[Tensor, Tensor]:
    image = torch.where(valid, image, 0)
    if tuple(image.shape[image.ndim - len(size) :]) == tuple(size):
        return image, valid.contiguous()
    weight = resized(valid.to(torch.float32), size)
    total = resized(image.to(torch.float32), size)
    there = weight >= 0.5
    return _as_dtype(torch.where(there, total / weight.clamp(min=0.5), 0.0), image.dtype), there


def _as_dtype(x: Tensor, dtype: torch.dtype) -> Tensor:
    if dtype.is_floating_point:
        return x.to(dtype)
    limits = torch.iinfo(dtype)
    return x.round_().clamp_(limits.min, limits.max).to(dtype)


def fit_batch(tensors: Mapping[str, Tensor], boxes: Sequence[Box], size: Sequence[int], void: int) -> dict[str, Tensor]:
    """Return the tensors of alike samples, `image` (B, C, *S) and `mask` (B, *S), each cut by its box and resized.

    Nothing waits for the device. A resized axis is a product with a matrix of the same weights as `fit` has.
    """
    image = tensors["image"]
    made = {**tensors, "image": _as_dtype(_products(image.to(torch.float32), boxes, size), image.dtype)}
    if "mask" in tensors:
        made["mask"] = _nearest_batch(tensors["mask"], boxes, size, void)
    return made


def _products(x: Tensor, boxes: Sequence[Box], size: Sequence[int]) -> Tensor:
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")  # TF32 would round 16-bit values
    try:
        for axis, new in enumerate(size):
            matrix = _weights(boxes, axis, x.shape[2 + axis], new, x.device)  # (B, s, S)
            lines = x.movedim(2 + axis, -1)
            lead = lines.shape[1:-1]
            made = lines.flatten(1, -2) @ matrix.mT
            x = made.reshape(len(x), *lead, new).movedim(-1, 2 + axis)
    finally:
        torch.set_float32_matmul_precision(precision)
    return x.contiguous()


def _weights(boxes: Sequence[Box], axis: int, old: int, new: int, device: torch.device) -> Tensor:
    """Return matrices (B, s, S) that cut and resize an axis of S cells: triangles, wider for wider cells.

    They are normalised over a whole box, so that what lies outside the sample counts as 0.
    """
    starts, lengths = (_moved([box[part][axis] for box in boxes], device) for part in (0, 1))
    before = max(0, *(-box.starts[axis] for box in boxes))
    after = max(0, *(box.starts[axis] + box.lengths[axis] - old for box in boxes))
    scale = (lengths / new)[:, None, None]
    centre = (torch.arange(new, device=device)[:, None] + 0.5) * scale  # (B, s, 1), in cells of the box
    place = torch.arange(-before, old + after, device=device) - starts[:, None, None]  # (B, 1, S), likewise
    weight = (1 - (place + 0.5 - centre).abs() / scale.clamp(min=1)).clamp(min=0)
    weight = weight * ((place >= 0) & (place < lengths[:, None, None]))
    weight = weight / weight.sum(2, keepdim=True)
    return weight[:, :, before : before + old]


def _nearest_batch(mask: Tensor, boxes: Sequence[Box], size: Sequence[int], void: int) -> Tensor:
    for axis, new in enumerate(size):
        starts, lengths = (_moved([box[part][axis] for box in boxes], mask.device).long() for part in (0, 1))
        place = (2 * torch.arange(new, device=mask.device) + 1) * lengths[:, None] // (2 * new) + starts[
            :, None
        ]  # (B, s)
        old = mask.shape[1 + axis]
        shape = [len(boxes), *(new if i == axis else 1 for i in range(len(size)))]
        index = place.clamp(0, old - 1).reshape(shape)
        target = [*mask.shape]
        target[1 + axis] = new
        taken = mask.gather(1 + axis, index.expand(target))
        mask = torch.where(((place >= 0) & (place < old)).reshape(shape), taken, void)
    return mask


def _moved(values: Sequence[int], device: torch.device) -> Tensor:
    """Return float32 values (B,) on a device, without waiting for it."""
    tensor = torch.tensor(values, dtype=torch.float32)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)
