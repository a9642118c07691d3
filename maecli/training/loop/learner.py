"""What is learnt: a module, its optimizer and its average, as copies or in parts where several processes share them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from maecli.data.batch import Batch
from maecli.hardware import autocast
from maecli.models.blocks import drawing_from
from maecli.parallel.world import ALONE, World
from maecli.parallel.wrap import copy_whole, handed_out_in_parts, replicated, shard, summed_at_the_end
from maecli.schema import RunSpec
from maecli.training.loop.optim import (
    AS_PARAMETERS,
    WeightAverage,
    load_optimizer_tensors,
    make_optimizer,
    optimizer_tensors,
    set_rate,
)

Tensors = dict[str, Tensor]
Loss = Callable[[Any, Batch], Tensor]
"""Makes the loss () of a micro-batch, given what runs the module."""
Weight = Callable[[Batch], Tensor | None]
"""Says what the loss of a micro-batch weighs beside others; see `Task.loss_weight`."""
RAW = "raw."
"""Prefix of the weights under training in the state, where the model file holds their average."""
MOMENTS = "optim."
"""Prefix of the optimizer's tensors in the state."""


class Learner:
    """The weights under training, and all that a step changes."""

    def __init__(self, module: nn.Module, spec: RunSpec, device: torch.device, dtype: torch.dtype) -> None:
        self.module, self.spec, self.device, self.dtype = module, spec, device, dtype
        self.running: Callable[..., Any] = torch.compile(module) if spec.compile else module
        """What a loss calls."""
        self.optimizer = make_optimizer(module, spec.train)
        self.average = WeightAverage(module, spec.train.ema_decay) if spec.train.ema_decay else None
        self.world = ALONE
        self.is_updating = False
        """Whether a step changes weights at this moment, so that they are not those of any step."""
        self._unsharded: nn.Module | None = None
        """Where each process has a part of the module: a module for the whole weights."""
        norms = (each for each in module.modules() if isinstance(each, nn.modules.batchnorm._NormBase))
        self._statistics = [buffer for norm in norms for buffer in norm.buffers()]
        """What a forward pass changes, as of batch normalisation."""
        self._statistics_before = [buffer.clone() for buffer in self._statistics]
        """What they were before the step."""

    @property
    def final_module(self) -> nn.Module:
        """The weights to use: the average if there is one. Where they lie in parts, all processes ask at once."""
        module = self.average.module if self.average else self.module
        if self._unsharded is None:
            return module
        copy_whole(module, self._unsharded)
        return self._unsharded.to(self.device)

    def put_away(self) -> None:
        """Take a whole module off the device, of which each process has a part there, until it is asked for again."""
        if self._unsharded is not None:
            self._unsharded.to("cpu")

    def learn(
        self, loss_of: Loss, weight_of: Weight, micros: Sequence[Batch], num: int, rate: float, step: int
    ) -> Tensor:
        """Do optimizer step `step`, counted from 0, on a batch of `num` samples; return its loss ().

        Gradients are summed over micro-batches, and over processes, of which each has some of the samples: as a mean
        of what the loss is a mean of, so that they are those of the whole batch.
        """
        set_rate(self.optimizer, rate)
        _copy(self._statistics, self._statistics_before)
        loss = torch.zeros((), device=self.device)
        shares = self._shares(weight_of, micros, num)
        for i, (micro, share) in enumerate(zip(micros, shares, strict=True), start=1):
            with summed_at_the_end(self.running, i == len(micros)):
                with autocast(self.device, self.dtype), drawing_from(self.module, micro.draws):
                    part = loss_of(self.running, micro) * share
                part.backward()  # type: ignore[no-untyped-call]
            loss += part.detach()
        self.world.sum_(loss)
        self.is_updating = True
        if self.spec.train.clip_grad is not None:
            nn.utils.clip_grad_norm_(self.module.parameters(), self.spec.train.clip_grad)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update(self.module, step + 1)
        self.is_updating = False
        return loss

    def _shares(self, weight_of: Weight, micros: Sequence[Batch], num: int) -> Sequence[Tensor | float]:
        """Return what share of the loss of a batch of `num` samples that of each of these parts of it is."""
        if len(micros) == 1 and self.world.size == 1:
            return [1.0]
        weights = [weight for micro in micros if (weight := weight_of(micro)) is not None]
        if not weights:
            return [len(micro) / num for micro in micros]
        stacked = torch.stack(weights).float()
        total = stacked.sum()
        self.world.sum_(total)
        return list(stacked / total.clamp(min=torch.finfo().tiny))

    def take_back(self) -> None:
        """Undo what a step that failed before it changed weights has done; the module runs in this process alone."""
        self.optimizer.zero_grad(set_to_none=True)
        _copy(self._statistics_before, self._statistics)
        if self.world.size > 1:
            self.running = self.module

    def snapshot(self) -> tuple[Tensors, Tensors]:
        """Return the weights to use, and the tensors that a restart needs besides, in parts where they lie so."""
        average = self.average.module if self.average is not None else self.module
        state = {MOMENTS + name: value for name, value in optimizer_tensors(self.optimizer).items()}
        if self.average is not None:
            state |= {RAW + name: value for name, value in self.module.state_dict().items()}
        return dict(average.state_dict()), state

    def restore(self, model: Tensors, state: Tensors) -> None:
        """Take over what `snapshot` returned. Raises RuntimeError or KeyError where it is of another module."""
        if self.average is not None:
            self.average.module.load_state_dict(model)
            model = _below(RAW, state)
        self.module.load_state_dict(model)
        load_optimizer_tensors(self.optimizer, _below(MOMENTS, state))

    def begin_as_the_first(self) -> None:
        """Take over what the first process has; parts of it (`parallel: fsdp`) come when the module is spread.

        A frozen encoder may be asked before, so that one is handed out whole.
        """
        if self.spec.parallel == "fsdp" and not self.spec.train.freeze:
            return
        handed = [self.world.handed_out(tensors) for tensors in self.snapshot()]
        if not self.world.main:
            self.restore(*handed)

    def spread(self) -> None:
        """Let the module run in all processes: a copy in each, or with `parallel: fsdp` a part in each."""
        if self.spec.parallel == "fsdp":
            self._divide(self.world)
        elif self.world.size > 1:
            self.running = replicated(self.module, self.world)
        else:
            return
        if self.spec.compile:
            self.running = torch.compile(self.running)

    def _divide(self, world: World) -> None:
        weights, state = self.snapshot()  # those of the first process count
        self._unsharded = copy.deepcopy(self.module).eval().requires_grad_(False)
        self.put_away()
        shard(self.module, world)
        if self.average is not None:
            shard(self.average.module, world)
        self.optimizer = make_optimizer(self.module, self.spec.train)
        values = self.module.state_dict()
        moments = {f"{MOMENTS}{kind}.{name}": value for kind in AS_PARAMETERS for name, value in values.items()}
        like = values | {RAW + name: value for name, value in values.items()} | moments
        self.restore(handed_out_in_parts(weights, like, world), handed_out_in_parts(state, like, world))
        self.running = self.module


def _copy(values: list[Tensor], into: list[Tensor]) -> None:
    if values:
        torch._foreach_copy_(into, values)


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> Tensors:
    """Return the tensors whose names begin so, without that."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
