"""An imputer in scikit-learn's conventions: rows with missing values in, the same rows filled in out.

Shapes: N rows, F columns.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin  # type: ignore[import-untyped]
from sklearn.utils import check_array, check_random_state  # type: ignore[import-untyped]
from sklearn.utils.validation import (  # type: ignore[import-untyped]
    FLOAT_DTYPES,
    _check_feature_names_in,
    check_is_fitted,
    validate_data,
)

from maecli.data.tabular.columns import Scaler
from maecli.errors import DataError, SpecError
from maecli.imputer.features import EMPTY, Feature, find_feature
from maecli.imputer.filling import Filler
from maecli.imputer.given import ArrayRows, FrameRows, Rows, is_frame
from maecli.imputer.learning import RowsInMemory, Wishes, learn
from maecli.plan.budget import parse_time
from maecli.progress import Progress
from maecli.registry import registry
from maecli.run.restore import restore
from maecli.terminal import PlainConsole
from maecli.text import number_of, some

MOST_NAMED = 5


class MAEImputer(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Fill in missing values by a masked autoencoder of rows, as `mae pretrain` learns it from tables.

    Takes arrays of numbers, and frames (pandas) of numbers, truths, categories, texts of few kinds and dates; NaN, None
    and NaT are missing. What is there is returned as it is, whole numbers are filled in by whole ones, categories by
    one of theirs, numbers and dates within the range that they had in `fit`. New rows need no new fit, and what
    is filled in into one does not depend on the others. A frame comes back as a frame of the same dtypes.

    Parameters
    ----------
    epochs : int, default=None
        Passes over the rows. By default, without `time`, 20; more of few rows, and fewer from 20,000 rows on.
    time : str or float, default=None
        How long `fit` may take instead, as "90s", "10m" or a number of seconds: the steps are then timed, so that two
        fits on equal rows may differ.
    mask_ratio : float, default=None
        Chance of each value to be hidden in training; by default that of the recipe for tables.
    scaler : {"standard", "minmax", "quantile"}, default="standard"
        What numbers and dates are scaled by: so that all weigh the same, as between their least and greatest, or by
        the share of smaller ones, by which far values are told badly.
    keep_empty_features : bool, default=True
        Whether a column in which `fit` found nothing comes back as it came in, or is left out.
    settings : dict, default=None
        Other settings of the run by their dotted keys, as behind `--set`, such as {"model.embed_dim": 128}.
    device : str, default="auto"
        auto, cpu, mps, cuda or cuda:N.
    random_state : int, RandomState instance or None, default=None
        Weights, order of the rows and masks follow from it.
    verbose : int, default=0
        1 shows how far training has come.

    Attributes
    ----------
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Of frames whose columns are all named by texts.
    """

    _features: Sequence[Feature | None]
    """By the column that went in; None for one that is not filled in."""
    _filler: Filler
    _kept: list[int]
    """The columns that come out."""

    def __init__(
        self,
        *,
        epochs: int | None = None,
        time: str | float | None = None,
        mask_ratio: float | None = None,
        scaler: Scaler = "standard",
        keep_empty_features: bool = True,
        settings: Mapping[str, Any] | None = None,
        device: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.epochs = epochs
        self.time = time
        self.mask_ratio = mask_ratio
        self.scaler = scaler
        self.keep_empty_features = keep_empty_features
        self.settings = settings
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @classmethod
    def from_run(cls, run: str | PathLike[str], *, checkpoint: str = "last", device: str = "auto") -> Self:
        """Return an imputer that was fitted by `mae pretrain`, or saved by `save`; it takes the run's own columns.

        Raises SpecError where there is no such run, or its task fills in no tables.
        """
        settings = {"device": device, "precision": "float32"}
        restored = restore(Path(fspath(run)), registry(), warnings.warn, checkpoint, settings)
        if not restored.task.fills or not restored.card.columns:
            raise SpecError(f"{fspath(run)} was trained for task {restored.task.name}, which fills in no columns")
        imputer = cls(device=device)
        features = [Feature.of_run(column) for column in restored.card.columns]
        imputer._take(features, Filler.of(restored, restored.module))
        imputer.feature_names_in_ = np.array(restored.card.cells, dtype=object)
        imputer.n_features_in_ = len(restored.card.cells)
        return imputer

    def save(self, path: str | PathLike[str]) -> None:
        """Write a folder without pickles, for `from_run` and for `mae infer --run`: the columns that were learnt."""
        check_is_fitted(self)
        self._filler.save(Path(fspath(path)))

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn how columns depend on each other. `y` is not used."""
        rows = self._rows(X, reset=True)
        with _as_value_errors():
            wishes = self._wishes()
            found = [find_feature(values, self.scaler) for values in rows.columns]
            features = [each if isinstance(each, Feature) else None for each in found]
            columns = [feature.column for feature in features if feature is not None]
            if not columns:
                raise ValueError("X holds nothing to learn from: each of its columns is empty, or free text")
            memory = RowsInMemory(columns, _cells(rows, features), self.scaler)
            self._take(features, learn(memory, wishes, Progress(PlainConsole(stderr=True) if self.verbose else None)))
        if not self.keep_empty_features:
            self._kept = [place for place in self._kept if found[place] != EMPTY]
        self._tell(rows, found)
        return self

    def transform(self, X: Any) -> Any:
        """Return the rows filled in, as an array or a frame, whichever came in; see `set_output`."""
        check_is_fitted(self)
        rows = self._rows(X, reset=False)
        cells = _cells(rows, self._features)
        learnt = [(place, feature) for place, feature in enumerate(self._features) if feature is not None]
        holed = np.stack([rows.columns[place].missing for place, _ in learnt], 1).any(1)
        made = {}
        if holed.any():
            filled = self._filler.fill(cells[holed])
            for (place, feature), column in zip(learnt, filled.T, strict=True):
                made[place] = feature.values(column[rows.columns[place].missing[holed]])
        return rows.filled(made, self._kept)

    def get_feature_names_out(self, input_features: Sequence[str] | None = None) -> NDArray[Any]:
        """Return the names of the columns that come out: those that went in, or x0, x1 …"""
        check_is_fitted(self)
        return _check_feature_names_in(self, input_features)[self._kept]

    def _take(self, features: Sequence[Feature | None], filler: Filler) -> None:
        """Be fitted to these columns, None for one that is not filled in."""
        self._features, self._filler = features, filler
        self._kept = list(range(len(features)))

    def _rows(self, X: Any, reset: bool) -> Rows:
        """Return what was given, checked as scikit-learn checks it: ValueError for infinite numbers, other columns …"""
        if not is_frame(X):
            array = validate_data(self, X, reset=reset, dtype=FLOAT_DTYPES, ensure_all_finite="allow-nan")
            return ArrayRows(array, self._names())
        validate_data(self, X, reset=reset, skip_check_array=True)
        rows = FrameRows(X, self._names())
        numbers = [values.values for values in rows.columns if values.kind == "number"] or [np.zeros(len(X))]
        matrix = np.column_stack(numbers) if rows.columns else np.zeros(X.shape)
        check_array(matrix, ensure_all_finite="allow-nan", estimator=self, input_name="X")
        return rows

    def _names(self) -> list[str]:
        return list(getattr(self, "feature_names_in_", [f"x{place}" for place in range(self.n_features_in_)]))

    def _wishes(self) -> Wishes:
        if self.epochs is not None and self.time is not None:
            raise ValueError(f"epochs ({self.epochs}) and time ({self.time}) both say how long fit takes; give one")
        settings = {**(self.settings or {}), "device": self.device, "dataset.scaler": self.scaler}
        for key, value in {"train.epochs": self.epochs, "task.mask_ratio": self.mask_ratio}.items():
            if value is not None:
                settings[key] = value
        time_s = None if self.time is None else parse_time(_as_text(self.time))
        return Wishes(settings, check_random_state(self.random_state).randint(2**31 - 1), time_s)

    def _tell(self, rows: Rows, found: Sequence[Feature | str]) -> None:
        """Warn of columns that are not filled in."""
        told = [
            f"{rows.columns[place].name!r} {each} and {'stays as it is' if place in self._kept else 'is left out'}"
            for place, each in enumerate(found)
            if isinstance(each, str)
        ]
        if told:
            warnings.warn(f"{number_of(len(told), 'column')} cannot be learnt: {some(told, MOST_NAMED)}", stacklevel=3)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_filler")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _cells(rows: Rows, features: Sequence[Feature | None]) -> NDArray[np.float32]:
    """Return the cells (N, F) of the columns that are learnt."""
    pairs = zip(features, rows.columns, strict=True)
    return np.stack([feature.cells(values) for feature, values in pairs if feature is not None], 1).astype(np.float32)


def _as_text(time: str | float) -> str:
    return time if isinstance(time, str) else f"{time}s"


@contextlib.contextmanager
def _as_value_errors() -> Iterator[None]:
    """Raise ValueError, as users of scikit-learn expect it, for settings and rows that do not fit."""
    try:
        yield
    except (SpecError, DataError) as error:
        raise ValueError(str(error)) from error
