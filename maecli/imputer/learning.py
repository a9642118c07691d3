"""From cells of rows to trained weights: the default recipe of tables, the planner and the trainer of `mae pretrain`.

Shapes: N rows, F cells of a row.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maecli.data.card import DataCard, SplitName
from maecli.data.dataset import Dataset, DatasetOptions
from maecli.data.sample import Split
from maecli.data.tabular.columns import PLACES, Column, Scaler, moments, num_channels
from maecli.errors import Interrupted, SpecError
from maecli.hardware import choose_device
from maecli.imputer.filling import Filler, randomness_kept
from maecli.modalities.tables.read import TableRows, row_names
from maecli.outputs.faults import Faults
from maecli.plan.make import make_plan
from maecli.progress import Progress
from maecli.registry import Registry, registry
from maecli.run.open import Data, open_run
from maecli.run.together import make_trainer
from maecli.schema import RunSpec
from maecli.spec.ask import Ask
from maecli.spec.layers import Settings
from maecli.spec.resolve import resolve, the_one_meant

EPOCHS, SEEN = 20, (3_000, 400_000)
"""Of a training of which nobody says how long it is; more or fewer where not so many rows would be seen in all."""
USUAL = {"precision": "float32", "data.workers": 0}
"""What differs from other runs: so small a model gains nothing, and no processes are started in people's programs."""
SAYS_STEPS = frozenset({"train.epochs", "train.max_steps"})


@dataclass(frozen=True)
class Wishes:
    """What a person says of the training."""

    settings: Mapping[str, Any]
    """By dotted key of the spec."""
    seed: int
    time_s: float | None = None
    """How long it may take; None: as `settings` say, else by the number of rows."""


class RowsInMemory(Dataset):
    """Rows that are at hand, all of which are learnt from."""

    name = "rows in memory"

    def __init__(self, columns: Sequence[Column], cells: NDArray[np.float32], scaler: Scaler) -> None:
        super().__init__(DatasetOptions())
        self.columns, self.cells, self.scaler = tuple(columns), cells, scaler

    def card(self, fields: Sequence[str] = ("image",)) -> DataCard:
        mean, std = moments(self.cells, self.columns, self.scaler)
        return DataCard(
            name=self.name,
            title=self.name,
            modality="tables",
            fields=("image",),
            channels=num_channels(self.columns),
            size=(len(self.columns),),
            dtype="float32",
            value_range=PLACES,
            missing=True,
            mean=mean,
            std=std,
            cells=tuple(column.name for column in self.columns),
            columns=self.columns,
            split_sizes={"train": len(self.cells), "val": 0, "test": 0},
            split_origin="all rows are learnt from",
        )

    def split(self, name: SplitName, fields: Sequence[str] = ("image",)) -> Split:
        cells = self.cells if name == "train" else self.cells[:0]
        return TableRows(Path(self.name), row_names(len(cells)), cells, self.columns).at_hand()


class InMemory(Data):
    """The data of a run whose data set is there already."""

    def __init__(self, spec: RunSpec, plugins: Registry, rows: RowsInMemory) -> None:
        super().__init__(spec, plugins, plugins.task(spec.task.name).fields, Faults(), spec.task.name)
        self._rows = rows

    @cached_property
    def dataset(self) -> Dataset:
        return self._rows


def learn(rows: RowsInMemory, wishes: Wishes, progress: Progress) -> Filler:
    """Return what fills in rows as these are. Torch's own random numbers go on as if nothing had happened.

    Raises SpecError for settings that do not fit, NotFiniteError where the loss becomes no number, KeyboardInterrupt.
    """
    plugins = registry()
    settings = {**USUAL, "seed": wishes.seed, **wishes.settings}
    if (meant := the_one_meant("meant_by_rows", plugins)) is not None:
        settings.setdefault("dataset.name", meant)
    device = choose_device(settings.setdefault("device", "auto"))
    with randomness_kept(device):
        spec, data = _planned(rows, settings, wishes.time_s, plugins, progress)
        built = open_run(spec, plugins, progress.say, opened=data)
        trainer = make_trainer(built, None, progress)
        try:
            trainer.fit()
        except Interrupted:
            raise KeyboardInterrupt from None
    trainer.check_finite()
    return Filler.of(built, trainer.learner.final_module)


def _planned(
    rows: RowsInMemory, settings: Settings, time_s: float | None, plugins: Registry, progress: Progress
) -> tuple[RunSpec, InMemory]:
    """Return the spec by which the rows are learnt, and the data that it opens."""
    resolved = partial(resolve, registry=plugins)
    if time_s is None and not settings.keys() & SAYS_STEPS:
        settings = {**settings, "train.epochs": usual_epochs(len(rows.cells))}
    ask = Ask("pretrain", flags=settings)
    spec = resolved(ask)
    if not plugins.task(spec.task.name).fills:
        raise SpecError(f"task {spec.task.name} fills nothing in")
    data = InMemory(spec, plugins, rows)
    plan = make_plan(ask, spec, resolved, plugins, time_s, progress.say, data)
    return resolved(plan.ask(ask)), data


def usual_epochs(num_rows: int) -> int:
    """Return how often so many rows are seen where nobody says it, whatever the speed of the machine."""
    fewest, most = (math.ceil(num / num_rows) for num in SEEN)
    return min(max(EPOCHS, fewest), most)
