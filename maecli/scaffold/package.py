"""Writing the package from its templates."""

from __future__ import annotations

import datetime
import importlib.resources
from pathlib import Path
from typing import Any

from maecli import __version__
from maecli.errors import SpecError
from maecli.scaffold.names import Plan
from maecli.storage.files import disk_errors, write_text

WHOLE, OF_DATASET, OF_TASK = "whole", "dataset", "task"
FILES: tuple[tuple[str, str, str], ...] = (
    ("pyproject.toml", "pyproject.toml", WHOLE),
    ("README.md", "README.md", WHOLE),
    ("LICENSE", "LICENSE", WHOLE),
    (".gitignore", "gitignore", WHOLE),
    (".github/workflows/tests.yml", "workflow.yml", WHOLE),
    ("src/{module}/__init__.py", "init.py", WHOLE),
    ("src/{module}/dataset.py", "dataset.py", OF_DATASET),
    ("src/{module}/{dataset}.yaml", "recipe.yaml", OF_DATASET),
    ("tests/test_dataset.py", "test_dataset.py", OF_DATASET),
    ("src/{module}/task.py", "task.py", OF_TASK),
    ("tests/test_task.py", "test_task.py", OF_TASK),
)
"""Path in the package, template (plus `.jinja`), and whose it is."""


def bounds(version: str = __version__) -> str:
    """Return the versions of ours that a package written now can count on: this minor one and the next.

    What the next one renames still works there, with a warning that a lower bound would keep from the package. What
    breaks it raises API_VERSION, and it says by MAE_API_VERSION for which one it was written.
    """
    major, minor = (int(part) for part in version.split(".")[:2])
    return f">={major}.{minor},<{major}.{minor + 2}"


def write_package(plan: Plan, out: Path) -> list[Path]:
    """Write the package into the folder `out`, and return its files.

    Raises SpecError for a folder that holds something, and for a file in its place.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        what = "not empty" if out.is_dir() else "a file"
        raise SpecError(f"{out} is {what}, so nothing is written there; give another folder by --out")
    written = []
    for path, template, whose in FILES:
        if (whose == OF_DATASET and plan.dataset is None) or (whose == OF_TASK and plan.task is None):
            continue
        file = out / path.format(module=plan.module, dataset=plan.dataset)
        with disk_errors(file):
            file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, _render(template, plan))
        written.append(file)
    return written


def _render(template: str, plan: Plan) -> str:
    import jinja2  # only who writes a package waits for it

    source = importlib.resources.files("maecli.scaffold") / "templates" / f"{template}.jinja"
    facts: dict[str, Any] = {
        "plan": plan,
        "bounds": bounds(),
        "year": datetime.date.today().year,
    }
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, keep_trailing_newline=True, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(source.read_text(encoding="utf-8")).render(facts)
