"""Which patches the encoder sees, and taking tokens by position.

A mask is 1 where a patch is hidden, everywhere in this project. There are three families: `random` patches, a regular
`grid`, and `block`s. Each is a function of the sample's own uniform numbers in [0, 1) alone, and hides exactly
N - num_kept patches of every sample. MAE compares them (arXiv:2111.06377, table 1f, figure 6) and keeps to random
ones: a grid is the easiest to fill in, blocks are the hardest.

Where patches are absent (see `maecli.models.missing`), `present` (B, N) says which are not. An encoder that is told of
them attends to no absent one, so those are hidden wherever they are put.

Shapes: B batch, N patches, K kept, M = N - K hidden, D embed_dim, A axes of the grid of patches, G patches along an
axis, R rectangles.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from itertools import product
from typing import Literal, NamedTuple

import torch
from torch import Tensor

Mask = Literal["random", "grid", "block"]

NUM_BLOCKS = 32
"""Rectangles that are drawn for a sample; far more than it takes to hide three quarters of the patches."""
MIN_AREA = 16 / 78
"""Of a rectangle, as a share of what is to be hidden: BEiT's 16 patches of the 78 that it hides of 14×14."""
MIN_ASPECT = 0.3
"""Least ratio between two sides of a rectangle, each measured in sides of the grid."""


class Masking(NamedTuple):
    """One split of every sample's patches into kept and hidden ones."""

    ids_keep: Tensor
    """(B, K) int64, in no particular order; some may be absent."""
    ids_hide: Tensor
    """(B, M) int64, likewise."""
    mask: Tensor
    """(B, N) float32, 1 = hidden; so are all that are absent."""


class Lattice(NamedTuple):
    """One patch of every cell, at the same place in each."""

    cell: tuple[int, ...]
    """Patches along each axis; each divides the grid's."""
    hidden: bool
    """Whether the patches of the lattice are hidden and all others kept, or the other way round."""


def num_kept(num_patches: int, mask_ratio: float) -> int:
    """Return how many patches stay visible: N - round(N * mask_ratio).

    Rounding, where the official code truncates: int() would hide 28 of 100 at 0.29.
    """
    return num_patches - round(num_patches * mask_ratio)


def mask_draws(mask: Mask, grid: Sequence[int]) -> int:
    """Return how many uniform numbers per sample `make_masking` takes."""
    if mask == "random":
        return math.prod(grid)
    return len(grid) if mask == "grid" else 1 + NUM_BLOCKS * (1 + 2 * len(grid))


def make_masking(
    mask: Mask, noise: Tensor, grid: Sequence[int], mask_ratio: float, present: Tensor | None = None
) -> Masking:
    """Return which patches of `grid` each sample hides, by its numbers `noise` (B, mask_draws) in [0, 1).

    Random masks hide the `mask_ratio` of those that are `present` (B, N); a grid and blocks lie where they lie, so that
    what they keep may be absent. Raises ValueError when no patch, or every patch, would be hidden, or the family cannot
    hide so many.
    """
    if mask == "random":
        return random_masking(noise, mask_ratio, present)
    masking = grid_masking(noise, grid, mask_ratio) if mask == "grid" else block_masking(noise, grid, mask_ratio)
    return _without_absent(masking, present)


def random_masking(noise: Tensor, mask_ratio: float, present: Tensor | None = None) -> Masking:
    """Hide the `mask_ratio` of each sample's patches that drew the highest noise (B, N).

    Of those that are `present` (B, N), where some are not; of two or more at least one is kept. Absent ones fill up
    `ids_keep`, so that its size is the same for all samples, and a sample of which all is present is masked as ever.
    Source: MAE, arXiv:2111.06377, section 3, "Masking".
    Raises ValueError when no patch, or every patch, would be hidden.
    """
    N = noise.shape[1]
    K = _checked_num_kept(N, mask_ratio)
    if present is None:
        return _hide_highest(noise, K)
    ids = noise.argsort(dim=1, stable=True)
    here = present.gather(1, ids)  # (B, N), in order of noise, as all that follows
    kept = here.cumsum(1) <= _kept_of(N, mask_ratio, noise.device)[present.sum(1, keepdim=True)]
    place = torch.where(here, torch.where(kept, 0, 2), 1)  # the absent between kept and hidden
    return _without_absent(_split(ids.gather(1, place.argsort(dim=1, stable=True)), K), present)


