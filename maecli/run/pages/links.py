"""Links between the pages of runs that belong together."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from maecli.reports.page import Link
from maecli.run.directory import REPORT, RunDirectory


def link_to(run: RunDirectory, folder: Path, text: str) -> Link | None:
    """Return a link to a run's page from a page in `folder`; None where there is none, or on another disk."""
    page = run.path.expanduser().resolve() / REPORT
    if not page.is_file():
        return None
    try:
        relative = Path(os.path.relpath(page, folder.expanduser().resolve())).as_posix()
    except ValueError:
        return None
    return Link(text, quote(relative, errors="surrogateescape"))


def origin(run: RunDirectory) -> Iterator[Link]:
    """Yield a link to the run that this one started from, if its page is still there."""
    spec = run.spec(lambda _: None)
    if not isinstance(init := spec.get("init"), str):
        return
    known = [
        path.get("resolved") for path in spec.get("paths") or () if isinstance(path, dict) and path["key"] == "init"
    ]
    start = Path(next(filter(None, known), init)).expanduser().resolve()
    for place in (start, *start.parents):
        if place != run.path.resolve() and RunDirectory(place).is_run:
            link = link_to(RunDirectory(place), run.path, f"Started from {place.name}, whose page is here")
            yield from [link] if link else []
            return
