from __future__ import annotations

from maecli.results import Metric
from maecli.run.inference.held_out import HeldOut

RMSE = Metric(name="rmse", label="RMSE", value=0.51234, better="lower", baselines={"mean": 1.0, "nearest": 0.4})
RIGHT = Metric(name="right", label="right", value=0.9, unit="share", baselines={"mode": 0.9})


def test_what_is_said_names_each_metric_its_baselines_and_those_that_are_better():
    assert list(HeldOut((RMSE, RIGHT), "40 rows").lines()) == [
        "tried on 40 rows of yours first",
        "RMSE: 0.5123 (mean 1, nearest 0.4)",
        "right: 90.0% (mode 90.0%)",
        "not better here than nearest, by RMSE",
        "not better here than mode, by right",
    ]
    better = RMSE.model_copy(update={"value": 0.3})
    assert list(HeldOut((better,), "1 row", learned_from=True).lines()) == [
        "tried on 1 row of yours first; the run learnt from some of them, and new ones may be worse",
        "RMSE: 0.3 (mean 1, nearest 0.4)",
    ]


def test_the_table_has_a_column_for_each_baseline_that_any_metric_has():
    alone = Metric(name="mae", label="MAE", value=0.25, better="lower", baselines={"mean": 0.5})
    table = HeldOut((RMSE, alone), "40 rows").table()
    assert table is not None
    assert table.title == "Tried on 40 rows of yours first"
    assert table.columns == ("", "this run", "mean", "nearest")
    assert table.rows == (("RMSE", "0.5123", "1", "0.4"), ("MAE", "0.25", "0.5", ""))


def test_nothing_is_said_where_nothing_was_tried():
    assert list(HeldOut().lines()) == []
    assert HeldOut().record() == {}
    assert HeldOut().table() is None
    assert HeldOut((RMSE,), "2 rows").record()["held_out"]["metrics"][0]["name"] == "rmse"
