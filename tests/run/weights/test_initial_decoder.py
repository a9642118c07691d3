from __future__ import annotations

import torch
from cards import card
from weight_files import mae_state

from maecli.modalities.preprocess import Preprocess
from maecli.registry import registry
from maecli.run.begin.request import request
from maecli.run.open import build_module
from maecli.run.weights.initial import initial_weights
from maecli.run.weights.initial_decoder import keep_decoder
from maecli.spec.ask import Ask


def kept(tmp_path, *sets, channels=3, size=8):
    """Return what became of an official MAE's decoder, the module, and the file's own tensors."""
    state = mae_state()
    torch.save({"model": state}, tmp_path / "mae.pth")
    flags = {"init": str(tmp_path / "mae.pth"), "dataset.name": "folder"}
    spec = request(Ask("pretrain", flags=flags, sets=sets), registry())
    data = card(channels=channels, size=(size, size))
    preprocess = Preprocess((size, size), channels, (0.0, 1.0), (0.5,) * channels, (0.5,) * channels)
    task, module = build_module(spec, data, preprocess, registry())
    _, decoder = initial_weights(tmp_path / "mae.pth", registry(), lambda _: None)
    return keep_decoder(task, module, decoder), module, state


def test_a_pretraining_goes_on_with_the_decoder_too(tmp_path):
    words, module, state = kept(tmp_path)
    assert words == ("decoder: all 20 tensors", 20)
    assert module.decoder.pred.weight.equal(state["decoder_pred.weight"])
    assert module.decoder.embed.weight.equal(state["decoder_embed.weight"])


def test_grey_patches_are_predicted_as_the_mean_of_their_colours(tmp_path):
    words, module, state = kept(tmp_path, channels=1, size=16)
    assert words[0] == "decoder: all 20 tensors (positions interpolated, predictions of 3 channels averaged)"
    assert torch.allclose(module.decoder.pred.bias, state["decoder_pred.bias"].reshape(16, 3).mean(1))


def test_another_decoder_starts_anew_and_says_why(tmp_path):
    words, *_ = kept(tmp_path, "task.decoder_depth=2")
    assert words == (f"decoder: new, since task.decoder_depth is 2, and was 1 in {tmp_path / 'mae.pth'}#model", 0)
    words, *_ = kept(tmp_path, "model.patch_size=2")
    assert words == ("decoder: new, since its patches have another size", 0)


def test_weights_without_a_decoder_are_told(tmp_path):
    _, module, _ = kept(tmp_path)
    assert keep_decoder(None, module, None).words == "decoder: new, since the weights have none"


def test_a_run_of_ours_hands_its_decoder_on_with_its_options(pretrained, mae):
    outcome = mae("pretrain", "--init", pretrained, "--dry-run", "--json", "--set", "task.mask_ratio=0.5")
    assert outcome.exit_code == 0, outcome.stderr
    assert "; decoder: all " in outcome.json["init"]
    assert ", 0 left over; decoder: all" in outcome.json["init"]
    assert outcome.json["sources"]["task.decoder_depth"] == "--init"


def test_going_on_at_a_rate_that_nobody_chose_is_told(pretrained, mae):
    told = ("pretrain", "--init", pretrained, "--dry-run", "--epochs", 1, "--batch-size", 8)
    for rate, said in (((), 1), (("--base-lr", 1e-4), 0)):
        outcome = mae(*told, *rate)
        assert outcome.exit_code == 0, outcome.stderr
        assert outcome.stderr.count("at the rate of a training from nothing") == said
