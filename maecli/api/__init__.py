"""Everything that a plugin may import, and nothing else.

    from maecli import api

What is in `__all__` is the whole of it; names and signatures are held by a test. `API_VERSION` is raised when a plugin
that was right becomes wrong; a module says by `MAE_API_VERSION = 1` for which it was written. Heavy
libraries are loaded when they are first used.
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
from maecli.data.downloads import downloading
from maecli.data.finding import find_files
from maecli.data.label_files import LABELS_FILE, LabelRow, check_groups, read_labels
from maecli.data.mixing import mix
from maecli.data.preprocess import Preprocess
from maecli.data.randomness import Draws
from maecli.data.splits import SPLIT_SEED, cut, place
from maecli.errors import DataError, MaeError, PluginError, SpecError
from maecli.hookspecs import API_VERSION, hookimpl
from maecli.measures import (
    average_precision,
    mean_precision_interval,
    random_precision,
    ssim_map,
    wilson_interval,
)
from maecli.modalities.pictures.annotations import AnnotatedObject, Annotation, read_annotation
from maecli.modalities.pictures.canvases import CanvasOptions, CanvasSet
from maecli.modalities.pictures.decoders import NpyLayout, PictureInfo
from maecli.modalities.pictures.files import PICTURE_SUFFIXES, find_pictures, is_picture
from maecli.modalities.pictures.folder_names import folder_labels, folder_splits
from maecli.modalities.pictures.masks import VOID, VOID_COLOUR, Palette, class_palette, mask_png, one_hot, read_mask
from maecli.modalities.pictures.paired_masks import (
    CLASSES_FILE,
    IMAGES_FOLDER,
    MASKS_FOLDER,
    Pairing,
    background_of,
    pair_masks,
    read_classes,
)
from maecli.modalities.pictures.picture_files import PictureFiles, Reading
from maecli.modalities.pictures.plain_pickle import read_plain_pickle
from maecli.modalities.pictures.read import MAX_PIXELS, channel_stats, check_convertible, probe_picture, read_picture
from maecli.modalities.pictures.statistics import Measured, measure
from maecli.models.encoder import Encoder
from maecli.models.heads import Classifier, ClassifierHead, HeadNorm
from maecli.models.hybrid import HybridVisionTransformer
from maecli.models.mae import Decoder, MaskedAutoencoder, denormalize_patches, normalize_patches
from maecli.models.masking import (
    Mask,
    Masking,
    find_lattice,
    make_masking,
    mask_draws,
    num_kept,
    random_masking,
    take,
)
from maecli.models.patches import patchify, unpatchify
from maecli.models.plugin import Model, ModelOptions
from maecli.models.segmentation import Segmenter, segmentation_head
from maecli.models.tiling import predict_classes
from maecli.models.vit import VisionTransformer
from maecli.overlap import (
    RESAMPLES,
    confusion,
    constant_counts,
    iou,
    overlap_counts,
    overlap_intervals,
    overlap_scores,
    recall,
)
from maecli.plugin_options import Options
from maecli.reports.charts import class_bars
from maecli.reports.drawings import confusion_matrix, contact_sheet, curves, picture_grid
from maecli.reports.masks import mask_strip
from maecli.reports.overlays import ClassStyle, overlay, overlay_rows
from maecli.results import Drawing, Metric, Table
from maecli.storage.files import write_text
from maecli.training.task import Evaluator, Prediction, SideBySide, Task
from maecli.training.tracker import Tracker

__all__ = [
    "API_VERSION",
    "CLASSES_FILE",
    "IMAGES_FOLDER",
    "LABELS_FILE",
    "MASKS_FOLDER",
    "MAX_PIXELS",
    "PICTURE_SUFFIXES",
    "RESAMPLES",
    "SPLIT_NAMES",
    "SPLIT_SEED",
    "VOID",
    "VOID_COLOUR",
    "AnnotatedObject",
    "Annotation",
    "Batch",
    "BrokenSample",
    "CanvasOptions",
    "CanvasSet",
    "ClassStyle",
    "Classifier",
    "ClassifierHead",
    "DataCard",
    "DataError",
    "Dataset",
    "DatasetOptions",
    "Decoder",
    "Drawing",
    "Draws",
    "Encoder",
    "Evaluator",
    "HeadNorm",
    "HybridVisionTransformer",
    "LabelRow",
    "MaeError",
    "Mask",
    "MaskedAutoencoder",
    "Masking",
    "Measured",
    "Metric",
    "Model",
    "ModelOptions",
    "NpyLayout",
    "Options",
    "Pairing",
    "Palette",
    "PictureFiles",
    "PictureInfo",
    "PluginError",
    "Prediction",
    "Preprocess",
    "Reading",
    "Sample",
    "Segmenter",
    "SideBySide",
    "SpecError",
    "Split",
    "SplitName",
    "Table",
    "Task",
    "TensorSplit",
    "Tracker",
    "VisionTransformer",
    "as_tensor",
    "average_precision",
    "background_of",
    "channel_stats",
    "check_convertible",
    "check_groups",
    "class_bars",
    "class_palette",
    "confusion",
    "confusion_matrix",
    "constant_counts",
    "contact_sheet",
    "curves",
    "cut",
    "denormalize_patches",
    "downloading",
    "find_files",
    "find_lattice",
    "find_pictures",
    "folder_labels",
    "folder_splits",
    "hookimpl",
    "iou",
    "is_picture",
    "make_masking",
    "mask_draws",
    "mask_png",
    "mask_strip",
    "mean_precision_interval",
    "measure",
    "mix",
    "normalize_patches",
    "num_kept",
    "one_hot",
    "overlap_counts",
    "overlap_intervals",
    "overlap_scores",
    "overlay",
    "overlay_rows",
    "pair_masks",
    "patchify",
    "picture_grid",
    "place",
    "predict_classes",
    "probe_picture",
    "random_masking",
    "random_precision",
    "read_annotation",
    "read_classes",
    "read_labels",
    "read_mask",
    "read_picture",
    "read_plain_pickle",
    "recall",
    "segmentation_head",
    "ssim_map",
    "take",
    "unpatchify",
    "wilson_interval",
    "write_text",
]
