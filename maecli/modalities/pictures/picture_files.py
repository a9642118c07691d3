"""Pictures in files: their headers, and a split of them with their labels."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from maecli.data.file_reading import NpyLayout, PageMeaning
from maecli.data.sample import Sample, Split
from maecli.errors import BrokenSample, Fault
from maecli.modalities.pictures.codecs.header import PictureInfo
from maecli.modalities.pictures.read import MAX_PIXELS, Place, Reading, misfit, probe_picture, read_image, read_sample

NUM_THREADS = 8
AT_ONCE = 32
"""Files that a thread is handed: to hand over one costs as much as to read its header."""


def probe_pictures(
    root: Path,
    keys: Sequence[str],
    faults: set[Fault],
    *,
    max_pixels: int = MAX_PIXELS,
    npy_layout: NpyLayout = "auto",
    tiff_pages: PageMeaning = "auto",
) -> dict[str, PictureInfo]:
    """Return what the headers of pictures below `root` say, in the order of their keys; broken ones go to `faults`."""

    def probe(key: str) -> PictureInfo | Fault:
        try:
            return probe_picture(root / key, max_pixels=max_pixels, npy_layout=npy_layout, tiff_pages=tiff_pages)
        except BrokenSample as error:
            return Fault(key, error.fault.reason)

    def probe_some(start: int) -> list[PictureInfo | Fault]:
        return [probe(key) for key in keys[start : start + AT_ONCE]]

    with ThreadPoolExecutor(NUM_THREADS) as pool:  # opening files waits for the disk
        parts = pool.map(probe_some, range(0, len(keys), AT_ONCE))
        headers = dict(zip(keys, itertools.chain.from_iterable(parts), strict=True))
    faults.update(header for header in headers.values() if isinstance(header, Fault))
    alike: dict[PictureInfo, PictureInfo] = {}  # of very many pictures most are, and an object each takes 250 bytes
    return {
        key: header if header.shape else alike.setdefault(header, header)
        for key, header in headers.items()
        if isinstance(header, PictureInfo)
    }


def convertible(
    headers: Mapping[str, PictureInfo], channels: int, dtype: str, faults: set[Fault]
) -> dict[str, PictureInfo]:
    """Return the headers of those pictures that can be brought to `channels` and `dtype`; others go to `faults`."""
    misfits = {key: misfit(header, channels, dtype) for key, header in headers.items()}
    faults.update(Fault(key, reason) for key, reason in misfits.items() if reason)
    return {key: header for key, header in headers.items() if not misfits[key]}


class PictureFiles(Split):
    """Pictures (H, W) of `sizes` (N, 2), decoded one by one; what cannot be is added to `faults`.

    Without `images`, samples hold their labels alone.
    """

    def __init__(
        self,
        root: Path,
        keys: Sequence[str],
        sizes: np.ndarray,
        reading: Reading,
        faults: set[Fault],
        *,
        labels: np.ndarray | None = None,
        images: bool = True,
    ) -> None:
        self.root, self.sizes, self.reading, self.faults = root, sizes, reading, faults
        self.labels, self.images = labels, images
        self._keys = keys

    @property
    def keys(self) -> Sequence[str]:
        return self._keys

    def size(self, index: int) -> tuple[int, ...]:
        height, width = self.sizes[index].tolist()
        return height, width

    def place(self, index: int) -> Place:
        """Return where a picture is. Override it where that is no file of its own. Raises `BrokenSample`."""
        return self.root / self._keys[index]

    def small(self, index: int, at_least: int) -> np.ndarray:
        with self.noting(self._keys[index]):
            return read_image(self.place(index), self.reading, at_least)

    def files(self, index: int) -> Sequence[Path]:
        return [self.root / self._keys[index]] if self.images else []

    def label(self, index: int) -> np.ndarray | None:
        return np.asarray(self.labels[index]) if self.labels is not None else None

    def __getitem__(self, index: int) -> Sample:
        sample: Sample = {}
        if self.images:
            with self.noting(self._keys[index]):
                sample |= read_sample(self.place(index), self.reading)
        if self.labels is not None:
            sample["label"] = np.asarray(self.labels[index])
        return sample

    @contextmanager
    def noting(self, path: str) -> Iterator[None]:
        """Let a `BrokenSample` name its file by the path within the folder, and note its fault."""
        try:
            yield
        except BrokenSample as error:
            broken = BrokenSample(path, error.fault.reason)
            self.faults.add(broken.fault)
            raise broken from error
