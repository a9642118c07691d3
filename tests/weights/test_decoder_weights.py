from __future__ import annotations

from pathlib import Path

import pytest
import torch
from reference_models import DEPTH, HEADS, HIDDEN, PATCH, SIZE, D, difference, hf_vit_mae, inputs, official_mae
from weight_files import mae_state

from maecli.models.mae import Decoder, MaskedAutoencoder
from maecli.models.vit import VisionTransformer
from maecli.weights.files import WeightFile
from maecli.weights.fit import load_encoder_weights
from maecli.weights.formats import import_encoder


def imported(state, **config):
    return import_encoder(WeightFile(Path("file"), "torch", dict(state), config=config))


@torch.no_grad()
def test_hugging_faces_encoder_and_decoder_predict_what_they_predicted():
    peer, x = hf_vit_mae(), inputs(SIZE, SIZE)
    peer.decoder.decoder_pos_embed[:, 0] = 0  # fixed, and so in published files
    ids, noise = torch.arange(16).expand(2, -1), torch.arange(16.0).expand(2, -1)
    expected = peer(x, noise=noise).logits
    config = peer.config
    weights = imported(
        peer.state_dict(), num_attention_heads=HEADS, decoder_num_attention_heads=2, norm_pix_loss=config.norm_pix_loss
    )
    task = weights.offer()["task"]
    assert task.pop("norm_pix_loss") is False
    assert task == {"decoder_embed_dim": 16, "decoder_depth": 1, "decoder_num_heads": 2, "decoder_mlp_ratio": 1.5}
    encoder = VisionTransformer((SIZE, SIZE), (PATCH, PATCH), 3, D, DEPTH, HEADS, HIDDEN / D)
    decoder = Decoder(encoder, *(task[f"decoder_{name}"] for name in ("embed_dim", "depth", "num_heads", "mlp_ratio")))
    load_encoder_weights(encoder, weights)
    assert weights.decoder is not None
    decoder.load_state_dict(weights.decoder.tensors)
    ours = MaskedAutoencoder(encoder, decoder).eval().reconstruct(x, ids)
    assert difference(ours, expected) <= 1e-5
    assert weights.num_others - weights.decoder.num_others == 0


def test_the_official_names_are_known_and_its_heads_are_taken_to_be_32_wide():
    weights = imported(mae_state(width=64))
    assert weights.decoder is not None
    assert weights.decoder.options["decoder_num_heads"] == 2
    assert weights.decoder.num_others == len(weights.decoder.tensors) == weights.num_others


@pytest.mark.parametrize(
    "change",
    [
        {"decoder_blocks.0.attn.qkv.weight": torch.zeros(5, 5)},
        {"decoder_pred.weight": torch.zeros(7, 8), "decoder_pred.bias": torch.zeros(7)},
        {"decoder_more.weight": torch.zeros(1)},
        {"decoder_pos_embed": torch.ones(1, 5, 8)},
        {"decoder_norm.bias": torch.zeros(8, dtype=torch.int8)},
        {"decoder_embed.weight": torch.zeros(())},
    ],
)
def test_what_is_not_the_whole_of_such_a_decoder_is_left_over(change):
    weights = imported(mae_state() | change)
    assert weights.decoder is None
    assert weights.offer()["task"] == {}
    assert weights.num_others > 0


def test_a_file_without_a_whole_decoder_has_none():
    assert imported(official_mae()).decoder is None
