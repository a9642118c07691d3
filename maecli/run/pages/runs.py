"""The page `index.html` of the folder of runs: each run, its page, and the run that it started from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from maecli.errors import MaeError
from maecli.reports.runs import PageLink, RunRow, render_runs
from maecli.run.directory import REPORT, runs_dir
from maecli.run.listing import RunEntry, list_runs
from maecli.storage.files import write_bytes
from maecli.storage.ledger import Ledger
from maecli.storage.lock import locked

INDEX = "index.html"
LOCK, WAIT_S = "index.lock", 10.0
WRITER = "runs"
Say = Callable[[str], None]


def renew_runs_page(say: Say, made: Path | None = None) -> None:
    """Write the page of `runs_dir` anew, if `made`, what a command has just made, lies in that folder.

    A page that mae did not write stays. `say` is told why there is none: what was done is done, whatever comes of it.
    """
    root = runs_dir()
    if not root.is_dir() or (made is not None and root.resolve() not in made.expanduser().resolve().parents):
        return
    try:
        _write(root, list_runs(root), say)
    except (MaeError, OSError) as error:
        say(f"{root / INDEX} was not renewed: {error}")


def _write(root: Path, entries: Sequence[RunEntry], say: Say) -> None:
    entries = [entry for entry in entries if entry.path.resolve() != root.resolve()]
    if not entries:
        return
    page, ledger = root / INDEX, Ledger(root, WRITER)
    content = runs_page(root, entries).encode("utf-8", errors="backslashreplace")
    with locked(root, LOCK, WAIT_S):
        if page.exists() and not ledger.is_as_noted(INDEX):
            say(f"{page} is there and was not written by mae, so it stays; move it away to have a page of runs")
            return
        if page.exists() and page.read_bytes() == content:
            return
        if not ledger.began:
            ledger.begin(whole=False)
        ledger.claim(INDEX)
        write_bytes(page, content)
        ledger.note(INDEX)


def runs_page(root: Path, entries: Sequence[RunEntry]) -> str:
    """Return the page of runs in and below a folder as HTML."""
    by_place = {entry.path.resolve(): entry for entry in entries}
    rows = [_row(root, entry, by_place) for entry in reversed(entries)]
    finished = sum(entry.state == "finished" for entry in entries)
    runs = "1 run" if len(entries) == 1 else f"{len(entries):,} runs"
    return render_runs("Runs", f"{runs}, {finished:,} of them finished.", rows, list(_pages(root, entries)))


def _row(root: Path, entry: RunEntry, by_place: Mapping[Path, RunEntry]) -> RunRow:
    name, what, state, headline = entry.cells()
    report = entry.path / REPORT
    start = Path(entry.init).expanduser().resolve() if entry.init else None
    parent = next((by_place[place] for place in (start, *start.parents) if place in by_place), None) if start else None
    return RunRow(
        name=name,
        folder=_link(root, entry.path),
        page=_link(root, report) if report.is_file() else "",
        what=what,
        state=state,
        headline=headline,
        start=parent.name if parent else entry.init,
        parent=_link(root, parent.path) if parent else "",
    )


def _pages(root: Path, entries: Sequence[RunEntry]) -> Iterator[PageLink]:
    """Yield the pages one folder below that belong to no run."""
    runs = {entry.path for entry in entries}
    for page in sorted(root.glob(f"*/{REPORT}")):
        if page.parent not in runs:
            yield PageLink(page.parent.name, _link(root, page))


def _link(root: Path, path: Path) -> str:
    """Return a relative address, with a slash at the end of a folder."""
    return quote(f"./{path.relative_to(root).as_posix()}", errors="surrogateescape") + "/" * path.is_dir()
