"""Where the pictures of a Parquet file lie: its columns, as the library `datasets` writes them, and its rows.

Needs pyarrow, which is loaded when a file is opened. It reads in one thread, since processes are forked beside it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from maecli import api
from maecli.api import pictures

from .index import MAX_LABEL, Gathering, ShardIndex

IMAGE_NAMES, LABEL_NAMES = ("image", "img", "picture", "jpg", "png"), ("label", "labels", "class", "cls")
"""Of columns, where the schema does not say what they are."""


MAX_BATCH, MOST_ROWS = 256 << 20, 1024
"""Bytes of pictures that are unpacked at a time, and rows."""
DAMAGED = (OSError, ValueError, LookupError, TypeError, AttributeError, NotImplementedError, MemoryError)
"""What pyarrow raises on damaged files; its own errors are of these kinds."""


def first_line(error: BaseException) -> str:
    """Return what an error says, in few words."""
    return (str(error).splitlines() or [type(error).__name__])[0][:120]


def open_parquet(path: Path) -> Any:
    """Return an opened file. Raises DataError without pyarrow, and ValueError or OSError for what is no Parquet."""
    try:
        import pyarrow.parquet as pq  # type: ignore[import-untyped]
    except ImportError as error:
        raise api.DataError(
            f"{path} is Parquet, which needs the extra parquet: pip install 'maecli[parquet]', or pyarrow"
        ) from error
    return pq.ParquetFile(path)


def index_parquet(path: Path, column: str | None, label_column: str | None, max_pixels: int) -> ShardIndex:
    """Return where the pictures of a file lie: their row groups as `starts`, their rows in these as `lengths`."""
    gathering = Gathering()
    try:
        with open_parquet(path) as file:
            _add_rows(file, column, label_column, max_pixels, gathering)
    except DAMAGED as error:
        gathering.fault("", f"is no Parquet file, or damaged: {first_line(error)}")
    return gathering.index()


def _add_rows(file: Any, column: str | None, label_column: str | None, max_pixels: int, gathering: Gathering) -> None:
    features = _features(file.schema_arrow)
    image = column or picture_column(file.schema_arrow)
    if image not in file.schema_arrow.names:
        columns = ", ".join(file.schema_arrow.names[:8])
        gathering.fault("", f"has no column of pictures; dataset.column names it, of {columns}")
        return
    label = label_column or _label_column(file.schema_arrow, features)
    if label is not None and label not in file.schema_arrow.names:
        gathering.fault("", f"has no column {label!r} of labels")
        label = None
    names = features.get(label or "", {}).get("names") or ()
    number = 0
    num_strange, strange = 0, ""
    for group in range(file.num_row_groups):
        wanted = [image, *([label] if label is not None else [])]
        rows = (row for batch in batches_of(file, group, wanted) for row in _rows(batch, image, label))
        for row, (data, said) in enumerate(rows):
            name = f"{number:08d}"
            number += 1
            if data is None:
                gathering.fault(name, "holds no bytes of a picture")
                continue
            try:
                within = pictures.PictureWithin(name, data)
                info = pictures.probe_picture(within, max_pixels=max_pixels)
            except api.BrokenSample as broken:
                gathering.fault(name, broken.fault.reason)
            else:
                if not (is_class := _is_class(said)):
                    num_strange += 1
                    strange = strange or f"{str(said)[:40]!r} in row {name}"
                gathering.add(name, group, row, info, _label(said, names) if is_class else None)
    if strange:
        gathering.fault("", f"has labels that name no class, such as {strange}; {num_strange:,} pictures have none")


def _features(schema: Any) -> dict[str, Any]:
    """Return what the library `datasets` wrote of its columns; nothing where it did not."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, ValueError, TypeError, RecursionError):
        return {}
    found = features.items() if isinstance(features, dict) else ()
    return {name: about for name, about in found if isinstance(about, dict)}


def picture_column(schema: Any) -> str:
    """Return the column that holds pictures, by what `datasets` wrote, else by its type, then by its name."""
    import pyarrow as pa

    of_type = [name for name, about in _features(schema).items() if about.get("_type") == "Image"]
    structs = [
        field.name for field in schema if pa.types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0
    ]
    binary = [field.name for field in schema if pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type)]
    named = [name for name in binary if name.lower() in IMAGE_NAMES]
    return next(iter([*of_type, *structs, *named]), "")


def _label_column(schema: Any, features: Mapping[str, Any]) -> str | None:
    """Return the column of classes, by what `datasets` wrote, else by its name."""
    of_type = [name for name, about in features.items() if about.get("_type") == "ClassLabel"]
    named = [name for name in schema.names if name.lower() in LABEL_NAMES]
    return next(iter([*of_type, *named]), None)


def batches_of(file: Any, group: int, columns: list[str]) -> Iterator[Any]:
    """Yield the rows of a row group some at a time.

    A value that many rows repeat is stored once, and becomes as many as there are rows; but none can be larger than all
    that is stored. So a few rows of large ones, or many of small ones, are as much as `MAX_BATCH`.
    """
    stored = file.metadata.row_group(group).total_byte_size  # what it says of one column may abort the process
    rows = max(1, min(MOST_ROWS, MAX_BATCH // max(1, stored)))
    return iter(file.iter_batches(rows, row_groups=[group], columns=columns, use_threads=False))


def parts_of(file: Any, group: int, column: str) -> Iterator[Any]:
    """Yield the bytes of the pictures of a row group as arrays, some rows at a time."""
    for batch in batches_of(file, group, [column]):
        yield _bytes(batch.column(column))


def _bytes(values: Any) -> Any:
    """Return the bytes of pictures, a struct of bytes and path or plain bytes; none where the struct is none."""
    return values.flatten()[values.type.get_field_index("bytes")] if hasattr(values, "field") else values


def joined(parts: list[Any]) -> Any:
    """Return arrays as one."""
    import pyarrow as pa

    return pa.concat_arrays(parts) if parts else pa.array([], pa.binary())


def _rows(batch: Any, image: str, label: str | None) -> Iterator[tuple[bytes | None, object]]:
    """Yield the bytes of each picture of a batch, and what its label says."""
    values = _bytes(batch.column(image))
    labels = batch.column(label) if label is not None else None
    for i in range(len(values)):
        yield values[i].as_py(), labels[i].as_py() if labels is not None else None


def _is_class(value: object) -> bool:
    """Whether a label may name a class or none: fractions and lists do not."""
    return value is None or isinstance(value, (int, str)) or (isinstance(value, float) and _is_whole(value))


def _is_whole(value: float) -> bool:
    return math.isnan(value) or value.is_integer()  # pandas makes floats of whole numbers where some are missing


def _label(value: object, names: tuple[str, ...] | list[str]) -> str | None:
    """Return what a label says, by the names that the schema has for numbers; None for -1 and NaN, which are none."""
    if isinstance(value, float):
        value = None if math.isnan(value) else int(value)
    if value is None or value == -1:
        return None
    if isinstance(value, int) and names:
        return str(names[value]) if 0 <= value < len(names) else None
    return str(value).strip()[:MAX_LABEL] or None
