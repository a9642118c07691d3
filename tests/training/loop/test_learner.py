"""What processes beside the first begin with."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from toy_training import CPU, spec

from maecli.parallel.world import World
from maecli.training.loop.learner import Learner


class Second(World):
    """The second of two processes; the first has other weights, all of which are 7."""

    rank, size = 1, 2

    def handed_out(self, tensors):
        return {name: torch.full_like(tensor, 7) for name, tensor in tensors.items()}


@pytest.mark.parametrize(
    ("parallel", "freeze", "handed"), [("ddp", False, True), ("fsdp", False, False), ("fsdp", True, True)]
)
def test_weights_of_the_first_process_are_there_before_a_frozen_encoder_is_asked(parallel, freeze, handed):
    settings = spec(parallel=parallel, train={"ema_decay": None})
    train = settings.train.model_copy(update={"freeze": freeze})  # which is for fine-tuning
    learner = Learner(nn.Linear(4, 1), settings.model_copy(update={"train": train}), CPU, torch.float32)
    learner.world = Second()
    learner.begin_as_the_first()
    assert all(bool((value == 7).all()) for value in learner.module.state_dict().values()) is handed


def test_a_whole_module_leaves_the_device_where_each_process_has_a_part(monkeypatch):
    learner = Learner(nn.Linear(4, 1), spec(parallel="fsdp", train={"ema_decay": None}), CPU, torch.float32)
    learner.put_away()  # of a module that is in no parts
    went = []
    whole = nn.Linear(4, 1)
    monkeypatch.setattr(whole, "to", lambda device: went.append(str(device)) or whole)
    learner._unsharded, learner.device = whole, torch.device("cuda:1")
    assert learner.final_module is whole
    learner.put_away()
    assert went == ["cuda:1", "cpu"]
    assert torch.equal(whole.weight, learner.module.weight)
