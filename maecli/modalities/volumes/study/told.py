"""What a person is told of volumes: each finding in a sentence, with what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from maecli.data.card import DataCard
from maecli.data.volume_reading import VolumeReading
from maecli.modalities.study import Finding
from maecli.modalities.volumes.study.sides import Pair
from maecli.modalities.volumes.study.subject import Volume
from maecli.text import number_of, some

NAMED = 3
DIFFER = 1.5
"""Times by which spacings differ that are told."""
OBLONG = 2.5
"""Times that a voxel is longer than wide, from which oblong patches suit."""


def on_sides(found: Mapping[str, Sequence[str]], pairs: Sequence[Pair], num: int) -> Iterator[Finding]:
    """Yield what to know of left parts that lie to the right; `num` volumes show a pair of sides."""
    if not found:
        return
    names = [*dict.fromkeys(name for each in found.values() for name in each)]
    where = "all volumes" if len(found) == num > 1 else f"{some(found, NAMED)}"
    told = (
        f"What is called left lies to the right of what is called right in {where} ({some(names, NAMED)}): their sides "
        "were mirrored, by an orientation that was lost or by names that were mixed up; mend their headers or masks."
    )
    yield Finding(kind="sides swapped", of=tuple(found), told=told)


def on_numbers(volumes: Sequence[Volume], num_classes: int, void: int | None) -> Iterator[Finding]:
    """Yield what to know of numbers in masks that no list names."""
    unnamed = {
        volume.key: numbers
        for volume in volumes
        if (numbers := [n for n in volume.classes if (n >= num_classes or n < 0) and n != void])
    }
    if unnamed:
        numbers = sorted({number for each in unnamed.values() for number in each})
        told = (
            f"Masks of {some(unnamed, NAMED)} hold {_numbers(numbers)}, which no list names (classes go from 0 to "
            f"{num_classes - 1}): these volumes are left out of what learns from masks; name the "
            f"{'number' if len(numbers) == 1 else 'numbers'} in the list of classes, or mend the masks."
        )
        yield Finding(kind="number without a name", of=tuple(unnamed), told=told)


def _numbers(numbers: Sequence[int]) -> str:
    return f"the {'number' if len(numbers) == 1 else 'numbers'} {some(numbers, NAMED)}"


def on_values(volumes: Sequence[Volume], reading: VolumeReading) -> Iterator[Finding]:
    """Yield what to know of values that are not as those of others."""
    strange = [volume for volume in volumes if not volume.hounsfield]
    if reading.window is not None and 0 < len(strange) < len(volumes):
        first = strange[0].quantiles
        told = (
            f"Values of {some([volume.key for volume in strange], NAMED)} do not look like Hounsfield units, as those "
            f"of the others do (the first go from {first[0]:g} to {first[-1]:g}): an intercept such as -1024 may be "
            "missing; convert the original anew, or leave them out."
        )
        yield Finding(kind="other values", of=tuple(volume.key for volume in strange), told=told)
    lacking = {volume.key: volume.missing for volume in volumes if volume.missing}
    if lacking:
        most = max(lacking, key=lambda key: lacking[key])
        told = (
            f"{number_of(len(lacking), 'volume has', 'volumes have')} voxels that are no number (NaN), up to "
            f"{lacking[most]:.1%} of {most}: they count as missing, are hidden from the model and judged nowhere."
        )
        yield Finding(kind="missing voxels", of=tuple(lacking), told=told)


def on_space(volumes: Sequence[Volume], card: DataCard) -> Iterator[Finding]:
    """Yield what to know of spacings and of the order of axes."""
    spacings = np.array([volume.space.spacing for volume in volumes if volume.space.spacing is not None])
    brought = card.volumes.spacing if card.volumes is not None else None
    if len(spacings) and (spacings.max(0) / spacings.min(0)).max() > DIFFER:
        ends = " to ".join(_in_mm(each) for each in (spacings.min(0), spacings.max(0)))
        to = "they stay as they are" if brought is None else f"all are brought to {_in_mm(brought)}"
        told = f"Voxels differ, from {ends}: {to}; choose by --set dataset.spacing=[1.5,1.5,2], for example."
        yield Finding(kind="spacings", told=told)
    usual = brought or (tuple(np.median(spacings, 0).tolist()) if len(spacings) else None)
    if usual is not None and max(usual) / min(usual) > OBLONG:
        patch = [max(1, round(8 * min(usual) / length)) for length in usual]
        told = (
            f"Voxels of {_in_mm(usual)} are much longer than wide: a patch of 8 × 8 × 8 covers "
            f"{_in_mm([8 * length for length in usual])}; oblong patches, as --set model.patch_size="
            f"[{','.join(map(str, patch))}], or another dataset.spacing are nearer to a cube."
        )
        yield Finding(kind="oblong voxels", told=told)
    orders = Counter(volume.space.orientation for volume in volumes if volume.space.orientation)
    if len(orders) > 1:
        listed = ", ".join(f"{order} in {number_of(num, 'file')}" for order, num in orders.most_common())
        yield Finding(
            kind="orientations", told=f"Axes are stored in several orders ({listed}): all are brought to RAS."
        )


def _in_mm(lengths: Sequence[float] | np.ndarray) -> str:
    return f"{' × '.join(f'{length:.3g}' for length in lengths)} mm"
