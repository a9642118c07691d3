"""Packages of strangers that need no installing: a module, and beside it the metadata that pip would write."""

from __future__ import annotations

import importlib
import sys
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from maecli.registry import lookup

DATASET = """
import torch
from pydantic import Field
from maecli import api

class {cls}(api.Dataset):
    \"\"\"Noise of two kinds.\"\"\"

    name = "{name}"

    class Options(api.DatasetOptions):
        side: int = Field(default=8, ge=4, description="pixels along each side")

    def card(self, fields=("image",)):
        return api.DataCard(
            name=self.name, title="two kinds of noise", fields=("image", "label"), channels=1,
            size=(self.options.side,) * 2, mean=(0.5,), std=(0.25,), classes=("dark", "light"), class_counts=(8, 8),
            split_sizes={{"train": 16, "val": 4, "test": 4}}, split_origin="made up",
        )

    def split(self, name, fields=("image",)):
        num = 16 if name == "train" else 4
        image = torch.arange(num * self.options.side**2).reshape(num, 1, self.options.side, self.options.side) % 251
        keys = [f"{{name}}-{{i}}" for i in range(num)]
        return api.TensorSplit({{"image": image.to(torch.uint8), "label": torch.arange(num) % 2}}, keys)

@api.hookimpl
def mae_datasets():
    return [{cls}]
"""


def write_package(
    site: Path, package: str, entry_points: Mapping[str, str], version: str = "1.2", **modules: str
) -> None:
    """Put modules (name=text) and the metadata of their package where Python looks for them."""
    site.mkdir(parents=True, exist_ok=True)
    for name, text in modules.items():
        (site / f"{name}.py").write_text(textwrap.dedent(text), encoding="utf-8")
    for old in site.glob(f"{package.replace('-', '_')}-*.dist-info"):
        old.rename(site / f"{package.replace('-', '_')}-{version}.dist-info")
    info = site / f"{package.replace('-', '_')}-{version}.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    lines = ["[mae]", *(f"{name} = {module}" for name, module in entry_points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")


def dataset_package(site: Path, name: str = "birds", package: str = "mae-birds", version: str = "1.2") -> None:
    """Put a package there whose data set works."""
    module = package.replace("-", "_")
    text = DATASET.format(cls=name.title(), name=name)
    write_package(site, package, {f"dataset.{name}": module}, version, **{module: text})


def look_again() -> None:
    """Let this process find what was put on its path, or taken from it, and import strangers' modules anew."""
    for name in [name for name in sys.modules if name.startswith("mae_")]:
        del sys.modules[name]
    importlib.invalidate_caches()
    lookup._registry.cache_clear()


@contextmanager
def installed(site: Path, name: str, entries: Mapping[str, str]) -> Iterator[None]:
    """Announce modules of the tests as a package of this name would, while the block runs."""
    write_package(site, name, entries)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        look_again()
        yield
    look_again()
