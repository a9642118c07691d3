from __future__ import annotations

import ast
import json
import keyword
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from entry_points import point
from fake_packages import install, run_mae, run_pytest
from installed import look_again

from maecli import __version__
from maecli.errors import SpecError
from maecli.registry import Registry
from maecli.scaffold import Plan, plan_package, write_package
from maecli.scaffold.package import bounds

QUICK = ("--device", "cpu", "--set", "train.max_steps=2", "--batch-size", "8", "--set", "trackers=[jsonl]")

NOTHING = "say what the package adds: --dataset NAME, --task NAME, --model NAME, --tracker NAME or --export NAME"


@pytest.fixture(autouse=True)
def _no_module_of_a_stranger_is_left() -> None:
    """Whichever tests ran before in this process: a module that is imported already would be hidden."""
    look_again()


def plan(package: str = "mae-birds", dataset: str | None = "birds", task: str | None = "sing", **known) -> Plan:
    registry = known.pop("registry", None) or Registry([point("dataset.owls")])
    return plan_package(package, {"dataset": dataset, "task": task, **known}, registry)


def refusal(*args, **known) -> str:
    with pytest.raises(SpecError) as caught:
        plan(*args, **known)
    return str(caught.value)


@pytest.mark.slow
def test_a_new_package_passes_its_own_tests_and_runs_at_once_whatever_its_names(tmp_path):
    """Names that mean something to YAML and Python; those of `benchmarks/wheels.py` are ordinary ones."""
    project, site = tmp_path / "mae-odd", tmp_path / "site"
    write_package(plan("mae-odd", "on", "any", model="wing", tracker="csv", export="npz"), project)
    install(project, site)
    told = run_pytest(site, project / "tests")
    assert re.search(r"^\d+ passed", told, re.MULTILINE)
    runs = tmp_path / "here"
    runs.mkdir()
    commands = [
        ["finetune", "--dataset", "on", *QUICK],
        ["pretrain", "--dataset", "on", *QUICK[:-1], "trackers=[csv]", "--model", "wing"],
        ["plugins", "check", "recipe.on"],
        ["export", "runs/finetune-on-any", "--format", "npz", "--samples", "1"],
    ]
    run_mae(site, runs, commands)
    assert json.loads((runs / "runs/finetune-on-any/summary.json").read_text())["steps"] == 2
    assert (runs / "data/on.npz").is_file()
    assert (runs / "runs/export-finetune-on-any.npz").is_file()
    rows = (runs / "runs/pretrain-on/csv.csv").read_text().splitlines()
    assert rows[0] == "step,metric,value"
    assert any(row.startswith("2,train/loss,") for row in rows)


def test_a_package_has_everything_that_a_package_needs(tmp_path):
    files = write_package(plan(), tmp_path / "new")
    names = [file.relative_to(tmp_path / "new").as_posix() for file in files]
    assert names == [
        "pyproject.toml",
        "README.md",
        "LICENSE",
        ".gitignore",
        ".github/workflows/tests.yml",
        "src/mae_birds/__init__.py",
        "src/mae_birds/dataset.py",
        "src/mae_birds/birds.yaml",
        "tests/test_dataset.py",
        "src/mae_birds/task.py",
        "tests/test_task.py",
    ]
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert text.endswith("\n")
        assert not re.search(r"(?<!\$)\{\{ |\{% |http", text), file
        assert max(map(len, text.splitlines())) <= 130
        if file.suffix == ".py":
            compile(text, str(file), "exec")
    about = tomllib.loads(files[0].read_text())
    assert about["project"]["entry-points"]["mae"] == {
        "dataset.birds": "mae_birds.dataset",
        "recipes": "mae_birds",
        "task.sing": "mae_birds.task",
    }
    assert about["project"]["dependencies"][0] == f"maecli{bounds()}"
    assert about["dependency-groups"]["dev"] == ["pytest>=8.3,<10"]
    workflow = yaml.safe_load(files[4].read_text())
    steps = [step.get("run", "") for step in workflow["jobs"]["tests"]["steps"]]
    assert "python -m pytest" in steps
    recipe = yaml.safe_load(files[7].read_text())
    assert recipe["finetune"]["task"] == {"name": "sing"}


