"""Persons' files on their way back, with what was missing in them filled in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from maecli.errors import BrokenSample, Fault
from maecli.modalities.hand_back import HandBack
from maecli.outputs.named_files import NoName, OutputFiles

Encode = Callable[[NDArray[Any], Path | None], tuple[str, bytes]]
"""Returns the suffix and the contents of a file of values, in the form of another file if there is one."""


class FilesBack:
    """Takes samples as they are filled in, and writes each of their files once, when all came."""

    def __init__(
        self,
        files: OutputFiles,
        open_file: Callable[[Path], HandBack | None],
        encode: Encode,
        on_fault: Callable[[Fault], None],
        mark: bool = False,
    ) -> None:
        """Take where files go, what opens one to be filled in, and whether another beside it says what was.

        `encode` makes a file of a sample by itself, of those whose files are not opened.
        """
        self.files, self.open_file, self.encode, self.on_fault, self.mark = files, open_file, encode, on_fault, mark
        self.written: list[str] = []
        """Paths of the files that are filled in, below the folder of files."""
        self.notes: list[str] = []
        self._opened: dict[str, HandBack] = {}
        self._broken: set[str] = set()

    def add(self, key: str, filled: NDArray[Any], source: Path) -> None:
        """Take a sample by its key, `path` or `path#part`, and the file that it came from."""
        path, _, part = key.rpartition("#")
        path, part = (path, part) if path else (key, "")
        if path in self._broken:
            return
        try:
            opened = self._opened.get(path) or self.open_file(source)
        except BrokenSample as error:
            self._broken.add(path)
            self.on_fault(Fault(path, error.fault.reason))
            return
        if opened is None:
            suffix, data = self.encode(filled, source)
            self.files.write(key, suffix, data)
            return
        self._opened[path] = opened
        opened.add(part, filled)

    def write(self) -> None:
        """Write the files; one that was changed meanwhile, or that no name fits, is told as a fault."""
        for path, opened in self._opened.items():
            try:
                self.written.append(self.files.write(path, "", opened.contents()))
                if self.mark:
                    suffix, contents = opened.mark()
                    self.files.write(path, suffix, contents)
            except (NoName, BrokenSample) as error:
                self.on_fault(Fault(path, error.fault.reason if isinstance(error, BrokenSample) else str(error)))
            else:
                self.notes += opened.notes()
