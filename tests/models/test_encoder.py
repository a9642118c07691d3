from __future__ import annotations

import copy

import pytest
import torch

from maecli.models.heads import Classifier, ClassifierHead
from maecli.models.vit import VisionTransformer


def classifier(**settings):
    torch.manual_seed(0)
    encoder = VisionTransformer((8, 8), (2, 2), 1, embed_dim=12, depth=2, num_heads=2, **settings)
    return Classifier(encoder, ClassifierHead(12, 3))


def test_a_frozen_encoder_works_as_in_evaluation_while_the_head_is_trained():
    module, x = classifier(drop_path=0.9), torch.randn(4, 1, 8, 8)
    expected = module.encoder.eval()(x)
    assert not torch.equal(module.train().encoder(x), expected)
    module.encoder.freeze()
    for each in (module.train(), copy.deepcopy(module).train()):
        assert each.training
        assert each.head.training
        assert not any(part.training for part in each.encoder.modules())
        assert torch.equal(each.encoder(x), expected)


def test_a_frozen_encoder_records_nothing_for_the_backward_pass():
    module, x = classifier(learned_pos_embed=True), torch.randn(4, 1, 8, 8)
    module.encoder.freeze()
    assert not module.encoder(x).requires_grad
    assert not any(each.requires_grad for each in module.encoder.features(x, (1, 2)))
    module(x).sum().backward()
    learning = {name for name, parameter in module.named_parameters() if parameter.grad is not None}
    assert learning == {"head.0.weight", "head.0.bias"}


def test_first_blocks_stay_as_they_are_and_work_as_in_evaluation():
    module, x = classifier(drop_path=0.9, learned_pos_embed=True), torch.randn(4, 1, 8, 8)
    expected = module.encoder.eval().features(x, (1,))[0]
    module.encoder.freeze_blocks(1)
    for each in (module.train(), copy.deepcopy(module).train()):
        assert torch.equal(each.encoder.features(x, (1,))[0], expected)
        assert not each.encoder.features(x, (1,))[0].requires_grad, "autograd recorded what nothing learns from"
        assert each.encoder.blocks[1].training
        assert not each.encoder.blocks[0].drop_path1.training
    module(x).sum().backward()
    kept = {name for name, parameter in module.named_parameters() if parameter.grad is None}
    first = ("encoder.patch_embed.", "encoder.cls_token", "encoder.pos_embed", "encoder.blocks.0.")
    assert kept == {name for name, _ in module.named_parameters() if name.startswith(first)}


def test_all_blocks_can_be_kept_and_no_more():
    module = classifier()
    module.encoder.freeze_blocks(2)
    learning = {name for name, value in module.encoder.named_parameters() if value.requires_grad}
    assert learning == {"norm.weight", "norm.bias"}
    with pytest.raises(ValueError, match=r"train.freeze_blocks \(3\) must be at most 2, the number of its blocks"):
        module.encoder.freeze_blocks(3)


def test_encoders_are_not_frozen_unless_told():
    module = classifier()
    assert not module.encoder.frozen
    assert module.train().encoder.training
    assert module.encoder(torch.randn(1, 1, 8, 8)).requires_grad
