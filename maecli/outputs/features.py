"""Files of features: safetensors, npy or CSV, with a row of names for each sample.

Shapes: N samples, P patches, D embed_dim, Q classes.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from maecli.errors import Fault, SpecError, nearest
from maecli.outputs.faults import faults_csv
from maecli.storage.files import check_links, new_file, sync, write_text
from maecli.storage.ledger import Ledger
from maecli.storage.lock import locked
from maecli.storage.shareable import shareable
from maecli.storage.tables import csv_line

FORMATS = ("safetensors", "npy", "csv")


@dataclass(frozen=True)
class Labels:
    """What is known of the classes of samples."""

    classes: Sequence[str]
    numbers: np.ndarray
    """(N,) int64, or (N, Q) int8 of several: 1 present, 0 absent; -1 is not known."""

    def names(self) -> Iterator[str]:
        """Yield each sample's class, or those that are present joined by ";"; empty where nothing is known."""
        for number in self.numbers:
            if self.numbers.ndim == 1:
                yield self.classes[int(number)] if number >= 0 else ""
            else:
                yield ";".join(self.classes[q] for q in np.flatnonzero(number == 1).tolist())


class FeatureFiles:
    """Where features go: the file, the CSV of names beside it, and the list of what could not be read.

    A CSV file of features holds the names itself: path, label where any is known, f0, f1, …
    """

    def __init__(self, out: Path, file_format: str | None, overwrite: bool) -> None:
        """Take a file name and a format, by default the one that the name ends in.

        Raises SpecError when the two contradict each other, or something is in the way; MaeError for a link to nothing.
        """
        check_links(out.parent)
        self.out, self.format = out, _format(out, file_format)
        self.names = out if self.format == "csv" else out.with_name(f"{out.name}.csv")
        self.skipped = out.with_name(f"{out.name}.skipped.csv")
        self.ledger = Ledger(self.out.parent, "embed")
        for path in (self.out, self.names, self.skipped):
            if path.is_dir():
                raise SpecError(f"{path} is a folder; choose another --out")
            if not path.exists():
                continue
            if not self.ledger.is_as_noted(path.name):
                raise SpecError(f"{path} is there and was not written by mae embed, so it stays; use another --out")
            if not overwrite:
                raise SpecError(f"{path} is there already; use --overwrite to replace it, or another --out")

    def lock(self) -> contextlib.AbstractContextManager[str]:
        """Hold the right to write these files. Raises Locked, naming who has it, when another process does."""
        return locked(self.out.parent, f"{self.out.name}.lock")

    def write(self, features: np.ndarray, keys: Sequence[str], labels: Labels | None, about: Mapping[str, Any]) -> None:
        """Write features float32 (N, D) or (N, P, D), which may be mapped from a disk; no copy of them is made.

        Killed at any instant it leaves the features and names that were there, the new ones, or features without names:
        those of one set never stand beside those of another. `about` goes into the metadata of safetensors.
        """
        if not self.ledger.began:
            self.ledger.begin(whole=False)
        self.ledger.claim(*dict.fromkeys([self.out.name, self.names.name]))
        if self.format == "csv":
            with new_file(self.out) as table:
                _write_rows(table, keys, labels, features)
            self.ledger.note(self.out.name)
            return
        with new_file(self.names) as names, new_file(self.out) as temporary:  # each takes its place when both are whole
            _write_rows(names, keys, labels)
            with temporary.open("wb") as file:
                self._write_features(file, features, labels, about)
            for new in (names, temporary):
                sync(new)  # before anything goes that was there
            self.ledger.own(self.out.name, self.names.name)  # whichever of the two sets they will be
            self.names.unlink(missing_ok=True)
            sync(self.out.parent)
        self.ledger.note(self.out.name, self.names.name)

    def _write_features(
        self, file: BinaryIO, features: np.ndarray, labels: Labels | None, about: Mapping[str, Any]
    ) -> None:
        if self.format == "npy":
            np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(features))
            file.write(features.data)
            return
        file.write(_safetensors_header(features, labels, about))
        file.write(features.data)
        if labels is not None:
            file.write(labels.numbers.data)

    def write_faults(self, faults: Collection[Fault]) -> None:
        """Write the list of faults; without any, one of an earlier time goes."""
        if faults:
            self.ledger.claim(self.skipped.name)
            write_text(self.skipped, faults_csv(faults))
            self.ledger.note(self.skipped.name)
        else:
            self.ledger.remove(self.skipped.name)


def _format(out: Path, option: str | None) -> str:
    ending = out.suffix.lower().removeprefix(".")
    if option is not None and option not in FORMATS:
        raise SpecError(f"--format {option!r} is none of {', '.join(FORMATS)}{nearest(option, FORMATS)}")
    if ending in FORMATS and option not in (None, ending):
        raise SpecError(f"--out {out} ends in .{ending}, and --format is {option}; leave one of them out")
    if option is None and ending not in FORMATS:
        raise SpecError(f"--out {out} ends in none of .{', .'.join(FORMATS)}; give --format")
    return option or ending


def _safetensors_header(features: np.ndarray, labels: Labels | None, about: Mapping[str, Any]) -> bytes:
    """Return what stands before the tensors `features` and `label`; safetensors' own writer copies them first."""
    arrays, metadata = {"features": features}, dict(about)
    if labels is not None:
        arrays["label"] = labels.numbers
        metadata["classes"] = list(labels.classes)
    header: dict[str, Any] = {"__metadata__": {"features": json.dumps(shareable(metadata))}}
    end = 0
    for name, array in arrays.items():
        begin, end = end, end + array.nbytes
        dtype = {"float32": "F32", "int64": "I64", "int8": "I8"}[str(array.dtype)]
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # the tensors are aligned
    return len(text).to_bytes(8, "little") + text


def _write_rows(path: Path, keys: Sequence[str], labels: Labels | None, features: np.ndarray | None = None) -> None:
    """Write CSV: path, label if any is known, and the features with as many digits as float32 has."""
    names = labels.names() if labels is not None else None
    columns = ["path"] if labels is None else ["path", "label"]
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(csv_line([*columns, *(f"f{i}" for i in range(0 if features is None else features.shape[1]))]))
        for i, key in enumerate(keys):
            row = [key] if names is None else [key, next(names)]
            numbers = () if features is None else (f",{value:.9g}" for value in features[i].tolist())
            file.write("".join((csv_line(row).removesuffix("\n"), *numbers, "\n")))
