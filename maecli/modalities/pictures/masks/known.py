"""The masks of a person's own pictures: where they lie, as the masks of a data set do, and how they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from maecli.data.card import DataCard
from maecli.data.files.finding import find_files
from maecli.layouts.read import read_layout
from maecli.layouts.words import meaning
from maecli.modalities.known_masks import LEVELS, KnownMasks, key_of
from maecli.modalities.pictures.finding import is_picture
from maecli.modalities.pictures.masks.code import MaskCode, class_palette
from maecli.modalities.pictures.masks.read import read_mask, settle_masks

NUM_PEEKED = 32
"""Masks by which it is told how all are read."""


def known_masks(root: Path, keys: Sequence[str], folders: Mapping[Path, bool], card: DataCard) -> KnownMasks:
    """Return the masks of pictures below a root, which lie beside them or in a folder beside theirs.

    `folders` hold the pictures: whether each counts with all that lies below it.
    """
    wanted, files = frozenset(keys), dict[str, Path]()
    rivals: list[str] = []
    for folder, whole in folders.items():
        for base, paths in _places(folder, whole):
            layout = read_layout(paths, is_picture, card.files.layout, lenient=True)
            rivals += layout.rivals
            for picture, mask in layout.masks.items():
                if (key := key_of(root, base / picture)) in wanted:
                    files.setdefault(key, base / mask)
    problem = ""
    if rivals:
        named = " and ".join(f"{name}/" for name in dict.fromkeys(rivals))
        problem, files = f"no true mask is known: there are several of a picture, in {named}", {}
    return KnownMasks(files, _reader([*files.values()], card), problem)


def _places(folder: Path, whole: bool) -> Iterator[tuple[Path, list[str]]]:
    """Yield a base, and the paths below it among which pictures and masks are told apart."""
    own = find_files(folder) if whole else sorted(path.name for path in folder.iterdir() if path.is_file())
    yield folder, own
    for base in list(folder.parents)[:LEVELS]:
        names = [meaning(name) for name in folder.relative_to(base).parts]
        if all(name.kind == "image" or name.split for name in names) and any(name.kind == "image" for name in names):
            beside = [each for each in base.iterdir() if each.is_dir() and meaning(each.name).kind == "mask"]
            masks = [f"{each.name}/{path}" for each in sorted(beside) for path in find_files(each)]
            if masks:
                below = folder.relative_to(base).as_posix()
                yield base, [*(f"{below}/{path}" for path in own), *masks]


def _reader(masks: Sequence[Path], card: DataCard) -> Callable[[Path], np.ndarray]:
    """Return what reads masks as the run's data set did, and where that leaves it open as some of them say."""
    files, palette = card.files, card.mask_palette
    code = MaskCode(
        own_colours=palette != class_palette(len(palette)),
        background=card.background,
        foreground=files.mask_foreground,
        palettes=files.mask_palettes,
        greys=files.mask_greys,
        first=files.mask_first,
    )
    settled = settle_masks(sorted(masks)[:NUM_PEEKED], palette, code).code
    return partial(read_mask, num_classes=len(palette), palette=palette, code=settled)
