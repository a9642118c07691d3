"""Gradient-boosted trees as a baseline on rows of a table."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from maecli_plugins.datasets.table.dataset import Table
from maecli_plugins.tasks.pooled.boosted_trees import BoostedTrees

from maecli import api
from maecli.loading import make_loader
from maecli.schema import DataSpec

ROWS = 160


@pytest.fixture
def path(tmp_path):
    """Return a table in which the price follows from the street and from whether the size is known."""
    random = np.random.default_rng(0)
    lines = ["size,street,price,kind"]
    for row in range(ROWS):
        street, missing = ("park", "quay", "ring")[row % 3], row % 4 == 0
        size = "" if missing else f"{random.normal(80, 20):.2f}"
        price = {"park": 10, "quay": 30, "ring": 20}[street] + 100 * missing
        lines.append(f"{size},{street},{price}.5,{'dear' if price > 25 else 'cheap'}")
    (tmp_path / "t.csv").write_text("\n".join(lines))
    return tmp_path / "t.csv"


def batches_of(path, target, field):
    """Return the card, how rows are prepared, and all training rows as a batch."""
    types = {"kind": "ignore"} if target == "price" else {"price": "ignore"}
    data, fields = Table(Table.Options(root=path, target=target, types=types)), ("image", field)
    card = data.card(fields)
    preprocess = api.Preprocess.of(card, card.size, modality=api.modalities.Tables())
    loader = make_loader(data.split("train", fields), preprocess, torch.device("cpu"), 0, DataSpec(workers=0))
    return card, preprocess, list(loader.eval_batches(50))


def test_missing_cells_and_categories_are_used_as_they_are(path):
    card, preprocess, batches = batches_of(path, "price", "target")
    trees = BoostedTrees.of(card, preprocess, "numbers")
    cells = trees.cells(batches[0])
    assert set(cells[:, 1].tolist()) == {0.0, 1.0, 2.0}
    assert 0 < np.isnan(cells[:, 0]).sum() < len(cells)
    trees.fit(batches, "target")
    for batch in batches:
        torch.testing.assert_close(trees.predict(batch), batch["target"][:, 0], atol=5, rtol=0)


def test_they_learn_classes_and_learn_once(path):
    card, preprocess, batches = batches_of(path, "kind", "label")
    trees = BoostedTrees.of(card, preprocess, "classes")
    assert trees.predict(batches[0]) is None
    trees.fit(batches, "label")
    assert torch.equal(trees.predict(batches[0]), batches[0]["label"])
    learnt = trees.model
    trees.fit([], "label")
    assert trees.model is learnt


def test_of_one_class_nothing_is_learnt(path):
    card, preprocess, batches = batches_of(path, "kind", "label")
    trees = BoostedTrees.of(card, preprocess, "classes")
    same = [api.Batch({**batch.tensors, "label": torch.zeros_like(batch["label"])}, batch.draws) for batch in batches]
    trees.fit(same, "label")
    assert trees.predict(batches[0]) is None


@pytest.mark.parametrize(("lonely", "stops"), [(2, True), (1, False)], ids=["a class of two rows", "a class of one"])
def test_many_rows_stop_early_unless_a_class_has_but_one(path, lonely, stops):
    card, preprocess, (first, *_) = batches_of(path, "kind", "label")
    trees = BoostedTrees.of(card, preprocess, "classes")
    image = first["image"][torch.arange(10_200) % len(first)]
    label = torch.randint(2, (len(image),), generator=torch.Generator().manual_seed(0))  # noise, which more rounds fit
    label[:lonely] = 2
    trees.fit([api.Batch({"image": image, "label": label}, first.draws)], "label")
    assert (trees.model.n_iter_ < 100) is stops
