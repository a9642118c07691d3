"""Where runs go that are not told where; the runs are as ones that have just begun: a ledger and a spec."""

from __future__ import annotations

from pathlib import Path

import pytest

from maecli.errors import SpecError
from maecli.registry import registry
from maecli.run.begin.place import data_mark, data_name, eda_directory, output_name, run_directory
from maecli.run.begin.request import request
from maecli.run.directory import RunDirectory, runs_dir
from maecli.run.open import with_paths
from maecli.schema import RunSpec
from maecli.spec.ask import Ask
from maecli.spec.layers import PLANNED
from maecli.storage.ledger import Ledger


@pytest.fixture
def folders(tmp_path) -> tuple[Path, Path]:
    """Return two folders of one name."""
    places = tmp_path / "a/pics", tmp_path / "b/pics"
    for place in places:
        place.mkdir(parents=True)
    return places


def asked(root: object = None, *, verb: str = "pretrain", resume: bool = False, **flags: object) -> RunSpec:
    """Return the spec of flags, whose keys have _ for a dot."""
    settings = {key.replace("_", "."): value for key, value in flags.items()}
    if root is not None:
        settings |= {"dataset.name": "folder", "dataset.root": str(root)}
    return request(Ask(verb, flags=settings, resume=resume), registry())


def begun(spec: RunSpec, time_s: float | None = None) -> str:
    """Begin a run where it goes, and return its name."""
    run = run_directory(spec, registry(), time_s=time_s)
    planned = [key for key, source in spec.sources.items() if source == PLANNED]
    run.start(with_paths(spec, registry()).model_dump(mode="json"), overwrite=False, planned=planned, time_s=time_s)
    return run.path.name


def test_runs_are_named_by_the_data_set_or_by_the_folder_of_a_person(folders):
    assert run_directory(asked(folders[0]), registry()).path == runs_dir() / "pretrain-pics"
    finetune = {"verb": "finetune", "task_name": "classify"}
    assert run_directory(asked(folders[0], **finetune), registry()).path.name == "finetune-pics-classify"
    for name in ("mnist", "cifar10", "voc", "digits"):
        spec = asked(dataset_name=name, dataset_root=str(folders[0]))
        assert run_directory(spec, registry()).path.name == f"pretrain-{name}"
    spec = asked(dataset_name="digits", verb="finetune", task_name="classify")
    assert run_directory(spec, registry()).path.name == "finetune-digits-classify"


@pytest.mark.parametrize(
    ("root", "name"),
    [
        (".", "here"),
        ("..", "above"),
        ("../here/", "here"),
        ("my pics", "my-pics"),
        (".hidden", "hidden"),
        ("Vögel/2026", "2026"),
        ("runs", "runs"),
        ("\N{CAT FACE}", "folder"),
        ("/", "folder"),
        ("~", "person"),
        ("x" * 120, "x" * 71 + "-"),
    ],
)
def test_the_name_of_a_folder_is_that_which_it_really_has_made_sound(root, name, tmp_path, monkeypatch):
    (tmp_path / "above/here").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "above/here")
    monkeypatch.setenv("HOME", str(tmp_path / "person"))
    found = data_name(asked(root), registry())
    assert found == name or (name.endswith("-") and found.startswith(name) and len(found) == 80)


def test_other_data_and_another_spec_get_a_number_and_the_same_run_is_refused(folders):
    one, other = folders
    assert begun(asked(one)) == "pretrain-pics"
    assert begun(asked(other)) == "pretrain-pics-2"
    assert begun(asked(one, seed=1)) == "pretrain-pics-3"
    for spec, name in ((asked(one), ""), (asked(other), "-2"), (asked(one, seed=1, device="cpu"), "-3")):
        run = run_directory(spec, registry())
        assert run.path.name == f"pretrain-pics{name}"
        with pytest.raises(SpecError, match="is not empty; use --resume to go on, or another --out"):
            run.check_free(overwrite=False)


