"""The masks of a person's own volumes: where they lie, as the masks of a data set do, and how they are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from maecli.data.card import DataCard
from maecli.errors import BrokenSample
from maecli.modalities.known_masks import LEVELS, KnownMasks, key_of
from maecli.modalities.volumes.cases import MaskReading, class_numbers
from maecli.modalities.volumes.pairs import OF_MASKS, find_volume_files, kind_of, pair
from maecli.modalities.volumes.prepare import read_channels, same_place
from maecli.modalities.volumes.space import read_space


def known_masks(root: Path, keys: Sequence[str], folders: Mapping[Path, bool], card: DataCard) -> KnownMasks:
    """Return the masks of volumes below a root, which lie beside them or in a folder beside theirs.

    `folders` hold the volumes: whether each counts with all that lies below it. A mask that does not lie on its volume
    cannot be read.
    """
    wanted, files = frozenset(keys), dict[str, Path]()
    endings = card.volumes.endings if card.volumes is not None else ()
    for folder, whole in folders.items():
        for base, paths in _places(folder, whole):
            for volume, mask in pair(paths, endings).masks.items():
                if (key := key_of(root, base / volume)) in wanted:
                    files.setdefault(key, base / mask)
    volume_of = {mask: root / key for key, mask in files.items()}
    reading = MaskReading(card.mask_classes, card.volumes.void if card.volumes is not None else None)

    def read(path: Path) -> np.ndarray:
        if why := same_place(read_space(path), read_space(volume_of[path]), (f"its mask {path.name}", "it")):
            raise BrokenSample(str(path), why)
        return class_numbers(read_channels([path], 1)[0][0], reading)

    return KnownMasks(files, read)


def _places(folder: Path, whole: bool) -> Iterator[tuple[Path, list[str]]]:
    """Yield a base, and the paths below it among which volumes and masks are told apart."""
    own = [path for path in find_volume_files(folder) if whole or "/" not in path]
    yield folder, own
    for base in list(folder.parents)[:LEVELS]:
        beside = [each for each in base.iterdir() if each.is_dir() and kind_of(each.name)[0] in OF_MASKS]
        masks = [f"{each.name}/{path}" for each in sorted(beside) for path in find_volume_files(each)]
        if masks and folder not in beside:
            below = folder.relative_to(base).as_posix()
            yield base, [*(f"{below}/{path}" for path in own), *masks]
