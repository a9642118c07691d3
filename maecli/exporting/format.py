"""The interface of an export plugin: a format that a run is written in."""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from torch import Tensor

from maecli.errors import MaeError, SpecError
from maecli.exporting.compare import Agreement
from maecli.exporting.model import ExportedModel

FLOAT32 = "float32"
Run = Callable[[Tensor], Mapping[str, Tensor]]
"""What an exported file makes of raw samples (B, C, *S): its outputs, by name."""


class ExportFormat(ABC):
    """Base of an export plugin; its subclass's docstring says what a file holds and who reads it."""

    name: ClassVar[str]
    suffix: ClassVar[str] = ""
    """How the name of its file ends, such as `.onnx`; empty for a folder of files."""
    holds_graph: ClassVar[bool] = False
    """Whether a file holds `ExportedModel.graph`, from raw samples to answers."""
    can_be_run: ClassVar[bool] = False
    """Whether `load` runs such a file, whoever made it, so that `mae eval` and `mae infer --run` take it."""
    modules: ClassVar[Sequence[str]] = ()
    """The modules that it needs beside those of mae."""
    install: ClassVar[str] = ""
    """What installs them, such as pip install 'maecli[export]'."""
    library: ClassVar[str] = "maecli"
    """The library that reads it, as the Hugging Face hub names it."""
    tolerance: ClassVar[float]
    """How far its answers may be from ours, see `Agreement`; stated wherever it is compared."""

    precisions: ClassVar[Sequence[str]] = (FLOAT32,)
    """Of float32, bf16 and int8 those that it holds and whatever reads it computes in."""

    @classmethod
    def check_precision(cls, precision: str) -> None:
        """Raise SpecError for a precision that a file cannot have."""
        if precision not in cls.precisions:
            held = " and ".join(cls.precisions)
            raise SpecError(f"--precision {precision} is not for --format {cls.name}, which is written in {held}")

    @classmethod
    def check_modules(cls, what: str = "") -> None:
        """Raise MaeError naming what to install where a module is missing that `what` needs, or else `--format`."""
        missing = [name for name in cls.modules if importlib.util.find_spec(name) is None]
        if missing:
            raise MaeError(f"{what or f'--format {cls.name}'} needs {' and '.join(missing)}: {cls.install}")

    @abstractmethod
    def write(self, model: ExportedModel, path: Path) -> None:
        """Write a model to a file that is not there yet, or into an empty folder.

        Raises SpecError for what the format cannot hold, naming it.
        """

    @abstractmethod
    def check(self, model: ExportedModel, path: Path) -> Sequence[Agreement]:
        """Load what was written by the library that reads this format, and compare its answers with the model's.

        Called before the file gets its name; where an agreement does not hold, nothing is left.
        """

    def usage(self, model: ExportedModel) -> str:
        """Return Python code that uses what was written, for the model card; empty where there is none to show.

        `FILE` in it becomes the name of the file.
        """
        return ""

    def lower(self, exact: Path, path: Path, precision: str) -> None:
        """Write what a checked file in float32 computes again, in another of `precisions`.

        What that costs is measured on validation data afterwards. Raises SpecError for what cannot be lowered.
        """
        raise NotImplementedError

    @classmethod
    def metadata(cls, path: Path) -> Mapping[str, str]:
        """Return what a file tells beside its weights; called for files that end in `suffix`, of any tool.

        Raises MaeError for one that cannot be read.
        """
        return {}

    @classmethod
    def load(cls, path: Path, threads: int | None = None) -> Run:
        """Return what a file computes, for `mae eval` and `mae infer`. Raises MaeError for one that cannot be run."""
        raise MaeError(f"{path} cannot be run by mae; export its run with --format onnx")
