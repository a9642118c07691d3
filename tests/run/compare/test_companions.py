from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from checkpoint_files import rewrite
from conftest import TOY_MODEL, TOY_RUN, call

from maecli.errors import SpecError
from maecli.registry import registry
from maecli.run.compare.arms import arms_by_default, arms_of, companion_spec, companions_seconds, lengthened
from maecli.run.compare.kept import payoff_of, read_payoff
from maecli.run.compare.pair import make_payoff
from maecli.run.directory import RunDirectory
from maecli.run.listing import list_runs, newest_finished_run
from maecli.run.report import next_commands
from maecli.schema import TrainSpec
from maecli.spec.layers import difference, flatten
from maecli.spec.validate import validate

FINETUNE = ("finetune", "--task", "classify", *TOY_MODEL, *TOY_RUN, "--dataset", "folder")
BOTH = ("compare-scratch", "compare-scratch-total-time")


@pytest.fixture(scope="module")
def compared(tmp_path_factory, pictures, pretrained) -> Path:
    """Return a fine-tuning with both companions. Not to be changed."""
    out = tmp_path_factory.mktemp("compared") / "run"
    outcome = call(
        *FINETUNE, "--root", pictures, "--init", pretrained, "--out", out, "--compare", "scratch-total-time", "--json"
    )
    assert outcome.exit_code == 0, outcome.stderr
    (out.parent / "answer.json").write_text(outcome.stdout)
    return out


@pytest.fixture
def copied(compared, tmp_path) -> Path:
    return shutil.copytree(compared, tmp_path / "run")


def spec_of(run: Path) -> dict:
    return yaml.safe_load((run / "spec.yaml").read_text())


def test_a_companion_is_the_same_run_without_its_start(compared):
    own = spec_of(compared)
    changed = difference(own, spec_of(compared / BOTH[0]), frozenset({"out", "paths"}))
    assert changed == [f"init: {own['init']} -> not set", "train.layer_decay: 0.75 -> 1.0"], "as planned for each"
    assert json.loads((compared / BOTH[0] / "summary.json").read_text())["init"] == "from scratch"
    keys = {key for key, value in flatten(spec_of(compared / BOTH[1])).items() if flatten(own).get(key) != value}
    assert keys - {"out", "paths"} <= {"init", "train.epochs", "train.layer_decay"}


def test_the_time_of_both_makes_the_schedule_as_much_longer(compared):
    own, run = spec_of(compared), RunDirectory(compared)
    spec = validate(own, "finetune", registry())
    seconds, before = run.finished().seconds, RunDirectory(Path(own["init"])).finished().seconds
    epochs = companion_spec("scratch-total-time", spec, run).train.epochs
    assert epochs == max(1, round(own["train"]["epochs"] * (seconds + before) / seconds))
    assert lengthened(TrainSpec(epochs=4, max_steps=10), 2.5).model_dump() == (
        TrainSpec(epochs=10, max_steps=25).model_dump()
    )


def test_the_arms_are_measured_on_the_same_samples_and_told_together(compared):
    payoff = payoff_of(RunDirectory(compared))
    assert [payoff.pretrained.title, *(arm.title for arm in payoff.others)] == [
        *("after pretraining", "from scratch", "from scratch, total time"),
    ]
    assert payoff.pretrained.before is not None
    assert all(arm.difference.num_samples == payoff.num_samples == 4 for arm in payoff.others)
    answer = json.loads((compared.parent / "answer.json").read_text())
    assert answer["comparison"] == payoff.as_json()
    page = (compared / "report.html").read_text()
    assert "Did pretraining pay?" in page
    sentence = answer["comparison"]["sentences"][0]
    assert page.index(sentence) < page.index("Fine-tuned on pictures0"), "it did not pay, so it comes first"


def test_measuring_on_test_measures_the_companions_too(copied, mae):
    outcome = mae("eval", copied)
    assert outcome.exit_code == 0, outcome.stderr
    assert "No difference can be told with 4 " in " ".join(outcome.stdout.split())
    payoff = payoff_of(RunDirectory(copied))
    assert payoff.split == "test"
    assert all((copied / name / "evaluation/test.json").is_file() for name in BOTH)
    assert mae("eval", copied, "--split", "train", "--json").json["comparison"]["split"] == "train"


def test_a_companion_is_never_taken_for_the_newest_run(compared):
    assert newest_finished_run("classify", compared.parent).path == compared
    assert [entry.name for entry in list_runs(compared.parent)] == ["run"]
    assert {entry.name for entry in list_runs(compared)} == {"run", *BOTH}


