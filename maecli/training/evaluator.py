"""Measuring batch by batch, in tensors that add up: over batches, over parts of a split, over processes.

Shapes: B batch, N samples of a split, n of them seen.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from maecli.data.batch import Batch
from maecli.results import Difference, Drawing, Metric, Table

M = TypeVar("M", bound=nn.Module)

State = dict[str, Tensor]
"""What was counted: adding two by `add_states` gives what would have been counted of both parts of a split."""
SEEN = "seen"
"""How often each sample (N,) gave a row."""


class Evaluator(ABC, Generic[M]):
    """Measures a module batch by batch, in any order. Batches are unchanged by augmentation.

    `update` counts in `add` and `add_rows`, on the device, and waits for nothing; what was counted is read when
    `metrics`, `tables` and `drawings` are made. Samples kept to be drawn are the evaluator's own, and no part of it.
    """

    begin = 0
    """Position of the split's first sample among all that are measured: above 0 where splits are measured as one."""

    @abstractmethod
    def update(self, module: M, batch: Batch) -> None:
        """Add one batch. Called without gradients, module in eval mode, autocast on where it pays."""

    @abstractmethod
    def metrics(self) -> Sequence[Metric]:
        """Return the metrics of all batches so far, the headline first, each with its baselines."""

    def tables(self) -> Sequence[Table]:
        """Return what is worth a table, such as recall per class."""
        return ()

    def drawings(self) -> Sequence[Drawing]:
        """Return drawings of the metrics, such as a confusion matrix."""
        return ()

    def finding(self) -> str:
        """Return what was found and what limits it, in words a person can use: "cat is found best, lynx worst".

        It begins in lower case and has no full stop: the report goes on with how many samples it was measured on.
        Nothing: the report names the headline metric instead.
        """
        return ""

    def add(self, totals: Mapping[str, Tensor]) -> None:
        """Add sums over a batch to those so far, floats in float64."""
        self._totals = add_states(self._totals, {name: _wide(total) for name, total in totals.items()})

    def add_rows(self, ids: Tensor, rows: Mapping[str, Tensor]) -> None:
        """Keep what is needed of every sample: rows (B, ...) of those at the positions `ids` (B,) of the split."""
        self._rows.append({"": ids + self.begin, **rows})

    def rows(self, name: str) -> Tensor | None:
        """Return the rows (n, ...) of the samples seen, in the order of the split, on the CPU; None without any."""
        state = self.state()
        return _picked(state, name, state[SEEN].nonzero().flatten()) if SEEN in state else None

    def shared_rows(self, other: Evaluator[M], name: str) -> tuple[Tensor, Tensor] | None:
        """Return the rows (n, ...) of two evaluators of one split, of the samples that both saw, in its order.

        They are on the CPU; None without any.
        """
        states = self.state(), other.state()
        if not all(SEEN in state and name in state for state in states):
            return None
        num = min(len(state[SEEN]) for state in states)
        seen = (states[0][SEEN][:num] > 0) & (states[1][SEEN][:num].to(states[0][SEEN].device) > 0)
        where = seen.nonzero().flatten().cpu()
        if not len(where):
            return None
        mine, theirs = (_picked(state, name, where.to(state[name].device)) for state in states)
        return mine, theirs

    def difference(self, other: Evaluator[M]) -> Difference | None:
        """Return how far the headline lies above that of another evaluator on the samples that both saw.

        The other one has measured another module on the same split; both are thorough, and what they counted may have
        been loaded. None: that cannot be told. See `shared_rows`, and `paired_shares` and `paired_bootstrap` of
        `api.measure`.
        """
        return None

    def total(self, name: str) -> Tensor | None:
        """Return a sum over all batches, on the CPU; None before the first."""
        total = self._totals.get(name)
        return None if total is None else total.cpu()

    def state(self) -> State:
        """Return what was counted so far, on the device.

        Of rows, each lies at its sample's own position, zeros at all others.
        """
        if self._rows:
            parts = {name: torch.cat([rows[name] for rows in self._rows]) for name in self._rows[0]}
            self._totals = add_states(self._totals, _laid(parts.pop(""), parts))
            self._rows = []
        return dict(self._totals)

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take what other evaluators of the task have counted, in place of what was counted here."""
        self._totals, self._rows = dict(state), []

    @cached_property
    def _totals(self) -> State:
        return {}

    @cached_property
    def _rows(self) -> list[dict[str, Tensor]]:
        return []


def _picked(state: State, name: str, where: Tensor) -> Tensor:
    """Return the rows of a state at some positions, each as it was given, on the CPU."""
    values, times = state[name][where], state[SEEN][where].reshape(-1, *[1] * (state[name].ndim - 1))
    return (values / times if values.is_floating_point() else (values // times).to(values.dtype)).cpu()


def add_states(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> State:
    """Return the sum of two states, on the device of the first. A shorter tensor is padded with zeros at its end."""
    names = dict.fromkeys((*first, *second))
    states = (first, second)
    parts = {name: [state[name] for state in states if name in state] for name in names}
    return {name: tensors[0] if len(tensors) == 1 else _sum(*tensors) for name, tensors in parts.items()}


def _sum(one: Tensor, other: Tensor) -> Tensor:
    size = [max(lengths) for lengths in zip(one.shape, other.shape, strict=True)]
    return _padded(one, size) + _padded(other.to(one.device), size)


def _padded(tensor: Tensor, size: Sequence[int]) -> Tensor:
    if list(tensor.shape) == list(size):
        return tensor
    whole = tensor.new_zeros(size)
    whole[tuple(slice(length) for length in tensor.shape)] = tensor
    return whole


def _laid(ids: Tensor, rows: Mapping[str, Tensor]) -> State:
    """Return rows at their samples' positions, and how often each position has one."""
    rows = {**rows, SEEN: torch.ones_like(ids)}
    num = int(ids.max()) + 1
    return {name: values.new_zeros(num, *values.shape[1:]).index_add_(0, ids, values) for name, values in rows.items()}


def _wide(total: Tensor) -> Tensor:
    return total.double() if total.is_floating_point() and total.device.type != "mps" else total  # which has none
