"""The house: each room imports only what stands below it, and nothing of ours names a built-in plugin."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = (
    {"cli"},
    {"verbs"},
    {"scaffold", "testing", "imputer"},
    {"sweep"},
    {"plan", "speed"},
    {"run"},
    {"outputs"},
    {"spec"},
    {"registry"},
    {"api"},
    {"hookspecs"},
    {"reports"},
    {"eda"},
    {"exporting"},
    {"training"},
    {"parallel"},
    {"weights"},
    {"loading"},
    {"modalities"},
    {"layouts"},
    {"data"},
    {"models"},
    {"paired", "overlap", "least"},
    {
        "storage",
        "schema",
        "plugin_options",
        "hardware",
        "progress",
        "terminal",
        "memory",
        "results",
        "measures",
    },
    {"errors", "text"},
)
"""From the top floor down; rooms of one floor may know each other."""
WITHOUT_TORCH = {"cli", "spec", "registry", "storage", "schema", "errors", "results", "text", "terminal", "progress"}
LEVEL = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}


def room_of(module: str) -> str:
    """`run` of maecli.run.open; empty for maecli itself."""
    return module.split(".")[1] if "." in module else ""


def imports(tree: ast.Module, at_import: bool = False) -> Iterator[str]:
    """Yield the modules that a module imports; `at_import`: only those that its own import takes."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            if not at_import:
                yield from imports(node, at_import)  # type: ignore[arg-type]
        elif not at_import or not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from imports(node, at_import)  # type: ignore[arg-type]


MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in sorted((ROOT / "maecli").rglob("*.py"))
}


@pytest.mark.slow
@pytest.mark.parametrize("module", MODULES)
def test_a_room_imports_only_what_stands_below_it(module):
    room = room_of(module.removesuffix(".__init__"))
    if room in ("", "__init__", "__main__"):
        return
    tree = ast.parse(MODULES[module].read_text())
    ours = {room_of(name) for name in imports(tree) if name.startswith("maecli.")} - {room, "__version__"}
    above = {other for other in ours if LEVEL[other] < LEVEL[room]}
    assert not above, f"{module} imports from {', '.join(sorted(above))}, which stand above {room}"


@pytest.mark.parametrize("module", [name for name in MODULES if room_of(name) in WITHOUT_TORCH])
def test_rooms_that_open_at_once_import_no_torch(module):
    tree = ast.parse(MODULES[module].read_text())
    assert not {name for name in imports(tree, at_import=True) if name.split(".")[0] in ("torch", "torchvision")}


@pytest.mark.slow
def test_no_module_of_ours_imports_a_built_in_plugin():
    for path in MODULES.values():
        assert "maecli_plugins" not in {name.split(".")[0] for name in imports(ast.parse(path.read_text()))}


def test_plugins_import_nothing_of_ours_but_the_api():
    for path in sorted((ROOT / "plugins").rglob("*.py")):
        if "tests" not in path.parts:
            names = {name for name in imports(ast.parse(path.read_text())) if name.split(".")[0] == "maecli"}
            assert all(name.split(".")[1] == "api" for name in names), path


TRAINING = {"pretrain": "train", "finetune": "train"}
"""The verbs that train share their options, and what happens between an `Ask` and a run."""


def test_every_verb_has_a_file_of_its_name():
    from maecli.cli import app

    names = {group.name for group in app.registered_groups}
    for command in app.registered_commands:
        name = command.name or command.callback.__name__
        assert command.callback.__module__ == f"maecli.cli.{TRAINING.get(name, name)}"
        names.add(name)
    files = {path.stem for path in (ROOT / "maecli" / "verbs").glob("*.py")} - {"__init__"}
    assert files == {TRAINING.get(name, name) for name in names} - {"schema"}  # which is printed as it is
