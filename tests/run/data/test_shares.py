from __future__ import annotations

from collections import Counter

import pytest
from write_data import write_class_folders
from written import csv_rows

from maecli.registry import registry
from maecli.run.data.shares import useless_shares
from maecli.spec.ask import Ask
from maecli.spec.resolve import resolve


@pytest.fixture(scope="module")
def pets(tmp_path_factory):
    root = tmp_path_factory.mktemp("pets")
    write_class_folders(root, num=10)
    return root


def spec_of(root, **flags):
    chosen = {"dataset.name": "folder", "dataset.root": str(root), "task.name": "classify"}
    return resolve(Ask("finetune", flags=chosen | flags), registry())


def dataset_of(spec):
    plugin = registry().dataset("folder")
    return plugin(plugin.Options(**spec.dataset.options))


def test_the_share_of_val_is_a_flag(mae, pets, toy_finetune, tmp_path):
    out = tmp_path / "run"
    shares = ("--val-share", "0.2", "--test-share", "0.3")
    outcome = mae(*toy_finetune, "--dataset", "folder", "--root", pets, *shares, "--epochs", "1", "--out", out)
    assert outcome.exit_code == 0, outcome.stderr
    assert Counter(row["split"] for row in csv_rows(out / "splits.csv")) == {"train": 10, "val": 4, "test": 6}


def test_a_data_set_that_cuts_nothing_says_so(mae, toy_finetune):
    outcome = mae(*toy_finetune, "--dataset", "mnist", "--val-share", "0.2")
    assert outcome.exit_code == 2
    assert outcome.stderr == "mae: --val-share: mnist has a val split of its own and cuts none; leave it out\n"


def test_a_share_of_a_split_that_is_given_is_told_to_do_nothing(tmp_path):
    for name in ("train", "val"):
        write_class_folders(tmp_path / name, num=3)
    spec = spec_of(tmp_path, **{"dataset.val_share": 0.2, "dataset.test_share": 0.2})
    sentence = "--val-share does nothing here: the val split is given, by folders or a table"
    assert list(useless_shares(spec, dataset_of(spec))) == [sentence]


def test_what_nobody_asked_for_is_not_told(pets):
    assert not list(useless_shares(spec_of(pets), dataset_of(spec_of(pets))))


def test_folds_are_their_own_test_splits(pets):
    spec = spec_of(pets, **{"data.folds": 2, "dataset.test_share": 0.2})
    assert list(useless_shares(spec, dataset_of(spec))) == [
        "--test-share does nothing here: each of the folds is the test split of a run"
    ]
