from __future__ import annotations

import ast
import fnmatch
import importlib.metadata
import json
import math
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import maecli
from maecli import api
from maecli.registry import registry
from maecli.testing.imports import import_costs

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
TREES = {"maecli": ROOT / "maecli", "maecli_plugins": ROOT / "plugins"}
STRANGERS = TREES["maecli_plugins"] / "packages"
"""Packages of their own, with their own tests: see `test_packages`."""


def ours(tree: Path, pattern: str) -> list[Path]:
    return sorted(path for path in tree.rglob(pattern) if STRANGERS not in path.parents)


SOURCES = ours(TREES["maecli"], "*.py")
SHARE_OF_TORCH = 0.25
"""Of the processor time of `import torch`, which slow and busy machines stretch alike: 0.14 to 0.16 measured."""
ORDINARY_WORDS = {"folder", "hf", "onnx", "safetensors", "series", "table", "tensorboard", "timm", "torch", "volumes"}
"""Some are names of libraries too."""
PLUGINS = ours(TREES["maecli_plugins"], "*.py")


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def packages() -> dict[str, Path]:
    """Return every package on the disk by its installed name."""
    found = {}
    for name, tree in TREES.items():
        for init in ours(tree, "__init__.py"):
            found[".".join([name, *init.parent.relative_to(tree).parts])] = init.parent
    return found


def imports(path: Path) -> Iterator[str]:
    """Yield the full name of everything that a module imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names)


def test_no_package_is_left_out_of_the_wheel():
    settings = PYPROJECT["tool"]["setuptools"]
    assert settings["package-dir"] == {name: tree.name for name, tree in TREES.items()}
    assert sorted(settings["packages"]) == sorted(packages())


def test_every_folder_with_code_is_a_package():
    folders = {path.parent for path in (*SOURCES, *PLUGINS)}
    assert folders == set(packages().values())


def test_no_data_file_is_left_out_of_the_wheel():
    patterns = PYPROJECT["tool"]["setuptools"]["package-data"]
    folders = packages()
    carried = {file for name, globs in patterns.items() for pattern in globs for file in folders[name].glob(pattern)}
    others = {
        file
        for tree in TREES.values()
        for file in ours(tree, "*")
        if file.is_file() and file.suffix != ".py" and "__pycache__" not in file.parts
    }
    assert sorted(map(relative, carried)) == sorted(map(relative, others))
    assert all(
        any(fnmatch.fnmatch(file.name, Path(glob).name) for file in carried) for g in patterns.values() for glob in g
    )


def test_one_version_everywhere():
    version = PYPROJECT["project"]["version"]
    assert maecli.__version__ == version
    assert importlib.metadata.version("maecli") == version


def test_the_changelogs_newest_version_is_this_one():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## \[(\d+\.\d+\.\d+[^\]]*)\] - \d{4}-\d{2}-\d{2}$", text, re.MULTILINE)
    assert versions, "no line such as: ## [0.1.0] - 2026-01-31"
    assert versions[0] == PYPROJECT["project"]["version"]


def test_the_command_is_installed():
    [script] = importlib.metadata.entry_points(group="console_scripts", name="mae")
    assert script.value == "maecli.cli:main"


def test_entry_points_are_those_of_the_project_file():
    declared = PYPROJECT["project"]["entry-points"]["mae"]
    announced = {each.key: each.module for each in registry().listings if each.kind != "recipe"}
    [recipes] = {each.module for each in registry().listings if each.kind == "recipe"}
    assert announced | {"recipes": recipes} == declared
    assert list(declared) == sorted(declared)


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_we_know_nothing_of_the_built_in_plugins(path):
    assert not [name for name in imports(path) if name.startswith("maecli_plugins")]
    names = {each.name for each in registry().listings if each.kind not in ("recipe", "modality")} - ORDINARY_WORDS
    tree = ast.parse(path.read_text(encoding="utf-8"))
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    assert texts.isdisjoint(names), "name a plugin in a recipe, or in the plugin itself"


@pytest.mark.parametrize("module", [api, api.draw, api.measure, api.modalities, api.nets, api.pictures, api.tables])
def test_the_api_and_its_drawers_offer_what_they_say(module):
    assert [name for name in module.__all__ if not hasattr(module, name)] == []
    assert module.__all__ == sorted(module.__all__, key=lambda name: (not name.isupper(), name[0].islower(), name))
    public = {name for name in vars(module) if not name.startswith(("_", "@"))}  # @: what pytest adds for its asserts
    assert public - set(module.__all__) == set()


def test_the_api_fits_one_screen():
    assert len(api.__all__) <= 47


@pytest.mark.slow
def test_the_api_and_every_plugin_are_imported_at_once_and_bring_no_heavy_library():
    """Processor seconds, as a share of what torch takes in the same process; the least of several processes."""
    modules = sorted({each.module for each in registry().listings if each.kind != "recipe"})
    least: dict[str, float] = {}
    for _ in range(4):
        costs = import_costs(["torch", "maecli.api", *modules], [])
        assert set(costs) == {"torch", "maecli.api", *modules}
        assert {name: cost.heavy for name, cost in costs.items() if cost.heavy} == {}
        torchs = costs.pop("torch").seconds
        for name, cost in costs.items():
            least[name] = min(least.get(name, math.inf), cost.seconds / torchs)
        if sum(least.values()) <= SHARE_OF_TORCH:
            break
    assert sum(least.values()) <= SHARE_OF_TORCH, least


@pytest.mark.slow
def test_the_api_loads_no_decoder_and_no_library_that_few_plugins_need():
    program = """
import json, sys
import torch
before = set(sys.modules)
import maecli.api
print(json.dumps(sorted({name.split(".")[0] for name in set(sys.modules) - before} - sys.stdlib_module_names)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=280, check=True)
    of_pydantic = {"annotated_types", "pydantic", "pydantic_core", "typing_inspection"}
    needed = of_pydantic | {"maecli", "numpy", "pluggy"}
    assert set(json.loads(done.stdout)) - needed == set()


@pytest.mark.slow
def test_nothing_is_unpickled_but_plain_data():
    for path in (*SOURCES, *PLUGINS):
        names = set(imports(path))
        loaders = {"pickle", "dill", "joblib", "shelve", "marshal"} & {name.split(".")[0] for name in names}
        own = path.name == "parcels.py"  # between the processes of one run, through a socket that has no name
        assert loaders == ({"pickle"} if own or path.name == "plain_pickle.py" else set()), path
        text = path.read_text(encoding="utf-8")
        assert "torch.load(" not in text or "weights_only=True" in text, path
        assert "allow_pickle=True" not in text, path
