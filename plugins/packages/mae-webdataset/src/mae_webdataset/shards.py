"""Samples in the tar files of a WebDataset: where each picture lies, and its class."""

from __future__ import annotations

import re
import tarfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from maecli import api

PICTURES = ("jpg", "jpeg", "png", "webp")
PICTURE, LABEL = "picture", "cls"
MAX_LABEL_BYTES = 32
_WHOLE_NUMBER = re.compile(rb"\s*\d{1,6}\s*")


@dataclass(frozen=True, slots=True)
class Stored:
    """A picture as it lies in a shard."""

    shard: Path
    start: int
    """Of its bytes in the shard."""
    num_bytes: int
    label: int | None
    """The number of its class, None where the shard says none."""

    def read(self) -> bytes:
        """Return the bytes of the picture's file. No file is kept open, so that worker processes can share this."""
        with self.shard.open("rb") as file:
            file.seek(self.start)
            return file.read(self.num_bytes)


def read_shards(root: Path, shards: Sequence[Path], faults: set[api.Fault]) -> dict[str, Stored]:
    """Return the pictures of all shards by `shard.tar/key`; whatever breaks a rule goes to `faults`."""
    found: dict[str, Stored] = {}
    for shard in shards:
        name = shard.relative_to(root).as_posix()
        for key, members in _samples(shard, name, faults).items():
            picture, said = members.get(PICTURE), members.get(LABEL)
            label = _label(shard, key, said, faults) if picture and said else None
            if picture and (label is not None or not said):
                found[key] = Stored(shard, picture.offset_data, picture.size, label)
    return found


def _samples(shard: Path, name: str, faults: set[api.Fault]) -> dict[str, dict[str, tarfile.TarInfo]]:
    """Return the members of each sample by their extensions, all those of pictures being one."""
    samples: dict[str, dict[str, tarfile.TarInfo]] = defaultdict(dict)
    for member in _members(shard, name, faults):
        stem, extension = key_of(member.name)
        key, kind = f"{name}/{stem}", PICTURE if extension in PICTURES else extension
        if kind in samples[key]:
            faults.add(api.Fault(key, f"has a second {kind}, which is passed over"))
        samples[key].setdefault(kind, member)
    return samples


def key_of(member: str) -> tuple[str, str]:
    """Return the key of a member's sample, its path up to the first dot of its name, and its extension."""
    path = PurePosixPath(member)
    stem, _, extension = path.name.partition(".")
    return (path.parent / stem).as_posix(), extension.lower()


def _members(shard: Path, name: str, faults: set[api.Fault]) -> Iterator[tarfile.TarInfo]:
    """Yield the plain files that a shard holds whole."""
    end = 0
    try:
        with shard.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as archive:
            num_bytes = shard.stat().st_size
            for member in archive:
                end = member.offset_data + -(-member.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
                if member.isreg() and not PurePosixPath(member.name).name.startswith(".") and end <= num_bytes:
                    yield member
            file.seek(end)
            is_whole = file.read(tarfile.BLOCKSIZE) == bytes(tarfile.BLOCKSIZE)  # what stands behind the last member
    except OSError as error:
        faults.add(api.Fault(name, f"cannot be read: {(error.strerror or str(error)).lower()}"))
        return
    except tarfile.TarError:
        is_whole = False
    if not is_whole:
        faults.add(api.Fault(name, "is no tar file, or is cut short; what lies whole before that is read"))


def _label(shard: Path, key: str, member: tarfile.TarInfo, faults: set[api.Fault]) -> int | None:
    """Return the class that a member `.cls` says, None and a fault where it is no number of one."""
    text = Stored(shard, member.offset_data, min(member.size, MAX_LABEL_BYTES), None).read()
    if _WHOLE_NUMBER.fullmatch(text):
        return int(text)
    faults.add(api.Fault(key, f"its .{LABEL} is not the number of a class, counted from 0"))
    return None