def test_only_what_is_asked_for_is_written(tmp_path):
    files = write_package(plan(task=None), tmp_path / "data")
    assert not [file for file in files if "task" in file.name]
    assert yaml.safe_load(next(file for file in files if file.suffix == ".yaml").read_text())["finetune"]["task"] == {
        "name": "classify"
    }
    files = write_package(plan(dataset=None), tmp_path / "task")
    assert not [file for file in files if "dataset" in file.name or file.name == "birds.yaml"]
    for kind, word in (("model", "model"), ("tracker", "tracker"), ("export", "export format")):
        files = write_package(plan(dataset=None, task=None, **{kind: "fly"}), tmp_path / kind)
        assert {file.name for file in files if file.suffix == ".py"} == {
            "__init__.py",
            f"{kind}.py",
            f"test_{kind}.py",
        }
        about = tomllib.loads(files[0].read_text())["project"]
        assert about["entry-points"]["mae"] == {f"{kind}.fly": f"mae_birds.{kind}"}
        assert about["description"] == f"The {word} fly, for mae."


def test_a_package_counts_on_the_minor_version_that_warns_of_what_goes_too():
    assert bounds("0.1.0") == ">=0.1,<0.3"
    assert bounds("1.9.3") == ">=1.9,<1.11"
    assert bounds() == bounds(__version__)


def test_names_become_classes_and_modules():
    made = plan("mae-tiny-birds", "tiny-birds", "3d-song", model="2x-wing", tracker="my-log", export="x-2")
    assert (made.module, made.dataset_class, made.task_class) == ("mae_tiny_birds", "TinyBirdsData", "The3dSongTask")
    assert (made.model_class, made.tracker_class, made.export_class) == ("The2xWingModel", "MyLogTracker", "X2Format")
    assert made.about("`") == (
        "The data set `tiny-birds`, the task `3d-song`, the model `2x-wing`, the tracker `my-log` and the export "
        "format `x-2`"
    )


@pytest.mark.parametrize(("dataset", "task"), [("none", "gauge"), ("123", "any"), ("on", "f"), ("null", "errors")])
def test_a_name_that_means_something_in_python_or_yaml_stays_a_name(tmp_path, dataset, task):
    odd = plan("mae-odd", dataset, task, model=dataset, tracker=task, export=task)
    files = {file.name: file.read_text() for file in write_package(odd, tmp_path / "odd")}
    recipe = yaml.safe_load(files[f"{dataset}.yaml"])
    assert recipe["pretrain"]["dataset"] == recipe["finetune"]["dataset"] == {"name": dataset}
    assert recipe["finetune"]["task"] == {"name": task}
    for name in ("dataset.py", "task.py", "model.py", "tracker.py", "export.py"):
        tree = ast.parse(files[name])
        made = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
        taken = [alias.asname or alias.name for node in tree.body if hasattr(node, "names") for alias in node.names]
        assert len({*made, *taken}) == len(made) + len(taken)
        assert not [each for each in made if keyword.iskeyword(each)]


@pytest.mark.parametrize(
    "package", ["Mae-Birds", "mae_birds", "-birds", "birds-", "3birds", "", "mae birds", "../birds"]
)
def test_a_package_has_a_name_that_pip_and_python_take(package):
    assert refusal(package) == (
        f"package name {package!r} must be lower-case words of letters and digits, joined by hyphens, such as "
        "mae-whatever"
    )


@pytest.mark.parametrize("package", ["json", "maecli", "class", "tests", "torch", "pytest", "yaml"])
def test_a_package_hides_no_module(package):
    assert refusal(package) == (
        f"package name {package!r} would hide the module {package}; take another, such as mae-{package}"
    )


