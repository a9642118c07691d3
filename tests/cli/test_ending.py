"""However a command ends early, it ends in a line or in silence, and never in a traceback of ours."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys
import time

import pytest
from attempts import Attempt
from toy_training import last_of, make

from maecli.memory import out_of_memory
from maecli.progress import Progress
from maecli.run import train as training
from maecli.terminal import PlainConsole, see_to_streams

MAE = (sys.executable, "-m", "maecli")


def is_ours(stderr: str) -> bool:
    """Whether a traceback comes from mae, not from Python before it had loaded mae."""
    return "Traceback" in stderr and "maecli" in stderr.replace("__editable___maecli", "").replace("-m maecli", "")


def heed_interrupts() -> None:
    """Be as from a terminal: a shell starts what runs in the background deaf to Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.slow
@pytest.mark.parametrize("tries", range(3))
def test_ctrl_c_at_any_moment_is_one_line(tries, tmp_path):
    command = [*MAE, "pretrain", "--recipe", "digits", "--dry-run", "--device", "cpu", "--out", tmp_path / "run"]
    for number in range(tries, 15, 3):
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heed_interrupts
        )
        time.sleep(2 * number / 14)
        process.send_signal(signal.SIGINT)
        if number % 2:
            time.sleep(0.01)
            process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=120)
        assert not is_ours(stderr), stderr
        assert process.returncode in (130, -signal.SIGINT) or "Traceback" in stderr, stderr
        assert stderr.count("interrupted") <= 1


HELD = {
    "eda": (("eda", "--root", "PICTURES", "--out", "OUT"), "maecli.modalities.pictures.modality:Pictures.survey"),
    "infer": (
        ("infer", "PICTURES", "--run", "RUN", "--out", "OUT", "--workers", "0"),
        "maecli.run.inference.answers:predict",
    ),
    "embed": (("embed", "PICTURES", "--run", "RUN", "--out", "OUT/x.npy"), "maecli.verbs.embed:load_files"),
    "plan": (("plan", "--root", "PICTURES", "--device", "cpu"), "maecli.training.loop.trainer:Trainer.train_step"),
    "planning": (
        ("finetune", "--root", "PICTURES", "--task", "classify", "--device", "cpu", "--out", "OUT"),
        "maecli.training.loop.trainer:Trainer.train_step",
    ),
}
"""What is interrupted, and where."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("verb", "how", "told"),
    [*((verb, "asleep", "nothing was written") for verb in HELD), ("plan", "at work", "what was saved before is kept")],
)
def test_ctrl_c_ends_a_verb_soon_and_says_what_is_written(verb, how, told, server, pictures, request, tmp_path):
    words, target = HELD[verb]
    run = request.getfixturevalue("finetuned") if "RUN" in words else None
    places = {"PICTURES": pictures, "RUN": run, "OUT": tmp_path / "out/new"}
    args = [str(places.get(word, word)).replace("OUT", str(tmp_path / "out")) for word in words]
    attempt = Attempt(server, tmp_path / "log", args, ["hold", target, how])
    deadline = time.monotonic() + 120
    while "held\n" not in attempt.said():
        assert time.monotonic() < deadline, attempt.said()
        time.sleep(0.01)
    pressed = time.monotonic()
    os.kill(attempt.pid, signal.SIGINT)
    assert attempt.wait() == 130, attempt.said()
    assert time.monotonic() - pressed < 30  # of what sleeps, that no time of grace is over is seen by what is told
    assert attempt.said().splitlines()[-1] == f"mae: interrupted; {told}"
    assert attempt.said().count("interrupted") == 1
    assert not list((tmp_path / "out").glob("*")), "it has not even begun"


@pytest.mark.slow
def test_a_scheduler_ends_training_before_its_first_step_by_one_line(server, pictures, tmp_path):
    words, target = HELD["planning"]
    args = [str({"PICTURES": pictures, "OUT": tmp_path / "out/new"}.get(word, word)) for word in words]
    attempt = Attempt(server, tmp_path / "log", args, ["hold", target, "asleep"])
    deadline = time.monotonic() + 120
    while "held\n" not in attempt.said():
        assert time.monotonic() < deadline, attempt.said()
        time.sleep(0.01)
    os.kill(attempt.pid, signal.SIGTERM)
    assert attempt.wait() == 130, attempt.said()
    assert attempt.said().splitlines()[-1] == "mae: interrupted; nothing was written"
    assert not list((tmp_path / "out").glob("*"))


TWICE = """
import signal
from maecli.cli.interruption import note_interruptions

