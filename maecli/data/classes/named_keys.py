"""The keys of samples by the names that people write for them."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Set
from functools import cached_property
from pathlib import Path, PurePosixPath


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

    def __init__(self, root: Path, keys: Set[str], loose: bool = False) -> None:
        self.keys, self.loose = keys, loose
        above = root.resolve()
        self.prefixes = [f"{above.as_posix()}/", f"{root.as_posix()}/", f"{above.name}/"]

    def find(self, name: str) -> str | None:
        """Return the key that is meant, None for none. Raises `Ambiguous` for a name of several."""
        if not name or name in self.keys:
            return name or None
        path = name.replace("\\", "/").removeprefix("./")
        for each in (path, *(path.removeprefix(prefix) for prefix in self.prefixes)):
            for keys, form in self._forms:
                if found := keys.get(form(each)):
                    return _single(found)
        return self._below_folders(path) if self.loose else None

    def _below_folders(self, path: str) -> str | None:
        lower = _folded(path)
        whole = [key for key in self._by_name.get(lower.rpartition("/")[2], ()) if _folded(key).endswith(f"/{lower}")]
        bare = [key for key in self._by_stem.get(lower.rpartition("/")[2], ()) if _stem(key).endswith(f"/{lower}")]
        found = whole or bare
        return _single(found) if found else None

    @cached_property
    def _forms(self) -> list[tuple[dict[str, list[str]], Callable[[str], str]]]:
        exact = {key: [key] for key in self.keys}
        stems = _by(_stem, self.keys)
        return [(exact, str), (_by(_nfc, self.keys), _nfc), (_by(_folded, self.keys), _folded), (stems, _folded)]

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        return _by(lambda key: _folded(key).rpartition("/")[2], self.keys)

    @cached_property
    def _by_stem(self) -> dict[str, list[str]]:
        return _by(lambda key: _stem(key).rpartition("/")[2], self.keys)


def _single(keys: list[str]) -> str:
    if len(keys) > 1:
        raise Ambiguous(keys)
    return keys[0]


def _by(form: Callable[[str], str], keys: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key in keys:
        found.setdefault(form(key), []).append(key)
    return found


def _nfc(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _stem(key: str) -> str:
    return PurePosixPath(_folded(key)).with_suffix("").as_posix()