def grid_masking(noise: Tensor, grid: Sequence[int], mask_ratio: float) -> Masking:
    """Hide all but a lattice of patches, or the lattice; noise (B, A) says where in its cell the lattice lies.

    At 0.75 on an even grid one of every 2×2 patches is kept: MAE's grid-wise sampling (arXiv:2111.06377, figure 6),
    where it is the same one in every sample. Here each sample draws it anew: a lattice that never moved would leave
    the encoder without a single look at the other positions until it is fine-tuned on all of them. Cells divide the
    grid, so the count is exact wherever the lattice lies.
    Raises ValueError as `find_lattice` does.
    """
    lattice = find_lattice(grid, mask_ratio)
    K = num_kept(math.prod(grid), mask_ratio)
    ids = torch.zeros(len(noise), 1, dtype=torch.int64, device=noise.device)
    for axis, (size, step) in enumerate(zip(grid, lattice.cell, strict=True)):
        offset = (noise[:, axis, None] * step).long()
        places = offset + torch.arange(0, size, step, device=noise.device)  # (B, G / step)
        ids = (ids.unsqueeze(2) * size + places.unsqueeze(1)).flatten(1)
    everywhere = torch.full((len(noise), math.prod(grid)), not lattice.hidden, device=noise.device)
    return _hide_highest(everywhere.scatter_(1, ids, lattice.hidden).int(), K)


def block_masking(noise: Tensor, grid: Sequence[int], mask_ratio: float) -> Masking:
    """Hide rectangles of random area, shape and place until the `mask_ratio` is reached; noise (B, mask_draws).

    Source: BEiT, arXiv:2106.08254, algorithm 1, with these differences. The last rectangle is cut to its first rows, or
    its last by a coin, so that the count is exact. Areas and sides are shares of the grid's, so that small, long and
    many-axed grids are masked alike. What is left to hide, which bounds the next rectangle's area, counts overlaps
    twice, so that all rectangles can be drawn at once. Sides beyond the grid are cut, not drawn again. Should
    `NUM_BLOCKS` rectangles not reach the count, as may happen above 0.8, the rest is hidden row by row too.
    The middle lies under more rectangles than the corners, so much so at 0.75 that mostly the border is seen: BEiT
    hides 0.4, and in MAE's comparison blocks do well at 0.5 and badly at 0.75.
    Raises ValueError when no patch, or every patch, would be hidden.
    """
    N, A = math.prod(grid), len(grid)
    K = _checked_num_kept(N, mask_ratio)
    coin, rectangles = noise[:, :1], noise[:, 1:].reshape(-1, NUM_BLOCKS, 1 + 2 * A)
    area, shape, place = rectangles[..., 0], rectangles[..., 1 : 1 + A], rectangles[..., 1 + A :]
    side = _areas(area, 1 - K / N).unsqueeze(2) ** (1 / A)  # (B, R, 1), of a square's
    stretch = (-math.log(MIN_ASPECT) * (shape - shape.mean(2, keepdim=True))).exp()  # (B, R, A), product 1
    inside = torch.ones(len(noise), NUM_BLOCKS, 1, dtype=torch.bool, device=noise.device)
    for axis, size in enumerate(grid):
        length = (size * side * stretch[..., axis, None]).round().clamp(1, size)  # (B, R, 1)
        start = (place[..., axis, None] * (size - length + 1)).floor()
        cells = torch.arange(size, device=noise.device)
        covered = (start <= cells) & (cells < start + length)  # (B, R, G)
        inside = (inside.unsqueeze(3) & covered.unsqueeze(2)).flatten(2)
    number = torch.arange(NUM_BLOCKS, dtype=torch.int16, device=noise.device).unsqueeze(1)
    first = torch.where(inside, number, NUM_BLOCKS).amin(1)  # (B, N), the first rectangle on each patch
    position = torch.arange(N, device=noise.device)
    position = torch.where(coin < 0.5, position, N - 1 - position)
    return _hide_highest(-(first.long() * N + position), K)


