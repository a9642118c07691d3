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

from maecli.data.sample import OWN, Sample
from maecli.modalities.boxes import Box

BAND = 2**24
"""Values up to which a sample is resized as a whole; of a larger one, a channel at a time."""
DROPPED = ("valid", "centres", *OWN)
"""Fields that mean nothing of a part of a sample."""
MOST_BITS = 22
"""Binary places of whole weights, at most."""


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
    made = {name: tensor for name, tensor in tensors.items() if name not in DROPPED}
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
    array = np.asarray(array)
    usable = array.flags.writeable and min(array.strides, default=0) >= 0
    return torch.from_numpy(array if usable else array.copy(order="K"))  # in its order: colours often lie together


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
    """Return x (…, *S) resized to (…, *s), linear and antialiased, in its dtype; integers are rounded.

    Pictures of 8 bits stay so on the way, which is several times as fast; one level is the most that it changes.
    """
    lead = x.shape[: x.ndim - len(size)]
    shape = x.shape[len(lead) :]
    if tuple(shape) == tuple(size):
        return x.contiguous()
    planes = x.reshape(-1, *shape)
    if x.device.type == "cpu" and _in_bytes(x, size) and shape[1] > 1:
        return _interpolated(planes, size).reshape(*lead, *size).contiguous()
    step = max(1, BAND // planes[:1].numel())
    parts = [_resized(planes[i : i + step].to(torch.float32), size) for i in range(0, len(planes), step)]
    return torch.cat([_as_dtype(part, x.dtype) for part in parts]).reshape(*lead, *size)


def _in_bytes(x: Tensor, size: Sequence[int]) -> bool:
    """Whether x is resized without becoming float; to a single row or column torch 2.15 cannot."""
    return x.dtype == torch.uint8 and len(size) == 2 and min(size) > 1


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
        return _interpolated(x, size)
    for axis, new in enumerate(size, start=1):
        if x.shape[axis] != new:
            rows = x.movedim(axis, -1)
            made = F.interpolate(rows.reshape(1, -1, 1, rows.shape[-1]), (1, new), mode="bilinear", antialias=True)
            x = made.reshape(*rows.shape[:-1], new).movedim(-1, axis)
    return x


def _interpolated(planes: Tensor, size: Sequence[int]) -> Tensor:
    return F.interpolate(planes[None], (size[0], size[1]), mode="bilinear", antialias=True)[0]


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
    if _in_bytes(image, size):
        made = {**tensors, "image": _products_of_bytes(image, boxes, size)}
    else:
        made = {**tensors, "image": _as_dtype(_products(image.to(torch.float32), boxes, size), image.dtype)}
    if "mask" in tensors:
        made["mask"] = _nearest_batch(tensors["mask"], boxes, size, void)
    return made


def _products(x: Tensor, boxes: Sequence[Box], size: Sequence[int]) -> Tensor:
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")  # TF32 would round 16-bit values
    try:
        for axis, new in enumerate(size):
            weights, first = _weights(boxes, axis, x.shape[2 + axis], new, x.device)
            x = _product(x, weights.float()[:, :, first : first + x.shape[2 + axis]], axis)
    finally:
        torch.set_float32_matmul_precision(precision)
    return x


def _products_of_bytes(x: Tensor, boxes: Sequence[Box], size: Sequence[int]) -> Tensor:
    """Return what torch makes of pictures of 8 bits, bit for bit: whole numbers for weights, each axis rounded.

    Sums of products with these are exact in float64.
    """
    for axis in (1, 0):
        old = x.shape[2 + axis]
        weights, first = _weights(boxes, axis, old, size[axis], x.device)
        bits = _weight_bits(weights.amax((1, 2)))  # (B,)
        scale = torch.exp2(bits)[:, None, None]
        whole = (weights * scale + 0.5).floor()[:, :, first : first + old]
        made = _product(x.double(), whole, axis)
        scale = scale[..., None]
        x = ((made + scale / 2) / scale).floor().clamp(0, 255).to(torch.uint8)
    return x


def _weight_bits(largest: Tensor) -> Tensor:
    """Return the binary places (B,) with which the largest weight (B,) fits into 16 bits, with a sign."""
    places = torch.arange(MOST_BITS, dtype=torch.float64, device=largest.device)
    too_large = (0.5 + largest[:, None] * torch.exp2(places + 1)).floor() >= 2**15  # (B, places)
    return torch.where(too_large.any(1), too_large.double().argmax(1), MOST_BITS).double()


def _product(x: Tensor, weights: Tensor, axis: int) -> Tensor:
    """Return x (B, C, *S) with its axis multiplied by weights (B, s, S)."""
    lines = x.movedim(2 + axis, -1)
    made = lines.flatten(1, -2) @ weights.mT
    return made.reshape(*lines.shape[:-1], weights.shape[1]).movedim(-1, 2 + axis).contiguous()


def _weights(boxes: Sequence[Box], axis: int, old: int, new: int, device: torch.device) -> tuple[Tensor, int]:
    """Return matrices (B, s, N) float64 that cut and resize an axis: triangles, wider for wider cells.

    The N cells are those of the sample's axis and what boxes reach beside it, which counts as 0; the second value says
    which is the first of the sample's.
    """
    starts, lengths = (_moved([box[part][axis] for box in boxes], device) for part in (0, 1))
    before = max(0, *(-box.starts[axis] for box in boxes))
    after = max(0, *(box.starts[axis] + box.lengths[axis] - old for box in boxes))
    scale = (lengths / new)[:, None, None]
    centre = (torch.arange(new, dtype=torch.float64, device=device)[:, None] + 0.5) * scale  # (B, s, 1), in the box
    place = torch.arange(-before, old + after, dtype=torch.float64, device=device) - starts[:, None, None]  # (B, 1, N)
    weight = (1 - ((place - centre + 0.5) * (1 / scale.clamp(min=1))).abs()).clamp(min=0)
    weight = weight * ((place >= 0) & (place < lengths[:, None, None]))
    return weight / weight.sum(2, keepdim=True), before


def _nearest_batch(mask: Tensor, boxes: Sequence[Box], size: Sequence[int], void: int) -> Tensor:
    for axis, new in enumerate(size):
        starts, lengths = (_moved([box[part][axis] for box in boxes], mask.device).long() for part in (0, 1))
        middle = 2 * torch.arange(new, device=mask.device) + 1
        place = middle * lengths[:, None] // (2 * new) + starts[:, None]  # (B, s)
        old = mask.shape[1 + axis]
        shape = [len(boxes), *(new if i == axis else 1 for i in range(len(size)))]
        index = place.clamp(0, old - 1).reshape(shape)
        target = [*mask.shape]
        target[1 + axis] = new
        taken = mask.gather(1 + axis, index.expand(target))
        mask = torch.where(((place >= 0) & (place < old)).reshape(shape), taken, void)
    return mask


def _moved(values: Sequence[int], device: torch.device) -> Tensor:
    """Return float64 values (B,) on a device, without waiting for it."""
    tensor = torch.tensor(values, dtype=torch.float64)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)
