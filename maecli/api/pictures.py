"""Pictures, masks and labels in files: finding, reading and writing them, and their statistics.

The libraries that decode are loaded when a file needs them.
"""

from maecli.data.classes.class_lines import read_class_lines
from maecli.data.classes.in_masks import classes_in_masks
from maecli.data.classes.label_files import (
    LABELS_FILE,
    LABELS_FILES,
    SPLIT_WORDS,
    Similar,
    find_labels,
    read_labels,
    split_in_path,
)
from maecli.data.classes.label_rows import LabelRow, LabelRows
from maecli.data.file_reading import FileReading, NoData, NpyLayout, PageMeaning
from maecli.data.files.finding import find_files, links_out
from maecli.data.files.kept import keep, kept, stamp_of
from maecli.data.files.sample_sums import SUMS_MEMBER, sample_sum
from maecli.data.idx import read_idx
from maecli.data.views.by_key import ByKey, Positions
from maecli.data.views.keys import Keys
from maecli.loading.side_by_side import in_processes
from maecli.modalities.pictures.codecs.formats import PICTURE_SUFFIXES
from maecli.modalities.pictures.codecs.header import PictureInfo
from maecli.modalities.pictures.depth import measured_bits
from maecli.modalities.pictures.finding import FoundPictures, find_pictures, is_picture, search_pictures
from maecli.modalities.pictures.headers import Headers
from maecli.modalities.pictures.masks.class_files import (
    CLASS_FILES,
    CLASSES_FILE,
    LABELMAP_FILE,
    ClassList,
    background_of,
    read_class_file,
    read_classes,
)
from maecli.modalities.pictures.masks.read import (
    MASK_SUFFIXES,
    VOID,
    VOID_COLOUR,
    MaskCode,
    MaskSurvey,
    Palette,
    Pixels,
    class_palette,
    mask_png,
    read_mask,
    settle_masks,
    void_of,
)
from maecli.modalities.pictures.picture_files import PictureFiles, convertible, probe_pictures
from maecli.modalities.pictures.read import MAX_PIXELS, Reading, keeps_alpha, misfit, probe_picture, read_picture
from maecli.modalities.pictures.statistics import ChannelStats, sampled_channel_stats
from maecli.modalities.pictures.within import PictureWithin
from maecli.storage.files import file_sha256

__all__ = [
    "CLASSES_FILE",
    "CLASS_FILES",
    "LABELMAP_FILE",
    "LABELS_FILE",
    "LABELS_FILES",
    "MASK_SUFFIXES",
    "MAX_PIXELS",
    "PICTURE_SUFFIXES",
    "SPLIT_WORDS",
    "SUMS_MEMBER",
    "VOID",
    "VOID_COLOUR",
    "ByKey",
    "ChannelStats",
    "ClassList",
    "FileReading",
    "FoundPictures",
    "Headers",
    "Keys",
    "LabelRow",
    "LabelRows",
    "MaskCode",
    "MaskSurvey",
    "NoData",
    "NpyLayout",
    "PageMeaning",
    "Palette",
    "PictureFiles",
    "PictureInfo",
    "PictureWithin",
    "Pixels",
    "Positions",
    "Reading",
    "Similar",
    "background_of",
    "class_palette",
    "classes_in_masks",
    "convertible",
    "file_sha256",
    "find_files",
    "find_labels",
    "find_pictures",
    "in_processes",
    "is_picture",
    "keep",
    "keeps_alpha",
    "kept",
    "links_out",
    "mask_png",
    "measured_bits",
    "misfit",
    "probe_picture",
    "probe_pictures",
    "read_class_file",
    "read_class_lines",
    "read_classes",
    "read_idx",
    "read_labels",
    "read_mask",
    "read_picture",
    "sample_sum",
    "sampled_channel_stats",
    "search_pictures",
    "settle_masks",
    "split_in_path",
    "stamp_of",
    "void_of",
]
