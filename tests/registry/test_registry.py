from __future__ import annotations

import json
import posixpath
import sys
from pathlib import Path

import pytest
from entry_points import point

from maecli import __version__
from maecli.errors import PluginError, SpecError
from maecli.hookspecs import API_VERSION, SUPPORTED_API_VERSIONS
from maecli.registry import Listing, Registry
from maecli.registry.switches import Switches, config_file, write_disabled

SPOKEN = f"mae {__version__} speaks {', '.join(map(str, SUPPORTED_API_VERSIONS))}"


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Return a function that writes an importable module and returns its name."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(name: str, text: str) -> str:
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, name, raising=False)
        return name

    return write


def refusal(registry: Registry, kind: str, name: str) -> str:
    """Return the one line that says why a plugin cannot be used."""
    with pytest.raises(PluginError) as caught:
        getattr(registry, kind)(name)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 4
    return str(caught.value)


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
BIRDS = DATASET.format(name="Birds", key="birds")


def test_a_strangers_plugin_is_found_by_its_entry_point(module):
    registry = Registry([point("dataset.birds", module("mae_birds", BIRDS))])
    assert registry.dataset("birds").__name__ == "Birds"
    assert registry.names("dataset") == ["birds"]
    assert registry.names("task") == []


def test_listing_and_looking_up_import_nothing(module):
    name = module("mae_explodes", "raise RuntimeError('imported')")
    registry = Registry([point("dataset.birds", name)])
    assert registry.listing("dataset", "birds").package == "mae-birds"
    assert registry.names("dataset") == ["birds"]
    assert [listing.status for listing in registry.listings] == ["unchecked"]
    assert name not in sys.modules


def test_an_unknown_name_offers_the_nearest():
    registry = Registry([point("task.classify"), point("task.segment")])
    with pytest.raises(SpecError) as caught:
        registry.task("clasify")
    assert str(caught.value) == "unknown task 'clasify'; did you mean 'classify'?; installed: classify, segment"
    with pytest.raises(SpecError, match="unknown model 'vit'; installed: none"):
        registry.model("vit")


def test_of_two_packages_with_one_name_neither_is_taken(module):
    alone = point("dataset.gulls", module("mae_gulls", DATASET.format(name="Gulls", key="gulls")), "mae-aves", "3")
    registry = Registry([point("dataset.birds"), point("dataset.birds", package="mae-aves", version="3"), alone])
    assert registry.names("dataset") == ["gulls"]
    assert registry.dataset("gulls").name == "gulls"
    assert refusal(registry, "dataset", "birds") == (
        "mae-aves 3: dataset 'birds' is also claimed by mae-birds, so neither is used; "
        "`mae plugins disable mae-aves` gives this one up"
    )
    assert {listing.package: listing.reason for listing in registry.listings if listing.status == "clash"} == {
        "mae-aves": "dataset 'birds' is also claimed by mae-birds, so neither is used; "
        "`mae plugins disable mae-aves` gives this one up",
        "mae-birds": "dataset 'birds' is also claimed by mae-aves, so neither is used; "
        "`mae plugins disable mae-birds` gives this one up",
    }


def test_of_two_packages_with_one_name_disabling_one_lets_the_other_work(module):
    clash = [
        point("dataset.birds", module("mae_birds", BIRDS)),
        point("dataset.birds", package="mae_Aves", version="3"),
    ]
    registry = Registry(clash, Switches(disabled=frozenset({"mae-aves"})))
    assert registry.dataset("birds").__name__ == "Birds"
    assert {listing.package: (listing.status, listing.reason) for listing in registry.listings} == {
        "mae-birds": ("unchecked", ""),
        "mae_Aves": ("disabled", "dataset 'birds' is disabled; `mae plugins enable mae-aves` brings it back"),
    }


def test_a_built_in_name_stays_built_in(module):
    ours = module("ours", DATASET.format(name="Ours", key="digits"))
    points = [point("dataset.digits"), point("dataset.digits", ours, "maecli", "0.1.0")]
    registry = Registry(points)
    assert registry.dataset("digits").__name__ == "Ours"
    assert [(listing.package, listing.status, listing.reason) for listing in registry.listings] == [
        (
            "mae-birds",
            "clash",
            "dataset 'digits' is a built-in name, which stays ours; `mae plugins disable mae-birds` gives this one up",
        ),
        ("maecli", "ok", ""),
    ]
    everything_off = Switches(frozenset({"maecli", "dataset.digits"}), frozenset())
    assert Registry(points, everything_off).dataset("digits").__name__ == "Ours"


def test_one_name_may_be_of_several_kinds():
    registry = Registry([point("dataset.birds"), point("task.birds", package="another")])
    assert registry.listing("dataset", "birds").package == "mae-birds"
    assert registry.listing("task", "birds").package == "another"


