from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import pytest
import torch
from pydantic import ConfigDict, Field, PlainSerializer

from maecli import api
from maecli.testing import Synthetic, check_dataset, datasets
from maecli.testing.finding import names

pytestmark = pytest.mark.usefixtures("told_costs")


class Base(Synthetic):
    """Squares, of which the subclasses change one thing."""

    def changed(self, name: str, tensors: dict[str, torch.Tensor], keys: list[str]) -> api.Split:
        return api.TensorSplit(tensors, keys)

    def split(self, name, fields=("image",)):
        split = super().split(name, fields)
        return self.changed(name, dict(split.tensors), list(split.keys))


class Each(api.Split):
    """A split that reads one sample at a time."""

    def __init__(self, split: api.TensorSplit) -> None:
        self.split = split

    @property
    def keys(self):
        return self.split.keys

    def __getitem__(self, index):
        return self.split[index]


class Short(Each):
    def __getitem__(self, index):
        return [][index]


class Shuffled(Each):
    def __getitem__(self, index):
        sample = super().__getitem__(index)
        return sample | {"image": np.random.permutation(sample["image"].reshape(-1)).reshape(3, 16, 16)}


class Damaged(Each):
    def __getitem__(self, index):
        if index % 5 == 1:
            raise api.BrokenSample(self.keys[index], "truncated file")
        return super().__getitem__(index)


class NoWords(Base):
    """Squares."""

    class Options(Base.Options):
        sigma: float = 0.5


class Lax(Base):
    """Squares."""

    class Options(Base.Options):
        model_config = ConfigDict(extra="allow")


class Demanding(Base):
    """Squares."""

    class Options(Base.Options):
        sigma: float = Field(description="noise")

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options or self.Options(sigma=1))


class Undocumented(Base):
    __doc__ = None


class Rounding(Base):
    """Squares."""

    class Options(Base.Options):
        sigma: Annotated[float, PlainSerializer(round)] = Field(default=0.5, description="noise")


def with_card(**changes):
    class Changed(Base):
        """Squares."""

        def card(self, fields=("image",)):
            return super().card(fields).model_copy(update=changes)

    return Changed


class Raising(Base):
    """Squares."""

    def card(self, fields=("image",)):
        raise ZeroDivisionError("nothing here")


class Shared(Base):
    """Squares."""

    def changed(self, name, tensors, keys):
        return api.TensorSplit(tensors, ["same", *keys[1:]] if name != "test" else keys)


class Twice(Base):
    """Squares."""

    def changed(self, name, tensors, keys):
        return api.TensorSplit(tensors, [keys[1], *keys[1:]])


class Leaking(Base):
    """Squares."""

    def changed(self, name, tensors, keys):
        if name == "test":
            tensors["image"] = tensors["image"].clone()
            tensors["image"][:2] = Synthetic().split("train").tensors["image"][4:6]
        return api.TensorSplit(tensors, keys)


class ChannelsLast(Base):
    """Squares."""

    def changed(self, name, tensors, keys):
        tensors["image"] = tensors["image"].movedim(1, -1)
        return api.TensorSplit(tensors, keys)


class Floating(Base):
    """Squares."""

    def changed(self, name, tensors, keys):
        tensors["image"] = tensors["image"].float()
        return api.TensorSplit(tensors, keys)


class Forgetful(Base):
    """Squares."""

    def changed(self, name, tensors, keys):
        del tensors["label"]
        return api.TensorSplit(tensors, keys)


class OutOfBounds(Base):
    """Squares."""

    def changed(self, name, tensors, keys):
        return Short(api.TensorSplit(tensors, keys))


class Augmenting(Base):
    """Squares."""

    def changed(self, name, tensors, keys):
        return Shuffled(api.TensorSplit(tensors, keys))


class Unsorted(Base):
    """Squares."""

    made = 0

    def __init__(self, options=None):
        super().__init__(options)
        type(self).made += 1
        self.number = self.made

    def changed(self, name, tensors, keys):
        return api.TensorSplit(tensors, keys[:: -1 if self.number % 2 else 1])


class Uncounted(Base):
    """Squares."""

    def changed(self, name, tensors, keys):
        tensors["label"] = tensors["label"] + (name == "val")
        return api.TensorSplit(tensors, keys)


class SmallLabels(Base):
    """Squares."""

    def changed(self, name, tensors, keys):
        tensors["label"] = tensors["label"].to(torch.uint8)
        return api.TensorSplit(tensors, keys)


