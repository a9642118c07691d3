"""Volumes of a data set as a split: an image of one file or of a file per channel, and the mask that lies on it.

Shapes: C channels, D, H, W a volume's size, K cells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maecli.data.randomness import derive_seed
from maecli.data.sample import Sample, Split
from maecli.data.volume_reading import VolumeReading
from maecli.errors import BrokenSample
from maecli.modalities.files import named
from maecli.modalities.volumes.intensity import foreground
from maecli.modalities.volumes.prepare import read_channels, read_prepared, resampled_size, same_place
from maecli.modalities.volumes.space import Space, read_space
from maecli.text import some

NUM_CENTRES = 1024
"""Cells that parts of a volume are cut out around."""
TRIES = 8
"""Cells that are tried for each one of the body, before all are looked through."""
MOST_UINT8, MOST_INT16 = 255, 2**15
"""Classes that have room in one or two bytes beside the number that says void."""
NOT_WHOLE = "holds numbers that are not whole, which name no class"


@dataclass(frozen=True)
class Case:
    """A volume by its files below a root."""

    images: tuple[str, ...]
    """One file, or one for each channel."""
    mask: str | None = None

    @property
    def key(self) -> str:
        return self.images[0]


@dataclass(frozen=True)
class MaskReading:
    """What the numbers in masks mean."""

    names: tuple[str, ...]
    """What they are called, by number."""
    void: int | None = None
    """The number in files where nothing is judged."""

    @property
    def num_classes(self) -> int:
        return len(self.names)

    @property
    def dtype(self) -> type[np.integer]:
        return np.uint8 if self.num_classes <= MOST_UINT8 else np.int16

    @property
    def number_of_void(self) -> int:
        """What stands in samples where nothing is judged."""
        return 255 if self.num_classes <= MOST_UINT8 else -1


class VolumeCases(Split):
    """Volumes, read one by one as a `VolumeReading` says.

    With `centres_share` samples have `centres` (K, 3): cells around which training cuts parts out, that share of them
    in classes of the mask, each class as often, and the others anywhere in the body.
    """

    def __init__(
        self,
        root: Path,
        cases: Sequence[Case],
        reading: VolumeReading,
        channels: int,
        dtype: str,
        *,
        masks: MaskReading | None = None,
        images: bool = True,
        centres_share: float | None = None,
    ) -> None:
        self.root, self.cases, self.reading, self.channels, self.dtype = root, cases, reading, channels, dtype
        self.masks, self.images, self.centres_share = masks, images, centres_share
        self._keys = [case.key for case in cases]

    @property
    def keys(self) -> Sequence[str]:
        return self._keys

    def files(self, index: int) -> Sequence[Path]:
        case = self.cases[index]
        mask = [case.mask] if self.masks is not None and case.mask is not None else []
        return [self.root / path for path in (*case.images, *mask)]

    def view(self, ids: Sequence[int]) -> VolumeCases:
        return VolumeCases(
            *(self.root, [self.cases[i] for i in ids], self.reading, self.channels, self.dtype),
            masks=self.masks,
            images=self.images,
            centres_share=self.centres_share,
        )

    def size(self, index: int) -> tuple[int, ...]:
        return resampled_size(self.space(index), self.reading.spacing)

    def own_size(self, index: int) -> tuple[int, ...]:
        return self.space(index).size

    def space(self, index: int) -> Space:
        """Return what the header of a volume's first file says. Raises `BrokenSample`."""
        key = self.cases[index].key
        with named(key):
            return read_space(self.root / key)

    def __getitem__(self, index: int) -> Sample:
        case = self.cases[index]
        paths = [self.root / path for path in case.images]
        with named(case.key):
            mask = self.read_mask(index) if self.masks is not None else None
            if not self.images:
                return {} if mask is None else {"mask": mask}
            sample = read_prepared(paths, self.reading, self.channels, self.dtype, mask)
            if self.centres_share is not None:
                sample["centres"] = centres(sample, self.reading, self.masks, self.centres_share, case.key)
            return sample

    def read_mask(self, index: int) -> NDArray[np.integer]:
        """Return the class numbers (D, H, W) of a volume's own voxels. Raises `BrokenSample`."""
        case = self.cases[index]
        assert case.mask is not None
        assert self.masks is not None
        why = same_place(read_space(self.root / case.mask), self.space(index), (f"its mask {case.mask}", "it"))
        if why:
            raise BrokenSample(case.key, why)
        try:
            return class_numbers(read_channels([self.root / case.mask], 1)[0][0], self.masks)
        except BrokenSample as error:
            raise BrokenSample(case.key, f"its mask {case.mask} {error.fault.reason}") from error


