"""What the machine can do: device, precision, and the allocator that suits training."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from maecli.errors import SpecError
from maecli.memory import forget_peak_bytes, peak_bytes
from maecli.text import number_of


def choose_device(name: str) -> torch.device:
    """Return the device that `name` means; auto is CUDA, else MPS, else CPU. Raises SpecError if it is not there."""
    if name == "auto":
        if torch.cuda.is_available():
            _check_gpu_for_each()
            return torch.device("cuda", torch.cuda.current_device())
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise SpecError(f"device {name!r} is none of auto, cpu, mps, cuda, cuda:N") from error
    there = {"cpu": 1, "mps": int(torch.backends.mps.is_available()), "cuda": torch.cuda.device_count()}
    if (device.index or 0) >= there.get(device.type, 0):
        raise SpecError(f"device {name!r} is not on this machine; --device auto takes what is")
    if device.index is not None and device.type == "cuda" and processes_here() > 1 and not _has_own_gpu:
        raise SpecError(
            f"device {name!r} is one, and {processes_here()} processes want a GPU each; leave --device out, or name "
            "them all by --devices cuda:0,cuda:1"
        )
    if device.type == "cuda":
        _check_gpu_for_each()
    return device


def processes_here() -> int:
    """Return how many processes that torchrun started share this machine; 1 for one by itself."""
    return max(1, int(os.environ.get("LOCAL_WORLD_SIZE", "1"))) if "RANK" in os.environ else 1


_has_own_gpu = False


def gpu_of(local_rank: int) -> int | None:
    """Return which GPU of those that it sees a process here takes: where it sees only one, that, see `note_own_gpu`."""
    num = torch.cuda.device_count()
    if max(local_rank + 1, processes_here()) <= num:
        return local_rank
    return 0 if num == 1 else None


def note_own_gpu() -> None:
    """Note that no other process takes the one GPU that this one sees, as where srun gives one to each."""
    global _has_own_gpu
    _has_own_gpu = True


def _check_gpu_for_each() -> None:
    if (num := torch.cuda.device_count()) < processes_here() and not _has_own_gpu:
        raise SpecError(
            f"{processes_here()} processes want a GPU each, and this machine has {num}; use fewer processes, or "
            "--device cpu"
        )


def num_cores() -> int:
    """Return how many CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.cache
def has_amx() -> bool:
    """Return whether the CPU multiplies bf16 tiles (Intel AMX)."""
    if hasattr(torch.cpu, "get_capabilities"):
        return bool(torch.cpu.get_capabilities().get("amx_bf16", False))
    return torch.cpu._is_amx_tile_supported()  # torch before 2.12


MATRIX_INSTRUCTIONS = (
    *("avx2", "avx512_f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8"),
    *("neon_dot", "i8mm", "sve", "bf16"),
)
"""Those that say how fast a CPU multiplies matrices, by their names in `torch.cpu.get_capabilities`."""
VNNI = ("avx_vnni", "avx512_vnni", "amx_int8")
"""Of x86, any of these sums products of 8 bits in 32; without them a sum of 16 comes first, which may overflow."""


@functools.cache
def matrix_instructions() -> tuple[str, ...]:
    """Return which of `MATRIX_INSTRUCTIONS` the CPU has."""
    if hasattr(torch.cpu, "get_capabilities"):
        there = torch.cpu.get_capabilities()
        return tuple(name for name in MATRIX_INSTRUCTIONS if there.get(name))
    flags: set[str] = set()  # torch before 2.12
    with contextlib.suppress(OSError):
        flags = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    return tuple(name for name in MATRIX_INSTRUCTIONS if {name, name.replace("avx512_f", "avx512f")} & flags)


def multiplies_int8() -> bool:
    """Return whether the CPU sums products of 8 bits in 32: with less, they are slower or overflow."""
    x86 = platform.machine().lower() in ("x86_64", "amd64")
    return not x86 or not set(VNNI).isdisjoint(matrix_instructions())


def multiplies_bf16(device: torch.device) -> bool:
    """Return whether the device multiplies bf16 matrices natively: CUDA from Ampere on, CPUs with AMX.

    Elsewhere bf16 is emulated: on a CPU with AVX2 alone a product took over 100 times as long as in float32.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return device.type == "cpu" and has_amx()


def choose_dtype(precision: str, device: torch.device) -> torch.dtype:
    """Return bfloat16 or float32 for `precision` (auto, bf16, float32)."""
    if precision == "auto":
        return torch.bfloat16 if multiplies_bf16(device) else torch.float32
    return torch.bfloat16 if precision == "bf16" else torch.float32


def autocast(device: torch.device, dtype: torch.dtype) -> contextlib.AbstractContextManager[object]:
    """Return a context in which matrix products run in `dtype`."""
    if dtype == torch.float32:
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype)


def describe_device(device: torch.device) -> str:
    """Return the device in words: the GPU's name, or the CPU's with its matrix instructions."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "mps":
        return "Apple GPU (MPS)"
    kind = "AMX" if multiplies_bf16(device) else torch.backends.cpu.get_cpu_capability()
    return f"{cpu_name()}, {number_of(torch.get_num_threads(), 'thread')}, {kind}"


def cpu_name() -> str:
    """Return what the CPU's maker calls it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def forget_peak(device: torch.device) -> int | None:
    """Let `memory_used` begin anew; return in bytes what is held now, 0 on a GPU; None where peaks are not forgotten.

    What was freed goes back to the system before, so that earlier runs of this process leave in it what they still hold
    (libraries, samples that are kept), which is counted as held now.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return 0
    gc.collect()
    if sys.platform == "linux" and platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)
    return memory_used(device) if forget_peak_bytes() else None


def memory_used(device: torch.device) -> int:
    """Return the peak memory in bytes: on the GPU what was allocated, else what the process held; 0 where not known."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else peak_bytes()


@functools.cache
def keep_freed_memory() -> bool:
    """Keep large freed blocks in the process instead of giving them back to the kernel; return whether it took.

    glibc returns every block over 32 MiB at once and faults it in again at the next allocation, page by page: a
    training step on a CPU became 1.16 to 1.30 times as fast without that, at the same peak memory.
    """
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        return False
    trim_threshold, mmap_max = -1, -4  # M_TRIM_THRESHOLD, M_MMAP_MAX of <malloc.h>
    libc = ctypes.CDLL(None)
    return bool(libc.mallopt(mmap_max, 0)) and bool(libc.mallopt(trim_threshold, 2**31 - 1))


def copy_to_cpu(tensor: Tensor) -> Callable[[], Tensor]:
    """Begin a copy, and return what waits for it and gives it: meanwhile the device can be given more to do."""
    if tensor.device.type != "cuda":
        copy = tensor.cpu()
        return lambda: copy
    pinned = tensor.to("cpu", non_blocking=True)
    copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
    copied.record(torch.cuda.current_stream(tensor.device))

    def wait() -> Tensor:
        copied.synchronize()
        return pinned.clone()  # page-locked memory is scarce

    return wait


def default_workers() -> int:
    """Return how many reading processes to start: the cores of this process, less one, 1 to 8.

    Those of a machine are divided among the processes of torchrun on it.
    """
    return max(1, min(8, num_cores() // processes_here() - 1))
