from __future__ import annotations

import pytest
import torch

from maecli.training.evaluator import Evaluator, add_states


class Plain(Evaluator):
    def update(self, module, batch):
        raise NotImplementedError

    def metrics(self):
        return ()


def test_states_add_up_and_the_shorter_tensor_is_padded_at_its_end():
    one = {"total": torch.tensor(2.0), "rows": torch.tensor([[1, 2]]), "here": torch.ones(1)}
    other = {"total": torch.tensor(3.0), "rows": torch.tensor([[10, 20], [30, 40]]), "there": torch.zeros(2)}
    both = add_states(one, other)
    assert {name: tensor.tolist() for name, tensor in both.items()} == {
        "total": 5.0,
        "rows": [[11, 22], [30, 40]],
        "here": [1.0],
        "there": [0.0, 0.0],
    }
    assert add_states(other, one)["rows"].equal(both["rows"])
    assert one["rows"].tolist() == [[1, 2]], "what was added stays as it was"


def test_long_sums_do_not_lose_their_small_parts():
    evaluator = Plain()
    for value in (2.0**24, 1.0, 1.0):
        evaluator.add({"loss": torch.tensor(value)})
    assert float(evaluator.total("loss")) == 2**24 + 2
    assert evaluator.total("other") is None


def test_rows_lie_at_their_samples_positions_and_are_read_in_the_order_of_the_split():
    evaluator = Plain()
    evaluator.add_rows(torch.tensor([4, 1]), {"label": torch.tensor([[-1], [3]], dtype=torch.int8)})
    evaluator.add_rows(torch.tensor([0]), {"label": torch.tensor([[0]], dtype=torch.int8)})
    assert evaluator.state()["label"].flatten().tolist() == [0, 3, 0, 0, -1]
    assert evaluator.state()["seen"].tolist() == [1, 1, 0, 0, 1]
    assert evaluator.rows("label").flatten().tolist() == [0, 3, -1]
    assert Plain().rows("label") is None


@pytest.mark.parametrize("dtype", [torch.int8, torch.float32])
def test_a_sample_that_two_processes_saw_counts_once(dtype):
    evaluator = Plain()
    for ids in ([0, 1], [1, 2]):
        evaluator.add_rows(torch.tensor(ids), {"label": torch.tensor([[-(i + 1)] for i in ids], dtype=dtype)})
    rows = evaluator.rows("label")
    assert rows.flatten().tolist() == [-1, -2, -3]
    assert rows.dtype == dtype


def test_what_is_loaded_stands_in_place_of_what_was_counted():
    evaluator, other = Plain(), Plain()
    evaluator.add_rows(torch.tensor([3]), {"score": torch.tensor([1.0])})
    evaluator.add({"num": torch.tensor(7)})
    other.add({"num": torch.tensor(2)})
    evaluator.load_state(other.state())
    assert int(evaluator.total("num")) == 2
    assert evaluator.rows("score") is None


def test_rows_that_two_evaluators_share_are_those_of_samples_that_both_saw():
    one, other = Plain(), Plain()
    one.add_rows(torch.tensor([0, 1, 3]), {"hits": torch.tensor([5, 6, 7])})
    other.add_rows(torch.tensor([3, 1]), {"hits": torch.tensor([70, 60])})
    other.add_rows(torch.tensor([4]), {"hits": torch.tensor([80])})
    mine, theirs = one.shared_rows(other, "hits")
    assert (mine.tolist(), theirs.tolist()) == ([6, 7], [60, 70])
    assert one.shared_rows(other, "labels") is None
    assert one.shared_rows(Plain(), "hits") is None
    assert one.difference(other) is None, "a task that says nothing of it is not compared"
