"""Pictures: (C, H, W)."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from maecli.data.card import DataCard, ValueRange
from maecli.data.randomness import Draws
from maecli.data.sample import Sample, Split
from maecli.modalities.files import find_source
from maecli.modalities.known_masks import KnownMasks
from maecli.modalities.modality import Modality
from maecli.modalities.pictures.augment import augment
from maecli.modalities.pictures.chain import changed, check_chain
from maecli.modalities.pictures.codecs.formats import PICTURE_SUFFIXES
from maecli.modalities.pictures.exported import resize_in_graph
from maecli.modalities.pictures.finding import UNREAD, check_is_read, find_pictures
from maecli.modalities.pictures.read import Reading, picture_array, read_image, read_sample
from maecli.modalities.pictures.source import PictureSource
from maecli.modalities.pictures.survey import look_at_picture, shrunk
from maecli.modalities.survey import Look
from maecli.schema import AugmentSpec

HIDDEN = 0.5
"""The grey of what is hidden from a model."""


class Pictures(Modality):
    """Pictures of any number of channels, in files of the usual formats, upright; resized in their proportions."""

    name = "pictures"
    unit, one, part = "pictures", "picture", "pixel"
    axis_names = ("height", "width")
    axes = 2
    suffixes = PICTURE_SUFFIXES
    unread = UNREAD
    keeps_proportions = True
    gaps = False
    pictorial = True
    any_size = True
    augments = frozenset(AugmentSpec.model_fields)
    crops = frozenset({"none", "pad", "random-resized", "scale-jitter"})

    def read(self, path: Path, card: DataCard) -> np.ndarray:
        check_is_read(path)
        return read_image(path, file_reading(card))

    def read_sample(self, path: Path, card: DataCard) -> Sample:
        check_is_read(path)
        return read_sample(path, file_reading(card))

    def convert(self, opened: Any, card: DataCard) -> np.ndarray:
        """Return an opened picture of Pillow's, or an array (H, W) or (H, W, C), as `read` returns a file."""
        return picture_array(opened, file_reading(card))

    def open(self, source: Path, card: DataCard, size: Sequence[int]) -> tuple[Path, Split]:
        """Return the pictures of a folder, without those that are named as the masks of others."""
        root, keys = find_source(source, self.suffixes, "pictures", self.unread, find_pictures)
        if len(keys) > 1:
            keys = list(self.samples_among(keys, card))
        return root, self.open_files(root, keys, card, size)

    def open_files(self, root: Path, paths: Sequence[str], card: DataCard, size: Sequence[int]) -> PictureSource:
        return PictureSource(root, paths, file_reading(card))

    def samples_among(self, keys: Sequence[str], card: DataCard) -> Sequence[str]:
        from maecli.layouts.read import read_layout

        return read_layout(keys, lambda _: True, card.files.layout, lenient=True).samples

    def known_masks(self, root: Path, keys: Sequence[str], folders: Mapping[Path, bool], card: DataCard) -> KnownMasks:
        from maecli.modalities.pictures.masks.known import known_masks

        return known_masks(root, keys, folders, card)

    def file_range(self, card: DataCard) -> ValueRange:
        """Return the full range of an integer format, whatever the data set used of it; of 16 bits those in use."""
        if file_dtype(card) == "uint16":
            return 0.0, float(card.files.most)
        return (0.0, 255.0) if file_dtype(card) == "uint8" else card.value_range

    def prepare(self, sample: Sample, spec: AugmentSpec, seed: int, value_range: ValueRange, void: int) -> Sample:
        return changed(sample, spec.chain, seed, value_range, void)

    def check_augment(self, spec: AugmentSpec) -> None:
        super().check_augment(spec)
        check_chain(spec.chain)

    def augment(self, tensors: dict[str, Tensor], draws: Draws, spec: AugmentSpec, void: int) -> dict[str, Tensor]:
        return augment(tensors, draws, spec, void)

    def resize_in_graph(self, samples: Tensor, size: Sequence[int]) -> Tensor:
        return resize_in_graph(samples, size)

    def draw(self, image: np.ndarray, hidden: np.ndarray | None = None) -> np.ndarray:
        shown = image[:3] if len(image) >= 3 else np.repeat(image[:1], 3, axis=0)
        shown = np.nan_to_num(np.clip(shown, 0.0, 1.0), nan=1.0).astype(np.float32)
        return shown if hidden is None else np.where(hidden, np.float32(HIDDEN), shown)

    def preview(self, sample: Sample, card: DataCard) -> tuple[np.ndarray, np.ndarray | None]:
        image, mask = shrunk(sample)
        return self.draw(card.in_units(image)), mask

    def survey(self, split: Split, index: int, size: tuple[int, ...], card: DataCard) -> Look:
        """Return besides what near copies are found by, and whether the picture is of one colour or grey."""
        return look_at_picture(split, index, size, card)

    def encode(self, values: np.ndarray, card: DataCard, source: Path | None = None) -> tuple[str, bytes]:
        """Return a PNG of 8- or 16-bit pictures in grey or RGB, else an .npy of (H, W, C)."""
        from PIL import Image

        buffer = io.BytesIO()
        if card.dtype == "uint8" and len(values) in (1, 3):
            pixels = np.clip(np.rint(values), 0, 255).astype(np.uint8)
            Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)).save(buffer, "PNG")
            return ".png", buffer.getvalue()
        np.save(buffer, values.transpose(1, 2, 0).astype(card.dtype))
        return ".npy", buffer.getvalue()


def file_dtype(card: DataCard) -> str | None:
    """Return the dtype that pictures of files are brought to; None for their own."""
    return card.dtype if card.dtype in ("uint8", "uint16") else None


def file_reading(card: DataCard) -> Reading:
    """Return how a person's own files are read: as those of the data set were."""
    return Reading(card.channels, file_dtype(card), files=card.files, missing=card.missing)
