from __future__ import annotations

import sys
from email.message import Message
from importlib.metadata import Distribution, EntryPoint
from pathlib import Path
from typing import Any

import pytest

from maecli.errors import PluginError, SpecError
from maecli.registry import Registry


class Package(Distribution):
    """A package that is not installed."""

    def __init__(self, name: str, version: str) -> None:
        self._metadata = Message()
        self._metadata["Name"], self._metadata["Version"] = name, version

    @property
    def metadata(self) -> Any:
        return self._metadata

    def read_text(self, filename: str) -> str | None:
        return None

    def locate_file(self, path: Any) -> Any:
        raise NotImplementedError


def point(name: str, module: str = "nowhere", package: str = "mae-birds", version: str = "1.2") -> EntryPoint:
    point = EntryPoint(name, module, "mae")
    vars(point)["dist"] = Package(package, version)
    return point


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Return a function that writes an importable module and returns its name."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(name: str, text: str) -> str:
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, name, raising=False)
        return name

    return write


DATASET = """
from maecli import api

class {name}(api.Dataset):
    name = "{key}"
    def card(self, fields=("image",)): raise NotImplementedError
    def split(self, name, fields=()): raise NotImplementedError

@api.hookimpl
def mae_datasets():
    return [{name}]
"""


def test_a_strangers_plugin_is_found_by_its_entry_point(module):
    registry = Registry([point("dataset.birds", module("mae_birds", DATASET.format(name="Birds", key="birds")))])
    assert registry.dataset("birds").__name__ == "Birds"
    assert registry.names("dataset") == ["birds"]
    assert registry.names("task") == []


def test_listing_and_looking_up_import_nothing(module):
    name = module("mae_explodes", "raise RuntimeError('imported')")
    registry = Registry([point("dataset.birds", name)])
    assert registry.listing("dataset", "birds").package == "mae-birds"
    assert registry.names("dataset") == ["birds"]
    assert name not in sys.modules


def test_an_unknown_name_offers_the_nearest():
    registry = Registry([point("task.classify"), point("task.segment")])
    with pytest.raises(SpecError) as caught:
        registry.task("clasify")
    assert str(caught.value) == "unknown task 'clasify'; did you mean 'classify'?; installed: classify, segment"
    with pytest.raises(SpecError, match="unknown model 'vit'; installed: none"):
        registry.model("vit")


def test_two_packages_with_one_name_are_both_refused():
    registry = Registry([point("dataset.birds"), point("dataset.birds", package="mae-aves", version="3")])
    assert registry.names("dataset") == []
    with pytest.raises(PluginError) as caught:
        registry.dataset("birds")
    assert str(caught.value) == ("mae-aves 3: dataset 'birds' is also claimed by mae-birds; uninstall one of them")
    assert caught.value.exit_code == 4
    assert {listing.package: listing.problem for listing in registry.listings} == {
        "mae-aves": "dataset 'birds' is also claimed by mae-birds; uninstall one of them",
        "mae-birds": "dataset 'birds' is also claimed by mae-aves; uninstall one of them",
    }


def test_a_built_in_name_stays_built_in(module):
    ours = module("ours", DATASET.format(name="Ours", key="digits"))
    registry = Registry([point("dataset.digits"), point("dataset.digits", ours, "maecli", "0.1.0")])
    assert registry.dataset("digits").__name__ == "Ours"
    assert [(listing.package, listing.problem) for listing in registry.listings] == [
        ("mae-birds", "dataset 'digits' is a built-in name"),
        ("maecli", ""),
    ]


def test_one_name_may_be_of_several_kinds():
    registry = Registry([point("dataset.birds"), point("recipe.birds", package="another")])
    assert registry.listing("dataset", "birds").package == "mae-birds"
    assert registry.listing("recipe", "birds").package == "another"


