from __future__ import annotations

import pytest
import torch

from maecli.results import Counted
from maecli.training import counted
from maecli.training.counted import counted_of, load_counted
from maecli.training.evaluator import Evaluator


class Plain(Evaluator):
    def update(self, module, batch):
        raise NotImplementedError

    def metrics(self):
        return ()


def filled() -> Plain:
    evaluator = Plain()
    evaluator.add_rows(torch.tensor([2, 0]), {"hits": torch.tensor([1, 0], dtype=torch.int8)})
    evaluator.add({"loss": torch.tensor(3.0)})
    return evaluator


def test_what_was_counted_comes_back():
    kept = counted_of(filled(), ["a", "b", "c"])
    read = load_counted(Plain(), kept)
    assert read.rows("hits").tolist() == [0, 1]
    assert float(read.total("loss")) == 3.0


def test_it_knows_its_samples_by_their_names_and_order():
    digests = [counted_of(filled(), names).samples for names in (["a", "b"], ["b", "a"], ["ab"], ["a", "b"])]
    assert digests[0] == digests[3]
    assert len(set(digests)) == 3


def test_sums_alone_and_very_many_rows_are_not_kept(monkeypatch):
    sums = Plain()
    sums.add({"loss": torch.tensor(3.0)})
    assert counted_of(sums, ["a"]) is None
    monkeypatch.setattr(counted, "MAX_BYTES", 8)
    assert counted_of(filled(), ["a"]) is None


def test_damaged_bytes_are_told():
    with pytest.raises(ValueError, match="no state of an evaluator"):
        load_counted(Plain(), Counted(samples="", tensors=b"no safetensors"))
