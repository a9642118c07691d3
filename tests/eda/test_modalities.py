"""Every kind of samples is gone over as pictures are: sizes, values, what is missing, copies, advice in its words."""

from __future__ import annotations

import numpy as np
import pytest
from toy_grids import Grids, series, tables, uniform, volumes

from maecli.eda.advice import advise
from maecli.eda.findings import Findings
from maecli.eda.survey import survey
from maecli.errors import DataError
from maecli.modalities.modality import Modality
from maecli.modalities.pictures.modality import Pictures
from maecli.modalities.series.modality import Series
from maecli.modalities.survey import CHUNK, Values, digest_of
from maecli.modalities.tables.modality import Tables
from maecli.modalities.volumes.modality import Volumes

KINDS: dict[str, Modality] = {each.name: each for each in (Pictures(), Series(), Tables(), Volumes())}


def look(dataset: Grids) -> Findings:
    findings = survey(dataset, KINDS[dataset.changes["modality"]], lambda *_: lambda: None).findings
    return Findings.model_validate_json(findings.model_dump_json())


def test_values_of_each_channel_are_those_of_all_samples():
    findings = look(series())
    image = series().splits["train"]["image"]
    for channel, found in enumerate(findings.values["train"]):
        values = image[:, channel].astype(np.float64)
        assert found.num == values.size
        assert (found.missing, found.outside) == (0, 0)
        assert (found.min, found.max) == (values.min(), values.max())
        assert (found.mean, found.std) == pytest.approx((values.mean(), values.std()))
    assert [found.name for found in findings.values["test"]] == ["soft wave", "square wave"]


def test_a_table_is_told_cell_by_cell_with_what_is_missing():
    findings = look(tables())
    age, rooms, version, price = findings.values["train"]
    assert (rooms.name, rooms.num, rooms.missing) == ("rooms", 30, 0.25)
    assert (age.missing, version.missing, version.min, version.std) == (0, 0, 7, 0)
    assert price.outside == pytest.approx((tables().splits["train"]["image"][:, 0, 3] > 100).mean())
    assert findings.missing is not None
    assert findings.missing.counts["train"][0] == 30
    assert findings.missing.counts["train"][5] == 10, "a quarter of the row"
    twice, value = findings.targets["train"]
    assert (twice.name, twice.missing, value.num, value.missing) == ("twice", 0, 39, 1 / 40)


@pytest.mark.parametrize(("modality", "size"), [("series", (9,)), ("pictures", (40, 9)), ("volumes", (4, 5, 9))])
def test_cells_that_are_not_valid_count_neither_as_values_nor_by_them(modality, size):
    image = uniform(3, 6, 2, *size)
    valid = np.ones((6, *size), bool)
    valid[:, ..., :3] = False
    valid[5] = False
    image[:, :, ..., 0] = 1e6
    found = look(Grids({"train": {"image": image, "valid": valid}}, modality=modality, missing=True))
    image[:, :, ..., 0], image[5] = -5, 17
    other = look(Grids({"train": {"image": image, "valid": valid}}, modality=modality, missing=True))
    first, second = found.values["train"]
    assert first.max is not None
    assert first.max < 1
    assert first.num == 5 * valid[0].sum()
    assert first.missing == pytest.approx(1 - 5 / 6 * (2 / 3 if size[-1] == 9 else 0))
    assert found.pictures["train"].num_empty == 1
    assert (found.values, found.missing) == (other.values, other.missing)
    assert second.name == "channel 2"


@pytest.mark.parametrize("make", [series, volumes, tables])
def test_without_a_gap_nothing_is_said_of_missing_values(make):
    findings = look(make())
    assert (findings.missing is not None) is (make is tables)


def test_equal_series_are_found_across_splits_and_their_labels_compared():
    findings = look(series())
    assert findings.duplicates is not None
    (pair,) = findings.duplicates.pairs
    assert (pair.kind, pair.first.key, pair.second.key) == ("exact", "0", "0")
    assert findings.duplicates.num_compared == 0
    told = advise(findings, (48,), "cut")
    assert (
        "1 of 3 windows of test is in train too, step by step: metrics on test would be too good; take it out of train."
        in told
    )
    relabelled = series()
    relabelled.splits["test"]["label"][0] = 1
    (contradiction,) = look(relabelled).contradictions
    assert contradiction.labels == ("sharp", "soft")


def test_rows_that_differ_only_where_nothing_is_known_are_copies():
    rows = uniform(4, 3, 1, 3)
    rows[2] = rows[0]
    valid = np.array([[1, 1, 0], [1, 1, 1], [1, 1, 0]], bool)
    rows[2, 0, 2] = 99
    dataset = Grids({"train": {"image": rows, "valid": valid}}, modality="tables", missing=True)
    duplicates = look(dataset).duplicates
    assert duplicates is not None
    assert [(pair.first.key, pair.second.key) for pair in duplicates.pairs] == [("0", "2")]
    assert digest_of({"image": rows[0]}, (3,)) != digest_of({"image": rows[0], "valid": valid[0]}, (3,))


