"""Whether what a run is measured on are the data that it began with; if not, what they are.

Measuring on other data is fine when it is said: the result then has a name of its own, beside that of the run's data.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from maecli.data.card import SplitName
from maecli.data.fingerprint import Fingerprint, digest_of, fingerprint_of
from maecli.data.sample import Split
from maecli.results import OtherData
from maecli.run.data.same_data import difference_of
from maecli.run.directory import RunDirectory
from maecli.run.open import Data
from maecli.run.report import run_faults
from maecli.training.checkpoint import Checkpoint

LONGEST_NAME, DIGITS = 40, 6


def other_data(
    run: RunDirectory,
    checkpoint: Checkpoint,
    data: Data,
    splits: Mapping[SplitName, Split],
    reading: str,
    measured: SplitName,
    say: Callable[[str], None],
) -> OtherData | None:
    """Return what the data are where they are not those that a run began with; `say` is told why they are not.

    `splits`, as the run's task asks for them, are compared as far as their fingerprints go; `reading` is what was read.
    None as well for runs that kept no fingerprints.
    """
    samples = checkpoint.metadata().get("samples")
    recorded = samples if isinstance(samples, dict) else {}
    broken = {fault.path for fault in run_faults(run)}
    differences = [
        difference
        for name, split in splits.items()
        if name in recorded and (difference := _difference(name, recorded[name], split, data.fields, broken))
    ]
    if not differences:
        return None
    folder = data.dataset.root.absolute().name
    other = OtherData(
        id=f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', folder)[:LONGEST_NAME].strip('-.') or 'data'}-{_digest(data, measured)}",
        folder=folder,
        reading=reading,
        samples=len(data.split(measured)),
        difference=differences[0],
    )
    say(f"these are not the data that the run began with: {other.difference}; the result stands beside the run's own")
    return other


def _difference(name: SplitName, recorded: Any, split: Split, fields: Sequence[str], broken: set[str]) -> str | None:
    """Return how a split differs from what was recorded of it; `broken` are samples that the run could not read."""
    before = Fingerprint.read(recorded)
    names = recorded if isinstance(recorded, str) else before.names if before is not None else None
    if names is None:
        return None
    if names != digest_of(split.keys):
        sound = split.view([i for i, key in enumerate(split.keys) if key not in broken])
        split = sound if names == digest_of(sound.keys) else split
    if before is None:
        same = names == digest_of(split.keys)
        return None if same else f"its {name} split has other samples now ({len(split):,} of them)"
    return difference_of(name, before, fingerprint_of(split, fields))


def _digest(data: Data, measured: SplitName) -> str:
    """Return what tells these data from others, in a few digits."""
    now = fingerprint_of(data.split(measured), data.fields)
    return digest_of([now.names, *sorted(now.facts.items())])[:DIGITS]
