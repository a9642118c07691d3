from __future__ import annotations

import copy

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


def test_encoders_are_not_frozen_unless_told():
    module = classifier()
    assert not module.encoder.frozen
    assert module.train().encoder.training
    assert module.encoder(torch.randn(1, 1, 8, 8)).requires_grad
