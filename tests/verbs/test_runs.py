from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import pytest
import yaml
from PIL import Image

from maecli.verbs.runs import _names


@pytest.fixture
def two(finetuned, tmp_path):
    """A folder with a finished run of two seeds, the second one not finished."""
    root = tmp_path / "runs"
    first = shutil.copytree(finetuned, root / "group/first")
    second = shutil.copytree(finetuned, root / "second")
    (second / "summary.json").unlink()
    spec = yaml.safe_load((second / "spec.yaml").read_text())
    spec["seed"] = 5
    spec["train"]["base_lr"] = 0.25
    (second / "spec.yaml").write_text(yaml.safe_dump(spec))
    environment = json.loads((second / "environment.json").read_text())
    environment["libraries"]["torch"] = "1.0"
    (second / "environment.json").write_text(json.dumps(environment))
    return first, second


def test_runs_are_listed_with_state_and_headline(two, mae):
    unfinished, finished = mae("runs", "--json").json["runs"]
    assert (finished["name"], unfinished["name"]) == ("group/first", "second")
    assert [finished[key] for key in ("verb", "dataset", "data", "task", "model", "state", "seed", "split")] == [
        *("finetune", "folder", "pictures0", "classify", "vit", "finished", 0, "val")
    ]
    assert finished["headline"]["name"] == "top1"
    assert finished["seconds"] > 0
    assert finished["finished"].startswith("20")
    assert (unfinished["state"], unfinished["seed"], unfinished["seconds"]) == ("unfinished, step 8", 5, None)


def test_the_list_is_a_table_for_people(two, mae, monkeypatch):
    monkeypatch.setenv("COLUMNS", "250")
    words = " ".join(mae("runs", two[1].parent).stdout.split())
    for word in (
        "run what finished, time headline",
        "first finetune pictures0 classify vit, seed 0 20",
        "second finetune pictures0 classify vit, seed 5 unfinished, step 8",
        "top-1",
    ):
        assert word in words


def test_an_empty_folder_has_no_runs_and_no_folder_is_an_error(tmp_path, mae):
    assert mae("runs", tmp_path).stdout == f"no runs in {tmp_path}\n"
    gone = mae("runs", tmp_path / "gone")
    assert gone.exit_code == 2
    assert gone.stderr == (
        f"mae: {tmp_path / 'gone'} is no folder; give one that holds run directories, or set MAE_RUNS\n"
    )


@pytest.mark.slow
def test_two_runs_side_by_side_show_what_differs(two, mae):
    found = mae("runs", *two, "--json").json
    assert found["runs"] == ["first", "second"]
    assert found["spec"] == ["seed: 0 -> 5", "train.base_lr: 0.001 -> 0.25"]
    [line] = found["environment"]
    assert line.startswith("libraries.torch: ")
    assert line.endswith(" -> 1.0")
    assert found["metrics"][0]["metric"] == "top-1 accuracy"
    assert found["metrics"][0]["first"] == found["metrics"][0]["second"]
    told = mae("runs", *two).stdout
    assert "train.base_lr: 0.001 -> 0.25" in told


@pytest.mark.parametrize(
    ("first", "second", "names"),
    [
        ("/a/x", "/a/y", ("x", "y")),
        ("/a/x", "/b/x", ("a/x", "b/x")),
        ("/a/runs/x", "/b/runs/x", ("a/runs/x", "b/runs/x")),
        ("/x", "/a/x", ("/x", "a/x")),
        ("/a/x", "/a/x", ("x", "x")),
    ],
)
def test_runs_are_named_by_what_tells_them_apart(first, second, names):
    assert _names(Path(first), Path(second)) == names


def test_a_run_beside_itself_differs_in_nothing(two, mae):
    told = mae("runs", two[0], two[0]).stdout
    assert "no key differs" in told
    assert "nothing differs" in told


@pytest.mark.slow
def test_curves_are_written_as_one_picture_or_everything_as_a_page(two, tmp_path, mae):
    png, page = tmp_path / "both.png", tmp_path / "both.html"
    assert mae("runs", *two, "--out", png).stdout.split("\n\nnext:\n")[0].endswith(f"written: {png}")
    with Image.open(png) as image:
        assert image.width == 1408
        assert image.height > 1000
    assert mae("runs", *two, "--out", page).exit_code == 0
    text = page.read_text()
    for word in ("train.base_lr: 0.001 -&gt; 0.25", "Training loss", "top-1 accuracy", "libraries.torch"):
        assert word in text


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["first", "", "--out", "x.png"], " is no run directory, so it cannot be laid beside another"),
        (["first", "--csv", "--json"], "--csv and --json are two forms of one answer; give one of them"),
        (
            ["--sort", "tsak"],
            "--sort tsak is none of finished, run, dataset, data, task, model, seconds, headline; did you",
        ),
        (["--filter", "classify"], "--filter classify is not COLUMN=PATTERN, such as task=classify or run='*cifar*'"),
        (["--filter", "task="], "--filter task= is not COLUMN=PATTERN, such as task=classify or run='*cifar*'"),
        (
            ["--filter", "modell=vit"],
            "--filter modell=vit: 'modell' is no column to filter by; did you mean 'model'?; there are run, verb, ",
        ),
        (
            ["first", "second", "--out", "x.txt"],
            "--out x.txt must end with .png for the curves, or with .html for a page",
        ),
        (["first", "--out", "x.png"], "--out is for two runs laid side by side; name both of them"),
    ],
)
def test_what_cannot_be_laid_side_by_side_is_told(two, tmp_path, mae, args, said):
    places = {"first": two[0], "second": two[1], "": tmp_path}
    outcome = mae("runs", *(places.get(each, each) for each in args))
    assert outcome.exit_code == 2
    assert said in outcome.stderr


