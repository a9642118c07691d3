"""The packages under `plugins/packages` are strangers that happen to live here."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = sorted(path.parent for path in (ROOT / "plugins/packages").glob("*/pyproject.toml"))
ENTRY_POINTS = {
    "mae-denoise": {"task.denoise"},
    "mae-webdataset": {"dataset.webdataset", "recipes"},
}
each_package = pytest.mark.parametrize("project", PACKAGES, ids=lambda project: project.name)


def about(project: Path) -> dict[str, object]:
    found: dict[str, object] = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return found


@each_package
def test_it_adds_what_it_says(project):
    declared = about(project)["entry-points"]["mae"]
    assert set(declared) == ENTRY_POINTS[about(project)["name"]]
    for module in declared.values():
        path = project / "src" / module.replace(".", "/")
        assert path.is_dir() or path.with_suffix(".py").is_file()


@each_package
def test_it_imports_nothing_of_us_but_the_api(project):
    names = set()
    for path in (project / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names |= {f"{node.module}.{alias.name}" for alias in node.names}
    ours = {name for name in names if name.split(".")[0] in ("maecli", "maecli_plugins")}
    assert ours == {"maecli.api"}


@each_package
def test_it_is_a_whole_package(project):
    facts = about(project)
    assert facts["name"] == project.name
    assert facts["license"] == "MIT"
    assert (project / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
    assert f"pip install maecli {project.name}" in (project / "README.md").read_text(encoding="utf-8")
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    major, minor, _ = ours.split(".")
    assert f"maecli>={major}.{minor},<{major}.{int(minor) + 2}" in facts["dependencies"]


@pytest.mark.slow
def test_our_wheel_holds_neither(tmp_path):
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    for tree in ("maecli", "plugins"):
        shutil.copytree(ROOT / tree, tmp_path / tree, ignore=shutil.ignore_patterns("__pycache__"))
    build = "from setuptools import build_meta; print(build_meta.build_wheel('dist'))"
    subprocess.run([sys.executable, "-c", build], cwd=tmp_path, check=True, capture_output=True)
    [wheel] = (tmp_path / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert "maecli_plugins/tasks/classify/task.py" in names
    assert [name for name in names if "packages" in name or "denoise" in name or "webdataset" in name] == []
