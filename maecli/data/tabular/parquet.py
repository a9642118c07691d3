"""Tables in Parquet: read as text like any other, and handed back in their own types. Needs pyarrow.

Shapes: N rows.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from maecli.data.tabular.names import distinct_names
from maecli.data.tabular.table import BLOCK, TextColumn, TextTable
from maecli.errors import BrokenSample


def read_parquet(path: Path) -> TextTable:
    """Return all cells of a Parquet file as text, nothing where they are null.

    Raises BrokenSample for a damaged file, for columns of lists or other nested types, and where pyarrow is missing.
    """
    table = _open(path)
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


def _open(path: Path) -> Any:
    """Return a file as a pyarrow table."""
    file = _file(path)
    import pyarrow as pa

    try:
        return file.read()
    except pa.ArrowException as error:
        raise _damaged(path, error) from error


def _file(path: Path) -> Any:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        reason = "is Parquet, which needs the extra parquet: pip install 'maecli[parquet]', or pyarrow"
        raise BrokenSample(str(path), reason) from error
    try:
        return pq.ParquetFile(path)
    except pa.ArrowException as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> BrokenSample:
    return BrokenSample(str(path), f"is no Parquet file, or damaged: {str(error).splitlines()[0][:120]}")


def _as_text(values: Any, path: Path, name: str) -> Any:
    """Return a column of any plain type as text."""
    import pyarrow as pa

    try:
        return values.cast(pa.string())
    except pa.ArrowException as error:
        reason = f"column {name[:60]!r} holds {values.type}, which is no number, text, truth or time; leave it out"
        raise BrokenSample(str(path), reason) from error
