"""Pictures within larger files, such as the shards of a data set: their bytes, read as files are."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import BinaryIO, Literal


@dataclass(frozen=True)
class PictureWithin:
    """The bytes of a picture's file, and what it is called; it is opened as a `Path` is."""

    name: str
    data: bytes

    def open(self, _mode: Literal["rb"]) -> BinaryIO:
        return NamedBytes(self.name, self.data)

    def __str__(self) -> str:
        return self.name


class NamedBytes(io.BytesIO):
    """An open file in memory that has a name, as decoders expect of one."""

    def __init__(self, name: str, data: bytes) -> None:
        super().__init__(data)
        self.name = name
