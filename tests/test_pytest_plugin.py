"""`pytest --mae-check`, in processes as an author of a package starts them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from installed import write_package

TASK = """
from typing import Any
from maecli import api

class Sing(api.Task[Any]):
    name = "sing"
    build = loss = evaluator = predict = lambda self, *given: None

@api.hookimpl
def mae_tasks():
    return [Sing]
"""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in a folder, whose `site` is on the path."""
    environment = {**os.environ, "PYTHONPATH": str(folder / "site"), "MAE_CONFIG": str(folder / "config")}
    for name in [name for name in environment if name.startswith("PYTEST_")]:
        del environment[name]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=280, check=False
    )


def test_nothing_heavy_is_loaded_before_the_option_is_given():
    program = """
import sys
import maecli.pytest_plugin
print({"torch", "numpy", "pydantic", "maecli.testing", "maecli.registry", "maecli.errors"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_each_check_of_an_installed_plugin_is_a_test_of_its_own(tmp_path):
    (tmp_path / "test_mine.py").write_text("def test_mine(): pass")
    write_package(tmp_path / "site", "mae-sing", {"task.sing": "mae_sing"}, mae_sing=TASK)
    done = run(tmp_path, "-v", "-rs", "--mae-check", "task.sing", "--mae-check", "recipe.digits", ".")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "test_mine.py::test_mine PASSED" in done.stdout
    assert re.search(r"^task\.sing::options FAILED", done.stdout, re.MULTILINE)
    assert re.search(r"^task\.sing::build SKIPPED", done.stdout, re.MULTILINE)
    assert re.search(r"^recipe\.digits::settings PASSED", done.stdout, re.MULTILINE)
    assert "not looked at: options comes first" in done.stdout
    sentence = "Sing has no docstring; say in it what sing is: `mae plugins show sing` prints it"
    assert f"\n{sentence}\n" in done.stdout
    assert "Traceback" not in done.stdout
    assert "collected 15 items" in done.stdout


def test_a_name_that_means_nothing_is_an_error_of_collection(tmp_path):
    done = run(tmp_path, "--mae-check", "tracker.jsnl")
    assert done.returncode == 2
    assert "--mae-check tracker.jsnl: unknown tracker 'jsnl'; did you mean 'jsonl'?" in done.stdout
    assert "Traceback" not in done.stdout
    bare = run(tmp_path, "--mae-check", "jsonl")
    assert "--mae-check jsonl: unknown kind 'jsonl'; there are dataset, task, model, tracker, recipe" in bare.stdout
