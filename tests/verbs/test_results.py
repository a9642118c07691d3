from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml

from maecli.reports.records import COLUMNS, results_table
from maecli.verbs.results import read_records

DOCS = Path(__file__).parents[2] / "docs"


def rows(file: Path) -> list[dict[str, str]]:
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    assert tuple(cells[0]) == COLUMNS
    return [dict(zip(cells[0], each, strict=True)) for each in cells[2:]]


@pytest.fixture
def seeds(finetuned, tmp_path):
    """Two runs that differ in their seed only, with known metrics on test."""
    found = []
    for seed, value in ((0, 0.5), (1, 0.7)):
        run = shutil.copytree(finetuned, tmp_path / f"runs/seed{seed}")
        spec = yaml.safe_load((run / "spec.yaml").read_text())
        (run / "spec.yaml").write_text(yaml.safe_dump(spec | {"seed": seed, "out": str(run)}))
        record = json.loads((run / "evaluation/val.json").read_text())
        record |= {"split": "test", "num_samples": 40, "pictures": [], "weights": "last (step 8)"}
        record["metrics"][0] |= {"value": value, "baselines": {"chance": 0.5}, "interval": [0.4, 0.8]}
        (run / "evaluation/test.json").write_text(json.dumps(record))
        summary, took = json.loads((run / "summary.json").read_text()), {"trained_parameters": 1234}
        assert summary["peak_memory"] > summary["trained_parameters"] > 1000
        took |= {"seconds": 60.0 + 20 * seed, "peak_memory": (2 + seed) * 10**9}
        (run / "summary.json").write_text(json.dumps(summary | took | {"device": "a | b"}))
        found.append(run)
    return found


def test_seeds_become_one_row_and_the_old_directories_are_not_needed(seeds, pictures, tmp_path, mae):
    out = tmp_path / "docs/results.md"
    first = mae("results", seeds[0], "--out", out)
    assert first.exit_code == 0, first.stderr
    assert first.stdout.startswith(f"{out}: 1 record, 1 of them added or replaced\n\nnext:\n  open {out}\n")
    [row] = rows(out)
    assert (row["value"], row["seeds"]) == ("50.00% (40.00% to 80.00%)", "one seed (0)")

    shutil.rmtree(seeds[0])
    assert mae("results", seeds[1], "--out", out, "--json").json == {"out": str(out), "added": 1, "records": 2}
    [row] = rows(out.with_suffix(".md"))
    cost = "1 min 10 s; 1,234 parameters; 3.0 GB"
    assert row["value"] == "60.00 ± 14.14%"
    assert (row["baselines"], row["seeds"], row["cost"]) == ("chance 50.00%", "2 (0, 1)", cost)
    assert (row["data"], row["task"], row["weights"]) == (pictures.name, "classify", "last epoch")
    assert row["metric"] == "top-1 accuracy, test (40)"
    assert row["run"].startswith("recipe defaults, vit, `")
    assert row["run"].endswith("from scratch")


def test_a_run_that_is_added_again_replaces_its_record(seeds, tmp_path, mae):
    out = tmp_path / "results.md"
    for _ in range(2):
        mae("results", seeds[0].parent, "--out", out)
    assert len(read_records(out.with_suffix(".json"))) == 2


def test_probes_have_rows_of_their_own(seeds, tmp_path, mae):
    for value, run in zip((0.25, 0.35), seeds, strict=True):
        record = json.loads((run / "evaluation/test.json").read_text()) | {"probe": "knn"}
        metric = {**record["metrics"][0], "label": "top-1 accuracy of a kNN probe", "value": value}
        (run / "evaluation/probe-knn-test.json").write_text(json.dumps(record | {"metrics": [metric]}))
    out = tmp_path / "results.md"
    assert mae("results", seeds[0].parent, "--out", out, "--json").json["records"] == 4
    task, probe = rows(out)
    assert (task["task"], task["value"]) == ("classify", "60.00 ± 14.14%")
    assert (probe["task"], probe["value"]) == ("knn probe", "30.00 ± 7.07%")
    assert probe["metric"] == "top-1 accuracy of a kNN probe, test (40)"


