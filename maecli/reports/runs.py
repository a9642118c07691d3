"""One self-contained HTML page of all runs in a folder, with links to what lies beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from maecli.reports.page import finished, template


class RunRow(NamedTuple):
    """A run in words; links are relative to the page, and empty where there is nothing to lead to."""

    name: str
    folder: str
    page: str
    what: str
    state: str
    headline: str
    start: str
    """What it started from."""
    parent: str
    """Where that is, if it is a run beside it."""


class PageLink(NamedTuple):
    """A page that is none of a run: of a sweep, of `mae eda`, of predictions."""

    name: str
    href: str


def render_runs(title: str, summary: str, rows: Sequence[RunRow], pages: Sequence[PageLink]) -> str:
    """Return the page as HTML."""
    return finished(template("runs.html").render(title=title, summary=summary, rows=rows, pages=pages))
