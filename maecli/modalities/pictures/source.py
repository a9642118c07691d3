"""A person's own picture files, as a trained model wants to see them."""

from __future__ import annotations

from maecli.modalities.files import Files, named
from maecli.modalities.pictures.read import probe_picture


class PictureSource(Files):
    """Pictures, a file each, whose sizes stand in their heads."""

    def size(self, index: int) -> tuple[int, ...]:
        key = self.keys[index]
        with named(key):
            return probe_picture(self.root / key).size
