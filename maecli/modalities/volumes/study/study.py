"""What the volumes of a data set show together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from maecli.data.card import SPLIT_NAMES, DataCard, SplitName
from maecli.data.sample import Split
from maecli.errors import DataError
from maecli.modalities.study import Study
from maecli.modalities.volumes.cases import VolumeCases
from maecli.modalities.volumes.study import shown, told
from maecli.modalities.volumes.study.sides import pairs_of, swapped
from maecli.modalities.volumes.study.subject import MOST_VOLUMES, looked_at

SplitOf = Callable[[SplitName, Sequence[str]], Split]


def study(split_of: SplitOf, card: DataCard) -> Study | None:
    """Return what volumes show together; None of volumes that are not read as a `VolumeReading` says."""
    splits = {name: split_of(name, ("image",)) for name in SPLIT_NAMES}
    cases = {name: split for name, split in splits.items() if isinstance(split, VolumeCases)}
    total = sum(map(len, cases.values()))
    if not total or card.volumes is None:
        return None
    volumes = [
        volume
        for name, split in cases.items()
        for volume in looked_at(split, name, -(-MOST_VOLUMES * len(split) // total))
    ]
    if not volumes:
        return None
    names, void = _classes(split_of, card)
    pairs = pairs_of(names)
    with_sides = [
        volume for volume in volumes if any({pair.left, pair.right} <= volume.classes.keys() for pair in pairs)
    ]
    findings = [
        *told.on_sides(swapped(volumes, pairs), pairs, len(with_sides)),
        *(told.on_numbers(volumes, len(names), void) if names else ()),
        *told.on_values(volumes, card.volumes),
        *told.on_space(volumes, card),
    ]
    topics = (shown.space(volumes, total), shown.values(volumes), shown.classes(volumes, names))
    return Study(findings=tuple(findings), topics=tuple(topic for topic in topics if topic is not None))


def _classes(split_of: SplitOf, card: DataCard) -> tuple[tuple[str, ...], int | None]:
    """Return the names of classes, and the number in files where nothing is judged."""
    if "mask" not in card.fields:
        return (), None
    try:
        split = split_of("train", ("image", "mask"))
    except DataError:
        return (), None
    masks = split.masks if isinstance(split, VolumeCases) else None
    return (masks.names, masks.void) if masks is not None else ((), None)