def test_what_was_stopped_between_the_runs_goes_on_without_being_named(copied, mae):
    before = (copied / BOTH[0] / "summary.json").read_bytes()
    shutil.rmtree(copied / BOTH[1])
    shutil.rmtree(copied / "comparison")
    none = mae("finetune", "--resume", "--out", copied, "--compare", "none", "--json")
    assert none.json["comparison"] is None
    assert not (copied / BOTH[1]).exists()
    outcome = mae("finetune", "--resume", "--out", copied)
    assert outcome.exit_code == 0, outcome.stderr
    assert f"The same from scratch, total time, to compare: {copied / BOTH[1]}" in outcome.stderr
    assert (copied / BOTH[0] / "summary.json").read_bytes() == before, "what is finished stays"
    assert len(payoff_of(RunDirectory(copied)).others) == 2


def test_an_unfinished_companion_goes_on_where_it_was(copied, mae):
    for name in BOTH:
        (copied / name / "summary.json").unlink()
    changed = spec_of(copied / BOTH[1])["train"]["epochs"]
    (copied / "summary.json").write_text((copied / "summary.json").read_text().replace('"seconds": ', '"seconds": 99'))
    outcome = mae("finetune", "--resume", "--out", copied)
    assert outcome.exit_code == 0, outcome.stderr
    assert f"resuming {copied / BOTH[0]} at step 8 of 8" in outcome.stderr
    assert spec_of(copied / BOTH[1])["train"]["epochs"] == changed, "a schedule that was begun stays"


def test_overwriting_a_run_takes_its_companions_with_it(copied, pretrained, pictures, mae):
    (copied / BOTH[0] / "notes.txt").write_text("mine")
    outcome = mae(*FINETUNE, "--root", pictures, "--init", pretrained, "--out", copied, "--overwrite")
    assert outcome.exit_code == 0, outcome.stderr
    assert [file.name for file in (copied / BOTH[0]).iterdir()] == ["notes.txt"]
    assert not (copied / BOTH[1]).exists()
    assert payoff_of(RunDirectory(copied)) is None


def test_other_samples_and_lost_counts_are_said_and_not_compared(copied):
    run, file = RunDirectory(copied), copied / BOTH[0] / "evaluation/val.json"
    file.write_text(file.read_text().replace('"samples": "', '"samples": "0'))
    (copied / BOTH[1] / "evaluation/val.safetensors").unlink()
    payoff = make_payoff(run, "val", registry())
    assert [arm.difference for arm in payoff.others] == [None, None]
    assert payoff.remarks[-2:] == (
        "compare-scratch was measured on other samples than the run, so the two are not compared sample by sample",
        "what each sample gave was not kept of both runs, so compare-scratch-total-time is not compared by it",
    )


@pytest.mark.parametrize(
    ("own", "others", "told"),
    [
        (1.0, 1.0, []),
        (0.75, 0.75, ["both have train.layer_decay 0.75, which suits pretrained weights"]),
        (
            0.75,
            1.0,
            ["the schedule is one but for train.layer_decay, planned for the weights that each starts from: 0.75"],
        ),
    ],
)
def test_it_is_told_how_fast_lower_layers_learn(copied, own, others, told):
    file = max((copied / "checkpoints").glob("step-*/model.safetensors"))
    rewrite(file, lambda record: record["spec"]["train"].update(layer_decay=own))
    for name in BOTH:
        spec = spec_of(copied / name)
        spec["train"]["layer_decay"] = others
        (copied / name / "spec.yaml").write_text(yaml.safe_dump(spec))
    remarks = make_payoff(RunDirectory(copied), "val", registry()).remarks
    assert [remark[: len(start)] for remark, start in zip(remarks, told, strict=True)] == told


def test_a_decay_that_was_planned_for_pretrained_weights_is_not_that_of_random_ones(copied, monkeypatch):
    run, tree = RunDirectory(copied), spec_of(copied)
    spec = validate({**tree, "train": {**tree["train"], "layer_decay": 0.75}}, "finetune", registry())
    monkeypatch.setattr(RunDirectory, "planned", ("train.epochs",))
    assert companion_spec("scratch", spec, run).train.layer_decay == 0.75, "a person set it"
    monkeypatch.setattr(RunDirectory, "planned", ("train.layer_decay", "train.epochs"))
    for arm in ("scratch", "scratch-total-time"):
        other = companion_spec(arm, spec, run)
        assert other.train.layer_decay == 1.0
        assert other.sources == {"train.layer_decay": "plan", "train.epochs": "plan"}


