"""Pictures, masks and labels in files: finding, reading and writing them, and their statistics.

The libraries that decode are loaded when a file needs them.
"""

from maecli.data.finding import find_files
from maecli.data.label_files import LABELS_FILE, LabelRow, check_groups, read_labels
from maecli.modalities.pictures.decoders import NpyLayout, PictureInfo
from maecli.modalities.pictures.files import PICTURE_SUFFIXES, find_pictures, is_picture
from maecli.modalities.pictures.folder_names import folder_labels, folder_splits
from maecli.modalities.pictures.masks import VOID, VOID_COLOUR, Palette, class_palette, mask_png, read_mask
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
from maecli.modalities.pictures.read import MAX_PIXELS, channel_stats, check_convertible, probe_picture, read_picture
from maecli.modalities.pictures.statistics import Measured, measure

__all__ = [
    "CLASSES_FILE",
    "IMAGES_FOLDER",
    "LABELS_FILE",
    "MASKS_FOLDER",
    "MAX_PIXELS",
    "PICTURE_SUFFIXES",
    "VOID",
    "VOID_COLOUR",
    "LabelRow",
    "Measured",
    "NpyLayout",
    "Pairing",
    "Palette",
    "PictureFiles",
    "PictureInfo",
    "Reading",
    "background_of",
    "channel_stats",
    "check_convertible",
    "check_groups",
    "class_palette",
    "find_files",
    "find_pictures",
    "folder_labels",
    "folder_splits",
    "is_picture",
    "mask_png",
    "measure",
    "pair_masks",
    "probe_picture",
    "read_classes",
    "read_labels",
    "read_mask",
    "read_picture",
]
