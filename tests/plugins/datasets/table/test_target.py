"""The column of a table that is to be predicted."""

from __future__ import annotations

import numpy as np
import pytest
from maecli_plugins.datasets.table.dataset import Table
from write_data import write_table

from maecli import api
from maecli.data.fingerprint import fingerprint_of
from maecli.data.views.members import members_of
from maecli.modalities.tables import read
from maecli.testing import DatasetConformance

LABELLED, NUMBERED = ("image", "label"), ("image", "target")


@pytest.fixture
def path(tmp_path):
    return write_table(tmp_path)


def table(path, target, **options) -> Table:
    return Table(Table.Options(root=path, target=target, **options))


def column_of(path, place) -> dict[str, str]:
    """Return the cells of a column by the key of their row."""
    lines = path.read_text().replace("ring, inner", "ring").splitlines()[1:]
    return {f"houses.csv#{i}": line.split(",")[place].strip('"') for i, line in enumerate(lines, 1)}


@pytest.mark.usefixtures("told_costs")
class TestClasses(DatasetConformance):
    def dataset(self, tmp_path):
        return table(write_table(tmp_path), "street")


@pytest.mark.usefixtures("told_costs")
class TestNumbers(DatasetConformance):
    def dataset(self, tmp_path):
        return table(write_table(tmp_path), "size")


def test_a_column_of_categories_is_the_label_and_no_cell(path):
    data, truth = table(path, "street"), column_of(path, 3)
    card = data.card(LABELLED)
    assert card.cells == ("size", "rooms", "garden", "built")
    assert card.classes == ("park", "quay", "ring, inner")
    assert sum(card.class_counts) == card.split_sizes["train"] == 48
    split = data.split("train", LABELLED)
    for index, key in enumerate(split.keys):
        sample = split[index]
        assert sample["image"].shape == (card.channels, 4)
        assert card.classes[sample["label"]].startswith(truth[key])


def test_whole_numbers_of_few_kinds_are_classes_where_classes_are_learnt(path):
    card = table(path, "rooms").card(LABELLED)
    assert card.classes == tuple(f"{number}.0" for number in range(7))
    with pytest.raises(api.DataError, match=r"holds 7 different numbers, .* --task regress predicts them"):
        table(path, "rooms", most_categories=3).card(LABELLED)


def test_rows_without_the_target_are_left_out_of_what_learns_it_alone(path):
    data = table(path, "size")
    card, whole = data.card(NUMBERED), data.card()
    assert card.targets == ("size",)
    assert sum(whole.split_sizes.values()) == 60
    assert sum(card.split_sizes.values()) == 48
    assert card.left_out == {"rows in which size is missing": 12}
    assert whole.left_out == {}
    truth, split = column_of(path, 0), data.split("test", NUMBERED)
    assert set(split.keys) < set(data.split("test").keys)
    for index, key in enumerate(split.keys):
        assert split[index]["target"] == np.float32(truth[key])


def test_nothing_of_the_target_is_in_what_a_model_sees_in_pretraining_neither(path):
    images = [table(path, "size").split("train")[i]["image"] for i in range(5)]
    path.write_text("\n".join(_with(line, f"{i}.5") for i, line in enumerate(path.read_text().splitlines())))
    changed = table(path, "size")
    np.testing.assert_array_equal(images, [changed.split("train")[i]["image"] for i in range(5)])
    assert "size" not in changed.card().cells
    assert any("'size' is to be predicted" in note for note in changed.card().notes)


def _with(line, size):
    return line if line.startswith("size") else ",".join([size, *line.split(",")[1:]])


def test_labels_alone_need_no_cells(path):
    data = table(path, "street")
    alone, whole = data.split("val", ("label",)), data.split("val", LABELLED)
    assert list(alone.keys) == list(whole.keys)
    assert [int(alone[i]["label"]) for i in range(len(alone))] == [int(whole[i]["label"]) for i in range(len(whole))]
    assert set(alone[0]) == {"label"}


@pytest.mark.parametrize(
    ("target", "fields", "reason"),
    [
        ("", LABELLED, "is not named; give --set dataset.target=COLUMN: the columns of houses.csv are size, rooms"),
        ("street", NUMBERED, "'street' holds categories, and numbers are to be predicted; --task classify"),
        ("built", NUMBERED, "'built' holds dates, and numbers are to be predicted"),
        ("note", LABELLED, "'note' is free text, 60 different ones, .* --set dataset.types.note=category takes each"),
        ("empty", LABELLED, "'empty' holds nothing, and classes are to be told apart$"),
        ("empty", NUMBERED, "'empty' holds nothing, and numbers are to be predicted$"),
        ("price", ("image",), "names the column 'price', which is not there; the columns of houses.csv are"),
    ],
)
def test_what_cannot_be_predicted_is_refused_in_one_sentence(path, target, fields, reason):
    with pytest.raises(api.SpecError if target in ("", "price") else api.DataError, match=reason):
        table(path, target).card(fields)


def test_a_class_that_no_training_row_has_is_a_class_all_the_same(path):
    test = table(path, "street").split("test").keys[0]
    lines = path.read_text().splitlines()
    row = int(test.partition("#")[2])
    lines[row] = lines[row].replace('"ring, inner"', "moor").replace('"park"', "moor").replace('"quay"', "moor")
    path.write_text("\n".join(lines))
    card = table(path, "street").card(LABELLED)
    assert card.classes == ("moor", "park", "quay", "ring, inner")
    assert card.class_counts[0] == 0


@pytest.mark.parametrize(("target", "fields"), [("street", LABELLED), ("size", NUMBERED), ("", ("image",))])
def test_rows_at_hand_are_those_that_are_made_when_they_are_asked_for(path, target, fields, monkeypatch):
    data = table(path, target)
    at_hand = data.split("train", fields)
    monkeypatch.setattr(read, "MAX_AT_HAND", 0)
    made = data.split("train", fields)
    assert isinstance(at_hand, api.TensorSplit)
    assert not isinstance(made, api.TensorSplit)
    assert list(at_hand.keys) == list(made.keys)
    for index in range(0, len(made), 7):
        one, other = at_hand[index], made[index]
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])
            assert one[name].dtype == other[name].dtype
    assert at_hand.view([3, 1]).files(0) == made.view([3, 1]).files(0) == [path]
    assert fingerprint_of(at_hand, fields) == fingerprint_of(made, fields)
    assert members_of(data, fields) is not None
