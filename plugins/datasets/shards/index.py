"""What is known of the pictures of one shard, so that each can be read by itself.

Shapes: N pictures.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maecli import api
from maecli.api import pictures

NO_LABEL = -1
MAX_LABEL = 200
"""Letters of a label."""
MAX_FAULTS = 100
"""Of one shard that are told by name."""

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class ShardIndex:
    """Where each picture of a shard lies, what its header says, and its label."""

    names: pictures.Keys
    starts: Numbers
    """(N,) of a picture's bytes in the shard."""
    lengths: Numbers
    sizes: NDArray[np.int32]
    """(N, 2) height and width."""
    kinds: NDArray[np.int32]
    """(N,) positions in `infos`."""
    labels: NDArray[np.int32]
    """(N,) positions in `texts`, or `NO_LABEL`."""
    infos: list[pictures.PictureInfo]
    """What headers say besides the size."""
    texts: list[str]
    """What labels say."""
    faults: list[api.Fault]
    """Paths are those within the shard, empty of the shard itself."""
    num_lost: int = 0
    """Pictures that are known to have been there beyond those of the index, and beyond one for each fault."""

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all of it as arrays without objects."""
        names = "\0".join(self.names)
        about = {
            "infos": [asdict(info) for info in self.infos],
            "texts": self.texts,
            "faults": [[fault.path, fault.reason] for fault in self.faults],
            "lost": self.num_lost,
        }
        return {
            "names": _bytes(names),
            "starts": self.starts,
            "lengths": self.lengths,
            "sizes": self.sizes,
            "kinds": self.kinds,
            "labels": self.labels,
            "about": _bytes(json.dumps(about)),
        }

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, np.ndarray]) -> ShardIndex:
        """Return what `arrays` gave. Raises ValueError or KeyError where it is something else."""
        about = json.loads(_text(arrays["about"]))
        names = _text(arrays["names"])
        index = cls(
            pictures.Keys.of(names.split("\0") if names else []),
            starts=arrays["starts"],
            lengths=arrays["lengths"],
            sizes=arrays["sizes"],
            kinds=arrays["kinds"],
            labels=arrays["labels"],
            infos=[_info(info) for info in about["infos"]],
            texts=about["texts"],
            faults=[api.Fault(path, reason) for path, reason in about["faults"]],
            num_lost=about["lost"],
        )
        index._check()
        return index

    def _check(self) -> None:
        """Raise ValueError where parts of an index do not belong together."""
        num = len(self.names)
        shapes = {"starts": (num,), "lengths": (num,), "sizes": (num, 2), "kinds": (num,), "labels": (num,)}
        for name, shape in shapes.items():
            array = getattr(self, name)
            if array.shape != shape or array.dtype.kind != "i":
                raise ValueError(f"{name} of an index are no numbers of {num} pictures")
        _check_range(self.starts, 0, None)
        _check_range(self.lengths, 0, None)
        _check_range(self.sizes, 1, None)
        _check_range(self.kinds, 0, len(self.infos))
        _check_range(self.labels, NO_LABEL, len(self.texts))
        if not all(isinstance(text, str) for text in self.texts):
            raise ValueError("labels of an index are no texts")
        if not isinstance(self.num_lost, int):
            raise ValueError("the pictures that are lost are no number")

    @property
    def end(self) -> int:
        """Return where the last of the pictures ends, in bytes."""
        return int((self.starts + self.lengths).max(initial=0))


class Gathering:
    """The index of a shard while it is read."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._places: list[tuple[int, int]] = []
        self._sizes: list[tuple[int, int]] = []
        self._kinds: list[int] = []
        self._labels: list[int] = []
        self._infos: dict[pictures.PictureInfo, int] = {}
        self._texts: dict[str, int] = {}
        self._faults: list[api.Fault] = []
        self._num_faults = 0

    def add(self, name: str, start: int, num_bytes: int, info: pictures.PictureInfo, label: str | None) -> None:
        """Note a picture."""
        kind = replace(info, size=(1, 1), shape=())
        self.names.append(name)
        self._places.append((start, num_bytes))
        self._sizes.append(info.size)
        self._kinds.append(self._infos.setdefault(kind, len(self._infos)))
        self._labels.append(NO_LABEL if label is None else self._texts.setdefault(label, len(self._texts)))

    def fault(self, name: str, reason: str) -> None:
        """Note what is wrong with a member, or with the shard where the name is empty."""
        self._num_faults += 1
        if self._num_faults <= MAX_FAULTS:
            self._faults.append(api.Fault(name, reason))

    def num_missing(self, num_packed: int) -> int:
        """Return how many pictures of those of a shard are neither in the index nor among its faults."""
        return num_packed - len(self.names) - self._num_faults

    def index(self, num_packed: int = 0) -> ShardIndex:
        """Return the index, of a shard that is known to have held so many pictures."""
        places = np.array(self._places, np.int64).reshape(-1, 2)
        faults = list(self._faults)
        if (more := self._num_faults - len(faults)) > 0:
            faults.append(api.Fault("", f"has {more:,} more members that are left out"))
        return ShardIndex(
            pictures.Keys.of(self.names),
            *(places[:, 0].copy(), places[:, 1].copy()),
            sizes=np.array(self._sizes, np.int32).reshape(-1, 2),
            kinds=np.array(self._kinds, np.int32),
            labels=np.array(self._labels, np.int32),
            infos=list(self._infos),
            texts=list(self._texts),
            faults=faults,
            num_lost=max(0, num_packed - len(self.names) - len(faults)),
        )


def _check_range(numbers: NDArray[np.integer], first: int, end: int | None) -> None:
    if len(numbers) and (numbers.min() < first or (end is not None and numbers.max() >= end)):
        raise ValueError(f"a number of an index is not in {first} to {end}")


def _bytes(text: str) -> NDArray[np.uint8]:
    return np.frombuffer(text.encode("utf-8", "surrogateescape"), np.uint8)


def _text(array: np.ndarray) -> str:
    return array.tobytes().decode("utf-8", "surrogateescape")


def _info(values: Mapping[str, Any]) -> pictures.PictureInfo:
    """Return a header from JSON, which has lists for tuples."""
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }
    return pictures.PictureInfo(**fields)
