"""Pictures in the tar files of a WebDataset."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from pydantic import Field

from maecli import api

from .shards import LABEL, Stored, read_shards

MAE_API_VERSION = 1
MAX_CLASSES = 100_000
CUT: Sequence[api.SplitName] = ("val", "test")
"""The splits that are cut from train where no shard is named for them."""


class WebDataset(api.Dataset):
    """Pictures in shards: tar files in the form of WebDataset, read where they lie.

    Source: your own shards, as webdataset, img2dataset and others write them.
    Format: `*.tar` in the root, not compressed. Members of one name up to its first dot are one sample:
        `000123.jpg` (or jpeg, png, webp) with the number of its class, from 0, in `000123.cls`. Members of other
        kinds are passed over. Pictures are (3, H, W) uint8, upright by EXIF.
    Classes: named by the lines of `classes.txt` in the root, if there is one, else by their numbers.
    Splits: by the word `train`, `val` or `test` in the name of the shard, as in `birds-train-000000.tar`; a name
        without one is train. What no shard is named for is cut from train with the fixed seed 0, stratified by class.
    Faults: shards that are cut short, samples with two pictures, without a class among others that have one, or with
        one that `classes.txt` lacks, and pictures that cannot be decoded are left out; `mae eda` names each of them.
    Licence: yours.
    """

    name = "webdataset"
    recipe = "webdataset"

    class Options(api.DatasetOptions):
        shards: str = Field(default="*.tar", description="pattern of the shards below the root, such as birds-*.tar")
        share: float = Field(
            default=0.1, gt=0, lt=0.5, description="share of train that is val, and that is test, where no shard is"
        )

    options: Options

    def __init__(self, options: api.DatasetOptions) -> None:
        super().__init__(options)
        self._faults: set[api.Fault] = set()

    def card(self, fields: Sequence[str] = ("image",)) -> api.DataCard:
        stats = api.pictures.sampled_channel_stats(self.split("train"), self.root, (0.0, 255.0))
        counts = Counter(self._samples[key].label for key in self._parts["train"])
        return api.DataCard(
            name=self.name,
            title=f"{len(self._shards):,} shard{'s' if len(self._shards) != 1 else ''} of pictures",
            fields=("image", "label") if self._classes else ("image",),
            channels=3,
            size=None,  # each picture has its own
            mean=stats.mean,
            std=stats.std,
            classes=self._classes,
            class_counts=tuple(counts[i] for i in range(len(self._classes))),
            split_sizes={name: len(keys) for name, keys in self._parts.items()},
            split_origin=self._origin(),
            licence="yours",
            notes=(f"mean and std were measured on {stats.num} train pictures chosen by the fixed seed",),
        )

    def split(self, name: api.SplitName, fields: Sequence[str] = ("image",)) -> api.Split:
        return ShardedPictures(self._samples, self._parts[name], fields, self._faults)

    def faults(self) -> Collection[api.Fault]:
        _ = self._samples  # reads the shards, if that was not done
        return sorted(self._faults)

    @cached_property
    def _shards(self) -> list[Path]:
        shards = sorted(path for path in self.root.glob(self.options.shards) if path.is_file())
        if not shards:
            raise api.DataError(
                f"no shard {self.options.shards} in {self.root}; point --root or MAE_DATA at the folder that holds "
                "them, or say how they are called: --set dataset.shards='birds-*.tar'"
            )
        return shards

    @cached_property
    def _samples(self) -> dict[str, Stored]:
        """Return the pictures by key; of labelled shards those alone that have a class."""
        found = read_shards(self.root, self._shards, self._faults)
        if all(stored.label is None for stored in found.values()):
            return found
        known = len(self._named) or MAX_CLASSES
        kept = {key: stored for key, stored in found.items() if stored.label is not None and stored.label < known}
        for key in found.keys() - kept.keys():
            label = found[key].label
            why = f"has no .{LABEL}" if label is None else f"has the class {label}, but there are {known:,} in all"
            self._faults.add(api.Fault(key, why))
        return kept

    @cached_property
    def _named(self) -> tuple[str, ...]:
        return api.pictures.read_class_lines(self.root)

    @cached_property
    def _classes(self) -> tuple[str, ...]:
        labels = [stored.label for stored in self._samples.values() if stored.label is not None]
        if not labels:
            return ()
        return self._named or tuple(str(number) for number in range(max(labels) + 1))

    @cached_property
    def _given(self) -> dict[api.SplitName, list[str]]:
        """Return the keys of each split as the names of the shards have it."""
        given: dict[api.SplitName, list[str]] = {name: [] for name in api.SPLIT_NAMES}
        for key, stored in self._samples.items():
            given[api.pictures.split_in_path(stored.shard.name) or "train"].append(key)
        if not given["train"]:
            raise api.DataError(f"no picture to train on in the {len(self._shards):,} shards {self.options.shards}")
        return given

    @cached_property
    def _parts(self) -> dict[api.SplitName, list[str]]:
        given, train = self._given, self._given["train"]
        val_share, test_share = (0.0 if given[name] else self.options.share for name in CUT)
        labels = [self._samples[key].label for key in train]
        cut = api.cut(train, val_share=val_share, test_share=test_share, labels=labels)
        taken = {name: [train[i] for i in ids] for name, ids in cut.items()}
        return taken | {name: given[name] for name in CUT if given[name]}

    def _origin(self) -> str:
        cut = f"cut from train ({self.options.share:g} of it), fixed seed {api.SPLIT_SEED}, stratified by class"
        return "; ".join(f"{name}: {'by name of shard' if self._given[name] else cut}" for name in CUT)


class ShardedPictures(api.Split):
    """Pictures that are read from their shards one by one; what cannot be decoded is added to `faults`."""

    def __init__(
        self, samples: Mapping[str, Stored], keys: Sequence[str], fields: Sequence[str], faults: set[api.Fault]
    ) -> None:
        self.samples, self.fields, self.faults = [samples[key] for key in keys], fields, faults
        self._keys = keys

    @property
    def keys(self) -> Sequence[str]:
        return self._keys

    def __getitem__(self, index: int) -> api.Sample:
        sample: api.Sample = {}
        if "image" in self.fields:
            with self._opened(index) as picture:
                upright = ImageOps.exif_transpose(picture).convert("RGB")
                sample["image"] = np.ascontiguousarray(np.asarray(upright).transpose(2, 0, 1))
        if (label := self.label(index)) is not None:
            sample["label"] = label
        return sample

    def label(self, index: int) -> np.ndarray | None:
        label = self.samples[index].label
        return np.asarray(label, np.int64) if "label" in self.fields and label is not None else None

    def files(self, index: int) -> Sequence[Path]:
        return [self.samples[index].shard]

    @contextmanager
    def _opened(self, index: int) -> Iterator[Image.Image]:
        """Open a picture; whatever is wrong with it, also within, becomes a fault and a `BrokenSample`."""
        try:
            with Image.open(io.BytesIO(self.samples[index].read())) as picture:
                if picture.width * picture.height > api.pictures.MAX_PIXELS:
                    raise ValueError(f"has more than {api.pictures.MAX_PIXELS:,} pixels")
                yield picture
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            broken = api.BrokenSample(self._keys[index], f"cannot be decoded: {error}")
            self.faults.add(broken.fault)
            raise broken from error


@api.hookimpl
def mae_datasets() -> list[type[api.Dataset]]:
    return [WebDataset]
