from __future__ import annotations

import numpy as np
import pytest
import torch

from maecli import api
from maecli.testing import ModalityConformance, check_modality, modalities
from maecli.testing.finding import names

pytestmark = pytest.mark.usefixtures("told_costs")


class Spectra(api.modalities.Series):
    """Intensities over wavelengths."""

    name = "spectra"


class Uncounted(Spectra):
    """Spectra."""

    unit = ""


class Flat(Spectra):
    """Spectra."""

    axes = 0


class Undotted(Spectra):
    """Spectra."""

    suffixes = frozenset({"csv"})


class Transparent(Spectra):
    """Spectra."""

    def draw(self, image, hidden=None):
        return np.concatenate([super().draw(image, hidden)] * 2)[:4]


class Dark(Spectra):
    """Spectra."""

    def draw(self, image, hidden=None):
        picture = super().draw(image, hidden)
        picture[0, 0, 0] = image.min()  # NaN where something is missing
        return picture


class Scribbling(Spectra):
    """Spectra."""

    def draw(self, image, hidden=None):
        image[np.isnan(image)] = 0
        return super().draw(image, hidden)


class Floating(Spectra):
    """Spectra."""

    def fit(self, sample, box, size, void=255, missing=False):
        made = super().fit(sample, box, size, void, missing)
        return made | {"image": made["image"].float()}


class Forgetful(Spectra):
    """Spectra."""

    def fit(self, sample, box, size, void=255, missing=False):
        return {
            name: tensor for name, tensor in super().fit(sample, box, size, void, missing).items() if name != "label"
        }


class Sure(Spectra):
    """Spectra."""

    def fit(self, sample, box, size, void=255, missing=False):
        made = super().fit(sample, box, size, void, missing)
        return made | {"valid": torch.ones_like(made["valid"])}


class Whimsical(Spectra):
    """Spectra."""

    calls = 0

    def box(self, shape, size, fit, spec, numbers=()):
        Whimsical.calls += bool(numbers)
        return api.modalities.Box((Whimsical.calls,), tuple(size)) if numbers else super().box(shape, size, fit, spec)


class Erratic(Spectra):
    """Spectra."""

    def augment(self, tensors, draws, spec, void):
        return tensors | {"image": tensors["image"] * torch.rand(1)}


class Company(Spectra):
    """Spectra."""

    def augment(self, tensors, draws, spec, void):
        return tensors | {"image": tensors["image"] / len(draws)}


class Doubling(Spectra):
    """Spectra."""

    def encode(self, values, card, source=None):
        return super().encode(2 * values, card, source)


class Renaming(Spectra):
    """Spectra."""

    def encode(self, values, card, source=None):
        return ".txt", super().encode(values, card, source)[1]


class Brittle(Spectra):
    """Spectra."""

    def read(self, path, card):
        if not path.exists() or not path.stat().st_size:
            raise ValueError("nothing there")
        return super().read(path, card)


class Credulous(Spectra):
    """Spectra."""

    def read(self, path, card):
        try:
            return super().read(path, card)
        except api.BrokenSample:
            return np.zeros((1, 12), np.float32)


WRONG = [
    (Uncounted, "options", "Uncounted has no unit; write what samples are called when they are counted"),
    (Flat, "options", "Flat.axes is 0; write how many spatial axes `image` has, 1 to 3"),
    (Undotted, "options", "Undotted.suffixes is frozenset({'csv'}); write how names of files end, in lower case"),
    (Transparent, "drawing", "draw() of spectra returns float32 of shape (4, 180, 320) for a sample; return a picture"),
    (Dark, "drawing", "draw() of spectra goes from nan to nan for a sample with a missing cell; stay in [0, 1]"),
    (Scribbling, "drawing", "draw() of spectra changes the sample; draw on a copy of it"),
    (Floating, "fitting", "makes 'image' torch.float32 of shape (1, 6); it must be torch.uint8 of shape (1, 6)"),
    (Forgetful, "fitting", "fit() of spectra for a model of (6,) (resize) leaves out label; return every field of the"),
    (Sure, "fitting", "for a model of (12,) (resize) says that 12 of 12 cells exist, and 11 do: all but NaN"),
    (
        Whimsical,
        "chance",
        "box() of spectra is Box(starts=(1,), lengths=(12,)) and then Box(starts=(2,), lengths=(12,))",
    ),
    (
        Erratic,
        "chance",
        "augment() of spectra changes image otherwise for the same draws; take all chance from `draws`",
    ),
    (
        Company,
        "chance",
        "augment() of spectra changes image otherwise for the same draws; take all chance from `draws`",
    ),
    (Doubling, "files", "spectra writes a sample of shape (1, 12) and reads another (shape (1, 12)) from .csv; read()"),
    (Renaming, "files", "encode() of spectra returns '.txt' and bytes; return one of .csv, .npy and the bytes of such"),
    (
        Brittle,
        "damage",
        "read() of spectra meets an empty file (.csv) with ValueError: nothing there (test_modalities.py",
    ),
    (Credulous, "damage", "read() of spectra makes a sample of an empty file (.csv); raise api.BrokenSample(path,"),
]


def test_each_check_has_a_modality_that_fails_it():
    assert {check for _, check, _ in WRONG} == {*names(modalities.STAGES)} - {"imports"}


@pytest.mark.parametrize(("wrong", "check", "sentence"), WRONG)
def test_a_wrong_modality_fails_that_check_alone_with_a_sentence(wrong, check, sentence):
    problems = {finding.check: finding.problem for finding in check_modality(wrong) if finding.problem}
    assert list(problems) == [check]
    assert sentence in problems[check]


def test_a_right_one_passes():
    assert [finding for finding in check_modality(Spectra) if finding.problem or finding.note] == []


class TestSpectra(ModalityConformance):
    modality = Spectra
