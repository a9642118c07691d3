"""Finding the pictures of a folder: by name, or by content where the name says nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from maecli.data.files.finding import Found, search
from maecli.data.files.unread import ARCHIVES, KEPT, OTHERS, UNFINISHED, Unread, find_unread, what_is_there
from maecli.data.views.keys import Keys
from maecli.errors import BrokenSample
from maecli.modalities.pictures.codecs.formats import PICTURE_SUFFIXES, is_picture_content

NUM_THREADS = 8

UNREAD = (
    Unread(
        "a camera's raw file",
        (
            *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".gpr", ".iiq", ".kdc", ".mef"),
            *(".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw"),
            ".x3f",
        ),
        "export it as JPEG or TIFF",
    ),
    Unread(
        "a drawing or a project of a graphics program",
        (
            *(".ai", ".cdr", ".drw", ".emf", ".eps", ".kra", ".ps", ".psb", ".psd", ".sketch", ".svg", ".svgz", ".wmf"),
            ".xcf",
        ),
        "export it as PNG",
    ),
    Unread(
        "a picture in a format of its own",
        (
            *(".cur", ".dds", ".exr", ".fit", ".fits", ".fts", ".hdr", ".icns", ".ico", ".jxl", ".jxr", ".ktx", ".pcx"),
            *(".pict", ".qoi", ".ras", ".rgb", ".sgi", ".tga", ".wdp", ".xbm", ".xpm"),
        ),
        "convert it to PNG, or to TIFF where it has more than 8 bits",
    ),
    Unread(
        "a scan of a microscope or a medical device",
        (
            *(".bif", ".czi", ".dcm", ".dicom", ".ima", ".lif", ".mrxs", ".nd2", ".ndpi", ".oib", ".oif", ".scn"),
            *(".svs", ".vsi"),
        ),
        "convert it, or tiles of it, to PNG or TIFF",
    ),
    Unread("a document of pictures", (".djv", ".djvu"), "export its pages as PNG"),
    Unread("a part of another file", (".msk", ".ovr", ".thm"), "its picture is read in its place", spare=True),
    KEPT,
    UNFINISHED,
)
"""Files of these names are never read by content: a camera's raw file begins as a TIFF whose first page is small."""
_NAMED = tuple(suffix for kind in UNREAD for suffix in kind.suffixes) + ARCHIVES


@dataclass(frozen=True)
class FoundPictures:
    """The pictures of a folder, and what else lies there."""

    found: Found

    @property
    def root(self) -> Path:
        return self.found.root

    @property
    def files(self) -> Keys:
        """All that may be data, as sorted relative POSIX paths."""
        return self.found.files

    @cached_property
    def pictures(self) -> Keys:
        """Files that are named as pictures, and those that begin as one where the name says nothing, sorted."""
        ids = [i for i, path in enumerate(self.files) if self.is_one(path)]
        return self.files if len(ids) == len(self.files) else self.files.take(ids)

    def is_one(self, path: str) -> bool:
        """Whether a file is a picture by its name, or by how it begins."""
        return is_picture(path) or path in self._by_content

    @cached_property
    def _by_content(self) -> frozenset[str]:
        """Files that begin as a picture, and whose names say nothing."""
        unknown = [path for path in self.files if says_nothing(path)]
        with ThreadPoolExecutor(NUM_THREADS) as pool:  # opening files waits for the disk
            begun = pool.map(is_picture_content, [self.root / path for path in unknown])
            return frozenset(path for path, is_one in zip(unknown, begun, strict=True) if is_one)

    def left_out(self) -> dict[str, int]:
        """Return how many files are like pictures and not read, by place or kind, and why."""
        counts = self.found.left_out(is_picture)
        for path in self.found.files:
            if (kind := find_unread(path, UNREAD, PICTURE_SUFFIXES)) is not None and not kind.spare:
                what = f"named as {kind.what} (*{PurePosixPath(path).suffix.lower()})"
                counts[what] = counts.get(what, 0) + 1
        return counts

    def what_is_there(self) -> str:
        """Return in words what a folder without pictures holds."""
        return what_is_there(self.files, UNREAD, PICTURE_SUFFIXES)


def search_pictures(root: Path) -> FoundPictures:
    """Return the pictures under a folder, without what is no data."""
    return FoundPictures(search(root))


def find_pictures(root: Path) -> list[str]:
    """Return the pictures under `root` as a sorted list of relative POSIX paths: see `FoundPictures.pictures`."""
    return list(search_pictures(root).pictures)


def is_picture(path: str) -> bool:
    """Whether the name ends as a picture's does, in capitals or not."""
    return _suffix(path.lower()) in PICTURE_SUFFIXES


def says_nothing(path: str) -> bool:
    """Whether a name says neither that the file is a picture nor that it is something else."""
    name = path.lower()
    suffix = _suffix(name)
    return suffix not in PICTURE_SUFFIXES and suffix not in OTHERS and not name.endswith(_NAMED)


def _suffix(path: str) -> str:
    """Return how the name of a file ends, as a Path has it, which takes long for each of very many."""
    name = path.rpartition("/")[2]
    at = name.rfind(".")
    return name[at:] if 0 < at < len(name) - 1 else ""


def check_is_read(path: Path) -> None:
    """Raise BrokenSample for a file whose name says that its content is not read, whatever it begins with."""
    kind = find_unread(path.name, UNREAD, PICTURE_SUFFIXES)
    if kind is not None:
        raise BrokenSample(str(path), f"is {kind.reason}")
