"""Each defect that is planted in a table is told in a sentence, and of a table without any nothing is."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from maecli_plugins.datasets.table.dataset import Table
from toy_grids import Grids, tables

from maecli.modalities.study import Study
from maecli.modalities.tables.modality import Tables

NUM = 600
CITIES = np.array(["Rome", "Oslo", "Lima"])


def draws(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def clean(seed: int = 0) -> dict[str, Any]:
    """Return columns in which nothing is wrong, though one depends on another and one has a long tail."""
    random = draws(seed)
    age = random.integers(18, 90, NUM)
    return {
        "age": age,
        "height": np.round(random.normal(170, 10, NUM), 1),
        "income": np.round(np.exp(random.normal(8, 0.8, NUM) + age / 100), 2),
        "city": CITIES[random.integers(0, 3, NUM)],
        "owner": np.where(random.random(NUM) < age / 120, "yes", "no"),
        "visits": random.poisson(3, NUM),
    }


def lacking(values: np.ndarray, where: np.ndarray) -> np.ndarray:
    return np.where(where, "", values.astype(str))


def study(folder: Path, columns: dict[str, Any]) -> Study:
    path = folder / "data.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    data = Table(Table.Options(root=path))
    found = Tables().study(data.split, data.card())
    assert found is not None
    return Study.model_validate_json(found.model_dump_json())


def told(found: Study) -> list[str]:
    return [finding.told for finding in found.findings]


@pytest.mark.parametrize("seed", range(4))
def test_of_a_clean_table_nothing_is_claimed(tmp_path, seed):
    columns = clean(seed)
    columns["height"] = lacking(columns["height"], draws(seed + 10).random(NUM) < 0.1)
    columns["visits"] = lacking(columns["visits"], draws(seed + 20).random(NUM) < 0.1)
    assert told(study(tmp_path, columns)) == []


def test_types_are_told_with_their_reason(tmp_path):
    found = study(tmp_path, clean() | {"day": [f"2026-{1 + i % 12:02}-{1 + i % 28:02}" for i in range(NUM)]})
    (table,) = next(topic for topic in found.topics if topic.title == "Columns").tables
    types = {row[0]: (row[1], row[2]) for row in table.rows}
    assert types == {
        "age": ("integer", "no decimals"),
        "height": ("number", "some decimals"),
        "income": ("number", "some decimals"),
        "city": ("category", "3 texts"),
        "owner": ("boolean", "no and yes alone"),
        "visits": ("integer", "no decimals"),
        "day": ("date", "written as %Y-%m-%d"),
    }


def test_patterns_of_missing_cells_are_counted(tmp_path):
    columns, random = clean(), draws(1)
    both, one = random.random(NUM) < 0.2, random.random(NUM) < 0.05
    columns["height"], columns["income"] = lacking(columns["height"], both), lacking(columns["income"], both | one)
    found = study(tmp_path, columns)
    topic = next(topic for topic in found.topics if topic.title == "Missing cells")
    rows = {row[0]: row[1] for row in topic.tables[0].rows}
    assert rows == {
        "nothing": int((~(both | one)).sum()),
        "height, income": int(both.sum()),
        "income": int((one & ~both).sum()),
    }
    (finding,) = found.findings
    assert finding.kind == "missing together"
    assert finding.told.startswith("height and income are missing in the same rows (correlation 0.")


def test_columns_of_which_one_is_always_missing_may_be_one(tmp_path):
    columns, half = clean(), draws(1).random(NUM) < 0.5
    columns["height"], columns["cm"] = lacking(columns["height"], half), lacking(columns["height"], ~half)
    assert any(each.startswith("Where height is missing cm is there") for each in told(study(tmp_path, columns)))
    assert any("600 of 600 rows lack a cell, of 2 columns" in each for each in told(study(tmp_path, columns)))


def test_what_is_missing_where_another_is_high_is_not_missing_by_chance(tmp_path):
    columns = clean()
    columns["height"] = lacking(columns["height"], (columns["age"] > 70) & (draws(1).random(NUM) < 0.7))
    (finding,) = study(tmp_path, columns).findings
    assert finding.of == ("height", "age")
    assert finding.told.startswith("height is missing more often where age is high (in 9")


def test_what_is_missing_in_one_category_is_not_missing_by_chance(tmp_path):
    columns = clean()
    columns["visits"] = lacking(columns["visits"], (columns["city"] == "Oslo") & (draws(1).random(NUM) < 0.5))
    (finding,) = study(tmp_path, columns).findings
    assert finding.told.startswith("visits is missing more often where city is Oslo (")
    assert "0% elsewhere), so not by chance alone" in finding.told


def test_far_values_are_named_with_their_rows(tmp_path):
    columns = clean()
    columns["height"][7], columns["income"][9] = 1.7, 9e7
    found = study(tmp_path, columns)
    (finding,) = found.findings
    assert finding.of == ("height", "income")
    assert finding.told.startswith("Values are far from all others: of height in 1 row, as 1.7 in data.csv#8 (median 1")
    assert next(topic for topic in found.topics if topic.title == "Outliers").tables[0].rows[0][4] == "data.csv#8"


def test_a_code_for_nothing_is_called_one(tmp_path):
    columns = clean()
    columns["height"][::20] = -999
    (finding,) = study(tmp_path, columns).findings
    assert finding.told.startswith("height is -999 in 30 rows, far from all others (median 1")
    assert finding.told.endswith("--set dataset.missing=[-999].")


def test_a_column_that_is_cut_off_is_told(tmp_path):
    columns = clean()
    columns["height"] = np.minimum(columns["height"], 180.0)
    (finding,) = study(tmp_path, columns).findings
    assert finding.told.startswith("height ends at 180, where ")


def test_columns_that_say_the_same_are_told(tmp_path):
    columns = clean()
    columns["inches"] = np.round(columns["height"] / 2.54, 3)
    columns["log"] = np.round(np.log(columns["income"]), 5)
    found = study(tmp_path, columns)
    assert {finding.of for finding in found.findings} == {("height", "inches"), ("income", "log")}
    assert any(
        each.endswith("one is enough; leave it out by --set dataset.types.inches=ignore.") for each in told(found)
    )


def test_what_a_category_determines_is_told(tmp_path):
    columns = clean()
    districts = draws(3).integers(0, 9, NUM)
    columns["district"], columns["city"] = np.char.add("d", districts.astype(str)), CITIES[districts % 3]
    columns["land"] = np.array(["Italy", "Norway", "Peru"])[districts % 3]
    assert [finding.of for finding in study(tmp_path, columns).findings] == [
        ("city", "land"),
        ("district", "city"),
        ("district", "land"),
    ]


def test_a_total_is_told_with_its_parts(tmp_path):
    columns = clean()
    columns["total"] = np.round(columns["age"] + 3 * columns["height"] - columns["visits"], 1)
    (sentence,) = told(study(tmp_path, columns))
    assert sentence == (
        "Each of age, height, visits, total follows from the others by adding and subtracting, as a total does from "
        "its parts: one adds nothing; leave it out by --set dataset.types.total=ignore."
    )


def test_a_number_of_rows_says_nothing(tmp_path):
    assert told(study(tmp_path, {"id": range(1, NUM + 1)} | clean())) == [
        "id numbers the rows, which says nothing of new ones: leave it out by --set dataset.types.id=ignore."
    ]


def test_a_column_that_says_what_is_to_be_predicted_is_a_leak():
    dataset = tables(80)
    found = Tables().study(dataset.split, dataset.card())
    assert found is not None
    leaks = [finding for finding in found.findings if finding.kind == "leak"]
    assert {finding.of for finding in leaks} == {("age", "twice"), ("price", "value")}
    assert all("which is to be predicted" in finding.told for finding in leaks)
    assert found.findings[0].kind == "leak"


@pytest.mark.parametrize("kind", ["category", "number"])
def test_a_column_that_tells_the_class_is_a_leak(kind):
    random = draws(0)
    label = random.integers(0, 2, 400)
    told_by = label + (0.0 if kind == "category" else 0.2 * random.random(400))
    image = np.stack([random.random(400), told_by], 1)[:, None].astype(np.float32)
    dataset = Grids(
        {"train": {"image": image, "label": label}}, modality="tables", classes=("a", "b"), cells=("x", "y")
    )
    found = Tables().study(dataset.split, dataset.card())
    assert found is not None
    assert [finding.of for finding in found.findings] == [("y", "the class")]


def test_of_many_rows_some_are_gone_into(tmp_path, monkeypatch):
    monkeypatch.setattr("maecli.modalities.tables.study.cells.MOST_ROWS", 100)
    found = study(tmp_path, clean())
    assert found.topics[0].text == ("Gone into were 100 of 600 rows.",)


def test_of_a_few_rows_nothing_is_said():
    dataset = tables(20)
    assert Tables().study(dataset.split, dataset.card()) is None
