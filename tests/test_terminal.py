"""What reaches a terminal is text as it is: no markup, nothing that steers it."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text

from maecli.cli.show.answers import show_facts
from maecli.progress import Progress
from maecli.terminal import PlainConsole, answer, complain, tell
from maecli.text import brief, one_line, printable, shortened

NASTY = "[/b][red]:smile: \x1b[31m\x9b2J\x07\x7f\u202e\r\udcff"
SHOWN = r"[/b][red]:smile: \x1b[31m\x9b2J\x07\x7f\u202e\r\udcff"


@pytest.fixture
def console(monkeypatch) -> PlainConsole:
    made = PlainConsole(stderr=True)
    made.file = io.StringIO()
    made.width = 200
    return made


def test_text_that_steers_a_terminal_is_an_escape():
    assert printable(NASTY) == SHOWN
    assert printable("a\n\tb é 猫 👩‍🔬 کتاب‌ها") == "a\n\tb é 猫 👩‍🔬 کتاب‌ها"
    assert one_line("a\nb\tc\rd") == r"a\nb\tc\rd"
    for code in (*range(32), *range(127, 160), 0x202A, 0x202E, 0x2066, 0x2069, 0x200F, 0x2028, 0xFEFF, 0xD800, 0xE0041):
        if chr(code) not in "\n\t":
            assert printable(chr(code)).startswith("\\"), hex(code)


def test_long_values_are_shortened():
    assert brief("x" * 5000) == "'" + "x" * 58 + " … " + "x" * 58 + "'"
    assert shortened("abc", 3) == "abc"


def test_a_console_shows_names_as_they_are(console):
    table = Table(box=None, title="[b]t[/b]")
    table.add_column("[i]c[/i]")
    table.add_row(NASTY)
    console.print(table)
    console.print(NASTY, soft_wrap=True)
    written = console.file.getvalue()
    assert written.count(SHOWN) == 2
    assert "[b]t[/b]" in written
    assert "[i]c[/i]" in written
    assert "\x1b" not in written


def test_styled_text_steers_no_terminal_either(console):
    console.print(Text(NASTY))
    assert "[/b][red]:smile: " in console.file.getvalue()
    assert not {"\x1b", "\x9b", "\u202e"} & set(console.file.getvalue())


def test_progress_shows_names_as_they_are(console, monkeypatch):
    lines = Progress(console)
    assert lines.bar is None
    lines.say(NASTY)
    lines.count(NASTY, 1)()
    monkeypatch.setattr(PlainConsole, "is_terminal", True)
    with Progress(console) as animated:
        assert animated.bar is not None
        animated.count(NASTY, 2)()
        animated.bar.refresh()
        animated.say(NASTY)
        text = animated.bar.columns[1].render(animated.bar.tasks[0])  # type: ignore[union-attr]
    assert console.file.getvalue().count(SHOWN) >= 3
    assert str(text).startswith("[/b][red]")


def test_lines_of_mae_hold_names_on_one_line(capsys):
    tell(f"no {NASTY}\nmae: all is well")
    complain(f"{NASTY}\nx")
    answer("a", f"{NASTY}\nx")
    captured = capsys.readouterr()
    assert captured.err == f"mae: no {SHOWN}\\nmae: all is well\n{SHOWN}\\nx\n"
    assert captured.out == f"a\n{SHOWN}\\nx\n"


@pytest.mark.parametrize(
    "args",
    [
        ("schema", NASTY),
        ("runs", NASTY),
        ("plugins", "show", NASTY),
        (NASTY,),
        ("eval", NASTY),
        ("schema", f"--{NASTY}"),
    ],
)
def test_what_a_person_typed_is_quoted_as_a_terminal_may_show_it(mae, args):
    outcome = mae(*args)
    assert outcome.exit_code == 2
    assert "[red]" in outcome.stderr
    assert not {"\x1b", "\x9b", "\x07", "\u202e", "\r"} & set(outcome.stderr)


def test_the_line_of_a_phase_is_gone_before_the_next_begins(console, monkeypatch):
    monkeypatch.setattr(PlainConsole, "is_terminal", True)
    with Progress(console) as animated:
        assert animated.bar is not None
        animated.count("pictures of train", 2)()
        animated.count("pictures of val", 2)()
        [task] = animated.bar.tasks
        assert task.fields["parts"][0] == "pictures of val"
    assert animated.bar.tasks == []


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        pytest.param(80, "epoch 1.4 of 50  12 min 03 s left  loss 0.9321", id="80"),
        pytest.param(60, "epoch 1.4 of 50  12 min 03 s left", id="60"),
        pytest.param(120, "epoch 1.4 of 50  12 min 03 s left  loss 0.9321  1,234 pictures/s", id="120"),
    ],
)
def test_parts_that_do_not_fit_are_left_out_whole(console, monkeypatch, width, shown):
    monkeypatch.setattr(PlainConsole, "is_terminal", True)
    console.width = width
    parts = ("epoch 1.4 of 50", "12 min 03 s left", "loss 0.9321", "1,234 pictures/s")
    with Progress(console) as animated:
        assert animated.bar is not None
        animated.update(1, 9, parts, "")
        assert str(animated.bar.columns[1].render(animated.bar.tasks[0])) == shown  # type: ignore[union-attr]


def test_facts_are_folded_between_words_and_a_path_is_whole(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "40")
    show_facts([("some_words", "a word " * 10), ("number", 3)])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 40
    show_facts([("some_words", "a word " * 10), ("file", "runs/" + "long" * 10)])
    assert capsys.readouterr().out.splitlines()[1] == "file       runs/" + "long" * 10


def test_a_row_stays_on_one_line_where_there_is_no_terminal(monkeypatch, capsys):
    monkeypatch.delenv("COLUMNS", raising=False)
    table = Table(box=None)
    table.add_column("run", overflow="fold")
    table.add_row("runs/" + "long" * 50)
    PlainConsole().print(table)
    assert "runs/" + "long" * 50 in capsys.readouterr().out


def cpu_seconds(process: int) -> float:
    """Return how long a process, dead or alive, was at work: that others are at work too makes it no slower."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def on_a_terminal(*args: str, interrupt_after: bytes = b"", **environment: str) -> tuple[int, str, float]:
    """Run mae on a pseudo-terminal of 80 columns.

    Returns its exit code, what it wrote, and how long it was at work between Ctrl-C and its answer.
    """
    main, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    command = (sys.executable, "-m", "maecli", *map(str, args))
    settings = os.environ | {"TERM": "xterm-256color", "OMP_NUM_THREADS": "1"} | environment
    process = subprocess.Popen(command, stdin=side, stdout=side, stderr=side, env=settings, start_new_session=True)
    os.close(side)
    written, pressed, answered = b"", None, float("inf")
    with contextlib.suppress(OSError):  # the terminal is closed
        while part := os.read(main, 2**16):
            written += part
            if interrupt_after and interrupt_after in written and pressed is None:
                pressed = cpu_seconds(process.pid)
                process.send_signal(signal.SIGINT)
            if pressed is not None and b"saving, then stopping" in written:
                answered = min(answered, cpu_seconds(process.pid) - pressed)
    os.close(main)
    return process.wait(), written.decode(), answered


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_training_shows_a_bar_from_the_first_step_and_answers_ctrl_c_within_a_second(pictures, toy_pretrain, tmp_path):
    run = tmp_path / "run"
    arguments = (*toy_pretrain, "--dataset", "folder", "--root", pictures, "--out", run, "--epochs", 10_000)
    code, written, answered = on_a_terminal(*arguments, interrupt_after=b"epoch 3 of 10000:")
    assert code == 130
    assert answered < 1
    assert "epoch 0 of 10000  the first step" in written
    assert " left" in written
    assert "press Ctrl-C again to stop without saving" in written
    assert re.search(r"mae: saved at step \d+; --resume goes on from there", written)
    assert all(len(line) <= 80 for line in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written).split("\r") if "left" in line)
    assert (run / "checkpoints/last").exists()
