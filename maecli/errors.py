"""What can go wrong, as a tree: each class is one exit code of the command line.

A `MaeError` is a user's mistake or a fact about their machine: the command line prints its message and no
traceback. A `BrokenSample` is about one sample, which is left out. Everything else is a bug of ours and keeps its
traceback.
"""

from __future__ import annotations

import difflib
import errno
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

_OF_THE_MACHINE = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP, errno.EIO, errno.ESTALE}
    | {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE}
)


@dataclass(frozen=True, order=True)
class Fault:
    """A file or row, and why it is left out: a short sentence such as 'truncated file', or the rule that it breaks."""

    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class BrokenSample(Exception):
    """One sample cannot be read; a loader leaves it out and tells of its fault."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)  # so that it can be pickled
        self.fault = Fault(path, reason)

    def __str__(self) -> str:
        return str(self.fault)


class MaeError(Exception):
    """A run could not be done; the message says why and how to go on. Exit code 1."""

    exit_code = 1

    def __reduce__(self) -> tuple[Any, ...]:
        """Let it go to another process as it is, whatever its class takes to be made."""
        return _again, (type(self), self.args, self.__dict__)


def _again(kind: type[MaeError], args: tuple[Any, ...], state: dict[str, Any]) -> MaeError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class DamagedFile(MaeError):
    """A file that mae wrote, or that a person gave it, cannot be read as what it should be. Exit code 1."""

    def __init__(self, path: object, reason: str) -> None:
        super().__init__(f"{path} {reason}")
        self.path, self.reason = path, reason


class MachineError(MaeError):
    """The machine refuses a file or a thread: no permission, a disk that fails. Exit code 1."""

    @classmethod
    def of(cls, error: BaseException) -> MachineError | None:
        """Return the sentence for an error of the operating system; None for those that may be a bug of ours."""
        if isinstance(error, RuntimeError) and "start new thread" in str(error):
            return cls("no more threads are allowed; raise the limit with ulimit -u, or use fewer --workers")
        if isinstance(error, RuntimeError) and "determine home directory" in str(error):
            return cls("it is not known whose home, or where, ~ stands for in a path; write the path out")
        if not isinstance(error, OSError) or error.errno not in _OF_THE_MACHINE:
            return None
        where = f"{error.filename}: " if error.filename is not None else ""
        return cls(f"{where}{(error.strerror or str(error)).lower()}")


class CannotPrint(MaeError):
    """The answer cannot be written to stdout, as on a full disk. Exit code 1."""


class SpecError(MaeError):
    """A flag, key or value of the run's spec is wrong. Exit code 2."""

    exit_code = 2


class UnknownPlugin(SpecError):
    """No installed package offers what a name asks for. Exit code 2."""

    def __init__(self, message: str, kind: str, name: str) -> None:
        super().__init__(message)
        self.kind, self.name = kind, name


class DataError(MaeError):
    """Data are missing, broken or contradict each other. Exit code 3.

    `faults` are files that break a rule, where more of them are known than a sentence can name.
    """

    exit_code = 3

    def __init__(self, message: str, faults: Iterable[Fault] = ()) -> None:
        super().__init__(message)
        self.faults = tuple(faults)

    @property
    def unnamed_faults(self) -> list[Fault]:
        """The faults that the message does not name."""
        return [
            fault
            for fault in self.faults
            if not re.search(rf"(^|[\s/]){re.escape(fault.path)}(, for one)?: {re.escape(fault.reason)}", str(self))
        ]


class PluginError(MaeError):
    """A plugin cannot be found, imported or used. Exit code 4."""

    exit_code = 4


class LoadingError(MaeError):
    """Samples could not be brought to the device: a worker process ended, or a resource ran out. Exit code 1."""


class OutOfMemory(MaeError):
    """A step needs more memory than there is; the message says which --micro-batch-size fits. Exit code 1."""


class NotFiniteError(MaeError):
    """The loss became NaN or infinite. Exit code 5."""

    exit_code = 5


class Interrupted(MaeError):
    """The run was stopped by a signal, after its state was saved. Exit code 130."""

    exit_code = 130


class TimeIsUp(Interrupted):
    """The run was stopped when the time was up that it was given, after its state was saved. Exit code 0.

    `progressed`: whether anything was saved in this time; without that, a run that is started again never ends.
    """

    exit_code = 0

    def __init__(self, message: str, progressed: bool) -> None:
        super().__init__(message)
        self.progressed = progressed


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `"; did you mean 'x'?"` for the known name closest to `name`, or nothing if none is close."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""
