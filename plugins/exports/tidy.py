"""An ONNX graph for others to read: axes that have names, and nothing of the machine that recorded it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx


def name_axes(graph: onnx.GraphProto, names: Sequence[str]) -> None:
    """Give the free axes of the input their names in place of symbols such as s98, wherever these stand."""
    dims = graph.input[0].type.tensor_type.shape.dim
    named = {dim.dim_param: name for dim, name in zip(dims, names, strict=True) if dim.dim_param}
    for value in (*graph.input, *graph.output, *graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_param = re.sub(r"\w+", lambda found: named.get(found[0], found[0]), dim.dim_param)


def forget_sources(graph: onnx.GraphProto) -> None:
    """Take out of a graph, and of those within it, what its exporter noted of files, lines and symbols."""
    for each in (graph, *graph.input, *graph.output, *graph.value_info, *graph.initializer, *graph.node):
        each.ClearField("doc_string")
        each.ClearField("metadata_props")
    for inner in _within(graph):
        forget_sources(inner)


def _within(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """Yield the graphs in the attributes of nodes, such as the branches of an If."""
    for node in graph.node:
        for attribute in node.attribute:
            yield from attribute.graphs
            if attribute.HasField("g"):
                yield attribute.g
