"""The small networks on which plugins are tried: a step takes milliseconds.

Shapes: B batch, C channels, S spatial axes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from maecli.data.card import DataCard
from maecli.data.randomness import Draws
from maecli.modalities.preprocess import Preprocess
from maecli.models.encoder import Encoder
from maecli.models.mae import Decoder, MaskedAutoencoder
from maecli.models.masking import make_masking, mask_draws
from maecli.models.vit import VisionTransformer

AXIS, PATCH = 16, 4
"""Pixels along each axis of a picture, and of a patch."""


def small_preprocess(card: DataCard) -> Preprocess:
    """Return the way to samples of 16 along each axis; where samples differ in size, they are pictures."""
    return Preprocess.of(card, (AXIS,) * (2 if card.size is None else len(card.size)))


def small_encoder(preprocess: Preprocess, seed: int = 0) -> Encoder:
    """Return a new transformer: 2 blocks, 16 numbers per token, patches of 4 along each axis."""
    torch.manual_seed(seed)
    size = preprocess.img_size
    return VisionTransformer(
        size, (PATCH,) * len(size), preprocess.in_chans, 16, 2, 2, mlp_ratio=2.0, decoder=(16, 1, 2)
    )


def small_autoencoder(image: Tensor, preprocess: Preprocess, draws: Draws) -> Tensor:
    """Return the loss () of a new masked autoencoder on a batch (B, C, *S), three quarters hidden."""
    encoder = small_encoder(preprocess)
    module = MaskedAutoencoder(encoder, Decoder(encoder, *encoder.decoder_defaults))
    noise = draws.uniform("mask", mask_draws("random", encoder.grid))
    loss: Tensor = module(image, make_masking("random", noise, encoder.grid, 0.75))
    return loss
