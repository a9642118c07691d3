"""`mae plugins new`: a complete package to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from maecli.cli.application import print_json, user_errors
from maecli.cli.options import JsonOption
from maecli.cli.plugins import plugins_app
from maecli.terminal import answer


@plugins_app.command()
def new(
    package: Annotated[str, typer.Argument(metavar="PACKAGE", help="Name of the package, such as mae-whatever.")],
    dataset: Annotated[str | None, typer.Option("--dataset", help="Name of the data set that it adds.")] = None,
    task: Annotated[str | None, typer.Option("--task", help="Name of the task that it adds.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Empty or new folder; default: ./PACKAGE.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a package with a small example that installs, passes its own tests and runs at once."""
    with user_errors(as_json):
        from maecli.registry import Registry
        from maecli.scaffold import plan_package, write_package

        plan = plan_package(package, dataset, task, Registry())
        folder = (out or Path(package)).expanduser()
        files = write_package(plan, folder)
        if as_json:
            names = [file.relative_to(folder).as_posix() for file in files]
            print_json({"package": package, "out": str(folder), "files": names})
            return
        answer(f"{folder}: {len(files)} files")
        for step in plan.first_steps(folder):
            answer(f"  {step}")