@pytest.mark.parametrize("name", ["birds", "bird.birds", "dataset.", "recipe.birds"])
def test_an_entry_point_of_another_form_is_listed_with_its_problem(name):
    [listing] = Registry([point(name)]).listings
    assert listing.status == "broken"
    assert listing.line == (
        f"mae-birds 1.2: entry point {name!r} is neither 'recipes' nor one of dataset, modality, task, model, tracker, "
        "export, a dot and a name"
    )


def test_an_entry_point_names_a_module():
    [listing] = Registry([point("dataset.birds", "mae_birds:Birds")]).listings
    assert listing.line == ("mae-birds 1.2: entry point 'dataset.birds' names 'mae_birds:Birds', which is not a module")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import a_library_that_is_not_there", "ModuleNotFoundError: No module named 'a_library_that_is_not_there'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def broken(", "SyntaxError: "),
        ("raise SystemExit('no GPU')", "SystemExit: no GPU"),
        ("raise RuntimeError('one\\n two')", "RuntimeError: one two"),
        ("class Shy(Exception):\n    def __str__(self):\n        return 1 / 0\nraise Shy", "Shy"),
        (
            "from maecli.api import Telepathy",
            "ImportError: cannot import name 'Telepathy' from 'maecli.api'",
        ),
    ],
)
def test_a_broken_import_names_package_version_and_cause_in_one_line(module, text, reason):
    registry = Registry([point("dataset.birds", module("mae_broken", text))])
    line = refusal(registry, "dataset", "birds")
    assert line.startswith(f"mae-birds 1.2: dataset 'birds' cannot be imported: {reason}")
    [checked] = registry.checked()
    assert (checked.status, checked.line) == ("broken", line)


@pytest.mark.parametrize("text", ["from maecli.api import Telepathy", "from maecli import api\napi.Telepathy"])
def test_a_name_that_the_api_lacks_may_be_of_a_newer_one(module, text):
    with pytest.raises(PluginError, match=rf" speaks plugin API {API_VERSION}: upgrade maecli if the plugin is newer$"):
        Registry([point("dataset.birds", module("mae_newer", text))]).dataset("birds")


def test_a_module_that_is_not_there_names_its_package():
    with pytest.raises(PluginError, match=r"^mae-birds 1\.2: dataset 'birds' cannot be imported: ModuleNotFoundError"):
        Registry([point("dataset.birds", "mae_nowhere")]).dataset("birds")


def test_a_plugin_for_a_newer_api_is_refused(module):
    name = module("mae_newer", f"MAE_API_VERSION = {API_VERSION + 1}\n{BIRDS}")
    assert refusal(Registry([point("dataset.birds", name)]), "dataset", "birds") == (
        f"mae-birds 1.2: dataset 'birds' was written for plugin API {API_VERSION + 1}, and {SPOKEN}: upgrade maecli"
    )


@pytest.mark.parametrize(
    ("stated", "reason"),
    [
        ("0", f"was written for plugin API 0, and {SPOKEN}: upgrade the plugin"),
        ("'1'", f"cannot be used: MAE_API_VERSION must be a whole number such as {API_VERSION}"),
        ("True", f"cannot be used: MAE_API_VERSION must be a whole number such as {API_VERSION}"),
    ],
)
def test_an_api_version_that_is_not_spoken_is_refused(module, stated, reason):
    name = module("mae_older", f"MAE_API_VERSION = {stated}\n{BIRDS}")
    line = refusal(Registry([point("dataset.birds", name)]), "dataset", "birds")
    assert line == f"mae-birds 1.2: dataset 'birds' {reason}"


@pytest.mark.parametrize("stated", ["", f"MAE_API_VERSION = {API_VERSION}"])
def test_this_api_version_is_taken_said_or_unsaid(module, stated):
    name = module("mae_birds", f"{stated}\n{BIRDS}")
    assert Registry([point("dataset.birds", name)]).dataset("birds").name == "birds"


def test_a_hook_that_does_not_offer_what_was_announced_is_told(module):
    name = module("mae_other", DATASET.format(name="Other", key="other"))
    registry = Registry([point("dataset.birds", name), point("task.sing", name), point("dataset.other", name)])
    assert refusal(registry, "dataset", "birds") == (
        "mae-birds 1.2: dataset 'birds' is announced, but mae_other offers other by its hook mae_datasets"
    )
    with pytest.raises(PluginError, match="offers none by its hook mae_tasks"):
        registry.task("sing")
    assert registry.dataset("other").name == "other"


HOOK = "from maecli import api\n{before}\n@api.hookimpl\ndef mae_{kind}s():\n    {body}\n"


