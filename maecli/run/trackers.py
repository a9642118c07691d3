"""The trackers of a run, open while it trains."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

from maecli.registry import Registry
from maecli.run.directory import RunDirectory
from maecli.schema import RunSpec
from maecli.storage.files import disk_errors
from maecli.storage.shareable import shareable
from maecli.training.tracker import Tracker


@contextlib.contextmanager
def open_trackers(
    spec: RunSpec, registry: Registry, run: RunDirectory, start_step: int, say: Callable[[str], None]
) -> Iterator[Sequence[Tracker]]:
    """Give the run's trackers; they are closed whatever happens. `say` is told what they cannot read back."""

    def close(tracker: Tracker) -> None:
        with disk_errors(run.path):
            tracker.close()

    with contextlib.ExitStack() as stack:
        trackers = []
        for name in spec.trackers:
            plugin = registry.tracker(name)
            with disk_errors(run.path):
                problems = plugin.problems(run.path)
            for problem in problems:
                say(problem)
            run.ledger.claim(*(name for name in plugin.files if not set("*?[/") & set(name)))
            before = run.files(plugin.files)
            with disk_errors(run.path):
                tracker = plugin(run.path, shareable(spec.model_dump(mode="json")), start_step)
            stack.callback(close, tracker)
            run.ledger.own(*sorted(run.files(plugin.files) - before - run.ledger.paths))
            trackers.append(tracker)
        yield trackers
