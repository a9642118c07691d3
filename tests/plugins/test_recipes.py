from __future__ import annotations

import pytest
import yaml

from maecli.registry import registry
from maecli.resolve import DEFAULTS, flatten, resolve
from maecli.specs import SPECS

RECIPES = registry().names("recipe")
PAIRS = [
    (name, verb)
    for name in RECIPES
    if name != DEFAULTS
    for verb in SPECS
    if verb in yaml.safe_load(registry().recipe(name))
]


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_says_what_it_is_about_and_is_for_some_verb(name):
    document = yaml.safe_load(registry().recipe(name))
    assert document["about"].strip()
    assert set(document) <= {"about", *SPECS}
    assert len(document) > 1


@pytest.mark.parametrize(("name", "verb"), PAIRS)
def test_a_recipe_resolves_for_each_of_its_verbs(name, verb, tmp_path):
    settings = yaml.safe_load(registry().recipe(name))[verb]
    found = resolve(verb, registry(), recipe=name)
    assert found.spec.model_dump()["verb"] == verb
    chosen = dict(flatten(found.spec.model_dump(mode="json")))
    for key, value in flatten(settings):
        assert chosen[key] == (pytest.approx(float(value)) if isinstance(chosen[key], float) else value), key


@pytest.mark.parametrize("name", [name for name in RECIPES if name in registry().names("dataset")])
def test_a_data_sets_own_recipe_is_used_without_being_asked_for(name):
    assert registry().dataset(name).recipe == name
    for verb in SPECS:
        task = {"task.name": "classify"} if verb == "finetune" else {}
        found = resolve(verb, registry(), flags={"dataset.name": name, **task})
        assert f"recipe {name}" in found.sources.values()


def test_every_recipe_beside_the_code_is_announced():
    from importlib.resources import files

    names = {
        file.name.removesuffix(".yaml") for file in files("maecli_plugins.recipes").iterdir() if "yaml" in file.name
    }
    assert names == set(RECIPES)
