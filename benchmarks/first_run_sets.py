"""The sets of `first_run.py`: parts of public sets, as the ordinary folders of JPEG and PNG files that people have.

Each set is a folder of its own: `pictures/` is all that pretraining and fine-tuning are given, `held-out/test/` is what
the figure is measured on, pictures of the official test or validation part, which no training ever sees. A folder with
a test part has a train part too, so `held-out/train` is a link to the labelled pictures.
Which pictures a part takes follows from a fixed seed; no two parts of a set share one.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from maecli_plugins.datasets.cifar10.batches import CLASSES as CIFAR10_CLASSES
from maecli_plugins.datasets.cifar10.batches import read_python_batch
from maecli_plugins.datasets.voc.classes import MASK_CLASSES
from PIL import Image

from maecli.data.idx import read_idx

Task = Literal["classify", "segment"]
TEST = "held-out/test"
TEST_PICTURES = 2_000
"""At most so many are held out of the sets that have ten thousand."""
JPEG_QUALITY = 95
ANIMALS = "n02124075", "n01641577", "n02279972"
"""Egyptian cat, bullfrog and monarch."""
FEW = 500
"""Sets below so many pictures are trained with every seed, the others with the first."""


@dataclass(frozen=True)
class Set:
    """A set: what it holds, where its folders lie, and how it is made."""

    name: str
    about: str
    task: Task
    num_train: int
    make: Callable[[Path, Path], None]
    """Called with the folder of the public data and that of this set."""
    labelled: str = "pictures"
    """Folder for fine-tuning; pretraining takes all pictures."""

    def is_made(self, work: Path) -> bool:
        return (work / self.name / "held-out" / "train").is_symlink()  # which is made last


def make(chosen: Set, data: Path, work: Path) -> None:
    """Make a set's folder anew, unless it is there."""
    if chosen.is_made(work):
        return
    folder = work / chosen.name
    shutil.rmtree(folder, ignore_errors=True)
    chosen.make(data, folder)
    (folder / "held-out" / "train").symlink_to(Path("..") / chosen.labelled)


def _tiny_imagenet(wanted: Sequence[str], pool: int, foreign: int, data: Path, folder: Path) -> None:
    """Write the wanted classes, or all, 100 pictures each; a pool and foreign photos are drawn from the others."""
    source = data / "tiny-imagenet-200"
    names = dict(line.split("\t") for line in (source / "words.txt").read_text().splitlines())
    classes = (source / "wnids.txt").read_text().split()
    chosen = wanted or classes
    others = [wnid for wnid in classes if wnid not in chosen]
    truth = dict(line.split("\t")[:2] for line in (source / "val" / "val_annotations.txt").read_text().splitlines())

    labelled = folder / "pictures" / "labelled" if pool else folder / "pictures"
    for wnid in chosen:
        name = names[wnid].partition(",")[0]
        _copy(sorted((source / "train" / wnid / "images").iterdir()), labelled / name)
        test = [source / "val" / "images" / file for file, each in truth.items() if each == wnid]
        _copy(test, folder / TEST / name)
    if pool:
        unseen = [path for wnid in others for path in sorted((source / "train" / wnid / "images").iterdir())]
        _copy(random.Random(0).sample(unseen, pool), folder / "pictures" / "unlabelled")
    if foreign:
        unknown = sorted(source / "val" / "images" / file for file, each in truth.items() if each in others)
        _copy(random.Random(0).sample(unknown, foreign), folder / "foreign")


def _copy(paths: Iterable[Path], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path in paths:
        shutil.copyfile(path, folder / path.name)


def _voc(num: int, data: Path, folder: Path) -> None:
    """Write so many pictures of VOC's train list with their masks, and all of its val list as the held-out ones."""
    source = data / "VOCdevkit" / "VOC2012"
    lists = source / "ImageSets" / "Segmentation"
    train, test = ((lists / f"{part}.txt").read_text().split() for part in ("train", "val"))
    for names, place in ((random.Random(0).sample(train, num), "pictures"), (test, "held-out/test")):
        _copy((source / "JPEGImages" / f"{name}.jpg" for name in names), folder / place / "images")
        _copy((source / "SegmentationClass" / f"{name}.png" for name in names), folder / place / "masks")
    for place in ("pictures", "held-out"):
        (folder / place / "classes.txt").write_text("\n".join(MASK_CLASSES) + "\n")


def _cifar10(num: int, data: Path, folder: Path) -> None:
    """Write so many training pictures and some test pictures, as many of each class."""
    source = data / "cifar-10-batches-py"
    train = [read_python_batch(source / f"data_batch_{i}") for i in range(1, 6)]
    whole = tuple(np.concatenate(parts) for parts in zip(*train, strict=True))
    test = read_python_batch(source / "test_batch")
    for place, (pictures, labels), wanted in (("pictures", whole, num), (TEST, test, TEST_PICTURES)):
        _write(pictures.transpose(0, 2, 3, 1), labels, CIFAR10_CLASSES, wanted, folder / place, "jpg")


def _mnist(num: int, data: Path, folder: Path) -> None:
    """Write so many training digits and some test digits, as many of each class unless all are wanted."""
    raw = data / "MNIST" / "raw"
    for place, prefix, wanted in (("pictures", "train", num), (TEST, "t10k", TEST_PICTURES)):
        digits = read_idx(raw / f"{prefix}-images-idx3-ubyte.gz", 3)
        labels = read_idx(raw / f"{prefix}-labels-idx1-ubyte.gz", 1)
        _write(digits, labels, [str(digit) for digit in range(10)], wanted, folder / place, "png")


def _write(
    pictures: np.ndarray, labels: np.ndarray, names: Sequence[str], wanted: int, folder: Path, ending: str
) -> None:
    """Write as many pictures of each class as make up `wanted`, or all, to a folder per class."""
    order = np.random.default_rng(0).permutation(len(labels))
    for label, name in enumerate(names):
        mine = order[labels[order] == label]
        if wanted < len(labels):
            mine = mine[: wanted // len(names)]
        (folder / name).mkdir(parents=True)
        for row in mine.tolist():
            Image.fromarray(pictures[row]).save(folder / name / f"{row:05d}.{ending}", quality=JPEG_QUALITY)


_SETS = (
    Set(
        "tin-3",
        "3 classes × 100 photos of 64 × 64, and 300 others without labels",
        "classify",
        300,
        partial(_tiny_imagenet, ANIMALS, 300, 150),
        "pictures/labelled",
    ),
    Set("tin-20", "20 classes × 100 photos of 64 × 64", "classify", 2_000, partial(_tiny_imagenet, (), 0, 0)),
    Set("voc-40", "40 photos of about 500 × 375 with masks", "segment", 40, partial(_voc, 40)),
    Set("voc-151", "151 photos of about 500 × 375 with masks", "segment", 151, partial(_voc, 151)),
    *(
        Set(f"cifar-{num}", f"{num:,} JPEGs of 32 × 32, 10 classes", "classify", num, partial(_cifar10, num))
        for num in (500, 5_000, 45_000)
    ),
    *(
        Set(f"mnist-{num}", f"{num:,} digits of 28 × 28 as PNGs, 10 classes", "classify", num, partial(_mnist, num))
        for num in (200, 60_000)
    ),
)
SETS = {each.name: each for each in _SETS}
