from __future__ import annotations

import pytest
import torch
from hugging_face import from_hf_vit_mae
from safetensors.torch import load_file
from transformers import ViTMAEConfig, ViTMAEForPreTraining

from maecli.models.mae import Decoder, MaskedAutoencoder
from maecli.models.masking import random_masking
from maecli.models.vit import VisionTransformer

RATIO = 0.75  # hides 12 of 16, rounded as we do or truncated as they do


def randomise(module):
    """Give every parameter, biases, norms and positions included, values of its own."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            values = torch.randn(parameter.shape, generator=generator)
            is_norm_scale = "norm" in name and name.endswith("weight")
            parameter.copy_(1 + 0.3 * values if is_norm_scale else 0.15 * values)
        module.decoder.decoder_pos_embed[:, 0] = 0
    return module


def theirs(norm_pix_loss=False):
    config = ViTMAEConfig(
        image_size=32,
        patch_size=8,
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=48,
        decoder_hidden_size=16,
        decoder_num_hidden_layers=2,
        decoder_num_attention_heads=2,
        decoder_intermediate_size=24,
        mask_ratio=RATIO,
        norm_pix_loss=norm_pix_loss,
        layer_norm_eps=1e-5,
        attn_implementation="eager",
    )
    return randomise(ViTMAEForPreTraining(config)).eval()


def ours(state, norm_pix_loss=False):
    encoder = VisionTransformer((32, 32), (8, 8), 3, 32, 3, 4, mlp_ratio=1.5, norm_eps=1e-5)
    module = MaskedAutoencoder(encoder, Decoder(encoder, 16, 2, 2, 1.5, norm_eps=1e-5), norm_pix_loss)
    module.load_state_dict(from_hf_vit_mae(state))
    return module.eval()


def pictures(*size):
    return torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(2))


def noise(num_patches):
    return torch.rand(2, num_patches, generator=torch.Generator().manual_seed(3))


def difference(a, b):
    return float((a - b).abs().max())


@pytest.mark.parametrize("norm_pix_loss", [False, True])
@torch.no_grad()
def test_hugging_faces_model_gives_the_same_latent_prediction_and_loss_as_ours_with_its_weights(norm_pix_loss):
    peer, x, draws = theirs(norm_pix_loss), pictures(32, 32), noise(16)
    module, masking = ours(peer.state_dict(), norm_pix_loss), random_masking(draws, RATIO)
    expected = peer(x, noise=draws)
    latent = peer.vit(x, noise=draws).last_hidden_state

    assert masking.mask.equal(expected.mask)
    assert difference(module.encoder(x, masking.ids_keep), latent) <= 1e-5
    assert difference(module.reconstruct(x, masking.ids_keep), expected.logits) <= 1e-5
    assert difference(module(x, masking), expected.loss) <= 1e-5
    assert latent.std() > 0.1
    assert expected.logits.std() > 0.1


@torch.no_grad()
def test_at_a_size_that_is_not_square_the_latent_is_the_same_and_the_prediction_is_not():
    """Their decoder stretches its positions along the flattened grid; ours, like both encoders, in two dimensions."""
    peer, x, draws = theirs(), pictures(48, 24), noise(18)
    module, masking = ours(peer.state_dict()), random_masking(draws, RATIO)
    latent = peer.vit(x, noise=draws, interpolate_pos_encoding=True).last_hidden_state
    assert latent.shape == (2, 1 + 4, 32)  # both keep 4 of 18
    assert difference(module.encoder(x, masking.ids_keep), latent) <= 1e-5

    expected = peer(x, noise=draws, interpolate_pos_encoding=True).logits
    assert difference(module.reconstruct(x, masking.ids_keep), expected) > 1e-2


def test_the_names_in_a_published_file_are_understood_too(tmp_path):
    peer = theirs()
    peer.save_pretrained(tmp_path)
    stored = load_file(tmp_path / "model.safetensors")
    assert any(name.startswith("vit.encoder.layer.2.attention.attention.query") for name in stored)
    from_file, from_module = from_hf_vit_mae(stored), from_hf_vit_mae(peer.state_dict())
    assert from_file.keys() == from_module.keys()
    assert all(from_file[name].equal(from_module[name]) for name in from_file)


def test_missing_and_left_over_tensors_are_named():
    state = theirs().state_dict()
    del state["vit.layers.1.mlp.fc1.bias"], state["decoder.mask_token"]
    state["classifier.weight"] = torch.zeros(2, 32)
    names = "classifier.weight, decoder.mask_token, vit.layers.1.mlp.fc1.bias"
    with pytest.raises(ValueError, match=f"not the weights of a ViTMAEForPreTraining: {names}"):
        from_hf_vit_mae(state)


def test_a_position_of_the_decoders_class_token_is_refused():
    state = theirs().state_dict()
    state["decoder.decoder_pos_embed"][0, 0, 3] = 0.1
    with pytest.raises(ValueError, match="gives the class token a position"):
        from_hf_vit_mae(state)


@pytest.mark.slow
def test_the_callers_tensors_stay_as_they_were():
    state = theirs().state_dict()
    before = {name: tensor.clone() for name, tensor in state.items()}
    from_hf_vit_mae(state)
    assert all(tensor.equal(before[name]) for name, tensor in state.items())
