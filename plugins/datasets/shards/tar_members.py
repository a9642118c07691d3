"""What lies in a tar file in the form of WebDataset: members of one name up to its first dot are one sample."""

from __future__ import annotations

import contextlib
import json
import os
import tarfile
from collections.abc import Generator, Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Literal, NamedTuple

from maecli import api
from maecli.api import pictures

from .checksums import Packed
from .index import MAX_LABEL, Gathering, ShardIndex

LabelMember = Literal["auto", "cls", "json", "txt", "none"]
LOOKED_AT: dict[str, tuple[str, ...]] = {"auto": ("cls", "json"), "none": ()}
"""Kinds of members that may say a label, the better ones first; others are a kind themselves."""
MAX_LABEL_BYTES = 1 << 20
HEADER_BYTES = 1 << 15
"""Of a picture that are read for its header; all of it where that is not enough."""
PIECE = 1 << 20
"""Bytes that are read at a time."""
MAX_SUMS = 1 << 26
"""Bytes of the list of checksums."""
MAX_DAMAGED, MAX_BEHIND = 20, 1 << 28
"""Damaged headers of a shard behind which the next one is looked for, and bytes in which it is."""
GZIP, OTHERS = b"\x1f\x8b", {b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
"""How compressed files begin."""
DAMAGED = (tarfile.TarError, ValueError, LookupError, ArithmeticError, RecursionError, MemoryError)
"""What tarfile raises on headers that contradict themselves: of numbers that are none, in each other without end, or of
more bytes than there are."""
MAGIC = slice(257, 262)
"""Of a header."""
MAX_LONG, LONG = 1 << 18, (b"x", b"g", b"X", b"L", b"K")
"""Bytes of a header that says more of the next one, as a long name, which tarfile reads whole; and their types."""
SUFFIXES = tuple(pictures.PICTURE_SUFFIXES)


class Header(tarfile.TarInfo):
    """One that takes little memory, whatever it says."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Header:
        """Return what a block says. Raises one of `DAMAGED`."""
        header = super().frombuf(buf, encoding, errors)
        if header.type in LONG and header.size > MAX_LONG:
            raise tarfile.ReadError("a header that is too long")
        return header


class Member(NamedTuple):
    """A plain file in a shard."""

    name: str
    start: int
    num_bytes: int


class Sample:
    """Consecutive members of one key."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.picture: Member | None = None
        self.others: dict[str, Member] = {}


def index_tar(path: Path, sums: Mapping[Path, Packed], labels: LabelMember, field: str, max_pixels: int) -> ShardIndex:
    """Return where the pictures of a shard lie; of one that differs from its checksum in `sums`, those that have a
    checksum of their own.

    What cannot be used is among its faults. Raises no error of files.
    """
    gathering, packed = Gathering(), sums.get(path)
    num_packed = 0 if packed is None else packed.num_samples
    try:
        damaged = packed is not None and pictures.file_sha256(path) != packed.sha256
        with path.open("rb") as file:
            if reason := _compressed(file.read(6)):
                gathering.fault("", reason)
                return gathering.index(num_packed)
            if damaged:
                _index_damaged(file, labels, field, max_pixels, gathering, num_packed)
            else:
                for sample in _samples(_members(file, gathering), gathering):
                    _add(sample, file, labels, field, max_pixels, gathering)
    except OSError as error:
        gathering.fault("", f"cannot be read: {(error.strerror or str(error)).lower()}")
    return gathering.index(num_packed)


def _index_damaged(
    file: BinaryIO, labels: LabelMember, field: str, max_pixels: int, gathering: Gathering, num_packed: int
) -> None:
    """Note those samples of a shard that have the checksums which its last member holds."""
    if not (sums := _sums(file)):
        why = "is not as mae pack wrote it, and has lost the checksums of its pictures"
        gathering.fault("", f"{why}: pack it anew, or read it as it is with dataset.verify=false")
        return
    elsewhere = Gathering()  # what becomes of headers is known by which samples are left
    for sample in _samples(_members(file, elsewhere), elsewhere):
        if _sum(file, sample) in sums:
            _add(sample, file, labels, field, max_pixels, gathering)
        else:
            name = sample.key if sample.picture is None else sample.picture.name
            gathering.fault(name, "is damaged: it is not what mae pack wrote")
    if (lost := gathering.num_missing(num_packed)) > 0:
        gathering.fault("", f"is damaged: {lost:,} of its {num_packed:,} pictures cannot be found")


def _sums(file: BinaryIO) -> frozenset[str]:
    """Return the checksums of the samples as they were packed, none where their list is gone."""
    lists = [member for member in _members(file, Gathering()) if member.name == pictures.SUMS_MEMBER]
    if not lists:
        return frozenset()
    data = _read(file, lists[-1].start, min(lists[-1].num_bytes, MAX_SUMS))
    return frozenset(data.decode("ascii", "replace").split())


def _sum(file: BinaryIO, sample: Sample) -> str:
    members = filter(None, (sample.picture, *sample.others.values()))
    return pictures.sample_sum((member.name, _pieces(file, member)) for member in members)


def _pieces(file: BinaryIO, member: Member) -> Iterator[bytes]:
    end = member.start + member.num_bytes
    for start in range(member.start, end, PIECE):
        yield _read(file, start, min(PIECE, end - start))


def _compressed(start: bytes) -> str:
    """Return why a compressed file is not read; empty for others."""
    kinds = {GZIP: "gzip", **OTHERS}
    kind = next((name for magic, name in kinds.items() if start.startswith(magic)), "")
    if not kind:
        return ""
    return f"is compressed ({kind}), so that samples within it cannot be found; unpack it to a plain .tar"


def _add(
    sample: Sample, file: BinaryIO, labels: LabelMember, field: str, max_pixels: int, gathering: Gathering
) -> None:
    """Note a sample that has a picture whose header can be read."""
    if sample.picture is None:
        return
    name, start, num_bytes = sample.picture
    try:
        info = _header(file, sample.picture, max_pixels)
    except api.BrokenSample as broken:
        gathering.fault(name, broken.fault.reason)
        return
    gathering.add(name, start, num_bytes, info, _label(sample, file, labels, field, gathering))


def _header(file: BinaryIO, member: Member, max_pixels: int) -> pictures.PictureInfo:
    """Return what a picture's header says, from its first bytes if they are enough. Raises `BrokenSample`."""
    try:
        return _probe(file, member, min(member.num_bytes, HEADER_BYTES), max_pixels)
    except api.BrokenSample:
        if member.num_bytes <= HEADER_BYTES:
            raise
        return _probe(file, member, member.num_bytes, max_pixels)


def _probe(file: BinaryIO, member: Member, num_bytes: int, max_pixels: int) -> pictures.PictureInfo:
    within = pictures.PictureWithin(member.name, _read(file, member.start, num_bytes))
    return pictures.probe_picture(within, max_pixels=max_pixels)


def _read(file: BinaryIO, start: int, num_bytes: int) -> bytes:
    file.seek(start)
    return file.read(num_bytes)


def _label(sample: Sample, file: BinaryIO, labels: LabelMember, field: str, gathering: Gathering) -> str | None:
    """Return what the first member that may say it says is the label; None and a fault where it says none."""
    kinds = LOOKED_AT.get(labels, (labels,))
    kind = next((kind for kind in kinds if kind in sample.others), None)
    if kind is None:
        return None
    member = sample.others[kind]
    data = _read(file, member.start, min(member.num_bytes, MAX_LABEL_BYTES))
    try:
        label = _json_label(data, field) if kind == "json" else data.decode("utf-8-sig").strip()
    except (ValueError, RecursionError):
        gathering.fault(member.name, "is no text in UTF-8" if kind != "json" else "is no JSON")
        return None
    if label is not None and (len(label) > MAX_LABEL or "\n" in label):
        gathering.fault(member.name, f"is no name of a class: it has over {MAX_LABEL} letters, or several lines")
        return None
    return label or None


def _json_label(data: bytes, field: str) -> str | None:
    """Return the field of a JSON object as text, None where it has no such text or whole number."""
    value = json.loads(data)
    label = value.get(field) if isinstance(value, dict) else None
    return str(label).strip() if isinstance(label, (str, int)) and not isinstance(label, bool) else None


def _samples(members: Iterable[Member], gathering: Gathering) -> Iterator[Sample]:
    """Yield the samples that a shard holds whole, each key once."""
    sample: Sample | None = None
    seen: set[str] = set()
    twice = ""
    for member in members:
        if member.name == pictures.SUMS_MEMBER:
            continue
        key, extension = _key_of(member.name)
        if sample is not None and key != sample.key:
            yield sample
            sample = None
        if sample is None:
            if key in seen:
                if key != twice:
                    gathering.fault(member.name, "has the key of an earlier sample in its shard; the first is read")
                twice = key
                continue
            seen.add(key)
            sample = Sample(key)
        if not member.name.lower().endswith(SUFFIXES):
            sample.others.setdefault(extension, member)
        elif sample.picture is None:
            sample.picture = member
        else:
            gathering.fault(member.name, f"is a second picture of its sample, besides {sample.picture.name}")
    if sample is not None:
        yield sample


def _key_of(name: str) -> tuple[str, str]:
    """Return the key of a member's sample, its path up to the first dot of its name, and its extension."""
    folder, slash, last = name.rpartition("/")
    stem, _, extension = last.partition(".")
    return folder + slash + stem, extension.lower()


def _members(file: BinaryIO, gathering: Gathering) -> Iterator[Member]:
    """Yield the plain files that a shard holds whole, but hidden ones; nothing is unpacked.

    A damaged header costs the member that it is of. A hard link to a plain file of the shard is that file.
    """
    size = os.fstat(file.fileno()).st_size
    targets = _Targets(file, size)
    begin = 0
    for _ in range(MAX_DAMAGED):
        end = yield from _members_from(file, begin, size, gathering, targets)
        if end is None:
            return
        found = _next_header(file, end + tarfile.BLOCKSIZE, size)
        if found is None:
            break
        begin = found
        gathering.fault("", f"has a damaged header at byte {end:,}; what lies from there to byte {begin:,} is left out")
    gathering.fault("", "is cut short; what lies whole before that is read" if end else "is no tar file")


def _members_from(
    file: BinaryIO, begin: int, size: int, gathering: Gathering, targets: _Targets
) -> Generator[Member, None, int | None]:
    """Yield the members from a header on; return where there is none, None at the end of the shard."""
    end = begin
    file.seek(begin)
    try:
        with tarfile.open(fileobj=file, mode="r:", tarinfo=Header) as archive:
            while (info := archive.next()) is not None:
                archive.members.clear()  # type: ignore[attr-defined]  # which would hold a kilobyte for each
                if info.size < 0:  # the next header would be one that was read already
                    raise tarfile.ReadError("a member of negative size")
                end = info.offset_data + -(-info.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
                name = info.name.removeprefix("./")
                hidden = PurePosixPath(name).name.startswith(".")
                if not (info.isreg() or info.issym() or info.islnk()) or (hidden and name != pictures.SUMS_MEMBER):
                    continue
                if info.issparse():
                    gathering.fault(name, "is stored as a sparse file, which is not read; pack it without --sparse")
                elif name.startswith("/") or ".." in name.split("/") or "\0" in name:
                    gathering.fault(name, "has a name that leads out of its shard, so it is left out")
                elif info.issym():
                    gathering.fault(name, "is a symbolic link, which is not followed; pack it with tar --dereference")
                elif info.islnk():
                    if (target := targets.of(info.linkname)) is None:
                        gathering.fault(name, "is a hard link to what its shard does not hold")
                    else:
                        yield target._replace(name=name)
                elif end <= size:
                    yield Member(name, info.offset_data, info.size)
            if _read(file, end, tarfile.BLOCKSIZE) == bytes(tarfile.BLOCKSIZE):
                if (behind := _next_header(file, end, size)) is not None:
                    why = "ends there and goes on as another tar, as cat joins them, which is not read; keep them apart"
                    gathering.fault("", f"{why} (byte {behind:,})")
                return None
    except DAMAGED:
        pass
    return end


class _Targets:
    """The plain files that hard links of a shard may mean, looked for when the first one asks."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._size = file, size

    def of(self, link: str) -> Member | None:
        """Return the file that a link names, None where the shard does not hold it whole."""
        return self._members.get(link.removeprefix("./"))

    @cached_property
    def _members(self) -> dict[str, Member]:
        found: dict[str, Member] = {}
        self._file.seek(0)
        with contextlib.suppress(*DAMAGED), tarfile.open(fileobj=self._file, mode="r:", tarinfo=Header) as archive:
            while (info := archive.next()) is not None and info.size >= 0:
                archive.members.clear()  # type: ignore[attr-defined]  # as below
                if info.isreg() and not info.issparse() and info.offset_data + info.size <= self._size:
                    member = Member(info.name.removeprefix("./"), info.offset_data, info.size)
                    found.setdefault(member.name, member)
        return found


def _next_header(file: BinaryIO, begin: int, size: int) -> int | None:
    """Return where the next header lies that has its own checksum, None where there is none nearby."""
    for start in range(begin, min(size, begin + MAX_BEHIND), PIECE):
        piece = _read(file, start, PIECE)
        for at in range(0, len(piece) if b"ustar" in piece else 0, tarfile.BLOCKSIZE):
            block = piece[at : at + tarfile.BLOCKSIZE]
            if block[MAGIC] == b"ustar":
                with contextlib.suppress(*DAMAGED):
                    Header.frombuf(block, "utf-8", "surrogateescape")
                    return start + at
    return None
