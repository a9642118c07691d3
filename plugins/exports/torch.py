"""PyTorch's own exported programs, for whoever has torch and not this package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.export import ExportedProgram

from maecli import api

from .pictures import sample_code
from .tracing import quiet, traced

CODE = """\
import numpy
import torch
{imports}
module = torch.export.load("FILE").module()  # it unpickles: only files that you trust
{samples}
with torch.no_grad():
    answers = module(torch.tensor(samples))
for name in {names}:
    print(name, answers[name])
"""


class Torch(api.export.ExportFormat):
    """A program of `torch.export` that holds all between a raw sample and an answer, in one file.

    `torch.export.load(FILE).module()` runs it for batches of any number, pictures of any size, in Python or, compiled
    by AOTInductor, in C++. What is known of the run lies in it as extra files. Loading unpickles, so `mae eval` and
    `mae infer` take ONNX files instead.
    """

    name = "torch"
    suffix = ".pt2"
    holds_graph = True
    tolerance = 1e-4

    def write(self, model: api.export.ExportedModel, path: Path) -> None:
        program = without_asserts(traced(model))
        with quiet(), path.open("wb") as file:
            torch.export.save(program, file, extra_files=model.graph_metadata())

    def usage(self, model: api.export.ExportedModel) -> str:
        imports, samples = sample_code(model)
        return CODE.format(imports=imports, samples=samples, names=[*model.graph.outputs.names])

    def check(self, model: api.export.ExportedModel, path: Path) -> Sequence[api.export.Agreement]:
        with quiet(), path.open("rb") as file:
            module = torch.export.load(file).module()

        @torch.no_grad()
        def run(samples: Tensor) -> Mapping[str, Tensor]:
            made: Mapping[str, Tensor] = module(samples)
            return made

        return model.compare(run, self.tolerance)

    @classmethod
    def metadata(cls, path: Path) -> Mapping[str, str]:
        """Refuse to be run, since `torch.export.load` unpickles what a file holds."""
        raise api.SpecError(
            f"{path} is a program of torch, which unpickles what it loads; mae runs ONNX files: export its run with "
            "--format onnx"
        )


def without_asserts(program: ExportedProgram) -> ExportedProgram:
    """Return a program without what it asserts of lengths, some of which are those of the example alone.

    What follows from the example would show where answers are compared, on samples of other sizes.
    """
    graph = program.graph_module.graph
    for node in list(graph.nodes):
        if node.op == "call_function" and "_assert_scalar" in str(node.target):
            graph.erase_node(node)
    graph.eliminate_dead_code()
    program.graph_module.recompile()
    return program


@api.hookimpl
def mae_exports() -> list[type[api.export.ExportFormat]]:
    return [Torch]
