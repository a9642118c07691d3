"""The folder of one year: its official lists and its files, and the rules that they break."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator
from functools import cached_property
from pathlib import Path

from maecli import api

from .layout import FAMILIES, SUFFIXES, Family

MAX_CHARACTERS = 2**26
"""Of a list; the longest published one has 430,000."""


class Devkit:
    """The folder of one year."""

    def __init__(self, folder: Path, year: int) -> None:
        self.folder, self.year = folder, year
        self.families = tuple(family for family in FAMILIES if (folder / "ImageSets" / family).is_dir())
        self._read: dict[Family, tuple[dict[str, list[str]], list[api.Fault]]] = {}
        self._stems: dict[str, frozenset[str]] = {}

    def lists(self, family: Family) -> dict[str, list[str]]:
        """Return the ids of the official lists `train`, `val` and, if it is there, `test`."""
        return self._read_lists(family)[0]

    @cached_property
    def secret(self) -> frozenset[str]:
        """The ids of test lists whose labels are not public: nothing may be learnt from these pictures."""
        if self.year == 2007:
            return frozenset()
        return frozenset(key for family in self.families for key in self.lists(family).get("test", ()))

    def faults(self, family: Family, needed: Collection[str]) -> list[api.Fault]:
        """Return what is wrong with the lists of a family, and which files in the folders `needed` are absent."""
        lists, faults = self._read_lists(family)
        faults = list(faults)
        for kind in needed:
            if lists and not (self.folder / kind).is_dir():
                faults.append(self.fault(kind, "is missing"))
                continue
            for name, ids in lists.items():
                if name != "test" or self.year == 2007:
                    path = f"ImageSets/{family}/{name}.txt"
                    absent = (key for key in ids if key not in self.stems(kind))
                    faults += [
                        self.fault(path, f"names {key}, but there is no {kind}/{key}{SUFFIXES[kind]}") for key in absent
                    ]
        return faults

    def stems(self, kind: str) -> frozenset[str]:
        """Return the ids that have a file in the folder `kind`."""
        if kind not in self._stems:
            with contextlib.suppress(OSError), os.scandir(self.folder / kind) as entries:
                names = [entry.name for entry in entries]
                self._stems[kind] = frozenset(Path(name).stem for name in names if name.endswith(SUFFIXES[kind]))
        return self._stems.get(kind, frozenset())

    def rows(self, path: str, faults: list[api.Fault], if_empty: str) -> list[list[str]]:
        """Return the words of each line that has any."""
        try:
            with (self.folder / path).open(encoding="utf-8-sig") as file:
                text = file.read(MAX_CHARACTERS + 1)
        except FileNotFoundError:
            faults.append(self.fault(path, "is missing"))
            return []
        except (OSError, UnicodeDecodeError) as error:
            faults.append(self.fault(path, f"cannot be read ({error})"))
            return []
        if len(text) > MAX_CHARACTERS:
            faults.append(
                self.fault(path, f"has more than {MAX_CHARACTERS:,} characters, so it is no list of pictures")
            )
            return []
        rows = [words for line in text.splitlines() if (words := line.split(maxsplit=2))]
        if not rows:
            faults.append(self.fault(path, if_empty))
        return rows

    def fault(self, path: str, rule: str) -> api.Fault:
        """Return the fault of a file, by its path from the folder that holds the year's."""
        return api.Fault(f"{self.folder.name}/{path}", rule)

    def _read_lists(self, family: Family) -> tuple[dict[str, list[str]], list[api.Fault]]:
        if family not in self._read:
            faults: list[api.Fault] = []
            self._read[family] = dict(self._official(family, faults)), faults
        return self._read[family]

    def _official(self, family: Family, faults: list[api.Fault]) -> Iterator[tuple[str, list[str]]]:
        where = f"ImageSets/{family}"
        if family not in self.families:
            missing = where if (self.folder / "ImageSets").is_dir() else "ImageSets"
            faults.append(self.fault(missing, "is missing; VOC's lists of pictures stand there"))
            return
        seen: dict[str, str] = {}
        for name in ("train", "val", "test"):
            path = f"{where}/{name}.txt"
            if name == "test" and not (self.folder / path).is_file():
                continue
            ids = [row[0] for row in self.rows(path, faults, "names no image")]
            for key in ids:
                if key in seen:
                    again = " twice" if seen[key] == name else f", which {seen[key]}.txt names too"
                    faults.append(self.fault(path, f"names {key}{again}"))
                seen.setdefault(key, name)
            yield name, list(dict.fromkeys(ids))
