"""What reaches a terminal is text as it is: no markup, nothing that steers it."""

from __future__ import annotations

import io

import pytest
from rich.table import Table
from rich.text import Text

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
        text = animated.bar.columns[2].render(animated.bar.tasks[0])  # type: ignore[union-attr]
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
