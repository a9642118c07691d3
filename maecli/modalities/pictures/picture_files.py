"""Pictures in files: their headers, and a split of them with their labels."""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maecli.data.file_reading import NpyLayout, PageMeaning
from maecli.data.sample import Sample, Split
from maecli.data.views.keys import Keys
from maecli.errors import BrokenSample, Fault
from maecli.modalities.pictures.codecs.header import PictureInfo
from maecli.modalities.pictures.headers import GrowingHeaders, Headers
from maecli.modalities.pictures.known_headers import with_known
from maecli.modalities.pictures.read import MAX_PIXELS, Place, Reading, misfit, probe_picture, read_image, read_sample

NUM_THREADS = 8
AT_ONCE = 32
"""Files that a thread is handed: to hand over one costs as much as to read its header."""
HELD = AT_ONCE << 10
"""Files whose headers may wait to be taken over."""
MANY = 50_000
"""Pictures of which the headers are remembered: to read so many takes seconds."""
VERSION = 1
"""Of what is remembered; older ones are read anew."""


def probe_pictures(
    root: Path,
    keys: Sequence[str],
    faults: set[Fault],
    *,
    max_pixels: int = MAX_PIXELS,
    npy_layout: NpyLayout = "auto",
    tiff_pages: PageMeaning = "auto",
) -> Headers:
    """Return what the headers of pictures below `root` say, in the order of their keys; broken ones go to `faults`.

    Those of very many are remembered, and read again where a file has another size or time of change.
    """
    all_keys, reader = (
        Keys.of(keys),
        partial(probe_picture, max_pixels=max_pixels, npy_layout=npy_layout, tiff_pages=tiff_pages),
    )

    def probe(of: Keys) -> tuple[Headers, NDArray[np.int64]]:
        return _probed(root, of, reader, faults)

    if len(all_keys) < MANY:
        return probe(all_keys)[0]
    return with_known(root, all_keys, f"headers {VERSION} {max_pixels} {npy_layout} {tiff_pages}", probe)


def _probed(
    root: Path, keys: Keys, reader: Callable[[Path], PictureInfo], faults: set[Fault]
) -> tuple[Headers, NDArray[np.int64]]:
    """Return the headers of the sound ones among some pictures, and which these are."""

    def probe(key: str) -> PictureInfo | Fault:
        try:
            return reader(root / key)
        except BrokenSample as error:
            return Fault(key, error.fault.reason)

    def probe_some(start: int) -> list[PictureInfo | Fault]:
        return [probe(key) for key in keys[start : min(start + AT_ONCE, len(keys))]]

    growing, sound = GrowingHeaders(), array("q")
    with ThreadPoolExecutor(NUM_THREADS) as pool:  # opening files waits for the disk
        for begin in range(0, len(keys), HELD):
            starts = range(begin, min(begin + HELD, len(keys)), AT_ONCE)
            for position, header in enumerate(itertools.chain.from_iterable(pool.map(probe_some, starts)), begin):
                if isinstance(header, Fault):
                    faults.add(header)
                else:
                    growing.append(header)
                    sound.append(position)
    return growing.headers(keys if len(sound) == len(keys) else keys.take(sound)), np.array(sound, np.int64)


def convertible(headers: Headers, channels: int, dtype: str, faults: set[Fault]) -> Headers:
    """Return the headers of those pictures that can be brought to `channels` and `dtype`; others go to `faults`."""
    reasons = [misfit(info, channels, dtype) for info in headers.infos]
    fits = np.array([not reason for reason in reasons], bool)[headers.kinds]
    misfits = np.flatnonzero(~fits)
    faults.update(
        Fault(key, reasons[kind])
        for key, kind in zip(headers.of.take(misfits), headers.kinds[misfits].tolist(), strict=True)
    )
    return headers.those(fits)


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
