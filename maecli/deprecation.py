"""Names that go: they work for one minor version more, with a warning that names the replacement."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Renamed(NamedTuple):
    """What a name is called now, in the same module, and the version (major.minor) that renamed it."""

    replacement: str
    since: str

    @property
    def gone_in(self) -> str:
        """The version that no longer knows the old name."""
        major, minor = self.since.split(".")[:2]
        return f"{major}.{int(minor) + 2}"


def deprecated_names(module: str, table: Mapping[str, Renamed]) -> Callable[[str], Any]:
    """Return the `__getattr__` of a module whose old names are in `table`."""

    def find(name: str) -> Any:
        if name not in table:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        renamed = table[name]
        warnings.warn(
            f"{module}.{name} is called {module}.{renamed.replacement} since {renamed.since}, and the old name goes in "
            f"{renamed.gone_in}",
            DeprecationWarning,
            stacklevel=2,
        )
        return getattr(sys.modules[module], renamed.replacement)

    return find
