"""What a modality promises. It is tried on small samples made by rule, and on files that it wrote itself.

Shapes: C channels, S spatial axes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from torch import Tensor

from maecli.data.card import DataCard
from maecli.data.randomness import Draws
from maecli.errors import BrokenSample
from maecli.modalities.modality import MOST_NUMBERS, Modality
from maecli.schema import AugmentSpec, Fit
from maecli.testing.finding import Finding, Stages, describe_error, expect, find_all, must_work
from maecli.testing.imports import imports
from maecli.testing.options import check_class
from maecli.text import some

SIDES = (12, 8, 10)
"""Of samples, along as many axes as there are."""
SMALLER, LARGER = (6, 8, 4), (16, 12, 14)
"""Of models."""
VOID = 255
DAMAGED = {"an empty file": b"", "a file of arbitrary bytes": bytes(range(256)) * 4}
CHANGES = {"crop": "random-resized", "crop_scale": (0.3, 0.6), "flip": True}
"""Settings of `augment` that any modality may know."""


class ModalitySubject:
    """A modality that is looked at, with a card of float32 samples of one channel."""

    def __init__(self, plugin: type[Modality]) -> None:
        self.plugin = plugin

    @cached_property
    def modality(self) -> Modality:
        return self.plugin()

    @property
    def size(self) -> tuple[int, ...]:
        return SIDES[: self.plugin.axes]

    @cached_property
    def card(self) -> DataCard:
        return DataCard(
            name="kit",
            title="samples made by the conformance kit",
            modality=self.plugin.name,
            fields=("image", "mask"),
            channels=1,
            size=self.size,
            dtype="float32",
            value_range=(0.0, 100.0),
            missing=self.plugin.gaps,
            mean=(0.5,),
            std=(0.25,),
            split_sizes={"train": 1},
            split_origin="made by rule",
        )

    def image(self, gap: bool = True) -> np.ndarray:
        """Return a sample (1, *S) float32 in [0, 1], its second cell missing if it may be."""
        image = np.random.default_rng(0).random((1, *self.size), np.float32)
        if gap:
            image[(0, *[0] * (len(self.size) - 1), 1)] = np.nan
        return image


def options(subject: ModalitySubject) -> None:
    """The class says what it is, how samples are counted, how many axes they have, and how their files are called."""
    plugin = subject.plugin
    check_class(plugin)
    expect(
        isinstance(getattr(plugin, "unit", None), str) and bool(plugin.unit),
        f'{plugin.__name__} has no unit; write what samples are called when they are counted, such as unit = "images"',
    )
    axes = getattr(plugin, "axes", None)
    expect(
        isinstance(axes, int) and 1 <= axes <= len(SIDES),
        f"{plugin.__name__}.axes is {axes!r}; write how many spatial axes `image` has, 1 to {len(SIDES)}",
    )
    suffixes = getattr(plugin, "suffixes", ())
    wrong = [suffix for suffix in suffixes if not suffix.startswith(".") or suffix != suffix.lower()]
    expect(
        bool(suffixes) and not wrong,
        f"{plugin.__name__}.suffixes is {suffixes!r}; write how names of files end, in lower case, each with its dot",
    )


def drawing(subject: ModalitySubject) -> None:
    """A drawing is (3, H, W) in [0, 1], whatever is hidden, missing or outside that range."""
    name, hidden = subject.plugin.name, np.zeros(subject.size, bool)
    hidden[..., -2:] = True
    outside = subject.image(gap=False) * 4 - 1
    for what, image, cover in (
        ("a sample", subject.image(gap=False), None),
        ("a sample with a missing cell", subject.image(), None),
        ("a sample with hidden cells", subject.image(), hidden),
        ("a sample with values outside [0, 1]", outside, hidden),
        ("a sample that is missing and hidden", np.full((1, *subject.size), np.nan, np.float32), ~hidden | hidden),
    ):
        before = image.copy()
        picture = np.asarray(subject.modality.draw(image, cover))
        expect(
            picture.ndim == 3 and len(picture) == 3 and picture.size > 0 and picture.dtype == np.float32,
            f"draw() of {name} returns {picture.dtype} of shape {picture.shape} for {what}; return a picture "
            "(3, H, W) float32",
        )
        low, high = float(picture.min()), float(picture.max())  # NaN is neither
        expect(
            low >= 0 and high <= 1,
            f"draw() of {name} goes from {low:.3g} to {high:.3g} for {what}; stay in [0, 1], and show NaN as missing",
        )
        expect(
            np.array_equal(before, image, equal_nan=True), f"draw() of {name} changes the sample; draw on a copy of it"
        )


def fitting(subject: ModalitySubject) -> None:
    """A sample gets the model's size, cut or resized, in its own dtype; `valid` tells which cells are there."""
    name, modality = subject.plugin.name, subject.modality
    mask = np.ones(subject.size, np.uint8)
    for size in (part[: subject.plugin.axes] for part in (SMALLER, SIDES, LARGER)):
        for how in get_args(Fit):
            for image in (subject.image(), (255 * subject.image(gap=False)).astype(np.uint8)):
                sample = {"image": image, "mask": mask, "label": np.array(3)}
                box = modality.box(subject.size, size, how, AugmentSpec())
                made = modality.fit(sample, box, size, VOID, True)
                where = f"fit() of {name} for a model of {size} ({how})"
                _check_fitted(where, sample, made, size)
                if size == subject.size:
                    there = torch.from_numpy(~np.isnan(image))
                    expect(
                        torch.equal(made["valid"], there),
                        f"{where} says that {int(made['valid'].sum())} of {there.numel()} cells exist, and "
                        f"{int(there.sum())} do: all but NaN",
                    )


