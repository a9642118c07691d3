"""The folders that hold samples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


class Folder:
    """A folder, the folders in it, and the names of its own files; those alone that are named as samples or masks."""

    __slots__ = ("files", "folders", "name", "path", "total")

    def __init__(self, name: str, path: str) -> None:
        self.name, self.path = name, path
        self.folders: dict[str, Folder] = {}
        self.files: list[str] = []
        self.total = 0
        """Files here and below."""

    def __iter__(self) -> Iterator[Folder]:
        """Yield this folder and all below it."""
        stack = [self]
        while stack:
            folder = stack.pop()
            yield folder
            stack += folder.folders.values()

    @property
    def only(self) -> Folder | None:
        """The one folder that holds everything, if there is one."""
        return next(iter(self.folders.values())) if len(self.folders) == 1 and not self.files else None


def plant(paths: Iterable[str]) -> Folder:
    """Return the tree of relative POSIX paths."""
    root = Folder("", "")
    known: dict[str, Folder] = {"": root}
    for path in paths:
        place, _, name = path.rpartition("/")
        folder = known.get(place)
        if folder is None:
            folder = _dig(place, known)
        folder.files.append(name)
    order = list(root)
    for folder in reversed(order):
        folder.total = len(folder.files) + sum(inner.total for inner in folder.folders.values())
    return root


def _dig(place: str, known: dict[str, Folder]) -> Folder:
    """Return the folder of a path, made with all above it that are not there yet."""
    missing = []
    while place not in known:
        above, _, name = place.rpartition("/")
        missing.append((place, name))
        place = above
    folder = known[place]
    for path, name in reversed(missing):
        inner = known[path] = folder.folders[name] = Folder(name, path)
        folder = inner
    return folder
