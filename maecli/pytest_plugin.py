"""What `pytest` loads where mae is installed: the option `--mae-check KIND.NAME`.

It runs in every pytest of such an environment, so it imports nothing of mae until the option is given.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from maecli.testing.by_name import Looks
    from maecli.testing.finding import Finding

OPTION = "--mae-check"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("mae").addoption(
        OPTION,
        action="append",
        default=[],
        metavar="KIND.NAME",
        help="add the conformance checks of an installed plugin of mae, such as task.whatever; may be repeated",
    )


def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    for plugin in dict.fromkeys(config.getoption(OPTION)):
        collector = PluginChecks.from_parent(session, name=plugin, nodeid=plugin)
        report = collector.ihook.pytest_make_collect_report(collector=collector)
        collector.ihook.pytest_collectreport(report=report)  # counts them, and tells what fails
        items.extend(report.result)


class PluginChecks(pytest.Collector):
    """The checks of one installed plugin."""

    def collect(self) -> Iterator[pytest.Item]:
        from maecli.errors import MaeError
        from maecli.testing.by_name import looks

        kind, _, name = self.name.partition(".")
        try:
            found: Looks = looks(kind, name)
        except MaeError as error:
            raise self.CollectError(f"{OPTION} {self.name}: {error}") from error
        for check, look in found.items():
            yield CheckItem.from_parent(self, name=check, look=look)


class CheckItem(pytest.Item):
    """One check."""

    def __init__(self, *, look: Any, **settings: Any) -> None:
        super().__init__(**settings)
        self.look = look

    def runtest(self) -> None:
        finding: Finding = self.look()
        if finding.problem is not None:
            pytest.fail(finding.problem, pytrace=False)
        if finding.note:
            pytest.skip(finding.note)

    def reportinfo(self) -> tuple[Any, None, str]:
        return self.path, None, self.name
