"""`mae plugins`, with packages of strangers beside ours, good and broken."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from installed import dataset_package, look_again, write_package

from maecli import testing
from maecli.registry.switches import config_file, write_disabled

NUM_PACKAGES = 20


def process(site: Path, *args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    settings = {"PYTHONPATH": str(site), "MAE_CONFIG": str(site.parent / "config"), "COLUMNS": "120", **environment}
    command = [sys.executable, "-m", "maecli", *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=os.environ | settings, check=False)


def theirs(outcome):
    """Return the rows of other packages, by their key."""
    rows = json.loads(outcome.stdout)["plugins"]
    return {f"{row['kind']}.{row['name']}": row for row in rows if row["package"] != "maecli"}


@pytest.mark.slow
def test_a_broken_package_is_named_in_one_line_and_everything_else_works(site, mae):
    dataset_package(site)
    write_package(site, "mae-rotten", {"task.rot": "mae_rotten"}, "0.3", mae_rotten="import a_library_not_there")
    look_again()
    outcome = mae("plugins", "list")
    assert outcome.exit_code == 0
    assert outcome.stdout.split("\n\nnext:\n")[0].splitlines()[-1] == (
        "mae-rotten 0.3: task 'rot' cannot be imported: ModuleNotFoundError: No module named 'a_library_not_there'"
    )
    rows = [line.split() for line in outcome.stdout.splitlines()]
    assert ["dataset", "birds", "mae-birds", "1.2", "ok"] in rows
    assert ["task", "rot", "mae-rotten", "0.3", "broken"] in rows
    assert theirs(mae("plugins", "--json")) == {
        "dataset.birds": {
            "kind": "dataset",
            "name": "birds",
            "package": "mae-birds",
            "version": "1.2",
            "module": "mae_birds",
            "status": "ok",
            "reason": "",
        },
        "task.rot": {
            "kind": "task",
            "name": "rot",
            "package": "mae-rotten",
            "version": "0.3",
            "module": "mae_rotten",
            "status": "broken",
            "reason": ("task 'rot' cannot be imported: ModuleNotFoundError: No module named 'a_library_not_there'"),
        },
    }


def test_a_quick_list_imports_nothing(site, mae):
    write_package(site, "mae-rotten", {"task.rot": "mae_rotten"}, mae_rotten="1 / 0")
    look_again()
    assert theirs(mae("plugins", "list", "--quick", "--json"))["task.rot"]["status"] == "unchecked"
    assert theirs(mae("plugins", "--quick", "--json"))["task.rot"]["status"] == "unchecked"
    assert "mae_rotten" not in sys.modules


@pytest.mark.slow
def test_a_clash_is_told_by_verbs_that_use_plugins_and_stops_none(site, mae):
    dataset_package(site)
    dataset_package(site, package="mae-aves")
    look_again()
    outcome = mae("recipes", "--json")
    assert outcome.exit_code == 0
    assert outcome.stderr.splitlines() == [
        (
            "mae: mae-aves 1.2: dataset 'birds' is also claimed by mae-birds, so neither is used; "
            "`mae plugins disable mae-aves` gives this one up"
        ),
        (
            "mae: mae-birds 1.2: dataset 'birds' is also claimed by mae-aves, so neither is used; "
            "`mae plugins disable mae-birds` gives this one up"
        ),
    ]
    assert mae("plugins", "disable", "mae-aves").exit_code == 0
    look_again()
    assert mae("recipes").stderr == ""
    statuses = {row["package"]: row["status"] for row in mae("plugins", "--json").json["plugins"]}
    assert statuses == {"maecli": "ok", "mae-birds": "ok", "mae-aves": "disabled"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("mae-birds", "mae-birds"),
        ("Mae_Birds", "mae-birds"),
        ("dataset.birds", "dataset.birds"),
        ("birds", "dataset.birds"),
    ],
)
def test_what_is_disabled_stays_so_until_it_is_enabled(site, mae, name, key):
    dataset_package(site)
    look_again()
    done = mae("plugins", "disable", name)
    assert done.stdout == f"{key} is disabled ({config_file()}); `mae plugins enable {key}` brings it back\n"
    assert theirs(mae("plugins", "--json"))["dataset.birds"]["status"] == "disabled"
    outcome = mae("pretrain", "--dataset", "birds")
    assert (outcome.exit_code, outcome.stderr) == (
        4,
        f"mae: mae-birds 1.2: dataset 'birds' is disabled; `mae plugins enable {key}` brings it back\n",
    )
    assert mae("plugins", "enable", name).stdout.startswith(f"{key} is enabled\n\nnext:\n  mae plugins")
    assert theirs(mae("plugins", "--json"))["dataset.birds"]["status"] == "ok"
    assert json.loads(config_file().read_text()) == {"disabled": []}


def test_switching_is_told_in_json_too(site, mae):
    dataset_package(site)
    look_again()
    file = str(config_file())
    assert mae("plugins", "disable", "birds", "--json").json == {"disabled": "dataset.birds", "file": file}
    assert mae("plugins", "enable", "birds", "--json").json == {"enabled": "dataset.birds", "file": file}


def test_to_enable_a_name_of_several_kinds_needs_the_kind(mae):
    write_disabled(["dataset.twice", "task.twice"])
    outcome = mae("plugins", "enable", "twice")
    assert outcome.exit_code == 2
    assert outcome.stderr == "mae: 'twice' is the name of several; write dataset.twice or task.twice\n"


@pytest.mark.parametrize(
    ("flag", "command", "way"),
    [("--quick", "list", "list --quick"), ("--json", "list", "list --json"), ("--json", "show", "show --json")],
)
def test_an_option_before_its_command_is_not_dropped_in_silence(mae, flag, command, way):
    outcome = mae("plugins", flag, command, *(["digits"] if command == "show" else []))
    message = f"options of {command} stand behind it, not before it; write mae plugins {way}"
    assert (outcome.exit_code, outcome.stderr) == (2, f"mae: {message}\n")
    if flag == "--json":
        assert outcome.json["error"] == message


def test_a_damaged_file_of_settings_is_told(mae):
    write_disabled([]).write_text("{")
    outcome = mae("plugins", "list")
    assert outcome.exit_code == 2
    assert outcome.stderr.startswith(f"mae: {config_file()} is not valid JSON ")
    assert outcome.stderr.endswith("mend or delete it: it says what is disabled\n")


@pytest.mark.parametrize("verb", [("plugins", "--quick"), ("recipes",)])
def test_a_typing_error_in_mae_load_plugins_is_told(site, mae, monkeypatch, verb):
    dataset_package(site)
    look_again()
    monkeypatch.setenv("MAE_LOAD_PLUGINS", "mae-brids")
    outcome = mae(*verb)
    assert outcome.exit_code == 0
    assert outcome.stderr == (
        "mae: MAE_LOAD_PLUGINS names 'mae-brids', which is no installed package with plugins; did you mean "
        "'mae-birds'?\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("disable", "mae-bird"), "'mae-bird' is no installed package and no plugin of one; did you mean 'mae-birds'?"),
        (("disable", "dataset.digits"), "dataset.digits is built in, and stays"),
        (("disable", "digits"), "dataset.digits is built in, and stays"),
        (("disable", "maecli"), "maecli is built in, and stays"),
        (("disable", "twice"), "'twice' is the name of several; write dataset.twice or task.twice"),
        (("enable", "mae-birds"), "'mae-birds' is not disabled; disabled: nothing is"),
        (("show", "bird"), "no installed plugin is named 'bird'; did you mean 'birds'?; `mae plugins` lists them"),
        (
            ("show", "dataset.bird"),
            "unknown dataset 'bird'; did you mean 'birds'?; installed: ade20k, birds, btcv, california, ",
        ),
        (("show", "twice"), "'twice' is the name of several; write dataset.twice or task.twice"),
        (("check", "bird"), "no installed plugin is named 'bird'; did you mean 'birds'?; `mae plugins` lists them"),
    ],
)
def test_a_name_that_means_nothing_is_explained(site, mae, arguments, message):
    dataset_package(site)
    write_package(site, "mae-twice", {"dataset.twice": "mae_nowhere", "task.twice": "mae_nowhere"})
    look_again()
    outcome = mae("plugins", *arguments)
    assert outcome.exit_code == 2
    assert outcome.stderr.startswith(f"mae: {message}")


def test_check_asks_the_conformance_kit(site, mae, monkeypatch):
    asked = []

    def check(kind, name, options, plugins):
        asked.append((kind, name, options))
        assert plugins.listing(kind, name).package == "mae-birds"
        shared = testing.Finding("splits", "train and val share 'a.png'; cut them apart")
        return [
            testing.Finding("card", None),
            shared,
            testing.Finding("leaks", None, "not looked at: splits comes first"),
        ]

    monkeypatch.setattr(testing, "check", check)
    dataset_package(site)
    look_again()
    outcome = mae("plugins", "check", "birds")
    assert asked == [("dataset", "birds", {})]
    assert outcome.exit_code == 4
    assert outcome.stdout == (
        "ok       card\nbroken   splits\n         train and val share 'a.png'; cut them apart\n"
        "skipped  leaks\n         not looked at: splits comes first\n"
    )
    assert outcome.stderr == "mae: dataset 'birds' fails 1 of 3 checks\n"
    again = mae("plugins", "check", "birds", "--root", "there", "--json")
    assert [each["check"] for each in again.json["findings"]] == ["card", "splits", "leaks"]
    assert asked[1:] == [("dataset", "birds", {"root": "there"})]


def test_a_broken_recipe_of_a_stranger_leaves_the_others(site, mae):
    write_package(site, "mae-rotten", {"recipes": "mae_rotten"}, "0.3")
    (site / "mae_rotten").mkdir()
    (site / "mae_rotten/rot.yaml").write_bytes(b"\xff")
    look_again()
    outcome = mae("recipes", "--json")
    assert outcome.exit_code == 0
    assert len(outcome.json["recipes"]) > 5
    assert outcome.stderr.startswith("mae: mae-rotten 0.3: recipe 'rot' cannot be read: UnicodeDecodeError: ")


@pytest.mark.slow
def test_help_and_a_quick_list_are_fast_with_many_packages_and_import_none_of_them(tmp_path):
    site = tmp_path / "site"
    for number in range(NUM_PACKAGES):
        module = f"mae_many{number}"
        text = f"open({str(tmp_path / 'imported')!r}, 'w').close()\nraise RuntimeError"
        points = {f"dataset.many{number}": module, f"task.many{number}": module}
        write_package(site, f"mae-many{number}", points, **{module: text})
    for arguments, limit in ((["--help"], 0.7), (["plugins", "list", "--quick"], 1.4)):
        seconds = []
        for _ in range(5):
            begin = resource.getrusage(resource.RUSAGE_CHILDREN)  # not the clock: others may be using this machine
            done = process(site, *arguments)
            end = resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds.append(end.ru_utime - begin.ru_utime + end.ru_stime - begin.ru_stime)
            assert done.returncode == 0, done.stderr
            if min(seconds) < limit:
                break
        assert min(seconds) < limit, f"mae {' '.join(arguments)} took {min(seconds):.2f} s"
        assert not (tmp_path / "imported").exists()
    for verb in ("pretrain", "finetune", "plugins"):
        assert process(site, verb, "--help").returncode == 0
        assert not (tmp_path / "imported").exists()
    rows = theirs(process(site, "plugins", "--quick", "--json"))
    assert len(rows) == 2 * NUM_PACKAGES


@pytest.mark.slow
def test_uninstalling_leaves_no_trace(site, mae):
    dataset_package(site)
    look_again()
    assert "dataset.birds" in theirs(mae("plugins", "--json"))
    for file in (*site.glob("*.dist-info/*"), *site.glob("*.py")):
        file.unlink()
    for folder in site.glob("*.dist-info"):
        folder.rmdir()
    look_again()
    assert theirs(mae("plugins", "--json")) == {}
    assert mae("plugins").stdout == mae("plugins", "--quick").stdout
