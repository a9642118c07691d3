from __future__ import annotations

import json
import struct

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from maecli.errors import MaeError
from maecli.progress import Progress
from maecli.registry import registry
from maecli.run.checkpoint import find_checkpoint
from maecli.run.restore import load_exactly, restore
from maecli.storage.ledger import Ledger
from maecli.training import checkpoint as module
from maecli.training.checkpoint import Checkpoint, DamagedCheckpoint, Snapshot
from maecli.training.checkpoint_folder import CheckpointFolder


@pytest.fixture
def folder(tmp_path) -> CheckpointFolder:
    (tmp_path / "checkpoints").mkdir()
    Ledger(tmp_path, "run").begin()
    return CheckpointFolder(tmp_path / "checkpoints")


def save(folder: CheckpointFolder, step: int, best: bool = False, value: float = 0.0, keep: int = 2) -> Checkpoint:
    model = {"weight": torch.full((2, 2), value + step)}
    snapshot = Snapshot(step, model, {"moment": torch.ones(3)}, {"spec": {"seed": 1}}, {"step": step})
    return folder.save(snapshot, best, keep)


def names(folder: CheckpointFolder) -> set[str]:
    return {entry.name for entry in folder.path.iterdir()}


def test_what_was_saved_is_read_back(folder):
    saved = save(folder, 7, best=True)
    assert saved.step == 7
    assert folder.pointed("last") == folder.pointed("best") == saved
    assert saved.metadata() == {"format_version": 1, "spec": {"seed": 1}}
    assert saved.metadata("state.safetensors")["step"] == 7
    assert torch.equal(saved.tensors()["weight"], torch.full((2, 2), 7.0))
    assert torch.equal(saved.tensors("state.safetensors")["moment"], torch.ones(3))


def test_what_was_read_is_known_when_a_run_that_trains_has_removed_the_files(folder):
    saved = save(folder, 1)
    recorded = saved.metadata()
    for step in (2, 3):
        save(folder, step)
    assert not saved.path.exists()
    assert saved.metadata() == recorded
    with pytest.raises(DamagedCheckpoint, match="is not there"):
        saved.tensors()


def test_a_calibration_is_kept_beside_the_weights_that_it_is_of(folder):
    saved = save(folder, 1)
    assert saved.calibration() == {}
    folder.calibrate(saved, {})
    assert not (saved.path / "calibration.safetensors").exists()
    folder.calibrate(saved, {"temperature": torch.tensor(2.0)})
    assert Checkpoint(saved.path).calibration()["temperature"] == 2
    assert "checkpoints/step-000001/calibration.safetensors" in folder.ledger.paths
    again = save(folder, 1, value=5.0)
    assert (again.path / "calibration.safetensors").exists()
    assert again.calibration() == {}, "it is of the weights that were there before"
    for step in (2, 3, 4):
        save(folder, step)
    assert not saved.path.exists(), "what mae wrote there goes with the checkpoint"


def test_a_damaged_calibration_is_refused(folder):
    saved = save(folder, 1)
    folder.calibrate(saved, {"temperature": torch.tensor(2.0)})
    file = saved.path / "calibration.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\xff")
    with pytest.raises(DamagedCheckpoint, match=r"its tensors differ from their checksum"):
        saved.calibration()


def test_a_slice_of_a_larger_tensor_is_saved_as_itself(folder):
    whole = torch.arange(12.0).reshape(3, 4)
    folder.save(Snapshot(1, {"a": whole[:, ::2], "b": whole.T}, {}))
    tensors = Checkpoint(folder.path / "step-000001").tensors()
    assert torch.equal(tensors["a"], whole[:, ::2])
    assert torch.equal(tensors["b"], whole.T)


def test_the_last_two_and_the_best_are_kept(folder):
    for step in range(1, 7):
        save(folder, step, best=step == 2)
    assert names(folder) == {"last", "previous", "best", "step-000002", "step-000005", "step-000006"}


def test_as_many_of_the_newest_are_kept_as_are_asked_for_and_the_best(folder):
    for step in range(1, 9):
        save(folder, step, best=step == 2, keep=4)
    kept = {"step-000002", "step-000005", "step-000006", "step-000007", "step-000008"}
    assert names(folder) == {"last", "previous", "best", *kept}
    save(folder, 9, keep=1)  # one stays to go on from where the last is damaged
    assert names(folder) == {"last", "previous", "best", "step-000002", "step-000008", "step-000009"}


@pytest.mark.parametrize("damage", [b"rtep-000001", b"step-000009", b"step-000003"], ids=["a name", "none", "another"])
def test_what_a_damaged_pointer_may_name_is_kept(folder, damage):
    for step in (1, 2, 3):
        save(folder, step, best=step == 1)
    pointer = folder.path / "best"
    pointer.write_bytes(pointer.read_bytes().replace(b"step-000001", damage))
    again = CheckpointFolder(folder.path)
    for step in (4, 5, 6, 7):
        save(again, step)
    assert names(folder) - {"last", "previous", "best"} == {f"step-00000{step}" for step in (1, 2, 3, 6, 7)}
    save(again, 8, best=True)
    assert names(folder) - {"last", "previous", "best"} == {"step-000007", "step-000008"}