def test_a_rate_that_was_planned_for_adapters_is_not_that_of_all_weights(copied, monkeypatch):
    run, tree = RunDirectory(copied), spec_of(copied)
    spec = validate({**tree, "adapt": {"name": "lora"}}, "finetune", registry())
    for planned, times in ((("train.epochs",), 1), (("train.base_lr",), 4)):
        monkeypatch.setattr(RunDirectory, "planned", planned)
        assert spec.train.base_lr / companion_spec("scratch", spec, run).train.base_lr == times


def test_comparing_is_what_follows_where_it_was_not_done(compared, finetuned, tmp_path):
    assert not any("--compare" in command for command, _ in next_commands(RunDirectory(compared), registry()))
    assert not any("--compare" in command for command, _ in next_commands(RunDirectory(finetuned), registry()))
    run = RunDirectory(shutil.copytree(compared, tmp_path / "alone", ignore=shutil.ignore_patterns(".mae")))
    commands = [command for command, _ in next_commands(run, registry())]
    assert f"mae finetune --resume --out {run} --compare scratch" in commands


def test_a_comparison_is_void_once_the_run_is_measured_again(copied):
    file = copied / "evaluation/val.json"
    record = json.loads(file.read_text())
    record["metrics"][0]["value"] = 0.125
    file.write_text(json.dumps(record))
    assert read_payoff(RunDirectory(copied), "val") is None


@pytest.mark.parametrize(
    ("choice", "init", "message"),
    [
        ("scratch", None, "--compare scratch trains the same without --init, and there is none"),
        ("scrath", "run", "--compare scrath is none of scratch, scratch-total-time, none; did you mean 'scratch'?"),
        ("scratch-total-time", "file", "needs the time of the pretraining, and --init"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_is_done(
    choice, init, message, pretrained, pictures, tmp_path, mae
):
    file = next((pretrained / "checkpoints").glob("step-*/model.safetensors"))
    start = {"run": ("--init", pretrained), "file": ("--init", shutil.copy(file, tmp_path / "weights.safetensors"))}
    out = tmp_path / "out"
    outcome = mae(*FINETUNE, "--root", pictures, *start.get(init, ()), "--out", out, "--compare", choice)
    assert outcome.exit_code == 2
    assert message in outcome.stderr
    assert not out.exists()


def test_a_run_that_goes_on_from_another_is_not_compared(compared):
    spec = validate(spec_of(compared) | {"extend": "runs/before"}, "finetune", registry())
    with pytest.raises(SpecError, match="this one goes on from runs/before"):
        arms_of("scratch", spec)


@pytest.mark.parametrize(("seconds", "arms"), [(None, ()), (150.0, ("scratch",)), (151.0, ())])
def test_a_planned_run_is_compared_unasked_where_its_time_is_enough_for_both(compared, seconds, arms):
    spec = validate(spec_of(compared), "finetune", registry())
    assert arms_by_default(spec, seconds, 300.0) == arms
    assert arms_by_default(spec.model_copy(update={"init": None}), seconds, 300.0) == ()


def test_the_time_of_companions_is_that_of_the_run_and_of_what_came_before(compared):
    spec = validate(spec_of(compared), "finetune", registry())
    before = RunDirectory(Path(spec_of(compared)["init"])).finished().seconds
    assert companions_seconds((), spec, 10.0) == 0
    assert companions_seconds(("scratch",), spec, 10.0) == 10
    assert companions_seconds(("scratch", "scratch-total-time"), spec, 10.0) == pytest.approx(20 + before)


def test_a_dry_run_tells_what_is_compared_and_counts_it(pretrained, pictures, mae):
    told = (*FINETUNE, "--root", pictures, "--init", pretrained, "--dry-run", "--json")
    alone, both = mae(*told).json, mae(*told, "--compare", "scratch").json
    assert "compared_with" not in alone
    assert both["compared_with"] == ["the same from scratch"]
    assert both["estimated_seconds"] > alone["estimated_seconds"] / 2


def test_without_the_flag_nothing_is_compared(finetuned):
    tree = spec_of(finetuned)
    assert arms_of(None, validate(tree, "finetune", registry())) == ()
    assert arms_of("none", validate(tree, "finetune", registry())) == ()
