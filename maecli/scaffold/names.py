"""What a new package is to be called, and what it may not be called."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import keyword
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from maecli.errors import SpecError
from maecli.registry import OWN_PACKAGE, Kind, Registry
from maecli.registry.switches import canonical

PACKAGE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
THING = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


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
    if not PACKAGE.fullmatch(package):
        raise SpecError(
            f"package name {package!r} must be lower-case words of letters and digits, joined by hyphens, such as "
            "mae-whatever"
        )
    plan = Plan(package, dataset, task)
    top = plan.module
    found = importlib.util.find_spec(top) is not None  # or else there is no need to read what each package holds
    owners = importlib.metadata.packages_distributions().get(top, ()) if found else ()
    installed = {canonical(each) for each in owners}
    plugins = {canonical(each.package) for each in registry.listings}  # one of which may be written anew
    reserved = keyword.iskeyword(top) or top in (*sys.stdlib_module_names, OWN_PACKAGE, "maecli_plugins", "tests")
    if reserved or installed - ({package} & plugins):
        raise SpecError(f"package name {package!r} would hide the module {top}; take another, such as mae-{package}")
    if dataset is None and task is None:
        raise SpecError("say what the package adds: --dataset NAME, --task NAME or both")
    added: tuple[tuple[Kind, str | None], ...] = (("dataset", dataset), ("recipe", dataset), ("task", task))
    for kind, name in added:
        if name is not None:
            _check_free(kind, name, package, registry)
    return plan


def _check_free(kind: Kind, name: str, package: str, registry: Registry) -> None:
    if not THING.fullmatch(name):
        raise SpecError(
            f"--{kind} {name!r} must be lower-case words of letters and digits, joined by hyphens, such as tiny-birds"
        )
    for each in registry.listings:
        if (each.kind, each.name) == (kind, name) and each.package != package:
            owner = "built in" if each.package == OWN_PACKAGE else f"taken by the installed package {each.package}"
            raise SpecError(f"{kind} {name!r} is {owner}; choose another name")
