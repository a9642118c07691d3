"""Hugging Face's transformers: a folder that `from_pretrained` loads."""

from __future__ import annotations

import contextlib
import importlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from maecli import api

from .pictures import check_answers, check_pictures, classified, inputs, opened, temperature

TARGET = "models of transformers"
BILINEAR = 2
"""As Pillow numbers it."""
PIXEL_TOLERANCE = 0.05
"""In deviations: a level of 255 in which two ways of resizing may differ."""

BY_PROCESSOR = "of pictures in other proportions than the model's, by its processor"

CLASSIFIER = """\
from PIL import Image, ImageOps
from transformers import AutoImageProcessor, AutoModelForImageClassification

processor = AutoImageProcessor.from_pretrained("FOLDER")  # or OWNER/NAME on the hub
model = AutoModelForImageClassification.from_pretrained("FOLDER").eval()
{picture}
inputs = processor(picture, return_tensors="pt")
probabilities = model(**inputs).logits.{made}[0]
for number, probability in enumerate(probabilities.tolist()):
    print(model.config.id2label[number], round(probability, 4))
"""
PRETRAINED = """\
from PIL import Image, ImageOps
from transformers import AutoImageProcessor, ViTMAEForPreTraining, ViTModel

processor = AutoImageProcessor.from_pretrained("FOLDER")  # or OWNER/NAME on the hub
{picture}
inputs = processor(picture, return_tensors="pt")
encoder = ViTModel.from_pretrained("FOLDER", add_pooling_layer=False).eval()  # leaves the decoder aside
tokens = encoder(**inputs).last_hidden_state  # the class token, then the patches
autoencoder = ViTMAEForPreTraining.from_pretrained("FOLDER")
"""


class HuggingFace(api.export.ExportFormat):
    """A folder that transformers 4 and 5 load, with a processor for its pictures, and a model card.

    A pretrained run is `ViTMAEForPreTraining`, whose encoder `ViTModel` loads too. A classifier is
    `ViTForImageClassification` where it reads the class token, and `Dinov2ForImageClassification` where it reads the
    mean of the patches, as `AutoModelForImageClassification` finds out. The temperature that calibrates probabilities
    is in the weights.
    """

    name = "hf"
    modules = ("transformers",)
    install = "pip install 'maecli[hf]'"
    library = "transformers"
    tolerance = 1e-4

    def usage(self, model: api.export.ExportedModel) -> str:
        picture = opened(model.card.channels, model.preprocess.in_chans)
        if isinstance(model.module, api.nets.MaskedAutoencoder):
            return PRETRAINED.format(picture=picture)
        made = "sigmoid()" if model.card.multi_label else "softmax(-1)"
        return CLASSIFIER.format(picture=picture, made=made)

    def write(self, model: api.export.ExportedModel, path: Path) -> None:
        from safetensors.torch import save_file

        check_answers(model, TARGET)
        check_pictures(model, TARGET)
        written = api.export.to_hugging_face(model.module, temperature(model))
        _write_json(path / "config.json", written.config | _task_config(model))
        _write_json(path / "preprocessor_config.json", _processor(model))
        save_file(written.tensors, path / "model.safetensors", {"format": "pt"})
        api.export.let_others_read(path / "model.safetensors")

    def check(self, model: api.export.ExportedModel, path: Path) -> Sequence[api.export.Agreement]:
        with _quiet(), torch.no_grad():
            x = inputs(model)
            return [*api.export.compared(*_answers(model, path, x, x), self.tolerance), *_processed(model, path)]


def _task_config(model: api.export.ExportedModel) -> dict[str, Any]:
    """Return what a config tells of the task."""
    if isinstance(model.module, api.nets.MaskedAutoencoder):
        return {"mask_ratio": model.task.options.mask_ratio}
    names = dict(enumerate(model.card.classes))
    kind = "multi_label_classification" if model.card.multi_label else "single_label_classification"
    labels = {str(number): name for number, name in names.items()}
    return {"id2label": labels, "label2id": {name: number for number, name in names.items()}, "problem_type": kind}


