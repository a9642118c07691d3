"""A folder for a small machine: an ONNX file, its labels, and one Python file that runs it without mae or torch."""

from __future__ import annotations

from pathlib import Path

import torch

from maecli.errors import SpecError
from maecli.exporting.model import ExportedModel

MODEL, LABELS, PROGRAM = "model.onnx", "labels.txt", "predict.py"
PROBABILITIES = "probabilities"
"""The output that the program reads."""


def check_edge(model: ExportedModel) -> None:
    """Raise SpecError for what the program cannot run: it is for classifiers of grey or colour pictures of 8 bits."""
    raw, outputs = model.raw, model.graph.outputs.names
    is_picture = model.preprocess.modality.pictorial and len(model.preprocess.img_size) == 2
    one_row = PROBABILITIES in outputs and "label" in model.task.fields
    if one_row and is_picture and raw.channels in (1, 3) and raw.dtype == torch.uint8:
        return
    raise SpecError(
        f"--edge is for classifiers of grey or colour pictures of 8 bits, and {model.name} takes {raw.describe()} and "
        f"gives {', '.join(outputs)}; leave --edge out and run the file with a program of your own"
    )


def write_beside(model: ExportedModel, folder: Path) -> None:
    """Write the labels, a line for each class, and the program, beside the ONNX file of a folder."""
    (folder / LABELS).write_text("".join(f"{name}\n" for name in model.card.classes), encoding="utf-8", newline="\n")
    (folder / PROGRAM).write_bytes(Path(__file__).with_name(PROGRAM).read_bytes())
