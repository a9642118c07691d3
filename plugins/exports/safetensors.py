"""Weights alone, for whoever brings a network of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from maecli import api

CODE = """\
from safetensors.torch import load_file

tensors = load_file("FILE")
for name, tensor in tensors.items():
    print(name, tuple(tensor.shape))
# the encoder to begin with, by mae: mae finetune --root LABELLED --task classify --init FILE
"""


class Safetensors(api.export.ExportFormat):
    """The weights of the whole module by their names in it, in one file; `safetensors` reads it in any language.

    Beside them stand classes, size, mean and deviation in plain words, and the run's record. `mae pretrain` and `mae
    finetune --init` take it too.
    """

    name = "safetensors"
    suffix = ".safetensors"
    tolerance = 0.0

    def usage(self, model: api.export.ExportedModel) -> str:
        return CODE

    def write(self, model: api.export.ExportedModel, path: Path) -> None:
        from safetensors.torch import save_file

        tensors = {name: tensor.contiguous() for name, tensor in model.module.state_dict().items()}
        save_file(tensors, path, model.metadata())
        api.export.let_others_read(path)

    def check(self, model: api.export.ExportedModel, path: Path) -> Sequence[api.export.Agreement]:
        from safetensors.torch import load_file

        found = api.export.compared(model.module.state_dict(), load_file(path), self.tolerance)
        return [api.export.Agreement("weights", max(one.difference for one in found), self.tolerance)]

    @classmethod
    def metadata(cls, path: Path) -> Mapping[str, str]:
        from safetensors import safe_open

        with safe_open(path, framework="pt") as opened:
            return dict(opened.metadata() or {})


@api.hookimpl
def mae_exports() -> list[type[api.export.ExportFormat]]:
    return [Safetensors]
