"""Records of data that are older, damaged, or of another way of reading are said, and the run goes on."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from maecli_plugins.datasets.folder.dataset import Folder
from resumed_data import record, refusal, replace


def names_alone(data: Path) -> dict[str, str]:
    """Return what runs recorded before there were fingerprints."""
    folder, recorded = Folder(Folder.Options(root=data)), {}
    for name in ("train", "val"):
        keys = folder.split(name).keys  # type: ignore[arg-type]
        text = "\n".join([str(len(keys)), *keys])
        recorded[name] = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
    return recorded


def test_of_a_run_that_kept_only_names_these_are_compared_and_that_is_said(copied, resume):
    data, run = copied
    record(run, lambda metadata: metadata.update(samples=names_alone(data)))
    replace(data / "cat/000.png")
    code, said = resume(run, "--root", data)
    assert code == 0
    assert said.startswith(
        f"this run kept no fingerprint of the contents of its data, so names alone were compared\n{run} is finished"
    )
    for path in data.rglob("*.png"):
        path.rename(path.with_stem(f"x{path.stem}"))
    complaint = "its train split has other samples now (32 of them) than when the run began"
    assert resume(run, "--root", data) == refusal(run, complaint)


@pytest.mark.slow
def test_a_run_that_kept_nothing_goes_on_and_says_so_once(copied, resume):
    data, run = copied
    record(run, lambda metadata: metadata.pop("samples"))
    replace(data / "cat/000.png")
    code, said = resume(run, "--root", data)
    assert code == 0
    assert said.startswith(
        f"this run kept no fingerprint of its data, so whether they are the same was not compared\n{run} is finished"
    )


@pytest.mark.slow
@pytest.mark.parametrize("damage", [3, {}, {"version": 1}, [["a"]], {"kind": "files", "names": "a" * 9999}])
def test_a_damaged_fingerprint_is_said_once_and_goes_on(copied, resume, damage):
    data, run = copied
    record(run, lambda metadata: metadata.update(samples={"train": damage, "val": damage}))
    code, said = resume(run, "--root", data)
    assert code == 0
    assert said.startswith(
        f"this run's fingerprint of its data cannot be read, so the data were not compared\n{run} is finished"
    )


@pytest.mark.slow
def test_a_data_set_that_reads_its_samples_in_another_way_now_goes_on_and_says_so(copied, resume):
    data, run = copied
    record(run, lambda metadata: [each.update(kind="samples") for each in metadata["samples"].values()])
    code, said = resume(run, "--root", data)
    assert code == 0
    words = f"the data set reads its samples in another way now, so their names alone were compared\n{run} is finished"
    assert said.startswith(words)
