"""What is said of volumes, in words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from maecli import api
from maecli.api import volumes

NAMED = 3


def reading(num: int, num_masks: int, num_classes: int, how: volumes.VolumeReading, channels: int, masks: bool) -> str:
    """Return one line: what was read, and how."""
    parts = [f"{num:,} volume{'s' if num != 1 else ''}"]
    if masks or num_masks:
        parts.append(f"{num_masks:,} with masks" + (f" of {num_classes} classes" if masks else ""))
    if channels > 1:
        parts.append(f"{channels} channels")
    parts.append("spacings as they are" if how.spacing is None else f"voxels of {in_mm(how.spacing)}")
    parts.append(values_of(how))
    return ", ".join(parts)


def values_of(how: volumes.VolumeReading) -> str:
    return "robust z-scores" if how.window is None else f"values from {how.window[0]:g} to {how.window[1]:g}"


def in_mm(spacing: Sequence[float]) -> str:
    return f"{' × '.join(f'{length:.4g}' for length in spacing)} mm"


def oddities(spaces: Mapping[str, volumes.Space]) -> Iterator[str]:
    """Yield what is odd of headers, each oddity with the volumes that have it."""
    of: dict[str, list[str]] = defaultdict(list)
    for key, space in spaces.items():
        for note in space.notes:
            of[note].append(key)
    for note, keys in of.items():
        more = f" and {len(keys) - NAMED:,} more" if len(keys) > NAMED else ""
        yield f"{', '.join(keys[:NAMED])}{more}: {note}"


def lacking(keys: Sequence[str], num: int) -> str:
    """Return what to know of voxels that are no number, in some of so many volumes."""
    more = f" and {len(keys) - NAMED:,} more" if len(keys) > NAMED else ""
    which = f"{', '.join(keys[:NAMED])}{more}, of {num:,} that were measured"
    return f"voxels that are no number (NaN) count as missing, and are hidden from the model: in {which}"


def no_masks(root: object, empty: Sequence[str], faults: Sequence[api.Fault], lone: Sequence[str]) -> str:
    """Return why there is no mask to learn from, and what to do."""
    way_out = "masks lie in labels/ by the names of their volumes, or beside these as NAME_seg, NAME_label or NAME_mask"
    if empty:
        return f"no volume in {root} has a mask: {empty[0]}/ is empty; {way_out}"
    if faults:
        return f"no volume in {root} has a mask that can be used; {faults[0]}"
    if lone:
        return f"no volume in {root} has a mask: {lone[0]}, for one, is named as no volume is; {way_out}"
    return f"no volume in {root} has a mask; {way_out}"


def stray(endings: Sequence[str]) -> str:
    """Return why a volume is left out whose name does not tell which channel it is."""
    return f"is no channel of a volume, as the names of those end with {' and '.join(endings)}"


def split_origin(given: Sequence[str], val_share: float, test_share: float, by_patient: bool, masks: bool) -> str:
    """Return where the splits come from."""
    shares = (("val", val_share), ("test", test_share))
    cut = [f"{name} ({share:g})" for name, share in shares if name not in given and share]
    origins = [f"{', '.join(given)}: given by folders or lists"] if given else []
    if cut:
        by = "by patient" if by_patient else "by volume"
        of = " of volumes with masks" if masks else ""
        origins.append(f"{' and '.join(cut)}{of} cut from train {by} with the fixed seed {api.SPLIT_SEED}")
    return "; ".join(origins) or "everything is train"
