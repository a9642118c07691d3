"""Networks and their parts: patches, masks over them, vision transformers, heads."""

from maecli.data.mixing import mix
from maecli.models.heads import Classifier, ClassifierHead, HeadNorm
from maecli.models.hybrid import HybridVisionTransformer
from maecli.models.mae import Decoder, MaskedAutoencoder, denormalize_patches, normalize_patches
from maecli.models.masking import Mask, Masking, find_lattice, make_masking, mask_draws, num_kept, random_masking, take
from maecli.models.patches import patchify, unpatchify
from maecli.models.segmentation import Segmenter, segmentation_head
from maecli.models.tiling import predict_classes
from maecli.models.vit import VisionTransformer

__all__ = [
    "Classifier",
    "ClassifierHead",
    "Decoder",
    "HeadNorm",
    "HybridVisionTransformer",
    "Mask",
    "MaskedAutoencoder",
    "Masking",
    "Segmenter",
    "VisionTransformer",
    "denormalize_patches",
    "find_lattice",
    "make_masking",
    "mask_draws",
    "mix",
    "normalize_patches",
    "num_kept",
    "patchify",
    "predict_classes",
    "random_masking",
    "segmentation_head",
    "take",
    "unpatchify",
]
