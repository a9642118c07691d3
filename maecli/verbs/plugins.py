"""`mae plugins`: what there is to say of a plugin, whether it keeps its promises, and switching it off and on."""

from __future__ import annotations

import dataclasses
import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maecli.errors import MaeError, SpecError, nearest
from maecli.registry import KINDS, OWN_PACKAGE, Kind, Listing, Registry
from maecli.registry.describe import Option, describe_options
from maecli.registry.switches import canonical, read_disabled, write_disabled
from maecli.schema import PLUGIN_SECTIONS, PluginSection
from maecli.verbs.recipes import describe

if TYPE_CHECKING:
    from maecli.testing import Finding


@dataclass(frozen=True)
class About:
    """One plugin in full."""

    listing: Listing
    about: str
    """The docstring of its class; a recipe's own words."""
    options: tuple[Option, ...]
    facts: dict[str, str]
    card: dict[str, Any] | None
    """A data set's card, where its data are there."""
    no_card: str
    """Why there is none."""
    command: str
    """How it is used."""

    def as_json(self) -> dict[str, Any]:
        tree = dataclasses.asdict(self)
        return {**tree.pop("listing"), **tree}


def find_plugin(name: str, registry: Registry) -> tuple[Kind, str]:
    """Return kind and name of what KIND.NAME, or a name that only one kind has, means. Raises SpecError."""
    kind, _, rest = name.partition(".")
    if kind in KINDS and rest:
        return kind, rest
    kinds = [kind for kind in KINDS if any((each.kind, each.name) == (kind, name) for each in registry.listings)]
    if len(kinds) > 1 and "recipe" in kinds:
        kinds.remove("recipe")  # a data set and its recipe share their name
    if len(kinds) == 1:
        return kinds[0], name
    if kinds:
        raise SpecError(f"{name!r} is the name of several; write {' or '.join(f'{each}.{name}' for each in kinds)}")
    known = sorted({listing.name for listing in registry.listings})
    raise SpecError(f"no installed plugin is named {name!r}{nearest(name, known)}; `mae plugins` lists them")


def describe_plugin(name: str, registry: Registry, root: Path | None = None) -> About:
    """Return what is to be known of a plugin, `root` saying where a data set lies.

    Raises SpecError for an unknown one, PluginError for one that cannot be used.
    """
    kind, name = find_plugin(name, registry)
    listing = registry.listing(kind, name)
    if kind == "recipe":
        recipe = describe(name, registry)
        facts = {"for": ", ".join(recipe.sections)} | ({"cost": recipe.cost} if recipe.cost else {})
        return About(listing, recipe.about, (), facts, None, "", recipe.command)
    plugin: type[Any] = getattr(registry, kind)(name)
    options = tuple(describe_options(kind, plugin.Options)) if kind in PLUGIN_SECTIONS else ()
    card, no_card = None, ""
    if kind == "dataset":
        from maecli.run.open import make_dataset  # imports torch, which switching off need not wait for

        section = PluginSection.model_validate({"name": name} | ({} if root is None else {"root": str(root)}))
        try:
            card = make_dataset(section, registry).card().model_dump(mode="json")
        except MaeError as error:
            no_card = str(error)
        except Exception as error:  # whatever a stranger's data set does is to be told, not to end this
            no_card = f"{plugin.__name__}.card() fails: {type(error).__name__}: {error}"
    about = inspect.cleandoc(plugin.__doc__ or "")
    return About(listing, about, options, _facts(kind, plugin), card, no_card, _command(kind, name, plugin, root))


def check_plugin(
    name: str, registry: Registry, dataset: str | None = None, root: Path | None = None
) -> tuple[Listing, list[Finding]]:
    """Return a plugin and what the conformance kit finds; a task is tried on `dataset`, whose files are in `root`.

    Raises SpecError for an unknown plugin and for options that mean nothing to it, PluginError for one that is refused.
    """
    from maecli import testing  # see describe_plugin

    kind, name = find_plugin(name, registry)
    listing = registry.listing(kind, name)
    if dataset is not None and kind != "task":
        raise SpecError(f"--dataset is what a task is tried on, and {name!r} is a {kind}; leave it out")
    if root is not None and kind != "dataset" and dataset is None:
        way = "; name one by --dataset" if kind == "task" else "; leave it out"
        raise SpecError(f"--root says where a data set's files are, and {name!r} is a {kind}{way}")
    options = {"root": str(root)} if root else {}
    if dataset is None:
        return listing, testing.check(kind, name, options, registry)
    return listing, testing.check(kind, name, None, registry, {**options, "name": dataset})


def disable(name: str, registry: Registry) -> tuple[str, Path]:
    """Leave out a package or a plugin from now on; return the key that stands for it, and the file that keeps it.

    Raises SpecError for what is not installed, and for what is built in.
    """
    packages = {canonical(listing.package) for listing in registry.listings}
    key = canonical(name) if canonical(name) in packages else name
    if key not in packages and any(listing.name == name for listing in registry.listings):
        key = ".".join(find_plugin(name, registry))
    owners = {listing.package for listing in registry.listings if key in (listing.key, canonical(listing.package))}
    if not owners:
        known = packages | {listing.key for listing in registry.listings if listing.package != OWN_PACKAGE}
        raise SpecError(f"{name!r} is no installed package and no plugin of one{nearest(key, known - {OWN_PACKAGE})}")
    if owners == {OWN_PACKAGE}:
        raise SpecError(f"{key} is built in, and stays")
    return key, write_disabled([*read_disabled(), key])


def enable(name: str) -> tuple[str, Path]:
    """Use again what was disabled; return its key and the file. Raises SpecError for what is not disabled."""
    disabled = read_disabled()
    keys = [key for key in disabled if key in (name, canonical(name)) or key.partition(".")[2] == name]
    if len(keys) > 1:
        raise SpecError(f"{name!r} is the name of several; write {' or '.join(keys)}")
    if not keys:
        raise SpecError(
            f"{name!r} is not disabled{nearest(name, disabled)}; disabled: {', '.join(disabled) or 'nothing is'}"
        )
    return keys[0], write_disabled(key for key in disabled if key not in keys)


def _facts(kind: Kind, plugin: type[Any]) -> dict[str, str]:
    if kind == "task":
        return {"for": f"mae {plugin.verb}", "samples need": ", ".join(plugin.fields)}
    if kind == "model":
        return {"masked autoencoding": "yes" if plugin.can_mask else "no: it reads whole pictures"}
    if kind == "export":
        return {"writes": f"a file {plugin.suffix}" if plugin.suffix else "a folder"} | (
            {"needs": ", ".join(plugin.modules)} if plugin.modules else {}
        )
    if kind == "dataset" and plugin.recipe:
        return {"recipe": plugin.recipe}
    return {}


def _command(kind: Kind, name: str, plugin: type[Any], root: Path | None) -> str:
    if kind == "dataset":
        return f"mae pretrain --dataset {name}" + (f" --root {root}" if root else "")
    if kind == "task" and plugin.verb == "finetune":
        return f"mae finetune --dataset YOUR-DATASET --task {name} --init YOUR-RUN"
    if kind == "task":
        return f"mae pretrain --dataset YOUR-DATASET --set task.name={name}"
    if kind == "model":
        verb = "pretrain" if plugin.can_mask else "finetune"
        return f"mae {verb} --dataset YOUR-DATASET --model {name}"
    if kind == "export":
        return f"mae export YOUR-RUN --format {name}"
    return f"mae pretrain --dataset YOUR-DATASET --set trackers=[{name}]"
