"""Checkpoints whose tensors lie in shards, as processes with a part of the weights each write them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import save_file
from torch import nn

from maecli.errors import MaeError
from maecli.parallel.world import ALONE
from maecli.parallel.wrap import shard
from maecli.storage.ledger import Ledger
from maecli.training import saving
from maecli.training.checkpoint import MODEL, STATE, Checkpoint, DamagedCheckpoint, Snapshot
from maecli.training.checkpoint_folder import CheckpointFolder
from maecli.training.saving import save_together
from maecli.training.shards import checksum_of_file, read_shards, shard_name


@pytest.fixture(scope="module")
def module() -> Iterator[nn.Module]:
    """A module in parts, of which one process has all."""
    module = nn.Sequential(nn.Linear(5, 3), nn.BatchNorm1d(3))
    shard(module, ALONE)
    yield module
    dist.destroy_process_group()


@pytest.fixture
def folder(tmp_path: Path) -> CheckpointFolder:
    Ledger(tmp_path, "run").begin()
    return CheckpointFolder(tmp_path / "checkpoints")


def save(folder: CheckpointFolder, module: nn.Module, step: int = 1) -> Checkpoint:
    state = {f"optim.{name}": value + 1 for name, value in module.named_parameters()} | {"loss_sum": torch.tensor(2.0)}
    snapshot = Snapshot(step, module.state_dict(), state, {"spec": {"seed": 1}}, {"step": step})
    save_together(folder, ALONE, snapshot)
    last = folder.pointed("last")
    assert last is not None
    return last


def test_what_lies_in_parts_is_written_in_shards_and_read_as_a_whole(folder, module):
    saved = save(folder, module)
    assert saved.metadata() == {"format_version": 2, "spec": {"seed": 1}}
    assert [path.name for path in sorted(saved.path.rglob("*"))] == [
        *("model", shard_name(0), MODEL, "state", shard_name(0), STATE)
    ]
    tensors, state = saved.tensors(), saved.tensors(STATE)
    for name, value in module.state_dict().items():
        assert tensors[name].equal(value.full_tensor() if hasattr(value, "full_tensor") else value)
    assert state["loss_sum"] == 2
    assert state["optim.0.bias"].equal(tensors["0.bias"] + 1)
    assert folder.newest_good() == (saved, [])


def test_its_shards_go_with_a_checkpoint(folder, module):
    first = save(folder, module)
    for step in (2, 3):
        save(folder, module, step)
    assert not first.path.exists()
    assert not list(folder.path.glob(".*"))


@pytest.mark.parametrize("file", [MODEL, STATE])
def test_damage_to_a_shard_is_told(folder, module, file):
    saved = save(folder, module)
    path = saved.path / file.removesuffix(".safetensors") / shard_name(0)
    whole = path.read_bytes()
    for damaged, reason in ((whole[:-1] + b"x", "differs from its checksum"), (None, "0 shards that are not the 1")):
        path.unlink()
        if damaged is not None:
            path.write_bytes(damaged)
        with pytest.raises(DamagedCheckpoint, match=reason):
            saved.tensors(file)
    assert folder.newest_good()[0] is None


def test_a_failed_save_leaves_the_last_checkpoint(folder, module, monkeypatch):
    saved = save(folder, module)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("torch.distributed.checkpoint.HuggingFaceStorageWriter.write_data", full)
    with pytest.raises(MaeError, match="the disk is full; what was saved before is untouched"):
        save(folder, module, 2)
    monkeypatch.undo()
    monkeypatch.setattr(saving, "write_tensors", full)
    with pytest.raises(MaeError, match="the disk is full; what was saved before is untouched"):
        save(folder, module, 2)
    assert folder.newest_good() == (saved, [])
    assert [path.name for path in folder.path.iterdir() if "step" in path.name] == [saved.path.name]


def parts(folder: Path, *offsets_and_sizes: tuple[int, int]) -> dict[str, str]:
    """Write rows of a tensor as so many processes do; return the checksums."""
    folder.mkdir()
    for rank, (offset, size) in enumerate(offsets_and_sizes):
        places = {"DCP_SHARDING_INFO": json.dumps({"weight": {"saved_offsets": [offset, 0]}})}
        rows = torch.arange(offset, offset + size).float()[:, None].repeat(1, 2)
        save_file({"weight": rows}, folder / shard_name(rank), places)
    return {path.name: checksum_of_file(path) for path in folder.iterdir()}


def test_shards_of_any_number_of_processes_make_a_whole(tmp_path):
    sums = parts(tmp_path / "model", (0, 3), (3, 3), (6, 1), (7, 0), (7, 0))
    weight = read_shards(tmp_path / "model", sums)["weight"]
    assert weight.equal(torch.arange(7.0)[:, None].repeat(1, 2))


def test_shards_that_make_no_whole_are_refused_before_memory_is_taken(tmp_path):
    sums = parts(tmp_path / "model", (0, 3), (2**60, 0))
    with pytest.raises(MaeError, match="the shards do not make up the whole of weight"):
        read_shards(tmp_path / "model", sums)
