"""Pictures in tar files, in the form of WebDataset."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from maecli import api
from maecli.api import pictures

from .checksums import checksums
from .dataset import Sharded, ShardOptions, StoredPictures
from .joined import MadeBy, MakeIndex
from .tar_members import LabelMember, index_tar

COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")


class Tar(Sharded):
    """Pictures in shards: tar files in the form of WebDataset, each read where it lies, in any order.

    Source: your own shards, as `mae pack`, webdataset and img2dataset write them; nothing is unpacked or changed.
    Format: `.tar` files in the root and in folders below it, linked ones too, but hidden ones; not compressed: those
        that are, are told. Consecutive members of one name up to its first dot are a sample:
        a picture (`000123.jpg`, or any other format that a folder may hold) and what says its label: `000123.cls` with
        its class, or a field of `000123.json`. Other members are passed over. `root` may be one tar file.
    Index: where each picture lies, what its header says, and its label are found out once, in as many processes as
        there are cores, and kept in `.mae-index/` beside the shards, or in the cache of the user where that is
        read-only; shards that `mae pack` wrote are compared with their checksums then. It is made anew for a shard
        whose size or time of change is another, and never used in part. So a sample is read by itself, and shuffling,
        resuming and workers are exactly those of a folder.
    Classes: what labels say; where these are numbers, the lines of `classes.txt` name them, the first one class 0: of
        that in the shard's folder, else of the nearest above it up to the root. Several lists are joined by name, and
        numbers that have a list in one folder and none in another are refused.
    Splits: by the word train, val or test (or as people call them) in the path of a shard, as in `train-000000.tar`;
        one without is train. A split that no shard is named for is cut from train with the fixed seed 0: one sample in
        ten for each, stratified by class. Pictures without a label, in a set that has some, stay in train.
    Faults: what is damaged, by its own checksum in shards of `mae pack`, is cut short, leads out of its shard, comes
        twice, is a symbolic link, lies behind the end of a tar that another was joined to, or cannot be read is left
        out and told. A hard link to a member of its shard is read as that.
    Licence: yours to know.
    """

    name = "tar"
    noun = "shard"
    suffix = ".tar"

    class Options(ShardOptions):
        labels: LabelMember = Field(
            default="auto",
            description="member that says a label: cls, json (its field label_field), txt or none; auto: cls or json",
        )
        verify: bool = Field(
            default=True,
            description="whether a shard that shards.json of mae pack names is compared with its checksum there, and, "
            "where that differs, its samples with theirs, once, when its index is made",
        )
        label_field: str = Field(default="label", description="field of .json members that holds the label")

    options: Options

    def why_none(self) -> str:
        for fault in self.passed_over([]):
            return f"{fault.path} in {self.root} {fault.reason}, or pack the pictures with mae pack"
        return f"{super().why_none()}, or make them: mae pack PICTURES --out SHARDS"

    def passed_over(self, names: Sequence[str]) -> Iterable[api.Fault]:
        why = "is compressed, so that samples within it cannot be found; unpack it to a plain .tar (gunzip, unxz …)"
        read = set(names)
        for path in self._files:
            ending = next((ending for ending in COMPRESSED if path.lower().endswith(ending)), "")
            if ending and f"{path[: -len(ending)]}.tar" not in read:  # unpacked beside it
                yield api.Fault(path, why)

    def indexing(self, shards: Sequence[Path]) -> tuple[MakeIndex, MadeBy]:
        options = self.options
        sums = checksums(shards) if options.verify else {}
        make = partial(
            index_tar, sums=sums, labels=options.labels, field=options.label_field, max_pixels=options.max_pixels
        )
        made_by = f"tar {options.labels} {options.label_field!r} {options.max_pixels}"
        return make, lambda shard: " ".join([made_by, *map(str, sums.get(shard, ()))])

    def pictures_at(self, ids: NDArray[np.int64], reading: pictures.Reading) -> StoredPictures:
        return TarPictures(self.root, self.joined, ids, reading, self._faults)

    def way_to_labels(self) -> str:
        return (
            "a member KEY.cls beside each KEY.jpg says its class, or a field of KEY.json that dataset.label_field names"
        )


class TarPictures(StoredPictures):
    """Pictures that are read from their shards by place and length. No file stays open between them."""

    def read(self, index: int) -> bytes:
        shard = self.shards[self.shard_of[index]]
        with shard.path.open("rb", buffering=0) as file:
            state = os.fstat(file.fileno())
            if (state.st_size, state.st_mtime_ns) != shard.stamp:
                raise api.BrokenSample(self.keys[index], "its shard was changed since this command began")
            file.seek(int(self.starts[index]))
            return file.read(int(self.lengths[index]))


@api.hookimpl
def mae_datasets() -> list[type[api.Dataset]]:
    return [Tar]