@pytest.mark.parametrize("name", ["birds", "bird.birds", "dataset."])
def test_an_entry_point_of_another_form_is_listed_with_its_problem(name):
    [listing] = Registry([point(name)]).listings
    assert listing.problem == (
        f"entry point {name!r} is not named as one of dataset, task, model, tracker, recipe, a dot and a name"
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import a_library_that_is_not_there", "ModuleNotFoundError: No module named 'a_library_that_is_not_there'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def broken(", "SyntaxError: "),
    ],
)
def test_a_broken_import_names_package_and_version(module, text, reason):
    registry = Registry([point("dataset.birds", module("mae_broken", text))])
    with pytest.raises(PluginError) as caught:
        registry.dataset("birds")
    assert str(caught.value).startswith(f"dataset 'birds' of mae-birds 1.2 cannot be loaded: {reason}")
    assert caught.value.exit_code == 4


def test_a_module_that_is_not_there_names_its_package():
    with pytest.raises(PluginError, match=r"of mae-birds 1\.2 cannot be loaded: ModuleNotFoundError"):
        Registry([point("dataset.birds", "mae_nowhere")]).dataset("birds")


def test_a_hook_that_does_not_offer_what_was_announced_is_told(module):
    name = module("mae_other", DATASET.format(name="Other", key="other"))
    registry = Registry([point("dataset.birds", name), point("task.sing", name)])
    with pytest.raises(PluginError) as caught:
        registry.dataset("birds")
    assert str(caught.value) == (
        "mae-birds 1.2 announces dataset 'birds', but mae_other offers other by its hook mae_datasets"
    )
    with pytest.raises(PluginError, match="offers none by its hook mae_tasks"):
        registry.task("sing")


@pytest.mark.parametrize("body", ["return [1 / 0]", "return [object]", "return None"])
def test_a_hook_that_fails_names_package_and_version(module, body):
    text = f"from maecli import api\n@api.hookimpl\ndef mae_datasets():\n    {body}\n"
    registry = Registry([point("dataset.birds", module("mae_fails", text))])
    with pytest.raises(PluginError, match=r"birds"):
        registry.dataset("birds")


def test_a_hook_with_unknown_arguments_is_told(module):
    text = "from maecli import api\n@api.hookimpl\ndef mae_datasets(registry):\n    return []\n"
    with pytest.raises(PluginError, match=r"dataset 'birds' of mae-birds 1\.2 cannot be loaded: PluginValidationError"):
        Registry([point("dataset.birds", module("mae_args", text))]).dataset("birds")


def test_a_recipe_is_a_file_of_its_package(tmp_path, monkeypatch):
    package = tmp_path / "mae_cooking"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "soup.yaml").write_text("pretrain: {}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    registry = Registry([point("recipe.soup", "mae_cooking"), point("recipe.stew", "mae_cooking")])
    assert registry.recipe("soup") == "pretrain: {}\n"
    with pytest.raises(PluginError, match=r"recipe 'stew' of mae-birds 1\.2 cannot be read: .*stew\.yaml"):
        registry.recipe("stew")
    with pytest.raises(PluginError, match=r"recipe 'none' of mae-birds 1\.2 cannot be read: "):
        Registry([point("recipe.none", "mae_no_such_package")]).recipe("none")


def test_every_installed_name_can_be_used():
    registry = Registry()
    for listing in registry.listings:
        if listing.kind == "recipe":
            assert registry.recipe(listing.name)
        else:
            assert getattr(registry, listing.kind)(listing.name).name == listing.name
        assert listing.package == "maecli"
        assert listing.problem == ""


def test_plugins_in_the_tree_are_all_announced():
    plugins = Path(__file__).parents[1] / "plugins"
    modules = {
        f"maecli_plugins.{path.parent.name}.{path.stem}"
        for path in plugins.glob("*/*.py")
        if path.stem != "__init__" and "@api.hookimpl" in path.read_text(encoding="utf-8")
    }
    assert modules == {listing.module for listing in Registry().listings if listing.kind != "recipe"}
