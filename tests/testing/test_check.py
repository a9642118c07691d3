"""The kit on an installed plugin by its name: `check`, and `mae plugins check`."""

from __future__ import annotations

import pytest
from entry_points import point
from installed import DATASET, look_again, write_package

from maecli import testing
from maecli.errors import SpecError
from maecli.registry import Registry, registry
from maecli.testing import Finding, check, imports, tasks, trackers
from maecli.testing.finding import names

pytestmark = pytest.mark.usefixtures("told_costs")

BIRDS = DATASET.format(cls="Birds", name="birds")
ABSENT = "there are no birds here (the checks need the data, or a part of them in their layout)"


def install(site, text: str, **points: str) -> None:
    """Install mae-birds, a package of one module, which offers the data set `birds` unless other points are given."""
    write_package(site, "mae-birds", points or {"dataset.birds": "mae_birds"}, mae_birds=text)
    look_again()


def changed(old: str, new: str) -> str:
    assert old in BIRDS
    return BIRDS.replace(old, new)


def install_recipe(site, text: str) -> None:
    write_package(site, "mae-birds", {"recipes": "mae_birds"})
    (site / "mae_birds").mkdir()
    (site / "mae_birds/birds.yaml").write_text(text)
    look_again()


def test_an_installed_plugin_is_checked_by_its_name():
    assert check("tracker", "jsonl") == [Finding(name, None) for name in names(trackers.STAGES)]
    assert check("recipe", "digits") == [Finding("reading", None), Finding("settings", None)]


def test_what_cannot_be_loaded_is_one_finding(site):
    install(site, "1 / 0")
    [finding] = check("dataset", "birds")
    assert finding.check == "loading"
    assert finding.problem == ("mae-birds 1.2: dataset 'birds' cannot be imported: ZeroDivisionError: division by zero")


def test_what_two_packages_claim_is_one_finding_too():
    twice = Registry([point("task.sing", "mae_a", package="mae-a"), point("task.sing", "mae_b", package="mae-b")])
    [finding] = check("task", "sing", plugins=twice)
    assert finding.check == "loading"
    assert "is also claimed by" in finding.problem


def test_unknown_kinds_and_names_are_refused():
    with pytest.raises(SpecError, match="unknown kind 'taks'; there are dataset, modality, task, model, "):
        check("taks", "classify")
    with pytest.raises(SpecError, match="unknown task 'clasify'"):
        check("task", "clasify", plugins=registry())


def test_a_data_set_that_cannot_be_made_is_one_finding(site, mae):
    install(site, changed("    def card", "    def __init__(self, options):\n        1 / 0\n\n    def card"))
    outcome = mae("plugins", "check", "birds", "--json")
    assert outcome.exit_code == 4
    [finding] = outcome.json["findings"]
    assert finding["check"] == "making"
    assert finding["problem"].startswith(
        "birds cannot be made of its default options: ZeroDivisionError: division by zero (mae_birds.py, line "
    )
    assert finding["problem"].endswith("; keep the options in __init__, and read files in card() and split()")


@pytest.mark.parametrize("where", ['    def card(self, fields=("image",)):\n', "    def __init__(self, options):\n"])
def test_without_its_data_a_data_set_is_skipped_and_not_broken(site, mae, where):
    raising = where + "        raise api.DataError('there are no birds here')\n\n"
    text = changed(where, raising) if "card" in where else changed("    def card", raising + "    def card")
    install(site, text)
    outcome = mae("plugins", "check", "birds", "--json")
    assert outcome.exit_code == 0
    first, *others = outcome.json["findings"]
    assert first == {"check": "data", "problem": None, "note": ABSENT, "advice": ""}
    assert [each["check"] for each in others] == (["options", "spec", "imports"] if "card" in where else [])
    assert {each["problem"] for each in others} <= {None}


def test_options_that_a_data_set_does_not_take_are_the_users_mistake(site):
    install(site, BIRDS)
    with pytest.raises(SpecError, match=r"dataset\.side is 1: input should be greater than or equal to 4"):
        check("dataset", "birds", {"side": 1})