def test_what_mae_did_not_write_is_kept(folder):
    save(folder, 1)
    (folder.path / "step-000077").mkdir()
    (folder.path / "step-000001/note.txt").write_text("mine")
    for step in (2, 3, 4):
        save(folder, step)
    assert names(folder) == {"last", "previous", "step-000001", "step-000003", "step-000004", "step-000077"}
    assert [file.name for file in (folder.path / "step-000001").iterdir()] == ["note.txt"]


def test_other_people_may_read_a_checkpoint(folder):
    saved = save(folder, 1)
    plain = folder.path / "plain"
    plain.touch()
    for file in saved.path.iterdir():
        assert file.stat().st_mode == plain.stat().st_mode


def test_before_the_first_save_there_is_none(folder):
    assert folder.pointed("last") is None


def test_a_pointer_to_nothing_is_told(folder):
    (folder.path / "last").write_text("step-000009\n")
    with pytest.raises(MaeError, match=r"checkpoints/last names step-000009, which is not there"):
        folder.pointed("last")


def test_a_kill_before_the_pointer_is_replaced_loses_nothing(folder, monkeypatch):
    save(folder, 1, best=True)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(CheckpointFolder, "point", killed)
        with pytest.raises(KeyboardInterrupt):
            save(folder, 2)
    assert folder.pointed("last") == Checkpoint(folder.path / "step-000001")
    save(folder, 2, value=10.0)
    last = folder.pointed("last")
    assert last is not None
    assert torch.equal(last.tensors()["weight"], torch.full((2, 2), 12.0))


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("Error while serializing: I/O error: No space left on device (os error 28)", "the disk is full"),
        ("Error while serializing: I/O error: Input/output error (os error 5)", "Input/output error"),
    ],
)
def test_a_disk_that_refuses_keeps_the_checkpoint_before(folder, monkeypatch, reason, words):
    save(folder, 1, best=True)

    def refuses(*_: object) -> None:
        raise SafetensorError(reason)

    monkeypatch.setattr(module, "save_file", refuses)
    with pytest.raises(MaeError) as caught:
        save(folder, 2, best=True)
    assert str(caught.value).startswith(f"cannot write {folder.path / 'step-000002'}: ")
    assert words in str(caught.value)
    assert names(folder) == {"last", "best", "step-000001"}


@pytest.mark.parametrize("size", [0, 5, 100])
def test_a_file_cut_short_is_told(folder, size):
    file = save(folder, 1).path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:size])
    for read in (Checkpoint(file.parent).metadata, Checkpoint(file.parent).tensors):
        with pytest.raises(MaeError, match=r"model\.safetensors cannot be read as a checkpoint: "):
            read()


@pytest.mark.parametrize(("file", "most"), [("model.safetensors", 20_000), ("state.safetensors", 200_000)])
def test_a_file_that_lists_more_tensors_than_models_have_is_told_before_they_are_read(folder, monkeypatch, file, most):
    checkpoint = save(folder, 1)
    header = b"{" + b'"t":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},' * (most + 1)
    (checkpoint.path / file).write_bytes(struct.pack("<Q", len(header)) + header)
    monkeypatch.setattr(module, "safe_open", None)
    told = rf"{file} cannot be read as a checkpoint: it lists {most + 1:,} tensors, more than {most:,}; no model has so"
    with pytest.raises(DamagedCheckpoint, match=told):
        checkpoint.tensors(file)


def test_a_file_of_another_program_is_told(tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(MaeError, match="was not written by mae: it carries no spec"):
        Checkpoint(tmp_path).metadata()


def test_a_newer_format_asks_for_an_update(tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "model.safetensors", {"mae": json.dumps({"format_version": 99})})
    with pytest.raises(MaeError, match="has format 99, this mae reads up to 2; update it"):
        Checkpoint(tmp_path).metadata()


def test_a_checkpoint_of_another_task_is_refused_by_what_it_lacks(pretrained, finetuned):
    autoencoder = restore(pretrained, registry(), Progress().say)
    with pytest.raises(MaeError) as caught:
        load_exactly(autoencoder.module, find_checkpoint(finetuned).tensors(), "x")
    assert str(caught.value) == (
        "x lacks 20 of 50 tensors (of decoder; first decoder.blocks.0.attn.proj.bias), so it is not a checkpoint of "
        "this task and model"
    )


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({}, "x lacks 2 of 2 tensors (of bias, weight; first bias)"),
        (
            {"weight": 1, "bias": 1, "head.a": 1, "head.b": 1},
            "x has no place for 2 of 2 tensors (of head; first head.a)",
        ),
        ({"weight": (3, 2), "bias": 1}, "x has another shape for 1 of 2 tensors (of weight; first weight)"),
    ],
)
def test_tensors_that_do_not_fit_are_named(tensors, words):
    own = {"weight": (2, 2), "bias": (2,)}
    given = {name: torch.zeros(own.get(name, (1,)) if shape == 1 else shape) for name, shape in tensors.items()}
    with pytest.raises(MaeError) as caught:
        load_exactly(torch.nn.Linear(2, 2), given, "x")
    assert words in str(caught.value)
