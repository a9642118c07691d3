from __future__ import annotations

import pytest

from maecli.data.classes.label_rows import LabelRow, LabelRows
from maecli.data.views.keys import Keys

ROWS = {"b": LabelRow(2, "cat", "val", "p"), "c": LabelRow(4, "", None, ""), "a": LabelRow(3, "dog", None, "p")}


def test_rows_come_back_in_the_order_of_the_table():
    rows = LabelRows.gathered(ROWS)
    assert rows == ROWS
    assert list(rows.items()) == [(key, ROWS[key]) for key in "bac"]
    assert list(rows) == ["b", "a", "c"]
    assert (dict(rows.labels), dict(rows.splits)) == ({"b": "cat", "a": "dog"}, {"b": "val"})
    assert rows.in_line(4) == "c"
    with pytest.raises(KeyError):
        rows["d"]


def test_rows_of_other_keys_are_those_that_are_among_them():
    rows = LabelRows.gathered(ROWS).at(Keys.of(["a", "x", "b"]))
    assert rows == {key: ROWS[key] for key in "ba"}
    assert rows.renamed(Keys.of(["1", "2", "3"])) == {"3": ROWS["b"], "1": ROWS["a"]}
