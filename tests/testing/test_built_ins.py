"""What comes with mae keeps the promises that it asks of others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import toy_grids
from write_ade20k import write_ade20k
from write_data import (
    write_california,
    write_cifar10,
    write_class_folders,
    write_ett,
    write_mask_folder,
    write_mnist,
    write_table,
    write_tiny_imagenet,
    write_voc,
)
from write_shards import write_parquet, write_shards
from write_volumes import write_btcv, write_volumes

from maecli.registry import registry
from maecli.testing import Synthetic, check, check_dataset, check_task

pytestmark = pytest.mark.usefixtures("told_costs")  # imports are measured in test_packaging

CANVASES = {"train_canvases": 12, "val_canvases": 4, "test_canvases": 4}
DATASETS: list[tuple[str, Callable[[Path], Any] | None, dict[str, Any], Any]] = [
    ("digits", None, CANVASES, None),
    ("digits", None, CANVASES, (("image", "mask"),)),
    ("mnist", write_mnist, CANVASES, None),
    ("cifar10", write_cifar10, {}, None),
    ("folder", write_class_folders, {}, None),
    ("folder", write_mask_folder, {}, None),
    ("tar", write_shards, {}, None),
    ("parquet", write_parquet, {}, None),
    ("tiny-imagenet", write_tiny_imagenet, {}, None),
    ("voc", write_voc, {}, None),
    ("ade20k", write_ade20k, {}, None),
    ("series", write_ett, {"lookback": 24, "horizon": 8}, None),
    ("series", write_ett, {"lookback": 24, "horizon": 8, "target": ("OT",)}, (("image", "target"),)),
    ("table", write_table, {}, None),
    ("table", write_table, {"target": "street"}, (("image", "label"),)),
    ("table", write_table, {"target": "size"}, (("image", "target"),)),
    ("california", write_california, {"scaler": "quantile"}, None),
    ("ett", write_ett, {"lookback": 24, "horizon": 8}, None),
    ("btcv", write_btcv, {"spacing": (3, 6, 3)}, None),
    ("volumes", write_volumes, {"spacing": (3, 6, 3)}, None),
    ("volumes", write_volumes, {}, (("image", "mask"),)),
    ("ett", write_ett, {"lookback": 24, "horizon": 8, "target": ("OT",)}, (("image", "target"),)),
]
"""Name, what writes a tiny copy, options, and the sets of fields to ask for."""
TASKS: list[tuple[str, dict[str, Any], bool]] = [
    ("reconstruct", {}, False),
    ("reconstruct", {"norm_pix_loss": True, "mask": "block", "mask_ratio": 0.5}, False),
    ("classify", {}, False),
    ("classify", {"head": "mlp", "pool": "cls", "mixup": 0.8, "patch_drop": 0.5}, True),
    ("segment", {}, False),
    ("segment", {"head": "shuffle", "dice": 1.0, "inference": "slide", "flip": True}, False),
    ("segment", {"head": "unetr", "head_channels": 4, "window_weights": "gaussian"}, False),
]
"""Name, options, and whether pictures have several labels."""


@pytest.mark.parametrize(("name", "write", "options", "fields"), DATASETS)
def test_every_data_set_keeps_its_promises(name, write, options, fields, tmp_path):
    if write is not None:
        write(tmp_path)
    plugin = registry().dataset(name)
    findings = check_dataset(plugin(plugin.Options(root=tmp_path, **options)), fields)
    assert [finding for finding in findings if finding.problem] == []


@pytest.mark.parametrize(("name", "options", "multi_label"), TASKS)
def test_every_task_keeps_its_promises(name, options, multi_label):
    dataset = Synthetic(Synthetic.Options(multi_label=multi_label))
    findings = check_task(registry().task(name), dataset, options)
    assert [finding for finding in findings if finding.problem] == []


@pytest.mark.parametrize(("name", "target"), [("classify", "street"), ("regress", "size")])
def test_tasks_on_rows_keep_their_promises(name, target, tmp_path):
    table = registry().dataset("table")
    dataset = table(table.Options(root=write_table(tmp_path), target=target))
    findings = check_task(registry().task(name), dataset, {"head": "mlp"})
    assert [finding for finding in findings if finding.problem] == []


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize(
    "options", [{}, {"head": "mlp", "dropout": 0.2, "norm": "last"}, {"quantiles": (0.1, 0.5, 0.9), "norm": "none"}]
)
def test_forecasts_keep_their_promises(options, gaps):
    findings = check_task(registry().task("forecast"), toy_grids.forecasts(gaps=gaps), options)
    assert [finding for finding in findings if finding.problem] == []


@pytest.mark.parametrize("norm", ["revin", "last"])
def test_reconstructions_of_series_keep_their_promises(norm):
    findings = check_task(registry().task("reconstruct"), toy_grids.forecasts(), {"norm": norm})
    assert [finding for finding in findings if finding.problem] == []


def test_imputations_of_plain_numbers_keep_their_promises():
    dataset = toy_grids.tables()
    dataset.splits = {**dataset.splits, "val": dataset.splits["train"]}
    findings = check_task(registry().task("impute"), dataset, {"visible_weight": 0.5})
    assert [finding for finding in findings if finding.problem] == []


def test_imputations_of_a_table_of_every_type_keep_their_promises(tmp_path):
    dataset = registry().dataset("table")
    findings = check_task(registry().task("impute"), dataset(dataset.Options(root=write_table(tmp_path))))
    assert [finding for finding in findings if finding.problem] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", registry().names("model"))
def test_every_model_keeps_its_promises(name):
    assert {finding.status for finding in check("model", name)} == {"ok"}


@pytest.mark.parametrize("name", registry().names("modality"))
def test_every_modality_keeps_its_promises(name):
    assert [finding for finding in check("modality", name) if finding.status != "ok"] == []


@pytest.mark.parametrize("name", registry().names("tracker"))
def test_every_tracker_keeps_its_promises(name):
    assert {finding.status for finding in check("tracker", name)} == {"ok"}


@pytest.mark.parametrize("name", registry().names("export"))
def test_every_format_keeps_its_promises(name):
    assert {finding.status for finding in check("export", name)} == {"ok"}


@pytest.mark.parametrize("name", registry().names("recipe"))
def test_every_recipe_keeps_its_promises(name):
    assert {finding.status for finding in check("recipe", name)} == {"ok"}


def test_none_is_left_out():
    assert sorted({name for name, *_ in DATASETS}) == registry().names("dataset")
    assert sorted({"forecast", "impute", "regress", *(name for name, *_ in TASKS)}) == registry().names("task")
