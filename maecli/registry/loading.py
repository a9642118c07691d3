"""One plugin module by itself: imported, its API version compared, its hooks called, its classes looked at.

Whatever a stranger's code does on the way ends as a `Refused` with one line; other plugins do not notice. What it
prints goes to stderr, since stdout may be carrying one JSON object.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import sys
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import pluggy
from pydantic import BaseModel

from maecli import __version__, hookspecs
from maecli.errors import nearest
from maecli.hookspecs import API_VERSION, SUPPORTED_API_VERSIONS

STATED = "MAE_API_VERSION"
"""The attribute by which a module says for which API it was written."""
BASES = {
    "dataset": ("maecli.data.dataset", "Dataset"),
    "task": ("maecli.training.task", "Task"),
    "model": ("maecli.models.plugin", "Model"),
    "tracker": ("maecli.training.tracker", "Tracker"),
}
"""Where the base class of each kind is defined."""


class Refused(Exception):
    """A plugin cannot be used; the message follows "dataset 'whatever' ", or stands for itself."""


class Plugin:
    """An imported module with its hooks."""

    def __init__(self, module: str) -> None:
        """Import the module. Raises Refused."""
        self.name = module
        try:
            with _quiet():
                imported = importlib.import_module(module)
        except (Exception, SystemExit) as error:  # whatever a stranger's module does at import is theirs, not ours
            check_version(_stated_before(error, module))
            raise Refused(f"cannot be imported: {cause(error)}{_perhaps_newer(error)}") from error
        check_version(getattr(imported, STATED, None))
        self._manager = pluggy.PluginManager("mae")
        self._manager.add_hookspecs(hookspecs)
        try:
            self._manager.register(imported, name=module)
        except Exception as error:
            raise Refused(f"has a hook that mae cannot call: {cause(error)}") from error
        known = [name for name in vars(hookspecs) if name.startswith("mae_")]
        for hook in self._manager.get_hookcallers(imported) or ():
            if hook.name not in known:
                raise Refused(f"cannot be offered: {module}.{hook.name} is no hook of mae{nearest(hook.name, known)}")
        self._offered: dict[str, dict[str, type[Any]]] = {}

    def get(self, kind: str, name: str) -> type[Any]:
        """Return a class that the module offers. Raises Refused."""
        offered = self._offer(kind)
        if name not in offered:
            names = ", ".join(sorted(offered)) or "none"
            raise Refused(f"is announced, but {self.name} offers {names} by its hook {hook_name(kind)}")
        check_class(kind, offered[name])
        return offered[name]

    def _offer(self, kind: str) -> dict[str, type[Any]]:
        """Return the classes of one kind by name."""
        if kind not in self._offered:
            hook = hook_name(kind)
            try:
                with _quiet():
                    results = getattr(self._manager.hook, hook)()
                things = [thing for result in results for thing in result]
            except (Exception, SystemExit) as error:  # see above
                raise Refused(f"cannot be offered: its hook {hook} fails: {cause(error)}") from error
            base = base_class(kind)
            names: dict[str, type[Any]] = {}
            for thing in things:
                if not (isinstance(thing, type) and issubclass(thing, base)):
                    what = f"{_shown(thing)}, which is no class derived from api.{base.__name__}"
                    raise Refused(f"cannot be offered: its hook {hook} returns {what}")
                name = getattr(thing, "name", None)
                if not isinstance(name, str) or not name:
                    what = f"{thing.__name__}.name is {_shown(name)}"
                    raise Refused(f"cannot be offered: {what}; give it the name to call it by")
                if names.setdefault(name, thing) is not thing:
                    raise Refused(f"cannot be offered: its hook {hook} returns two classes named {name!r}")
            self._offered[kind] = names
        return self._offered[kind]


def hook_name(kind: str) -> str:
    return f"mae_{kind}s"


def base_class(kind: str) -> type[Any]:
    """Return what the classes of a kind derive from. Imports torch."""
    module, name = BASES[kind]
    found: type[Any] = getattr(importlib.import_module(module), name)
    return found


def check_class(kind: str, cls: type[Any]) -> None:
    """Raise Refused for a class that cannot be used: methods are missing, or its options are of the wrong kind."""
    if inspect.isabstract(cls):
        missing = ", ".join(sorted(cls.__abstractmethods__))
        raise Refused(f"cannot be used: {cls.__name__} does not define {missing}")
    wanted: type[BaseModel] | None = getattr(base_class(kind), "Options", None)
    given = getattr(cls, "Options", None)
    if wanted is not None and not (isinstance(given, type) and issubclass(given, wanted)):
        raise Refused(f"cannot be used: {cls.__name__}.Options must be derived from api.{wanted.__name__}")


def check_version(stated: Any) -> None:
    """Raise Refused when a module was written for an API that this mae does not speak; None says nothing."""
    if stated is None:
        return
    if type(stated) is not int:
        raise Refused(f"cannot be used: {STATED} must be a whole number such as {API_VERSION}, not {_shown(stated)}")
    if stated in SUPPORTED_API_VERSIONS:
        return
    speaks = ", ".join(map(str, SUPPORTED_API_VERSIONS))
    way = "upgrade maecli" if stated > API_VERSION else "upgrade the plugin"
    raise Refused(f"was written for plugin API {stated}, and mae {__version__} speaks {speaks}: {way}")


def _stated_before(error: BaseException, module: str) -> Any:
    """Return the API version that a module stated before its import failed."""
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_globals.get("__name__") == module:
            return trace.tb_frame.f_globals.get(STATED)
        trace = trace.tb_next
    return None


def _perhaps_newer(error: BaseException) -> str:
    """Return what to think of when the api lacks a name that the plugin wants."""
    if isinstance(error, (ImportError, AttributeError)) and "maecli.api" in cause(error):
        return f"; mae {__version__} speaks plugin API {API_VERSION}: upgrade maecli if the plugin is newer"
    return ""


def _shown(thing: object) -> str:
    """Return plain values as they are written, and of others their kind: what a stranger's repr does is unknown."""
    if thing is None or type(thing) in (bool, int, float, str):
        return f"{thing!r:.80}"
    return f"class {thing.__name__}" if isinstance(thing, type) else f"an object of type {type(thing).__name__}"


def cause(error: BaseException) -> str:
    """Return the kind and the message of an error, in one line."""
    try:
        message = " ".join(str(error).split())
    except Exception:  # an error of a stranger's own class may fail to tell itself
        message = ""
    return f"{type(error).__name__}: {message}".removesuffix(": ")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Send to stderr what is printed."""
    with contextlib.redirect_stdout(sys.stderr):
        yield
