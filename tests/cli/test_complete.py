"""A shell completes names of plugins and recipes, and keys of --set."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from maecli.cli import app


def asked(words: tuple[str, ...]) -> dict[str, str]:
    """Return the variables by which bash asks what it may offer for the last of the words."""
    return {
        "_MAE_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(("mae", *words)),
        "COMP_CWORD": str(len(words)),
    }


@pytest.mark.slow
def test_a_shell_asks_the_command():
    command = [str(Path(sys.executable).with_name("mae"))]
    settings = os.environ | asked(("pretrain", "--dataset", "dig"))
    done = subprocess.run(command, env=settings, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, ["digits"], "")


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        pytest.param(("pretrain", "--dataset", "dig"), ["digits"], id="dataset"),
        pytest.param(("finetune", "--task", "cl"), ["classify"], id="task"),
        pytest.param(("infer", "pictures", "--task", "seg"), ["segment"], id="task-of-infer"),
        pytest.param(("pretrain", "--model", "vit-li"), ["vit-lite"], id="model"),
        pytest.param(("pretrain", "--recipe", "mnist-2"), ["mnist-224"], id="recipe"),
        pytest.param(("recipes", "mnist-2"), ["mnist-224"], id="recipe-to-print"),
        pytest.param(("embed", "--dataset", "dig"), ["digits"], id="dataset-to-embed"),
        pytest.param(("pretrain", "--dataset", "nothing"), [], id="none"),
        pytest.param(("pretrain", "--set", "train.ep"), ["train.epochs="], id="key"),
        pytest.param(("eda", "--set", "augment.ch"), ["augment.chain="], id="key-of-eda"),
        pytest.param(("plan", "--set", "augment.ch"), ["augment.chain="], id="key-of-plan"),
        pytest.param(("sweep", "--set", "finetune.train.ep"), ["finetune.train.epochs="], id="key-of-sweep"),
        pytest.param(("finetune", "--task", "classify", "--set", "task.poo"), ["task.pool="], id="option-of-a-plugin"),
        pytest.param(
            ("finetune", "--task", "clasify", "--set", "task."), ["task.name="], id="plugin-that-is-not-there"
        ),
    ],
)
def test_what_is_completed(words, offered):
    outcome = CliRunner().invoke(app, [], env=asked(words), prog_name="mae")
    assert (outcome.exit_code, outcome.stdout.split(), outcome.stderr) == (0, offered, "")
