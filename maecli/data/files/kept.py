"""What was found out about a large file, kept beside it, so that it is found out once.

It lies in a hidden folder beside the file, or, where nothing can be written there, in the cache of the user. What was
kept of a file whose size or time of change is another now is not used, nor is what is not whole or what others changed:
it is put in its place at one stroke, and a checksum of it is compared when it is read.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from maecli.errors import MaeError
from maecli.storage.files import new_file

FOLDER = ".mae-index"
STAMP, CHECKSUM = "stamp", "checksum"

Arrays = Mapping[str, np.ndarray]


def stamp_of(path: Path) -> tuple[int, int]:
    """Return the size of a file in bytes and its time of change in nanoseconds. Raises OSError."""
    state = path.stat()
    return state.st_size, state.st_mtime_ns


def kept(path: Path, made_by: str) -> dict[str, np.ndarray] | None:
    """Return what `made_by` found out of a file, None where nothing is kept of it as it is now. Raises OSError."""
    stamp = _stamp(path, made_by)
    for place in _places(path):
        try:
            found = _read(place)
        except Exception:  # readers of archives and arrays raise almost anything on damaged ones
            continue
        if str(found.pop(STAMP, "")) == stamp:
            return found
    return None


def _read(place: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a file, which are no larger than it."""
    if not place.is_file():  # a pipe may never end
        raise FileNotFoundError(place)
    with place.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        if any(member.compress_type != zipfile.ZIP_STORED for member in arrays.zip.infolist()):
            raise zipfile.BadZipFile(f"{place} is compressed, as mae writes none")
        found = {name: arrays[name] for name in arrays.files}
    if str(found.pop(CHECKSUM, "")) != _checksum(found):
        raise ValueError(f"{place} was changed")
    return found


def _checksum(arrays: Arrays) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def keep(path: Path, made_by: str, arrays: Arrays, stamp: tuple[int, int]) -> Path | None:
    """Keep what `made_by` found out of a file as it was at its `stamp`; return where, None where there is no place."""
    stamped = {STAMP: np.array(_as_text(stamp, made_by)), **arrays}
    return next((place for place in _places(path) if _write(place, stamped)), None)


def remembered(folder: Path, made_by: str) -> dict[str, np.ndarray] | None:
    """Return what `made_by` found out about the files of a folder; it must say itself which of these it still knows."""
    try:
        found = next(map(_read, _in_cache(folder)), {})
    except Exception:  # as above
        return None
    return found if str(found.pop(STAMP, "")) == made_by else None


def remember(folder: Path, made_by: str, arrays: Arrays) -> None:
    """Remember what was found out about the files of a folder in the cache of the user, if anything can be there."""
    for place in _in_cache(folder):
        _write(place, {STAMP: np.array(made_by), **arrays})


def _write(place: Path, arrays: Arrays) -> bool:
    """Write arrays, and return whether that could be done."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with new_file(place) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays, **{CHECKSUM: np.array(_checksum(arrays))})  # type: ignore[arg-type]
    except (OSError, MaeError):
        return False
    return True


def _stamp(path: Path, made_by: str) -> str:
    return _as_text(stamp_of(path), made_by)


def _as_text(stamp: tuple[int, int], made_by: str) -> str:
    return f"{made_by} {stamp[0]} {stamp[1]}"


def _places(path: Path) -> list[Path]:
    """Return where something is kept of a file, the better place first."""
    return [path.parent / FOLDER / f"{path.name}.npz", *_in_cache(path)]


def _in_cache(path: Path) -> list[Path]:
    """Return the place in the cache of the user; none for users without a home."""
    absolute = os.path.abspath(path)  # noqa: PTH100  # links stay as they are: they may lie where one can write
    digest = hashlib.blake2b(os.fsencode(absolute), digest_size=12).hexdigest()
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    except RuntimeError:
        return []
    return [cache / "mae" / "index" / f"{digest}.npz"]
