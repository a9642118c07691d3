"""CIFAR-10 from its published batches, the python version or the binary one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import Field

from maecli import api

from ..in_memory import InMemory, published
from .batches import CLASSES, read_binary_batch, read_python_batch

VAL_SHARE = 1 / 10
TRAIN = tuple(f"data_batch_{number}" for number in range(1, 6))
TEST = ("test_batch",)
PYTHON_FOLDER, BINARY_FOLDER = "cifar-10-batches-py", "cifar-10-batches-bin"
ARCHIVE = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
MD5 = "c32a1d4ab5d03f1284b67883e8d87530"


class CIFAR10(InMemory):
    """CIFAR-10, 32x32 colour photographs of ten kinds of things.

    Source: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009,
        https://www.cs.toronto.edu/~kriz/cifar.html. Downloaded by torchvision if it is not there.
    Format: the binary version (`cifar-10-batches-bin/data_batch_1.bin` to `_5`, `test_batch.bin`, records of a label
        and 3,072 bytes), which is the one that is downloaded, or the python version (`cifar-10-batches-py/data_batch_1`
        …), whose pickles are read without running anything; 50,000 + 10,000 colour pictures, uint8, (3, 32, 32).
    Classes: airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck; equally frequent.
    Splits: test is the official test batch. Val is cut from the official train batches with the fixed seed 0,
        stratified by class: one in ten, which makes 45,000 train and 5,000 val.
    Licence: none is stated; the technical report asks to be cited.
    MD5: c32a1d4ab5d03f1284b67883e8d87530  cifar-10-binary.tar.gz
         c58f30108f718f92721af3b95e74349a  cifar-10-python.tar.gz
    """

    name = "cifar10"
    recipe = "cifar10"
    facts: ClassVar[Mapping[str, Any]] = {
        "title": "CIFAR-10 photographs, 32x32",
        "classes": CLASSES,
        "split_origin": "test: official; val: one in ten of the official train batches, "
        f"fixed seed {api.SPLIT_SEED}, stratified by class",
        "source": "https://www.cs.toronto.edu/~kriz/cifar.html (Krizhevsky, 2009)",
        "licence": "none is stated; cite Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
    }

    class Options(api.DatasetOptions):
        download: bool = Field(
            default=True, description=f"download the binary version into <root>/{BINARY_FOLDER} if it is not there"
        )

    options: Options

    @cached_property
    def splits(self) -> dict[api.SplitName, api.TensorSplit]:
        files = self._find() or self._download()
        return published(_read("train", files[:-1]), _read("test", files[-1:]), VAL_SHARE)

    def _find(self) -> list[Path] | None:
        """Return the six files, the test batch last, of the first folder that holds all of them."""
        for folder in (self.root, self.root / PYTHON_FOLDER, self.root / BINARY_FOLDER):
            for suffix in ("", ".bin"):
                files = [folder / f"{name}{suffix}" for name in TRAIN + TEST]
                if all(file.is_file() for file in files):
                    return files
        return None

    def _download(self) -> list[Path]:
        if not self.options.download:
            raise api.DataError(self._missing("download is off"))
        from torchvision.datasets import utils  # type: ignore[import-untyped]  # takes seconds; only a download needs it

        with api.downloading(self._missing):
            utils.download_and_extract_archive(ARCHIVE, str(self.root), md5=MD5)
        return [self.root / BINARY_FOLDER / f"{name}.bin" for name in TRAIN + TEST]

    def _missing(self, why: str) -> str:
        return (
            f"CIFAR-10 was not found in {self.root} and {why}; put the files {', '.join(TRAIN + TEST)} with .bin into "
            f"{self.root / BINARY_FOLDER}, or the same without it into {self.root / PYTHON_FOLDER}, or point --root or "
            "MAE_DATA at the folder that holds them"
        )


@api.hookimpl
def mae_datasets() -> list[type[api.Dataset]]:
    return [CIFAR10]


def _read(name: str, files: Sequence[Path]) -> api.TensorSplit:
    """Return the pictures (N, 3, 32, 32) uint8 and labels (N,) int64 of batches, one after the other."""
    batches = [read_binary_batch(file) if file.suffix == ".bin" else read_python_batch(file) for file in files]
    images, labels = (torch.from_numpy(np.concatenate(parts)) for parts in zip(*batches, strict=True))
    return api.TensorSplit({"image": images, "label": labels}, [f"{name}-{i}" for i in range(len(labels))])
