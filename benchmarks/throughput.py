"""How fast a pretraining step is, beside the same step of Hugging Face's ViTMAE.

    uv run python benchmarks/throughput.py                 both sizes, torch.compile off
    uv run python benchmarks/throughput.py --compile       also with torch.compile on both sides
    uv run python benchmarks/throughput.py --sizes tiny --steps 20

Each side lives in a process of its own, as its users get it: ours with its trainer's step (and its allocator setting),
theirs with autocast and the fused AdamW that its Trainer takes. Both start from the same weights, and have to give the
same loss for the same pictures and mask; then they take turns, and the median of each is compared. A turn is one step
that is not timed, to wake up from waiting, and one that is.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Size:
    """One setting, the same for both sides."""

    img_size: int
    patch_size: int
    embed_dim: int
    depth: int
    num_heads: int
    decoder: tuple[int, int, int]
    batch_size: int


SIZES = {
    "tiny": Size(32, 4, 192, 12, 3, (128, 4, 4), 256),
    "base": Size(224, 16, 768, 12, 12, (512, 8, 16), 16),
}
WARM_UP = 3
MASK_RATIO = 0.75


def make_theirs(size: Size) -> Any:
    import torch
    from transformers import ViTMAEConfig, ViTMAEForPreTraining

    torch.manual_seed(0)
    width, depth, heads = size.decoder
    config = ViTMAEConfig(
        image_size=size.img_size,
        patch_size=size.patch_size,
        hidden_size=size.embed_dim,
        num_hidden_layers=size.depth,
        num_attention_heads=size.num_heads,
        intermediate_size=4 * size.embed_dim,
        decoder_hidden_size=width,
        decoder_num_hidden_layers=depth,
        decoder_num_attention_heads=heads,
        decoder_intermediate_size=4 * width,
        mask_ratio=MASK_RATIO,
    )
    return ViTMAEForPreTraining(config).train()


class Theirs:
    """A plain loop around Hugging Face's model."""

    def __init__(self, size: Size, compiled: bool, weights: Path, batch_size: int) -> None:
        import torch
        from safetensors.torch import load_file

        from maecli.hardware import choose_device, choose_dtype

        self.device = choose_device("auto")
        self.dtype = choose_dtype("auto", self.device)
        self.model = make_theirs(size)
        self.model.load_state_dict(load_file(weights))
        self.model.to(self.device)
        self.running = torch.compile(self.model) if compiled else self.model
        fused = self.device.type in ("cpu", "cuda")
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-4, fused=fused)
        self.images = pictures(size, batch_size).to(self.device)

    def first_loss(self) -> float:
        import torch

        num_patches = self.model.config.image_size // self.model.config.patch_size
        with torch.no_grad(), torch.autocast(self.device.type, self.dtype, enabled=self.dtype == torch.bfloat16):
            loss = self.model(self.images, noise=noise(len(self.images), num_patches**2).to(self.device)).loss
        return float(loss)

    def step(self) -> None:
        import torch

        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype == torch.bfloat16):
            loss = self.running(self.images).loss
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()


