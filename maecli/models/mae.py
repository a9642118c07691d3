"""The masked autoencoder: an encoder that sees the kept patches, a decoder that predicts the hidden ones.

Source: MAE, arXiv:2111.06377.

Shapes: B batch, C channels, S spatial axes, N patches, K kept, M hidden, P values per patch, D embed_dim of the
encoder, E embed_dim of the decoder.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from maecli.models.blocks import Block, init_weights
from maecli.models.encoder import Encoder
from maecli.models.kernels.amx import Linear
from maecli.models.masking import Masking, take
from maecli.models.missing import with_prefix, zero_missing
from maecli.models.patches import grid_of, patchify
from maecli.models.positions import interpolate_pos_embed, sincos_pos_embed

NORM_PIX_EPS = 1e-6


def patch_moments(patches: Tensor, valid: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return mean and variance (unbiased) of every patch of (B, N, P), each (B, N, 1).

    Of cells that are `valid` (B, N, P) alone; a single one has a variance of 0, and none has a mean of 0 too.
    """
    if valid is None:
        variance, mean = torch.var_mean(patches, dim=-1, keepdim=True)
        return mean, variance
    num = valid.sum(-1, keepdim=True)
    mean = zero_missing(patches, valid).sum(-1, keepdim=True) / num.clamp(min=1)
    squares = zero_missing(patches - mean, valid).square().sum(-1, keepdim=True)
    return mean, squares / (num - 1).clamp(min=1)


def normalize_patches(patches: Tensor, valid: Tensor | None = None) -> Tensor:
    """Return patches with mean 0 and variance 1 each: the target under `norm_pix_loss` (section 4.1)."""
    mean, variance = patch_moments(patches, valid)
    return (patches - mean) / (variance + NORM_PIX_EPS).sqrt()


def denormalize_patches(pred: Tensor, patches: Tensor, valid: Tensor | None = None) -> Tensor:
    """Return predictions in the units of the pixels, by the true patches' own mean and variance."""
    mean, variance = patch_moments(patches, valid)
    return pred * (variance + NORM_PIX_EPS).sqrt() + mean


class Decoder(nn.Module):
    """A light transformer from the visible tokens to pixels. Discarded after pretraining (section 3)."""

    def __init__(
        self,
        encoder: Encoder,
        embed_dim: int = 512,
        depth: int = 8,
        num_heads: int = 16,
        mlp_ratio: float = 4.0,
        norm_eps: float = 1e-6,
    ) -> None:
        super().__init__()
        self.grid, self.patch_size = encoder.grid, encoder.patch_size
        self.num_prefix_tokens = encoder.num_prefix_tokens
        self.embed = Linear(encoder.embed_dim, embed_dim)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, embed_dim))
        self.pos_embed = nn.Parameter(sincos_pos_embed(self.grid, embed_dim).unsqueeze(0), requires_grad=False)
        self.blocks = nn.ModuleList(Block(embed_dim, num_heads, mlp_ratio, norm_eps=norm_eps) for _ in range(depth))
        self.norm = nn.LayerNorm(embed_dim, eps=norm_eps)
        self.pred: nn.Module = Linear(embed_dim, math.prod(self.patch_size) * encoder.in_chans)
        self.apply(init_weights)
        nn.init.normal_(self.mask_token, std=0.02)

    @classmethod
    def suited(
        cls,
        encoder: Encoder,
        embed_dim: int | None = None,
        depth: int | None = None,
        num_heads: int | None = None,
        mlp_ratio: float = 4.0,
    ) -> Decoder:
        """Return a new decoder of the size that suits the encoder where none is given."""
        width, layers, heads = encoder.decoder_defaults
        return cls(encoder, embed_dim or width, depth or layers, num_heads or heads, mlp_ratio)

    def forward(
        self,
        latent: Tensor,
        ids_keep: Tensor,
        grid: Sequence[int],
        ids_pred: Tensor | None = None,
        present: Tensor | None = None,
    ) -> Tensor:
        """Return predicted patches (B, N, P), or (B, M, P) of those in `ids_pred` (B, M).

        No token attends to patches that are not `present` (B, N): nothing there is known or asked for, so that their
        mask tokens would only say how much is missing. What is predicted there means nothing.
        """
        tokens = self.embed(latent)
        prefix, visible = tokens[:, : self.num_prefix_tokens], tokens[:, self.num_prefix_tokens :]
        B, _, E = visible.shape
        full = self.mask_token.to(visible.dtype).expand(B, math.prod(grid), E)
        full = full.scatter(1, ids_keep.unsqueeze(-1).expand(-1, -1, E), visible)  # (B, N, E)
        full = full + interpolate_pos_embed(self.pos_embed, self.grid, grid)
        tokens = torch.cat([prefix.to(full.dtype), full], dim=1)
        present = with_prefix(present, self.num_prefix_tokens)
        for block in self.blocks:
            tokens = block(tokens, present)
        tokens = tokens[:, self.num_prefix_tokens :]
        if ids_pred is not None:
            tokens = take(tokens, ids_pred)
        return self.pred(self.norm(tokens))


class MaskedAutoencoder(nn.Module):
    """Encoder and decoder with the reconstruction loss on hidden patches."""

    def __init__(self, encoder: Encoder, decoder: Decoder, norm_pix_loss: bool = False) -> None:
        super().__init__()
        self.encoder, self.decoder, self.norm_pix_loss = encoder, decoder, norm_pix_loss

    def target(self, x: Tensor, valid: Tensor | None = None) -> Tensor:
        """Return the patches (B, N, P) that the decoder should predict, where they are `valid`."""
        patches = patchify(x, self.encoder.patch_size)
        cells = None if valid is None else patchify(valid, self.encoder.patch_size)
        return normalize_patches(patches, cells) if self.norm_pix_loss else patches

    def reconstruct(
        self, x: Tensor, ids_keep: Tensor, ids_pred: Tensor | None = None, valid: Tensor | None = None
    ) -> Tensor:
        """Return predicted patches (B, N, P) in the units of `target`, or those in `ids_pred` only."""
        latent, present = self.encoder(x, ids_keep, valid), self.encoder.present(valid)
        return self.decoder(latent, ids_keep, grid_of(x.shape[2:], self.encoder.patch_size), ids_pred, present)

    def forward(self, x: Tensor, masking: Masking, valid: Tensor | None = None) -> Tensor:
        """Return the mean squared error () over hidden patches of x (B, C, *S); visible ones do not count.

        Nor do cells that are not `valid` (B, C, *S); the loss is 0 where no other is hidden.
        """
        target = take(self.target(x, valid), masking.ids_hide)
        pred = self.reconstruct(x, masking.ids_keep, masking.ids_hide, valid)
        error = pred.float() - target  # (B, M, P)
        if valid is None:
            return error.square().mean()
        judged = take(patchify(valid, self.encoder.patch_size), masking.ids_hide)
        return zero_missing(error, judged).square().sum() / judged.sum().clamp(min=1)
