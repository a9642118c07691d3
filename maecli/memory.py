"""When memory runs out: whichever library notices it, a person is told what to make smaller."""

from __future__ import annotations

import contextlib
import errno
import re
import sys
from pathlib import Path
from typing import NamedTuple

from maecli.errors import MaeError, OutOfMemory

_WORDS = re.compile(
    r"out of memory|(can't|can ?not|could not|unable to|failed to) allocate|not enough memory|insufficient memory"
    r"|alloc_failed|bad alloc|bad_alloc|could not (create|execute) a (primitive|memory)( object)?$",  # oneDNN's
    re.IGNORECASE,
)
_LONGEST = 200  # letters of a library's reason


CGROUPS = Path("/sys/fs/cgroup")
PROCESS = Path("/proc/self")
_LIMITS = {"Max address space": "VmSize", "Max data size": "VmData"}
"""Of /proc/self/limits, with what /proc/self/status calls that which counts towards each."""


class _Files(NamedTuple):
    """Where a cgroup tells of memory."""

    limit: str
    used: str
    cached: str
    """The entry of memory.stat for caches of files that are given up first."""


_VERSION_1 = _Files("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
_VERSION_2 = _Files("memory.max", "memory.current", "inactive_file")


def out_of_memory(error: BaseException) -> MaeError | None:
    """Return the error that tells a person of a lack of memory; None where another reason ended the work.

    Libraries say it in their own ways: MemoryError, torch.OutOfMemoryError, or a RuntimeError in words.
    """
    if isinstance(error, OutOfMemory):
        return error
    if not (isinstance(error, MemoryError) or _is_in_words(error)):
        return None
    reason = " ".join(str(error).split())
    reason = reason if len(reason) <= _LONGEST else f"{reason[:_LONGEST]}…"
    return MaeError(
        f"memory is used up{f' ({reason})' if reason else ''}; try a smaller --batch-size, --micro-batch-size, "
        "--img-size or model, or fewer --workers; what was saved before is untouched"
    )


def _is_in_words(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    names = {kind.__name__ for kind in type(error).__mro__}  # cv2.error is no RuntimeError
    return bool(names & {"RuntimeError", "error"}) and bool(_WORDS.search(str(error)))


def free_bytes(num_processes: int = 1) -> int | None:
    """Return how much memory each of so many processes may still take before the system ends one.

    By the machine and by their cgroups. None where that is not known, as on other systems than Linux. Caches of files
    count as free.
    """
    free = [_kib(Path("/proc/meminfo"), "MemAvailable")]
    with contextlib.suppress(OSError, ValueError):
        for line in (PROCESS / "cgroup").read_text().splitlines():
            _, controllers, below = line.split(":", 2)
            if not controllers:
                free += _left_below(CGROUPS, below, _VERSION_2)
            elif "memory" in controllers.split(","):
                free += _left_below(CGROUPS / "memory", below, _VERSION_1)
    return min((number // num_processes for number in free if number is not None), default=None)


def allowed_bytes() -> int | None:
    """Return how much memory this process may still take before the system refuses more (`ulimit -v`); None: no limit.

    What was freed and is kept for later counts as taken.
    """
    left = []
    with contextlib.suppress(OSError):
        limits = (PROCESS / "limits").read_text()
        for name, taken in _LIMITS.items():
            limit, used = re.search(rf"^{name} +(\d+) ", limits, re.MULTILINE), _kib(PROCESS / "status", taken)
            if limit and used is not None:  # else it is unlimited
                left.append(max(0, int(limit[1]) - used))
    return min(left, default=None)


def _left_below(root: Path, below: str, files: _Files) -> list[int | None]:
    """Return what a cgroup, and each of those around it, may still take."""
    group = root / below.strip("/")
    return [_left(folder, files) for folder in (group, *group.parents) if folder.is_relative_to(root)]


def _left(group: Path, files: _Files) -> int | None:
    """Return what a cgroup may still take; None without a limit, which version 1 writes as a huge number."""
    with contextlib.suppress(OSError, ValueError):
        limit, used = (int((group / name).read_text()) for name in (files.limit, files.used))
        stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        return max(0, limit - used + int(stat.get(files.cached, 0)))
    return None


def resident_bytes() -> int:
    """Return what this process holds in memory, 0 where that is not known."""
    return _kib(PROCESS / "status", "VmRSS") or 0


def peak_bytes() -> int:
    """Return the most that this process held in memory, since `forget_peak_bytes` or its start; 0 where not known.

    Of Linux it is VmHWM: getrusage's ru_maxrss begins with what the process held that started this one.
    """
    return _kib(PROCESS / "status", "VmHWM") or _peak_of_usage()


def forget_peak_bytes() -> bool:
    """Let `peak_bytes` begin anew with what the process holds now; return whether the system can do that."""
    try:
        (PROCESS / "clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _peak_of_usage() -> int:
    try:
        import resource  # not on Windows
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _kib(file: Path, name: str) -> int | None:
    """Return the bytes that a line such as `VmRSS:  12 kB` says."""
    with contextlib.suppress(OSError):
        found = re.search(rf"^{name}:\s*(\d+) kB", file.read_text(), re.MULTILINE)
        return int(found[1]) * 1024 if found else None
    return None
