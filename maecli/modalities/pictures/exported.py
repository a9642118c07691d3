"""Pictures resized within an exported file, as evaluation does: the centred part in the model's proportions.

Shapes: B batch, C channels, H, W height and width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

Length = int | torch.SymInt
HALF_UP = 0.507
"""Added before what follows the point is cut off: halves are rounded up, as torch does with pictures of 8 bits.

They are frequent where sizes have a small ratio, as 256 and 224 pixels, and libraries differ by 0.005 of a level.
"""


def resize_in_graph(samples: Tensor, size: Sequence[int]) -> Tensor:
    """Return pictures (B, C, H, W) of any size as float32 (B, C, *size), antialiased; integers stay whole numbers.

    Those of 8 bits are rounded after each axis, the width first, as torch does: a level is the most that each changes.
    """
    H, W = samples.shape[2:]
    h, w = size
    tall = torch.sym_min(H, rounded(W * h, w))
    wide = torch.sym_min(W, rounded(H * w, h))
    top, left = (H - tall) // 2, (W - wide) // 2
    # a slice of all of the example's height would be left out of the graph
    x = samples.narrow(2, top, tall).narrow(3, left, wide).to(torch.float32)
    for step in ((tall, w), (h, w)):
        x = F.interpolate(x, step, mode="bilinear", antialias=True)  # type: ignore[arg-type]
        x = x if samples.is_floating_point() else (x + HALF_UP).floor()
    return x


def rounded(number: Length, by: Length) -> Length:
    """Return number / by as a whole number, one at least; halves are rounded up."""
    return torch.sym_max(1, (2 * number + by) // (2 * by))
