"""The keys of samples by the names that people write for them."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath

from maecli.data.views.by_key import NONE, Positions
from maecli.data.views.keys import Keys


class Ambiguous(ValueError):
    """A name means several samples."""

    def __init__(self, keys: Iterable[str]) -> None:
        self.keys = sorted(keys)
        super().__init__(" and ".join(self.keys[:2]))


class NamedKeys:
    """Keys below a folder: paths with /, found as they are written, or as only one of them can be meant.

    Understood are backslashes, a leading ./, absolute paths, paths that begin with the folder's own name, the Unicode
    forms NFC and NFD for each other, another case, and names without suffix. With `loose` names without their folders
    are, too.
    """

    def __init__(self, root: Path, keys: Collection[str], loose: bool = False) -> None:
        self.keys, self.loose = Keys.of(keys), loose
        above = root.resolve()
        self.prefixes = [f"{above.as_posix()}/", f"{root.as_posix()}/", f"{above.name}/"]

    def exact(self, names: Sequence[str]) -> list[int]:
        """Return the positions of the keys that names are as they stand, `NONE` of others."""
        return self._as_they_stand.find(names).tolist()

    def place(self, name: str) -> int:
        """Return the position of the key that is meant, `NONE` for none. Raises `Ambiguous` for a name of several."""
        if not name or (place := self._as_they_stand.of(name)) != NONE:
            return place if name else NONE
        path = name.replace("\\", "/").removeprefix("./")
        for each in dict.fromkeys((path, *(path.removeprefix(prefix) for prefix in self.prefixes))):
            for positions, form in self._forms:
                if found := positions.all_of(form(each)):
                    return self._single(found)
        return self._below_folders(path) if self.loose else NONE

    def _below_folders(self, path: str) -> int:
        lower = _folded(path)
        name, keys = lower.rpartition("/")[2], self.keys
        whole = [i for i in self._by_name.all_of(name) if _folded(keys[i]).endswith(f"/{lower}")]
        bare = [i for i in self._by_stem.all_of(name) if _stem(keys[i]).endswith(f"/{lower}")]
        found = whole or bare
        return self._single(found) if found else NONE

    def _single(self, places: Sequence[int]) -> int:
        if len(places) > 1:
            raise Ambiguous(self.keys[i] for i in places)
        return places[0]

    @cached_property
    def _as_they_stand(self) -> Positions:
        return Positions(self.keys)

    @cached_property
    def _forms(self) -> list[tuple[Positions, Callable[[str], str]]]:
        whole = [(self._by(form), form) for form in (_nfc, _folded)]
        return [(self._as_they_stand, str), *whole, (self._by(_stem), _folded)]

    @cached_property
    def _by_name(self) -> Positions:
        return self._by(lambda key: _folded(key).rpartition("/")[2])

    @cached_property
    def _by_stem(self) -> Positions:
        return self._by(lambda key: _stem(key).rpartition("/")[2])

    def _by(self, form: Callable[[str], str]) -> Positions:
        return Positions(Keys.of(map(form, self.keys)))


def _nfc(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _stem(key: str) -> str:
    return PurePosixPath(_folded(key)).with_suffix("").as_posix()
