"""What a new package is to be called, and what it may not be called."""

from __future__ import annotations

import importlib.util
import keyword
import re
from dataclasses import dataclass
from pathlib import Path

from maecli.errors import SpecError
from maecli.registry import OWN_PACKAGE, Registry
from maecli.registry.switches import canonical

WORDS = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
FORM = "lower-case words of letters and digits, joined by hyphens"


@dataclass(frozen=True)
class Plan:
    """The names of a new package and of what it adds."""

    package: str
    """As pip knows it: mae-whatever."""
    dataset: str | None
    task: str | None

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

    def first_steps(self, folder: Path) -> list[str]:
        """Return the commands that install the package, try its promises and use it."""
        steps = [f"pip install -e {folder} --group {folder}/pyproject.toml:dev", f"python -m pytest {folder}"]
        if self.dataset is not None:
            steps.append(f"mae pretrain --dataset {self.dataset}")
        if self.task is not None and self.dataset is not None:
            steps.append(f"mae finetune --dataset {self.dataset} --task {self.task}")
        elif self.task is not None:
            steps.append(f"mae finetune --task {self.task} --dataset …")
        return steps


def class_name(name: str) -> str:
    """Return a name in capitals: tiny-birds → TinyBirds; one that would begin with a digit, after a word."""
    joined = "".join(part[:1].upper() + part[1:] for part in name.split("-"))
    return joined if not joined[:1].isdigit() else f"The{joined}"


def plan_package(package: str, dataset: str | None, task: str | None, registry: Registry) -> Plan:
    """Return the plan of a package. Raises SpecError for names that cannot be, are taken, or are missing."""
    if not WORDS.fullmatch(package) or package[0].isdigit():
        raise SpecError(f"package name {package!r} must be {FORM}, such as mae-whatever")
    plan = Plan(package, dataset, task)
    others = {canonical(each.package) for each in registry.listings if each.package != OWN_PACKAGE}
    taken = package not in others and importlib.util.find_spec(plan.module) is not None  # a plugin may be written anew
    if taken or keyword.iskeyword(plan.module) or plan.module == "tests":
        hidden = f"would hide the module {plan.module}; take another, such as mae-{package}"
        raise SpecError(f"package name {package!r} {hidden}")
    if dataset is None and task is None:
        raise SpecError("say what the package adds: --dataset NAME, --task NAME or both")
    for kind, name in (("dataset", dataset), ("recipe", dataset), ("task", task)):
        if name is None:
            continue
        if not WORDS.fullmatch(name):
            raise SpecError(f"--{kind} {name!r} must be {FORM}, such as tiny-birds")
        for each in registry.listings:
            if (each.kind, each.name) == (kind, name) and each.package != package:
                owner = "built in" if each.package == OWN_PACKAGE else f"taken by the installed package {each.package}"
                raise SpecError(f"{kind} {name!r} is {owner}; choose another name")
    return plan
