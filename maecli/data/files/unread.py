"""Files that are not read: those that are like samples, and other kinds, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

ARCHIVES = (
    *(".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst", ".tar", ".tgz", ".tbz2", ".txz", ".zip", ".rar", ".7z", ".gz"),
    *(".bz2", ".xz", ".zst", ".cbz", ".iso"),
)
"""How archives are named, which hold files and are not looked into; the longer endings first."""
OTHERS = frozenset(
    {
        *(
            ".txt",
            ".md",
            ".rst",
            ".csv",
            ".tsv",
            ".json",
            ".jsonl",
            ".geojson",
            ".xml",
            ".yaml",
            ".yml",
            ".toml",
            ".ini",
        ),
        *(".ini", ".cfg", ".log", ".html", ".htm", ".css", ".js", ".py", ".ipynb", ".m", ".r", ".sh", ".pdf", ".doc"),
        *(
            ".docx",
            ".xls",
            ".xlsx",
            ".ods",
            ".odt",
            ".ppt",
            ".pptx",
            ".rtf",
            ".xmp",
            ".aae",
            ".db",
            ".sqlite",
            ".parquet",
        ),
        *(".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".mp3", ".wav", ".flac", ".ogg"),
        *(".pt", ".pth", ".ckpt", ".safetensors", ".onnx", ".pkl", ".pickle", ".npz", ".h5", ".hdf5", ".mat", ".lmdb"),
        *(".exe", ".dll", ".so", ".lnk", ".url", ".tfrecord", ".tfrecords", ".prj", ".tfw", ".jgw", ".pgw", ".wld"),
        *(".shp", ".shx", ".dbf", ".cpg", ".sha256", ".md5", ".part1", ".whl", ".c", ".cpp", ".java", ".tex", ".bib"),
    }
)
"""How files end that are no samples whatever they hold, in small letters."""


@dataclass(frozen=True)
class Unread:
    """Files that are like samples and are not read, by how their names end, and what a person may do about them."""

    what: str
    suffixes: tuple[str, ...]
    """In small letters."""
    way_out: str
    spare: bool = False
    """Whether nothing is lost, because another file is read in its place."""
    of_samples: bool = False
    """Whether its names are those of samples, with a suffix more."""

    @property
    def reason(self) -> str:
        return f"{self.what}, which is not read; {self.way_out}"


UNFINISHED = Unread(
    "an unfinished or temporary file",
    (".crdownload", ".download", ".part", ".partial", ".temp", ".tmp"),
    "rename it once it is whole",
    of_samples=True,
)
KEPT = Unread("a copy that a program keeps", (".bak", ".old", ".orig", "~"), "rename it if it is data", True, True)


def find_unread(path: str, kinds: Sequence[Unread], suffixes: Collection[str]) -> Unread | None:
    """Return the kind of file that is like a sample and not read, by its name; None for samples and others."""
    name = path.lower()
    if name.endswith(tuple(suffixes)):
        return None
    return next((kind for kind in kinds if name.endswith(kind.suffixes) and _is_like(name, kind, suffixes)), None)


def _is_like(name: str, kind: Unread, suffixes: Collection[str]) -> bool:
    """Whether a copy, or what was not finished, is that of a sample: not `notes.txt~`."""
    ending = next(suffix for suffix in kind.suffixes if name.endswith(suffix))
    return not kind.of_samples or name.removesuffix(ending).endswith(tuple(suffixes))


def suffix_of(path: str) -> str:
    """Return how a name ends, in small letters: that of an archive with both of its parts; nothing without any."""
    name = path.rpartition("/")[2].lower()
    archive = next((ending for ending in ARCHIVES if name.endswith(ending)), "")
    return archive or ("." + name.rpartition(".")[2] if "." in name.strip(".") else "")


def count_kinds(paths: Iterable[str]) -> dict[str, int]:
    """Return how many of the paths end so, the most frequent endings first."""
    counts = Counter(map(suffix_of, paths))
    return {suffix: counts[suffix] for suffix in sorted(counts, key=lambda suffix: (-counts[suffix], suffix))}


def kinds_in_words(kinds: Mapping[str, int]) -> str:
    """Return kinds of files with their numbers; of archives, what to do."""
    parts = [f"{num:,} {suffix or 'without a suffix'}{_unpack(suffix, num)}" for suffix, num in kinds.items()]
    return ", ".join(parts)


def _unpack(suffix: str, num: int) -> str:
    if suffix not in ARCHIVES:
        return ""
    return " (an archive: unpack it)" if num == 1 else " (archives: unpack them)"


def what_is_there(paths: Sequence[str], kinds: Sequence[Unread], suffixes: Collection[str]) -> str:
    """Return in words what a folder without samples holds, and why the first that is like one is not read."""
    if not paths:
        return "it is empty"
    like = next(((path, kind) for path in paths if (kind := find_unread(path, kinds, suffixes))), None)
    why = f"; {like[0]} is {like[1].reason}" if like else ""
    return f"it holds {kinds_in_words(count_kinds(paths))}{why}"
