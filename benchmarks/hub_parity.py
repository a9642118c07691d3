"""Whether folders as `mae export --format hf` and `timm` write them answer alike in other versions of these libraries.

    uv venv /tmp/hub
    uv pip install --python /tmp/hub/bin/python "transformers>=4.50,<5" timm torchvision
    uv run python benchmarks/hub_parity.py --python /tmp/hub/bin/python

Models of random weights are written here, with samples and our answers beside them, and loaded there.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

TOLERANCE = 1e-4
ANSWERS = "answers.safetensors"
SIZE, CHANNELS, CLASSES = (32, 32), 3, 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", default=sys.executable, help="Python of the environment with the other versions")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside is not None:
        check(arguments.inside)
        return
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder))
        subprocess.run([arguments.python, __file__, "--inside", folder], check=True)


def write(folder: Path) -> None:
    """Write models under their names, with samples and what ours make of them."""
    for name, outward, answers in models():
        place = folder / name
        place.mkdir()
        (place / "config.json").write_text(json.dumps(outward.config))
        save_file(outward.tensors, place / "model.safetensors", {"format": "pt"})
        save_file(answers, place / ANSWERS)


def models() -> Iterator[tuple[str, Any, dict[str, torch.Tensor]]]:
    """Yield names, models of others, and samples with our answers."""
    from maecli.models.heads import Classifier, ClassifierHead
    from maecli.models.mae import Decoder, MaskedAutoencoder
    from maecli.models.vit import VisionTransformer
    from maecli.weights.outward import to_hugging_face, to_timm

    def stirred(module: Any) -> Any:
        for parameter in module.parameters():
            parameter.data += 0.05 * torch.randn_like(parameter)
        return module.eval()

    torch.manual_seed(0)
    x = torch.randn(8, CHANNELS, *SIZE)
    for layer_scale in (None, 0.5):
        encoder = stirred(VisionTransformer(SIZE, (4, 4), CHANNELS, 192, 12, 3, layer_scale=layer_scale))
        scaled = "" if layer_scale is None else "-scaled"
        for pool in ("cls", "mean"):
            module = Classifier(encoder, stirred(ClassifierHead(192, CLASSES)), pool)
            with torch.no_grad():
                answers = {"x": x, "logits": module(x)}
            theirs = to_hugging_face(module)
            theirs.config["id2label"] = {str(q): f"class {q}" for q in range(CLASSES)}
            yield f"hf-{pool}{scaled}", theirs, answers
            timm = to_timm(module)
            timm.config["pretrained_cfg"] = {"input_size": [CHANNELS, *SIZE], "num_classes": CLASSES}
            yield f"timm-{pool}{scaled}", timm, answers
        autoencoder = MaskedAutoencoder(encoder, stirred(Decoder(encoder, 128, 4, 4))).eval()
        noise = torch.rand(len(x), 64)
        with torch.no_grad():
            patches = autoencoder.reconstruct(x, noise.argsort(1)[:, :16])
            answers = {"x": x, "noise": noise, "patches": patches, "tokens": encoder(x)}
        yield f"hf-mae{scaled}", to_hugging_face(autoencoder), answers


@torch.no_grad()
def check(folder: Path) -> None:
    """Load all by the libraries that are installed here, and print how far their answers are from ours."""
    import timm
    import transformers

    transformers.logging.set_verbosity_error()
    print(f"transformers {transformers.__version__}, timm {timm.__version__}, torch {torch.__version__}")
    worst = 0.0
    for place in sorted(folder.iterdir()):
        answers = load_file(place / ANSWERS)
        x = answers["x"]
        if place.name.startswith("timm"):
            made = {"logits": timm.create_model(f"local-dir:{place}", pretrained=True).eval()(x)}
        elif place.name.startswith("hf-mae"):
            autoencoder = transformers.ViTMAEForPreTraining.from_pretrained(place).eval()
            encoder = transformers.ViTModel.from_pretrained(place, add_pooling_layer=False).eval()
            made = {"patches": autoencoder(x, noise=answers["noise"]).logits, "tokens": encoder(x).last_hidden_state}
        else:
            made = {"logits": transformers.AutoModelForImageClassification.from_pretrained(place).eval()(x).logits}
        for name, theirs in made.items():
            difference = float((theirs - answers[name]).abs().max() / max(1.0, float(answers[name].abs().max())))
            print(f"{place.name:18} {name:8} largest difference {difference:.2g}")
            worst = max(worst, difference)
    if worst > TOLERANCE:
        sys.exit(f"more than {TOLERANCE:g} apart")


if __name__ == "__main__":
    main()
