"""What a page shows of volumes: tables and a chart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from maecli.modalities.study import Curves, Topic
from maecli.modalities.volumes.study.subject import Volume
from maecli.results import Table
from maecli.text import number_of

MOST_LISTED, MOST_LINES, BINS = 100, 8, 60


def space(volumes: Sequence[Volume], total: int) -> Topic:
    """Return where volumes lie."""
    rows = tuple(
        (
            volume.key,
            volume.split,
            " × ".join(map(str, volume.space.size)),
            _lengths(volume.space.spacing),
            _lengths(_extent(volume)),
            volume.space.orientation or "nowhere",
        )
        for volume in volumes[:MOST_LISTED]
    )
    columns = ("volume", "split", "voxels", "mm between them", "mm in all", "stored as")
    text = (f"{len(volumes):,} of {number_of(total, 'volume')} were looked at.",) if len(volumes) < total else ()
    table = Table(title="Voxels to the right, front and top", columns=columns, rows=rows)
    return Topic(title="Space", text=text, tables=(table,))


def _extent(volume: Volume) -> Sequence[float] | None:
    spacing = volume.space.spacing
    return None if spacing is None else [n * mm for n, mm in zip(volume.space.size, spacing, strict=True)]


def _lengths(lengths: Sequence[float] | None) -> str:
    return "unknown" if lengths is None else " × ".join(f"{length:.4g}" for length in lengths)


def values(volumes: Sequence[Volume]) -> Topic:
    """Return how values are spread, by volume."""
    rows: tuple[tuple[str | int | float, ...], ...] = tuple(
        (volume.key, *(float(f"{q:.4g}") for q in volume.quantiles)) for volume in volumes[:MOST_LISTED]
    )
    columns = ("volume", "least", "1%", "25%", "median", "75%", "99%", "greatest")
    table = Table(title="Values as they are stored, of the first channel", columns=columns, rows=rows)
    known = [volume for volume in volumes[:MOST_LINES] if len(volume.values)]
    if not known:
        return Topic(title="Values by volume", tables=(table,))
    low = min(volume.quantiles[1] for volume in known)
    high = max(volume.quantiles[-2] for volume in known)
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    middles = (edges[1:] + edges[:-1]) / 2
    points = {}
    for volume in known:
        counts, _ = np.histogram(volume.values, edges)
        shares = counts / len(volume.values)
        points[volume.key] = tuple(zip(middles.tolist(), shares.tolist(), strict=True))
    first = f", of the first {len(known)} volumes" if len(known) < len(volumes) else ""
    chart = Curves(
        name="values",
        caption=f"How often values stand in each volume, from the least 1% to the greatest{first}.",
        x_label="value",
        y_label="share of the voxels",
        points=points,
    )
    return Topic(title="Values by volume", tables=(table,), charts=(chart,))


def classes(volumes: Sequence[Volume], names: Sequence[str]) -> Topic | None:
    """Return how large classes are, over volumes with masks."""
    of_class: dict[int, list[float]] = {}
    for volume in volumes:
        for number, shown in volume.classes.items():
            if volume.millilitres is not None:
                of_class.setdefault(number, []).append(shown.voxels * volume.millilitres)
    if not of_class:
        return None
    rows: tuple[tuple[str | int | float, ...], ...] = tuple(
        (
            names[number] if 0 <= number < len(names) else f"number {number}, without a name",
            len(sizes),
            *(float(f"{end:.3g}") for end in (min(sizes), float(np.median(sizes)), max(sizes))),
        )
        for number, sizes in sorted(of_class.items())
    )
    columns = ("class", "volumes", "least ml", "median ml", "greatest ml")
    return Topic(title="Sizes of classes", tables=(Table(title="How large classes are", columns=columns, rows=rows),))
