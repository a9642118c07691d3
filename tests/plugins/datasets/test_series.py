from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from maecli_plugins.datasets import windows
from maecli_plugins.datasets.series import OwnSeries

from maecli import api

FIELDS = ("image", "target")


def write(path: Path, num: int = 100, skip=(), names=("flow", "level"), header="time", delimiter=",", start=0) -> None:
    """Write hourly rows whose first column counts them, without those in `skip`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    first = np.datetime64("2020-03-01T00:00", "m")
    lines = [delimiter.join([header, *names])]
    for row in range(start, start + num):
        if row not in skip:
            day, clock = str(first + np.timedelta64(row, "h")).split("T")
            lines.append(delimiter.join([f"{day} {clock}", str(row), f"{row % 24}.5"]))
    path.write_text("\n".join(lines) + "\n")


def series(root, **options) -> OwnSeries:
    return OwnSeries(OwnSeries.Options(**({"root": root, "lookback": 8, "horizon": 4} | options)))


def told(data):
    lines: list[str] = []
    data.told_by(lines.append).card(FIELDS)
    return lines


def test_the_last_steps_test_and_those_before_choose(tmp_path):
    write(tmp_path / "a.csv")
    data = series(tmp_path / "a.csv")
    card = data.card(FIELDS)
    assert card.split_sizes == {"train": 70 - 12 + 1, "val": 10 - 4 + 1, "test": 20 - 4 + 1}
    assert (card.channel_names, card.targets, card.season, card.time) == (("flow", "level"),) * 2 + (24, "time")
    sample = data.split("val", FIELDS)[0]
    assert sample["image"][0].tolist() == [*range(62, 70)]
    assert sample["target"][0].tolist() == [*range(70, 74)]
    assert data.split("test", FIELDS).keys[-1] == "a.csv#88"
    assert data.card().horizon is None
    assert "1 series, 100 steps of 1 hour, 2 → 2 columns" in card.reading


def test_training_steps_alone_say_how_numbers_are_standardised(tmp_path):
    write(tmp_path / "a.csv")
    card = series(tmp_path, target="flow", inputs="target").card(FIELDS)
    (low, high), (mean,), (std,) = card.value_range[0], card.mean, card.std
    assert mean * (high - low) + low == pytest.approx(np.arange(70).mean())
    assert std * (high - low) == pytest.approx(np.arange(70).std())


@pytest.mark.parametrize("many", [False, True])
def test_gaps_are_told_and_stay_missing(tmp_path, many, monkeypatch):
    write(tmp_path / "a.csv", skip={20, 21})
    if many:
        monkeypatch.setattr(windows, "MOST_BYTES", 1)
    data = series(tmp_path)
    card, split = data.card(FIELDS), data.split("train", FIELDS)
    assert isinstance(split, api.TensorSplit) != many
    assert card.missing
    assert told(series(tmp_path)) == ["a.csv: 2 steps of 1 hour without a row: missing, not filled"]
    assert card.notes == ("a.csv: 2 steps of 1 hour without a row: missing, not filled",)
    sample = split[split.keys.index("a.csv#16")]
    np.testing.assert_array_equal(sample["image"][0], [16, 17, 18, 19, np.nan, np.nan, 22, 23])
    sample = split[split.keys.index("a.csv#10")]
    np.testing.assert_array_equal(sample["target"][0], [18, 19, np.nan, np.nan])
    if many:
        assert split.files(0) == [tmp_path / "a.csv"]


def test_windows_of_nothing_are_left_out(tmp_path):
    write(tmp_path / "a.csv", skip={*range(20, 40)})
    starts = [int(key.rpartition("#")[2]) for key in series(tmp_path).split("train", FIELDS).keys]
    assert starts == [*range(12), *range(33, 59)]  # of 8 steps and the 4 that follow, each with a row
    assert len(series(tmp_path).split("train")) == 70 - 8 + 1 - 13


def test_a_row_between_steps_is_left_out_and_told(tmp_path):
    write(tmp_path / "a.csv")
    text = (tmp_path / "a.csv").read_text().replace("2020-03-01 20:00,", "2020-03-01 20:30,")
    (tmp_path / "a.csv").write_text(text)
    data = series(tmp_path)
    assert told(data) == [
        "a.csv: 1 step of 1 hour without a row: missing, not filled",
        "a.csv: 1 row between steps of 1 hour: left out, as is what stands there",
    ]
    assert np.isnan(data.split("train")[20]["image"][:, 0]).all()


def test_files_of_a_folder_are_series_of_their_own(tmp_path):
    write(tmp_path / "a.csv")
    write(tmp_path / "deep" / "b.csv", 50, start=1_000, delimiter=";")
    (tmp_path / "notes.txt").write_text("no series")
    data = series(tmp_path)
    split = data.split("train", FIELDS)
    assert len(split) == 59 + (35 - 12 + 1)
    assert split.keys[0] == "a.csv#0"
    assert split.keys[-1] == "deep/b.csv#23"
    assert split[len(split) - 1]["target"][0].tolist() == [*range(1_031, 1_035)]


def test_rows_are_steps_where_there_are_no_times(tmp_path):
    (tmp_path / "a.csv").write_text("flow,site\n" + "".join(f"{row},north\n" for row in range(60)))
    data = series(tmp_path)
    assert told(data) == [
        "a.csv: left out, since they hold no numbers: site",
        "a.csv: no column holds times, so each row is a step",
    ]
    assert data.card(FIELDS).season is None


def test_columns_and_time_are_chosen_by_name(tmp_path):
    write(tmp_path / "a.csv", header="when")
    card = series(tmp_path, time="when", columns=("level",)).card(FIELDS)
    assert card.channel_names == ("level",)
    with pytest.raises(api.DataError, match=r"lacks the column 'rain', .*left over: 'when', 'flow', 'level'"):
        series(tmp_path, columns=("rain",)).card()
    with pytest.raises(api.DataError, match=r"line 2, column 'flow': holds no times that are known, as '0'"):
        series(tmp_path, time="flow").card()


def test_a_year_of_months_is_a_season(tmp_path):
    rows = [f"{2000 + month // 12}-{month % 12 + 1:02d}-01,{month}" for month in range(60)]
    (tmp_path / "a.csv").write_text("month,sales\n" + "\n".join(rows))
    card = series(tmp_path).card(FIELDS)
    assert (card.season, card.missing) == (12, False)


def lines_of(path, *changes):
    lines = path.read_text().splitlines()
    for number, line in changes:
        lines[number] = line
    path.write_text("\n".join(lines))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ((5, "2020-03-01 01:00,4,4.5"), r"line 6, column 'time': the time 2020-03-01 01:00 follows 2020-03-01 03:00, "),
        ((5, "2020-03-01 03:00,4,4.5"), r"line 6, column 'time': the time 2020-03-01 03:00 stands there twice; sort"),
        ((5, ",4,4.5"), r"line 6, column 'time': has no time; fill it in, or leave the row out"),
        ((5, "2020-03-01 04:00,4"), r"line 6: has 2 cells under 3 columns"),
        ((5, "2020-03-01 04:00,1e99,4.5"), r"line 6, column 'flow': holds a number that is infinite"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_by_its_line(tmp_path, change, match):
    write(tmp_path / "a.csv")
    lines_of(tmp_path / "a.csv", change)
    with pytest.raises(api.DataError, match=match):
        series(tmp_path).card()


def test_a_wrong_year_is_told_and_not_made_into_a_gap(tmp_path):
    write(tmp_path / "a.csv", 10)
    with (tmp_path / "a.csv").open("a") as file:
        file.write("2035-03-01 10:00,10,10.5\n")
    match = r"line 12, column 'time': the time goes from 2020-03-01 09:00 to 2035-03-01 10:00, so most steps would be"
    with pytest.raises(api.DataError, match=match):
        series(tmp_path).card()


def test_what_does_not_go_together_is_told(tmp_path):
    with pytest.raises(api.DataError, match=r"a\.csv does not exist; give a CSV or Parquet file, or a folder of them"):
        series(tmp_path / "a.csv").card()
    with pytest.raises(api.DataError, match=r"holds no series \(.csv, .tsv, .parquet\), also not in its folders"):
        series(tmp_path).card()
    write(tmp_path / "a.csv", 20)
    with pytest.raises(api.DataError, match=r"has 14 steps to learn from, and a window takes 100; choose by --set"):
        series(tmp_path, lookback=96).card(FIELDS)
    (tmp_path / "b.csv").write_text("time,flow,level\n2020-01-01,1,1\n2020-01-02,2,2\n")
    with pytest.raises(api.DataError, match=r"b.csv has steps of 1 day and a.csv of 1 hour; read"):
        series(tmp_path).card()
    (tmp_path / "b.csv").write_text("time,flow,level\n2020-01-01 00:00,1,\n2020-01-01 01:00,2,\n")
    with pytest.raises(api.DataError, match=r"b.csv: the column 'level' holds nothing; leave it out"):
        series(tmp_path).card()
    with pytest.raises(ValueError, match="leave nothing to learn from"):
        OwnSeries.Options(val_share=0.5, test_share=0.5)


def test_a_look_back_that_patches_do_not_divide_is_refused_by_its_name(tmp_path, mae):
    write(tmp_path / "a.csv")
    sets = ("model.patch_size=3", "dataset.lookback=8", "train.epochs=1", "train.batch_size=4")
    words = [word for each in sets for word in ("--set", each)]
    outcome = mae(
        "pretrain", "--dataset", "series", "--root", tmp_path / "a.csv", "--model", "vit", *words, "--dry-run"
    )
    assert outcome.exit_code == 2
    assert "img_size (8) must be a multiple of patch_size (3); here img_size is dataset.lookback" in outcome.stderr


def test_a_million_windows_take_no_more_memory_than_their_series(tmp_path, monkeypatch):
    write(tmp_path / "a.csv", 2_000)
    monkeypatch.setattr(windows, "MOST_BYTES", 1_000)
    split = series(tmp_path, lookback=200).split("train", FIELDS)
    held = {tensor.untyped_storage().nbytes() for part in split.parts for tensor in part.tensors.values()}
    assert max(held) <= 2 * 2_000 * torch.float32.itemsize


def test_what_windows_are_cut_from_is_studied_with_its_times(tmp_path):
    write(tmp_path / "a.csv", num=400, skip={*range(100, 130)})
    data = series(tmp_path)
    found = api.modalities.Series().study(data.split, data.card())
    kinds = {finding.kind: finding.told for finding in found.findings}
    assert "The gap is 30 hours (30 steps) long, from 2020-03-05 04:00" in kinds["gap"]
    assert kinds["season"].startswith("level repeats itself after a day (24 steps): a look-back of 8 steps is shorter")
    assert kinds["level"].startswith("flow rises along a line")
    assert "Test is not like train, by its mean (flow +" in " ".join(each.told for each in found.findings)