@pytest.mark.parametrize(
    ("kind", "before", "body", "reason"),
    [
        ("dataset", "", "1 / 0", "its hook mae_datasets fails: ZeroDivisionError: division by zero"),
        ("dataset", "", "return 3", "its hook mae_datasets fails: TypeError: 'int' object is not iterable"),
        ("dataset", "", "raise SystemExit", "its hook mae_datasets fails: SystemExit"),
        (
            "dataset",
            "",
            "return [object]",
            "its hook mae_datasets returns object, not classes of api.Dataset",
        ),
        (
            "dataset",
            "class Shy:\n    def __repr__(self): return 1 / 0",
            "return [Shy()]",
            "its hook mae_datasets returns an object of type Shy, not classes of api.Dataset",
        ),
        ("task", "", "return ['x']", "its hook mae_tasks returns an object of type str, not classes of api.Task"),
        (
            "model",
            "class A(api.Tracker): name = 'a'",
            "return [A]",
            "its hook mae_models returns A, not classes of api.Model",
        ),
    ],
)
def test_a_hook_that_fails_is_told_in_one_line(module, kind, before, body, reason):
    name = module("mae_bad", HOOK.format(kind=kind, before=before, body=body))
    registry = Registry([point(f"{kind}.a", name)])
    with pytest.raises(PluginError) as caught:
        getattr(registry, kind)("a")
    assert str(caught.value) == f"mae-birds 1.2: {kind} 'a' cannot be offered: {reason}"


def test_a_hook_that_returns_nothing_offers_none(module):
    name = module("mae_bad", HOOK.format(kind="dataset", before="", body="pass"))
    with pytest.raises(PluginError, match=r"'birds' is announced, but mae_bad offers none by its hook mae_datasets$"):
        Registry([point("dataset.birds", name)]).dataset("birds")


def test_a_class_without_its_methods_is_told(module):
    before = "class Birds(api.Dataset): name = 'birds'"
    name = module("mae_bad", HOOK.format(kind="dataset", before=before, body="return [Birds]"))
    line = refusal(Registry([point("dataset.birds", name)]), "dataset", "birds")
    assert line == "mae-birds 1.2: dataset 'birds' cannot be used: Birds does not define card, split"


def test_a_hook_that_does_not_exist_offers_the_nearest(module):
    name = module("mae_bad", BIRDS.replace("mae_datasets", "mae_dataset"))
    assert refusal(Registry([point("dataset.birds", name)]), "dataset", "birds") == (
        "mae-birds 1.2: dataset 'birds' cannot be offered: mae_bad.mae_dataset is no hook of mae; did you mean "
        "'mae_datasets'?"
    )


def test_a_hook_with_unknown_arguments_is_told_each_time(module):
    text = "from maecli import api\n@api.hookimpl\ndef mae_datasets(registry):\n    return []\n"
    registry = Registry([point("dataset.birds", module("mae_args", text))])
    for _ in range(2):
        with pytest.raises(PluginError, match=r"'birds' has a hook that mae cannot call: PluginValidationError: "):
            registry.dataset("birds")


def test_one_broken_plugin_leaves_the_others_of_its_package_and_of_others(module):
    broken = module("mae_broken", "1 / 0")
    failing = module("mae_failing", HOOK.format(kind="dataset", before="", body="1 / 0"))
    points = [
        point("dataset.ants", failing, "mae-ants"),
        point("dataset.birds", module("mae_birds", BIRDS)),
        point("task.sing", broken),
        point("dataset.bees", broken, "mae-bees"),
    ]
    registry = Registry(points)
    assert {listing.key: listing.status for listing in registry.checked()} == {
        "dataset.ants": "broken",
        "dataset.bees": "broken",
        "dataset.birds": "ok",
        "task.sing": "broken",
    }
    assert registry.dataset("birds").name == "birds"


def test_what_a_plugin_prints_at_import_does_not_reach_stdout(module, capsys):
    registry = Registry([point("dataset.birds", module("mae_loud", f"print('hello')\n{BIRDS}"))])
    registry.dataset("birds")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "hello\n")


def test_each_yaml_file_of_a_folder_is_a_recipe_and_none_is_opened_before_it_is_named(tmp_path, monkeypatch):
    folder = tmp_path / "mae_cooking/recipes"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("raise RuntimeError('imported')")
    (folder / "soup.yaml").write_text("pretrain: {}\n")
    (folder / "stew.yaml").write_bytes(b"\xff")
    (folder / "notes.txt").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    registry = Registry([point("recipes", "mae_cooking.recipes")])
    assert registry.names("recipe") == ["soup", "stew"]
    assert registry.recipe("soup") == "pretrain: {}\n"
    assert [listing.status for listing in registry.checked()] == ["ok", "broken"]
    with pytest.raises(PluginError, match=r"^mae-birds 1\.2: recipe 'stew' cannot be read: UnicodeDecodeError: "):
        registry.recipe("stew")
    assert "mae_cooking" not in sys.modules


