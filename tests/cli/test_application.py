from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import yaml
from typer.testing import CliRunner

from maecli import __version__, cli
from maecli.errors import DataError, Interrupted, MaeError, NotFiniteError, PluginError, SpecError
from maecli.run.begin.launch import Launch
from maecli.run.directory import RunDirectory
from maecli.run.train import TrainResult
from maecli.schema import SPECS
from maecli.training.loop import trainer

pytestmark = pytest.mark.usefixtures("without_charts")

VERBS = (
    *("pretrain", "finetune", "demo", "sweep", "eda", "pack", "eval", "infer", "embed", "export", "bench"),
    *("inspect", "runs", "results", "plugins", "recipes", "schema"),
)

HEAVY_AFTER = """
import sys
from maecli.cli import app
for verb in sys.argv[1:]:
    try:
        app([*filter(None, [verb]), "--help"], prog_name="mae")
    except SystemExit as end:
        code = end.code
    heavy = {"torch", "numpy", "matplotlib"} | {name for name in sys.modules if name.startswith("maecli_plugins.")}
    heavy |= set() if verb else {"pydantic"}
    print(verb, sorted(heavy & set(sys.modules)), code, file=sys.stderr)
"""


def process(*args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *args], capture_output=True, text=True, timeout=120, env=os.environ | environment, check=False
    )


@pytest.mark.slow
def test_help_loads_neither_torch_nor_plugins():
    verbs = ["", *VERBS]
    done = process("-c", HEAVY_AFTER, *verbs)
    assert done.stderr.splitlines() == [f"{verb} [] 0" for verb in verbs]
    assert done.stdout.count("Usage: mae") == len(verbs)


@pytest.mark.slow
def test_help_answers_at_once_and_names_every_verb():
    begin = os.times()  # of children: others may be using this machine
    done = process("-m", "maecli", "--help", COLUMNS="100")
    end = os.times()
    assert end.children_user + end.children_system - begin.children_user - begin.children_system < 2
    assert done.returncode == 0
    for verb in VERBS:
        assert f" {verb} " in done.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_of_every_verb_says_what_it_does(verb):
    command = typer.main.get_command(cli.app).commands[verb]
    for parameter in command.params:
        assert parameter.help, parameter.name


def test_the_version_is_told(mae):
    assert mae("--version").stdout == f"mae {__version__}\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (None, 0),
        (MaeError, 1),
        (SpecError, 2),
        (DataError, 3),
        (PluginError, 4),
        (NotFiniteError, 5),
        (Interrupted, 130),
    ],
)
def test_each_kind_of_error_has_its_exit_code(mae, monkeypatch, error, code):
    def fail(*_: object, **__: object) -> None:
        if error is not None:
            raise error("it failed")

    monkeypatch.setattr("maecli.verbs.train.train", fail)
    monkeypatch.setattr("maecli.cli.train.show_training", lambda *_: None)
    outcome = mae("pretrain", "--dataset", "digits", "--quiet")
    assert outcome.exit_code == code
    assert outcome.stderr == ("mae: it failed\n" if error else "")
    assert outcome.stdout == ""


@pytest.mark.parametrize("error", [SpecError("no"), KeyboardInterrupt()])
def test_errors_are_json_too(mae, monkeypatch, error):
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("maecli.run.train.train", fail)
    outcome = mae("pretrain", "--dataset", "digits", "--json")
    code, message = (2, "no") if isinstance(error, SpecError) else (130, "interrupted; nothing was written")
    assert outcome.exit_code == code
    assert outcome.json == {"error": message, "exit_code": code}
    assert outcome.stderr == f"mae: {message}\n"


def test_a_bug_keeps_its_traceback(mae, monkeypatch):
    def bug(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("maecli.run.train.train", bug)
    with pytest.raises(ZeroDivisionError):
        mae("pretrain", "--dataset", "digits")


@pytest.mark.parametrize(
    "args",
    [
        ("pretrian",),
        ("pretrain", "--no-such-flag"),
        ("pretrain", "--epochs", "many"),
        ("pretrain", "--workers", "-1"),
        ("eval", "run", "--batch-size", "0"),
        ("infer",),
        ("infer", "x", "--batch-size", "0"),
    ],
)
def test_wrong_usage_exits_with_2(mae, args):
    outcome = mae(*args)
    assert outcome.exit_code == 2
    assert "Usage: " in outcome.stderr
    assert outcome.stdout == ""


def test_an_eval_of_nothing_says_what_it_needs(mae):
    outcome = mae("eval")
    assert outcome.exit_code == 2
    assert outcome.stderr == "mae: give RUN, or --task TASK to take the newest finished run of that task\n"


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("pretrain", "--dataset", "digts"), "mae: unknown dataset 'digts'; did you mean 'digits'?; installed: "),
        (("pretrain", "--dataset", "digits", "--set", "train.epoch=3"), "mae: unknown key 'train.epoch'; did you mean"),
        (("pretrain", "--recipe", "mnst"), "mae: unknown recipe 'mnst'; did you mean 'mnist'?; installed: "),
        (("pretrain",), "mae: dataset is not set: give --dataset, a --recipe or a --config file"),
        (
            ("finetune", "--dataset", "digits", "--task", "classfy"),
            "mae: unknown task 'classfy'; did you mean 'classify'",
        ),
        (
            ("pretrain", "--dataset", "digits", "--img-size", "8by8"),
            "mae: --img-size '8by8' is no size; write 224, or ",
        ),
        (("pretrain", "--dataset", "folder"), "mae: the data set folder needs --root, the folder that holds your pict"),
        (("schema", "pretran"), "mae: no spec for 'pretran'; did you mean 'pretrain'?; there are pretrain, finetune"),
    ],
)
def test_an_invalid_spec_is_one_sentence_and_exits_with_2(mae, args, words):
    outcome = mae(*args)
    assert outcome.exit_code == 2
    assert outcome.stderr.startswith(words)
    assert outcome.stderr.count("\n") == 1
    assert outcome.stdout == ""


