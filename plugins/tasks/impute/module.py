"""Autoencoders of rows, to which a hidden cell is the same as one that was never there.

Shapes: B batch, C channels, F cells of a row, N patches, P values per patch, E embed_dim of the decoder.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from maecli import api


class Imputer(nn.Module, ABC):
    """An encoder, and what says from its tokens what stands in every cell."""

    encoder: api.Encoder

    @abstractmethod
    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """Return what is predicted of all cells (B, C, F), of x (B, C, F) where it is `valid` (B, C, F) bool."""


class CellHeads(nn.Module):
    """From tokens (B, N, E) to what stands in every patch (B, N, P), each by weights of its own."""

    def __init__(self, num: int, embed_dim: int, num_values: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(num, embed_dim, num_values) / math.sqrt(embed_dim))
        self.bias = nn.Parameter(torch.zeros(num, num_values))

    def forward(self, tokens: Tensor) -> Tensor:
        return torch.einsum("bne,nep->bnp", tokens, self.weight) + self.bias


class TokenImputer(Imputer):
    """An encoder that sees the cells that are there, and a decoder that says what stands in every cell.

    No token attends to a cell that is not there: what is hidden in training has no say at all, as what is missing has
    none afterwards, and what is made of one cell does not depend on which others are missing too.
    Each cell has a mask token and a head of its own, as columns have little in common.
    Source: ReMasker, arXiv:2309.13793, section 3; its decoder attends to mask tokens, too.
    """

    def __init__(self, encoder: api.Encoder, decoder: api.nets.Decoder) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        decoder.pos_embed.requires_grad_()
        num_values = encoder.in_chans * math.prod(encoder.patch_size)
        decoder.pred = CellHeads(math.prod(encoder.grid), decoder.pos_embed.shape[-1], num_values)

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        latent = self.encoder(x, valid=valid)
        grid = api.nets.grid_of(x.shape[2:], self.encoder.patch_size)
        ids = torch.arange(grid[0], device=x.device).expand(len(x), -1)
        pred = self.decoder(latent, ids, grid, present=self.encoder.present(valid))
        return api.nets.unpatchify(pred, grid, self.encoder.patch_size)


class RowImputer(Imputer):
    """An encoder that gives one token of a whole row, and a linear layer from it to all cells."""

    def __init__(self, encoder: api.Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(encoder.embed_dim, encoder.in_chans * math.prod(encoder.img_size))

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        return self.head(self.encoder(x, valid=valid)[:, 0]).reshape(x.shape)