def _check_fitted(where: str, sample: dict[str, np.ndarray], made: dict[str, Tensor], size: Sequence[int]) -> None:
    absent = [field for field in (*sample, "valid") if field not in made]
    expect(not absent, f"{where} leaves out {some(absent)}; return every field of the sample, and `valid` if asked for")
    shapes = {"image": (1, *size), "valid": (1, *size), "mask": tuple(size)}
    dtypes = {field: torch.from_numpy(np.asarray(array)).dtype for field, array in sample.items()}
    for field, shape in shapes.items():
        dtype = dtypes.get(field, torch.bool)
        expect(
            made[field].shape == shape and made[field].dtype == dtype,
            f"{where} makes {field!r} {made[field].dtype} of shape {tuple(made[field].shape)}; it must be {dtype} of "
            f"shape {shape}",
        )
    expect(
        not made["image"].is_floating_point() or bool(made["image"].isfinite().all()),
        f"{where} leaves NaN in the image; put a number there, and False into `valid`",
    )


def chance(subject: ModalitySubject) -> None:
    """Equal draws give equal parts and equal changes, for a sample by itself as in a batch."""
    name, modality = subject.plugin.name, subject.modality
    known = {key: value for key, value in CHANGES.items() if key in subject.plugin.augments}
    if "random-resized" not in subject.plugin.crops:
        known.pop("crop", None)
    spec = AugmentSpec.model_validate(known)
    modality.check_augment(spec)
    numbers = Draws(0, 0, torch.arange(1)).uniform("crop", MOST_NUMBERS)[0].tolist()
    boxes = [modality.box(subject.size, subject.size, "resize", spec, numbers) for _ in range(2)]
    expect(
        boxes[0] == boxes[1],
        f"box() of {name} is {boxes[0]} and then {boxes[1]} of the same numbers; choose by the numbers alone, so that "
        "a resumed run goes on as it would have",
    )
    image = torch.rand(4, 1, *subject.size, generator=torch.Generator().manual_seed(0))
    tensors = {"image": image, "mask": (image[:, 0] > 0.5).to(torch.uint8), "valid": image > 0.1}
    whole, again, half = (
        modality.augment({key: tensor[:num].clone() for key, tensor in tensors.items()}, draws, spec, VOID)
        for num, draws in ((4, Draws(0, 0, torch.arange(4))),) * 2 + ((2, Draws(0, 0, torch.arange(2))),)
    )
    apart = [key for key in tensors if not torch.equal(whole[key], again[key])]
    apart += [key for key in tensors if not torch.equal(whole[key][:2], half[key])]
    expect(
        not apart,
        f"augment() of {name} changes {some(dict.fromkeys(apart))} otherwise for the same draws; take all chance from "
        "`draws`, which have numbers for each sample of its own",
    )


