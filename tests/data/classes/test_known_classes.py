"""Data sets whose classes are numbered as a run's.

The run knows cat, dog and emu, in masks background, cat and dog, with 9 for void.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from cards import card

from maecli.data.classes.known_classes import KnownClasses, Renumbered
from maecli.data.dataset import Dataset, DatasetOptions
from maecli.data.sample import Sample, Split, TensorSplit
from maecli.errors import BrokenSample, DataError

RUN = card(
    classes=("cat", "dog", "emu"),
    mask_classes=("background", "cat", "dog"),
    mask_palette=((0, 0, 0),) * 3,
    void=9,
)
SEVERAL = RUN.model_copy(update={"multi_label": True})


class Listed(Split):
    """Samples that are given; `labels_read` says of which a label was asked for."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self.samples = samples

    @property
    def keys(self) -> Sequence[str]:
        return [f"{i}.png" for i in range(len(self.samples))]

    def __getitem__(self, index: int) -> Sample:
        return self.samples[index]

    def label(self, index: int) -> np.ndarray | None:
        return self.samples[index].get("label")


class Toy(Dataset):
    """One split for all names, of fields that are given for all samples at once, in memory or not."""

    name = "toy"

    def __init__(self, facts, fields, resident=False):
        super().__init__(DatasetOptions())
        self.facts, self.fields, self.resident = facts, fields, resident

    def card(self, fields=("image",)):
        return card(**self.facts)

    def split(self, name, fields=("image",)):
        arrays = {field: np.asarray(self.fields[field]) for field in fields if field in self.fields}
        if self.resident:
            return TensorSplit({field: torch.from_numpy(array) for field, array in arrays.items()})
        num = len(next(iter(arrays.values())))
        return Listed([{field: array[i] for field, array in arrays.items()} for i in range(num)])


def masked(masks, classes, void=255):
    facts = {"mask_classes": classes, "mask_palette": ((0, 0, 0),) * len(classes), "void": void}
    return facts, {"mask": np.array(masks)}


def values(split, field):
    return [np.asarray(split[i][field]).tolist() for i in range(len(split))]


@pytest.mark.parametrize("resident", [False, True], ids=["files", "tensors"])
def test_labels_get_the_numbers_of_the_run(resident):
    data = Toy({"classes": ("emu", "cat")}, {"label": np.array([0, 1, 1])}, resident)
    split = KnownClasses(data, RUN, ("label",), ignore_unknown=True).split("test", ("label",))
    assert values(split, "label") == [2, 0, 0]
    assert isinstance(split, TensorSplit) == resident
    if not resident:
        assert split.label(0) == 2
        assert values(pickle.loads(pickle.dumps(split)), "label") == [2, 0, 0], "workers are given the split"


@pytest.mark.parametrize("classes", [("cat", "dog", "emu"), ("Cat", "dog", "emu")], ids=["equal", "alike"])
def test_the_same_numbers_are_left_alone(classes):
    data = Toy({"classes": classes}, {"label": np.array([0, 1])})
    assert isinstance(KnownClasses(data, RUN, ("label",)).split("test", ("label",)), Listed)


@pytest.mark.parametrize("resident", [False, True], ids=["files", "tensors"])
def test_samples_of_unknown_classes_are_left_out_and_counted(resident):
    data = Toy({"classes": ("bee", "dog", "fox")}, {"label": np.array([0, 1, 2, 0, 1])}, resident)
    with pytest.raises(DataError) as error:
        KnownClasses(data, RUN, ("label",))
    assert str(error.value) == (
        "the data have 2 classes that the run does not know: 'bee', 'fox'; it knows 'cat', 'dog', 'emu', of which the "
        "data lack 'cat', 'emu'; call them as the run does, or leave their samples out by mae "
        "eval --ignore-unknown-classes"
    )
    known = KnownClasses(data, RUN, ("label",), ignore_unknown=True)
    split = known.split("test", ("label",))
    assert values(split, "label") == [1, 1]
    assert len(split) == len(split.keys) == 2
    assert known.left_out("test") == {
        "of the class 'bee', which the run does not know": 2,
        "of the class 'fox', which the run does not know": 1,
    }


def test_data_that_lack_a_class_of_the_run_are_refused_unless_that_is_wanted():
    data = Toy({"classes": ("dog",)}, {"label": [0]})
    words = "the data lack 2 classes that the run knows: 'cat', 'emu'; they have 'dog'; give --root all of them, or"
    with pytest.raises(DataError, match=words):
        KnownClasses(data, RUN, ("label",))
    assert values(KnownClasses(data, RUN, ("label",), ignore_unknown=True).split("test", ("label",)), "label") == [1]


def test_of_several_labels_those_of_unknown_classes_have_no_column():
    labels = np.array([[1, 0, -1], [0, 1, 1]], np.int8)
    facts = {"classes": ("emu", "fox", "cat"), "multi_label": True}
    for resident in (False, True):
        known = KnownClasses(Toy(facts, {"label": labels}, resident), SEVERAL, ("label",), ignore_unknown=True)
        split = known.split("test", ("label",))
        assert values(split, "label") == [[-1, -1, 1], [1, -1, 0]], "nobody said whether there is a dog"
        assert split[0]["label"].dtype == np.int8
        assert known.left_out("test") == {"labels of the class 'fox', which the run does not know": 1}
    with pytest.raises(DataError, match="or leave these labels out by mae eval --ignore-unknown-classes"):
        KnownClasses(Toy(facts, {"label": labels}), SEVERAL, ("label",))


