from __future__ import annotations

import numpy as np
import pytest
from maecli_plugins.datasets.table.california import California
from maecli_plugins.datasets.table.dataset import Table
from write_data import write_california, write_table

from maecli import api
from maecli.testing import DatasetConformance

ROWS = 60


@pytest.fixture
def path(tmp_path):
    return write_table(tmp_path)


def table(path, **options) -> Table:
    return Table(Table.Options(root=path, **options))


@pytest.mark.usefixtures("told_costs")
class TestTable(DatasetConformance):
    def dataset(self, tmp_path):
        return table(write_table(tmp_path), most_categories=5)


def test_types_are_guessed_and_told(path):
    card = table(path).card()
    assert {column.name: column.kind for column in card.columns} == {
        "size": "number",
        "rooms": "integer",
        "garden": "boolean",
        "street": "category",
        "built": "date",
    }
    assert card.channels == 4
    assert card.size == (5,)
    assert card.reading == (
        "60 rows of houses.csv with 5 columns: 1 of numbers, 1 of whole numbers, 1 of truths, 1 of categories, "
        "1 of dates"
    )
    notes = " | ".join(card.notes)
    assert "the column 'note' is left out: it is free text, 60 different ones" in notes
    assert "--set dataset.types.note=category takes it" in notes
    assert "the column 'empty' is left out: it holds nothing" in notes
    assert "32 of 300 cells are missing: garden 20, size 12" in notes


def test_texts_of_which_few_come_again_are_no_categories(tmp_path):
    names = [f"{number % 12} people" for number in range(20)]
    few = [f"{number % 10} rooms" for number in range(20)]
    lines = [f"{number},{one},{other}" for number, (one, other) in enumerate(zip(names, few, strict=True))]
    (tmp_path / "a.csv").write_text("\n".join(["x,people,rooms", *lines]))
    card = table(tmp_path / "a.csv").card()
    assert {column.name: column.kind for column in card.columns} == {"x": "integer", "rooms": "category"}
    assert any("'people' is left out: it is free text, 12 different ones in 20 rows" in note for note in card.notes)


def test_a_single_row_is_told_as_one(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1.5,2\n")
    assert table(tmp_path / "a.csv").card().reading.startswith("1 row of a.csv with 2 columns: ")


def test_a_person_says_otherwise(path):
    card = table(path, types={"rooms": "category", "built": "ignore", "note": "category"}).card()
    assert {column.name: column.kind for column in card.columns} == {
        "size": "number",
        "rooms": "category",
        "garden": "boolean",
        "street": "category",
        "note": "category",
    }
    with pytest.raises(api.SpecError, match="names the column 'room', which houses"):
        table(path, types={"room": "category"}).card()
    with pytest.raises(api.DataError, match=r"line 2, column 'street': 'ring, inner' is not a number"):
        table(path, types={"street": "number"}).card()


def test_a_missing_cell_has_no_value_in_any_channel_and_others_only_in_their_own(path):
    data = table(path)
    columns = data.card().columns
    by_key = {key: data.split(name)[i] for name in api.SPLIT_NAMES for i, key in enumerate(data.split(name).keys)}
    image = by_key["houses.csv#1"]["image"]  # no size, no garden
    assert np.isnan(image[:, [0, 2]]).all()
    assert not np.isnan(image[0, [1, 4]]).any()
    assert np.isnan(image[1:, [0, 1, 4]]).all()
    assert columns[3].categories == ("park", "quay", "ring, inner")
    np.testing.assert_array_equal(image[:, 3], [np.nan, 0, 0, 1])
    np.testing.assert_array_equal(by_key["houses.csv#2"]["image"][:, 2], [np.nan, 1, 0, np.nan])


def test_what_is_fitted_is_fitted_on_training_rows_alone(path):
    card = table(path).card()
    test_rows = {int(key.partition("#")[2]) for key in table(path).split("test").keys}
    lines = path.read_text().splitlines()
    for row in test_rows:
        lines[row] = f"99999,{row % 7}.0,yes,elsewhere,2100-01-01,note {row},"
    path.write_text("\n".join(lines) + "\n")
    changed = table(path)
    assert changed.card().columns == card.columns
    assert (changed.card().mean, changed.card().std) == (card.mean, card.std)
    assert np.isnan(changed.split("test")[0]["image"][1:, 3]).all()  # an unseen category


@pytest.mark.parametrize("scaler", ["standard", "minmax", "quantile"])
def test_scaled_cells_come_back_as_they_were(path, scaler):
    data = table(path, scaler=scaler)
    card, split = data.card(), data.split("train")
    lines = path.read_text().splitlines()
    for index in (0, 5, 11):
        row = int(split.keys[index].partition("#")[2])
        _, encoded = api.modalities.Tables().encode(split[index]["image"], card)
        size, rest = encoded.decode().splitlines()[1].split(",", 1)
        wanted_size, wanted = lines[row].rsplit(",", 2)[0].split(",", 1)
        assert size == ("" if wanted_size == "NA" else wanted_size)
        assert rest.replace('"', "") == wanted.replace('"', "")


def test_standard_cells_have_mean_0_and_deviation_1_once_they_are_normalised(path):
    data = table(path)
    card, split = data.card(), data.split("train")
    places = np.stack([split[i]["image"][0] for i in range(len(split))])[:, [0, 1, 4]]
    mean, std = np.array(card.mean)[[0, 1, 4]], np.array(card.std)[[0, 1, 4]]
    z = (card.in_units(places) - mean) / std
    np.testing.assert_allclose(np.nanmean(z, 0), 0, atol=1e-5)
    np.testing.assert_allclose(np.nanstd(z, 0), 1, atol=1e-5)


def test_a_sentinel_that_is_named_is_missing(tmp_path):
    path = write_table(tmp_path, missing="-999")
    assert "garden 20, size 12" not in " ".join(table(path).card().notes)
    assert "garden 20, size 12" in " ".join(table(path, missing=["-999"]).card().notes)


def test_semicolons_and_decimal_commas_make_the_same_table(tmp_path, path):
    other = tmp_path / "german" / "houses.csv"
    other.parent.mkdir()
    lines = path.read_text().replace("ring, inner", "ring| inner").splitlines()
    text = "\n".join(line.replace(",", ";").replace(".", ",") for line in lines).replace("ring| inner", "ring, inner")
    other.write_bytes(text.encode("utf-16"))
    assert table(other).card().columns[0].knots == table(path).card().columns[0].knots
    np.testing.assert_array_equal(table(other).split("val")[0]["image"], table(path).split("val")[0]["image"])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "is empty; its first line must name the columns"),
        ("a,b\n", "has no rows below the names of its columns"),
        ("a,b\n1,2\n3\n", "line 3: has 1 cell under 2 columns"),
        ("a,b\n1,x\n2,\n3,x\n", None),
        ("a\n1\n2\n3\n", "has a single column that can be learnt from"),
        ("a,b\n1,2\n2,inf\n3,4\n", "line 3, column 'b': holds a number that is infinite"),
    ],
)
def test_a_file_that_is_no_such_table_is_refused_in_one_sentence(tmp_path, content, reason):
    (tmp_path / "t.csv").write_text(content)
    if reason is None:
        assert table(tmp_path / "t.csv").card().size == (2,)
        return
    with pytest.raises(api.DataError, match=reason):
        table(tmp_path / "t.csv").card()


