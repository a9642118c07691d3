from __future__ import annotations

import itertools

import numpy as np
import pytest
from maecli_plugins.datasets.table.dataset import Table
from maecli_plugins.datasets.table.hiding import hidden_cells
from write_data import write_table

from maecli import api
from maecli.api import tables
from maecli.testing import DatasetConformance

NOTHING = tables.Missing()
ROWS = 4_000


def kindred(name, values):
    """Return a column of numbers, or of categories."""
    cells = tables.TextColumn(name)
    cells.extend([str(value) for value in values])
    is_text = isinstance(values[0], str)
    return tables.Kindred(cells, "category" if is_text else "number", "", None if is_text else np.array(values))


@pytest.fixture(scope="module")
def columns():
    """Return four columns of numbers, the last one without each tenth, and one of categories."""
    numbers = np.random.default_rng(1).lognormal(size=(ROWS, 4))
    numbers[::10, 3] = np.nan
    kinds = [("red", "green", "blue")[int(value) % 3] for value in numbers[:, 0] * 10]
    return [*(kindred(f"n{i}", numbers[:, i].tolist()) for i in range(4)), kindred("kind", kinds)]


def hide(columns, mechanism, share=0.2, seed=0):
    return hidden_cells(columns, NOTHING, mechanism, share, seed)


@pytest.mark.parametrize("mechanism", ["mcar", "mar", "mnar"])
@pytest.mark.parametrize("share", [0.1, 0.5])
def test_that_share_of_what_is_there_goes_and_nothing_else(columns, mechanism, share):
    cells = hide(columns, mechanism, share)
    assert not cells[::10, 3].any()
    rates = cells.sum(0) / (ROWS - np.array([0, 0, 0, ROWS // 10, 0]))
    touched = rates > 0
    np.testing.assert_allclose(rates[touched], share, atol=0.025)
    assert touched.sum() == (4 if mechanism == "mar" else 5)


@pytest.mark.parametrize("mechanism", ["mcar", "mar", "mnar"])
def test_what_goes_at_a_share_goes_at_a_greater_one_and_with_the_seed_it_changes(columns, mechanism):
    masks = [hide(columns, mechanism, share) for share in (0.1, 0.2, 0.3, 0.5)]
    assert all((less <= more).all() for less, more in itertools.pairwise(masks))
    assert np.array_equal(hide(columns, mechanism), masks[1])
    assert not np.array_equal(hide(columns, mechanism, seed=1), masks[1])


def correlation(cells, column):
    there = ~np.isnan(column.values)
    return abs(np.corrcoef(cells[there], np.log(column.values[there]))[0, 1])


def test_by_chance_nothing_tells_what_goes_and_by_itself_its_own_value_does(columns):
    by_chance, by_itself = (
        [correlation(cells[:, i], columns[i]) for i in range(4)]
        for cells in (hide(columns, "mcar"), hide(columns, "mnar"))
    )
    assert max(by_chance) < 0.06
    assert min(by_itself) > 0.15


@pytest.mark.parametrize("seed", range(3))
def test_at_random_given_others_a_column_that_is_kept_whole_tells_what_goes(columns, seed):
    cells = hide(columns[:3], "mar", seed=seed)
    (kept,) = np.flatnonzero(~cells.any(0))
    for i in {0, 1, 2} - {kept}:
        assert correlation(cells[:, i], columns[kept]) > 0.1
        assert correlation(cells[:, i], columns[i]) < 0.06


def test_columns_that_lack_nothing_are_kept_whole_first(columns):
    for seed in range(6):
        assert hide([columns[0], columns[3]], "mar", seed=seed).any(0).tolist() == [False, True]


def test_categories_go_more_often_than_others_by_what_they_are(columns):
    cells, texts = hide(columns, "mnar", 0.3)[:, 4], np.array(list(columns[4].cells))
    rates = [cells[texts == name].mean() for name in ("red", "green", "blue")]
    assert max(rates) - min(rates) > 0.1


def table(path, **options):
    return Table(Table.Options(root=path, **options))


@pytest.mark.usefixtures("told_costs")
class TestTableOfWhichCellsAreHidden(DatasetConformance):
    def dataset(self, tmp_path):
        return table(write_table(tmp_path), hide="mar", hide_share=0.3)


@pytest.mark.parametrize("scaler", ["standard", "quantile"])
def test_hidden_cells_are_missing_in_every_split_and_their_truth_is_kept_apart(tmp_path, scaler):
    path = write_table(tmp_path)
    whole, holes = table(path, scaler=scaler), table(path, scaler=scaler, hide="mcar", hide_share=0.3)
    columns = holes.card().columns
    num = 0
    for name in api.SPLIT_NAMES:
        before, after = whole.split(name), holes.split(name)
        assert before.keys == after.keys
        for i in range(len(after)):
            sample = after[i]
            cells, hidden = tables.as_cells(sample["image"], columns), ~np.isnan(sample["withheld"])
            truth = tables.as_cells(before[i]["image"], whole.card().columns)
            assert np.isnan(cells[hidden]).all()
            assert np.array_equal(np.isnan(cells), np.isnan(truth) | hidden)
            for place in np.flatnonzero(hidden):
                told = columns[place].from_range(sample["withheld"][place : place + 1].astype(np.float64))[0]
                assert told == pytest.approx(whole.card().columns[place].unit(float(truth[place])), rel=1e-5)
            num += hidden.sum()
    assert 50 < num < 110  # of 60 x 5, of which 32 are missing
    assert "withheld" not in whole.split("train")[0]


def test_what_is_hidden_has_no_say_in_what_is_fitted(tmp_path):
    path = write_table(tmp_path)
    holes = table(path, hide="mcar", hide_share=0.3)
    card, hidden = holes.card(), holes._hidden_cells[:, 1]  # rooms
    lines = path.read_text().splitlines()
    for row in np.flatnonzero(hidden).tolist():
        size, _, rest = lines[row + 1].split(",", 2)
        lines[row + 1] = f"{size},7000,{rest}"
    path.write_text("\n".join(lines) + "\n")
    changed = table(path, hide="mcar", hide_share=0.3)
    assert changed.card().columns == card.columns
    assert (changed.card().mean, changed.card().std) == (card.mean, card.std)
    row = int(np.flatnonzero(hidden[holes._parts["train"]])[0])
    assert changed.split("train")[row]["withheld"][1] == pytest.approx(7000 / 6)  # beyond what any scaler takes


def test_a_person_is_told_how_many_cells_are_hidden_and_the_card_knows_it(tmp_path):
    path = write_table(tmp_path)
    card = table(path, hide="mar", hide_share=0.3).card()
    notes = " ".join(card.notes)
    assert card.withheld == "MAR, 30%"
    assert "32 of 300 cells are missing" in notes
    assert "of the 268 cells that are there are hidden, at random given columns that are kept whole (MAR)" in notes
    assert "measured on alone; none of " in notes
    assert table(path).card().withheld == ""


def test_a_column_that_is_to_be_predicted_is_never_hidden(tmp_path):
    data = table(write_table(tmp_path), hide="mcar", hide_share=0.5, target="rooms")
    split = data.split("train", ("image", "target"))
    assert set(split[0]) == {"image", "target", "withheld"}
    assert not any(np.isnan(split[i]["target"]).any() for i in range(len(split)))
    assert data.card().cells == ("size", "garden", "street", "built")
