"""MNIST from its published IDX files."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import Field

from maecli import api

from .canvases import CanvasDataset, CanvasOptions
from .in_memory import published

VAL_SHARE = 1 / 12

FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}


class MNIST(CanvasDataset):
    """MNIST handwritten digits, 28x28 pixels.

    Source: LeCun, Cortes and Burges, "The MNIST database of handwritten digits"; LeCun et al., "Gradient-based
        learning applied to document recognition", 1998. Downloaded by torchvision if it is not there.
    Format: four IDX files, extracted or `.gz`, read where they lie: in the root, in its `raw/` or `MNIST/raw/`.
        60,000 + 10,000 grey pictures, uint8, (1, 28, 28).
    Classes: the digits 0 to 9.
    Splits: test is the official test set. Val is cut from the official train set with the fixed seed 0,
        stratified by class: one in twelve, which makes 55,000 train and 5,000 val.
    Masks: made of the digits: canvases of 64x84 with 2 to 4 digits of the split's own, 10,000 train, 1,000 val and
        2,000 test, boxes overlapping by up to 15%. A pixel above 127 has the number of its digit + 1, others 0.
    Licence: copyright Yann LeCun and Corinna Cortes; usually given as CC BY-SA 3.0.
    MD5: f68b3c2dcbeaaa9fbdd348bbdeb94873  train-images-idx3-ubyte.gz
         d53e105ee54ea40749a09fcbcd1e9432  train-labels-idx1-ubyte.gz
         9fb629c4189551a2d022fa330f9573f3  t10k-images-idx3-ubyte.gz
         ec29112dd5afa0611ce80d1b7f02629c  t10k-labels-idx1-ubyte.gz
    """

    name = "mnist"
    recipe = "mnist"
    ink = 127
    facts: ClassVar[Mapping[str, Any]] = {
        "title": "MNIST handwritten digits, 28x28",
        "classes": tuple(str(digit) for digit in range(10)),
        "split_origin": "test: official; val: one in twelve of the official train set, "
        f"fixed seed {api.SPLIT_SEED}, stratified by class",
        "source": "http://yann.lecun.com/exdb/mnist/ (LeCun, Cortes, Burges)",
        "licence": "copyright Yann LeCun and Corinna Cortes; usually given as CC BY-SA 3.0",
    }

    class Options(CanvasOptions):
        download: bool = Field(
            default=True, description="download the files into <root>/MNIST/raw if they are not there"
        )

    options: Options

    @cached_property
    def splits(self) -> dict[api.SplitName, api.TensorSplit]:
        folder = self._find() or self._download()
        return published(_read_pair(folder, "train"), _read_pair(folder, "test"), VAL_SHARE)

    def _find(self) -> Path | None:
        """Return the folder that holds all four files."""
        names = [name for pair in FILES.values() for name in pair]
        for folder in (self.root, self.root / "raw", self.root / "MNIST" / "raw"):
            if all(_locate(folder, name) for name in names):
                return folder
        return None

    def _download(self) -> Path:
        if not self.options.download:
            raise api.DataError(self._missing("download is off"))
        from torchvision import datasets  # type: ignore[import-untyped]  # takes seconds; only a download needs it

        with api.downloading(self._missing):
            datasets.MNIST(self.root, download=True)
        return self.root / "MNIST" / "raw"

    def _missing(self, why: str) -> str:
        names = ", ".join(name for pair in FILES.values() for name in pair)
        return (
            f"MNIST was not found in {self.root} and {why}; put the files {names} (or the same with .gz) "
            f"into {self.root / 'MNIST' / 'raw'}, or point --root or MAE_DATA at the folder that holds them"
        )


@api.hookimpl
def mae_datasets() -> list[type[api.Dataset]]:
    return [MNIST]


def _locate(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def _read_pair(folder: Path, part: str) -> api.TensorSplit:
    """Return the pictures (N, 1, 28, 28) uint8 and labels (N,) int64 of the official train or test set."""
    images_path, labels_path = (_locate(folder, name) for name in FILES[part])
    assert images_path is not None
    assert labels_path is not None
    images, labels = api.pictures.read_idx(images_path, 3), api.pictures.read_idx(labels_path, 1)
    if images.shape[1:] != (28, 28):
        raise api.DataError(f"{images_path}: pictures are {images.shape[1]}x{images.shape[2]}, not 28x28")
    if len(images) != len(labels):
        raise api.DataError(
            f"{images_path} has {len(images)} pictures, but {labels_path} has {len(labels)} labels; "
            "they do not belong together"
        )
    if len(labels) == 0 or labels.max() > 9:
        raise api.DataError(f"{labels_path}: labels must be 0 to 9, and there must be some")
    tensors = {"image": torch.from_numpy(images[:, None]), "label": torch.from_numpy(labels.astype(np.int64))}
    return api.TensorSplit(tensors, [f"{part}-{i}" for i in range(len(labels))])