class HighMask(Base):
    """Squares."""

    def changed(self, name, tensors, keys):
        tensors["mask"] = tensors["mask"] * 2
        return api.TensorSplit(tensors, keys)


class LowMask(Base):
    """Squares."""

    def changed(self, name, tensors, keys):
        tensors["mask"] = tensors["mask"][:, ::2, ::2]
        return api.TensorSplit(tensors, keys)


class Boxed(Base):
    """Squares with a box each."""

    box: tuple[float, ...] = (1, 2, 16, 16)

    def card(self, fields=("image",)):
        return super().card(fields).model_copy(update={"fields": ("image", "boxes")})

    def changed(self, name, tensors, keys):
        tensors["boxes"] = torch.tensor([self.box]).expand(len(keys), 1, 4).float()
        return api.TensorSplit(tensors, keys)


class BadlyBoxed(Boxed):
    """Squares with a box too many pixels wide."""

    box = (1, 2, 17, 16)


class Holding(Base):
    """Squares."""

    def changed(self, name, tensors, keys):
        split = Each(api.TensorSplit(tensors, keys))
        split.opened = lambda: None
        return split


class Misnamed(Each):
    def files(self, index):
        return [Path("/a/private/folder/1.png")]


class Pathless(Base):
    """Squares, said to be in files that are not there."""

    def changed(self, name, tensors, keys):
        return Misnamed(api.TensorSplit(tensors, keys))


class Relabelled(Each):
    def label(self, index):
        return np.array(2)


class Mislabelled(Base):
    """Squares that are all of one class, as their split says."""

    def changed(self, name, tensors, keys):
        return Relabelled(api.TensorSplit(tensors, keys))


class Missing(Base):
    """Squares."""

    def card(self, fields=("image",)):
        return super().card(fields).model_copy(update={"dtype": "float32"})

    def changed(self, name, tensors, keys):
        image = tensors["image"].float()
        image[0, 0, 0, 0] = torch.nan
        image[1::2, 0, 0, 0] = torch.nan
        return api.TensorSplit(tensors | {"image": image}, keys)


class Unsplit(Base):
    """Squares."""

    def split(self, name, fields=("image",)):
        return {}[name]


WRONG = [
    (NoWords, "options", "NoWords.Options describes sigma with no word; write Field(default=…, description=…)"),
    (Lax, "options", "Lax.Options takes unknown keys, so a misspelt option would go unnoticed"),
    (Demanding, "options", "Demanding.Options wants sigma and has no default; give one, None where there is none"),
    (Undocumented, "options", "Undocumented has no docstring; say in it what synthetic is"),
    (Rounding, "spec", "the options sigma come back from a spec file as another value, such as 0.0 for 0.5; use types"),
    (Raising, "card", "card() fails: ZeroDivisionError: nothing here (test_datasets.py, line "),
    (Raising, "card", "); return an api.DataCard, or raise api.DataError where data are missing"),
    (Unsplit, "splits", "); return an api.Split, an empty one where there are no such samples"),
    (with_card(name="squares"), "card", "is named 'squares'; give it the data set's name 'synthetic'"),
    (with_card(mean=(0.5,)), "card", "has 1 values of mean for 3 channels; give one per channel"),
    (with_card(mean=(90.0, 80.0, 70.0)), "card", "has a mean of 90.0, 80.0, 70.0, outside [0, 1]; give it in units"),
    (with_card(std=(0.1, 0.1, 0.0)), "card", "has a std of 0.0; it must be above 0 to divide by"),
    (with_card(value_range=(1.0, 1.0)), "card", "the lowest value, then the highest"),
    (with_card(classes=("a", "b", "a")), "card", "names a more than once in classes; give each a name of its own"),
    (with_card(title=""), "card", "has an empty title; write one line that says what the data are"),
    (with_card(split_sizes={"train": 24, "val": 12, "test": 13}), "splits", "has 12 samples and the card says 13"),
    (Shared, "splits", "key 'same' is in train and in val; a sample belongs to one split"),
    (Twice, "splits", "1 keys of train are there twice; give each sample a key of its own"),
    (Leaking, "leaks", "2 pictures are in two splits, pixel by pixel: 'train-4' of train is 'test-0' of test, for one"),
    (ChannelsLast, "samples", "train sample 'train-0': image has 16 channels and the card says 3; the channels come"),
    (Floating, "samples", "train sample 'train-0': image is float32 and the card says uint8; make one of them"),
    (with_card(size=(16, 12)), "samples", "image is (16, 16) and the card's size says (16, 12); set size=None"),
    (
        Forgetful,
        "samples",
        "train sample 'train-0' has no label; leave out of split(…, ('image', 'label')) the samples",
    ),
    (OutOfBounds, "samples", "train sample 'train-0' cannot be read: IndexError: list index out of range (test_"),
    (Augmenting, "repeatable", "train sample 'train-0': image differs when it is read twice; leave random changes to"),
    (Unsorted, "repeatable", "has other keys, or another order, in a second instance; sort what is listed"),
    (with_card(value_range=(0.0, 100.0)), "values", "outside the card's value_range 0 to 100; set value_range to what"),
    (Uncounted, "labels", "val sample 'val-2': label 3 is none of the 3 classes, which count from 0"),
    (SmallLabels, "labels", "label is uint8 of shape (); one label is int64 of shape ()"),
    (with_card(class_counts=(9, 8, 7)), "labels", "train has 8, 8, 8 samples of the classes in turn and the card's"),
    (HighMask, "masks", "mask holds 4, none of the 4 mask classes; write 255 where nothing is to be judged"),
    (LowMask, "masks", "mask is uint8 of shape (8, 8) for an image of (16, 16); give integers of the same size"),
    (BadlyBoxed, "boxes", "box [1.0, 2.0, 17.0, 16.0] is empty or leaves the image of 16 × 16; boxes are left, top"),
    (
        Mislabelled,
        "labels",
        "train sample 'train-0': label(0) says 2, and the sample 0; return the same, or None where",
    ),
    (Pathless, "files", "train sample 'train-0': files(0) names 1.png, which is no file; name what the sample is read"),
    (Holding, "workers", "split('train', ('image',)) cannot be handed to a worker process: "),
    (Missing, "training", "holds values that are no numbers; a picture must be finite after normalising"),
]


