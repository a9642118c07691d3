"""Anyone's table."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from maecli import api
from maecli.api import tables

from . import told
from .hiding import Mechanism, hidden_cells
from .target import FIELDS, Target, find_target, natural_field


class Table(api.Dataset):
    """Any table, a row a sample: numbers, whole numbers, truths, categories and dates, of which some may be missing.

    Source: your own file; nothing is copied or changed.
    Format: CSV (UTF-8, UTF-16 or Windows-1252; commas, semicolons, tabs or bars; decimal points or commas) whose first
        line names the columns, or Parquet with the extra `parquet`. A cell is missing that is empty or says so in a
        usual way (NA, NaN, null, None, ?, - …) or by one of the option `missing`.
    Columns: what each holds is told by its cells, and is chosen by the option `types`. Numbers without decimals are
        whole; 0 and 1 alone, yes and no, true and false are truths; up to 50 different texts that come again are
        categories, of others the column is free text and left out. What was taken for what is told before training.
    Target: the column of the option `target` is no part of what a model sees, in pretraining neither. Rows in which it
        is missing are left out where it is to be learnt.
    Hidden cells: by the option `hide` cells that are there are taken from the rows of every split before anything else
        is fitted on them, and are kept to be measured on alone.
    Sample: a cell per column. Numbers and dates lie between the least and the greatest of the training rows, or at
        their quantile, and categories have a channel each; no statistic is taken of other rows.
    Splits: one row in ten for each of val and test, cut with the fixed seed 0.
    Licence: yours to know.
    """

    name = "table"
    recipe = "rows"
    named_by_root = True
    meant_by_rows = True
    title = ""
    """Of the card; default: by the name of the file."""
    source = "your own file"
    licence = "yours to know"

    class Options(api.DatasetOptions):
        types: dict[str, tables.Choice] = Field(
            default={},
            description="what columns hold, as in {age: integer, code: category, name: ignore}; default: as their "
            "cells say",
        )
        missing: tuple[str, ...] = Field(
            default=(), description="what else says that a cell holds nothing, exactly as it is written, as in [-999]"
        )
        target: str = Field(
            default="",
            description="column to predict, which a model does not see, in pretraining neither; default: none",
        )
        scaler: tables.Scaler = Field(
            default="standard",
            description="of numbers and dates, fitted on the training rows. standard: all weigh the same; minmax: as "
            "between their least and greatest, where few far values leave the others little weight; quantile: by the "
            "share of smaller ones, by which far values are told badly",
        )
        most_categories: int = Field(
            default=tables.MOST_CATEGORIES, ge=2, le=1000, description="of more different texts a column is free text"
        )
        hide: Literal["none"] | Mechanism = Field(
            default="none",
            description="take cells that are there from the rows of every split, and measure on them alone. mcar: by "
            "chance; mar: by cells of the row in columns that are kept whole; mnar: by what they hold",
        )
        hide_share: float = Field(
            default=0.2, gt=0, lt=1, description="of each column's cells that are there, the share that `hide` takes"
        )
        hide_seed: int = Field(default=0, ge=0, description="of the draws by which `hide` takes cells")
        val_share: float = Field(default=0.1, ge=0, lt=1, description="share of the rows taken as val")
        test_share: float = Field(default=0.1, ge=0, lt=1, description="share of the rows taken as test")

    options: Options

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._like: api.DataCard | None = None
        self._first: api.DataCard | None = None
        self._told = False
        self._targets: dict[str, Target] = {}

    def read_as(self, card: api.DataCard) -> None:
        self._like = card

    def begin_from(self, card: api.DataCard) -> None:
        self._first = card if card.columns else None

    def card(self, fields: Sequence[str] = ("image",)) -> api.DataCard:
        columns, rows = self._columns, self._rows
        mean, std = self._stats
        target, parts, hidden = self._target(fields), self._known(fields), self._hidden_cells
        seen = self._first is not None and self.options.target in self._first.cells
        missing = np.isnan(rows.cells) if hidden is None else np.isnan(rows.cells) & ~hidden
        notes = (
            *told.notes(self._table, self._kinds, columns, missing, self.options.target, seen),
            *([] if hidden is None else [told.hidden(self.options.hide, columns, hidden, missing)]),
        )
        if not self._told and self._like is None:
            self._told = True
            for note in notes:
                self.say(note)
        shares = f"val {self.options.val_share:.0%} and test {self.options.test_share:.0%} of the rows"
        return api.DataCard(
            name=self.name,
            title=self.title or f"table {self._path.name}",
            modality="tables",
            fields=("image", *([target.field] if target is not None else []), *self._withheld),
            channels=tables.num_channels(columns),
            size=(len(columns),),
            dtype="float32",
            value_range=tables.PLACES,
            missing=True,
            mean=mean,
            std=std,
            withheld="" if hidden is None else f"{self.options.hide.upper()}, {100 * self.options.hide_share:g}%",
            cells=tuple(column.name for column in columns),
            columns=columns,
            **self._of_target(target, parts["train"]),
            split_sizes={name: len(ids) for name, ids in parts.items()},
            split_origin=f"cut with the fixed seed {api.SPLIT_SEED}: {shares}",
            source=self.source,
            licence=self.licence,
            reading=told.reading(self._path.name, len(rows), columns),
            left_out=told.left_out(self.options.target, len(rows) - sum(map(len, parts.values()))),
            notes=notes,
        )

    def split(self, name: api.SplitName, fields: Sequence[str] = ("image",)) -> api.Split:
        target, ids = self._target(fields), self._known(fields)[name]
        others = target.arrays() if target is not None and target.field in fields else {}
        if others and target is not None and "image" not in fields:
            return target.split(self._keys, ids)
        rows = self._rows
        whole = tables.TableRows(rows.path, self._keys, rows.cells, rows.columns, {**others, **self._withheld})
        return whole.view(ids.tolist()).at_hand()

    def given_splits(self) -> Collection[api.SplitName]:
        return ()

    def find(self) -> Path:
        """Return the file. Raises DataError where there is none, or more than one."""
        if self.options.root is None:
            raise api.SpecError(f"the data set {self.name} needs --root, the file that holds your table")
        if self.root.is_file():
            return self.root
        if not self.root.is_dir():
            raise api.DataError(f"{self.root} does not exist; give --root a CSV or Parquet file")
        found = sorted(path for path in self.root.iterdir() if path.suffix.lower() in tables.SUFFIXES)
        if len(found) != 1:
            there = f"holds {len(found)} tables" if found else f"holds no table ({', '.join(tables.SUFFIXES)})"
            raise api.DataError(f"{self.root} {there}; give --root the file that is meant")
        return found[0]

    @cached_property
    def _path(self) -> Path:
        return self.find()

    @cached_property
    def _table(self) -> tables.TextTable:
        try:
            table = tables.read_table(self._path)
        except api.BrokenSample as error:
            raise api.DataError(str(error)) from error
        if len(table) == 0:
            raise api.DataError(f"{self._path} has no rows below the names of its columns")
        if unknown := [name for name in self.options.types if name not in table.names]:
            raise api.SpecError(
                f"dataset.types names the column {unknown[0]!r}, which {self._path.name} does not have; its columns "
                f"are {', '.join(table.names[: told.MOST_NAMED])}"
            )
        return table

    @cached_property
    def _kinds(self) -> list[tables.Kindred]:
        options = self.options
        try:
            return tables.find_kinds(self._table, options.types, options.missing, options.most_categories)
        except api.BrokenSample as error:
            raise api.DataError(str(error)) from error

    @property
    def _inputs(self) -> list[tables.Kindred]:
        """The columns that can be learnt from."""
        return [each for each in self._kinds if each.kind is not None and each.cells.name != self.options.target]

    def _target(self, fields: Sequence[str]) -> Target | None:
        """Return the column to predict as a task that asks for `fields` learns it; None where there is none.

        Where none of them is asked for it is as its kind suggests.
        """
        asked, name = next((field for field in FIELDS if field in fields), None), self.options.target
        if not name and asked is None:
            return None
        column = next((each for each in self._kinds if each.cells.name == name), None)
        if column is None:
            raise api.SpecError(told.no_target(self._path.name, name, self._table.names))
        field = asked or natural_field(column)
        if field is not None and field not in self._targets:
            nothing = tables.Missing(self.options.missing)
            self._targets[field] = find_target(column, field, nothing, self.options.most_categories)
        return self._targets[field] if field is not None else None

    def _known(self, fields: Sequence[str]) -> dict[api.SplitName, NDArray[np.int64]]:
        """Return the rows of each split that have what `fields` ask for."""
        target = self._target(fields)
        if target is None or target.field not in fields:
            return self._parts
        return {name: ids[target.known[ids]] for name, ids in self._parts.items()}

    def _of_target(self, target: Target | None, train: NDArray[np.int64]) -> dict[str, Any]:
        """Return what a card says of the column to predict, of the training rows with these positions."""
        if target is None:
            return {}
        if target.field == "target":
            return {"targets": (target.name,)}
        return {"classes": target.classes, "class_counts": target.counts(train[target.known[train]])}

    @cached_property
    def _keys(self) -> list[str]:
        return [f"{self._path.name}{name}" for name in tables.row_names(len(self._table))]

    @cached_property
    def _parts(self) -> dict[api.SplitName, NDArray[np.int64]]:
        parts = api.cut(self._keys, val_share=self.options.val_share, test_share=self.options.test_share)
        return {name: np.array(ids, np.int64) for name, ids in parts.items()}

    @cached_property
    def _columns(self) -> tuple[tables.Column, ...]:
        """What is known of the columns, from the training rows alone, or as a run has them.

        Columns that the run of `--init` has are what they are there.
        """
        if self._like is not None and self._like.columns:
            return self._like.columns
        known = {column.name: column for column in self._first.columns} if self._first is not None else {}
        fitted = [known.get(each.cells.name) or self._fitted(each) for each in self._inputs]
        columns = tuple(column for column in fitted if column is not None)
        if len(columns) < 2:
            raise api.DataError(
                f"{self._path} has {'no column' if not columns else 'a single column'} that can be learnt from; "
                "--set dataset.types.COLUMN=category takes one of text"
            )
        return columns

    def _fitted(self, found: tables.Kindred) -> tables.Column | None:
        """Return a column as those training rows have it of which its cell is not taken away."""
        name, train = found.cells.name, self._parts["train"]
        left = train[~self._hidden[name][train]] if name in self._hidden else train
        return tables.fit_column(found, left, self.options.scaler, self.options.missing)

    @cached_property
    def _rows(self) -> tables.TableRows:
        columns = self._columns
        if lacking := [column.name for column in columns if column.name not in self._table.names]:
            raise api.DataError(f"{self._path} lacks the column {lacking[0]!r}, by which the model learned")
        try:
            cells = tables.read_cells(self._table, columns)
        except api.BrokenSample as error:
            raise api.DataError(str(error)) from error
        if self._hidden_cells is not None:
            cells[self._hidden_cells] = np.nan
        return tables.TableRows(self._path, self._keys, cells, columns)

    @cached_property
    def _hidden(self) -> dict[str, NDArray[np.bool_]]:
        """Which cells (N,) are taken away, by the name of their column; empty where none are."""
        options = self.options
        if options.hide == "none" or not self._inputs:
            return {}
        nothing = tables.Missing(options.missing)
        cells = hidden_cells(self._inputs, nothing, options.hide, options.hide_share, options.hide_seed)
        return {each.cells.name: cells[:, place] for place, each in enumerate(self._inputs)}

    @cached_property
    def _hidden_cells(self) -> NDArray[np.bool_] | None:
        """Which cells (N, F) of the rows are taken away; None where none are."""
        if not self._hidden:
            return None
        none = np.zeros(len(self._table), np.bool_)
        return np.stack([self._hidden.get(column.name, none) for column in self._columns], 1)

    @cached_property
    def _withheld(self) -> dict[str, NDArray[Any]]:
        """What samples carry to be measured on, of all rows."""
        if self._hidden_cells is None:
            return {}
        return {"withheld": np.where(self._hidden_cells, tables.read_truth(self._table, self._columns), np.nan)}

    @cached_property
    def _stats(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and deviation of each cell over the training rows, in units of the card; categories stay 0 and 1."""
        train = self._rows.cells[self._parts["train"]]
        mean, std = tables.moments(train, self._columns, self.options.scaler)
        first = self._first
        if first is None or len(first.mean) != len(first.cells):
            return mean, std
        known = dict(zip(first.cells, zip(first.mean, first.std, strict=True), strict=True))
        names = (column.name for column in self._columns)
        pairs = [known.get(name, fitted) for name, fitted in zip(names, zip(mean, std, strict=True), strict=True)]
        return tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs)


@api.hookimpl
def mae_datasets() -> list[type[api.Dataset]]:
    return [Table]
