"""What a person has switched: plugins off, other packages out.

`MAE_LOAD_PLUGINS=a,b` leaves only the built-in plugins and those of the packages a and b; `mae plugins disable` keeps a
small file, `plugins.json`, in the folder `MAE_CONFIG`, else in `~/.config/mae`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from maecli.errors import DamagedFile, SpecError
from maecli.storage.documents import read_json
from maecli.storage.files import disk_errors, write_json

FILE = "plugins.json"


def config_file() -> Path:
    """Return the file that disabled plugins are kept in: in `MAE_CONFIG`, else in ~/.config/mae (XDG_CONFIG_HOME).

    Raises RuntimeError where nobody's home is known.
    """
    folder = os.environ.get("MAE_CONFIG")
    if folder:
        return Path(folder).expanduser() / FILE
    home = os.environ.get("XDG_CONFIG_HOME")
    return (Path(home) if home else Path.home() / ".config") / "mae" / FILE


def canonical(package: str) -> str:
    """Return a package's name as indexes compare it: lower case, one dash for each run of dashes, dots, underscores."""
    return re.sub(r"[-_.]+", "-", package).lower()


@dataclass(frozen=True)
class Switches:
    """What is switched in this process."""

    disabled: frozenset[str] = frozenset()
    """Packages, and things as KIND.NAME."""
    only: frozenset[str] | None = None
    """The packages that `MAE_LOAD_PLUGINS` leaves, beside our own; None: all."""

    @classmethod
    def read(cls) -> Switches:
        """Return what the environment and the user's file say. Raises SpecError when the file was damaged."""
        packages = os.environ.get("MAE_LOAD_PLUGINS")
        names = (canonical(name.strip()) for name in (packages or "").split(","))
        return cls(frozenset(read_disabled()), None if packages is None else frozenset(filter(None, names)))

    def why_off(self, key: str, package: str) -> str:
        """Return why a stranger's KIND.NAME is switched off, in words that follow its name; empty if it is not."""
        for switched in (canonical(package), key):
            if switched in self.disabled:
                return f"is disabled; `mae plugins enable {switched}` brings it back"
        if self.only is not None and canonical(package) not in self.only:
            return "is left out by MAE_LOAD_PLUGINS, which does not name its package"
        return ""


def read_disabled() -> list[str]:
    """Return what `mae plugins disable` was told. Raises SpecError when its file was damaged."""
    try:
        file = config_file()
    except RuntimeError:  # whoever has no home has switched nothing
        return []
    try:
        tree = read_json(file)
    except FileNotFoundError:
        return []
    except DamagedFile as error:
        raise SpecError(f"{error}; mend or delete it: it says what is disabled") from error
    disabled = tree.get("disabled") if isinstance(tree, dict) else None
    if not isinstance(disabled, list) or not all(isinstance(name, str) for name in disabled):
        raise SpecError(f"{file} must hold a list of names under 'disabled'; mend or delete it")
    return disabled


def write_disabled(names: Iterable[str]) -> Path:
    """Keep the names of what is disabled; return the file. Raises SpecError where there is no place for it."""
    try:
        file = config_file()
    except RuntimeError as error:
        raise SpecError("no home is known to keep this in; name a folder for it in MAE_CONFIG") from error
    with disk_errors(file):
        file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, {"disabled": sorted(set(names))})
    return file
