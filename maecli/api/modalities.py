"""The kinds of samples that come with mae, to derive others from, and what these are made of."""

from maecli.data.files.unread import Unread
from maecli.data.tabular.times import TimeFormat
from maecli.modalities.boxes import Box
from maecli.modalities.hand_back import HandBack
from maecli.modalities.known_masks import KnownMasks
from maecli.modalities.pictures.modality import Pictures
from maecli.modalities.series.modality import Series
from maecli.modalities.series.recording import Recorded, Recording
from maecli.modalities.series.steps import Steps
from maecli.modalities.series.timed import TimedSeries, read_timed
from maecli.modalities.study import Bars, Curves, Finding, Study, Topic
from maecli.modalities.survey import Look
from maecli.modalities.tables.modality import Tables
from maecli.modalities.volumes.modality import Volumes

__all__ = [
    "Bars",
    "Box",
    "Curves",
    "Finding",
    "HandBack",
    "KnownMasks",
    "Look",
    "Pictures",
    "Recorded",
    "Recording",
    "Series",
    "Steps",
    "Study",
    "Tables",
    "TimeFormat",
    "TimedSeries",
    "Topic",
    "Unread",
    "Volumes",
    "read_timed",
]
