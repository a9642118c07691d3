"""Writing the package from its templates."""

from __future__ import annotations

import datetime
from pathlib import Path

from maecli import __version__
from maecli.errors import SpecError
from maecli.scaffold.names import Plan
from maecli.storage.files import disk_errors, write_text

FILES = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "LICENSE": "LICENSE",
    ".gitignore": "gitignore",
    ".github/workflows/tests.yml": "workflow.yml",
    "src/{module}/__init__.py": "init.py",
}
OF_KIND = {
    "dataset": {
        "src/{module}/dataset.py": "dataset.py",
        "src/{module}/{dataset}.yaml": "recipe.yaml",
        "tests/test_dataset.py": "test_dataset.py",
    },
    "task": {"src/{module}/task.py": "task.py", "tests/test_task.py": "test_task.py"},
    "model": {"src/{module}/model.py": "model.py", "tests/test_model.py": "test_model.py"},
    "tracker": {"src/{module}/tracker.py": "tracker.py", "tests/test_tracker.py": "test_tracker.py"},
    "export": {"src/{module}/export.py": "export.py", "tests/test_export.py": "test_export.py"},
}
"""Path in the package → template, plus `.jinja`: of every package, and beside it of each kind that it adds."""


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
    of_kinds = [pair for kind in plan.adds for pair in OF_KIND[kind].items()]
    for path, template in [*FILES.items(), *of_kinds]:
        file = out / path.format(module=plan.module, dataset=plan.dataset)
        with disk_errors(file):
            file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, _render(template, plan))
        written.append(file)
    return written


def _render(template: str, plan: Plan) -> str:
    import jinja2  # only who writes a package waits for it

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("maecli.scaffold"),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(f"{template}.jinja").render(
        plan=plan, bounds=bounds(), year=datetime.date.today().year
    )
