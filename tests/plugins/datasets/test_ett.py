from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from maecli_plugins.datasets.ett import COLUMNS, ETT
from write_data import ett_values, write_ett

from maecli import api
from maecli.loading import make_loader
from maecli.schema import AugmentSpec, DataSpec

FIELDS = ("image", "target")
ENDS = {"train": (0, 8_640), "val": (8_640, 11_520), "test": (11_520, 14_400)}


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("ett")
    write_ett(folder)
    return folder


def ett(root: Path, **options) -> ETT:
    return ETT(ETT.Options(root=root, **options))


def first_row(key: str) -> int:
    return int(key.rpartition("#")[2])


@pytest.mark.parametrize(("horizon", "num_test"), [(96, 2_785), (192, 2_689), (336, 2_545), (720, 2_161)])
def test_test_has_a_window_at_every_step(root, horizon, num_test):
    card = ett(root, horizon=horizon).card(FIELDS)
    assert card.split_sizes == {"train": 8_640 - 336 - horizon + 1, "val": num_test, "test": num_test}


def test_the_last_batch_is_kept_in_evaluation(root):
    data = ett(root, lookback=8, horizon=96)
    preprocess = api.Preprocess.of(data.card(FIELDS), (8,), modality=api.modalities.Series())
    loader = make_loader(data.split("test", FIELDS), preprocess, torch.device("cpu"), 0, DataSpec())
    sizes = [len(batch) for batch in loader.eval_batches(512)]
    assert sum(sizes) == 2_785
    assert sizes[-1] == 2_785 % 512


@pytest.mark.parametrize("name", api.SPLIT_NAMES)
def test_what_is_to_be_forecast_lies_in_the_split(root, name):
    values, (first, end) = ett_values(14_400), ENDS[name]
    split = ett(root, lookback=10, horizon=5).split(name, FIELDS)
    starts = [first_row(key) for key in split.keys]
    assert starts == list(range(max(0, first - 10), end - 15 + 1))
    for index in (0, 7, len(split) - 1):
        sample, start = split[index], starts[index]
        np.testing.assert_allclose(sample["image"], values[:, start : start + 10], rtol=1e-6)
        np.testing.assert_allclose(sample["target"], values[:, start + 10 : start + 15], rtol=1e-6)


@pytest.mark.parametrize("name", api.SPLIT_NAMES)
def test_windows_for_pretraining_lie_wholly_in_their_split(root, name):
    first, end = ENDS[name]
    split = ett(root, lookback=10).split(name)
    assert [first_row(key) for key in split.keys] == list(range(first, end - 10 + 1))
    assert set(split[0]) == {"image"}
    assert ett(root, lookback=10).card().horizon is None


def test_only_training_rows_say_how_numbers_are_standardised(root, tmp_path):
    write_ett(tmp_path)
    lines = (tmp_path / "ETTh1.csv").read_text().splitlines()
    later = [f"{line.split(',')[0]},9,9,9,9,9,9,9" for line in lines[8_641:]]
    (tmp_path / "ETTh1.csv").write_text("\n".join(lines[:8_641] + later))
    for folder in (root, tmp_path):
        card = ett(folder, lookback=24, horizon=8).card()
        preprocess = api.Preprocess.of(card, (24,), modality=api.modalities.Series())
        rows = torch.from_numpy(ett_values(14_400)[None, :, :8_640].copy())
        standard = preprocess.normalize(preprocess.pixels(rows))[0].double()
        torch.testing.assert_close(standard.mean(1), torch.zeros(7).double(), atol=1e-4, rtol=0)
        torch.testing.assert_close(standard.std(1, unbiased=False), torch.ones(7).double(), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("options", "inputs", "target"),
    [
        ({}, COLUMNS, COLUMNS),
        ({"target": "OT", "inputs": "target"}, ("OT",), ("OT",)),
        ({"target": ["OT"]}, COLUMNS, ("OT",)),
        ({"target": ["OT", "MUFL"], "inputs": "target"}, ("MUFL", "OT"), ("MUFL", "OT")),
    ],
)
def test_columns_to_see_and_to_forecast_are_chosen_by_name(root, options, inputs, target):
    data = ett(root, lookback=10, horizon=5, **options)
    card, sample = data.card(FIELDS), data.split("val", FIELDS)[0]
    assert (card.channel_names, card.targets) == (inputs, target)
    values = ett_values(14_400)[[COLUMNS.index(name) for name in target], 8_640:8_645]
    np.testing.assert_allclose(sample["target"], values, rtol=1e-6)
    assert sample["image"].shape == (len(inputs), 10)


def test_a_split_too_short_for_a_window_is_empty(root):
    card = ett(root, lookback=3_000, horizon=96).card()
    assert card.split_sizes == {"train": 8_640 - 3_000 + 1, "val": 0, "test": 0}


@pytest.mark.parametrize(("folder", "file"), [("", "ETTm2"), ("ETT-small", "ETTm1")])
def test_minutes_have_four_steps_an_hour(tmp_path, folder, file):
    write_ett(tmp_path / folder, file, rows=57_600)
    card = ett(tmp_path, file=file, lookback=24, horizon=96).card(FIELDS)
    assert (card.season, card.horizon) == (96, 96)
    assert card.split_sizes == {"train": 4 * 8_640 - 119, "val": 4 * 2_880 - 95, "test": 4 * 2_880 - 95}


def test_training_takes_windows_as_they_are(root):
    data = ett(root, lookback=8, horizon=4)
    preprocess = api.Preprocess.of(data.card(FIELDS), (8,), modality=api.modalities.Series())
    split = data.split("train", FIELDS)
    loader = make_loader(split, preprocess, torch.device("cpu"), 0, DataSpec())
    batch = next(loader.train_batches(AugmentSpec(), 4, 0, 1))
    index = int(batch.draws.ids[0])
    torch.testing.assert_close(batch["target"][0], torch.from_numpy(split[index]["target"]))
    image = preprocess.to_values(preprocess.to_pixels(batch["image"]))[0]
    torch.testing.assert_close(image, torch.from_numpy(split[index]["image"]), rtol=1e-4, atol=1e-4)


def test_what_is_wrong_is_said_in_a_sentence(tmp_path, root):
    with pytest.raises(api.DataError, match=r"holds no ETTh2\.csv, also not in ETT-small/; put the file of"):
        ett(root, file="ETTh2").card()
    with pytest.raises(api.SpecError, match=r"dataset\.target 'oil' is no column of ETTh1, which has HUFL, .*, OT"):
        ett(root, target="oil").card()
    write_ett(tmp_path, rows=100)
    with pytest.raises(api.DataError, match=r"ETTh1\.csv has 100 rows, and the official splits of ETTh1 take 14,400"):
        ett(tmp_path).card()


def test_a_survey_learns_what_windows_are_cut_from(root):
    [recording] = ett(root, lookback=8).split("val").recordings
    assert recording.rows == range(*ENDS["val"])
    assert (recording.time(0), recording.time(25)) == ("2016-07-01 00:00:00", "2016-07-02 01:00:00")
    np.testing.assert_allclose(recording.values, ett_values(14_400), rtol=1e-6)