def test_a_folder_is_a_table_if_it_holds_one(tmp_path, path):
    assert table(tmp_path).card().reading == table(path).card().reading
    path.with_name("others.csv").write_bytes(path.read_bytes())
    with pytest.raises(api.DataError, match="holds 2 tables; give --root the file that is meant"):
        table(tmp_path).card()
    with pytest.raises(api.DataError, match="does not exist"):
        table(tmp_path / "none").card()
    with pytest.raises(api.SpecError, match="needs --root"):
        Table(Table.Options()).card()


def test_rows_are_read_as_a_run_has_read_them(tmp_path, path):
    card = table(path, scaler="quantile").card()
    (tmp_path / "new").mkdir()
    other = table(write_table(tmp_path / "new", rows=30))
    other.read_as(card)
    assert other.card().columns == card.columns


def test_columns_mean_what_they_meant_to_the_run_that_is_begun_from(tmp_path, path):
    first = table(path).card()
    (tmp_path / "new").mkdir()
    lines = path.read_text().splitlines()
    few = [line.replace("park", "moor") for line in lines[20:40]]
    new = tmp_path / "new" / "houses.csv"
    new.write_text("\n".join([lines[0] + ",price", *(f"{line},{i}" for i, line in enumerate(few))]))
    data = table(new, target="size", types={"note": "ignore"})
    data.begin_from(first)
    card = data.card()
    assert card.cells == ("rooms", "garden", "street", "built", "price")
    assert card.columns[:4] == first.columns[1:]
    assert (card.mean[:4], card.std[:4]) == (first.mean[1:], first.std[1:])
    assert card.columns[4].knots[1] <= 19
    assert "the run of --init saw the column 'size' of all its training rows" in " | ".join(card.notes)


def test_a_persons_file_is_read_by_the_card(tmp_path, path):
    data = table(path)
    card = data.card()
    root, split = api.modalities.Tables().open(path, card, card.size)
    assert root == tmp_path
    assert len(split) == ROWS
    mine = data.split("train")
    for index in (0, 7):
        place = list(split.keys).index(mine.keys[index])
        np.testing.assert_array_equal(split[place]["image"], mine[index]["image"])


def test_california_is_read_from_its_own_file(tmp_path):
    write_california(tmp_path)
    card = California(California.Options(root=tmp_path)).card()
    assert [column.kind for column in card.columns] == ["number", "number", "integer", "category"]
    assert card.columns[3].categories == ("INLAND", "NEAR BAY")
    assert "4 of 160 cells are missing: total_bedrooms 4" in " ".join(card.notes)


def test_california_is_downloaded_in_the_form_of_scikit_learn_where_it_is_not_there(tmp_path, monkeypatch):
    from sklearn import datasets
    from sklearn.utils import Bunch

    def fetch(data_home):
        rng = np.random.default_rng(0)
        return Bunch(data=rng.random((30, 2)), target=rng.random(30), feature_names=["a", "b"], target_names=["price"])

    monkeypatch.setattr(datasets, "fetch_california_housing", fetch)
    card = California(California.Options(root=tmp_path)).card()
    assert card.cells == ("a", "b", "price")
    assert (tmp_path / "california_housing_8.csv").is_file()

    def fails(data_home):
        raise OSError("no network")

    monkeypatch.setattr(datasets, "fetch_california_housing", fails)
    with pytest.raises(api.DataError, match=r"was not found in .* and the download failed: no network; put the file"):
        California(California.Options(root=tmp_path / "other")).card()
