"""Entry points of packages that are not installed."""

from __future__ import annotations

from email.message import Message
from importlib.metadata import Distribution, EntryPoint
from typing import Any


class Package(Distribution):
    """A package that is not installed."""

    def __init__(self, name: str, version: str) -> None:
        self._metadata = Message()
        self._metadata["Name"], self._metadata["Version"] = name, version

    @property
    def metadata(self) -> Any:
        return self._metadata

    def read_text(self, filename: str) -> str | None:
        return None

    def locate_file(self, path: Any) -> Any:
        raise NotImplementedError


def point(name: str, module: str = "nowhere", package: str = "mae-birds", version: str = "1.2") -> EntryPoint:
    point = EntryPoint(name, module, "mae")
    vars(point)["dist"] = Package(package, version)
    return point
