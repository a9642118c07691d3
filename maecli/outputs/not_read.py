"""What was not read of a person's folder: files that are like samples by name, other files by kind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from maecli.data.classes.label_files import LABELS_FILES
from maecli.data.files.finding import search
from maecli.data.files.unread import count_kinds, find_unread, kinds_in_words
from maecli.errors import Fault
from maecli.modalities.modality import Modality


@dataclass(frozen=True)
class NotRead:
    """Files below a folder that were not read, whether they could have been or not."""

    faults: list[Fault] = field(default_factory=list)
    """Those that are like samples, and what to do about them."""
    apart: list[Fault] = field(default_factory=list)
    """Those that are like samples and belong to others, so that nothing is lost: masks, copies."""
    kinds: dict[str, int] = field(default_factory=dict)
    """Suffix → number of the other files."""
    no_data: dict[str, int] = field(default_factory=dict)
    """Where files that are like samples lie which are no data, and why → how many: those of mae, of a NAS."""

    def lines(self) -> Iterator[str]:
        """Yield what to say of it, a line each."""
        if self.left_out:
            yield f"left out: {'; '.join(f'{num:,} {what}' for what, num in self.left_out.items())}"
        if self.kinds:
            yield f"not read: {kinds_in_words(self.kinds)}"

    @property
    def left_out(self) -> dict[str, int]:
        """Why files that are like samples are rightly not read → how many."""
        return ({"masks, parts or copies of other files": len(self.apart)} if self.apart else {}) | self.no_data

    def record(self) -> dict[str, Any]:
        """Return the same for programs."""
        return {"left_out": self.left_out, "not_read": self.kinds}


def belonging(modality: Modality) -> str:
    """Return why a file that is like a sample is none."""
    return f"belongs to another {modality.one}, as a part or a drawing of it or its mask"


def find_not_read(source: Path, keys: Iterable[str], modality: Modality) -> NotRead:
    """Return what lies below a folder besides the files of samples with these keys; nothing where `source` is a file.

    Tables of labels are not among it.
    """
    if not source.is_dir():
        return NotRead()
    found, suffixes = search(source), tuple(modality.suffixes)
    read = _files_of(keys, frozenset(found.files))
    faults, apart, others = list[Fault](), list[Fault](), list[str]()
    for path in found.files:
        if path in read or path.rpartition("/")[2].lower() in LABELS_FILES:
            continue
        kind = find_unread(path, modality.unread, suffixes)
        if kind is not None:
            (apart if kind.spare else faults).append(Fault(path, kind.reason))
        elif path.lower().endswith(suffixes):
            apart.append(Fault(path, belonging(modality)))
        else:
            others.append(path)
    no_data = found.left_out(lambda path: path.lower().endswith(suffixes))
    return NotRead(faults, apart, count_kinds(others), no_data)


def _files_of(keys: Iterable[str], files: frozenset[str]) -> set[str]:
    """Return the files that samples come from: `path`, or `path#part` where a file has several."""
    read = set[str]()
    for key in keys:
        path = key
        while path not in files and "#" in path:
            path = path.rpartition("#")[0]
        read.add(path)
    return read
