"""What comes with mae keeps the promises that it asks of others."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from write_data import write_cifar10, write_class_folders, write_mask_folder, write_mnist, write_voc

from maecli.registry import registry
from maecli.testing import (
    DatasetConformance,
    Synthetic,
    TaskConformance,
    TrackerConformance,
    check,
)

pytestmark = pytest.mark.usefixtures("told_costs")  # imports are measured in test_packaging


def make(name: str, **options: Any) -> Any:
    plugin = registry().dataset(name)
    return plugin(plugin.Options(**options))


SMALL = {"train_canvases": 12, "val_canvases": 4, "test_canvases": 4}


class TestDigits(DatasetConformance):
    def dataset(self, tmp_path):
        return make("digits", **SMALL)


class TestDigitsOnCanvases(DatasetConformance):
    fields = (("image", "mask"),)

    def dataset(self, tmp_path):
        return make("digits", **SMALL)


class TestMNIST(DatasetConformance):
    def dataset(self, tmp_path):
        write_mnist(tmp_path)
        return make("mnist", root=tmp_path, **SMALL)


class TestCIFAR10(DatasetConformance):
    def dataset(self, tmp_path):
        write_cifar10(tmp_path)
        return make("cifar10", root=tmp_path)


class TestFolder(DatasetConformance):
    def dataset(self, tmp_path):
        write_class_folders(tmp_path)
        return make("folder", root=tmp_path)


class TestFolderOfMasks(DatasetConformance):
    def dataset(self, tmp_path):
        write_mask_folder(tmp_path)
        return make("folder", root=tmp_path)


class TestVOC(DatasetConformance):
    def dataset(self, tmp_path):
        write_voc(tmp_path)
        return make("voc", root=tmp_path)


class TestReconstruct(TaskConformance):
    task = registry().task("reconstruct")


class TestReconstructNormalised(TaskConformance):
    task = registry().task("reconstruct")
    options = {"norm_pix_loss": True, "mask": "block", "mask_ratio": 0.5}  # noqa: RUF012


class TestClassify(TaskConformance):
    task = registry().task("classify")


class TestClassifySeveral(TaskConformance):
    task = registry().task("classify")
    options = {"head": "mlp", "pool": "cls", "mixup": 0.8, "patch_drop": 0.5}  # noqa: RUF012

    def dataset(self, tmp_path):
        return Synthetic(Synthetic.Options(multi_label=True))


class TestSegment(TaskConformance):
    task = registry().task("segment")


class TestSegmentShuffled(TaskConformance):
    task = registry().task("segment")
    options = {"head": "shuffle", "dice": 1.0, "inference": "slide", "flip": True}  # noqa: RUF012


class TestJsonLines(TrackerConformance):
    tracker = registry().tracker("jsonl")


class TestTensorBoard(TrackerConformance):
    tracker = registry().tracker("tensorboard")


@pytest.mark.parametrize("name", registry().names("model"))
def test_every_model_keeps_its_promises(name):
    assert [finding for finding in check("model", name) if finding.problem or finding.note] == []


@pytest.mark.parametrize("name", registry().names("recipe"))
def test_every_recipe_keeps_its_promises(name):
    assert [finding for finding in check("recipe", name) if finding.problem] == []


@pytest.mark.parametrize("kind", ["dataset", "task", "tracker"])
def test_none_is_left_out(kind):
    here = vars(sys.modules[__name__]).values()
    classes = [each for each in here if isinstance(each, type)]
    named = {getattr(each, kind).name for each in classes if isinstance(getattr(each, kind, None), type)}
    if kind == "dataset":
        source = " ".join(str(each.dataset.__code__.co_consts) for each in classes if hasattr(each, "dataset"))
        named = {name for name in registry().names(kind) if f"'{name}'" in source}
    ours = {each.name for each in registry().listings if each.kind == kind and each.package == "maecli"}
    assert named == ours
