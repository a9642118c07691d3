"""What drawings of all kinds of samples share: colours for what is hidden and for what is missing.

Shapes: h, w a drawing's size.
"""

from __future__ import annotations

import numpy as np

HIDDEN = (213, 217, 222)
"""RGB of what is hidden from a model, as in the drawings of masks."""
VEIL = 0.85
"""Share of that colour where something else shows through."""
HATCH = 4
"""Cells from one line to the next where values are missing."""


def veiled(rgb: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """Return a drawing (3, h, w) in [0, 1] whose hidden cells (h, w) are covered, so that they still can be guessed."""
    cover = np.array(HIDDEN, np.float32)[:, None, None] / 255
    return np.where(hidden, rgb + VEIL * (cover - rgb), rgb).astype(np.float32)


def hatched(rgb: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Return a drawing (3, h, w) in [0, 1] whose missing cells (h, w) are white with slanting grey lines."""
    rows, columns = np.indices(missing.shape)
    lines = np.where((rows + columns) % HATCH == 0, 0.6, 1.0)
    return np.where(missing, lines, rgb).astype(np.float32)
