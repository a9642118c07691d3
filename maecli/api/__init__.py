"""Everything that a plugin may import, and nothing else.

    from maecli import api

What is in `__all__` here and in the drawers `draw`, `export`, `layouts`, `measure`, `modalities`, `nets`, `pictures`,
`tables` and `volumes` is the whole of it; names and signatures are held by a test. `API_VERSION` is raised when a
plugin that was right becomes wrong; a module says by `MAE_API_VERSION = 1` for which it was written. Heavy libraries
are loaded when they are first used.
"""

from maecli.api import draw, export, layouts, measure, modalities, nets, pictures, tables, volumes
from maecli.data.batch import Batch
from maecli.data.card import SPLIT_NAMES, DataCard, SplitName
from maecli.data.dataset import Dataset, DatasetOptions
from maecli.data.facts import Facts
from maecli.data.files.downloads import downloading
from maecli.data.randomness import Draws
from maecli.data.sample import Sample, Split, TensorSplit
from maecli.data.splits import SPLIT_SEED, cut, place
from maecli.errors import BrokenSample, DataError, Fault, SpecError
from maecli.hookspecs import API_VERSION, hookimpl
from maecli.modalities.modality import Modality
from maecli.modalities.preprocess import Preprocess
from maecli.models.encoder import Encoder
from maecli.models.plugin import Model, ModelOptions
from maecli.plugin_options import Options
from maecli.results import Difference, Drawing, Metric, Table
from maecli.storage.files import write_text
from maecli.training.evaluator import Evaluator
from maecli.training.task import Answer, Prediction, SideBySide, Task
from maecli.training.tracker import Tracker

__all__ = [
    "API_VERSION",
    "SPLIT_NAMES",
    "SPLIT_SEED",
    "Answer",
    "Batch",
    "BrokenSample",
    "DataCard",
    "DataError",
    "Dataset",
    "DatasetOptions",
    "Difference",
    "Drawing",
    "Draws",
    "Encoder",
    "Evaluator",
    "Facts",
    "Fault",
    "Metric",
    "Modality",
    "Model",
    "ModelOptions",
    "Options",
    "Prediction",
    "Preprocess",
    "Sample",
    "SideBySide",
    "SpecError",
    "Split",
    "SplitName",
    "Table",
    "Task",
    "TensorSplit",
    "Tracker",
    "cut",
    "downloading",
    "draw",
    "export",
    "hookimpl",
    "layouts",
    "measure",
    "modalities",
    "nets",
    "pictures",
    "place",
    "tables",
    "volumes",
    "write_text",
]
