"""Everything that a plugin may import, and nothing else.

    from maecli import api

Heavy parts are loaded when they are first used.
"""

from maecli.data.batch import Batch
from maecli.data.card import SPLIT_NAMES, DataCard, SplitName
from maecli.data.dataset import (
    BrokenSample,
    Dataset,
    DatasetOptions,
    Sample,
    Split,
    TensorSplit,
    as_tensor,
)
from maecli.data.masks import VOID, VOID_COLOUR, Palette, class_palette, mask_png, one_hot, read_mask
from maecli.data.pictures import (
    MAX_PIXELS,
    PICTURE_SUFFIXES,
    NpyLayout,
    PictureInfo,
    channel_stats,
    check_convertible,
    find_files,
    find_pictures,
    is_picture,
    probe_picture,
    read_picture,
)
from maecli.data.preprocess import Preprocess
from maecli.data.randomness import Draws
from maecli.data.splits import SPLIT_SEED, cut, place
from maecli.errors import DataError, MaeError, PluginError, SpecError
from maecli.files import write_text
from maecli.hookspecs import hookimpl
from maecli.measures import ssim_map, wilson_interval
from maecli.models.encoder import Encoder
from maecli.models.heads import Classifier, ClassifierHead
from maecli.models.mae import Decoder, MaskedAutoencoder, denormalize_patches, normalize_patches
from maecli.models.masking import Masking, num_kept, random_masking, take
from maecli.models.patches import patchify, unpatchify
from maecli.models.plugin import Model, ModelOptions
from maecli.models.vit import VisionTransformer
from maecli.options import Options
from maecli.reports.figures import confusion_matrix, contact_sheet, curves, picture_grid
from maecli.results import Figure, Picture, Table
from maecli.training.task import Evaluator, Prediction, Task
from maecli.training.tracker import Tracker

API_VERSION = 1

__all__ = [
    "API_VERSION",
    "MAX_PIXELS",
    "PICTURE_SUFFIXES",
    "SPLIT_NAMES",
    "SPLIT_SEED",
    "VOID",
    "VOID_COLOUR",
    "Batch",
    "BrokenSample",
    "Classifier",
    "ClassifierHead",
    "DataCard",
    "DataError",
    "Dataset",
    "DatasetOptions",
    "Decoder",
    "Draws",
    "Encoder",
    "Evaluator",
    "Figure",
    "MaeError",
    "MaskedAutoencoder",
    "Masking",
    "Model",
    "ModelOptions",
    "NpyLayout",
    "Options",
    "Palette",
    "Picture",
    "PictureInfo",
    "PluginError",
    "Prediction",
    "Preprocess",
    "Sample",
    "SpecError",
    "Split",
    "SplitName",
    "Table",
    "Task",
    "TensorSplit",
    "Tracker",
    "VisionTransformer",
    "as_tensor",
    "channel_stats",
    "check_convertible",
    "class_palette",
    "confusion_matrix",
    "contact_sheet",
    "curves",
    "cut",
    "denormalize_patches",
    "find_files",
    "find_pictures",
    "hookimpl",
    "is_picture",
    "mask_png",
    "normalize_patches",
    "num_kept",
    "one_hot",
    "patchify",
    "picture_grid",
    "place",
    "probe_picture",
    "random_masking",
    "read_mask",
    "read_picture",
    "ssim_map",
    "take",
    "unpatchify",
    "wilson_interval",
    "write_text",
]
