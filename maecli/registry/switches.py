"""What a person has switched: plugins off, other packages out, strictness on.

`MAE_LOAD_PLUGINS=a,b` leaves only the built-in plugins and those of the packages a and b; `MAE_STRICT_PLUGINS=1` makes
an error of what otherwise disables one plugin; `mae plugins disable` keeps a small file, `plugins.json`, in the
folder `MAE_CONFIG`, else in `~/.config/mae`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from maecli.errors import DamagedFile, SpecError
from maecli.storage.documents import read_json
from maecli.storage.files import disk_errors, write_json

FILE = "plugins.json"


def config_file() -> Path:
    """Return the file that disabled plugins are kept in: in `MAE_CONFIG`, else in ~/.config/mae (XDG_CONFIG_HOME)."""
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
    """Packages, things as KIND.NAME, and things of one package as PACKAGE:KIND.NAME."""
    only: frozenset[str] | None = None
    """The packages that `MAE_LOAD_PLUGINS` leaves, beside our own; None: all."""
    strict: bool = False

    @classmethod
    def read(cls, say: Callable[[str], None] | None = None) -> Switches:
        """Return what the environment and the user's file say.

        `say` is told of a file that cannot be read, which then disables nothing; without it SpecError is raised.
        """
        try:
            disabled = read_disabled()
        except SpecError as error:
            if say is None:
                raise
            say(str(error))
            disabled = []
        listed = os.environ.get("MAE_LOAD_PLUGINS")
        names = [name.strip() for name in (listed or "").split(",")]
        only = None if listed is None else frozenset(canonical(name) for name in names if name)
        strict = os.environ.get("MAE_STRICT_PLUGINS", "") not in ("", "0")
        return cls(frozenset(disabled), only, strict)

    def why_off(self, kind: str, name: str, package: str) -> str:
        """Return why a stranger's thing is switched off, in words that follow its name; empty if it is not."""
        package, thing = canonical(package), f"{kind}.{name}"
        for key in (package, thing, f"{package}:{thing}"):
            if key in self.disabled:
                return f"is disabled; `mae plugins enable {key}` brings it back"
        if self.only is not None and package not in self.only:
            return "is left out by MAE_LOAD_PLUGINS, which does not name its package"
        return ""


def read_disabled() -> list[str]:
    """Return what `mae plugins disable` was told. Raises SpecError when its file was damaged."""
    file = config_file()
    try:
        tree = read_json(file)
    except FileNotFoundError:
        return []
    except DamagedFile as error:
        raise SpecError(f"{error}; mend or delete it: it says what is disabled") from error
    disabled = tree.get("disabled") if isinstance(tree, dict) else None
    if not isinstance(disabled, list) or not all(isinstance(each, str) for each in disabled):
        raise SpecError(f"{file} must hold a list of names under 'disabled'; mend or delete it")
    return disabled


def write_disabled(names: Iterable[str]) -> Path:
    """Keep the names of what is disabled; return the file."""
    file = config_file()
    with disk_errors(file):
        file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, {"disabled": sorted(set(names))})
    return file