def files(subject: ModalitySubject) -> None:
    """What is encoded comes back by `read`, up to rounding, and is found by `open`."""
    name, modality, image = subject.plugin.name, subject.modality, np.rint(100 * subject.image(gap=False))
    with tempfile.TemporaryDirectory() as folder:
        path = _written(subject, Path(folder), image)
        again = modality.read(path, subject.card)
        same = again.shape == image.shape and np.allclose(again, image, rtol=1e-5, atol=1e-6, equal_nan=True)
        expect(
            same,
            f"{name} writes a sample of shape {image.shape} and reads another (shape {again.shape}) from {path.suffix};"
            " read() must give back what encode() wrote",
        )
        with must_work(f"open() of {name} finds no sample in {path.name}", "open the files that encode() writes"):
            root, split = modality.open(path, subject.card, subject.size)
            found = split[0]["image"]
        expect(
            split.keys[0].partition("#")[0] == path.relative_to(root).as_posix() and list(split.files(0)) == [path],
            f"open() of {name} calls the sample {split.keys[0]!r}, of the files {list(map(str, split.files(0)))}; its "
            "key begins with the path of its file below the root, and files() has that file",
        )
        expect(
            np.allclose(found, image, rtol=1e-5, atol=1e-6, equal_nan=True),
            f"open() of {name} gives another sample than read() does of the same file",
        )


def damage(subject: ModalitySubject) -> None:
    """A damaged, empty or missing file ends as BrokenSample, which leaves out that sample alone."""
    with tempfile.TemporaryDirectory() as folder:
        path = _written(subject, Path(folder), subject.image(gap=False))
        for what, contents in DAMAGED.items():
            path.write_bytes(contents)
            _check_broken(subject, path, what)
        path.unlink()
        _check_broken(subject, path, "a file that is gone")


def _check_broken(subject: ModalitySubject, path: Path, what: str) -> None:
    name = subject.plugin.name
    way = "raise api.BrokenSample(path, reason), so that one bad file does not end a run"
    try:
        subject.modality.read(path, subject.card)
    except BrokenSample:
        return
    except Exception as error:
        expect(False, f"read() of {name} meets {what} ({path.suffix}) with {describe_error(error)}; {way}")
    expect(False, f"read() of {name} makes a sample of {what} ({path.suffix}); {way}")


def _written(subject: ModalitySubject, folder: Path, image: np.ndarray) -> Path:
    """Return the file that a sample was written to."""
    suffix, contents = subject.modality.encode(image, subject.card)
    expect(
        isinstance(contents, bytes) and suffix in subject.plugin.suffixes,
        f"encode() of {subject.plugin.name} returns {suffix!r} and {type(contents).__name__}; return one of "
        f"{', '.join(sorted(subject.plugin.suffixes))} and the bytes of such a file",
    )
    path = folder.resolve() / f"sample{suffix}"
    path.write_bytes(contents)
    return path


STAGES: Stages = ((options, imports), (drawing, fitting, chance, files), (damage,))


def check_modality(modality: type[Modality]) -> list[Finding]:
    """Return a finding for each promise of a modality."""
    return find_all(STAGES, ModalitySubject(modality))