def test_plugins_that_differ_are_named_and_a_key_without_a_value_is_not_set(two, mae):
    file = two[1] / "environment.json"
    environment = json.loads(file.read_text())
    environment["plugins"] = [each for each in environment["plugins"] if each["kind"] != "tracker"]
    environment["plugins"][0]["version"] = "0.0.1"
    file.write_text(json.dumps(environment))
    spec = yaml.safe_load((two[1] / "spec.yaml").read_text())
    spec["train"]["max_steps"] = 3
    (two[1] / "spec.yaml").write_text(yaml.safe_dump(spec))
    found = mae("runs", *two, "--json").json
    assert "train.max_steps: not set -> 3" in found["spec"]
    kind, name = (environment["plugins"][0][key] for key in ("kind", "name"))
    told = [line for line in found["environment"] if line.startswith("plugins.")]
    assert [line.partition(":")[0] for line in told] == [f"plugins.{kind} {name}", "plugins.tracker jsonl"]
    assert told[0].endswith("-> maecli 0.0.1")
    assert told[1].endswith("-> not set")
    assert "{" not in " ".join(found["environment"])


@pytest.fixture
def three(two):
    """Beside the two, a third in a folder of its own, whose name is longer than a terminal is wide."""
    first, _ = two
    third = shutil.copytree(first, first.parents[2] / "elsewhere" / ("long-" * 20 + "name"))
    summary = json.loads((third / "summary.json").read_text())
    (third / "summary.json").write_text(json.dumps(summary | {"finished_at": 1.0, "seconds": 7200.0}))
    evaluation = json.loads((third / "evaluation/val.json").read_text())
    evaluation["metrics"][0] |= {"value": 0.999, "interval": [0.99, 1.0]}
    (third / "evaluation/val.json").write_text(json.dumps(evaluation))
    return (*two, third)


def test_any_number_of_folders_and_runs_is_listed_each_run_once(three, mae):
    first, second, third = three
    named = mae("runs", second, third, first, second.parent, "--json").json["runs"]
    assert [entry["name"] for entry in named] == [str(path) for path in (second, third, first)]
    both = mae("runs", second.parent, third.parent, "--json").json["runs"]
    assert {entry["name"] for entry in both} == {str(path) for path in three}


def test_two_runs_are_listed_where_a_list_is_asked_for(three, mae):
    first, second, _ = three
    assert len(mae("runs", first, second, "--csv").stdout.splitlines()) == 3


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("finished", ["second", "third", "first"]),
        ("seconds", ["second", "first", "third"]),
        ("headline", ["second", "first", "third"]),
        ("run", ["third", "first", "second"]),
    ],
)
def test_runs_are_sorted_by_what_is_asked_for(three, mae, order, names):
    first, second, third = three
    for run, value in ((first, 0.5), (second, 0.001)):
        evaluation = json.loads((run / "evaluation/val.json").read_text())
        evaluation["metrics"][0] |= {"value": value, "interval": None}
        (run / "evaluation/val.json").write_text(json.dumps(evaluation))
    places = {"first": first, "second": second, "third": third}
    listed = mae("runs", *three, "--sort", order, "--json").json["runs"]
    assert [entry["name"] for entry in listed] == [str(places[name]) for name in names]
    back = mae("runs", *three, "--sort", order, "--reverse", "--json").json["runs"]
    assert back == listed[::-1]


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        (["state=unfinished"], ["second"]),
        (["state=finished", "run=*LONG*"], ["third"]),
        (["seed=5"], ["second"]),
        (["task=classify", "dataset=fold*"], ["second", "third", "first"]),
        (["task=segment"], []),
        (["model=vit-*"], []),
    ],
    ids=lambda value: "-".join(value),
)
def test_filters_leave_the_runs_that_fit_all_of_them(three, mae, filters, names):
    places = dict(zip(("first", "second", "third"), three, strict=True))
    options = [part for each in filters for part in ("--filter", each)]
    assert [entry["name"] for entry in mae("runs", *three, *options, "--json").json["runs"]] == [
        str(places[name]) for name in names
    ]
    if not names:
        assert mae("runs", *three, *options).stdout.endswith(" fit the filter\n")


def test_the_list_as_csv_has_every_number_in_full(three, mae):
    rows = list(csv.DictReader(io.StringIO(mae("runs", *three, "--csv").stdout)))
    assert [row["state"] for row in rows] == ["unfinished, step 8", "finished", "finished"]
    assert (rows[1]["run"], rows[1]["value"], rows[1]["low"], rows[1]["seconds"]) == (
        *(str(three[2]), "0.999", "0.99", "7200.0"),
    )
    assert (rows[0]["seconds"], rows[0]["finished"], rows[0]["split"], rows[0]["metric"]) == ("", "", "val", "top1")


@pytest.mark.parametrize("width", ["40", "80", "300"])
def test_a_name_is_never_broken_however_narrow_the_terminal(three, mae, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", width)
    lines = mae("runs", three[2].parent).stdout.splitlines()
    assert [line for line in lines if three[2].name in line]
    told = mae("runs", three[2], three[0]).stdout
    assert told.count(three[2].name) >= 2, "above, and beside its metrics"