class Ours:
    """The trainer's own step on a batch that is there already."""

    def __init__(self, size: Size, compiled: bool, weights: Path, batch_size: int) -> None:
        from hugging_face import from_hf_vit_mae
        from safetensors.torch import load_file

        from maecli import hardware
        from maecli.data.card import DataCard
        from maecli.data.sample import TensorSplit
        from maecli.loading.resident import ResidentLoader
        from maecli.modalities.preprocess import Preprocess
        from maecli.models.mae import Decoder, MaskedAutoencoder
        from maecli.models.vit import VisionTransformer
        from maecli.registry import registry
        from maecli.schema import PluginSection, PretrainSpec, TrainSpec
        from maecli.training.loop.trainer import Trainer

        hardware.keep_freed_memory()
        self.device = hardware.choose_device("auto")
        self.dtype = hardware.choose_dtype("auto", self.device)
        side, patch = (size.img_size,) * 2, (size.patch_size,) * 2
        encoder = VisionTransformer(side, patch, 3, size.embed_dim, size.depth, size.num_heads, norm_eps=1e-12)
        decoder = Decoder(encoder, *size.decoder, norm_eps=1e-12)
        self.module = MaskedAutoencoder(encoder, decoder)
        self.module.load_state_dict(from_hf_vit_mae(load_file(weights)))
        self.module.to(self.device)

        card = DataCard(
            name="benchmark",
            title="random pictures",
            fields=("image",),
            channels=3,
            size=side,
            mean=(0.5,) * 3,
            std=(0.5,) * 3,
            split_sizes={"train": batch_size},
            split_origin="none",
        )
        preprocess = Preprocess.of(card, side)
        plugin = registry().task("reconstruct")
        self.task = plugin(plugin.Options(mask_ratio=MASK_RATIO), card, preprocess)
        self.task.patch_size = patch
        spec = PretrainSpec(
            dataset=PluginSection(name="benchmark"),
            task=PluginSection(name="reconstruct"),
            model=PluginSection(name="benchmark"),
            train=TrainSpec(batch_size=batch_size, epochs=10_000),
            compile=compiled,
        )
        self.images = pictures(size, batch_size).to(self.device)
        split = TensorSplit({"image": self.images.cpu()})
        loader = ResidentLoader(split, preprocess, self.device, 0)
        self.trainer = Trainer(self.task, self.module, spec, loader, None, self.dtype)
        self.module.train()

    def first_loss(self) -> float:
        import torch

        from maecli.hardware import autocast
        from maecli.models.masking import random_masking

        grid = self.module.encoder.grid
        with torch.no_grad(), autocast(self.device, self.dtype):
            masking = random_masking(noise(len(self.images), grid[0] * grid[1]).to(self.device), MASK_RATIO)
            return float(self.module(self.images, masking))

    def step(self) -> None:
        import torch

        from maecli.data.batch import Batch
        from maecli.data.randomness import Draws

        ids = torch.arange(len(self.images), device=self.device)
        self.trainer.train_step(Batch({"image": self.images}, Draws(0, self.trainer.step, ids)))
        self.trainer.step += 1


def pictures(size: Size, batch_size: int) -> Any:
    import torch

    return torch.randn(batch_size, 3, size.img_size, size.img_size, generator=torch.Generator().manual_seed(1))


def noise(batch_size: int, num_patches: int) -> Any:
    import torch

    return torch.rand(batch_size, num_patches, generator=torch.Generator().manual_seed(2))


def product_rate(device: Any, dtype: Any) -> float:
    """Return the matrix products that the device does, in 1e12 operations per second: the best of ten."""
    import torch

    n = 8192 if device.type == "cuda" else 2048
    a, b = (torch.randn(n, n, device=device).to(dtype) for _ in range(2))
    best = float("inf")
    for _ in range(10):
        begin = time.perf_counter()
        a @ b
        finish(device)
        best = min(best, time.perf_counter() - begin)
    return 2 * n**3 / best / 1e12


def finish(device: Any) -> None:
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize()


def count_linear(x: Sequence[int], weight: Sequence[int], *_: Any, **__: Any) -> int:
    """Return the operations of a linear layer that `kernels.amx` hands to oneDNN, which torch does not count."""
    return 2 * math.prod(x) * weight[0]


