"""Pictures in Parquet files, as the library `datasets` of Hugging Face writes them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from maecli import api
from maecli.api import pictures

from .dataset import Sharded, ShardOptions, StoredPictures
from .joined import MadeBy, MakeIndex
from .parquet_rows import DAMAGED, first_line, index_parquet, joined, open_parquet, parts_of, picture_column

MAX_KEPT = 256 << 20
"""Bytes of pictures of row groups that a process keeps, because the next sample may be of the same."""
MAX_GROUP = 1 << 30
"""Bytes of a row group that is kept, if alone; a larger one is read up to the wanted row, a part at a time."""
NO_SUCH_ROW = (
    "its file does not hold the row that its index names; delete the index in .mae-index/ beside the file (or in "
    "~/.cache/mae), and it is made anew"
)


class Parquet(Sharded):
    """Pictures in a column of Parquet files, as the library `datasets` of Hugging Face writes them.

    Source: your own files, or those of a data set on its hub, downloaded. Needs the extra `parquet` (pyarrow).
    Format: `.parquet` files with a column of pictures: a struct of `bytes` and `path`, or plain bytes; `column` names
        it where the schema does not. `root` may be one file.
    Index: what each header and label says is found out once, and kept in `.mae-index/` beside the files, as of `tar`.
    Reading: a row group is read as a whole for a picture of it, and up to 256 MiB of them are kept by each process. So
        any order is exact, and shuffled reading of a set beyond that is slow: `mae pack` makes shards of it, in which
        each picture is read by itself. Of row groups beyond 1 GiB a part is unpacked at a time.
    Classes: the names that the schema has for numbers (ClassLabel), else what the column of labels says, sorted, of
        numbers whole ones; -1 and what is missing are no label.
    Splits: by the word train, val (validation, dev) or test in the path of a file; what no file is named for is cut
        from train with the fixed seed 0: one sample in ten for each, stratified by class.
    Licence: yours to know.
    """

    name = "parquet"
    noun = "file"
    suffix = ".parquet"

    class Options(ShardOptions):
        column: str | None = Field(
            default=None, description="column of pictures; default: the one that the schema names"
        )
        label_column: str | None = Field(
            default=None, description="column of classes; default: the one that the schema names, or `label`"
        )

    options: Options

    def indexing(self, shards: Sequence[Path]) -> tuple[MakeIndex, MadeBy]:
        column, label, max_pixels = self.options.column, self.options.label_column, self.options.max_pixels
        make = partial(index_parquet, column=column, label_column=label, max_pixels=max_pixels)
        return make, lambda _: f"parquet {column!r} {label!r} {max_pixels}"

    def pictures_at(self, ids: NDArray[np.int64], reading: pictures.Reading) -> StoredPictures:
        split = RowPictures(self.root, self.joined, ids, reading, self._faults)
        split.column = self.options.column
        return split

    def way_to_labels(self) -> str:
        return "dataset.label_column names the column that says its class"


class RowPictures(StoredPictures):
    """Pictures in rows of Parquet files: `starts` are row groups, `lengths` rows in them."""

    column: str | None = None

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._forget()

    def _forget(self) -> None:
        self._kept: OrderedDict[tuple[int, int], Any] = OrderedDict()
        """Shard and row group → its pictures."""
        self._lock = threading.Lock()  # threads of one process share what is kept

    def __getstate__(self) -> dict[str, Any]:
        """Leave behind what is kept: another process reads for itself."""
        return {name: value for name, value in self.__dict__.items() if name not in ("_kept", "_lock")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    def read(self, index: int) -> bytes:
        place, row = (int(self.shard_of[index]), int(self.starts[index])), int(self.lengths[index])
        with self._lock:
            if place in self._kept:
                self._kept.move_to_end(place)
                group = self._kept[place]
                data: bytes | None = group[row].as_py() if row < len(group) else None
            else:
                data = self._read_row(index, *place, row)
        if data is None:
            raise api.BrokenSample(self.keys[index], NO_SUCH_ROW)
        return data

    def _read_row(self, index: int, shard: int, number: int, row: int) -> bytes | None:
        """Return the bytes of a picture, and keep its row group where that is small enough.

        Of a larger one no more than a part is in memory, however often a picture is repeated in it.
        """
        path, key = self.shards[shard].path, self.keys[index]
        if pictures.stamp_of(path) != self.shards[shard].stamp:
            raise api.BrokenSample(key, "its file was changed since this command began")
        found: bytes | None = None
        parts: list[Any] = []
        begin = size = 0
        try:
            with open_parquet(path) as file:
                if number >= file.num_row_groups:
                    return None
                for part in parts_of(file, number, self.column or picture_column(file.schema_arrow)):
                    if begin <= row < begin + len(part):
                        found = part[row - begin].as_py()
                    begin, size = begin + len(part), size + part.nbytes
                    if size <= MAX_GROUP:
                        parts.append(part)
                    elif found is not None:
                        return found
                    else:
                        parts.clear()
        except OSError:
            raise
        except DAMAGED as error:
            raise api.BrokenSample(key, f"its file is damaged: {first_line(error)}") from error
        if size <= MAX_GROUP:
            self._keep((shard, number), joined(parts))
        return found

    def _keep(self, place: tuple[int, int], group: Any) -> None:
        kept = self._kept
        kept[place] = group
        while len(kept) > 1 and sum(each.nbytes for each in kept.values()) > MAX_KEPT:
            kept.popitem(last=False)


@api.hookimpl
def mae_datasets() -> list[type[api.Dataset]]:
    return [Parquet]
