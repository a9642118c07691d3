"""Networks and their parts: patches, masks over them, vision transformers, heads."""

from maecli.models.blocks import init_weights
from maecli.models.channels import join_channels, mean_over_channels, split_channels
from maecli.models.heads import Classifier, ClassifierHead, HeadNorm, pool_tokens
from maecli.models.levels import WindowNorm, last_value, level_and_scale
from maecli.models.mae import Decoder, MaskedAutoencoder, denormalize_patches, normalize_patches, patch_moments
from maecli.models.masking import Mask, Masking, find_lattice, make_masking, mask_draws, num_kept, random_masking, take
from maecli.models.missing import present_patches, zero_missing
from maecli.models.patches import grid_of, patchify, unpatchify
from maecli.models.positions import interpolate_pos_embed
from maecli.models.vit import VisionTransformer

__all__ = [
    "Classifier",
    "ClassifierHead",
    "Decoder",
    "HeadNorm",
    "Mask",
    "MaskedAutoencoder",
    "Masking",
    "VisionTransformer",
    "WindowNorm",
    "denormalize_patches",
    "find_lattice",
    "grid_of",
    "init_weights",
    "interpolate_pos_embed",
    "join_channels",
    "last_value",
    "level_and_scale",
    "make_masking",
    "mask_draws",
    "mean_over_channels",
    "normalize_patches",
    "num_kept",
    "patch_moments",
    "patchify",
    "pool_tokens",
    "present_patches",
    "random_masking",
    "split_channels",
    "take",
    "unpatchify",
    "zero_missing",
]
