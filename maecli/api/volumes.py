"""Volumes in files: what their headers say, which files belong together, and a split of them."""

from maecli.data.volume_reading import Spacing, VolumeReading
from maecli.modalities.volumes.cases import Case, MaskReading, VolumeCases, greatest_number
from maecli.modalities.volumes.intensity import SOFT_TISSUE, looks_like_hounsfield
from maecli.modalities.volumes.pairs import (
    OF_MASKS,
    SUFFIXES,
    Pairs,
    channels_of,
    find_volume_files,
    numbered_channels,
    pair,
    stem_of,
)
from maecli.modalities.volumes.prepare import ALIKE, read_channels, resampled_size, same_place
from maecli.modalities.volumes.space import Space, read_space

__all__ = [
    "ALIKE",
    "OF_MASKS",
    "SOFT_TISSUE",
    "SUFFIXES",
    "Case",
    "MaskReading",
    "Pairs",
    "Space",
    "Spacing",
    "VolumeCases",
    "VolumeReading",
    "channels_of",
    "find_volume_files",
    "greatest_number",
    "looks_like_hounsfield",
    "numbered_channels",
    "pair",
    "read_channels",
    "read_space",
    "resampled_size",
    "same_place",
    "stem_of",
]
