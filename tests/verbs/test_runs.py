from __future__ import annotations

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
    assert [finished[key] for key in ("verb", "dataset", "task", "model", "state", "seed", "split")] == [
        *("finetune", "folder", "classify", "vit", "finished", 0, "val")
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
        "first finetune folder classify vit, seed 0 20",
        "second finetune folder classify vit, seed 5 unfinished, step 8",
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
    assert mae("runs", *two, "--out", png).stdout.endswith(f"written: {png}\n")
    with Image.open(png) as image:
        assert image.width == 1040
        assert image.height > 1000
    assert mae("runs", *two, "--out", page).exit_code == 0
    text = page.read_text()
    for word in ("train.base_lr: 0.001 -&gt; 0.25", "Training loss", "top-1 accuracy", "libraries.torch"):
        assert word in text


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["first", "second", "first"], "mae runs takes a folder, or two runs to lay side by side, not 3"),
        (["first", ""], " is no run directory, so it cannot be laid beside another"),
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
