"""The vision transformer, over a grid of any number of axes, that can see a part of the patches only.

Shapes: B batch, C channels, S spatial axes, N patches, K kept, T prefix tokens, D embed_dim.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from maecli.models.blocks import Activation, Block, init_weights
from maecli.models.channels import mean_over_channels, split_channels
from maecli.models.encoder import Encoder
from maecli.models.kernels.amx import Linear
from maecli.models.masking import take
from maecli.models.missing import with_prefix, zero_absent, zero_missing
from maecli.models.patches import grid_of, patchify
from maecli.models.positions import interpolate_pos_embed, sincos_pos_embed
from maecli.models.rotary import rotary_angles


class VisionTransformer(Encoder):
    """ViT encoder with a class token and fixed sine-cosine or learned positions.

    Patches are taken before they are embedded, so hidden ones cost nothing. Registers are further prefix tokens without
    a position (arXiv:2309.16588); `pre_norm` normalises all tokens before the first block, as CLIP does; `rotary` is
    the base of rotary positions, which stand in the place of those that are added.
    Source: ViT, arXiv:2010.11929, section 3.1; MAE, arXiv:2111.06377, section 3, "MAE encoder".
    """

    def __init__(
        self,
        img_size: Sequence[int],
        patch_size: Sequence[int],
        in_chans: int = 3,
        embed_dim: int = 768,
        depth: int = 12,
        num_heads: int = 12,
        mlp_ratio: float = 4.0,
        drop_path: float = 0.0,
        layer_scale: float | None = None,
        learned_pos_embed: bool = False,
        norm_eps: float = 1e-6,
        decoder: tuple[int, int, int] = (512, 8, 16),
        per_channel: bool = False,
        final_norm: bool = True,
        registers: int = 0,
        pre_norm: bool = False,
        activation: Activation = "gelu",
        rotary: float | None = None,
    ) -> None:
        super().__init__()
        grid = grid_of(img_size, patch_size)
        self.per_channel = per_channel
        in_chans = 1 if per_channel else in_chans
        self.img_size, self.patch_size = tuple(img_size), tuple(patch_size)
        self.in_chans, self.embed_dim, self.depth = in_chans, embed_dim, depth
        self.num_prefix_tokens, self.activation = 1 + registers, activation
        self.rotary, self.head_dim = rotary, embed_dim // num_heads
        self.decoder_defaults = decoder

        self.patch_embed: nn.Module = Linear(math.prod(patch_size) * in_chans, embed_dim)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, embed_dim))
        self.reg_token = nn.Parameter(torch.zeros(1, registers, embed_dim)) if registers else None
        positions = sincos_pos_embed(grid, embed_dim)
        if rotary is not None:
            rotary_angles(grid, self.head_dim, rotary)  # raises where they do not fit
            positions = torch.zeros_like(positions)
        self.pos_embed = nn.Parameter(positions.unsqueeze(0), requires_grad=learned_pos_embed)
        self.norm_pre: nn.Module = nn.LayerNorm(embed_dim, eps=norm_eps) if pre_norm else nn.Identity()
        rates = torch.linspace(0, drop_path, depth, device="cpu").tolist()  # deeper blocks are dropped more often
        self.blocks = nn.ModuleList(
            Block(embed_dim, num_heads, mlp_ratio, rate, layer_scale, norm_eps, activation) for rate in rates
        )
        self.norm: nn.Module = nn.LayerNorm(embed_dim, eps=norm_eps) if final_norm else nn.Identity()
        self.apply(init_weights)
        nn.init.normal_(self.cls_token, std=0.02)
        if self.reg_token is not None:
            nn.init.normal_(self.reg_token, std=0.02)

    def embed(self, x: Tensor, ids_keep: Tensor | None, present: Tensor | None = None) -> Tensor:
        """Return prefix tokens and embedded patches with their positions, (B, T + N or K, D).

        Patches that are not `present` (B, N) must not change the tokens of others.
        """
        patches = patchify(x, self.patch_size)
        pos_embed = interpolate_pos_embed(self.pos_embed, self.grid, grid_of(x.shape[2:], self.patch_size))
        if ids_keep is not None:
            patches, pos_embed = take(patches, ids_keep), take(pos_embed, ids_keep)
        return self._with_prefix_tokens(self.patch_embed(patches) + pos_embed)

    def _with_prefix_tokens(self, tokens: Tensor) -> Tensor:
        prefix = self.cls_token if self.reg_token is None else torch.cat([self.cls_token, self.reg_token], dim=1)
        # len() would be the number of the example for torch.export
        prefix = prefix.expand(tokens.shape[0], -1, -1).to(tokens.dtype)
        return self.norm_pre(torch.cat([prefix, tokens], dim=1))

    def _first_tokens(self, x: Tensor, ids_keep: Tensor | None, valid: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return what the first block takes: the embedded tokens, and which of them are present."""
        present = self.present(valid)
        tokens = self.embed(zero_missing(x, valid), ids_keep, present)
        if present is not None and ids_keep is not None:
            present = present.gather(1, ids_keep)
        return tokens, with_prefix(present, self.num_prefix_tokens)

    def _angles(self, x: Tensor, ids_keep: Tensor | None) -> Tensor | None:
        """Return what turns queries and keys of the patches that are seen, (B or 1, N or K, d); None without that."""
        if self.rotary is None:
            return None
        angles = rotary_angles(grid_of(x.shape[2:], self.patch_size), self.head_dim, self.rotary, x.device)
        return angles if ids_keep is None else take(angles, ids_keep)

    def forward(self, x: Tensor, ids_keep: Tensor | None = None, valid: Tensor | None = None) -> Tensor:
        if self.per_channel and x.shape[1] > 1:
            return mean_over_channels(self, x, ids_keep, valid)
        tokens, present = self._first_tokens(x, ids_keep, valid)
        angles = self._angles(x, ids_keep)
        for block in self.blocks:
            tokens = block(tokens, present, angles)
        return zero_absent(self.norm(tokens), present)

    def features(self, x: Tensor, depths: Sequence[int], valid: Tensor | None = None) -> list[Tensor]:
        if self.per_channel and x.shape[1] > 1:
            apart = None if valid is None else split_channels(valid)
            maps_apart = self.features(split_channels(x), depths, apart)
            return [each.reshape(*x.shape[:2], *each.shape[1:]).mean(1) for each in maps_apart]
        grid = grid_of(x.shape[2:], self.patch_size)
        tokens, present = self._first_tokens(x, None, valid)
        angles = self._angles(x, None)
        maps = {}
        for number, block in enumerate(self.blocks, start=1):
            tokens = block(tokens, present, angles)
            if number in depths:
                out = zero_absent(self.norm(tokens) if number == self.depth else tokens, present)
                maps[number] = (
                    out[:, self.num_prefix_tokens :].transpose(1, 2).reshape(x.shape[0], self.embed_dim, *grid)
                )
        return [maps[number] for number in depths]

    def layer_of(self, name: str) -> int:
        if match := re.match(r"blocks\.(\d+)\.", name):
            return int(match[1]) + 1
        return self.depth + 1 if name.startswith("norm.") else 0