def class_numbers(values: np.ndarray, masks: MaskReading) -> NDArray[np.integer]:
    """Return what stands in a mask's file as class numbers. Raises `BrokenSample` for what is none."""
    if not all_whole(values):
        raise BrokenSample("mask", NOT_WHOLE)
    void = np.zeros(values.shape, bool) if masks.void is None else values == masks.void
    strange = np.unique(values[((values < 0) | (values >= masks.num_classes)) & ~void]).astype(int).tolist()
    if strange:
        numbers = f"the {'number' if len(strange) == 1 else 'numbers'} {some(strange)}"
        raise BrokenSample("mask", f"holds {numbers}, and classes go from 0 to {masks.num_classes - 1}")
    return np.where(void, masks.dtype(masks.number_of_void), values.astype(masks.dtype))


def all_whole(values: np.ndarray) -> bool:
    """Whether what stands in a mask's file are whole numbers, as those of classes are; NaN is none."""
    return values.dtype.kind != "f" or bool((values == np.rint(values)).all())


def greatest_number(path: Path) -> int:
    """Return the greatest number in a mask's file. Raises `BrokenSample` for one that numbers no classes."""
    values, _ = read_channels([path], 1)
    if not all_whole(values):
        raise BrokenSample(str(path), NOT_WHOLE)
    greatest = int(values.max())
    if greatest >= MOST_INT16:
        raise BrokenSample(str(path), f"holds the number {greatest:,}, and there is room for {MOST_INT16:,} classes")
    return greatest


def centres(
    sample: Mapping[str, np.ndarray], reading: VolumeReading, masks: MaskReading | None, share: float, key: str
) -> NDArray[np.int32]:
    """Return cells (K, 3) around which parts are cut out of a sample: always the same ones of a key."""
    rng = np.random.default_rng(derive_seed(0, "centres", key))
    body = foreground(sample["image"], reading)
    num = round(share * NUM_CENTRES) if masks is not None else 0
    inside = _in_classes(rng, sample["mask"], masks, num) if masks is not None and num else np.zeros(0, np.int64)
    flat = np.concatenate([inside, _in_body(rng, body, NUM_CENTRES - len(inside))])
    return np.stack(np.unravel_index(flat, body.shape), 1).astype(np.int32)


def _in_classes(rng: np.random.Generator, mask: NDArray[np.integer], masks: MaskReading, num: int) -> NDArray[np.int64]:
    """Return so many cells of a mask (D, H, W), as often of each of its classes but 0; none where it shows none."""
    numbers = mask.ravel()
    ids = np.flatnonzero((numbers > 0) & (numbers < masks.num_classes))
    classes = np.unique(numbers[ids])
    parts = np.array_split(np.arange(num), len(classes)) if len(classes) else []
    drawn = [rng.choice(ids[numbers[ids] == number], len(part)) for number, part in zip(classes, parts, strict=True)]
    return np.concatenate(drawn) if drawn else ids


def _in_body(rng: np.random.Generator, body: NDArray[np.bool_], num: int) -> NDArray[np.int64]:
    """Return so many cells of a body (D, H, W); none where there is none."""
    tried = rng.integers(0, body.size, TRIES * num)
    found = tried[body.ravel()[tried]][:num]
    if len(found) == num:
        return found
    ids = np.flatnonzero(body)
    return rng.choice(ids, num) if len(ids) else ids