@pytest.fixture
def handed(monkeypatch):
    """What a verb hands to the layer below: spec, launch, and the rest by name."""
    found = []

    def keep(spec, registry, progress, launch: Launch, **how: object) -> TrainResult:
        found.append((spec, launch, how))
        return TrainResult(RunDirectory(Path("runs/none")), None, 0.0)

    monkeypatch.setattr("maecli.run.train.train", keep)
    monkeypatch.setattr("maecli.verbs.train.renew_runs_page", lambda *_: None)
    monkeypatch.setattr("maecli.verbs.train.compare", lambda *_: None)
    monkeypatch.setattr("maecli.cli.train.show_training", lambda *_: None)
    return found


def test_flags_become_the_spec(mae, handed):
    flags = (
        *("--dataset", "digits", "--root", "data", "--workers", "3", "--strict", "--model", "vit-tiny"),
        *("--patch-size", "2x4", "--img-size", "8x16", "--mask-ratio", "0.5", "--epochs", "7", "--batch-size", "12"),
        *("--mask", "block"),
        *("--micro-batch-size", "6", "--base-lr", "1e-3", "--seed", "9", "--device", "cpu", "--precision", "float32"),
        *("--out", "there", "--set", "train.clip_grad=1", "--set", "train.beta2=9e-1", "--overwrite"),
        "--verify-data",
    )
    assert mae("pretrain", *flags).exit_code == 0
    [(spec, launch, how)] = handed
    assert (spec.dataset.name, spec.dataset.options["root"]) == ("digits", "data")
    assert (spec.data.workers, spec.data.strict) == (3, True)
    assert (spec.model.name, spec.model.options["patch_size"], spec.model.options["img_size"]) == (
        *("vit-tiny", [2, 4], [8, 16]),
    )
    assert (spec.task.options["mask_ratio"], spec.task.options["mask"]) == (0.5, "block")
    train = spec.train
    assert (train.epochs, train.batch_size, train.micro_batch_size, train.base_lr) == (7, 12, 6, 0.001)
    assert (train.clip_grad, train.beta2) == (1, 0.9)
    assert (spec.seed, spec.device, spec.precision, spec.out) == (9, "cpu", "float32", Path("there"))
    assert launch == Launch(overwrite=True, verify_data=True)
    assert (how["companions"], how["planned"], how["opened"]) == ((), "", None)


def test_fine_tuning_flags_become_the_spec(mae, handed, pretrained):
    flags = ("--task", "classify", "--init", pretrained, "--epochs", 3, "--freeze", "--head", "mlp", "--labels", "10%")
    assert mae("finetune", *flags, "--resume").exit_code == 0
    [(spec, launch, how)] = handed
    assert (spec.train.freeze, spec.task.options["head"], spec.data.labels) == (True, "mlp", "10%")
    assert (spec.task.name, spec.init, spec.dataset.name) == ("classify", pretrained, "folder")
    assert spec.model.options["embed_dim"] == 16
    assert how["planned"].startswith("12 pictures (4 train, ")
    assert how["opened"] is not None
    assert (launch, how["companions"]) == (Launch(resume=True), ())


def test_verbose_says_where_each_setting_came_from(mae, handed):
    outcome = mae("pretrain", "--dataset", "digits", "--set", "seed=3", "--verbose")
    for line in ("seed: 3 (--set)\n", "dataset.name: digits (flag)\n", "compile: false (default)\n"):
        assert line in outcome.stderr
    assert "(recipe digits)\n" in outcome.stderr
    assert outcome.stdout == ""


@pytest.mark.slow
def test_quiet_says_nothing(pictures, mae, toy_pretrain):
    outcome = mae(*toy_pretrain, "--dataset", "folder", "--root", pictures, "--epochs", 1, "--quiet")
    assert outcome.exit_code == 0
    assert (outcome.stdout, outcome.stderr) == ("", "")