def test_records_and_table_tell_nothing_of_paths(seeds, tmp_path, mae):
    out = tmp_path / "results.md"
    mae("results", seeds[0], "--out", out)
    for file in (out, out.with_suffix(".json")):
        assert str(tmp_path) not in file.read_text()
    assert out.read_text().startswith("<!-- Made by `mae results` from results.json, which has a record of each run;")
    assert "a \\| b" in out.read_text()


def test_a_run_names_where_it_started_and_what_that_cost(seeds, pictures, pretrained, tmp_path, mae):
    spec = yaml.safe_load((seeds[0] / "spec.yaml").read_text())
    (seeds[0] / "spec.yaml").write_text(yaml.safe_dump(spec | {"init": str(pretrained)}))
    out = tmp_path / "results.md"
    mae("results", seeds[0], seeds[1], "--out", out)
    scratch, started = sorted(rows(out), key=lambda row: "+" in row["cost"])
    assert started["run"].endswith(f"from pretraining on {pictures.name}")
    assert " + 1 min 00 s; " in started["cost"]
    assert scratch["cost"].startswith("1 min 20 s; ")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("RUN", "--out", "table.txt"), "--out table.txt must end with .md; the records go to a .json file beside it"),
        (("EMPTY", "--out", "x.md"), " holds no finished run"),
        (("NONE", "--out", "x.md"), " is no run directory and no folder of runs"),
    ],
)
def test_what_has_no_results_is_told(seeds, tmp_path, mae, args, said):
    empty = tmp_path / "empty"
    empty.mkdir()
    places = {"RUN": seeds[0], "EMPTY": empty, "NONE": tmp_path / "none"}
    outcome = mae("results", *(places.get(each, each) for each in args))
    assert outcome.exit_code == 2
    assert said in outcome.stderr


@pytest.mark.slow
def test_a_file_of_something_else_is_not_replaced(seeds, tmp_path, mae):
    (tmp_path / "results.json").write_text("[1]")
    outcome = mae("results", seeds[0], "--out", tmp_path / "results.md")
    assert outcome.exit_code == 2
    assert "results.json holds no records of mae results; choose another --out" in outcome.stderr
    assert (tmp_path / "results.json").read_text() == "[1]"


def test_a_run_without_metrics_is_told(seeds, tmp_path, mae):
    shutil.rmtree(seeds[0] / "evaluation")
    outcome = mae("results", seeds[0], "--out", tmp_path / "results.md")
    assert outcome.exit_code == 1
    assert outcome.stderr == f"mae: {seeds[0]} has no metrics; measure it by `mae eval {seeds[0]}`\n"


def test_the_published_table_is_what_its_records_say():
    source = DOCS / "results.json"
    assert (DOCS / "results.md").read_text(encoding="utf-8") == results_table(read_records(source), source.name)


def test_runs_on_two_folders_of_one_name_are_two_rows(seeds, tmp_path, mae):
    for run, place in zip(seeds, ("a", "b"), strict=True):
        spec = yaml.safe_load((run / "spec.yaml").read_text())
        spec["dataset"]["root"] = str(tmp_path / place / "pics")
        (run / "spec.yaml").write_text(yaml.safe_dump(spec | {"seed": 0, "paths": []}))
    out = tmp_path / "results.md"
    assert mae("results", *seeds, "--out", out, "--json").json["records"] == 2
    assert [row["data"] for row in rows(out)] == ["pics", "pics"]


def test_parts_of_a_run_are_no_results_beside_it(seeds, tmp_path, mae):
    shutil.copytree(seeds[0], seeds[0] / "folds/fold-1")
    for given in (seeds[0], seeds[0].parent):
        shutil.rmtree(seeds[1], ignore_errors=True)
        assert mae("results", given, "--out", tmp_path / "results.md", "--json").json["records"] == 1
