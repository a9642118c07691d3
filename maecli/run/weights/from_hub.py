"""Weights of the hub that a run begins with: which they were, so that it can be begun again with the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from maecli.errors import MaeError
from maecli.schema import RunSpec
from maecli.weights.hub_names import hub_name


def pinned(spec: RunSpec) -> RunSpec:
    """Return a spec whose `init` names the commit, and records the checksum, of weights of the hub; they are fetched.

    One that does so already stays as it is, and needs no network.
    """
    name = hub_name(spec.init) if spec.init is not None else None
    if name is None:
        return spec.model_copy(update={"init_sha256": ""}).with_sources(spec.sources) if spec.init_sha256 else spec
    recorded = spec.init_sha256 and spec.sources.get("init") == spec.sources.get("init_sha256")
    if name.is_pinned and recorded:  # by the same layer, so it is that of these weights
        return spec
    from maecli.weights.hub import fetch, sha256_of

    fetched = fetch(name)
    changes = {"init": Path(str(fetched.name)), "init_sha256": sha256_of(fetched.folder)}
    return spec.model_copy(update=changes).with_sources(spec.sources)


def check_unchanged(spec: RunSpec) -> None:
    """Raise MaeError where the weights in the cache are not those whose checksum a spec records."""
    name = hub_name(spec.init) if spec.init is not None and spec.init_sha256 else None
    if name is None:
        return
    from maecli.weights.hub import fetch, sha256_of

    folder = fetch(name).folder
    if sha256_of(folder) != spec.init_sha256:
        raise MaeError(
            f"{name} has another checksum in the cache than init_sha256 of the spec, {spec.init_sha256[:12]}…; remove "
            f"{folder.parents[1]} to have it fetched again"
        )


def hub_lines(init: Path) -> Iterator[str]:
    """Yield what is to be said of weights of the hub: their licence, and where the cache had to do."""
    name = hub_name(init)
    if name is None:
        return
    from maecli.weights.hub import fetch, licence_of, why_cached

    folder = fetch(name).folder
    if why := why_cached(folder):
        yield f"{why}, so the weights are those of {name.repo} that the cache holds, of commit {folder.name[:12]}"
    licence = licence_of(folder)
    stated = f"their licence is {licence}" if licence else "they state no licence"
    yield f"the weights are {name.repo}'s on the hub; {stated}, which a model that is made of them may have to follow"
