from __future__ import annotations

import difflib
import re
import sys
import types
from pathlib import Path

import pytest
from api_surface import surface

from maecli import __version__, api, hookspecs, testing
from maecli.deprecation import Renamed, deprecated_names

FROZEN = Path(__file__).with_name("api_names.txt")


def test_names_and_signatures_are_those_that_plugins_were_written_for():
    frozen = FROZEN.read_text(encoding="utf-8").splitlines()
    changed = list(difflib.unified_diff(frozen, surface(), "frozen", "now", lineterm="", n=0))
    assert not changed, (
        "maecli.api or maecli.testing changed:\n"
        + "\n".join(changed)
        + "\nWhat is gone or differs breaks plugins: keep the old name by "
        "_DEPRECATED in maecli/api.py, or raise API_VERSION. Then, as for what is new:\n"
        "    python tests/api_surface.py > tests/api_names.txt"
    )


def test_what_the_conformance_kit_offers_is_frozen_too():
    frozen = FROZEN.read_text(encoding="utf-8")
    assert "\ntesting.DatasetConformance.equal_pictures: " in frozen
    for name in testing.__all__:
        assert re.search(rf"^(class|def) testing\.{name}\(", frozen, re.MULTILINE), name


def test_the_version_is_one_that_is_spoken():
    assert api.API_VERSION == hookspecs.API_VERSION
    assert api.API_VERSION in hookspecs.SUPPORTED_API_VERSIONS


def test_each_hook_says_when_it_is_called_how_results_combine_and_since_when():
    hooks = {name: hook for name, hook in vars(hookspecs).items() if name.startswith("mae_")}
    assert set(hooks) == {"mae_datasets", "mae_tasks", "mae_models", "mae_trackers"}
    for hook in hooks.values():
        assert hook.__annotations__["return"].startswith("list[type[")
        for words in ("Return the ", "Since ", "Called once, when ", "; not ", "Results are not joined."):
            assert words in hook.__doc__
    screen = Path(hookspecs.__file__).read_text(encoding="utf-8").splitlines()
    assert len(screen) <= 80


@pytest.fixture
def module(monkeypatch):
    module = types.ModuleType("whatever")
    module.crisp = lambda: "crisp"
    module.__getattr__ = deprecated_names("whatever", {"crsp": Renamed("crisp", "0.3")})
    monkeypatch.setitem(sys.modules, "whatever", module)
    return module


def test_a_name_that_goes_still_works_and_warns_with_its_replacement(module):
    with pytest.warns(DeprecationWarning, match="whatever") as caught:
        assert module.crsp() == "crisp"
    [warning] = caught
    assert str(warning.message) == "whatever.crsp is called whatever.crisp since 0.3, and the old name goes in 0.5"
    assert warning.filename == __file__


def test_a_name_that_never_was_is_an_ordinary_error(module):
    with pytest.raises(AttributeError, match=r"^module 'whatever' has no attribute 'crspy'$"):
        _ = module.crspy
    with pytest.raises(AttributeError, match=r"^module 'maecli.api' has no attribute 'Telepathy'$"):
        _ = api.Telepathy


def test_no_old_name_outlives_one_minor_version():
    now = tuple(int(part) for part in __version__.split(".")[:2])
    for name, renamed in api._DEPRECATED.items():
        assert renamed.replacement in api.__all__
        assert name not in api.__all__
        assert now < tuple(map(int, renamed.gone_in.split("."))), f"{name} was to be gone by now"
