"""Packages of strangers as if they were installed, and processes that see them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

from installed import write_package

DRIVER = """
import json, sys
from maecli.cli import app
for command in json.loads(sys.argv[1]):
    print("$ mae", *command, flush=True)
    try:
        app(command, prog_name="mae")
    except SystemExit as end:
        if end.code:
            sys.exit(end.code)
"""


LIGHT = """
from maecli.testing import imports

imports.import_costs = lambda modules, base: {name: imports.ImportCost(0.0, ()) for name in modules}
"""


def install(project: Path, site: Path) -> None:
    """Put a project in the layout of `src/` where Python finds it, with the metadata that installing would write."""
    about = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    shutil.copytree(
        project / "src", site, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
    )
    write_package(site, about["name"], about["entry-points"]["mae"], about["version"])


def run_mae(site: Path, folder: Path, commands: Sequence[Sequence[str]]) -> str:
    """Call `mae` with each of the commands, in `folder`, in one process that sees `site`; return what they print."""
    return _run(["-c", DRIVER, json.dumps([list(command) for command in commands])], site, folder)


def run_pytest(site: Path, *folders: Path) -> str:
    """Run tests in a process that sees `site`, and takes every module for a light one; return what pytest prints.

    What imports cost is measured, with a process for each, by `mae plugins check` and in `benchmarks/wheels.py`.
    """
    (site / "light_modules.py").write_text(LIGHT)
    options = ("-p", "no:cacheprovider", "-p", "light_modules")
    return _run(["-m", "pytest", "-q", *options, *map(str, folders)], site, folders[0])


def _run(arguments: Sequence[str], site: Path, folder: Path) -> str:
    """Return stdout of Python in `folder`, where no setting of this machine counts; fails with all of its output."""
    settings = {name: value for name, value in os.environ.items() if not name.startswith(("MAE_", "PYTEST_"))}
    config = {"PYTHONPATH": str(site), "OMP_NUM_THREADS": "1", "MAE_CONFIG": str(folder / "config")}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=folder, env=settings | config, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
    return done.stdout
