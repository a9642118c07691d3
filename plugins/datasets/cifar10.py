"""CIFAR-10 from its published batches, the python version or the binary one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from pydantic import Field

from maecli import api

VAL_SHARE = 1 / 10
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
TRAIN = tuple(f"data_batch_{number}" for number in range(1, 6))
TEST = ("test_batch",)
PYTHON_FOLDER, BINARY_FOLDER = "cifar-10-batches-py", "cifar-10-batches-bin"
SHAPE = (3, 32, 32)
MAX_BYTES = 2**30
"""Of a batch; a published one has 31 million."""
VALUES = 3 * 32 * 32


class CIFAR10(api.Dataset):
    """CIFAR-10, 32x32 colour photographs of ten kinds of things.

    Source: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009,
        https://www.cs.toronto.edu/~kriz/cifar.html. Downloaded by torchvision if it is not there.
    Format: the python version (`cifar-10-batches-py/data_batch_1` to `_5`, `test_batch`), whose pickles are read
        without running anything, or the binary version (`cifar-10-batches-bin/data_batch_1.bin` …, records of a label
        and 3,072 bytes); 50,000 + 10,000 colour pictures, uint8, (3, 32, 32).
    Classes: airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck; equally frequent.
    Splits: test is the official test batch. Val is cut from the official train batches with the fixed seed 0,
        stratified by class: one in ten, which makes 45,000 train and 5,000 val.
    Licence: none is stated; the technical report asks to be cited.
    MD5: c58f30108f718f92721af3b95e74349a  cifar-10-python.tar.gz
         c32a1d4ab5d03f1284b67883e8d87530  cifar-10-binary.tar.gz
    """

    name = "cifar10"
    recipe = "cifar10"

    class Options(api.DatasetOptions):
        download: bool = Field(
            default=True, description=f"download the python version into <root>/{PYTHON_FOLDER} if it is not there"
        )

    options: Options

    def card(self, fields: Sequence[str] = ("image",)) -> api.DataCard:
        train = self._splits["train"].tensors
        mean, std = api.pictures.channel_stats(
            (part.numpy() for part in torch.split(train["image"], 4096)), (0.0, 255.0)
        )
        return api.DataCard(
            name=self.name,
            title="CIFAR-10 photographs, 32x32",
            fields=("image", "label"),
            channels=3,
            size=SHAPE[1:],
            mean=mean,
            std=std,
            classes=CLASSES,
            class_counts=tuple(torch.bincount(train["label"], minlength=len(CLASSES)).tolist()),
            split_sizes={name: len(split) for name, split in self._splits.items()},
            split_origin=(
                "test: official; val: one in ten of the official train batches, "
                f"fixed seed {api.SPLIT_SEED}, stratified by class"
            ),
            source="https://www.cs.toronto.edu/~kriz/cifar.html (Krizhevsky, 2009)",
            licence="none is stated; cite Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
        )

    def split(self, name: api.SplitName, fields: Sequence[str] = ("image",)) -> api.Split:
        return self._splits[name]

    @cached_property
    def _splits(self) -> dict[api.SplitName, api.TensorSplit]:
        files = self._find() or self._download()
        images, labels = _read(files[:-1])
        keys = [f"train-{i}" for i in range(len(labels))]
        parts = api.cut(keys, val_share=VAL_SHARE, labels=labels.tolist())
        test_images, test_labels = _read(files[-1:])
        test_keys = [f"test-{i}" for i in range(len(test_labels))]
        return {
            "train": _part(images, labels, keys, parts["train"]),
            "val": _part(images, labels, keys, parts["val"]),
            "test": _part(test_images, test_labels, test_keys, range(len(test_labels))),
        }

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
        from torchvision import datasets  # type: ignore[import-untyped]  # takes seconds; only a download needs it

        published = datasets.CIFAR10
        with api.downloading(self._missing):  # not by making a CIFAR10, which would unpickle what it fetched
            datasets.utils.download_and_extract_archive(
                published.url, str(self.root), filename=published.filename, md5=published.tgz_md5
            )
        return [self.root / PYTHON_FOLDER / name for name in TRAIN + TEST]

    def _missing(self, why: str) -> str:
        return (
            f"CIFAR-10 was not found in {self.root} and {why}; put the files {', '.join(TRAIN + TEST)} into "
            f"{self.root / PYTHON_FOLDER}, or the same with .bin into {self.root / BINARY_FOLDER}, or point --root or "
            "MAE_DATA at the folder that holds them"
        )


@api.hookimpl
def mae_datasets() -> list[type[api.Dataset]]:
    return [CIFAR10]


def _part(images: np.ndarray, labels: np.ndarray, keys: Sequence[str], ids: Sequence[int]) -> api.TensorSplit:
    where = np.asarray(ids)
    tensors = {"image": torch.from_numpy(images[where]), "label": torch.from_numpy(labels[where])}
    return api.TensorSplit(tensors, [keys[i] for i in ids])


def _read(files: Sequence[Path]) -> tuple[np.ndarray, np.ndarray]:
    """Return images (N, 3, 32, 32) uint8 and labels (N,) int64 of batches, one after the other."""
    batches = [read_binary_batch(file) if file.suffix == ".bin" else read_python_batch(file) for file in files]
    images, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    return images, labels


def read_python_batch(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return images (N, 3, 32, 32) uint8 and labels (N,) int64 of a pickled batch.

    Raises `DataError` naming the file and the rule it breaks.
    """
    batch = api.pictures.read_plain_pickle(path)
    data, labels = (batch.get("data"), batch.get("labels")) if isinstance(batch, dict) else (None, None)
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape[1:] != (VALUES,):
        raise api.DataError(f"{path}: `data` must be an array of {VALUES:,} bytes per picture")
    if not isinstance(labels, list) or not all(type(label) is int for label in labels) or len(labels) != len(data):
        raise api.DataError(f"{path}: `labels` must be one whole number for each of the {len(data):,} pictures")
    return _checked(path, data, np.array(labels, dtype=np.int64))


def read_binary_batch(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return images (N, 3, 32, 32) uint8 and labels (N,) int64 of a batch of the binary version.

    Raises `DataError` naming the file and the rule it breaks.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise api.DataError(f"{path} is larger than {MAX_BYTES:,} bytes, so it is no batch of CIFAR-10")
        records = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise api.DataError(f"{path} cannot be read: {error.strerror or error}") from error
    if len(records) % (1 + VALUES):
        raise api.DataError(f"{path}: {len(records):,} bytes are no whole number of records of {1 + VALUES:,}")
    records = records.reshape(-1, 1 + VALUES)
    return _checked(path, records[:, 1:], records[:, 0].astype(np.int64))


def _checked(path: Path, data: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if len(labels) == 0 or labels.min() < 0 or labels.max() >= len(CLASSES):
        raise api.DataError(f"{path}: labels must be 0 to {len(CLASSES) - 1}, and there must be some")
    return data.reshape(-1, *SHAPE), labels
