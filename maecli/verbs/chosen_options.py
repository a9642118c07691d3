"""The options of the plugins that a command line chooses, before anything is missing or wrong in it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

from maecli.registry import Registry
from maecli.registry.describe import Option, describe_options, value_words
from maecli.run.initial import offered_spec
from maecli.spec.resolve import PLUGIN_SECTIONS, Asked, lay


@dataclass(frozen=True)
class ChosenOptions:
    """The options of one chosen plugin."""

    section: str
    """dataset, task or model."""
    name: str
    """Empty where none is chosen."""
    about: str
    options: tuple[Option, ...]
    here: dict[str, str]
    """What settings make of options: key → value, with the source."""

    @property
    def heading(self) -> str:
        if not self.name:
            return f"{self.section}: none is chosen; `mae plugins` lists them"
        return f"{self.section} {self.name}" + (f": {self.about}" if self.about else "")

    def as_json(self) -> dict[str, Any]:
        options = [dataclasses.asdict(option) for option in self.options]
        return {"kind": self.section, "name": self.name, "about": self.about, "options": options, "here": self.here}


def chosen_options(verb: str, registry: Registry, **asked: Unpack[Asked]) -> list[ChosenOptions]:
    """Return the options of the data set, the task and the model that these sources choose."""
    init = (asked.get("flags") or {}).get("init")
    offered = offered_spec(Path(init)) if init else None
    settings, sources = lay(verb, registry, **asked, init_spec=offered)
    found = []
    for section in PLUGIN_SECTIONS:
        given = dict(settings.get(section) or {})
        name = str(given.pop("name", None) or "")
        if not name:
            found.append(ChosenOptions(section, "", "", (), {}))
            continue
        plugin = getattr(registry, section)(name)
        about = (plugin.__doc__ or "").strip().partition("\n")[0]
        here = {
            f"{section}.{key}": f"{value_words(value)} ({sources[f'{section}.{key}']})"
            for key, value in given.items()
            if f"{section}.{key}" in sources
        }
        found.append(ChosenOptions(section, name, about, tuple(describe_options(section, plugin.Options)), here))
    return found
