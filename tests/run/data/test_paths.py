"""A run finds its data from any folder: paths are kept as they were given, and as they led when it began."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml
from pydantic import Field

from maecli.data.dataset import DatasetOptions
from maecli.registry import registry
from maecli.run.data.paths import absolute, as_located, place_of, resolved_paths
from maecli.run.open import make_dataset, with_paths
from maecli.schema import ResolvedPath
from maecli.spec.ask import Ask
from maecli.spec.resolve import resolve


@pytest.fixture
def project(pictures, tmp_path, monkeypatch) -> Path:
    """Return a folder with pictures in it, in which we are."""
    shutil.copytree(pictures, tmp_path / "project/pics")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


@pytest.fixture
def begun(project, mae, toy_finetune, monkeypatch) -> Path:
    """Return a run of pictures by a relative path; we have left its folder since."""
    assert mae(*toy_finetune, "--dataset", "folder", "--root", "pics", "--out", "runs/one").exit_code == 0
    monkeypatch.chdir(project.parent / "elsewhere")
    return project / "runs/one"


def recorded(run: Path) -> tuple[object, dict[str, object]]:
    spec = yaml.safe_load((run / "spec.yaml").read_text())
    return spec["dataset"]["root"], {path["key"]: path["resolved"] for path in spec["paths"]}


def spec_of(*, config: Path | None = None, **flags: object):
    asked = {"dataset.name": "folder", "task.name": "classify"} | {key.replace("_", "."): v for key, v in flags.items()}
    return resolve(Ask("finetune", config=config, flags=asked), registry())


def entry(given: str | None, resolved: Path, key: str = "dataset.root") -> ResolvedPath:
    return ResolvedPath(key=key, given=given, resolved=str(resolved))


@pytest.mark.slow
def test_a_root_is_kept_as_given_and_resolved(begun, project):
    assert recorded(begun) == ("pics", {"dataset.root": str(project / "pics")})


@pytest.mark.slow
@pytest.mark.parametrize("probe", [(), ("--probe", "knn")], ids=["task", "probe"])
def test_a_run_is_measured_from_another_folder(begun, mae, probe):
    outcome = mae("eval", begun, *probe)
    assert outcome.exit_code == 0, outcome.stderr
    assert "dataset.root" not in outcome.stderr


@pytest.mark.slow
def test_a_run_is_repeated_and_resumed_from_another_folder(begun, mae, project):
    outcome = mae("finetune", "--config", begun / "spec.yaml", "--out", "again")
    assert outcome.exit_code == 0, outcome.stderr
    assert recorded(Path("again")) == ("pics", {"dataset.root": str(project / "pics")})
    assert mae("finetune", "--resume", "--out", begun).exit_code == 0
    assert recorded(begun) == ("pics", {"dataset.root": str(project / "pics")})


@pytest.mark.slow
def test_init_offers_the_data_of_its_run(begun, mae, project, monkeypatch):
    shutil.copytree(project / "pics", "pics")
    outcome = mae("finetune", "--init", begun, "--task", "classify", "--out", "next", "--dry-run", "--batch-size", 8)
    here, then = Path.cwd() / "pics", project / "pics"
    sentence = f"dataset.root pics: {then} is taken, where it led when the run began, and not {here}"
    assert (outcome.exit_code, sentence in outcome.stderr) == (0, True)


@pytest.mark.slow
def test_data_that_are_gone_are_one_sentence(begun, mae, project):
    shutil.rmtree(project / "pics")
    outcome = mae("eval", begun)
    assert outcome.exit_code == 3
    assert outcome.stderr.strip().splitlines() == [
        f"mae: {project / 'pics'} is not a folder; point --root at the one that holds your pictures"
    ]


@pytest.mark.slow
def test_a_project_that_was_moved_is_found_from_within(begun, mae, project, tmp_path, monkeypatch):
    moved = tmp_path / "moved"
    project.rename(moved)
    monkeypatch.chdir(moved)
    outcome = mae("eval", "runs/one")
    sentence = f"{project / 'pics'}, where it led when the run began, is not there, so {moved / 'pics'} is taken"
    assert (outcome.exit_code, f"dataset.root pics: {sentence}" in outcome.stderr) == (0, True)


@pytest.mark.slow
def test_a_sweep_goes_on_from_another_folder(project, mae, toy_finetune, monkeypatch):
    flags = (
        "--no-pretrain",
        "--dataset",
        "folder",
        "--root",
        "pics",
        "--set",
        "finetune.train.epochs=1",
        "--set",
        "train.batch_size=8",
    )
    model = ("--set", "model.name=vit-lite", "--set", "model.img_size=8", "--set", "model.patch_size=4")
    task = ("--set", "task.name=classify", "--device", "cpu")
    first = mae("sweep", *flags, *model, *task, "--grid", "train.base_lr=0.1", "--out", "sweep")
    assert first.exit_code == 0, first.stderr
    assert yaml.safe_load(Path("sweep/sweep.yaml").read_text())["sweep"]["paths"] == [
        {"key": "dataset.root", "given": "pics", "resolved": str(project / "pics")}
    ]
    monkeypatch.chdir(project.parent / "elsewhere")
    again = mae("sweep", "--resume", "--out", project / "sweep", "--grid", "train.base_lr=0.1,0.2")
    assert again.exit_code == 0, again.stderr


def test_a_flag_is_meant_from_here(project, tmp_path, monkeypatch):
    spec = with_paths(spec_of(dataset_root="pics"), registry())
    assert spec.paths == (entry("pics", project / "pics"),)
    file = tmp_path / "spec.yaml"
    file.write_text(yaml.safe_dump(spec.model_dump(mode="json")))
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert spec_of(config=file).paths == spec.paths
    assert spec_of(config=file, dataset_root="pics").paths == ()
    sets = Ask("finetune", config=file, sets=["dataset.root=pics"])
    assert resolve(sets, registry()).paths == ()


def test_a_spec_that_was_edited_or_is_older_is_meant_from_here(tmp_path):
    paths = (entry("pics", tmp_path),)
    assert place_of("dataset.root", Path("pics"), paths) == tmp_path
    assert place_of("dataset.root", Path("other"), paths) == Path("other")
    assert place_of("dataset.root", Path("pics"), ()) == Path("pics")


def test_the_default_folder_is_that_of_the_beginning(tmp_path, monkeypatch):
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    monkeypatch.setenv("MAE_DATA", str(first))
    options = DatasetOptions()
    paths = resolved_paths(options, {}, ())
    assert paths == (entry(None, first),)
    assert as_located(options, paths, pytest.fail).root is None, "as it was given, where that leads there"
    monkeypatch.setenv("MAE_DATA", str(second))
    assert as_located(options, paths, pytest.fail).root == first
    second.mkdir()
    said: list[str] = []
    assert as_located(options, paths, said.append).root == first
    assert said == [f"dataset.root by default: {first} is taken, where it led when the run began, and not {second}"]
    first.rmdir()
    assert as_located(options, paths, said.append).root == second
    second.rmdir()
    assert as_located(options, paths, pytest.fail).root is None


def test_every_path_among_the_options_of_a_data_set_is_kept(tmp_path, monkeypatch):
    class Options(DatasetOptions):
        table: Path | None = Field(default=None, description="one file")
        tables: tuple[Path, ...] = Field(default=(), description="several")
        named: dict[str, Path] = Field(default={}, description="by name")

    for name in ("a", "b", "c", "d"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    options = Options(root=tmp_path, table=Path("a"), tables=(Path("b"), tmp_path / "c"), named={"x": Path("d")})
    paths = resolved_paths(options, {"init": Path("runs/one"), "extend": None}, ())
    assert [(path.key, path.given) for path in paths] == [
        ("dataset.table", "a"),
        ("dataset.tables", "b"),
        ("dataset.named", "d"),
        ("init", "runs/one"),
    ]
    monkeypatch.chdir("/")
    located = as_located(options, paths, pytest.fail)
    assert (located.table, located.tables) == (tmp_path / "a", (tmp_path / "b", tmp_path / "c"))
    assert located.named == {"x": tmp_path / "d"}


def test_a_home_is_written_out_and_links_stay_links(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "deep/folder").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "deep/folder")
    monkeypatch.chdir(tmp_path)
    assert absolute(Path("~/link")) == tmp_path / "link"
    assert absolute(Path("deep/../link")) == tmp_path / "link"
    assert absolute(Path("link/../folder")) == tmp_path / "link/../folder", "which is not tmp_path/folder"
    root = DatasetOptions(root=Path("~/link"))
    assert resolved_paths(root, {}, ()) == (entry("~/link", tmp_path / "link"),)


def test_a_data_set_that_needs_no_root_is_made_as_before(tmp_path):
    section = spec_of(dataset_root=str(tmp_path)).dataset
    assert make_dataset(section, registry(), (entry("pics", tmp_path / "nowhere"),)).root == tmp_path