@pytest.mark.parametrize("package", ["mae_no_such_package", "json"])
def test_a_folder_without_recipes_is_told(package):
    [listing] = Registry([point("recipes", package)]).listings
    assert listing.line == f"mae-birds 1.2: entry point 'recipes' names {package}, where no .yaml file is found"


def test_mae_load_plugins_leaves_the_named_packages_and_the_built_in_ones(monkeypatch):
    points = [
        point("dataset.birds"),
        point("dataset.bees", package="mae_Bees"),
        point("dataset.own", package="maecli"),
    ]
    for listed, names in (("mae-bees, nonsense", ["bees", "own"]), ("", ["own"]), (None, ["bees", "birds", "own"])):
        if listed is None:
            monkeypatch.delenv("MAE_LOAD_PLUGINS")
        else:
            monkeypatch.setenv("MAE_LOAD_PLUGINS", listed)
        assert Registry(points).names("dataset") == names
    monkeypatch.setenv("MAE_LOAD_PLUGINS", "mae-bees")
    assert refusal(Registry(points), "dataset", "birds") == (
        "mae-birds 1.2: dataset 'birds' is left out by MAE_LOAD_PLUGINS, which does not name its package"
    )


def test_names_in_mae_load_plugins_that_no_package_has_are_told():
    points = [point("dataset.birds"), point("dataset.own", package="maecli")]
    only = Registry(points, Switches(only=frozenset({"mae-brids", "maecli", "mae-birds", "zzz"})))
    assert only.not_installed == [
        "MAE_LOAD_PLUGINS names 'mae-brids', which is no installed package with plugins; did you mean 'mae-birds'?",
        "MAE_LOAD_PLUGINS names 'zzz', which is no installed package with plugins",
    ]
    assert Registry(points, Switches()).not_installed == []


@pytest.mark.parametrize("key", ["mae-birds", "dataset.birds"])
def test_what_is_disabled_says_how_it_comes_back(key):
    write_disabled([key])
    assert refusal(Registry([point("dataset.birds")]), "dataset", "birds") == (
        f"mae-birds 1.2: dataset 'birds' is disabled; `mae plugins enable {key}` brings it back"
    )
    assert Registry([point("task.birds", package="other")]).names("task") == ["birds"]


def test_settings_lie_where_the_environment_says(monkeypatch, tmp_path):
    assert config_file() == tmp_path / "config/plugins.json"
    monkeypatch.delenv("MAE_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    assert config_file() == tmp_path / "xdg/mae/plugins.json"
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert config_file() == tmp_path / "home/.config/mae/plugins.json"


def test_who_has_no_home_has_switched_nothing(monkeypatch):
    for name in ("MAE_CONFIG", "XDG_CONFIG_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(posixpath, "expanduser", lambda path: path)  # as where the system knows no such user
    with pytest.raises(RuntimeError, match="home"):
        Path.home()
    assert Switches.read().disabled == frozenset()
    with pytest.raises(SpecError, match=r"^no home is known to keep this in; name a folder for it in MAE_CONFIG$"):
        write_disabled(["mae-birds"])


@pytest.mark.parametrize("text", ["", "{", "[]", '{"off": []}', '{"disabled": "mae-birds"}'])
def test_a_damaged_file_of_settings_is_named(text):
    file = write_disabled(["mae-birds"])
    assert json.loads(file.read_text()) == {"disabled": ["mae-birds"]}
    file.write_text(text)
    with pytest.raises(SpecError, match=rf"^{file} .*mend or delete it"):
        Registry([])


def test_every_installed_name_can_be_used():
    registry = Registry()
    for listing in registry.listings:
        if listing.kind == "recipe":
            assert registry.recipe(listing.name)
        else:
            assert getattr(registry, listing.kind)(listing.name).name == listing.name
        assert listing == Listing(listing.kind, listing.name, "maecli", listing.version, listing.module, "ok", "")


def test_plugins_in_the_tree_are_all_announced():
    plugins = Path(__file__).parents[2] / "plugins"
    modules = {
        ".".join(("maecli_plugins", *path.relative_to(plugins).with_suffix("").parts))
        for path in plugins.rglob("*.py")
        if plugins / "packages" not in path.parents and "@api.hookimpl" in path.read_text(encoding="utf-8")
    }
    assert modules == {listing.module for listing in Registry().listings if listing.kind != "recipe"}


def test_a_package_whose_entry_points_cannot_be_read_is_named(site, capsys):
    info = site / "mae_torn-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mae-torn\nVersion: 1.0\n")
    (info / "entry_points.txt").write_bytes(b"[mae]\n\xff")
    assert "digits" in Registry().names("dataset")
    told = capsys.readouterr().err
    assert told.startswith("mae: mae-torn 1.0: its entry_points.txt cannot be read (UnicodeDecodeError: ")
    assert told.count("\n") == 1
