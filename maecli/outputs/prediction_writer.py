"""Predictions on their way to the disk, beside the thread that feeds the device."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import torch

from maecli.errors import BrokenSample, Fault
from maecli.outputs.files_back import Encode, FilesBack
from maecli.outputs.folder import FILES
from maecli.outputs.in_order import InOrder
from maecli.outputs.named_files import NoName, OutputFiles
from maecli.outputs.rows import Row, RowWriter
from maecli.training.task import Prediction

ENCODERS = 2
"""Threads that encode files."""
BATCHES_AHEAD = 2
"""Batches that may wait to be written; whoever brings another one waits too, so that memory stays bounded."""

Settled = tuple[str, Prediction | None, Path | None]
"""A key, what was predicted for it, None where it is left out, and the file that it came from."""


class PredictionWriter:
    """Encodes and writes files, and writes rows in the order of `keys`, on threads of its own, inside its block.

    Files get their names in the order in which their predictions come. What goes wrong is raised by the next `add`, or
    at the end of the block; when the block raises, what still waits is dropped.
    """

    def __init__(
        self,
        rows: RowWriter,
        files: OutputFiles,
        keys: Sequence[str],
        on_fault: Callable[[Fault], None],
        encode: Encode,
        back: FilesBack | None = None,
    ) -> None:
        """Take where rows and files go, what encodes values, and what hands files back that are filled in.

        `on_fault` is told, on another thread, of a sample whose files cannot be made, or that no name fits.
        """
        self.rows, self.files, self.on_fault, self.encode = rows, files, on_fault, encode
        self.back = back
        self._ordered: InOrder[Row] = InOrder(keys)
        self._batches: queue.Queue[list[Settled] | None] = queue.Queue(BATCHES_AHEAD)
        self._encoders = ThreadPoolExecutor(ENCODERS)
        self._thread = threading.Thread(target=self._write_batches, daemon=True)
        self._error: BaseException | None = None
        self._dropping = False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._dropping = self._dropping or kind is not None
        self._batches.put(None)
        self._thread.join()
        self._encoders.shutdown(cancel_futures=True)
        if kind is None:
            self._raise_error()

    def add(self, predictions: Iterable[tuple[str, Prediction, Path | None]], left_out: Iterable[str] = ()) -> None:
        """Take keys, predictions and the samples' files, and the keys of samples that have no prediction."""
        self._raise_error()
        self._batches.put([*predictions, *((key, None, None) for key in left_out)])

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _write_batches(self) -> None:
        """Write batches until None comes; after an error, or when the block raised, take them and do nothing."""
        while (batch := self._batches.get()) is not None:
            if not self._dropping:
                self._try(partial(self.rows.add, self._rows_of(batch)))
        if not self._dropping:
            self._try(partial(self.rows.add, self._ordered.rest()))
        if not self._dropping and self.back is not None:
            self._try(self.back.write)

    def _try(self, write: Callable[[], None]) -> None:
        try:
            write()
        except BaseException as error:
            self._error, self._dropping = error, True

    def _rows_of(self, batch: Sequence[Settled]) -> Iterator[Row]:
        """Write the files of a batch, and yield those rows whose turn has come."""
        encoded = [self._encode(prediction, source) for _, prediction, source in batch]
        for (key, prediction, source), files in zip(batch, encoded, strict=True):
            if self._dropping:
                break
            if prediction is not None and prediction.filled is not None and self.back is not None and source:
                self.back.add(key, prediction.filled, source)
            row = None if prediction is None else self._row(key, prediction, files)
            yield from self._ordered.settle(key, row)

    def _encode(self, prediction: Prediction | None, source: Path | None) -> Future[dict[str, bytes]] | None:
        if prediction is None or not (prediction.files or prediction.values):
            return None
        return self._encoders.submit(_encoded, prediction, source, self.encode)

    def _row(self, key: str, prediction: Prediction, files: Future[dict[str, bytes]] | None) -> Row | None:
        """Write the files of a prediction, and return its row, which names each that is not named as its input."""
        row = {"path": key, **prediction.row}
        try:
            for suffix, data in files.result().items() if files else ():
                written = self.files.write(key, suffix, data)
                if written != self.files.usual(key, suffix):
                    row[f"file{suffix}"] = f"{FILES}/{written}"
        except (NoName, BrokenSample) as error:
            self.on_fault(Fault(key, error.fault.reason if isinstance(error, BrokenSample) else str(error)))
            return None
        return row


@torch.no_grad()
def _encoded(prediction: Prediction, source: Path | None, encode: Encode) -> dict[str, bytes]:
    """Return the files of a prediction by suffix."""
    files = {suffix: data if isinstance(data, bytes) else data() for suffix, data in prediction.files.items()}
    for name, values in prediction.values.items():
        suffix, data = encode(values, source)
        files[f"{name}{suffix}"] = data
    return files
