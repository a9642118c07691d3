from __future__ import annotations

import pytest
import torch
from torch import nn

from maecli.models.heads import Classifier, ClassifierHead, FeatureNorm, pool_tokens
from maecli.models.vit import VisionTransformer


def encoder():
    torch.manual_seed(0)
    return VisionTransformer((8, 8), (2, 2), 1, embed_dim=12, depth=1, num_heads=2).eval()


def test_pooling_takes_the_mean_of_the_patches_or_the_class_token():
    tokens = torch.tensor([[[100.0, 200.0], [1.0, 2.0], [3.0, 6.0]]])
    assert pool_tokens(tokens, 1, "mean").tolist() == [[2, 4]]
    assert pool_tokens(tokens, 1, "cls").tolist() == [[100, 200]]
    assert pool_tokens(tokens[:, 1:], 0, "mean").tolist() == [[2, 4]]


@torch.no_grad()
@pytest.mark.parametrize("pool", ["mean", "cls"])
@pytest.mark.parametrize(("kind", "num_layers"), [("linear", 1), ("mlp", 3)])
def test_a_classifier_is_its_head_on_the_pooled_tokens(pool, kind, num_layers):
    head = ClassifierHead(12, 5, kind)
    assert len(head) == num_layers
    module, x = Classifier(encoder(), head, pool), torch.randn(3, 1, 8, 8)
    tokens = module.encoder(x)
    vector = tokens[:, 0] if pool == "cls" else tokens[:, 1:].mean(1)
    assert torch.allclose(module(x), head(vector), atol=1e-6)
    assert module(x).shape == (3, 5)


@torch.no_grad()
def test_a_classifier_can_look_at_some_of_the_patches():
    module, x = Classifier(encoder(), ClassifierHead(12, 3)), torch.randn(2, 1, 8, 8)
    nn.init.normal_(module.head[-1].weight)
    ids = torch.tensor([[0, 5, 7], [1, 2, 15]])
    expected = module.head(module.encoder(x, ids)[:, 1:].mean(1))
    assert torch.allclose(module(x, ids), expected, atol=1e-6)


def test_all_classes_start_alike():
    head = ClassifierHead(64, 10, "mlp")
    assert head[-1].weight.abs().max() <= 2e-3
    assert not head[-1].bias.any()
    assert head[0].weight.std() > 0.05


def test_features_are_standardised_over_the_batch_without_parameters():
    norm = FeatureNorm(2)
    assert list(norm.parameters()) == []
    x = torch.tensor([[1.0, 100.0], [3.0, 300.0]])
    torch.testing.assert_close(norm(x), torch.tensor([[-1.0, -1.0], [1.0, 1.0]]), atol=1e-5, rtol=0)
    assert norm(x.bfloat16()).dtype == torch.float32
    norm.running_mean.copy_(torch.tensor([1.0, 100.0]))
    norm.running_var.copy_(torch.tensor([4.0, 1e4]))
    one = torch.tensor([[5.0, 300.0]])  # alone it has no deviation
    for mode in (True, False):
        torch.testing.assert_close(norm.train(mode)(one), torch.tensor([[2.0, 2.0]]), atol=1e-4, rtol=0)


@pytest.mark.parametrize(("kind", "num_layers"), [("linear", 2), ("mlp", 4)])
def test_a_head_may_standardise_first(kind, num_layers):
    head = ClassifierHead(12, 5, kind, "batch")
    assert len(head) == num_layers
    assert isinstance(head[0], FeatureNorm)
    assert {name for name, _ in head.named_parameters()} == {
        f"{i}.{part}" for i in range(1, num_layers, 2) for part in ("weight", "bias")
    }


@torch.no_grad()
def test_logits_are_float32_even_where_the_encoder_computes_in_bf16():
    module = Classifier(encoder(), ClassifierHead(12, 3)).to(torch.bfloat16)
    assert module(torch.randn(1, 1, 8, 8, dtype=torch.bfloat16)).dtype == torch.float32


def test_the_class_token_of_an_encoder_without_one_is_refused():
    bare = encoder()
    bare.num_prefix_tokens = 0
    with pytest.raises(ValueError, match="pool 'cls' needs an encoder with a class token; use 'mean'"):
        Classifier(bare, ClassifierHead(12, 3), "cls")