def test_each_check_has_a_data_set_that_fails_it():
    assert {check for _, check, _ in WRONG} == {*names(datasets.STAGES)} - {"imports"}


@pytest.mark.parametrize(("wrong", "check", "sentence"), WRONG)
def test_a_wrong_data_set_fails_that_check_alone_with_a_sentence(wrong, check, sentence):
    problems = {finding.check: finding.problem for finding in check_dataset(wrong()) if finding.problem}
    assert list(problems) == [check]
    assert sentence in problems[check]


@pytest.mark.parametrize("options", [{}, {"multi_label": True}, {"channels": 1, "num_classes": 7, "size": (12, 20)}])
def test_the_kits_own_data_set_keeps_every_promise(options):
    findings = check_dataset(Synthetic(Synthetic.Options(**options)))
    assert [finding for finding in findings if finding.problem] == []
    assert {finding.check: finding.note for finding in findings if finding.note} == {"boxes": "samples carry no boxes"}


def test_boxes_inside_the_picture_are_fine():
    assert [finding for finding in check_dataset(Boxed()) if finding.problem] == []


def test_several_labels_are_marked_by_three_numbers():
    class Marked(Synthetic):
        """Squares."""

        def split(self, name, fields=("image",)):
            split = super().split(name, fields)
            return api.TensorSplit(split.tensors | {"label": split.tensors["label"] * 2}, split.keys)

    findings = check_dataset(Marked(Marked.Options(multi_label=True)))
    [problem] = [finding.problem for finding in findings if finding.problem]
    assert problem == (
        "train sample 'train-0': label holds -2, 2; write 1 for present, 0 for absent, -1 for not to be judged"
    )


def test_pictures_that_are_known_to_be_equal_are_no_problem():
    assert [finding for finding in check_dataset(Leaking(), equal_pictures=2) if finding.problem] == []


def test_what_stands_on_a_broken_promise_is_not_looked_at():
    findings = {finding.check: finding for finding in check_dataset(Raising())}
    assert findings["splits"].note == "not looked at: card comes first"
    assert findings["training"].note == "not looked at: card comes first"
    assert findings["options"].problem is None
    assert findings["options"].note == ""


def test_a_broken_file_is_no_broken_promise():
    class Files(Base):
        """Squares, some in files that cannot be read."""

        def changed(self, name, tensors, keys):
            return Damaged(api.TensorSplit(tensors, keys))

    assert [finding for finding in check_dataset(Files()) if finding.problem] == []
