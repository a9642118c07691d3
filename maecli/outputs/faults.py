"""Files that are left out: each is named once, and listed in a CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

from maecli.errors import DamagedFile, DataError, Fault
from maecli.storage.documents import read_text
from maecli.storage.tables import csv_line
from maecli.text import one_line

SKIPPED = "skipped.csv"
COLUMNS = ("path", "reason")
MAX_BYTES = 64 * 2**20


class Faults(Collection[Fault]):
    """The faults that were met, of each path the first one; `say` is told of each, or with `strict` it ends the run."""

    def __init__(self, say: Callable[[str], None] = lambda _: None, strict: bool = False) -> None:
        self.say, self.strict = say, strict
        self._by_path: dict[str, Fault] = {}

    def add(self, fault: Fault) -> None:
        """Note a fault. Raises DataError where they are strict."""
        if self.strict:
            raise DataError(f"{fault}; mend or remove it, or go without --strict to leave it out")
        if fault.path not in self._by_path:
            self._by_path[fault.path] = fault
            self.say(f"left out: {one_line(fault.path)}: {one_line(fault.reason)}")

    def update(self, faults: Iterable[Fault]) -> None:
        for fault in faults:
            self.add(fault)

    def __iter__(self) -> Iterator[Fault]:
        return iter(self._by_path.values())

    def __len__(self) -> int:
        return len(self._by_path)

    def __contains__(self, fault: object) -> bool:
        return isinstance(fault, Fault) and self._by_path.get(fault.path) == fault


def faults_csv(faults: Iterable[Fault]) -> str:
    """Return the CSV text of faults, by path."""
    return "".join(map(csv_line, [COLUMNS, *((fault.path, fault.reason) for fault in sorted(faults))]))


def read_faults(path: Path) -> list[Fault]:
    """Return the faults that a list names; none where there is no list.

    Raises DamagedFile for a file that is no such list.
    """
    try:
        lines = csv.reader(io.StringIO(read_text(path, MAX_BYTES), newline=""))
        head, *rows = [row for row in lines if row]
    except FileNotFoundError:
        return []
    except (csv.Error, ValueError) as error:
        raise DamagedFile(path, "is no list of files that were left out") from error
    if tuple(head) != COLUMNS or any(len(row) != len(COLUMNS) for row in rows):
        raise DamagedFile(path, "is no list of files that were left out")
    return [Fault(path, reason) for path, reason in rows]
