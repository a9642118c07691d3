"""Pictures in shards of any form: their splits, their classes and their card.

Shapes: N pictures.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Collection, Iterable, Sequence
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from maecli import api
from maecli.api import pictures

from .agreement import agree, converted
from .classes import Labelled, labelled
from .index import NO_LABEL
from .joined import Joined, MadeBy, MakeIndex, read_indexes

VERSION = 3
"""Of indexes; older ones are made anew."""


class ShardOptions(api.DatasetOptions):
    """Options of all data sets of shards."""

    shards: str | list[str] | None = Field(
        default=None,
        description="pattern of the shards below the root, such as birds-*.tar, or a list of patterns and paths; "
        "default: all that end so",
    )
    channels: int | None = Field(
        default=None, ge=1, description="channels of every picture; default: 3 if any is in colour, or the usual number"
    )
    val_share: float = Field(
        default=0.1, ge=0, lt=1, description="share of the samples taken as val if no shard is named for it"
    )
    test_share: float = Field(
        default=0.1, ge=0, lt=1, description="share of the samples taken as test if no shard is named for it"
    )
    max_pixels: int = Field(
        default=pictures.MAX_PIXELS, ge=1, description="larger pictures count as broken: decompression bombs"
    )


class Sharded(api.Dataset):
    """Base of the data sets of shards. Each picture is read by itself, so shuffling and resuming are a folder's."""

    named_by_root = True
    noun: ClassVar[str]
    """What a shard is called, where there is one."""
    suffix: ClassVar[str]
    """How its name ends."""

    options: ShardOptions

    def __init__(self, options: ShardOptions) -> None:
        if options.root is None:
            raise api.SpecError(f"the data set {self.name} needs --root, the folder that holds your shards")
        super().__init__(options)
        self._faults: set[api.Fault] = set()
        self._like: api.DataCard | None = None
        self._alone: str | None = None
        if self.root.is_file():  # a single shard
            self.root, self._alone = self.root.parent, self.root.name

    def shard_names(self) -> Sequence[str]:
        """Return the paths of the shards below the root, sorted. Raises DataError where there are none."""
        if self._alone is not None:
            return [self._alone]
        if not self.root.is_dir():
            raise api.DataError(f"{self.root} is not a folder; point --root at the one that holds your {self.noun}s")
        try:
            found = {name for pattern in self._patterns for name in self._matching(pattern)}
        except (ValueError, NotImplementedError) as error:
            raise api.SpecError(f"dataset.shards: {error}; give patterns of paths below the root") from error
        names = sorted(name for name in found if (self.root / name).is_file())
        if not names:
            raise api.DataError(self.why_none())
        self._faults.update(api.Fault(name, "is a link that leads nowhere") for name in found if self._is_lost(name))
        return names

    def _matching(self, pattern: str) -> Iterable[str]:
        """Return what fits a pattern: nothing hidden that it does not name; `**` enters linked folders too."""
        parts = PurePosixPath(pattern).parts
        if "**" in parts and not pattern.startswith("/"):
            return (name for name in self._files if _fits(name.split("/"), parts))
        found = (path.relative_to(self.root) for path in self.root.glob(pattern))
        return (path.as_posix() for path in found if _is_hidden(parts) or not _is_hidden(path.parts))

    def _is_lost(self, name: str) -> bool:
        return (self.root / name).is_symlink() and not (self.root / name).exists()

    @cached_property
    def _files(self) -> Sequence[str]:
        """All files below the root that may be data."""
        return pictures.find_files(self.root)

    def passed_over(self, names: Sequence[str]) -> Iterable[api.Fault]:
        """Return what lies beside the shards of these names and holds pictures that are not read."""
        return ()

    @property
    def _patterns(self) -> Sequence[str]:
        shards = self.options.shards or f"**/*{self.suffix}"
        return [shards] if isinstance(shards, str) else shards

    def why_none(self) -> str:
        """Return why there is no shard in the root, and what to do."""
        return (
            f"no {self.noun} {' or '.join(self._patterns)} in {self.root}; point --root at the folder that holds them, "
            f"say how they are called (--set dataset.shards='birds-*{self.suffix}')"
        )

    @abstractmethod
    def indexing(self, shards: Sequence[Path]) -> tuple[MakeIndex, MadeBy]:
        """Return what makes the index of one of some shards, in any process, and what says all that it depends on."""

    @abstractmethod
    def pictures_at(self, ids: NDArray[np.int64], reading: pictures.Reading) -> StoredPictures:
        """Return pictures of `self.joined` without labels."""

    @abstractmethod
    def way_to_labels(self) -> str:
        """Return what to do where no picture has a label."""

    def read_as(self, card: api.DataCard) -> None:
        self._like = card

    def card(self, fields: Sequence[str] = ("image",)) -> api.DataCard:
        joined, classes, stats = self.joined, self._labelled.classes, self._stats
        parts = {name: self._ids(name, fields) for name in api.SPLIT_NAMES}
        used = joined.sizes[np.concatenate(list(parts.values()))]
        size = (int(used[0, 0]), int(used[0, 1])) if len(used) and (used == used[0]).all() else None
        train = self._labelled.numbers[parts["train"]]
        return api.DataCard(
            name=self.name,
            title=f"shards in {self._folder}",
            fields=("image", *(["label"] if classes else [])),
            channels=self._form[0],
            size=size,
            dtype=self._form[1],
            value_range=stats.value_range,
            mean=stats.mean,
            std=stats.std,
            missing=self._reading.missing,
            classes=classes,
            class_counts=tuple(np.bincount(train[train != NO_LABEL], minlength=len(classes)).tolist()),
            split_sizes={name: len(ids) for name, ids in parts.items()},
            split_origin=self._origin(),
            source=f"your own shards in {self._folder}",
            licence="yours to know",
            reading=self._said(),
            converted=converted(self._counted, *self._form),
            left_out=self._left_out(fields),
            notes=self._notes(fields),
        )

    def split(self, name: api.SplitName, fields: Sequence[str] = ("image",)) -> api.Split:
        ids = self._ids(name, fields)
        split = self.pictures_at(ids, self._reading)
        split.images = "image" in fields
        if "label" in fields:
            split.labels = self._labelled.numbers[ids].astype(np.int64)
        return split

    def faults(self) -> Collection[api.Fault]:
        _ = self._sound  # which reads the indexes, if that was not done
        return sorted(self._faults)

    def given_splits(self) -> Collection[api.SplitName]:
        return self._given

    @cached_property
    def joined(self) -> Joined:
        """All pictures that the shards hold. Raises DataError where there are none."""
        names = self.shard_names()
        if self._alone is None:
            self._faults.update(self.passed_over(names) if self.options.shards is None else ())
            if elsewhere := pictures.links_out(self.root, names):
                self.say(elsewhere)
        make, made_by = self.indexing([self.root / name for name in names])
        joined = read_indexes(self.root, names, make, lambda shard: f"mae {VERSION} {made_by(shard)}", self.say)
        self._faults.update(joined.faults)
        if not len(joined.keys):
            why = f"; {min(self._faults)}" if self._faults else ""
            raise api.DataError(
                f"none of {self._num_shards(joined)} in {self.root} holds a picture that can be read{why}"
            )
        return joined

    @cached_property
    def _counted(self) -> dict[pictures.PictureInfo, int]:
        """How many pictures have each kind of header."""
        counts = np.bincount(self.joined.kinds, minlength=len(self.joined.infos)).tolist()
        return dict(zip(self.joined.infos, counts, strict=True))

    @cached_property
    def _form(self) -> tuple[int, str]:
        """The channels and the dtype that all pictures are brought to."""
        like = self._like
        channels, dtype = (like.channels, like.dtype) if like is not None else (self.options.channels, None)
        return agree(self._counted, channels, dtype)

    @cached_property
    def _sound(self) -> NDArray[np.bool_]:
        """Which pictures (N,) can be brought to that form; of the others each is a fault."""
        reasons = [pictures.misfit(info, *self._form) for info in self.joined.infos]
        sound = np.array([not reason for reason in reasons])[self.joined.kinds]
        for i in np.flatnonzero(~sound).tolist():
            self._faults.add(api.Fault(self.joined.keys[i], reasons[self.joined.kinds[i]]))
        if not sound.any():
            raise api.DataError(f"none of the {len(sound):,} pictures in {self.root} can be used; {min(self._faults)}")
        return sound

    @cached_property
    def _labelled(self) -> Labelled:
        found = labelled(self.root, self.joined)
        self._faults.update(found.unnamed)
        return found

    @cached_property
    def _split_of(self) -> NDArray[np.int8]:
        """The split (N,) that the name of each picture's shard says, as a position in `SPLIT_NAMES`."""
        named = [api.SPLIT_NAMES.index(pictures.split_in_path(shard.name) or "train") for shard in self.joined.shards]
        return np.array(named, np.int8)[self.joined.shard_of]

    @cached_property
    def _given(self) -> frozenset[api.SplitName]:
        """The splits that shards are named for, besides train."""
        return frozenset(api.SPLIT_NAMES[i] for i in np.unique(self._split_of).tolist()) - {"train"}

    @cached_property
    def _parts(self) -> dict[api.SplitName, NDArray[np.int64]]:
        """The pictures of each split: those of shards of its name, else cut from train."""
        parts = {name: np.flatnonzero(self._sound & (self._split_of == i)) for i, name in enumerate(api.SPLIT_NAMES)}
        train, numbers = parts["train"], self._labelled.numbers
        if not len(train):
            raise api.DataError(f"no picture to train on in {self.root}: all shards are named for val or test")
        cuttable = train[numbers[train] != NO_LABEL] if self._labelled.classes else train
        val_share, test_share = (0.0 if name in self._given else share for name, share in self._shares)
        if not len(cuttable) or val_share == test_share == 0:
            return parts
        labels = numbers[cuttable].tolist() if self._labelled.classes else None
        cut = api.cut(self.joined.keys.take(cuttable), val_share=val_share, test_share=test_share, labels=labels)
        taken = {name: cuttable[np.array(cut[name], np.int64)] for name, share in self._shares if cut[name]}
        left = np.setdiff1d(train, np.concatenate([np.empty(0, np.int64), *taken.values()]), assume_unique=True)
        return {**parts, **taken, "train": left}

    def _ids(self, name: api.SplitName, fields: Sequence[str]) -> NDArray[np.int64]:
        """Return the pictures of a split that have all of `fields`. Raises DataError if no picture at all has."""
        if "label" not in fields:
            return self._parts[name]
        if not self._labelled.classes:
            raise api.DataError(f"no picture in {self.root} has a label; {self.way_to_labels()}")
        ids = self._parts[name]
        return ids[self._labelled.numbers[ids] != NO_LABEL]

    @property
    def _shares(self) -> tuple[tuple[api.SplitName, float], ...]:
        return ("val", self.options.val_share), ("test", self.options.test_share)

    @cached_property
    def _reading(self) -> pictures.Reading:
        """How the pictures are decoded; cells may be missing where a header or a measured picture says so."""
        measured = self._measured
        if self._like is not None:
            return pictures.Reading(*self._form, self.options.max_pixels, missing=self._like.missing)
        return pictures.Reading(*self._form, self.options.max_pixels, missing=self._named_missing or measured.missing)

    @property
    def _named_missing(self) -> bool:
        return any(info.nodata is not None for info in self.joined.infos)

    @property
    def _stats(self) -> pictures.ChannelStats:
        return self._measured

    @cached_property
    def _measured(self) -> pictures.ChannelStats:
        value_range = {"uint8": (0.0, 255.0), "uint16": (0.0, 65535.0)}.get(self._form[1])
        missing = self._named_missing or value_range is None
        reading = pictures.Reading(*self._form, self.options.max_pixels, missing=missing)
        return pictures.sampled_channel_stats(self.pictures_at(self._parts["train"], reading), self.root, value_range)

    @property
    def _folder(self) -> str:
        """The name of the root, without the path to it, which is nobody else's business."""
        return Path(os.path.abspath(self.root)).name or str(self.root)  # noqa: PTH100  # also of . and ..

    def _num_shards(self, joined: Joined | None = None) -> str:
        num = len((joined or self.joined).shards)
        return f"{num:,} {self.noun}{'' if num == 1 else 's'}"

    def _said(self) -> str:
        num, classes = len(self.joined.keys), self._labelled.classes
        words = f"{num:,} picture{'' if num == 1 else 's'} in {self._num_shards()}"
        words += f", in {len(classes):,} class{'' if len(classes) == 1 else 'es'}" if classes else ""
        return words + (", splits by the names of shards" if self._given else "")

    def _origin(self) -> str:
        given = [name for name in api.SPLIT_NAMES if name in self._given]
        origins = [f"{', '.join(given)}: by the names of shards"] if given else []
        if cut := [f"{name} ({share:g})" for name, share in self._shares if name not in given and share > 0]:
            how = "stratified by class" if self._labelled.classes else "regardless of content"
            origins.append(f"{' and '.join(cut)} cut from train with the fixed seed {api.SPLIT_SEED}, {how}")
        return "; ".join(origins) or "everything is train"

    @property
    def _num_unlabelled(self) -> int:
        return int((self._labelled.numbers == NO_LABEL).sum()) if self._labelled.classes else 0

    def _left_out(self, fields: Sequence[str]) -> dict[str, int]:
        lost = {"more of damaged shards": self.joined.num_lost}
        unlabelled = {"without a label": self._num_unlabelled} if "label" in fields else {}
        return {what: num for what, num in (lost | unlabelled).items() if num}

    def _notes(self, fields: Sequence[str]) -> tuple[str, ...]:
        notes = [f"mean and std were measured on {self._stats.num} train pictures chosen by the fixed seed"]
        if (num := self._num_unlabelled) and "label" not in fields:
            notes.append(f"{num:,} picture{' has' if num == 1 else 's have'} no label")
        if len(lists := self._labelled.lists) > 1:
            notes.append(
                f"classes are joined by name, of {len(lists):,} lists: {', '.join(lists[:3])}{' …' * (len(lists) > 3)}"
            )
        return tuple(notes)