signal.signal(signal.SIGINT, signal.default_int_handler)
note_interruptions()
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    signal.raise_signal(signal.SIGINT)
    print("all is put away")
"""


def test_a_second_ctrl_c_breaks_off_no_putting_away():
    done = subprocess.run([sys.executable, "-c", TWICE], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("all is put away\n", "")


def test_ctrl_c_while_options_are_parsed_is_one_line(mae, monkeypatch):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("maecli.cli.application.TyperGroup.invoke", interrupt)
    outcome = mae("runs")
    assert (outcome.exit_code, outcome.stderr) == (130, "mae: interrupted; nothing was written\n")


@pytest.mark.slow
@pytest.mark.parametrize("verb", [("schema",), ("recipes",), ("plugins", "list", "--quick"), ("recipes", "digits")])
def test_a_closed_pipe_ends_a_command_in_silence(verb):
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([*MAE, *verb], stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


def test_progress_that_nobody_reads_ends_no_work():
    class Closed(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError

    console = PlainConsole(stderr=True)
    console.file = Closed()
    progress = Progress(console)
    progress.say("a")
    progress.say("b")
    assert console.quiet


@pytest.mark.parametrize("verb", ["eval", "infer", "inspect", "runs", "pretrain --root", "pretrain --init"])
def test_a_name_that_is_too_long_is_one_line(mae, verb):
    outcome = mae(*verb.split(), "x" * 5000)
    assert outcome.exit_code in (1, 2)
    assert len(outcome.stderr) < 1000


@pytest.mark.parametrize(("number", "told"), [(errno.EACCES, "permission denied"), (errno.EIO, "input/output error")])
def test_what_the_machine_refuses_is_one_line(mae, monkeypatch, number, told, tmp_path):
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), "/some/file")

    monkeypatch.setattr(training, "train", fail)
    outcome = mae("pretrain", "--recipe", "digits", "--out", tmp_path / "run")
    assert (outcome.exit_code, outcome.stderr) == (1, f"mae: /some/file: {told}\n")


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")  # noqa: PTH110
def test_an_answer_that_cannot_be_written_is_one_line_and_words_that_cannot_end_nothing():
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run([*MAE, "recipes"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        wordless = subprocess.run([*MAE, "plugins", "check", "none"], stderr=full, stdout=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (1, "mae: cannot print the answer: no space left on device\n")
    assert wordless.returncode == 2


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_words_that_cannot_be_written_end_no_training(number, tmp_path, monkeypatch):
    class Refusing(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(sys, "stderr", Refusing())
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    see_to_streams()
    trainer = make(tmp_path, save_epochs=100)
    trainer.telling.progress = Progress(PlainConsole(stderr=True))
    trainer.fit()
    assert last_of(tmp_path).step == trainer.step == 9


@pytest.mark.slow
def test_closed_streams_are_no_mistake():
    for closed in (">&-", "2>&-", "<&-"):
        shell = f"{sys.executable} -m maecli schema {closed}"
        done = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


class OutOfMemoryError(RuntimeError):
    """What torch calls it."""


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        MemoryError("Unable to allocate 9. GiB for an array"),
        OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has " + "x" * 1000),
        RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("MPS backend out of memory"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ],
)
def test_a_lack_of_memory_is_told_with_ways_out(mae, monkeypatch, error, tmp_path):
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(training, "train", fail)
    outcome = mae("pretrain", "--recipe", "digits", "--out", tmp_path / "run", "--json")
    assert outcome.exit_code == 1
    assert outcome.stderr.startswith("mae: memory is used up")
    for way in ("--batch-size", "--micro-batch-size", "--img-size", "--workers"):
        assert way in outcome.stderr
    assert len(outcome.stderr) < 500
    assert outcome.json["exit_code"] == 1


@pytest.mark.parametrize("error", [RuntimeError("shapes cannot be multiplied"), OSError(errno.EIO, "x"), KeyError("x")])
def test_other_errors_are_no_lack_of_memory(error):
    assert out_of_memory(error) is None


@pytest.mark.slow
def test_modules_in_the_current_folder_are_not_imported(tmp_path):
    for name in ("yaml", "typer", "rich", "numpy", "torch"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a stranger was imported')\n")
    package = tmp_path / "evil-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text("[mae]\ndataset.evil = evil\n")
    done = subprocess.run(
        [*MAE, "plugins", "list"], cwd=tmp_path, capture_output=True, text=True, check=False, env={**os.environ}
    )
    assert done.returncode == 0, done.stderr
    assert "evil" not in done.stdout
