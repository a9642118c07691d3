"""Missing cells of rows, filled in by a trained module.

Shapes: N rows, C channels, F cells of a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from maecli.data.card import DataCard
from maecli.data.sample import TensorSplit
from maecli.data.tabular.columns import as_cells, as_image
from maecli.hardware import autocast
from maecli.loading.resident import ResidentLoader
from maecli.modalities.preprocess import Preprocess
from maecli.registry import registry
from maecli.run.open import Built, build_module, make_modality, open_device
from maecli.run.restore import load_exactly
from maecli.spec.validate import validate
from maecli.storage.files import new_folder
from maecli.training.checkpoint import MODEL, write_tensors
from maecli.training.task import Task

BATCH, PART = 256, 8192
"""Rows that are filled in at once, and rows whose samples are made at once."""


def randomness_kept(device: torch.device) -> AbstractContextManager[None]:
    """Return a context after which torch's random numbers go on as if nothing had been drawn in it."""
    return torch.random.fork_rng([device] if device.type == "cuda" else [])


class Filler:
    """A task's module, and what brings rows to it. A pickle holds its record and its weights, and builds it anew."""

    def __init__(
        self,
        record: Mapping[str, Any],
        task: Task[Any],
        module: nn.Module,
        card: DataCard,
        preprocess: Preprocess,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self.record, self.task, self.module, self.card = record, task, module.eval(), card
        self.preprocess, self.device, self.dtype = preprocess.for_files(card), device, dtype

    @classmethod
    def of(cls, built: Built, module: nn.Module) -> Self:
        """Return what fills in by these weights of what a run works with."""
        return cls(built.metadata(), built.task, module, built.card, built.preprocess, built.device, built.dtype)

    def __getstate__(self) -> dict[str, Any]:
        return {"record": self.record, "tensors": {name: each.numpy() for name, each in self._tensors().items()}}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        record, plugins = state["record"], registry()
        card = DataCard.model_validate(record["card"])
        preprocess = Preprocess.from_record(record["preprocess"], make_modality(card, plugins))
        spec = validate(record["spec"] | {"trackers": []}, record["verb"], plugins)
        with randomness_kept(torch.device("cpu")):
            task, module = build_module(spec, card, preprocess, plugins)
        load_exactly(module, {name: torch.from_numpy(each) for name, each in state["tensors"].items()}, "the pickle")
        device, dtype = open_device(spec)
        self.__init__(record, task, module.to(device), card, preprocess, device, dtype)  # type: ignore[misc]

    def _tensors(self) -> dict[str, Tensor]:
        return {name: tensor.cpu() for name, tensor in self.module.state_dict().items()}

    def save(self, path: Path) -> None:
        """Write a folder that every verb takes for a checkpoint of a run."""
        with new_folder(path) as folder:
            write_tensors(folder / MODEL, self._tensors(), self.record)

    @torch.no_grad()
    def fill(self, cells: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return rows (N, F) of cells, with something in the place of NaN."""
        columns, made = self.card.columns, []
        for start in range(0, len(cells), PART):
            images = torch.from_numpy(as_image(cells[start : start + PART], columns))
            loader = ResidentLoader(TensorSplit({"image": images}), self.preprocess, self.device, 0)
            with autocast(self.device, self.dtype):
                for batch in loader.eval_batches(BATCH):
                    predicted = self.task.predict(self.module, batch)
                    filled = [one.filled for one in predicted if one.filled is not None]
                    made.append(as_cells(np.stack(filled), columns))
        return np.concatenate(made)
