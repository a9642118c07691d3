"""Imputation: predict the hidden cells of a row from the others.

Shapes: B batch, C channels, F cells of a row, n training rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from maecli import api

from ..decoder import DecoderOptions
from ..pairs import partners
from .baselines import CHAINED, FORESTS, NEIGHBOURS, in_words
from .cells import Cells
from .evaluator import HeldOutCells, HiddenCells
from .module import Imputer, RowImputer, TokenImputer
from .scores import moments

NUM_DRAWN = 8
HELD_OUT = 0.1
"""Of the cells that are there in a person's own rows, the share on which is tried how well they are filled in."""
TITLES = ("row", "hidden", "filled in")


class Impute(api.Task[Imputer]):
    """Fill in the missing cells of rows: squared error of numbers, cross-entropy of categories.

    Observed cells are hidden by chance, each by itself, or as other rows lack them, and predicted from the others;
    those that stay visible are predicted too. Source: ReMasker, arXiv:2309.13793, section 3.
    """

    name = "impute"
    verb = "pretrain"
    fills = True
    baseline_samples = 20_000

    head_options = tuple(DecoderOptions.model_fields)

    class Options(DecoderOptions):
        mask_ratio: float = Field(default=0.5, gt=0, lt=1, description="chance of each cell to be hidden in training")
        eval_ratio: float = Field(
            default=0.2,
            gt=0,
            lt=1,
            description="chance of each cell to be hidden where the model is measured (MCAR), unless the data set "
            "withholds some to measure on",
        )
        copy_share: float = Field(
            default=0.0,
            ge=0,
            le=1,
            description="share of the rows in which training hides the cells that another row lacks, arXiv:2506.02306; "
            "in all others, and where that row lacks no other cell, they are hidden by chance",
        )
        forests: bool = Field(
            default=False,
            description="stand random forests, column by column in rounds (missForest, arXiv:1105.0828), beside the "
            "other imputers: minutes for ten thousands of rows",
        )
        visible_weight: float = Field(
            default=1.0, ge=0, description="what a cell that is seen weighs in the loss; a hidden one weighs 1"
        )

    options: Options

    def __init__(self, options: Any, card: api.DataCard, preprocess: api.Preprocess) -> None:
        super().__init__(options, card, preprocess)
        modality = preprocess.modality
        if modality.axes != 1 or not modality.per_cell:
            raise api.SpecError(
                f"impute fills in cells of rows, and {card.name} has {modality.unit}; give --dataset table, or "
                "pretrain by --task reconstruct"
            )
        if preprocess.in_chans != card.channels:
            raise api.SpecError(f"data.channels ({preprocess.in_chans}) copies cells, which impute fills in once")
        num_cells = preprocess.img_size[0]
        counts = [len(column.categories) for column in card.columns]
        self.num_categories = [*counts, *[0] * (num_cells - len(counts))]
        """How many categories each cell (F,) can have; 0 is a number."""
        self.names = [*card.cells, *(f"cell {number}" for number in range(len(card.cells) + 1, num_cells + 1))]
        self.cells = Cells(self.num_categories, preprocess.in_chans, card.columns)
        self.monitor = "accuracy" if all(self.num_categories) else "rmse"
        self.train_rows: NDArray[np.float64] | None = None
        """(n, F) in units of the data, NaN for nothing."""
        self.whole_rows: NDArray[np.float64] | None = None
        """The same (n, F) with what was withheld of them."""
        self.scale: Tensor | None = None
        """Mean and deviation (2, F) of these, of categories 0 and 1."""

    def build(self, encoder: api.Encoder) -> Imputer:
        if encoder.per_channel:
            raise api.SpecError(
                "impute reads all channels of a cell together, and this model each by itself; give --set "
                "model.per_channel=false"
            )
        if not encoder.can_mask:
            if encoder.patch_size != encoder.img_size:
                raise api.SpecError(
                    "impute hides cells, which this model cannot leave out; give a vision transformer, such as --model "
                    "vit, or a model of whole rows, such as row-mlp"
                )
            return RowImputer(encoder)
        return TokenImputer(encoder, self.options.decoder_of(encoder))

    def valid(self, batch: api.Batch) -> Tensor:
        """Return which values of a batch exist (B, C, F) bool."""
        valid = batch.tensors.get("valid")
        return torch.ones_like(batch["image"], dtype=torch.bool) if valid is None else valid

    def there(self, batch: api.Batch) -> Tensor:
        """Return which cells of a batch are there (B, F) bool."""
        return self.valid(batch).any(1)

    def hidden(self, batch: api.Batch, ratio: float) -> Tensor:
        """Draw which of the cells that are there are hidden (B, F) bool, each by itself."""
        chance = batch.draws.uniform("hide", batch["image"].shape[2])
        return (chance < ratio) & self.there(batch)

    def withheld(self, batch: api.Batch) -> Tensor | None:
        """Return what the data set withheld of a batch (B, F), NaN for all else; None where it withholds nothing."""
        cells = batch.tensors.get("withheld")
        num_more = batch["image"].shape[2] - (0 if cells is None else cells.shape[1])
        return None if cells is None else F.pad(cells, (0, num_more), value=torch.nan)

    def measured(self, batch: api.Batch, ratio: float) -> Tensor:
        """Return which cells of a batch are measured on (B, F) bool: those that were withheld, else some by chance."""
        withheld = self.withheld(batch)
        return self.hidden(batch, ratio) if withheld is None else ~withheld.isnan()

    def hidden_in_training(self, batch: api.Batch) -> Tensor:
        """Draw which of the cells that are there are hidden (B, F) bool: by chance, or as another row lacks them.

        Source: copy masking, CACTI, arXiv:2506.02306, which cuts the copied masks to the median number of
        a batch, so that all rows keep equally many cells; here each keeps its own, one at least, and the other row is
        the one that a row is paired with.
        """
        hidden = self.hidden(batch, self.options.mask_ratio)
        if not self.options.copy_share:
            return hidden
        there, draws = self.there(batch), batch.draws.uniform("copy", 1)
        copied = there & ~there[partners(there)]
        takes = (draws[:, 0] < self.options.copy_share) & copied.any(1) & (there & ~copied).any(1)
        return torch.where(takes.unsqueeze(1), copied, hidden)

    def loss(self, module: Imputer, batch: api.Batch) -> Tensor:
        valid, hidden = self.valid(batch), self.hidden_in_training(batch)
        pred = module(batch["image"], valid & ~hidden.unsqueeze(1))
        return self.cells.loss(pred, api.nets.zero_missing(batch["image"], valid), self._weight(batch, hidden))

    def loss_weight(self, batch: api.Batch) -> Tensor:
        return self._weight(batch, self.hidden_in_training(batch)).sum()

    def _weight(self, batch: api.Batch, hidden: Tensor) -> Tensor:
        """Return what each cell weighs in the loss, (B, F)."""
        return torch.where(hidden, 1.0, self.options.visible_weight) * self.there(batch)

    def fit_baselines(self, batches: Iterable[api.Batch]) -> None:
        rows, whole = [], []
        for batch in batches:
            cells, withheld = self.cells.joined(self._values(batch["image"])), self.withheld(batch)
            known = torch.where(self.there(batch), cells, torch.nan).cpu().double().numpy()
            rows.append(self.in_units(known))
            whole.append(rows[-1] if withheld is None else self.with_withheld(rows[-1], withheld.cpu().numpy()))
        if rows:
            self.train_rows, self.whole_rows = np.concatenate(rows), np.concatenate(whole)
            self.scale = torch.from_numpy(np.stack(moments(self.whole_rows, self.num_categories)))

    def rows(self, module: Imputer, batch: api.Batch, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Return what is filled in where cells are missing or hidden, and what is true (B, F).

        Cells are places of numbers, and numbers of categories.
        """
        made, truth = self.filled(module, batch, hidden), self._values(batch["image"])
        return self.cells.joined(made), self.cells.joined(truth)

    def _values(self, x: Tensor) -> Tensor:
        """Return normalised x (B, C, F) in the values of samples."""
        return self.preprocess.to_values(self.preprocess.to_pixels(x.float()))

    def in_units(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return rows (N, F) of samples' values in units of the data; categories stay numbers."""
        units = rows.copy()
        for place, column in enumerate(self.card.columns):
            if column.knots:
                units[:, place] = column.values(rows[:, place])
        return units

    def with_withheld(self, rows: NDArray[np.float64], withheld: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return rows (N, F) in units of the data with what was withheld (N, F) in its place."""
        whole = rows.copy()
        for place, column in enumerate(self.card.columns):
            truth = column.from_range(withheld[:, place].astype(np.float64))
            whole[:, place] = np.where(np.isnan(truth), rows[:, place], truth)
        return whole

    def evaluator(self, thorough: bool = True) -> HiddenCells:
        slow = (NEIGHBOURS, CHAINED, *([FORESTS] if self.options.forests else []))
        return HiddenCells(self, self.options.eval_ratio, slow if thorough else ())

    def hold_out(self) -> HeldOutCells:
        return HeldOutCells(self, HELD_OUT)

    def filled(self, module: Imputer, batch: api.Batch, hidden: Tensor) -> Tensor:
        """Return a batch's samples (B, C, F) in the values of the data, predicted where a cell is missing or hidden.

        NaN is in channels that a cell does not have.
        """
        valid = self.valid(batch)
        pred = self._values(module(batch["image"], valid & ~hidden.unsqueeze(1)))
        if self.card.columns:
            pred = self.cells.within(pred)
        made = torch.where(self.cells.exists(pred.device), pred, torch.nan)
        truth = torch.where(valid, self._values(batch["image"]), torch.nan)
        return torch.where((self.there(batch) & ~hidden).unsqueeze(1), truth, made)

    def predict(self, module: Imputer, batch: api.Batch) -> list[api.Prediction]:
        there = self.there(batch)
        images = self.filled(module, batch, torch.zeros_like(there)).cpu().numpy()
        (num_cells,) = self.card.size or there.shape[1:]  # a model may have more
        missing = (~there[:, :num_cells]).sum(1).tolist()
        return [api.Prediction({"missing": num}, filled=image) for num, image in zip(missing, images, strict=True)]

    def draw(self, module: Imputer, batch: api.Batch) -> list[api.Drawing]:
        batch = next(batch.micro_batches(NUM_DRAWN))
        hidden = self.measured(batch, self.options.eval_ratio)
        truth, valid = self._whole(batch)
        columns = [
            self.preprocess.draw(truth, valid),
            self.preprocess.draw(truth, valid, hidden),
            self.preprocess.draw(self.preprocess.pixels(self.filled(module, batch, hidden))),
        ]
        rows = [list(row) for row in zip(*columns, strict=True)]
        how = self.card.withheld or f"{self.options.eval_ratio:.0%}"
        caption = self.preprocess.modality.keyed(f"Rows with cells hidden ({how}), and filled in.", self.card)
        return [api.Drawing(name="imputations", caption=caption, png=api.draw.picture_grid(rows, TITLES))]

    def _whole(self, batch: api.Batch) -> tuple[Tensor, Tensor]:
        """Return pixels of a batch (B, C, F) with what was withheld in its place, and which exist (B, C, F) bool."""
        pixels, valid, withheld = self.preprocess.to_pixels(batch["image"]), self.valid(batch), self.withheld(batch)
        if withheld is None:
            return pixels, valid
        nothing = np.full(withheld.shape, np.nan)
        cells = self.with_withheld(nothing, withheld.cpu().numpy())[:, : len(self.card.columns)]
        for place, column in enumerate(self.card.columns):
            cells[:, place] = column.places(cells[:, place]) if column.knots else cells[:, place]
        image = torch.from_numpy(api.tables.as_image(cells.astype(np.float32), self.card.columns)).to(pixels.device)
        image = F.pad(image, (0, pixels.shape[2] - image.shape[2]), value=torch.nan)
        return torch.where(image.isnan(), pixels, self.preprocess.pixels(image)), valid | ~image.isnan()

    def describe(self) -> Sequence[str]:
        if self.card.withheld:
            which = (
                f"those that the data set withheld from every row before anything was learnt ({self.card.withheld}), "
                "of training rows too"
            )
        else:
            chance = f"{self.options.eval_ratio:.0%} (MCAR)"
            which = f"each cell that is there is hidden with a chance of {chance}, the same ones in every evaluation"
        how = (
            f"Errors are on hidden cells only: {which}, and the same for all imputers. They are z-scored by mean and "
            "deviation of whole training rows; of several columns they are taken over all cells. The other imputers "
            f"learn from up to {self.baseline_samples:,} training rows."
        )
        return [how, in_words(self.options.forests)]


@api.hookimpl
def mae_tasks() -> list[type[api.Task[Any]]]:
    return [Impute]