def _is_hidden(parts: Sequence[str]) -> bool:
    return any(part.startswith(".") for part in parts)


def _fits(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether a path is of a pattern, in which `**` is any number of folders."""
    if not pattern or not parts:
        return not pattern and not parts
    if pattern[0] == "**":
        return _fits(parts, pattern[1:]) or _fits(parts[1:], pattern)
    return fnmatchcase(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])


class StoredPictures(pictures.PictureFiles):
    """Pictures within shards, those of `joined` at the positions `ids` (N,)."""

    def __init__(
        self, root: Path, joined: Joined, ids: NDArray[np.int64], reading: pictures.Reading, faults: set[api.Fault]
    ) -> None:
        super().__init__(root, joined.keys.take(ids), joined.sizes[ids], reading, faults)
        self.shards = joined.shards
        self.shard_of, self.starts, self.lengths = joined.shard_of[ids], joined.starts[ids], joined.lengths[ids]

    @abstractmethod
    def read(self, index: int) -> bytes:
        """Return the bytes of a picture's file. Raises OSError, or `BrokenSample`."""

    def place(self, index: int) -> pictures.PictureWithin:
        key = self.keys[index]
        try:
            return pictures.PictureWithin(key, self.read(index))
        except OSError as error:
            raise api.BrokenSample(
                key, f"its shard cannot be read: {(error.strerror or str(error)).lower()}"
            ) from error

    def files(self, index: int) -> Sequence[Path]:
        return [self.shards[self.shard_of[index]].path] if self.images else []
