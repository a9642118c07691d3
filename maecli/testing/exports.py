"""What an export format promises; that its files answer as the run does is compared whenever one is written."""

from __future__ import annotations

from maecli.exporting.format import ExportFormat
from maecli.testing.finding import Finding, Stages, expect, find_all
from maecli.testing.imports import imports
from maecli.testing.options import check_class


class ExportSubject:
    """A format that is looked at."""

    def __init__(self, plugin: type[ExportFormat]) -> None:
        self.plugin = plugin


def options(subject: ExportSubject) -> None:
    """The class has a name and a docstring."""
    check_class(subject.plugin)


def stated(subject: ExportSubject) -> None:
    """It states its tolerance, how its file ends, and what installs the modules that it needs."""
    plugin = subject.plugin
    tolerance = getattr(plugin, "tolerance", None)
    expect(
        isinstance(tolerance, float) and tolerance >= 0,
        f"the tolerance of {plugin.__name__} is {tolerance!r}; state how far its answers may be from ours, as 1e-4",
    )
    expect(
        plugin.suffix == "" or plugin.suffix.startswith("."),
        f"the suffix of {plugin.__name__} is {plugin.suffix!r}; begin it with a dot, or leave it empty for a folder",
    )
    expect(
        not plugin.modules or bool(plugin.install),
        f"{plugin.__name__} needs {', '.join(plugin.modules)} and does not say what installs them; set install",
    )


STAGES: Stages = ((options, imports), (stated,))


def check_export(export: type[ExportFormat]) -> list[Finding]:
    """Return a finding for each promise of an export format."""
    return find_all(STAGES, ExportSubject(export))
