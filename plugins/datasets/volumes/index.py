"""What the headers of volumes say: which can be used, and in what they are alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from maecli import api
from maecli.api import volumes

NUM_THREADS = 8
SINGLE_SLICE = "is a single slice ({}); a volume has several along each axis"


@dataclass
class Index:
    """The volumes of a folder that can be used."""

    cases: dict[str, volumes.Case]
    """By key; a mask that cannot be used is left out of its case."""
    spaces: dict[str, volumes.Space]
    channels: int
    faults: list[api.Fault] = field(default_factory=list)
    faults_of_masks: list[api.Fault] = field(default_factory=list)

    @property
    def integers(self) -> bool:
        return all(space.integers for space in self.spaces.values())

    def spacing(self, keys: Sequence[str]) -> volumes.Spacing | None:
        """Return the median spacing of volumes; None where one lies nowhere."""
        spacings = [self.spaces[key].spacing for key in keys]
        known = [spacing for spacing in spacings if spacing is not None]
        if not known or len(known) < len(spacings):
            return None
        right, front, top = (_rounded(median(lengths)) for lengths in zip(*known, strict=True))
        return right, front, top


def _rounded(length: float) -> float:
    """Return mm with four decimals, or with four digits where those are microscopic."""
    return round(length, 4) if length >= 0.1 else float(f"{length:.4g}")


def read_index(root: Path, cases: Sequence[volumes.Case], channels: int | None) -> Index:
    """Return what headers say; `channels` of all, or as most have them. Raises DataError where nothing can be used."""
    index = Index({}, {}, channels or 1)
    with ThreadPoolExecutor(NUM_THREADS) as pool:  # opening files waits for the disk
        opened = [*pool.map(lambda case: _open(root, case), cases)]
    counts = Counter(num for found in opened if isinstance(found, tuple) for num in [found[1]])
    index.channels = channels or (counts.most_common(1)[0][0] if counts else 1)
    for case, found in zip(cases, opened, strict=True):
        fault = found if isinstance(found, api.Fault) else _unlike(case, *found, index.channels)
        if fault is not None:
            index.faults.append(fault)
            continue
        assert not isinstance(found, api.Fault)
        index.spaces[case.key] = found[0]
        why = _unfit_mask(root, case, found[0])
        if why is not None:
            index.faults_of_masks.append(why)
        index.cases[case.key] = case if why is None else volumes.Case(case.images)
    if not index.cases:
        more = f"; {index.faults[0]}" if index.faults else ""
        raise api.DataError(f"none of {len(cases):,} volumes in {root} can be read{more}", index.faults)
    return index


def _open(root: Path, case: volumes.Case) -> tuple[volumes.Space, int] | api.Fault:
    """Return where a volume lies, and its channels."""
    spaces = []
    for image in case.images:
        try:
            spaces.append(volumes.read_space(root / image))
        except api.BrokenSample as error:
            return api.Fault(image, error.fault.reason)
    for image, space in zip(case.images[1:], spaces[1:], strict=True):
        if why := volumes.same_place(space, spaces[0], ("it", case.key)):
            return api.Fault(image, why)
    return spaces[0], len(spaces) if len(spaces) > 1 else spaces[0].channels


def _unlike(case: volumes.Case, space: volumes.Space, found: int, channels: int) -> api.Fault | None:
    """Return why a volume is not like the others, None where it is."""
    if found != channels:
        has = (
            f"has {found} channel{'' if found == 1 else 's'}, and {channels} {'is' if channels == 1 else 'are'} wanted"
        )
        several = "; a fourth axis counts as channels" if len(case.images) == 1 and found > 1 else ""
        return api.Fault(case.key, has + several)
    if min(space.size) == 1:
        return api.Fault(case.key, SINGLE_SLICE.format(" × ".join(map(str, space.size))))
    return None


def _unfit_mask(root: Path, case: volumes.Case, space: volumes.Space) -> api.Fault | None:
    if case.mask is None:
        return None
    try:
        lies = volumes.read_space(root / case.mask)
    except api.BrokenSample as error:
        return api.Fault(case.mask, error.fault.reason)
    if lies.channels != 1:
        return api.Fault(case.mask, f"is a mask of {lies.channels} channels; it holds one class number for each voxel")
    why = volumes.same_place(lies, space, ("it", case.key))
    return api.Fault(case.mask, why) if why else None


def masked(cases: Mapping[str, volumes.Case]) -> list[str]:
    return [key for key, case in cases.items() if case.mask is not None]
