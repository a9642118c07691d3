"""What is missing is not looked at, whatever it holds and however samples are mixed and thinned out."""

from __future__ import annotations

import cards
import pytest
import torch
from maecli_plugins.tasks.classify.mixing import mix
from maecli_plugins.tasks.classify.task import Classify
from maecli_plugins.tasks.pooled.head import outputs_of

from maecli import api

SIZE = (1, 12)


def job_of(**options):
    card = cards.card(
        fields=("image", "label"), size=SIZE, mean=(0.5,), std=(0.25,), classes=("a", "b"), split_sizes={"train": 8}
    )
    job = Classify(Classify.Options(**options), card, api.Preprocess.of(card, SIZE))
    torch.manual_seed(0)
    return job, job.build(api.nets.VisionTransformer(SIZE, (1, 1), 1, 12, 1, 2))


def batches():
    """Return a batch whose rows lack nothing, something and everything, and the same with other missing values."""
    generator = torch.Generator().manual_seed(0)
    image, draw = torch.randn(6, 1, *SIZE, generator=generator), torch.rand(6, 1, *SIZE, generator=generator)
    valid = draw < torch.tensor([1.0, 0.8, 0.5, 0.5, 0.2, 0.0]).reshape(-1, 1, 1, 1)
    tensors = {"valid": valid, "label": torch.tensor([0, 1, 0, 1, 0, 1])}
    draws, spoilt = api.Draws(0, 0, torch.arange(6)), torch.where(valid, image, torch.tensor(torch.nan))
    return [api.Batch({"image": each, **tensors}, draws, list("abcdef")) for each in (image, spoilt)]


@pytest.mark.parametrize("pool", ["mean", "cls"])
@pytest.mark.parametrize("options", [{}, {"patch_drop": 0.5}, {"mixup": 0.8}, {"cutmix": 1.0}])
def test_the_value_of_a_missing_cell_changes_no_loss_and_no_gradient(pool, options):
    found = []
    for batch in batches():
        job, module = job_of(pool=pool, **options)
        torch.manual_seed(1)
        loss = job.loss(module, batch)
        loss.backward()
        found.append([loss.detach(), *(p.grad for p in module.parameters() if p.grad is not None)])
    for one, other in zip(*found, strict=True):
        assert one.isfinite().all()
        assert one.equal(other)


@torch.no_grad()
def test_nor_any_answer():
    job, module = job_of()
    module.eval()
    module.head[-1].weight.normal_()
    one, other = batches()
    assert outputs_of(module, one).equal(outputs_of(module, other))
    assert job.frozen_features(module, one).equal(job.frozen_features(module, other))
    assert job.predict(module, one) == job.predict(module, other)
    whole = api.Batch({"image": one["image"]}, one.draws)
    same = outputs_of(module, one).isclose(outputs_of(module, whole), atol=1e-5).all(1)
    assert same.tolist() == [True, *[False] * 5]


def test_patches_are_left_out_of_those_that_are_there():
    job, module = job_of(patch_drop=0.5)
    asked = {}
    module.encoder.register_forward_pre_hook(lambda _, inputs: asked.update(ids_keep=inputs[1], valid=inputs[2]))
    batch, _ = batches()
    job.loss(module, batch)
    num = batch["valid"].flatten(1).sum(1)
    assert batch["valid"].flatten(1).gather(1, asked["ids_keep"]).sum(1).tolist() == [
        api.nets.num_kept(n, 0.5) for n in num.tolist()
    ]


def test_a_blend_is_valid_where_both_are_and_a_box_where_it_was():
    image = torch.arange(40.0).reshape(-1, 1, 1).expand(-1, 1, 32).clone()
    valid = torch.rand(40, 1, 32) < 0.5
    other, draws = valid[torch.arange(40) ^ 1], api.Draws(0, 0, torch.arange(40))
    assert mix(image, draws, 1.0, 0.0, valid)[2].equal(valid & other)
    pasted, _, kept = mix(image, draws, 0.0, 1.0, valid)
    assert kept.equal(torch.where(pasted == image, valid, other))
    assert mix(image, draws, 0.0, 1.0)[2] is None