@pytest.mark.parametrize("resident", [False, True], ids=["files", "tensors"])
def test_masks_get_the_numbers_of_the_run_and_its_void(resident):
    facts, fields = masked(np.array([[[0, 1], [2, 255]]], np.uint8), ("dog", "background", "cat"))
    split = KnownClasses(Toy(facts, fields, resident), RUN, ("mask",), ignore_unknown=True).split("test", ("mask",))
    assert values(split, "mask") == [[[2, 0], [1, 9]]]
    assert split[0]["mask"].dtype == np.uint8


def test_pixels_of_unknown_classes_are_void_and_counted():
    facts, fields = masked(np.array([[0, 1, 3, 255], [3, 3, 2, 2]], np.uint8), ("background", "cat", "dog", "fox"))
    known = KnownClasses(Toy(facts, fields), RUN, ("mask",), ignore_unknown=True)
    assert values(known.split("test", ("mask",)), "mask") == [[0, 1, 9, 9], [9, 9, 2, 2]]
    assert known.left_out("test") == {"pixels of the class 'fox', which the run does not know": 3}
    with pytest.raises(DataError, match="or leave their pixels out by mae eval --ignore-unknown-classes"):
        KnownClasses(Toy(facts, fields), RUN, ("mask",))


def test_another_void_alone_is_brought_to_that_of_the_run():
    facts, fields = masked(np.array([[0, 1, 2, 700]], np.int16), RUN.mask_classes, void=700)
    split = KnownClasses(Toy(facts, fields), RUN, ("mask",), ignore_unknown=True).split("test", ("mask",))
    assert values(split, "mask") == [[0, 1, 2, 9]]


def test_a_void_that_does_not_fit_the_type_of_masks_widens_it():
    facts, fields = masked(np.array([[1, 255]], np.uint8), ("cat", "dog"))
    run = RUN.model_copy(update={"void": 65535})
    [mask] = values(
        KnownClasses(Toy(facts, fields), run, ("mask",), ignore_unknown=True).split("test", ("mask",)), "mask"
    )
    assert mask == [2, 65535]


@pytest.mark.parametrize("number", [5, -1], ids=["above", "below"])
def test_a_mask_with_a_number_that_nothing_has_is_left_out(number):
    masks = np.array([[0, 1], [0, number]], np.int8)
    facts, fields = masked(masks, ("cat", "dog"))
    split = KnownClasses(Toy(facts, fields), RUN, ("mask",), ignore_unknown=True).split("test", ("mask",))
    assert split[0]["mask"].tolist() == [1, 2]
    with pytest.raises(BrokenSample) as broken:
        split[1]
    assert str(broken.value) == f"1.png: mask has the number {number}, and the data have 2 mask classes, from 0"
    with pytest.raises(DataError, match=f"a sample cannot be used: mask has the number {number}"):
        KnownClasses(Toy(facts, fields, resident=True), RUN, ("mask",), ignore_unknown=True).split("test", ("mask",))


def test_only_classes_that_a_task_learns_are_looked_at():
    facts, fields = masked(np.array([[0, 1]], np.uint8), ("background", "fox"))
    data = Toy(facts | {"classes": ("cat", "dog")}, fields | {"label": np.array([1])})
    assert values(
        KnownClasses(data, RUN, ("label",), ignore_unknown=True).split("test", ("label", "mask")), "mask"
    ) == [[0, 1]]
    KnownClasses(data, RUN, ("image",))


def test_boxes_are_numbered_too():
    facts, fields = {"classes": ("dog", "cat", "fox")}, {"box_label": np.array([[0, 1], [2, 0]])}
    split = KnownClasses(Toy(facts, fields), RUN, ("box_label",), ignore_unknown=True).split("test", ("box_label",))
    assert split[0]["box_label"].tolist() == [1, 0]
    with pytest.raises(BrokenSample, match="is of the class 'fox', which the run does not know"):
        split[1]


@pytest.mark.parametrize(
    ("classes", "theirs"), [(("yak", "fox"), "'yak', 'fox'"), ((), "none")], ids=["others", "no names"]
)
def test_data_of_which_no_class_is_known_are_refused(classes, theirs):
    with pytest.raises(DataError) as error:
        KnownClasses(Toy({"classes": classes}, {}), RUN, ("label",), ignore_unknown=True)
    assert str(error.value) == (
        f"the run knows none of the classes of these data: they have {theirs}, and it knows 'cat', 'dog', 'emu'; give "
        "--root the data of these classes, or train on these: mae finetune --init RUN"
    )


@pytest.mark.parametrize("several", [True, False], ids=["the run", "the data"])
def test_several_labels_are_not_compared_with_one(several):
    data = Toy({"classes": RUN.classes, "multi_label": not several}, {})
    words = ("one label per sample", "several labels per sample")
    theirs, ours = words if several else words[::-1]
    with pytest.raises(DataError) as error:
        KnownClasses(data, SEVERAL if several else RUN, ("label",))
    assert str(error.value) == f"the data have {theirs} and the run learnt {ours}, so their labels cannot be compared"


def test_what_a_split_says_of_its_samples_stays():
    inner = Listed([{"image": np.zeros((1, 2, 3)), "label": np.array(0)}])
    known = KnownClasses(Toy({"classes": ("dog",)}, {}), RUN, ("label",), ignore_unknown=True)
    split = Renumbered(inner, known.renumbering)
    assert (split.size(0), split.small(0, 1).shape, split.files(0)) == ((2, 3), (1, 2, 3), ())
    assert split.view([0])[0]["label"] == 1


def test_the_card_of_the_data_is_made_once():
    made = []

    class Counted(Toy):
        def card(self, fields=("image",)):
            made.append(fields)
            return super().card(fields)

    known = KnownClasses(Counted({"classes": RUN.classes}, {}), RUN, ("label",))
    assert known.card(("label",)) is known.card(("label",))
    assert made == [("label",)]
