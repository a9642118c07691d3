"""The processes of a run: what they agree on, and what goes between them.

One process is the plain case: its `World` does nothing. Of several, the first, `main`, leads and writes.
"""

from __future__ import annotations

import contextlib
import gc
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from maecli.errors import MaeError, OutOfMemory
from maecli.hardware import gpu_of, note_own_gpu
from maecli.loading.parcels import carried
from maecli.parallel.meeting import meet, telling_whom

T = TypeVar("T")

HANG_S = 60.0
"""How long a step may wait for another process."""
NCCL_TIMES = 10
"""How many times as long NCCL waits as gloo, which is the one to notice."""
PATIENT_S = 86_400.0
"""How long processes wait where one of them lists, plans, compiles, measures or saves."""
ROLL_CALL_S, STORE_S = 2.0, 10.0
"""How long the processes may take to answer when one is waited for, and the store to tell of it."""
_NO_MEMORY = "mae/no-memory"
_LOST = ("connection", "timed out", "timeout", "peer", "socket", "broken pipe", "aborted")
"""Words of what torch.distributed raises where another process is gone."""


class LostProcess(MaeError):
    """Another process of the run ended, or does not answer. Exit code 1."""


class World:
    """One process."""

    rank, size = 0, 1
    group: dist.ProcessGroup | None = None
    """Of the processes in a step, which wait `HANG_S` for each other."""
    goes_on = False
    """Whether the command goes on from a checkpoint where it is started again, as training does."""

    @property
    def may_leave_a_step(self) -> bool:
        """Whether the others notice when this process does not finish a step that they are in."""
        return True

    @property
    def main(self) -> bool:
        """Whether this is the process that leads and writes."""
        return self.rank == 0

    def sum_(self, tensor: Tensor) -> None:
        """Replace a tensor by its sum over the processes."""

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """Return of each flag whether it holds in any process. All of them ask at once, in a step."""
        return flags

    def first(self, make: Callable[[], T]) -> T:
        """Return what the first process makes; all raise what it raises."""
        return make()

    def gathered(self, value: T, only_first: bool = False) -> list[T]:
        """Return the values of all processes, by rank; with `only_first` there alone, and nothing in the others."""
        return [value]

    def same(self, tensors: Iterable[Tensor]) -> None:
        """Give tensors the values that they have in the first process."""

    def handed_out(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the named tensors of the first process, on the CPU in all others."""
        return dict(tensors)

    @contextlib.contextmanager
    def together(self, in_step: bool = False) -> Iterator[None]:
        """Wait at the end until all processes are there; if one raises in the block, all raise its error.

        What goes between processes has no place in the block. `in_step`: no longer than `HANG_S`.
        """
        yield

    @contextlib.contextmanager
    def guarded(self) -> Iterator[None]:
        """Raise LostProcess where something in the block goes between processes, and one of them is gone.

        Raises OutOfMemory where one has no memory for the step that the others are in.
        """
        yield

    def say_no_memory(self) -> None:
        """Tell the others, which wait for this process in a step, that it has no memory for it."""

    def lacks(self, own: T | None) -> list[T]:
        """Return what the processes without memory found, after which all can take steps again; all ask at once."""
        return [] if own is None else [own]

    def be_patient(self) -> None:
        """Wait for others in a step however long they take: each compiles it by itself."""

    def call(self, function: Callable[..., None], *arguments: Any) -> None:
        """Let all other processes call a function that is defined in a module."""


ALONE = World()


class Processes(World):
    """One of several processes. Values go between them by pickle, as between torch's own; files never do."""

    def __init__(self, rank: int, size: int, hang_s: float) -> None:
        self.rank, self.size = rank, size
        self.hang_s = hang_s
        self.lost = False
        """Whether another process is gone."""
        self.missing: list[int] = []
        """Those that did not answer a roll call, once a step waited too long."""
        self._raised_by_all: BaseException | None = None
        # none of torch's own: its modules that are imported later hold that for ever, and the connections with it
        self._patient: dist.ProcessGroup | None = self._new_group(PATIENT_S)
        self.group = self._new_group(hang_s)

    @property
    def may_leave_a_step(self) -> bool:
        return self.group is not self._patient  # else they wait, see `be_patient`

    def sum_(self, tensor: Tensor) -> None:
        with self.guarded():
            dist.all_reduce(tensor, group=self.group)

    def any(self, *flags: bool) -> tuple[bool, ...]:
        return self._any(flags, self.group)

    def _any(self, flags: Iterable[bool], group: dist.ProcessGroup | None) -> tuple[bool, ...]:
        numbers = torch.tensor([int(flag) for flag in flags], dtype=torch.int32)
        with self.guarded():
            dist.all_reduce(numbers, group=group)
        return tuple(number > 0 for number in numbers.tolist())

    def first(self, make: Callable[[], T]) -> T:
        made: list[Any] = [None]
        if self.main:
            try:
                made = [make()]
            except Exception as error:
                made = [_Raised(_portable(error))]
        with self.guarded():
            dist.broadcast_object_list(made, src=0, group=self._patient)
        if isinstance(made[0], _Raised):
            self._raised_by_all = made[0].error
            raise made[0].error
        return made[0]

    def gathered(self, value: T, only_first: bool = False) -> list[T]:
        values: list[Any] = [None] * self.size
        with self.guarded():
            if only_first:
                dist.gather_object(value, values if self.main else None, dst=0, group=self._patient)
                return values if self.main else []
            dist.all_gather_object(values, value, group=self._patient)
        return values

    def same(self, tensors: Iterable[Tensor]) -> None:
        with self.guarded():
            for tensor in tensors:
                dist.broadcast(tensor, src=0, group=self._patient)

    def handed_out(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        forms = self.first(lambda: [(name, tensor.shape, tensor.dtype) for name, tensor in tensors.items()])
        if not self.main:
            tensors = {name: torch.empty(shape, dtype=dtype) for name, shape, dtype in forms}
        with self.guarded():
            for name, _, _ in forms:
                value = tensors[name].detach().cpu().contiguous() if self.main else tensors[name]
                dist.broadcast(value, src=0, group=self._patient)
        return dict(tensors)

    @contextlib.contextmanager
    def together(self, in_step: bool = False) -> Iterator[None]:
        error: BaseException | None = None
        try:
            yield
        except LostProcess:
            raise
        except BaseException as raised:
            error = raised
        if not any(self._any([error is not None], self.group if in_step else self._patient)):
            return
        errors = self.gathered(None if error is None else _portable(error))
        raiser = next(rank for rank, each in enumerate(errors) if each is not None)
        if raiser != self.rank or error is None:
            error = errors[raiser]
        self._raised_by_all = error
        if error is not None:
            raise error

    @contextlib.contextmanager
    def guarded(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            words = str(error).lower()
            if not any(word in words for word in _LOST):
                raise
            if self._no_memory_elsewhere():
                raise OutOfMemory(f"memory is used up in another of the {self.size} processes") from error
            self.lost = True
            raise LostProcess(self._whom(timed_out="timed out" in words or "timeout" in words)) from error

    def say_no_memory(self) -> None:
        dist.distributed_c10d._get_default_store().set(_NO_MEMORY, "")

    def lacks(self, own: T | None) -> list[T]:
        values = self.gathered(own)
        if self.main:
            dist.distributed_c10d._get_default_store().delete_key(_NO_MEMORY)
        self.group = self._new_group(self.hang_s)  # that of a step which some left may be of no use
        return [value for value in values if value is not None]

    def _new_group(self, timeout_s: float) -> dist.ProcessGroup:
        group = dist.new_group(timeout=timedelta(seconds=timeout_s))
        assert not isinstance(group, int), "every process is in every group"
        if "nccl" in dist.get_backend_config(group):  # what times out there ends the process, before gloo can tell why
            backend = group._get_backend(torch.device("cuda"))
            backend._set_default_timeout(timedelta(seconds=NCCL_TIMES * timeout_s))
        return group

    def _no_memory_elsewhere(self) -> bool:
        return self._asked(lambda store: store.check([_NO_MEMORY]), otherwise=False)

    def _whom(self, timed_out: bool) -> str:
        """Return which process is gone, as far as the others that notice it can tell by a roll call."""
        way_out = "--resume goes on from the last checkpoint" if self.goes_on else "start the same command again"
        way_out += ", as mae --devices and torchrun --max-restarts do by themselves"
        if not timed_out:
            return f"another of the {self.size} processes ended; {way_out}"

        def missing(store: Any) -> list[int]:
            store.set(f"mae/here/{self.rank}", "")
            time.sleep(ROLL_CALL_S)
            return [rank for rank in range(self.size) if not store.check([f"mae/here/{rank}"])]

        self.missing = self._asked(missing, otherwise=self.missing)
        who = f"process {', '.join(map(str, self.missing))}" if self.missing else f"one of the {self.size} processes"
        return f"{who} made no progress for {self.hang_s:g} s, so the run hangs; {way_out}"

    def _asked(self, ask: Callable[[Any], T], otherwise: T) -> T:
        """Return what the store answers, if it does: it hangs with the first process, or with that one's launcher."""
        answers: list[T] = []

        def asking() -> None:
            with contextlib.suppress(Exception):
                answers.append(ask(dist.distributed_c10d._get_default_store()))

        if 0 not in self.missing:
            thread = threading.Thread(target=asking, daemon=True)
            thread.start()
            thread.join(STORE_S)
            if thread.is_alive():
                self.missing.append(0)
        return answers[0] if answers else otherwise

    @property
    def speaks(self) -> bool:
        """Whether this process is to tell of those that did not answer, in the place of the first."""
        return self.rank > 0 and set(range(self.rank)) <= set(self.missing)

    def be_patient(self) -> None:
        self.group = self._patient

    def call(self, function: Callable[..., None], *arguments: Any) -> None:
        with self.guarded():
            dist.broadcast_object_list([(function, arguments)], src=0, group=self._patient)

    def leave(self) -> None:
        """Close the connections to the others, which ends their waiting for this process."""
        was_patient = self.group is self._patient
        self.group = self._patient = None
        dist.destroy_process_group()
        if was_patient:
            gc.collect()  # what was compiled holds it

    def obey(self) -> None:
        """Call what the first process lets all others call.

        Raises LostProcess when that ends, and an error that not all processes raise together.
        """
        while True:
            order: list[Any] = [None]
            with self.guarded():
                dist.broadcast_object_list(order, src=0, group=self._patient)
            function, arguments = order[0]
            try:
                function(*arguments)
            except MaeError as error:
                if error is not self._raised_by_all:
                    raise


class _Raised:
    """An error on its way."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


def _portable(error: BaseException) -> BaseException:
    """Return an error as it is, or where it cannot be sent, one that says the same."""
    try:
        carried(error)
    except Exception:
        return MaeError(str(error) if isinstance(error, MaeError) else f"{type(error).__name__}: {error}")
    return error


def start(rank: int, size: int, local_rank: int) -> Processes:
    """Join the other processes, each with a GPU of its own where there are so many."""
    backend = "gloo"
    if (gpu := gpu_of(local_rank)) is not None:
        torch.cuda.set_device(gpu)
        backend = "cpu:gloo,cuda:nccl"
    patience = timedelta(seconds=PATIENT_S)
    with telling_whom(rank, size, f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"):
        store, _, _ = next(dist.rendezvous("env://", rank, size, timeout=patience))  # type: ignore[attr-defined]
    store = dist.PrefixStore(f"mae/{meet(store, rank, size)}", store)  # type: ignore[attr-defined]
    dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=patience)
    group = Processes(rank, size, HANG_S)
    sees_one = torch.cuda.device_count() == 1
    takes = group.gathered(str(torch.cuda.get_device_properties(0).uuid) if sees_one else rank)
    if sees_one and len({*takes}) == size:
        note_own_gpu()
    return group