def find_lattice(grid: Sequence[int], mask_ratio: float) -> Lattice:
    """Return the lattice that hides the `mask_ratio` of the patches of `grid`.

    Raises ValueError naming the nearest ratios when there is none, or when no patch, or every patch, would be hidden.
    """
    lattices, N = _lattices(tuple(grid)), math.prod(grid)
    hidden = N - _checked_num_kept(N, mask_ratio)
    if hidden not in lattices:
        below, above = max(n for n in lattices if n < hidden), min(n for n in lattices if n > hidden)
        raise ValueError(
            f"mask_ratio {mask_ratio} cannot be had from a grid mask on {'×'.join(map(str, grid))} patches, which "
            f"keeps or hides one patch of every cell of equal size; take {_shortest_ratio(below, N)}, "
            f"{_shortest_ratio(above, N)} or another mask"
        )
    return lattices[hidden]


def take(tokens: Tensor, ids: Tensor) -> Tensor:
    """Return the tokens (B, K, D) at positions `ids` (B, K) of tokens (B, N, D), or of (1, N, D) for all."""
    tokens = tokens.expand(ids.shape[0], -1, -1)
    return tokens.gather(1, ids.unsqueeze(-1).expand(-1, -1, tokens.shape[-1]))


def _checked_num_kept(N: int, mask_ratio: float) -> int:
    K = num_kept(N, mask_ratio)
    if not 0 < K < N:
        raise ValueError(f"mask_ratio {mask_ratio} hides {N - K} of {N} patches")
    return K


def _hide_highest(score: Tensor, K: int) -> Masking:
    """Keep the K patches of lowest score (B, N) and hide the others; equal ones are taken by position."""
    return _split(score.argsort(dim=1, stable=True), K)


def _split(ids: Tensor, K: int) -> Masking:
    """Keep the first K of the patches `ids` (B, N)."""
    ids_keep, ids_hide = ids[:, :K], ids[:, K:]
    mask = torch.ones_like(ids, dtype=torch.float32).scatter_(1, ids_keep, 0.0)
    return Masking(ids_keep, ids_hide, mask)


def _without_absent(masking: Masking, present: Tensor | None) -> Masking:
    return masking if present is None else masking._replace(mask=torch.where(present, masking.mask, 1.0))


@cache
def _kept_of(N: int, mask_ratio: float, device: torch.device) -> Tensor:
    """Return how many of 0 to N patches that are present stay visible (N + 1,)."""
    return torch.tensor([max(num_kept(n, mask_ratio), int(n > 1)) for n in range(N + 1)], device=device)


def _areas(draws: Tensor, hidden: float) -> Tensor:
    """Return the area of each rectangle as a share of the grid, by draws (B, R): from the least to what is left."""
    left = torch.ones_like(draws[:, 0])
    areas = torch.full_like(draws, MIN_AREA)
    for i in range(math.ceil(1 / MIN_AREA)):  # by then nothing is left
        areas[:, i] += draws[:, i] * (left - MIN_AREA).clamp(min=0)
        left = left - areas[:, i]
    return hidden * areas


@cache
def _lattices(grid: tuple[int, ...]) -> dict[int, Lattice]:
    """Return the lattices of a grid by how many patches they hide; of cells with equally many, the squarest."""
    N = math.prod(grid)
    sides = [[side for side in range(1, size + 1) if size % side == 0] for size in grid]
    lattices: dict[int, Lattice] = {}
    for cell in sorted(product(*sides), key=lambda cell: (max(cell) / min(cell), cell)):
        num = N // math.prod(cell)
        if num < N:
            lattices.setdefault(N - num, Lattice(cell, hidden=False))
            lattices.setdefault(num, Lattice(cell, hidden=True))
    return lattices


def _shortest_ratio(hidden: int, N: int) -> str:
    """Return the mask_ratio with the fewest digits that hides so many of N patches."""
    texts = (f"{hidden / N:.{digits}g}" for digits in range(1, 18))
    return next(text for text in texts if round(N * float(text)) == hidden)
