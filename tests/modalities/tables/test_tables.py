from __future__ import annotations

import numpy as np
import pytest
from cards import card

from maecli.data.tabular.columns import Column
from maecli.errors import BrokenSample
from maecli.modalities.joined import Joined
from maecli.modalities.tables.modality import Tables

NAMED = card(size=(2,), cells=("rooms", "age"))
UNNAMED = card(size=(2,))


def write(tmp_path, content: str | np.ndarray):
    path = tmp_path / ("t.csv" if isinstance(content, str) else "t.npy")
    if isinstance(content, str):
        path.write_text(content, encoding="utf-8-sig")
    else:
        np.save(path, content)
    return path


def rows(path, of) -> dict[str, list[float]]:
    root, split = Tables().open(path, of, (2,))
    assert root == path.parent
    images = [split[i]["image"] for i in range(len(split))]
    assert all(image.shape == (1, 2) and image.dtype == np.float32 for image in images)
    return {key: image[0].tolist() for key, image in zip(split.keys, images, strict=True)}


def test_columns_are_found_by_name_and_others_are_ignored(tmp_path):
    path = write(tmp_path, 'price,age,"sea, near",rooms\n9,20,yes,2\n8,30,"no, far",\n')
    found = rows(path, NAMED)
    np.testing.assert_array_equal(found.pop("t.csv#2"), [np.nan, 30])
    assert found == {"t.csv#1": [2, 20]}


def test_columns_without_names_stand_as_they_do_in_the_file(tmp_path):
    assert rows(write(tmp_path, "x,y\n1,2\n3,4\n"), UNNAMED) == {"t.csv#1": [1, 2], "t.csv#2": [3, 4]}


@pytest.mark.parametrize("of", [NAMED, UNNAMED])
def test_rows_of_an_array_are_samples(tmp_path, of):
    assert rows(write(tmp_path, np.array([[1, 2], [3, 4]])), of) == {"t.npy#1": [1, 2], "t.npy#2": [3, 4]}


def test_a_row_without_any_value_is_a_row(tmp_path):
    assert len(rows(write(tmp_path, "rooms,age\n,\n1,2\n"), NAMED)) == 2


@pytest.mark.parametrize(
    ("content", "of", "reason"),
    [
        ("rooms,agee\n1,2\n", NAMED, r"lacks the column 'age', .*left over: 'agee'; did you mean 'agee'\?"),
        ("a,b,c\n1,2,3\n", UNNAMED, "has 3 columns .* where 2 columns of numbers are wanted"),
        ("rooms,age\n1,old\n", NAMED, "line 2, column 'age': 'old' is not a number"),
        ("rooms,age\n", NAMED, "has no rows"),
        (np.zeros((4, 3)), NAMED, r"has the shape \(4, 3\); a table of this model is \(N, 2\)"),
        (np.zeros(2), NAMED, r"has the shape \(2,\); a table of this model is \(N, 2\)"),
        (np.full((1, 2), -np.inf), NAMED, "holds infinite values"),
    ],
)
def test_what_is_no_table_of_these_cells_is_one_broken_sample(tmp_path, content, of, reason):
    path = write(tmp_path, content)
    _, split = Tables().open(path, of, (2,))
    assert list(split.keys) == [path.name]
    with pytest.raises(BrokenSample, match=f"^{path.name}: {reason}"):
        split[0]


def test_a_file_is_a_sample_only_where_it_has_a_single_row(tmp_path):
    assert Tables().read(write(tmp_path, "age,rooms\n1,2\n"), NAMED).tolist() == [[2, 1]]
    with pytest.raises(BrokenSample, match="holds 2 rows where one sample, a single row, is wanted"):
        Tables().read(write(tmp_path, "age,rooms\n1,2\n3,4\n"), NAMED)


def test_a_row_is_written_below_the_names_of_its_cells(tmp_path):
    row = np.array([[0.1, np.nan]], np.float32)
    assert Tables().encode(row, NAMED) == (".csv", b"rooms,age\n0.1,\n")
    assert Tables().encode(row, UNNAMED, write(tmp_path, "x,y\n1,2\n"))[1] == b"x,y\n0.1,\n"
    assert Tables().encode(row, UNNAMED)[1] == b"cell 1,cell 2\n0.1,\n"


def test_a_survey_of_known_columns_counts_cells_in_units_of_the_data(tmp_path):
    columns = (
        Column(name="rooms", kind="integer", knots=(0.0, 10.0), decimals=0),
        Column(name="kind", kind="category", categories=("flat", "house", "hut")),
    )
    known = card(size=(2,), cells=("rooms", "kind"), columns=columns, channels=4, value_range=(-0.5, 1.5))
    _, split = Tables().open(write(tmp_path, "kind,rooms\nhouse,4\nhut,\n"), known, (2,))
    looks = [Tables().survey(split, i, (2,), known) for i in range(2)]
    assert [look.missing for look in looks] == [0.0, 0.5]
    assert looks[0].values.mean.tolist() == pytest.approx([4, 1])
    assert looks[0].values.outside.tolist() == [0, 0]
    assert looks[0].digest != looks[1].digest
    assert Tables().encode(split[0]["image"], known) == (".csv", b"rooms,kind\n4,house\n")


def test_categories_are_drawn_by_their_number_and_a_missing_one_is_hatched():
    nan = np.nan
    image = np.array([[0.5, nan, nan], [nan, 0, nan], [nan, 0, nan], [nan, 1, nan]], np.float32)
    np.testing.assert_array_equal(Tables().draw(image), Tables().draw(np.array([[0.5, 1, nan]], np.float32)))


def test_categories_that_training_did_not_have_are_counted_and_missing(tmp_path):
    kinds = (
        Column(name="street", kind="category", categories=("park", "quay")),
        Column(name="garden", kind="boolean", categories=("no", "yes")),
    )
    of = card(size=(2,), channels=3, cells=("street", "garden"), columns=kinds)
    write(tmp_path, "street,garden\npark,yes\nmoor,no\nmoor,\nfen,maybe\nNA,no\n")
    _, split = Tables().open(tmp_path, of, (2,))
    told = "4 cells hold categories that training did not have, and are missing to the model"
    by_column = "street 3 ('moor', 'fen'), garden 1 ('maybe')"
    assert list(Joined([("", split)]).view([0, 4]).notes()) == [f"{told}: {by_column}"]
    assert np.isnan(split[1]["image"][:, 0]).all()
    assert not np.isnan(split[1]["image"][1:, 1]).any()
    write(tmp_path, "street,garden\npark,yes\n,no\n")
    assert list(Tables().open(tmp_path, of, (2,))[1].notes()) == []
