from __future__ import annotations

import difflib
import re
from pathlib import Path

from api_surface import surface

from maecli import api, hookspecs, testing

FROZEN = Path(__file__).with_name("api_names.txt")


def test_names_and_signatures_are_those_that_plugins_were_written_for():
    frozen = FROZEN.read_text(encoding="utf-8").splitlines()
    changed = list(difflib.unified_diff(frozen, surface(), "frozen", "now", lineterm="", n=0))
    assert not changed, (
        "maecli.api or maecli.testing changed:\n"
        + "\n".join(changed)
        + "\nWhat is gone or differs breaks plugins: raise API_VERSION once the package is "
        "published. Then, as for what is new:\n    python tests/api_surface.py > tests/api/api_names.txt"
    )


def test_what_the_conformance_kit_offers_is_frozen_too():
    frozen = FROZEN.read_text(encoding="utf-8")
    assert "\ntesting.DatasetConformance.equal_pictures: " in frozen
    for name in testing.__all__:
        assert re.search(rf"^(class|def) testing\.{name}\(", frozen, re.MULTILINE), name


def test_the_version_is_one_that_is_spoken():
    assert api.API_VERSION == hookspecs.API_VERSION
    assert api.API_VERSION in hookspecs.SUPPORTED_API_VERSIONS


def test_the_hooks_and_when_they_are_called_stand_on_one_screen():
    hooks = {name: hook for name, hook in vars(hookspecs).items() if name.startswith("mae_")}
    assert set(hooks) == {"mae_datasets", "mae_modalities", "mae_tasks", "mae_models", "mae_trackers", "mae_exports"}
    for hook in hooks.values():
        assert hook.__annotations__["return"].startswith("list[type[")
        assert hook.__doc__.startswith("Return the ")
    for words in ("**When.**", "**Not** for", "**Results** are"):
        assert words in hookspecs.__doc__
    screen = Path(hookspecs.__file__).read_text(encoding="utf-8").splitlines()
    assert len(screen) <= 80
