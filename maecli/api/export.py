"""Formats that runs are written in for other tools, and what tasks make of samples in them."""

from maecli.errors import DamagedFile
from maecli.exporting.compare import Agreement, compared
from maecli.exporting.file_module import FileModule
from maecli.exporting.format import ExportFormat, Run
from maecli.exporting.graph import Graph
from maecli.exporting.model import RECORD, ExportedModel, ExportSample
from maecli.exporting.raw import RawInput
from maecli.hardware import multiplies_int8
from maecli.storage.files import let_others_read
from maecli.training.outputs import Outputs
from maecli.weights.outward import Outward, to_hugging_face, to_timm

__all__ = [
    "RECORD",
    "Agreement",
    "DamagedFile",
    "ExportFormat",
    "ExportSample",
    "ExportedModel",
    "FileModule",
    "Graph",
    "Outputs",
    "Outward",
    "RawInput",
    "Run",
    "compared",
    "let_others_read",
    "multiplies_int8",
    "to_hugging_face",
    "to_timm",
]
