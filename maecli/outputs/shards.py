"""A folder of shards that is written bit by bit: tar files in the form of WebDataset, with their checksums.

    train-000000.tar   members KEY.jpg and, where it has a label, KEY.cls: the number of its class; the last member
                       holds the checksum of each sample
    classes.txt        the name of each class, the first one of class 0
    shards.json        how it is made, and of each whole shard its checksum, samples, bytes, and a digest of its source

A shard is in `shards.json` once it is whole and on the disk, so a kill at any moment loses the shard that was being
written, and the same command goes on with that. A shard's bytes follow from its samples alone.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maecli.data.files.sample_sums import SUMS_MEMBER, sample_sum
from maecli.errors import DamagedFile, SpecError
from maecli.storage.documents import read_json
from maecli.storage.files import disk_errors, file_sha256, new_file, temporary_name, write_json, write_text
from maecli.storage.ledger import is_bare

SHARDS, CLASSES = "shards.json", "classes.txt"
FACTS = {"sha256": str, "samples": int, "bytes": int}
"""What the list says of each shard at least."""
MAX_SHARDS = 50_000
"""Whose list is not too large to be read."""


@dataclass(frozen=True)
class Member:
    """A sample in a shard: a file, how its name ends, and the number of its class, if it has one."""

    key: str
    suffix: str
    data: bytes
    label: int | None


class ShardFolder:
    """A folder that shards are written to, and what is whole there already."""

    def __init__(self, path: Path, made: Mapping[str, Any]) -> None:
        """Begin a folder, or go on with one that was begun alike: `made` says how, in plain values.

        Raises SpecError for a folder that holds something else, or was made otherwise.
        """
        self.path, self.made = path, dict(made)
        self.shards: dict[str, dict[str, Any]] = {}
        known = read_shards(path)
        if known is None:
            with disk_errors(path):
                temporary_name(path / SHARDS).unlink(missing_ok=True)  # all that a kill at the very begin leaves
            if path.exists() and not is_bare(path):
                raise SpecError(f"{path} is not empty and holds no shards of mae pack; use another --out")
            with disk_errors(path):
                path.mkdir(parents=True, exist_ok=True)
            self._note(finished=False)
            return
        if known["made"] != self.made:
            differing = [key for key in self.made if known["made"].get(key) != self.made[key]]
            raise SpecError(
                f"{path} holds shards that were packed otherwise ({', '.join(differing)} differ); use another --out"
            )
        self.shards = known["shards"]

    def is_whole(self, name: str, source: str) -> bool:
        """Whether a shard is there with the bytes that were written, from a source of this digest."""
        file, facts = self.path / name, self.shards.get(name)
        if facts is None or facts.get("source") != source:
            return False
        if not file.is_file() or file.stat().st_size != facts["bytes"]:
            return False
        with disk_errors(file):
            return file_sha256(file) == facts["sha256"]

    def name_classes(self, names: Iterable[str]) -> None:
        """Write the names of the classes. Raises SpecError for a name of several lines."""
        lines = list(names)
        if bad := [name for name in lines if len(name.splitlines()) != 1 or name != name.strip()]:
            raise SpecError(f"the class {bad[0]!r} cannot stand in a line of {CLASSES}; rename it")
        if lines:
            write_text(self.path / CLASSES, "".join(f"{line}\n" for line in lines))

    def write(self, name: str, members: Iterable[Member], source: str) -> None:
        """Write a shard, and note its checksum once it is on the disk, with a digest of what it is written from."""
        sums = list[str]()
        with new_file(self.path / name) as temporary:
            with temporary.open("wb") as file, tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as shard:
                for member in members:
                    files = {f"{member.key}{member.suffix}": member.data}
                    if member.label is not None:
                        files[f"{member.key}.cls"] = str(member.label).encode()
                    for file_name, data in files.items():
                        _add(shard, file_name, data)
                    sums.append(sample_sum((file_name, [data]) for file_name, data in files.items()))
                _add(shard, SUMS_MEMBER, "".join(f"{line}\n" for line in sums).encode())
            facts = {"sha256": file_sha256(temporary), "samples": len(sums), "bytes": temporary.stat().st_size}
        self.shards[name] = {**facts, "source": source}
        self._note(finished=False)

    def finish(self) -> None:
        """Note that no shard is missing."""
        self._note(finished=True)

    def _note(self, finished: bool) -> None:
        about = {"made": self.made, "finished": finished, "shards": dict(sorted(self.shards.items()))}
        write_json(self.path / SHARDS, about)


def read_shards(folder: Path) -> dict[str, Any] | None:
    """Return what a folder's list of shards says, None where there is none. Raises DamagedFile for what is none."""
    path = folder / SHARDS
    if not path.exists():
        return None
    try:
        about = read_json(path)
        shards = about["shards"]
        if not all(isinstance(facts[name], kind) for facts in shards.values() for name, kind in FACTS.items()):
            raise ValueError("no checksum, or no count")
        return {"made": dict(about["made"]), "finished": bool(about["finished"]), "shards": dict(shards)}
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedFile(path, "is no list of the shards of mae pack; remove it to begin anew") from error


def _add(shard: tarfile.TarFile, name: str, data: bytes) -> None:
    """Add a member whose header says nothing of who wrote it, or when."""
    member = tarfile.TarInfo(name)
    member.size = len(data)
    shard.addfile(member, io.BytesIO(data))
