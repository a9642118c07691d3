"""The graph of a model as `torch.export` records it: for batches of any number, and samples of any size."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator

import torch
from torch.export import Dim, ExportedProgram

from maecli import api

HEIGHT = 51
"""Of an example, whose lengths are those of no patch or model."""


def traced(model: api.export.ExportedModel) -> ExportedProgram:
    """Return the graph of a model, recorded with a batch of two.

    What a graph does must not follow from lengths of the example: it is wider than what the model sees, so that it is
    cut, or read on another grid than the model's own.
    """
    raw, (height, *others) = model.raw, model.preprocess.img_size
    size = raw.size or (HEIGHT, *(HEIGHT * other * 3 // (2 * height) + 1 for other in others))
    free = {0: Dim.DYNAMIC} | ({} if raw.size is not None else {2 + axis: Dim.DYNAMIC for axis in range(len(size))})
    example = torch.ones((2, raw.channels, *size), dtype=raw.dtype)
    with torch.no_grad(), quiet():
        return torch.export.export(
            model.graph, (example,), dynamic_shapes=(free,), prefer_deferred_runtime_asserts_over_guards=True
        )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep to itself what torch and onnxscript say of their own ways."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logging.disable(level)
