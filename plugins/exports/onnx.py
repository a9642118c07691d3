"""ONNX, which ONNX Runtime, OpenVINO, TensorRT and others run."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from maecli import api

from .eight_bits import write_in_8_bits
from .pictures import sample_code
from .tidy import forget_sources, name_axes
from .tracing import quiet, traced

if TYPE_CHECKING:
    import onnxruntime  # type: ignore[import-untyped]

SAMPLES = "samples"
CODE = """\
import numpy
import onnxruntime
{imports}
session = onnxruntime.InferenceSession("FILE")
{samples}
answers = dict(zip({names}, session.run({names}, {{"samples": samples}})))
# or a folder of files, by mae: mae {verb} DIR --run FILE
"""


class Onnx(api.export.ExportFormat):
    """One file that holds all between a raw sample and an answer: resizing, normalising, the network, probabilities.

    Batches of any number, pictures of any size. Classes, what goes in, what comes out, the data card and the run's
    record stand in its `metadata_props`. It is compared in ONNX Runtime, on the CPU. In int8, matrix products within
    blocks have weights and activations of 8 bits, quantized as they come; bf16 it is not, which ONNX Runtime multiplies
    on no CPU.
    """

    name = "onnx"
    suffix = ".onnx"
    holds_graph = can_be_run = True
    modules = ("onnx", "onnxscript", "onnxruntime")
    install = "pip install 'maecli[export]'"
    tolerance = 1e-4
    precisions = ("float32", "int8")

    def write(self, model: api.export.ExportedModel, path: Path) -> None:
        import onnx

        outputs = [*model.graph.outputs.names]
        traced_model = traced(model)
        with quiet():
            program = torch.onnx.export(
                traced_model, input_names=[SAMPLES], output_names=outputs, dynamo=True, verbose=False
            )
        assert program is not None
        proto = program.model_proto
        modality = model.preprocess.modality
        name_axes(proto.graph, ("batch", "channel", *(modality.axis_names or (modality.part,) * modality.axes)))
        forget_sources(proto.graph)
        onnx.helper.set_model_props(proto, model.graph_metadata())
        onnx.save(proto, path)

    def usage(self, model: api.export.ExportedModel) -> str:
        imports, samples = sample_code(model)
        verb = "infer" if model.graph.outputs.can_be_measured else "embed"
        return CODE.format(imports=imports, samples=samples, names=[*model.graph.outputs.names], verb=verb)

    def check(self, model: api.export.ExportedModel, path: Path) -> Sequence[api.export.Agreement]:
        return model.compare(self.load(path), self.tolerance)

    def lower(self, exact: Path, path: Path, precision: str) -> None:
        write_in_8_bits(exact, path)

    @classmethod
    def metadata(cls, path: Path) -> Mapping[str, str]:
        return dict(session(path).get_modelmeta().custom_metadata_map)

    @classmethod
    def load(cls, path: Path, threads: int | None = None) -> api.export.Run:
        opened = session(path, threads)
        names = [output.name for output in opened.get_outputs()]

        def run(samples: Tensor) -> Mapping[str, Tensor]:
            made = opened.run(names, {SAMPLES: samples.numpy()})
            return dict(zip(names, map(torch.from_numpy, made), strict=True))

        return run


def session(path: Path, threads: int | None = None) -> onnxruntime.InferenceSession:
    """Return a file opened by ONNX Runtime, on the CPU. Raises DamagedFile, or SpecError for what it cannot run."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads or torch.get_num_threads()
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no common base
        if type(error).__name__ == "InvalidProtobuf" or "No graph was found" in str(error):  # of an empty file
            raise api.export.DamagedFile(
                path, "cannot be read as ONNX; it may be cut short: export or copy it again"
            ) from error
        reason = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", " ".join(str(error).split()))
        raise api.SpecError(f"{path} is no ONNX file that ONNX Runtime reads: {reason}") from error


@api.hookimpl
def mae_exports() -> list[type[api.export.ExportFormat]]:
    return [Onnx]
