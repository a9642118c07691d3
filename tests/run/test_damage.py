"""No silently wrong bits: flipped bits, damaged files and swapped checkpoints are told, and what can go on goes on."""

from __future__ import annotations

import errno
import json
import random
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from checkpoint_files import rewrite, without_checksums
from safetensors.torch import load_file

from maecli.training.checkpoint import Checkpoint, checksum_of_tensors

MODEL, STATE = "model.safetensors", "state.safetensors"


def flip(file: Path, bit: int) -> None:
    data = bytearray(file.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    file.write_bytes(data)


@pytest.fixture
def run(finetuned: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finetuned, tmp_path / "run")


def last(run: Path) -> Path:
    return run / "checkpoints" / (run / "checkpoints/last").read_text().split()[0]


@pytest.mark.slow
def test_every_flipped_bit_is_found(run):
    """Also in the header, the record, its checksum, and the names of the entries that hold them."""
    rng = random.Random(3)
    for file in (last(run) / MODEL, last(run) / STATE):
        sound = file.read_bytes()
        header = 8 + int.from_bytes(sound[:8], "little")
        bits = [rng.randrange(8 * header) for _ in range(150)] + [rng.randrange(8 * len(sound)) for _ in range(50)]
        for bit in bits:
            flip(file, bit)
            damaged = _what_is_read(file)
            file.write_bytes(sound)
            assert damaged is None or damaged == _what_is_read(file), f"bit {bit} of {file.name}"


def _what_is_read(file: Path) -> tuple[str, str] | None:
    """Return what a file is read as, None where it is refused."""
    from maecli.errors import MaeError

    try:
        checkpoint = Checkpoint(file.parent)
        if not checkpoint.is_checked:
            raise AssertionError("taken for one of before there were checksums")
        return json.dumps(checkpoint.metadata(file.name)), checksum_of_tensors(checkpoint.tensors(file.name))
    except MaeError:
        return None


@pytest.mark.parametrize("verb", ["eval", "infer", "embed", "inspect", "init", "probe"])
def test_a_damaged_checkpoint_is_named_by_whatever_reads_it(run, pictures, tmp_path, mae, toy_finetune, verb):
    file = last(run) / MODEL
    flip(file, 8 * (file.stat().st_size - 100))
    told = {
        "eval": ("eval", run),
        "probe": ("eval", run, "--probe", "knn"),
        "infer": ("infer", pictures, "--run", run, "--out", tmp_path / "out"),
        "embed": ("embed", pictures, "--run", run, "--out", tmp_path / "out.npy"),
        "inspect": ("inspect", run),
        "init": (*toy_finetune, "--init", run, "--out", tmp_path / "new"),
    }[verb]
    outcome = mae(*told)
    assert outcome.exit_code == 1, outcome.stderr
    assert outcome.stderr.splitlines()[-1] == f"mae: {file} is damaged: its tensors differ from their checksum"
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.npy").exists()


@pytest.mark.slow
@pytest.mark.parametrize("file", [MODEL, STATE])
def test_a_run_goes_on_from_the_checkpoint_before_a_damaged_one(run, finetuned, mae, file):
    damaged = last(run)
    flip(damaged / file, 8 * ((damaged / file).stat().st_size - 100))
    outcome = mae("finetune", "--resume", "--out", run)
    assert outcome.exit_code == 0, outcome.stderr
    assert f"{damaged / file} is damaged: its tensors differ from their checksum" in outcome.stderr
    assert f"the checkpoint before is taken: {run / 'checkpoints/step-000004'}" in outcome.stderr
    assert f"resuming {run} at step 4 of 8" in outcome.stderr
    for name in (MODEL, STATE):
        mine, theirs = load_file(last(run) / name), load_file(last(finetuned) / name)
        assert all(torch.equal(mine[key], theirs[key]) for key in theirs)


def test_where_all_checkpoints_are_damaged_the_run_stays_as_it_is(run, mae):
    for file in (run / "checkpoints").glob("step-*/*.safetensors"):
        file.write_bytes(file.read_bytes()[:-9])
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    outcome = mae("finetune", "--resume", "--out", run)
    assert outcome.exit_code == 1
    assert outcome.stderr.endswith(
        f"mae: {run} has no checkpoint that is what was saved, so it cannot go on; begin anew with another --out\n"
    )
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


@pytest.mark.slow
def test_older_checkpoints_still_load_and_it_is_said_once(run, pictures, tmp_path, mae):
    without_checksums(run)
    words = f"{last(run)} was written by an older mae and carries no checksum, so damage to it would not show"
    for told in (
        ("eval", run),
        ("infer", pictures, "--run", run, "--out", tmp_path / "out"),
        ("embed", pictures, "--run", run, "--out", tmp_path / "out.npy"),
        ("finetune", "--resume", "--out", run),
    ):
        outcome = mae(*told)
        assert outcome.exit_code == 0, outcome.stderr
        assert outcome.stderr.count(words) == 1


def test_an_edited_seed_is_found_by_the_checkpoint(run, mae):
    spec = yaml.safe_load((run / "spec.yaml").read_text())
    (run / "spec.yaml").write_text(yaml.safe_dump(spec | {"seed": 1}))
    outcome = mae("finetune", "--resume", "--out", run)
    assert outcome.exit_code == 2
    assert outcome.stderr.endswith(f"mae: {run} cannot be resumed with another spec: seed: 0 -> 1\n")


@pytest.mark.slow
def test_a_checkpoint_of_another_run_is_not_gone_on_from(run, pretrained, mae, tmp_path):
    """One with the very same spec, but for where it started."""
    spec = yaml.safe_load((run / "spec.yaml").read_text())
    other = tmp_path / "other"
    outcome = mae("finetune", "--config", run / "spec.yaml", "--init", pretrained, "--out", other)
    assert outcome.exit_code == 0, outcome.stderr
    assert spec["init"] is None
    shutil.rmtree(run / "checkpoints")
    shutil.copytree(other / "checkpoints", run / "checkpoints")
    outcome = mae("finetune", "--resume", "--out", run)
    assert outcome.exit_code == 2
    assert f"{last(run)} is a checkpoint of another run" in outcome.stderr


@pytest.mark.parametrize("verb", ["eval", "infer", "embed", "init"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(run, pictures, tmp_path, mae, toy_finetune, verb, value):
    file = last(run) / MODEL

    def spoil(tensors: dict[str, torch.Tensor]) -> None:
        tensors["encoder.norm.weight"][3] = value

    rewrite(file, change_tensors=spoil)
    told = {
        "eval": ("eval", run),
        "infer": ("infer", pictures, "--run", run, "--out", tmp_path / "out"),
        "embed": ("embed", pictures, "--run", run, "--out", tmp_path / "out.npy"),
        "init": (*toy_finetune, "--init", run, "--out", tmp_path / "new"),
    }[verb]
    outcome = mae(*told)
    assert outcome.exit_code == 1, outcome.stderr
    assert " holds NaN or infinite weights (first in " in outcome.stderr
    assert not (tmp_path / "out").exists()


POINTERS = [b"", b"step-000009", b"\xff\xfe\x00", b"../../x", b"step-000004/..", b"a" * 9999]


@pytest.mark.slow
@pytest.mark.parametrize("pointer", POINTERS)
def test_damaged_pointers_are_one_sentence_and_the_run_goes_on(run, mae, pointer):
    (run / "checkpoints/last").write_bytes(pointer)
    outcome = mae("eval", run)
    assert outcome.exit_code == 0, outcome.stderr
    assert f"{run / 'checkpoints/last'} " in outcome.stderr
    assert f"the newest checkpoint is taken, {run / 'checkpoints/step-000008'}" in outcome.stderr
    assert "unfinished" not in mae("runs", run.parent).stdout
    outcome = mae("finetune", "--resume", "--out", run)
    assert outcome.exit_code == 0, outcome.stderr
    assert f"{run} is finished" in outcome.stderr
    assert (run / "checkpoints/last").read_text().split()[0] == "step-000008"


def test_a_damaged_best_is_told(run, mae):
    (run / "checkpoints/best").write_bytes(b"nonsense")
    outcome = mae("eval", run, "--checkpoint", "best")
    assert outcome.exit_code == 1
    assert outcome.stderr == f"mae: {run / 'checkpoints/best'} is damaged: it names no checkpoint\n"


DAMAGE = [b"", b"\xff\xfe", b"{}", b'{"a": ' * 9999]


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGE, ids=range(len(DAMAGE)))
@pytest.mark.parametrize("name", ["environment.json", "summary.json", "evaluation/val.json", "spec.yaml"])
def test_what_can_go_on_without_a_damaged_file_goes_on(run, mae, name, damage):
    (run / name).write_bytes(damage)
    listed = mae("runs", run.parent)
    assert listed.exit_code == 0, listed.stderr
    compared = mae("runs", run, run)
    assert compared.exit_code == 0, compared.stderr
    outcome = mae("eval", run)
    assert outcome.exit_code == 0, outcome.stderr
    for each in (listed, compared, outcome):
        assert "Traceback" not in each.stderr + each.stdout
    if damage not in (b"{}",) and name != "environment.json":
        assert Path(name).name in listed.stdout + listed.stderr
    recorded = mae("results", run, "--out", run.parent / "results.md")
    assert recorded.exit_code in (0, 1), recorded.stderr
    assert recorded.exit_code == 0 or recorded.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGE, ids=range(len(DAMAGE)))
def test_a_run_with_a_damaged_spec_is_resumed_by_that_of_its_checkpoint(run, mae, damage):
    sound = yaml.safe_load((run / "spec.yaml").read_text())
    (run / "spec.yaml").write_bytes(damage)
    outcome = mae("finetune", "--resume", "--out", run)
    assert outcome.exit_code == 0, outcome.stderr
    assert yaml.safe_load((run / "spec.yaml").read_text()) == sound | {"out": str(run)}


LINES = [b"\xff\xff", b'{"step": "x"}', b"7" * 5000]


@pytest.mark.slow
@pytest.mark.parametrize("line", LINES, ids=range(len(LINES)))
def test_good_lines_of_metrics_stay_and_bad_ones_are_told(run, finetuned, mae, line):
    file = run / "metrics.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:2], line + b"\n", *lines[2:]]))
    told = f"{file}: line 3 cannot be read and is left out; the others stay"
    assert told in mae("runs", run, finetuned).stderr
    assert mae("eval", run).exit_code == 0
    assert told in (run / "report.html").read_text().replace("&#39;", "'")
    (run / "summary.json").unlink()  # as if it had been stopped after its last step
    outcome = mae("finetune", "--resume", "--out", run)
    assert outcome.exit_code == 0, outcome.stderr
    assert told in outcome.stderr
    assert file.read_bytes() == (finetuned / "metrics.jsonl").read_bytes()


def test_metrics_that_cannot_be_read_now_are_not_written_anew(run, finetuned, mae, monkeypatch):
    (run / "summary.json").unlink()  # as if it had been stopped after its last step
    read_bytes = Path.read_bytes

    def failing(path: Path) -> bytes:
        if path.name == "metrics.jsonl":
            raise OSError(errno.EIO, "Input/output error")
        return read_bytes(path)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", failing)
        outcome = mae("finetune", "--resume", "--out", run)
    assert outcome.exit_code == 1
    assert outcome.stderr.splitlines()[-1].startswith(f"mae: cannot write {run}: Input/output error")
    assert (run / "metrics.jsonl").read_bytes() == (finetuned / "metrics.jsonl").read_bytes()


def test_a_line_that_is_being_written_is_no_damage(run, finetuned, mae):
    with (run / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 9, "train/lo')
    outcome = mae("runs", run, finetuned)
    assert outcome.exit_code == 0
    assert "metrics.jsonl" not in outcome.stderr
