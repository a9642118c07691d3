"""Channels that are read one at a time, by the same weights, as each column of a series is.

Source: channel independence, PatchTST, arXiv:2211.14730, section 3.1.

Shapes: B batch, C channels, S spatial axes, T prefix tokens, N patches, D embed_dim.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from maecli.models.missing import with_prefix

if TYPE_CHECKING:
    from maecli.models.encoder import Encoder


def split_channels(x: Tensor) -> Tensor:
    """Return each channel of x (B, C, *S) as a sample of its own, (B·C, 1, *S); those of a sample stand together."""
    return x.flatten(0, 1).unsqueeze(1)


def join_channels(x: Tensor, channels: int) -> Tensor:
    """Return (B, C, *S) for x (B·C, 1, *S): the inverse of `split_channels`."""
    return x.reshape(-1, channels, *x.shape[2:])


def mean_over_channels(encoder: Encoder, x: Tensor, ids_keep: Tensor | None, valid: Tensor | None) -> Tensor:
    """Return the mean tokens (B, T + N, D) of the channels of x (B, C, *S), of those in which a patch is present.

    What an encoder of single channels says of several, to whoever does not split them.
    """
    C = x.shape[1]
    apart = None if valid is None else split_channels(valid)
    ids_keep = None if ids_keep is None else ids_keep.repeat_interleave(C, 0)
    tokens: Tensor = encoder(split_channels(x), ids_keep, apart)
    tokens = tokens.reshape(x.shape[0], C, *tokens.shape[1:])
    present = with_prefix(encoder.present(apart, ids_keep), encoder.num_prefix_tokens)
    if present is None:
        return tokens.mean(1)
    return tokens.sum(1) / present.reshape(x.shape[0], C, -1).sum(1).clamp(min=1).unsqueeze(-1)  # absent tokens are 0
