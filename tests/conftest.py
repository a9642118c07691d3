"""What many tests share: one thread, no network, runs and data under `tmp_path`, and toy runs of the command line."""

from __future__ import annotations

import functools
import gc
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import typer.testing
from attempts import serving
from installed import look_again
from PIL import Image
from write_data import write_class_folders, write_mask_folder

from maecli.cli import app
from maecli.reports import canvas, vector
from maecli.run import environment
from maecli.testing import imports

torch.set_num_threads(1)
typer.testing._get_command = functools.cache(typer.main.get_command)  # each call of `mae` would read all signatures

TOY_MODEL = (
    *("--model", "vit", "--img-size", "16", "--patch-size", "4"),
    *(
        "--set",
        "model.embed_dim=16",
        "--set",
        "model.depth=2",
        "--set",
        "model.num_heads=2",
        "--set",
        "model.mlp_ratio=2",
    ),
)
TOY_RUN = (
    *("--device", "cpu", "--precision", "float32", "--workers", "0", "--epochs", "2", "--batch-size", "8"),
    *("--set", "trackers=[jsonl]", "--set", "train.warmup_epochs=0", "--set", "augment.crop=none"),
    *("--base-lr", "1e-3", "--set", "train.ema_decay=null", "--set", "log_every_steps=1"),
    *("--set", "checkpoint.every_epochs=1", "--set", "eval_every_epochs=1"),
)
TOY_DECODER = (
    *("--set", "task.decoder_embed_dim=16", "--set", "task.decoder_depth=1", "--set", "task.decoder_num_heads=2"),
    *("--set", "task.norm_pix_loss=false"),
)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Share the whole suite among two processes; files and tests that were named run in pytest's own, at once."""
    return 2 if config.args_source is pytest.Config.ArgsSource.TESTPATHS and (os.cpu_count() or 1) > 1 else 0


@pytest.fixture(autouse=True)
def _apart_from_the_world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep runs, data and settings in `tmp_path`, and refuse connections to other machines."""
    monkeypatch.setenv("MAE_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("MAE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("MAE_CONFIG", str(tmp_path / "config"))
    connect = socket.socket.connect

    def connect_here(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise OSError(f"tests have no network: {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect_here)


@pytest.fixture(scope="session", autouse=True)
def _ask_git_once() -> None:
    """Know the revision of this folder from the first run on: each would start git three times for it."""
    environment.git_revision = functools.cache(environment.git_revision)


@pytest.fixture(autouse=True)
def _know_a_pace_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time fewer steps for plans and dry runs, of which nothing here has to be exact."""
    monkeypatch.setattr("maecli.run.begin.timing.ENOUGH", (6, 0.05))


class Outcome:
    """What a call of `mae` did."""

    def __init__(self, args: tuple[str, ...]) -> None:
        result = typer.testing.CliRunner().invoke(app, list(args))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        self.exit_code, self.stdout, self.stderr = result.exit_code, result.stdout, result.stderr

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON object on stdout."""
        value: dict[str, Any] = json.loads(self.stdout)
        assert isinstance(value, dict)
        assert self.stdout.count("\n") == 1
        return value


def call(*args: object) -> Outcome:
    return Outcome(tuple(map(str, args)))


@pytest.fixture
def mae() -> Callable[..., Outcome]:
    """Return a function that calls `mae` in this process."""
    return call


@pytest.fixture
def told_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every module be light: measuring one takes a process that loads torch."""

    def costs(modules: Sequence[str], base: Sequence[str]) -> dict[str, imports.ImportCost]:
        return {name: imports.ImportCost(0.0, ()) for name in modules}

    monkeypatch.setattr(imports, "import_costs", costs)


@pytest.fixture
def without_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make no picture of charts, which takes half of the time of a toy run: a single pixel stands for each.

    What a chart is to show is still plotted. Not for tests that look at charts, or hold that they can be drawn.
    """
    pixel = canvas.encode_png(Image.new("L", (1, 1)))
    monkeypatch.setattr(canvas, "to_png", lambda figure, notes: pixel)
    monkeypatch.setattr(vector, "to_svg", lambda figure, colours: "")


@pytest.fixture(scope="session")
def server() -> Iterator[subprocess.Popen[str]]:
    """Return the process that forks attempts; see `attempts`."""
    with serving() as process:
        yield process


@pytest.fixture
def toy_pretrain() -> tuple[str, ...]:
    """Return the arguments of a pretraining run of a second; the data set is the caller's."""
    return ("pretrain", *TOY_MODEL, *TOY_DECODER, *TOY_RUN)


@pytest.fixture
def toy_finetune() -> tuple[str, ...]:
    """Return the arguments of a fine-tuning run of a second; the data set is the caller's."""
    return ("finetune", "--task", "classify", *TOY_MODEL, *TOY_RUN)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of 20 cats and 20 dogs, 8 x 8 pixels. Not to be changed."""
    root = tmp_path_factory.mktemp("pictures")
    write_class_folders(root)
    return root


@pytest.fixture(scope="session")
def pretrained(tmp_path_factory: pytest.TempPathFactory, pictures: Path) -> Path:
    """Return a finished pretraining run on `pictures`. Not to be changed."""
    out = tmp_path_factory.mktemp("runs") / "pretrained"
    outcome = call(
        *("pretrain", *TOY_MODEL, *TOY_DECODER, *TOY_RUN, "--dataset", "folder", "--root", pictures, "--out", out)
    )
    assert outcome.exit_code == 0, outcome.stderr
    return out


@pytest.fixture(scope="session")
def finetuned(tmp_path_factory: pytest.TempPathFactory, pictures: Path) -> Path:
    """Return a finished classifier of `pictures`. Not to be changed."""
    out = tmp_path_factory.mktemp("runs") / "finetuned"
    dataset = ("--dataset", "folder", "--root", pictures, "--out", out)
    outcome = call("finetune", "--task", "classify", *TOY_MODEL, *TOY_RUN, *dataset)
    assert outcome.exit_code == 0, outcome.stderr
    return out


@pytest.fixture(scope="session")
def segmented(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a segmentation run of two steps, which learnt to say several classes. Not to be changed.

    Of its pictures, a cat and a dog are test, a cat and a dog val.
    """
    root = tmp_path_factory.mktemp("segmented")
    names = write_mask_folder(root / "data", 12)
    rows = [f"images/{name},{split}" for name, split in zip(names, ("test", "test", "val", "val"), strict=False)]
    (root / "data/labels.csv").write_text("\n".join(["file,split", *rows]))
    dataset = ("--dataset", "folder", "--root", root / "data", "--out", root / "run")
    rates = ("--base-lr", "0.3", "--set", "task.class_weights=[0.1,1,1]")
    outcome = call("finetune", "--task", "segment", *TOY_MODEL, *TOY_RUN, *dataset, *rates)
    assert outcome.exit_code == 0, outcome.stderr
    return root / "run"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return an empty folder on the path, for packages of strangers: see `installed`."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    look_again()
    yield folder
    look_again()


frozen_modules = 0
"""How many modules there were when garbage was last looked for among what they made."""


def pytest_collection_finish() -> None:
    leave_out_modules()


def pytest_runtest_logfinish() -> None:
    if len(sys.modules) > frozen_modules + 100:
        leave_out_modules()


def leave_out_modules() -> None:
    """Leave what imports made out of every later collection of garbage: half a million things that stay."""
    global frozen_modules
    gc.collect()
    gc.freeze()
    frozen_modules = len(sys.modules)


def pytest_unconfigure() -> None:
    gc.unfreeze()  # libraries count what is left when the process ends
