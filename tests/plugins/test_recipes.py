from __future__ import annotations

import pytest
import yaml

from maecli.registry import registry
from maecli.schema import SPECS
from maecli.spec.ask import Ask
from maecli.spec.layers import flatten
from maecli.spec.recipes import DEFAULTS, SWEEP
from maecli.spec.resolve import resolve
from maecli.sweep.definition import find_tree, make_sweep
from maecli.sweep.plan import make_plan

RECIPES = registry().names("recipe")
PAIRS = [
    (name, section)
    for name in RECIPES
    if name != DEFAULTS
    for section in yaml.safe_load(registry().recipe(name))
    if section not in ("about", SWEEP)
]
SWEEPS = [name for name in RECIPES if SWEEP in yaml.safe_load(registry().recipe(name))]


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_says_what_it_is_about_and_is_for_some_verb(name):
    document = yaml.safe_load(registry().recipe(name))
    assert document["about"].strip()
    sections = [section.partition("-") for section in document if section != "about"]
    assert sections
    assert {verb for verb, _, _ in sections} <= {*SPECS, SWEEP}
    assert {task for _, _, task in sections if task} <= set(registry().names("task"))


@pytest.mark.parametrize(("name", "section"), PAIRS)
def test_a_recipe_resolves_for_each_of_its_sections(name, section):
    settings = yaml.safe_load(registry().recipe(name))[section]
    verb, _, task = section.partition("-")
    if verb == "finetune" and "task" not in settings:  # of data for several, the person says which
        task = task or "classify"
    flags = {"task.name": task} if task else {}
    if verb in SPECS and "dataset" not in settings:  # nor which data
        flags["dataset.name"] = "digits"
    spec = resolve(Ask(verb, recipe=name, flags=flags), registry())
    assert spec.verb == verb
    chosen = flatten(spec.model_dump(mode="json"))
    for key, value in flatten(settings).items():
        assert chosen[key] == (pytest.approx(float(value)) if isinstance(chosen[key], float) else value), key


@pytest.mark.parametrize("name", SWEEPS)
def test_every_run_of_a_sweep_resolves_and_pretrains_only_what_differs(name):
    sweep = make_sweep(find_tree(registry(), name, None))
    jobs = make_plan(sweep, registry()).jobs
    assert len({job.name for job in jobs}) == len(jobs)
    assert len(jobs) > 2
    for job in jobs:
        assert job.verb == job.spec.verb
        assert job.init is None or (job.init.verb, job.init.spec.seed) == ("pretrain", job.spec.seed)
        if job.init is not None:
            model, before = job.spec.model.options, job.init.spec.model.options
            assert (model["embed_dim"], model["depth"]) == (before["embed_dim"], before["depth"])


@pytest.mark.parametrize("name", [name for name in RECIPES if name in registry().names("dataset")])
def test_a_data_sets_own_recipe_is_used_without_being_asked_for(name):
    assert registry().dataset(name).recipe == name
    for verb in SPECS:
        task = {"task.name": "classify"} if verb == "finetune" else {}
        spec = resolve(Ask(verb, flags={"dataset.name": name, **task}), registry())
        assert f"recipe {name}" in spec.sources.values()


def test_every_recipe_beside_the_code_is_announced():
    from importlib.resources import files

    names = {
        file.name.removesuffix(".yaml") for file in files("maecli_plugins.recipes").iterdir() if "yaml" in file.name
    }
    assert names == set(RECIPES)
