"""The small networks on which plugins are tried: a step takes milliseconds.

Shapes: B batch, C channels, S spatial axes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from maecli.data.batch import Batch
from maecli.data.card import DataCard
from maecli.modalities.preprocess import Preprocess
from maecli.models.encoder import Encoder
from maecli.models.mae import Decoder, MaskedAutoencoder
from maecli.models.masking import make_masking, mask_draws
from maecli.models.missing import present_patches
from maecli.models.vit import VisionTransformer
from maecli.registry import registry
from maecli.run.open import make_modality

AXIS, PATCH = 16, 4
"""Pixels along each axis of a picture, and of a patch."""


def small_preprocess(card: DataCard) -> Preprocess:
    """Return the way to samples of 16 along each axis, and of all cells where each has a range of its own."""
    modality = make_modality(card, registry())
    size = (AXIS,) * modality.axes
    if modality.per_cell and card.size is not None:
        size = tuple(max(AXIS, -(-length // PATCH) * PATCH) for length in card.size)
    return Preprocess.of(card, size, modality=modality)


def small_encoder(preprocess: Preprocess, seed: int = 0) -> Encoder:
    """Return a new transformer: 2 blocks, 16 numbers per token, patches of 4 along each axis."""
    torch.manual_seed(seed)
    size = preprocess.img_size
    return VisionTransformer(
        size, (PATCH,) * len(size), preprocess.in_chans, 16, 2, 2, mlp_ratio=2.0, decoder=(16, 1, 2)
    )


def small_autoencoder(batch: Batch, preprocess: Preprocess) -> Tensor:
    """Return the loss () of a new masked autoencoder on a batch, three quarters of whose patches are hidden."""
    encoder = small_encoder(preprocess)
    module = MaskedAutoencoder(encoder, Decoder.suited(encoder))
    noise = batch.draws.uniform("mask", mask_draws("random", encoder.grid))
    valid = batch.tensors.get("valid")
    present = None if valid is None else present_patches(valid, encoder.patch_size)
    loss: Tensor = module(batch["image"], make_masking("random", noise, encoder.grid, 0.75, present), valid)
    return loss