@pytest.mark.slow
def test_json_is_one_object_and_the_log_is_plain_lines(pictures, tmp_path, mae, toy_pretrain):
    outcome = mae(*toy_pretrain, "--dataset", "folder", "--root", pictures, "--epochs", 1, "--json")
    assert outcome.exit_code == 0
    found = outcome.json
    assert found["run"] == str(tmp_path / f"runs/pretrain-{pictures.name}")
    assert set(found) == {"run", "finished", "seconds", "evaluation", "skipped", "comparison"}
    assert found["evaluation"]["metrics"][0]["baselines"]
    assert "\x1b" not in outcome.stderr
    assert "\r" not in outcome.stderr
    assert "step 4 of 4  epoch 1 of 1  0 s left  loss " in outcome.stderr


@pytest.mark.slow
def test_metrics_are_printed_beside_their_baselines(pictures, mae, toy_finetune):
    outcome = mae(*toy_finetune, "--dataset", "folder", "--root", pictures, "--epochs", 1)
    words = " ".join(outcome.stdout.split())
    for word in ("val, 4 pictures", "baselines", "top-1 accuracy", "majority (cat) 50.00%", "chance 50.00%"):
        assert word in words


@pytest.mark.slow
def test_evaluation_prints_a_row_per_class_with_numbers_flush_right(finetuned, mae):
    outcome = mae("eval", finetuned, "--split", "val")
    assert outcome.exit_code == 0
    lines = outcome.stdout.splitlines()
    title = lines.index(next(line for line in lines if line.strip() == "Per class"))
    header, cat, dog = lines[title + 1 : title + 4]
    assert header.split() == ["class", "samples", "recall", "precision", "F1"]
    assert (cat.split()[:2], dog.split()[:2]) == (["cat", "2"], ["dog", "2"])
    assert header.index("samples") + len("samples") == cat.index(" 2") + 2


@pytest.mark.slow
def test_no_color_is_honoured():
    coloured = process("-m", "maecli", "plugins", FORCE_COLOR="1", TERM="xterm-256color")
    plain = process("-m", "maecli", "plugins", FORCE_COLOR="1", TERM="xterm-256color", NO_COLOR="1")
    assert coloured.returncode == plain.returncode == 0
    assert "\x1b[1" in coloured.stdout
    assert not any(f"\x1b[{code}m" in plain.stdout for code in range(30, 50))


def test_plugins_are_listed(mae):
    outcome = mae("plugins", "--json")
    listed = {(each["kind"], each["name"]): each for each in outcome.json["plugins"]}
    assert listed["dataset", "digits"]["package"] == "maecli"
    assert listed["dataset", "digits"]["version"] == __version__
    table = mae("plugins").stdout
    for kind, name in listed:
        assert any(line.split()[:2] == [kind, name] for line in table.splitlines())


@pytest.mark.parametrize("verb", SPECS)
def test_the_schema_names_every_key_that_a_run_writes(mae, verb, pretrained, finetuned):
    schema = mae("schema", verb)
    assert schema.exit_code == 0
    spec = yaml.safe_load(({"pretrain": pretrained, "finetune": finetuned}[verb] / "spec.yaml").read_text())
    published = json.loads(schema.stdout)
    assert set(spec) == set(published["properties"])


@pytest.mark.slow
def test_a_real_process_exits_with_the_code_of_its_error(tmp_path):
    done = process("-m", "maecli", "pretrain", "--dataset", "digts", "--json", MAE_RUNS=str(tmp_path))
    assert done.returncode == 2
    assert json.loads(done.stdout)["exit_code"] == 2
    assert done.stderr.startswith("mae: unknown dataset 'digts'")
    assert "Traceback" not in done.stderr


def test_interrupting_after_saving_exits_with_130(pictures, mae, toy_pretrain, monkeypatch, tmp_path):
    step = trainer.Trainer.train_step

    def interrupted(self, batch) -> None:
        step(self, batch)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(trainer.Trainer, "train_step", interrupted)
    outcome = mae(*toy_pretrain, "--dataset", "folder", "--root", pictures, "--json")
    assert outcome.exit_code == 130
    assert outcome.json == {"error": "saved at step 1; --resume goes on from there", "exit_code": 130}
    assert (tmp_path / f"runs/pretrain-{pictures.name}/checkpoints/last").read_text().split()[0] == "step-000001"


def test_without_arguments_the_help_is_shown():
    result = CliRunner().invoke(cli.app, [])
    assert "Usage: " in result.output


@pytest.mark.parametrize("size", ["", "0", "-16x16", "16x", "1x1x1x1", "65537", "9" * 30, "9" * 5000, "nan", "١٦x"])
def test_an_odd_size_is_refused_in_a_sentence(mae, size):
    outcome = mae("eda", "--dataset", "digits", "--img-size", size)
    assert outcome.exit_code == 2
    assert outcome.stderr.startswith("mae: --img-size '")
    assert "is no size; write 224, or 64x84 for height x width" in outcome.stderr