def test_a_package_may_be_written_anew_though_it_is_installed(tmp_path, monkeypatch):
    (tmp_path / "mae_aves.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    again = Registry([point("dataset.owls", package="mae-aves")])
    assert plan("mae-aves", "owls", None, registry=again).module == "mae_aves"
    assert refusal("mae-aves").startswith("package name 'mae-aves' would hide the module mae_aves; ")


def test_something_must_be_added():
    assert refusal("mae-birds", None, None) == NOTHING


@pytest.mark.parametrize("name", ["Birds", "my birds", "a.b", "", "birds_"])
def test_a_plugin_has_a_name_that_can_be_typed(name):
    assert refusal("mae-birds", name, None) == (
        f"--dataset {name!r} must be lower-case words of letters and digits, joined by hyphens, such as tiny-birds"
    )


def test_names_that_are_taken_are_refused():
    assert refusal("mae-birds", "digits", None, registry=Registry()) == (
        "dataset 'digits' is built in; choose another name"
    )
    assert refusal("mae-birds", None, "classify", registry=Registry()) == (
        "task 'classify' is built in; choose another name"
    )
    taken = Registry([point("dataset.owls", package="mae-aves")])
    assert refusal("mae-birds", "owls", None, registry=taken) == (
        "dataset 'owls' is taken by the installed package mae-aves; choose another name"
    )
    assert refusal("mae-birds", None, None, model="vit", registry=Registry()) == (
        "model 'vit' is built in; choose another name"
    )
    assert refusal("mae-birds", None, None, tracker="jsonl", registry=Registry()) == (
        "tracker 'jsonl' is built in; choose another name"
    )
    assert refusal("mae-birds", None, None, export="onnx", registry=Registry()) == (
        "export 'onnx' is built in; choose another name"
    )
    assert plan("mae-aves", "owls", None, registry=taken).dataset == "owls", "its own name it may write again"
    assert refusal("mae-birds", "demo", None, registry=Registry()) == "recipe 'demo' is built in; choose another name"


def test_a_folder_that_holds_something_stays_as_it_is(tmp_path):
    (tmp_path / "mine.txt").write_text("kept")
    with pytest.raises(SpecError) as caught:
        write_package(plan(), tmp_path)
    assert str(caught.value) == f"{tmp_path} is not empty, so nothing is written there; give another folder by --out"
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]
    with pytest.raises(SpecError, match=r"mine\.txt is a file, so nothing is written there"):
        write_package(plan(), tmp_path / "mine.txt")


def test_the_command_writes_a_package_and_says_how_to_go_on(tmp_path, mae, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = mae("plugins", "new", "mae-birds", "--dataset", "birds", "--task", "sing")
    assert outcome.exit_code == 0, outcome.stderr
    install = "pip install -e mae-birds pytest"
    assert outcome.stdout.splitlines() == [
        "mae-birds: 11 files",
        "",
        "next:",
        f"  {install}   (with uv: uv {install})",
        "  python -m pytest mae-birds",
        "  mae pretrain --dataset birds",
        "  mae finetune --dataset birds --task sing",
    ]
    assert (tmp_path / "mae-birds/pyproject.toml").is_file()
    told = mae("plugins", "new", "mae-owls", "--task", "hoot", "--out", tmp_path / "elsewhere", "--json").json
    assert told["out"] == str(tmp_path / "elsewhere")
    assert "src/mae_owls/task.py" in told["files"]
    more = ("--model", "wing", "--tracker", "log", "--export", "npz")
    outcome = mae("plugins", "new", "mae-owls", *more, "--out", tmp_path / "more")
    assert outcome.stdout.splitlines()[5:] == [
        "  mae pretrain --dataset YOUR-DATASET --model wing",
        "  mae pretrain --dataset YOUR-DATASET --set 'trackers=[log]'",
        "  mae export RUN --format npz",
    ]


def test_the_command_refuses_in_one_sentence(tmp_path, mae, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = mae("plugins", "new", "mae-birds")
    assert outcome.exit_code == 2
    assert outcome.stderr == f"mae: {NOTHING}\n"
    assert list(tmp_path.iterdir()) == []


def test_the_templates_are_the_ones_that_are_written():
    from maecli.scaffold import package

    folder = Path(package.__file__).parent / "templates"
    templates = [*package.FILES.values(), *(each for files in package.OF_KIND.values() for each in files.values())]
    assert sorted(file.name for file in folder.iterdir()) == sorted(f"{template}.jinja" for template in templates)
