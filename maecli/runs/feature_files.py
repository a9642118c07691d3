"""Files of features: safetensors, npy or CSV, with a row of names for each sample.

Shapes: N samples, P patches, D embed_dim, Q classes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from maecli.errors import SpecError, nearest
from maecli.runs.skipped import skipped_csv
from maecli.storage.files import disk_errors, new_file, write_text
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

        Raises SpecError when the two contradict each other, or something is in the way.
        """
        self.out, self.format = out, _format(out, file_format)
        self.names = out if self.format == "csv" else out.with_name(f"{out.name}.csv")
        self.skipped = out.with_name(f"{out.name}.skipped.csv")
        for path in (self.out, self.names):
            if path.is_dir():
                raise SpecError(f"{path} is a folder; choose another --out")
            if path.exists() and not overwrite:
                raise SpecError(f"{path} is there already; use --overwrite to replace it, or another --out")

    def write(self, features: np.ndarray, keys: Sequence[str], labels: Labels | None, about: Mapping[str, Any]) -> None:
        """Write features float32 (N, D) or (N, P, D); `about` goes into the metadata of safetensors."""
        with disk_errors(self.out):
            self.out.parent.mkdir(parents=True, exist_ok=True)
        if self.format == "csv":
            write_text(self.out, _rows(keys, labels, features))
            return
        with new_file(self.out) as temporary:
            if self.format == "npy":
                with temporary.open("wb") as file:
                    np.save(file, features)
            else:
                self._save_tensors(temporary, features, labels, about)
        write_text(self.names, _rows(keys, labels))

    def _save_tensors(self, path: Path, features: np.ndarray, labels: Labels | None, about: Mapping[str, Any]) -> None:
        from safetensors.numpy import save_file

        tensors = {"features": np.ascontiguousarray(features)}
        told = dict(about)
        if labels is not None:
            tensors["label"] = np.ascontiguousarray(labels.numbers)
            told["classes"] = list(labels.classes)
        save_file(tensors, path, {"features": json.dumps(told)})
        path.chmod(path.parent.stat().st_mode & 0o666)  # it writes files that nobody else may read

    def write_skipped(self, files: dict[str, str]) -> None:
        """Write the unreadable files, path → reason; without any, a list of an earlier time goes."""
        if files:
            write_text(self.skipped, skipped_csv(files))
        else:
            with disk_errors(self.skipped):
                self.skipped.unlink(missing_ok=True)


def _format(out: Path, given: str | None) -> str:
    ending = out.suffix.lower().removeprefix(".")
    if given is not None and given not in FORMATS:
        raise SpecError(f"--format {given!r} is none of {', '.join(FORMATS)}{nearest(given, FORMATS)}")
    if ending in FORMATS and given not in (None, ending):
        raise SpecError(f"--out {out} ends in .{ending}, and --format is {given}; leave one of them out")
    if given is None and ending not in FORMATS:
        raise SpecError(f"--out {out} ends in none of .{', .'.join(FORMATS)}; give --format")
    return given or ending


def _rows(keys: Sequence[str], labels: Labels | None, features: np.ndarray | None = None) -> str:
    """Return CSV: path, label if any is known, and the features with as many digits as float32 has."""
    columns = ["path"] if labels is None else ["path", "label"]
    lines = [csv_line([*columns, *(f"f{i}" for i in range(0 if features is None else features.shape[1]))])]
    known = labels.names() if labels is not None else None
    for i, key in enumerate(keys):
        names = csv_line([key] if known is None else [key, next(known)])
        numbers = [] if features is None else [f"{value:.9g}" for value in features[i].tolist()]
        lines.append(",".join([names.removesuffix("\n"), *numbers]) + "\n")
    return "".join(lines)
