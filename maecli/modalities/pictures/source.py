"""A person's own picture files, as a trained model wants to see them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from maecli.data.card import DataCard
from maecli.data.sample import Sample, Split
from maecli.errors import BrokenSample, DataError
from maecli.modalities.pictures.files import find_pictures
from maecli.modalities.pictures.read import probe_picture, read_picture


class PictureSource(Split):
    """Picture files, brought to the channels and dtype that a model was trained on."""

    def __init__(self, root: Path, keys: Sequence[str], card: DataCard) -> None:
        self.root, self._keys, self.card = root, keys, card
        self.dtype = card.dtype if card.dtype in ("uint8", "uint16") else None  # others keep their own

    @property
    def keys(self) -> Sequence[str]:
        return self._keys

    def files(self, index: int) -> Sequence[Path]:
        return [self.root / self._keys[index]]

    def size(self, index: int) -> tuple[int, ...]:
        key = self._keys[index]
        try:
            return probe_picture(self.root / key).size
        except BrokenSample as error:
            raise BrokenSample(key, error.fault.reason) from error

    def __getitem__(self, index: int) -> Sample:
        key = self._keys[index]
        try:
            return {"image": read_picture(self.root / key, channels=self.card.channels, dtype=self.dtype)}
        except BrokenSample as error:
            raise BrokenSample(key, error.fault.reason) from error


def find_source(source: Path) -> tuple[Path, list[str]]:
    """Return a root and the pictures below it, as relative paths, for a picture or a folder. Raises DataError."""
    source = source.expanduser()
    if source.is_file():
        return source.parent, [source.name]
    if not source.is_dir():
        raise DataError(f"{source} does not exist; give a picture or a folder of pictures")
    keys = find_pictures(source)
    if not keys:
        raise DataError(f"{source} holds no picture (JPEG, PNG, WebP, BMP, TIFF or .npy), also not in its folders")
    return source, keys
