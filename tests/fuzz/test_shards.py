"""Damaged shards, and damaged indexes beside whole ones: each is read, or refused by one sentence of ours, at once."""

from __future__ import annotations

import io
import json
import os
import tarfile
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from maecli_plugins.datasets.shards.parquet import Parquet
from maecli_plugins.datasets.shards.parquet_rows import index_parquet
from maecli_plugins.datasets.shards.tar import Tar
from maecli_plugins.datasets.shards.tar_members import index_tar
from PIL import Image
from write_data import encoded, noise

from fuzz.mutate import FEW, Reader
from maecli.api import SPLIT_NAMES
from maecli.data.files.kept import FOLDER
from maecli.errors import BrokenSample, MaeError

SHARD = "train-000000.tar"
MOMENT = 1_700_000_000 * 10**9
"""When the whole shard was written last, in nanoseconds."""


def shard(form: int, *extra: tarfile.TarInfo) -> bytes:
    """Return a shard of six pictures in two classes, behind some other members."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for info in extra:
            archive.addfile(info, io.BytesIO(bytes(info.size)))
        for i in range(6):
            picture = encoded(Image.fromarray(noise(i, 5, 6, 3)), "PNG")
            label = (b'{"label": "dog"}', "json") if i % 2 else (b"cat", "cls")
            for data, suffix in ((picture, "png"), label):
                info = tarfile.TarInfo(f"{'x' * 120 if i == 5 else 'd'}/{i}é.{suffix}")
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def member(name: str, **fields: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    for key, value in fields.items():
        setattr(info, key, value)
    return info


SHARDS = [
    shard(tarfile.PAX_FORMAT, member("a.txt", size=3, pax_headers={"comment": "x" * 40})),
    shard(tarfile.GNU_FORMAT, member("b", type=tarfile.SYMTYPE, linkname="/etc/passwd"), member("c", type=b"5")),
    shard(tarfile.USTAR_FORMAT, member("../d.png", size=9)),
]  # fmt: skip


def parquet(features: object, compression: str | None, **columns: object) -> bytes:
    about = {"huggingface": json.dumps({"info": {"features": features}})}
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns).replace_schema_metadata(about), buffer, 3, compression=compression)
    return buffer.getvalue()


PNGS = [encoded(Image.fromarray(noise(i, 5, 6, 3)), "PNG") for i in range(6)]
FEATURES = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": ["cat", "dog"]}}
ROWS = [{"bytes": data, "path": f"{i}.png"} for i, data in enumerate(PNGS)]
PARQUETS = [
    parquet(FEATURES, "snappy", image=ROWS, label=[0, 1, 0, 1, -1, 1]),
    parquet([], None, img=PNGS[:4], label=["a", "b", None, "a"]),
]


def read_parquet(path: Path) -> None:
    index = index_parquet(path, None, None, 2**16)
    assert len(index.names) <= 6 * 8
    look_at(path, Parquet)


def look_at(path: Path, kind: type[Tar | Parquet] = Tar) -> None:
    """Read a shard as a data set, and some of its pictures."""
    dataset = kind(kind.Options(root=path))
    dataset.card()
    for name in SPLIT_NAMES:
        split = dataset.split(name)
        for index in range(min(2, len(split))):
            with suppress(BrokenSample):
                assert split[index]["image"].shape[0] == 3


def read_shard(path: Path) -> None:
    """Look where pictures lie, which must be within the shard, and read it."""
    index = index_tar(path, sums={}, labels="auto", field="label", max_pixels=2**16)
    assert (index.starts >= 0).all()
    assert (index.starts + index.lengths <= path.stat().st_size).all()
    assert not any(".." in name.split("/") or name.startswith("/") for name in index.names)
    look_at(path)


def read_by_index(path: Path) -> None:
    """Read a whole shard by a damaged index."""
    whole = path.parents[1] / SHARD
    os.utime(whole, ns=(MOMENT, MOMENT))
    look_at(whole)


def kept_index() -> bytes:
    """Return what is kept beside the first of the shards."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, SHARD)
        path.write_bytes(SHARDS[0])
        os.utime(path, ns=(MOMENT, MOMENT))
        look_at(path)
        return Path(folder, FOLDER, f"{SHARD}.npz").read_bytes()


READERS: Sequence[Reader] = [
    Reader("tar shards", SHARD, read_shard, SHARDS, (MaeError, BrokenSample)),
    Reader("pictures in Parquet", "train.parquet", read_parquet, PARQUETS, (MaeError, BrokenSample)),
    Reader("indexes of shards", f"{FOLDER}/{SHARD}.npz", read_by_index, [kept_index()], (MaeError, BrokenSample),
           {SHARD: SHARDS[0], f"{FOLDER}/x": b""}),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_a_damaged_shard_is_read_or_refused_by_a_sentence(reader, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    came = reader.survives(tmp_path, FEW)
    assert came.keys() <= {"read", "DataError"}
    assert came["read"] > FEW / 20