def test_a_link_to_a_folder_and_a_relative_path_are_the_same_data(folders, tmp_path, monkeypatch):
    begun(asked(folders[0]))
    (tmp_path / "c").mkdir()
    (tmp_path / "c/pics").symlink_to(folders[0])
    monkeypatch.chdir(tmp_path)
    for root in (tmp_path / "c/pics", "a/pics", "a/../a/pics/"):
        assert run_directory(asked(root), registry()).path.name == "pretrain-pics"


def test_what_weights_a_run_starts_from_is_part_of_its_spec(folders, tmp_path):
    spec = asked(folders[0], verb="finetune", task_name="classify")
    assert begun(spec) == "finetune-pics-classify"
    assert begun(spec.model_copy(update={"init": tmp_path / "runs/one"})) == "finetune-pics-classify-2"
    assert begun(spec.model_copy(update={"init": tmp_path / "runs/two"})) == "finetune-pics-classify-3"


def test_published_data_are_the_same_wherever_they_lie(folders):
    begun(asked(dataset_name="mnist", dataset_root=str(folders[0])))
    spec = asked(dataset_name="mnist", dataset_root=str(folders[1]))
    assert run_directory(spec, registry()).path.name == "pretrain-mnist"


def test_a_folder_called_like_a_data_set_is_other_data_than_that(tmp_path):
    begun(asked(dataset_name="digits"))
    (tmp_path / "digits").mkdir()
    assert begun(asked(tmp_path / "digits")) == "pretrain-digits-2"


def test_what_is_no_run_keeps_its_place(folders):
    for name in ("pretrain-pics", "pretrain-pics-2"):
        (runs_dir() / name).mkdir(parents=True)
        (runs_dir() / name / "notes.txt").write_text("mine")
    with pytest.raises(SpecError, match=r"pretrain-pics is not empty and holds no run of mae, so it stays"):
        run_directory(asked(folders[0]), registry()).check_free(overwrite=False)
    (runs_dir() / "pretrain-pics/notes.txt").unlink()
    begun(asked(folders[0]))
    assert begun(asked(folders[1])) == "pretrain-pics-3"


def test_overwriting_takes_the_only_run_on_these_data_whatever_its_spec(folders):
    begun(asked(folders[1]))
    assert run_directory(asked(folders[0]), registry(), overwrite=True).path.name == "pretrain-pics-2"
    begun(asked(folders[0]))
    assert run_directory(asked(folders[0], seed=1), registry(), overwrite=True).path.name == "pretrain-pics-2"
    begun(asked(folders[0], seed=1))
    assert run_directory(asked(folders[0], seed=1), registry(), overwrite=True).path.name == "pretrain-pics-3"
    with pytest.raises(
        SpecError,
        match=r"^--overwrite could replace \S+/pretrain-pics-2 or \S+/pretrain-pics-3, runs on these data; name one by",
    ):
        run_directory(asked(folders[0], seed=2), registry(), overwrite=True)


def resumed(root: object = None, **flags: object) -> str:
    out = asked(root, resume=True, **flags).out
    return out.name if out else ""


def test_resuming_takes_the_run_that_the_same_command_began(folders):
    one, other = folders
    assert resumed(one) == "", "there is none yet"
    for spec in (asked(one), asked(other), asked(one, train_epochs=3)):
        begun(spec)
    assert resumed(one) == "pretrain-pics"
    assert resumed(other) == "pretrain-pics-2"
    assert resumed(one, train_epochs=3) == "pretrain-pics-3"
    assert resumed(one, train_epochs=3, device="cpu") == "pretrain-pics-3"


def test_what_a_run_was_begun_with_need_not_be_repeated_to_resume_it(folders):
    begun(asked(folders[0], train_epochs=3, seed=4))
    assert resumed(folders[0]) == "pretrain-pics"
    assert resumed(folders[0], seed=4) == "pretrain-pics"
    assert resumed(folders[0], seed=5) == "pretrain-pics", "the only one: what differs is told when it starts"
    begun(asked(folders[0], train_epochs=4, seed=4))
    assert resumed(folders[0], train_epochs=4) == "pretrain-pics-2"


