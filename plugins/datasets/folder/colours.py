"""Whether files hold pictures in colour, by their headers alone: a mask is grey, or has a palette."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from maecli.api import BrokenSample, pictures

PNG, COLOUR_TYPE, PALETTE = b"\x89PNG", 25, 3
"""How a PNG begins, at which byte it says how its pixels mean colours, and by an index into a palette."""


def grey_below(root: Path) -> Callable[[str], bool | None]:
    """Return what says of a file below `root` whether it is grey or has a palette; None for one that is no picture."""

    def is_grey(path: str) -> bool | None:
        try:
            if pictures.probe_picture(root / path).channels == 1:
                return True
            with (root / path).open("rb") as file:
                start = file.read(COLOUR_TYPE + 1)
        except (BrokenSample, OSError):
            return None
        return start.startswith(PNG) and start[COLOUR_TYPE] == PALETTE

    return is_grey