@pytest.mark.parametrize(
    ("text", "broken", "sentence"),
    [
        ("pretrain: [", "reading", "recipe birds is not valid YAML: "),
        ("- birds", "reading", "recipe birds must be a YAML mapping"),
        (
            "trian: {epochs: 3}",
            "reading",
            "has trian; did you mean 'pretrain'?; write settings below pretrain, finetune, sweep",
        ),
        ("about: birds", "reading", "recipe birds has nothing; write settings below pretrain, finetune, sweep"),
        ("pretrain: {}\ntrian: {}", "reading", "recipe birds: a recipe has sections per verb, not trian"),
        ("pretrain: {trian: {epochs: 3}}", "settings", "unknown key 'trian'; did you mean 'train'?"),
        (
            "pretrain: {model: {name: vit, dpeth: 3}}",
            "settings",
            "unknown key 'model.dpeth'; did you mean 'depth'?",
        ),
        ("pretrain: {dataset: nowhere}", "settings", "recipe birds: dataset is a section; write dataset.name: nowhere"),
        ("finetune: {dataset: {name: nowhere}}", "settings", "unknown dataset 'nowhere'; installed: "),
        ("finetune-sing: {train: {epochs: 3}}", "settings", "unknown task 'sing'"),
        ("pretrain: {train: {epochs: 0}}", "settings", "train.epochs is 0: input should be greater than or equal to 1"),
        ("sweep: {gird: {mask_ratio: [0.5]}}", "settings", "unknown key 'sweep.gird'; did you mean 'grid'?"),
    ],
)
def test_a_wrong_recipe_fails_that_check_with_a_sentence(site, mae, text, broken, sentence):
    install_recipe(site, text)
    outcome = mae("plugins", "check", "recipe.birds", "--json")
    assert outcome.exit_code == 4
    problems = {each["check"]: each["problem"] for each in outcome.json["findings"] if each["problem"]}
    assert list(problems) == [broken]
    assert sentence in problems[broken]


def test_a_recipe_may_leave_the_data_set_and_the_task_to_whoever_runs_it(site):
    install_recipe(site, "finetune: {train: {epochs: 3}}")
    assert [finding.problem for finding in check("recipe", "birds")] == [None, None]


def test_a_heavy_import_is_advice_and_no_failure(site, mae, monkeypatch):
    cost = imports.ImportCost(0.0, ("matplotlib",))
    monkeypatch.setattr(imports, "import_costs", lambda modules, base: dict.fromkeys(modules, cost))
    outcome = mae("plugins", "check", "jsonl")
    assert outcome.exit_code == 0
    assert outcome.stdout.splitlines()[1] == "advice   imports"
    assert outcome.stdout.splitlines()[2].startswith(
        "         importing maecli_plugins.trackers.jsonl loads matplotlib; "
    )


DARK = """
from maecli import api
from maecli_plugins.tasks.classify.task import Classify

class Dark(Classify):
    \"\"\"Whether a picture is dark.\"\"\"

    name = "dark"
    fields = ("image", "dark")

@api.hookimpl
def mae_tasks():
    return [Dark]
"""


@pytest.mark.slow
def test_a_task_can_be_tried_on_an_installed_data_set(site, mae):
    install(site, DARK, **{"task.dark": "mae_birds"})
    problems = {each["check"]: each["problem"] for each in mae("plugins", "check", "dark", "--json").json["findings"]}
    assert problems["build"].endswith("or write `mae plugins check task.dark --dataset NAME`")
    text = changed('fields=("image", "label")', 'fields=("image", "dark")').replace("Birds", "Owls")
    write_package(site, "mae-owls", {"dataset.birds": "mae_owls"}, mae_owls=text)
    look_again()
    found = check("task", "dark", dataset={"name": "birds", "side": 16})
    assert {each.check: each.problem for each in found}["build"] is None
    found = mae("plugins", "check", "dark", "--dataset", "birds", "--json").json["findings"]
    assert [each["check"] for each in found] == names(tasks.STAGES)


def test_a_task_on_absent_data_is_skipped(mae, tmp_path):
    where = ("--dataset", "folder", "--root", tmp_path / "nowhere")
    outcome = mae("plugins", "check", "classify", *where, "--json")
    assert outcome.exit_code == 0
    assert [each["check"] for each in outcome.json["findings"]] == ["data", "options", "spec", "imports"]
    assert str(tmp_path / "nowhere") in outcome.json["findings"][0]["note"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ("classify", "--root", "x"),
            "--root says where a data set's files are, and 'classify' is a task; name one by --dataset",
        ),
        (("vit", "--root", "x"), "--root says where a data set's files are, and 'vit' is a model; leave it out"),
        (
            ("vit", "--dataset", "digits"),
            "--dataset is what a task is tried on, and 'vit' is a model; leave it out",
        ),
        (("classify", "--dataset", "digit"), "unknown dataset 'digit'; did you mean 'digits'?"),
    ],
)
def test_options_of_check_that_mean_nothing_are_refused(mae, arguments, sentence):
    outcome = mae("plugins", "check", *arguments)
    assert outcome.exit_code == 2
    assert outcome.stderr.startswith(f"mae: {sentence}")


def test_the_kit_is_asked_for_a_task_on_a_data_set(mae, monkeypatch):
    asked = []
    monkeypatch.setattr(testing, "check", lambda *given: asked.append(given) or [])
    assert mae("plugins", "check", "classify", "--dataset", "folder", "--root", "here").exit_code == 0
    [(kind, name, options, _, dataset)] = asked
    assert (kind, name, options, dataset) == ("task", "classify", None, {"root": "here", "name": "folder"})
