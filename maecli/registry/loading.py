"""Classes of plugin modules: a module is imported, its API version compared, its hook called, when a thing is named.

Whatever a stranger's code does on the way ends as a `Refused` with one line; other plugins do not notice. What it
prints goes to stderr, since stdout may be carrying one JSON object.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import sys
from operator import attrgetter
from typing import Any

import pluggy

from maecli import __version__, hookspecs
from maecli.errors import nearest
from maecli.hookspecs import API_VERSION, SUPPORTED_API_VERSIONS

STATED = "MAE_API_VERSION"
"""The attribute by which a module says for which API it was written."""
HOOKS = [name for name in vars(hookspecs) if name.startswith("mae_")]
BASES = {"export": "export.ExportFormat"}
"""Where in `maecli.api` the base of a kind is, if it is not among the first names there, as Dataset is."""
FAILURES = (Exception, SystemExit)
"""What a stranger's code may raise, and what is theirs then, not ours."""


class Refused(Exception):
    """A plugin cannot be used; the message follows "dataset 'whatever' "."""


class Modules:
    """Plugin modules that were imported so far, and their hooks."""

    def __init__(self) -> None:
        self._manager = pluggy.PluginManager("mae")
        self._manager.add_hookspecs(hookspecs)
        self._refused: dict[str, Refused] = {}

    def get(self, kind: str, name: str, module: str) -> type[Any]:
        """Return a class of a module, which is imported unless it was before. Raises Refused."""
        if module in self._refused:
            raise self._refused[module]
        if not self._manager.has_plugin(module):
            try:
                self._import(module)
            except Refused as refused:
                self._refused[module] = refused
                raise
        classes = self._classes(kind, module)
        if name not in classes:
            names = ", ".join(sorted(classes)) or "none"
            raise Refused(f"is announced, but {module} offers {names} by its hook {hook_of(kind)}")
        if inspect.isabstract(classes[name]):
            missing = ", ".join(sorted(classes[name].__abstractmethods__))
            raise Refused(f"cannot be used: {classes[name].__name__} does not define {missing}")
        return classes[name]

    def _import(self, name: str) -> None:
        try:
            with contextlib.redirect_stdout(sys.stderr):
                module = importlib.import_module(name)
        except FAILURES as error:
            newer = isinstance(error, (ImportError, AttributeError)) and "maecli.api" in cause(error)
            way = f"; mae {__version__} speaks plugin API {API_VERSION}: upgrade maecli if the plugin is newer"
            raise Refused(f"cannot be imported: {cause(error)}{way if newer else ''}") from error
        check_version(getattr(module, STATED, None))
        try:
            self._manager.register(module, name=name)
        except Exception as error:
            raise Refused(f"has a hook that mae cannot call: {cause(error)}") from error
        for hook in self._manager.get_hookcallers(module) or ():
            if hook.name not in HOOKS:
                raise Refused(f"cannot be offered: {name}.{hook.name} is no hook of mae{nearest(hook.name, HOOKS)}")

    def _classes(self, kind: str, module: str) -> dict[str, type[Any]]:
        """Return the classes of one kind that a module offers, by name. Imports torch. Raises Refused."""
        from maecli import api

        place = BASES.get(kind, kind.capitalize())
        hook, base = hook_of(kind), attrgetter(place)(api)
        others = [plugin for name, plugin in self._manager.list_name_plugin() if name != module]
        try:
            with contextlib.redirect_stdout(sys.stderr):
                classes = [cls for result in self._manager.subset_hook_caller(hook, others)() for cls in result]
        except FAILURES as error:
            raise Refused(f"cannot be offered: its hook {hook} fails: {cause(error)}") from error
        for cls in classes:
            if not (isinstance(cls, type) and issubclass(cls, base)):
                what = cls.__name__ if isinstance(cls, type) else f"an object of type {type(cls).__name__}"
                raise Refused(f"cannot be offered: its hook {hook} returns {what}, not classes of api.{place}")
        return {str(getattr(cls, "name", None)): cls for cls in classes}


def hook_of(kind: str) -> str:
    """Return the name of the hook that returns things of a kind."""
    return f"mae_{kind.removesuffix('y')}ies" if kind.endswith("y") else f"mae_{kind}s"


def check_version(stated: Any) -> None:
    """Raise Refused when a module was written for an API that this mae does not speak; None says nothing."""
    if stated is None:
        return
    if type(stated) is not int:
        raise Refused(f"cannot be used: {STATED} must be a whole number such as {API_VERSION}")
    if stated not in SUPPORTED_API_VERSIONS:
        speaks = ", ".join(map(str, SUPPORTED_API_VERSIONS))
        way = "upgrade maecli" if stated > API_VERSION else "upgrade the plugin"
        raise Refused(f"was written for plugin API {stated}, and mae {__version__} speaks {speaks}: {way}")


def cause(error: BaseException) -> str:
    """Return the kind and the message of an error, in one line."""
    try:
        message = " ".join(str(error).split())
    except Exception:  # an error of a stranger's own class may fail to tell itself
        message = ""
    return f"{type(error).__name__}: {message}".removesuffix(": ")
