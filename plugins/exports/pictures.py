"""What models of other libraries are told of pictures: which they take, how these are opened, and what is compared."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from maecli import api

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
"""How Pillow names pictures of so many channels."""

OPENED = """\
picture = ImageOps.exif_transpose(Image.open("picture.png"))  # upright; of 8 bits
if picture.has_transparency_data:
    white = Image.new("RGBA", picture.size, "white")
    picture = Image.alpha_composite(white, picture.convert("RGBA"))  # what is transparent lies on white
picture = picture"""
"""As `mae infer` opens pictures of one channel or three; to be followed by what converts them."""
IMPORTS = "from PIL import Image, ImageOps\n"


def check_pictures(model: api.export.ExportedModel, target: str) -> None:
    """Raise SpecError for pictures that are not of 8 bits, or not only resized and normalised."""
    preprocess, card = model.preprocess, model.card
    value_range = preprocess.for_files(card).value_range
    if preprocess.modality.pictorial and (card.dtype != "uint8" or value_range != (0.0, 255.0)):
        ends = "to".join(f" {value:g} " for value in torch.tensor(value_range).aminmax())
        raise api.SpecError(
            f"{target} read pictures of 8 bits, and this run's hold values from{ends}({card.dtype}); --format onnx "
            "takes those"
        )
    if preprocess.missing:
        raise api.SpecError(f"{target} have no word for missing pixels, which this run's pictures have")
    if preprocess.how != "resize":
        raise api.SpecError(f"{target} resize pictures, and this run cuts a part out of them (data.fit)")


def check_answers(model: api.export.ExportedModel, target: str) -> None:
    """Raise SpecError for a head whose numbers are no classes."""
    if isinstance(model.module, api.nets.Classifier) and "label" not in model.task.fields:
        raise api.SpecError(f"{target} name classes, and task {model.task.name} answers with other numbers")


def opened(channels: int, into: int) -> str:
    """Return Python code that opens a picture as a run of so many channels does, and copies a grey one `into` three."""
    if channels not in MODES:
        return 'picture = Image.open("picture.png")  # yours'
    code = OPENED if channels != 4 else OPENED.partition("\n")[0] + "\npicture = picture"
    return code + "".join(f'.convert("{MODES[num]}")' for num in dict.fromkeys((channels, into)) if num in MODES)


def sample_code(model: api.export.ExportedModel) -> tuple[str, str]:
    """Return Python code with numpy that makes `samples` for a file that holds the graph: its imports, and itself."""
    raw, dtype = model.raw, str(model.raw.dtype).removeprefix("torch.")
    if raw.size is None and raw.channels in MODES and model.preprocess.modality.pictorial:
        axes = "[None, None]" if raw.channels == 1 else ".transpose(2, 0, 1)[None]"
        if model.card.dtype == "uint8":
            return IMPORTS, f'{opened(raw.channels, raw.channels)}\nsamples = numpy.asarray(picture, "{dtype}"){axes}'
        if raw.channels == 1:
            picture = 'ImageOps.exif_transpose(Image.open("picture.png"))  # grey, with as many bits as the data had'
            return IMPORTS, f'picture = {picture}\nsamples = numpy.asarray(picture, "{dtype}"){axes}'
    shape = (1, raw.channels, *(raw.size or model.preprocess.img_size))
    return "", f'samples = numpy.zeros({shape}, "{dtype}")  # yours'


def outputs(model: api.export.ExportedModel) -> api.export.Outputs | None:
    """Return what a classifier answers; None for what is not one."""
    return model.task.export(model.module) if isinstance(model.module, api.nets.Classifier) else None


def temperature(model: api.export.ExportedModel) -> float:
    """Return what a classifier's logits are divided by before they are probabilities."""
    answers = outputs(model)
    return answers.temperature if answers is not None else 1.0


def inputs(model: api.export.ExportedModel) -> Tensor:
    """Return the samples as the model sees them, (B, C, H, W)."""
    return torch.stack([sample.x for sample in model.samples])


def classified(
    model: api.export.ExportedModel, x: Tensor, logits: Tensor
) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
    """Return the probabilities that the run gives samples, and those that another library makes of its logits."""
    answers = outputs(model)
    assert answers is not None
    theirs = logits.sigmoid() if model.card.multi_label else logits.softmax(1)
    return {"probabilities": answers(x)["probabilities"]}, {"probabilities": theirs}
