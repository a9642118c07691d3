"""timm: a folder that `create_model` loads, as `local-dir:` or from the hub, and a file for its `checkpoint_path`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from maecli import api

from .pictures import check_answers, check_pictures, classified, inputs, opened, temperature

TARGET = "models of timm"

CODE = """\
import timm
from PIL import Image, ImageOps

model = timm.create_model("local-dir:FOLDER", pretrained=True).eval()  # or hf-hub:OWNER/NAME
transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model))
{picture}
"""


class Timm(api.export.ExportFormat):
    """A folder that timm loads, by `timm.create_model("local-dir:FOLDER", pretrained=True)`, or from the hub.

    Its `model.safetensors` is a `checkpoint_path` too, for a model with the `model_args` of `config.json`. Of a
    pretrained run it is the encoder, which gives features. The temperature that calibrates probabilities is in the
    weights.
    """

    name = "timm"
    modules = ("timm",)
    install = "pip install 'maecli[timm]'"
    library = "timm"
    tolerance = 1e-4

    def usage(self, model: api.export.ExportedModel) -> str:
        code = CODE.format(picture=opened(model.card.channels, model.preprocess.in_chans))
        if isinstance(model.module, api.nets.MaskedAutoencoder):
            return f"{code}features = model(transform(picture)[None])  # the mean of the patch tokens\n"
        made = "sigmoid()" if model.card.multi_label else "softmax(-1)"
        return f"{code}probabilities = model(transform(picture)[None]).{made}[0]\n"

    def write(self, model: api.export.ExportedModel, path: Path) -> None:
        from safetensors.torch import save_file

        check_answers(model, TARGET)
        check_pictures(model, TARGET)
        written = api.export.to_timm(model.module, temperature(model))
        config = written.config | {"pretrained_cfg": _pretrained_cfg(model, written.config)}
        if written.config["num_classes"]:
            config["label_names"] = list(model.card.classes)
        (path / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        save_file(written.tensors, path / "model.safetensors", {"format": "pt"})
        api.export.let_others_read(path / "model.safetensors")

    def check(self, model: api.export.ExportedModel, path: Path) -> Sequence[api.export.Agreement]:
        import timm

        theirs: Any = timm.create_model(f"local-dir:{path}", pretrained=True).eval()
        x, module = inputs(model), model.module
        with torch.no_grad():
            if isinstance(module, api.nets.MaskedAutoencoder):
                tokens = module.encoder(x)
                return api.export.compared({"tokens": tokens}, {"tokens": theirs.forward_features(x)}, self.tolerance)
            return api.export.compared(*classified(model, x, theirs(x)), self.tolerance)


def _pretrained_cfg(model: api.export.ExportedModel, config: dict[str, Any]) -> dict[str, Any]:
    """Return what timm keeps of weights: input, normalisation, and which layers are the first and the last."""
    height, width = model.preprocess.img_size
    return {
        "num_classes": config["num_classes"],
        "input_size": [model.preprocess.in_chans, height, width],
        "fixed_input_size": True,
        "interpolation": "bilinear",
        "crop_pct": 1.0,
        "crop_mode": "center",
        "mean": list(model.preprocess.mean),
        "std": list(model.preprocess.std),
        "first_conv": "patch_embed.proj",
        "classifier": "head",
    }


@api.hookimpl
def mae_exports() -> list[type[api.export.ExportFormat]]:
    return [Timm]
