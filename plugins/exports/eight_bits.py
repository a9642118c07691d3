"""ONNX with matrix products in 8 bits, by ONNX Runtime's dynamic quantization: no calibration, no samples.

Weights have a scale per output, activations one per tensor, which is found as they come.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from maecli import api

if TYPE_CHECKING:
    import onnx

PRODUCTS = ("MatMul", "Gemm")
NORM = "LayerNormalization"


def write_in_8_bits(exact: Path, path: Path) -> None:
    """Write a float32 file again, its products between the first and the last layer norm in 8 bits.

    What stands outside of these keeps float32: the patch embedding, the head, pre- and postprocessing. Products of
    activations, as in attention, keep it too. Where the CPU adds products of 8 bits in 16, weights take 7, so that no
    sum overflows. Raises SpecError for a network without such products.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic  # type: ignore[import-untyped]

    graph = onnx.load(exact).graph
    kept = list(_names_outside(graph))
    if len(kept) == sum(node.op_type in PRODUCTS for node in graph.node):
        raise api.SpecError(
            "--precision int8 is for transformers: this model has no matrix products between layer norms; give "
            "--precision float32"
        )
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)  # it recommends a preparation that an exported file does not need
    try:
        quantize_dynamic(
            exact,
            path,
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            reduce_range=not api.export.multiplies_int8(),
            weight_type=QuantType.QInt8,
            nodes_to_exclude=kept,
        )
    finally:
        logger.setLevel(level)
    made = onnx.load(path)
    onnx.helper.set_model_props(made, {one.key: one.value for one in made.metadata_props} | {"precision": "int8"})
    onnx.save(made, path)


def _names_outside(graph: onnx.GraphProto) -> Iterator[str]:
    """Yield the names of the products before the first and after the last layer norm; of all where there is none."""
    norms = [place for place, node in enumerate(graph.node) if node.op_type == NORM] or [len(graph.node)]
    for place, node in enumerate(graph.node):
        if node.op_type in PRODUCTS and not norms[0] < place < norms[-1]:
            yield node.name if node.op_type == "MatMul" else f"{node.name}_MatMul"  # what it makes of a Gemm
