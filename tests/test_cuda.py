"""What only a CUDA device can show; skipped, with this reason, on a machine without one."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from maecli.data.batch import Batch
from maecli.data.randomness import Draws
from maecli.hardware import choose_device, choose_dtype, describe_device
from maecli.models.attention import attend
from maecli.models.mae import Decoder, MaskedAutoencoder
from maecli.models.masking import random_masking
from maecli.models.vit import VisionTransformer
from maecli.progress import Progress
from maecli.registry import registry
from maecli.run.begin.request import request
from maecli.run.checkpoint import find_checkpoint
from maecli.run.train import train
from maecli.spec.ask import Ask
from maecli.training.checkpoint import MODEL
from maecli.training.features import blocks, extract

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")

TOY = ("model.embed_dim=32", "model.depth=2", "model.num_heads=4", "train.epochs=2", "train.batch_size=64")


def test_cuda_is_chosen_and_multiplies_bf16():
    device = choose_device("auto")
    assert device.type == "cuda"
    assert choose_dtype("auto", device) == torch.bfloat16
    assert describe_device(device) == torch.cuda.get_device_name(device)


def test_draws_are_those_of_the_cpu():
    ids = torch.arange(7) * 1000
    there = Draws(3, 1, ids.cuda()).uniform("mask", 50)
    assert torch.equal(there.cpu(), Draws(3, 1, ids).uniform("mask", 50))


def test_attention_is_that_of_the_cpu():
    qkv = torch.randn(2, 17, 3 * 64)
    torch.testing.assert_close(attend(qkv.cuda(), 4).cpu(), attend(qkv, 4), atol=1e-4, rtol=1e-4)


def test_the_loss_of_a_masked_autoencoder_is_that_of_the_cpu():
    encoder = VisionTransformer((16, 16), (4, 4), 3, 32, 2, 4)
    module = MaskedAutoencoder(encoder, Decoder(encoder, 16, 1, 2))
    x, noise = torch.randn(4, 3, 16, 16), torch.rand(4, 16)
    here = module(x, random_masking(noise, 0.75))
    there = module.cuda()(x.cuda(), random_masking(noise.cuda(), 0.75))
    torch.testing.assert_close(there.cpu(), here, atol=1e-4, rtol=1e-4)


class Batches:
    """A loader whose batches are there already."""

    def __init__(self, device: str) -> None:
        self.device = torch.device(device)

    def eval_batches(self, batch_size):
        for i in range(3):
            image = torch.full((batch_size, 3, 16, 16), float(i), device=self.device)
            tensors = {"image": image, "label": torch.full((batch_size,), i, device=self.device)}
            yield Batch(tensors, Draws(0, 0, torch.arange(batch_size)), [f"{i}.{j}" for j in range(batch_size)])


def test_features_are_read_without_a_wait_for_the_batch_at_work():
    encoder = VisionTransformer((16, 16), (4, 4), 3, 32, 2, 4).cuda()
    list(blocks(encoder, Batches("cuda"), 2, torch.float32))  # what is made once may wait
    torch.cuda.set_sync_debug_mode("error")
    try:
        found = list(blocks(encoder, Batches("cuda"), 2, torch.float32))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert [block.labels.tolist() for block in found] == [[0, 0], [1, 1], [2, 2]]
    expected = extract(encoder.cpu(), Batches("cpu"), 2, torch.float32)
    torch.testing.assert_close(torch.cat([block.values for block in found]), expected.values, atol=1e-4, rtol=1e-4)


def test_a_run_on_cuda_finishes_and_can_be_repeated_on_the_cpu(tmp_path):
    flags = {"dataset.name": "digits", "out": str(tmp_path / "run"), "device": "cuda"}
    spec = request(Ask("pretrain", flags=flags, sets=TOY), registry())
    result = train(spec, registry(), Progress())
    assert result.evaluation is not None
    weights = load_file(find_checkpoint(result.run.path).path / MODEL)
    assert all(torch.isfinite(value).all() for value in weights.values())
    flags = {"init": str(result.run), "device": "cpu", "out": str(tmp_path / "f")}
    again = request(Ask("finetune", flags=flags), registry())
    short = again.model_copy(update={"train": again.train.model_copy(update={"max_steps": 2})})
    assert train(short, registry(), Progress()).evaluation is not None