def serve(side: str, size: Size, compiled: bool, weights: Path, batch_size: int) -> None:
    """Do what the parent asks for, one line at a time."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from maecli.hardware import describe_device
    from maecli.models.kernels import amx

    worker = (Ours if side == "ours" else Theirs)(size, compiled, weights, batch_size)
    for line in sys.stdin:
        answer: dict[str, Any] = {}
        match line.strip():
            case "loss":
                answer = {"loss": worker.first_loss()}
            case "machine":
                answer = {
                    "device": describe_device(worker.device),
                    "precision": str(worker.dtype).removeprefix("torch."),
                    "rate": product_rate(worker.device, worker.dtype),
                }
            case "count":
                products = {torch.ops.mkldnn._linear_pointwise: count_linear} if amx.AMX else {}
                with FlopCounterMode(display=False, custom_mapping=products) as counter:
                    worker.step()
                answer = {"operations": counter.get_total_flops()}
            case "step":
                worker.step()  # untimed: waiting for its turn put the threads to sleep and cooled the caches
                finish(worker.device)
                begin = time.perf_counter()
                worker.step()
                finish(worker.device)
                answer = {"seconds": time.perf_counter() - begin}
        print(json.dumps(answer), flush=True)


class Side:
    """The parent's end of a worker process."""

    def __init__(self, side: str, size: str, compiled: bool, weights: Path, batch_size: int) -> None:
        command = [sys.executable, __file__, "--serve", side, "--sizes", size, "--weights", str(weights)]
        command += ["--batch-size", str(batch_size)] + (["--compile"] if compiled else [])
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, what: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"a worker ended with {self.process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def compare(name: str, compiled: bool, steps: int, weights: Path, batch_size: int) -> dict[str, Any]:
    """Return one row of the table."""
    ours, theirs = (Side(side, name, compiled, weights, batch_size) for side in ("ours", "theirs"))
    try:
        losses = ours.ask("loss")["loss"], theirs.ask("loss")["loss"]
        machine = ours.ask("machine")
        operations = ours.ask("count")["operations"] if not compiled else None
        for _ in range(WARM_UP):
            ours.ask("step")
            theirs.ask("step")
        seconds: tuple[list[float], list[float]] = ([], [])
        for _ in range(steps):
            seconds[0].append(ours.ask("step")["seconds"])
            seconds[1].append(theirs.ask("step")["seconds"])
    finally:
        ours.close()
        theirs.close()
    if abs(losses[0] - losses[1]) > 0.01 * losses[1]:
        raise SystemExit(f"{name}: losses differ at the start, {losses[0]:.5f} and {losses[1]:.5f}")
    mine, peer = (statistics.median(each) for each in seconds)
    return {
        "size": name,
        "compile": compiled,
        "batch_size": batch_size,
        "loss_ours": losses[0],
        "loss_theirs": losses[1],
        "ours_per_s": batch_size / mine,
        "theirs_per_s": batch_size / peer,
        "ratio": peer / mine,
        "ratio_of_best": min(seconds[1]) / min(seconds[0]),
        "share_of_products": operations / mine / 1e12 / machine["rate"] if operations else None,
        **machine,
    }


def show(row: dict[str, Any]) -> None:
    share = f"{row['share_of_products']:.0%}" if row["share_of_products"] else ""
    print(
        f"| {row['size']} | {'on' if row['compile'] else 'off'} | {row['batch_size']} | {row['precision']} | "
        f"{row['ours_per_s']:,.1f} | {row['theirs_per_s']:,.1f} | {row['ratio']:.2f} | {row['ratio_of_best']:.2f} | "
        f"{share} | {row['loss_ours']:.4f} / {row['loss_theirs']:.4f} |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", choices=list(SIZES), default=list(SIZES))
    parser.add_argument("--steps", type=int, default=15, help="timed steps of each side")
    parser.add_argument("--batch-size", type=int, help="default: 256 for tiny, 16 for base")
    parser.add_argument("--compile", action="store_true", help="add rows with torch.compile on both sides")
    parser.add_argument("--json", action="store_true", help="one JSON object per row instead of a table")
    parser.add_argument("--serve", choices=("ours", "theirs"), help=argparse.SUPPRESS)
    parser.add_argument("--weights", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(args.serve, SIZES[args.sizes[0]], args.compile, args.weights, args.batch_size)
        return

    from safetensors.torch import save_file

    if not args.json:
        print("| size | compile | batch | precision | ours/s | theirs/s | ratio | of best | of products | losses |")
        print("|---|---|---|---|---|---|---|---|---|---|")
    for name in args.sizes:
        with tempfile.TemporaryDirectory() as folder:
            weights = Path(folder) / "weights.safetensors"
            save_file(make_theirs(SIZES[name]).state_dict(), weights)
            for compiled in (False, True) if args.compile else (False,):
                batch_size = args.batch_size or SIZES[name].batch_size
                row = compare(name, compiled, args.steps, weights, batch_size)
                print(json.dumps(row), flush=True) if args.json else show(row)
    if not args.json:
        print(f"\n{row['device']}; matrix products in {row['precision']}: {row['rate']:.2f} TFLOP/s")


if __name__ == "__main__":
    main()