def _processor(model: api.export.ExportedModel) -> dict[str, Any]:
    """Return how a picture becomes numbers: its centred part in the model's proportions is resized.

    For models that are not square transformers has no such way, and the whole picture is squeezed.
    """
    height, width = model.preprocess.img_size
    squares: dict[str, Any] = {
        "image_processor_type": "BitImageProcessor",
        "size": {"shortest_edge": height},
        "do_center_crop": True,
        "crop_size": {"height": height, "width": width},
    }
    others: dict[str, Any] = {"image_processor_type": "ViTImageProcessor", "size": {"height": height, "width": width}}
    return {
        **(squares if height == width else others),
        "do_resize": True,
        "resample": BILINEAR,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(model.preprocess.mean),
        "image_std": list(model.preprocess.std),
        "do_convert_rgb": model.card.channels == 3,
    }


def _answers(
    model: api.export.ExportedModel, path: Path, x: Tensor, seen: Tensor
) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
    """Return our answers to x, and theirs to what they have `seen`.

    Of a pretraining these are the predicted patches under the same masks, and the encoder's tokens.
    """
    from transformers import AutoModelForImageClassification, ViTMAEForPreTraining, ViTModel

    module = model.module
    if not isinstance(module, api.nets.MaskedAutoencoder):
        return classified(model, x, _loaded(AutoModelForImageClassification, path)(seen).logits)
    num_patches = math.prod(module.encoder.grid)
    noise = torch.rand(len(x), num_patches, generator=torch.Generator().manual_seed(0))
    num_kept = int(num_patches * (1 - model.task.options.mask_ratio))  # theirs
    patches = _loaded(ViTMAEForPreTraining, path)(seen, noise=noise).logits
    tokens = _loaded(ViTModel, path, beside="decoder.", add_pooling_layer=False)(seen).last_hidden_state
    kept = noise.argsort(dim=1)[:, :num_kept]
    ours = {"predicted patches": module.reconstruct(x, kept), "tokens": module.encoder(x)}
    return ours, {"predicted patches": patches, "tokens": tokens}


def _loaded(kind: Any, path: Path, beside: str = "", **settings: Any) -> Any:
    """Return a model that was loaded whole; names that begin with `beside` may be left over.

    Raises SpecError where it has tensors that the file has not, or the other way round.
    """
    model, report = kind.from_pretrained(path, local_files_only=True, output_loading_info=True, **settings)
    left_over = [name for name in report["unexpected_keys"] if not beside or not name.startswith(beside)]
    if unmatched := [*report["missing_keys"], *left_over]:
        raise api.SpecError(f"{type(model).__name__} of this transformers has another name for {unmatched[0]}")
    return model.eval()


def _processed(model: api.export.ExportedModel, path: Path) -> list[api.export.Agreement]:
    """Return how far what the processor makes of pictures of 8 bits is from ours.

    Of those in the proportions of the model these are its numbers. Others it resizes and cuts otherwise: of
    these it is told how far the answers are from ours.
    """
    transformers: Any = importlib.import_module("transformers")  # its processors are not typed

    height, width = model.preprocess.img_size
    processor = transformers.AutoImageProcessor.from_pretrained(path, local_files_only=True)
    pairs: dict[bool, list[tuple[Tensor, Tensor]]] = {True: [], False: []}
    for each in model.samples:
        if each.raw.dtype != torch.uint8:
            continue
        picture = each.raw.expand(model.preprocess.in_chans, -1, -1).numpy()  # grey ones are copied
        seen = processor(picture, return_tensors="pt", input_data_format="channels_first")["pixel_values"][0]
        pairs[picture.shape[1] * width == picture.shape[2] * height].append((each.x, seen))
    alike, others = (tuple(map(torch.stack, zip(*pairs[key], strict=True))) for key in (True, False))
    found = api.export.compared({"pixels": alike[0]}, {"pixels": alike[1]}, PIXEL_TOLERANCE) if alike else []
    told = api.export.compared(*_answers(model, path, *others), None) if others else []
    return [*found, *(replace(one, output=f"{one.output} {BY_PROCESSOR}") for one in told)]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers from telling of its bars, and of tensors that are left over on purpose."""
    logging: Any = importlib.import_module("transformers.utils.logging")
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        logging.enable_progress_bar()


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=True) + "\n", encoding="utf-8")


@api.hookimpl
def mae_exports() -> list[type[api.export.ExportFormat]]:
    return [HuggingFace]