def test_volumes_have_sizes_and_masks_of_regions_in_space():
    findings = look(volumes())
    sizes, masks = findings.pictures["train"].sizes, findings.masks["train"]
    assert sizes is not None
    assert sizes.largest == (8, 10, 12)
    assert (masks.images, masks.objects) == ((6, 6), (0, 6))
    assert masks.pixels == (6 * (960 - 27), 6 * 27)
    assert findings.duplicates is not None
    assert [(each.split, each.exact) for each in findings.duplicates.overlaps] == [("train", 2), ("val", 2)]


@pytest.mark.parametrize("void", [-1, 300])
def test_masks_of_any_dtype_are_counted_without_their_void(void):
    dataset = volumes()
    for fields in dataset.splits.values():
        fields["mask"] = fields["mask"].astype(np.int16)
        fields["mask"][:, 0] = void
    dataset.changes["void"] = void
    masks = look(dataset).masks["train"]
    assert masks.void_pixels == 6 * 120
    assert masks.pixels == (6 * (960 - 120 - 27), 6 * 27)


@pytest.mark.parametrize(("make", "modality"), [(series, "series"), (volumes, "volumes"), (tables, "tables")])
def test_advice_is_in_the_words_of_the_samples(make, modality):
    findings = look(make())
    told = " ".join(advise(findings, findings.pictures["train"].sizes.largest, "cut"))
    assert not {"picture", "pictures", "image", "images", "pixels", "colour", "grey"} & set(told.split())
    assert f"{KINDS[modality].unit}" in told


def test_advice_names_cells_that_are_the_same_mostly_missing_or_out_of_range():
    dataset = tables()
    dataset.splits["train"]["image"][:30, 0, 0] = np.nan
    told = advise(look(dataset), (4,), "cut")
    assert "age (75%) is mostly missing in train." in told
    assert "version (7) is the same everywhere in train: nothing is learnt from that, so leave it out." in told
    assert any(each.startswith("price (") and "outside of the range" in each for each in told)
    assert not any("rooms" in each for each in told)


def test_flat_windows_are_counted_and_equal_cells_of_a_row_are_not():
    image = series().splits["train"]["image"].copy()
    image[3] = np.array([[0.5], [0.25]])
    assert look(Grids({"train": {"image": image}}, modality="series")).pictures["train"].num_flat == 1
    rows = np.full((5, 1, 3), 0.5, np.float32)
    assert look(Grids({"train": {"image": rows}}, modality="tables")).pictures["train"].num_flat == 0


def test_samples_that_are_not_as_their_card_says_are_named():
    dataset = series()
    dataset.splits["test"]["image"] = dataset.splits["test"]["image"][:, :1]
    dataset.splits["train"]["image"][2, 0, 0] = np.inf
    assert [(fault.path, fault.reason) for fault in look(dataset).faults] == [
        ("2", "holds infinite values"),
        *[(str(i), "has the shape (1, 48), and its data set channels: 2, and axes besides: 1") for i in range(3)],
    ]
    rows = tables()
    rows.changes |= {"cells": (), "size": (5,), "value_range": (0.0, 1.0)}
    with pytest.raises(DataError, match=r"none of the 40 rows of grids can be read; 0, .*: has the size \(4,\), and"):
        look(rows)


def test_sums_of_a_large_sample_are_those_of_its_parts():
    image = uniform(5, 3, CHUNK // 2 + 7)
    image[1, 5] = np.nan
    values = Values.of(image, ~np.isnan(image))
    assert values.num.tolist() == [image.shape[1], image.shape[1] - 1, image.shape[1]]
    np.testing.assert_allclose(values.mean, np.nanmean(image.astype(np.float64), axis=1))
    np.testing.assert_allclose(np.sqrt(values.squares / values.num), np.nanstd(image.astype(np.float64), axis=1))


def test_deviations_are_right_far_from_zero():
    image = (1e6 + np.arange(8.0)).reshape(8, 1, 1)
    total = Values.none(1)
    for sample in image:
        total = total + Values.of(sample)
    assert np.sqrt(total.squares / total.num) == pytest.approx(np.arange(8.0).std())


def test_values_at_the_ends_of_the_range_lie_in_it_whatever_float32_makes_of_them():
    image = np.array([0.1, 0.7], np.float32).reshape(2, 1, 1)
    (found,) = look(Grids({"train": {"image": image}}, modality="series", value_range=(0.1, 0.7))).values["train"]
    assert found.outside == 0