def test_where_two_runs_fit_it_is_asked_which_is_meant(folders):
    begun(asked(folders[0], train_epochs=3))
    begun(asked(folders[0], train_epochs=4))
    with pytest.raises(SpecError) as caught:
        resumed(folders[0])
    assert str(caught.value) == (
        f"--resume could go on with {runs_dir() / 'pretrain-pics'} or {runs_dir() / 'pretrain-pics-2'}, since these "
        "data and this spec fit each of them; name one by --out"
    )
    with pytest.raises(SpecError, match=r"are runs on these data, and none was begun with this spec; name the one"):
        resumed(folders[0], train_epochs=5)


def test_a_run_whose_folder_was_moved_is_resumed_from_there(folders, tmp_path):
    begun(asked(folders[0]))
    assert resumed(folders[1]) == ""
    folders[0].rename(tmp_path / "moved")
    assert resumed(folders[1]) == "pretrain-pics"
    assert run_directory(asked(folders[1]), registry()).path.name == "pretrain-pics-2", "a new run is another one"


def test_a_run_under_the_name_of_its_data_set_is_resumed_as_before(folders):
    spec = asked(folders[0])
    RunDirectory(runs_dir() / "pretrain-folder").start(spec.model_dump(mode="json"), overwrite=False)
    assert resumed(folders[0]) == "pretrain-folder"


def planned(spec: RunSpec, **plan: object) -> RunSpec:
    """Return a spec in which a plan set some keys of `train`."""
    spec = spec.model_copy(update={"train": spec.train.model_copy(update=plan)})
    return spec.with_sources(spec.sources | {f"train.{key}": PLANNED for key in plan})


def test_what_is_planned_for_both_does_not_tell_runs_apart(folders):
    assert begun(planned(asked(folders[0]), beta1=0.5)) == "pretrain-pics"
    assert run_directory(planned(asked(folders[0]), beta1=0.6), registry()).path.name == "pretrain-pics"
    assert resumed(folders[0]) == "pretrain-pics"
    assert begun(asked(folders[0], train_beta1=0.6)) == "pretrain-pics-2", "a person said so"
    assert resumed(folders[0]) == "pretrain-pics"
    assert resumed(folders[0], train_beta1=0.6) == "pretrain-pics-2"
    assert run_directory(planned(asked(folders[0], seed=1), beta1=0.5), registry()).path.name == "pretrain-pics-3"


def test_a_plan_for_another_time_is_another_spec(folders):
    for time_s, name in ((None, "pretrain-pics"), (20.0, "pretrain-pics-2"), (60.0, "pretrain-pics-3")):
        assert begun(planned(asked(folders[0]), beta1=0.5), time_s) == name
    assert run_directory(planned(asked(folders[0]), beta1=0.7), registry(), time_s=20.0).path.name == "pretrain-pics-2"


def test_outputs_are_named_by_all_that_tells_a_run_from_others(tmp_path):
    assert output_name(runs_dir() / "pretrain-pics") == "pretrain-pics"
    assert output_name(runs_dir() / "sweep-a/seed0") == "sweep-a-seed0"
    assert output_name(tmp_path / "elsewhere/run") == "run"


def looked_at(spec: RunSpec) -> str:
    """Begin a page of `mae eda` where it goes, and return the name of its folder."""
    place = eda_directory(spec, registry())
    Ledger(place, "eda").begin(data=data_mark(spec, registry()))
    return place.name


def test_pages_of_data_are_named_and_numbered_by_the_folder_whatever_the_spec(folders):
    one, other = folders
    assert looked_at(asked(one)) == "eda-pics"
    assert looked_at(asked(other)) == "eda-pics-2"
    assert eda_directory(asked(one, seed=1), registry()).name == "eda-pics"
    assert eda_directory(asked(other), registry()).name == "eda-pics-2"
    assert eda_directory(asked(dataset_name="mnist"), registry()).name == "eda-mnist"
    (runs_dir() / "eda-voc").mkdir()
    Ledger(runs_dir() / "eda-voc", "eda").begin()
    assert eda_directory(asked(dataset_name="voc"), registry()).name == "eda-voc", "of before there were marks"
