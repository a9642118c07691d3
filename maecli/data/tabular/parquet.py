"""Tables in Parquet: read as text like any other, and handed back in their own types. Needs pyarrow.

Shapes: N rows.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from maecli.data.tabular.names import distinct_names
from maecli.data.tabular.table import BLOCK, TextColumn, TextTable
from maecli.errors import BrokenSample

MAX_CELLS = 2**28
"""Rows times columns: a file of few bytes may say that a value stands in each of them."""
MAX_BYTES = 2**30
"""Of the text of a column, and of what is stored before it is compressed."""


def read_parquet(path: Path) -> TextTable:
    """Return all cells of a Parquet file as text, nothing where they are null.

    Raises BrokenSample for a damaged file, for columns of lists or other nested types, for more than MAX_CELLS and
    MAX_BYTES, and where pyarrow is missing.
    """
    _check_size(path)
    table = _open(path, _text_columns(path))
    distinct, notes = distinct_names(table.column_names)
    if not distinct:
        raise BrokenSample(str(path), "is empty; it has no columns")
    columns = [TextColumn(name) for name in distinct]
    for column, values in zip(columns, table.columns, strict=True):
        texts = _as_text(values, path, column.name)
        for start in range(0, table.num_rows, BLOCK):
            column.extend([(cell or "").strip() for cell in texts.slice(start, BLOCK).to_pylist()])
    return TextTable(path, columns, np.arange(1, table.num_rows + 1), notes)


def parquet_names(path: Path) -> list[str]:
    """Return the names of the columns of a Parquet file, from its footer. Raises BrokenSample."""
    return list(_file(path).schema_arrow.names)


def filled_parquet(path: Path, cells: Mapping[int, Mapping[int, str]]) -> bytes:
    """Return the contents of a Parquet file with text in some of its cells, of the types that its columns have.

    `cells` holds for a row, counted from 0, what its columns, counted from 0, hold now. Raises BrokenSample where the
    file has no such cell, or its column cannot hold it.
    """
    import pyarrow as pa  # type: ignore[import-untyped]
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    table = _open(path)
    if cells and max(cells) >= table.num_rows:
        raise BrokenSample(str(path), f"has no row {max(cells) + 1}; was it changed since it was read?")
    texts_of: dict[int, list[str | None]] = {}
    for row, columns in cells.items():
        for number, text in columns.items():
            texts_of.setdefault(number, [None] * table.num_rows)[row] = text
    for number, texts in texts_of.items():
        field, values = table.schema.field(number), table.column(number).to_pylist()
        plain = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        try:
            made = pa.array(texts, pa.string()).cast(plain).to_pylist()
            both = [value if text is None else new for value, text, new in zip(values, texts, made, strict=True)]
            table = table.set_column(number, field, pa.chunked_array([pa.array(both, plain).cast(field.type)]))
        except pa.ArrowException as error:
            raise BrokenSample(
                str(path), f"column {field.name[:60]!r} of {field.type} cannot be filled: {error}"
            ) from error
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def _check_size(path: Path) -> None:
    """Raise BrokenSample where a footer says that a file is larger than bearable, or holds what is no cell."""
    file = _file(path)
    import pyarrow as pa

    groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
    rows = max(file.metadata.num_rows, sum(group.num_rows for group in groups))
    if rows * len(file.schema_arrow) > MAX_CELLS:
        raise BrokenSample(str(path), f"holds more than {MAX_CELLS:,} cells; split the file")
    for field in file.schema_arrow:
        if pa.types.is_nested(field.type):
            raise _no_cells(path, field.name, field.type)
        if pa.types.is_fixed_size_binary(field.type) and field.type.byte_width * rows > MAX_BYTES:
            raise _too_long(path, field.name)
    if sum(group.total_byte_size for group in groups) > MAX_BYTES:
        raise BrokenSample(str(path), f"holds more than {MAX_BYTES:,} bytes when it is unpacked; split the file")


def _text_columns(path: Path) -> list[str]:
    """Return the columns of text: each different text of them is held once, as in the file."""
    import pyarrow as pa

    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary)
    return [field.name for field in _file(path).schema_arrow if any(kind(field.type) for kind in kinds)]


def _open(path: Path, texts: Sequence[str] = ()) -> Any:
    """Return a file as a pyarrow table, in which the columns `texts` are dictionaries."""
    file = _file(path, texts)
    import pyarrow as pa

    try:
        return file.read()
    except pa.ArrowException as error:
        raise _damaged(path, error) from error


def _file(path: Path, texts: Sequence[str] = ()) -> Any:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        reason = "is Parquet, which needs the extra parquet: pip install 'maecli[parquet]', or pyarrow"
        raise BrokenSample(str(path), reason) from error
    try:
        return pq.ParquetFile(path, read_dictionary=list(texts))
    except pa.ArrowException as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> BrokenSample:
    return BrokenSample(str(path), f"is no Parquet file, or damaged: {str(error).splitlines()[0][:120]}")


def _as_text(values: Any, path: Path, name: str) -> Any:
    """Return a column of any plain type as text."""
    import pyarrow as pa

    try:
        if pa.types.is_dictionary(values.type) and sum(map(_text_length, values.chunks)) > MAX_BYTES:
            raise _too_long(path, name)
        return values.cast(pa.string())
    except pa.ArrowIndexError as error:  # cells of a text that is not there
        raise _damaged(path, error) from error
    except pa.ArrowException as error:
        raise _no_cells(path, name, values.type) from error


def _text_length(chunk: Any) -> int:
    """Return how many bytes the texts of a dictionary's cells have together."""
    import pyarrow as pa
    import pyarrow.compute as pc  # type: ignore[import-untyped]

    kind = chunk.type.value_type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind)):
        return 0
    return pc.sum(pc.take(pc.binary_length(chunk.dictionary).cast(pa.int64()), chunk.indices)).as_py() or 0


def _too_long(path: Path, name: str) -> BrokenSample:
    return BrokenSample(str(path), f"column {name[:60]!r} holds more than {MAX_BYTES:,} bytes of text; leave it out")


def _no_cells(path: Path, name: str, kind: Any) -> BrokenSample:
    reason = f"column {name[:60]!r} holds {kind!s:.60}, which is no number, text, truth or time; leave it out"
    return BrokenSample(str(path), reason)
