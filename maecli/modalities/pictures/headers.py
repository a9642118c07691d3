"""What the headers of very many pictures say, in some twenty bytes each.

Shapes: N pictures.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, ItemsView, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maecli.data.views.by_key import NONE, Positions
from maecli.data.views.keys import Keys
from maecli.modalities.pictures.codecs.header import PictureInfo

ANY_SIZE = (1, 1)
"""Of a header that stands for pictures of all sizes."""
REMEMBERED = 1 << 14
"""Headers whose kind is looked up instead of made."""


class Headers(Mapping[str, PictureInfo]):
    """The headers of N pictures by their keys: their `sizes` (N, 2), and by `kinds` (N,) which of `infos` each is.

    `infos` are what headers say besides the size, which most pictures share. Those of arrays have their own, since that
    follows from their shape.
    """

    def __init__(
        self, of: Keys, sizes: NDArray[np.int32], kinds: NDArray[np.int32], infos: Sequence[PictureInfo]
    ) -> None:
        self.of, self.sizes, self.kinds, self.infos = of, sizes, kinds, tuple(infos)

    def counts(self) -> list[tuple[PictureInfo, int]]:
        """Return each kind of header that there is, and how many pictures have it."""
        nums = np.bincount(self.kinds, minlength=len(self.infos)).tolist()
        return [(info, num) for info, num in zip(self.infos, nums, strict=True) if num]

    def first(self, is_meant: Callable[[PictureInfo], bool]) -> str:
        """Return the key of the first picture of such a header, of which there must be one."""
        meant = np.array([is_meant(info) for info in self.infos])
        return self.of[int(np.flatnonzero(meant[self.kinds])[0])]

    def those(self, chosen: NDArray[np.bool_]) -> Headers:
        """Return the headers of those pictures (N,) alone, itself where these are all."""
        if chosen.all():
            return self
        ids = np.flatnonzero(chosen)
        return Headers(self.of.take(ids), self.sizes[ids], self.kinds[ids], self.infos)

    def read_as(self, infos: Sequence[PictureInfo]) -> Headers:
        """Return these headers with others in the place of `infos`, and the sizes that arrays have by them."""
        arrays = np.array([bool(info.shape) for info in infos])
        own = np.array([info.size for info in infos], np.int32)
        sizes = np.where(arrays[self.kinds, None], own[self.kinds], self.sizes)
        return Headers(self.of, sizes, self.kinds, infos)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all of it as arrays without objects."""
        names, lengths = self.of.arrays()
        about = json.dumps([asdict(info) for info in self.infos]).encode()
        return {
            "names": names,
            "lengths": lengths,
            "sizes": self.sizes,
            "kinds": self.kinds,
            "infos": np.frombuffer(about, np.uint8),
        }

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Headers:
        """Return what `arrays` gave. Raises ValueError, KeyError or TypeError where it is something else."""
        of = Keys.of_arrays(arrays["names"], arrays["lengths"])
        infos = [PictureInfo(**_plain(values)) for values in json.loads(arrays["infos"].tobytes())]
        sizes, kinds = arrays["sizes"], arrays["kinds"]
        if sizes.shape != (len(of), 2) or kinds.shape != (len(of),) or {sizes.dtype, kinds.dtype} != {np.dtype("i4")}:
            raise ValueError("not the headers of these pictures")
        if len(of) and (sizes.min() < 1 or kinds.min() < 0 or kinds.max() >= len(infos)):
            raise ValueError("numbers of headers that cannot be")
        return cls(of, sizes, kinds, infos)

    def __len__(self) -> int:
        return len(self.of)

    def __iter__(self) -> Iterator[str]:
        return iter(self.of)

    def __getitem__(self, key: str) -> PictureInfo:
        position = self._positions.of(key)
        if position == NONE:
            raise KeyError(key)
        return self.at(position)

    def at(self, position: int) -> PictureInfo:
        """Return the header of the picture at a position."""
        height, width = self.sizes[position].tolist()
        return replace(self.infos[self.kinds[position]], size=(height, width))

    def items(self) -> ItemsView[str, PictureInfo]:
        return _Items(self)

    @cached_property
    def _positions(self) -> Positions:
        return Positions(self.of)


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a header from JSON, which has lists for tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


class _Items(ItemsView[str, PictureInfo]):
    _mapping: Headers

    def __iter__(self) -> Iterator[tuple[str, PictureInfo]]:
        return ((key, self._mapping.at(i)) for i, key in enumerate(self._mapping.of))


class GrowingHeaders:
    """Headers that come one by one, in the order of the keys of their pictures."""

    def __init__(self) -> None:
        self._sizes, self._kinds = array("i"), array("i")
        self._numbers: dict[tuple[PictureInfo, tuple[int, ...]], int] = {}
        self._seen: dict[tuple[PictureInfo, tuple[int, ...]], int] = {}

    def append(self, info: PictureInfo) -> None:
        self._sizes.extend(info.size)
        self._kinds.append(self._kind(info))

    def _kind(self, info: PictureInfo) -> int:
        kind = self._seen.get((info, info.shape))
        if kind is None:
            of_all = (info if info.shape else replace(info, size=ANY_SIZE), info.shape)
            kind = self._numbers.setdefault(of_all, len(self._numbers))
            if len(self._seen) < REMEMBERED:
                self._seen[info, info.shape] = kind
        return kind

    def headers(self, of: Keys) -> Headers:
        """Return those that came, of the pictures `of`."""
        sizes = np.array(self._sizes, np.int32).reshape(-1, 2)
        return Headers(of, sizes, np.array(self._kinds, np.int32), [info for info, _ in self._numbers])
