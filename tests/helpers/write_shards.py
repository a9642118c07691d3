"""Tar files in the form of WebDataset, and Parquet files in that of the library `datasets`."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image
from write_data import encoded

Members = Iterable[tuple[str, bytes]]
CLASSES = ["hen", "cat"]


def picture(seed: int, kind: str = "PNG", size: tuple[int, int] = (8, 8)) -> bytes:
    """Return a small picture in colour, a file's bytes."""
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    return encoded(Image.fromarray(pixels), kind)


def write_tar(path: Path, members: Members) -> Path:
    """Write a tar file of plain files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def labelled_members(num: int, num_classes: int = 2, start: int = 0) -> list[tuple[str, bytes]]:
    """Return so many samples: a picture and the number of its class."""
    members = []
    for i in range(start, start + num):
        members += [(f"{i:06d}.png", picture(i)), (f"{i:06d}.cls", str(i % num_classes).encode())]
    return members


def write_shards(root: Path, num: int = 20, num_shards: int = 2) -> None:
    """Write shards of `num` samples each, of two classes."""
    for i in range(num_shards):
        write_tar(root / f"toys-{i:06d}.tar", labelled_members(num, start=i * num))


def write_parquet(
    root: Path, name: str = "a.parquet", num: int = 20, start: int = 0, labels: list[int] | None = None
) -> None:
    """Write pictures of two classes, four in each row group."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    features = {"image": {"_type": "Image"}, "label": {"names": CLASSES, "_type": "ClassLabel"}}
    about = {"huggingface": json.dumps({"info": {"features": features}})}
    schema = pa.schema([("image", image), ("label", pa.int64())], metadata=about)
    rows = [{"bytes": picture(i), "path": f"{i}.png"} for i in range(start, start + num)]
    numbers = labels if labels is not None else [i % 2 for i in range(num)]
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    table = pa.table([pa.array(rows, image), pa.array(numbers, pa.int64())], schema=schema)
    pq.write_table(table, root / name, row_group_size=4)
