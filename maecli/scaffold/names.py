"""What a new package is to be called, and what it may not be called."""

from __future__ import annotations

import importlib.util
import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from maecli.errors import SpecError
from maecli.registry import OWN_PACKAGE, Registry
from maecli.registry.switches import canonical

WORDS = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
FORM = "lower-case words of letters and digits, joined by hyphens"
WORD_OF = {"dataset": "data set", "task": "task", "model": "model", "tracker": "tracker", "export": "export format"}


@dataclass(frozen=True)
class Plan:
    """The names of a new package and of what it adds."""

    package: str
    """As pip knows it: mae-whatever."""
    dataset: str | None = None
    task: str | None = None
    model: str | None = None
    tracker: str | None = None
    export: str | None = None

    @property
    def adds(self) -> dict[str, str]:
        """Kind → name of what the package adds."""
        names = {kind: getattr(self, kind) for kind in WORD_OF}
        return {kind: name for kind, name in names.items() if name is not None}

    @property
    def module(self) -> str:
        """As Python knows it: mae_whatever."""
        return self.package.replace("-", "_")

    @property
    def dataset_class(self) -> str:
        return f"{class_name(self.dataset or '')}Data"

    @property
    def task_class(self) -> str:
        return f"{class_name(self.task or '')}Task"

    @property
    def model_class(self) -> str:
        return f"{class_name(self.model or '')}Model"

    @property
    def tracker_class(self) -> str:
        return f"{class_name(self.tracker or '')}Tracker"

    @property
    def export_class(self) -> str:
        return f"{class_name(self.export or '')}Format"

    def about(self, mark: str = "") -> str:
        """Return what the package adds in words, each name between two of `mark`."""
        things = [f"the {WORD_OF[kind]} {mark}{name}{mark}" for kind, name in self.adds.items()]
        text = " and ".join(filter(None, [", ".join(things[:-1]), things[-1]]))
        return text[0].upper() + text[1:]

    def first_steps(self, folder: Path) -> list[str]:
        """Return the commands that install the package, try its promises and use it."""
        install = f"pip install -e {folder} pytest"
        steps = [f"{install}   (with uv: uv {install})", f"python -m pytest {folder}"]
        dataset = self.dataset or "YOUR-DATASET"
        if self.dataset is not None:
            steps.append(f"mae pretrain --dataset {dataset}")
        if self.task is not None:
            steps.append(f"mae finetune --dataset {dataset} --task {self.task}")
        if self.model is not None:
            steps.append(f"mae pretrain --dataset {dataset} --model {self.model}")
        if self.tracker is not None:
            steps.append(f"mae pretrain --dataset {dataset} --set 'trackers=[{self.tracker}]'")
        if self.export is not None:
            steps.append(f"mae export RUN --format {self.export}")
        return steps


def class_name(name: str) -> str:
    """Return a name in capitals: tiny-birds → TinyBirds; one that would begin with a digit, after a word."""
    joined = "".join(part[:1].upper() + part[1:] for part in name.split("-"))
    return joined if not joined[:1].isdigit() else f"The{joined}"


def plan_package(package: str, adds: Mapping[str, str | None], registry: Registry) -> Plan:
    """Return the plan of a package that adds something of each kind named.

    Raises SpecError for names that cannot be, are taken, or are missing.
    """
    if not WORDS.fullmatch(package) or package[0].isdigit():
        raise SpecError(f"package name {package!r} must be {FORM}, such as mae-whatever")
    plan = Plan(package, **adds)
    others = {canonical(each.package) for each in registry.listings if each.package != OWN_PACKAGE}
    taken = package not in others and importlib.util.find_spec(plan.module) is not None  # a plugin may be written anew
    if taken or keyword.iskeyword(plan.module) or plan.module == "tests":
        hidden = f"would hide the module {plan.module}; take another, such as mae-{package}"
        raise SpecError(f"package name {package!r} {hidden}")
    if not plan.adds:
        *kinds, last = (f"--{kind} NAME" for kind in WORD_OF)
        raise SpecError(f"say what the package adds: {', '.join(kinds)} or {last}")
    recipe = {"recipe": plan.dataset} if plan.dataset is not None else {}
    for kind, name in (plan.adds | recipe).items():
        if not WORDS.fullmatch(name):
            raise SpecError(f"--{kind} {name!r} must be {FORM}, such as tiny-birds")
        for each in registry.listings:
            if (each.kind, each.name) == (kind, name) and each.package != package:
                owner = "built in" if each.package == OWN_PACKAGE else f"taken by the installed package {each.package}"
                raise SpecError(f"{kind} {name!r} is {owner}; choose another name")
    return plan
