"""What transformers and timm make of a run's folder: one module, for their imports take seconds."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import timm
import torch
import transformers
from huggingface_hub import ModelCard
from maecli_plugins.exports.pictures import check_pictures
from maecli_plugins.models.hybrid import HybridVisionTransformer
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from maecli.data.card import DataCard
from maecli.errors import SpecError
from maecli.exporting.model import ExportSample
from maecli.modalities.preprocess import Preprocess
from maecli.models.heads import Classifier, ClassifierHead
from maecli.models.mae import Decoder, MaskedAutoencoder
from maecli.models.vit import VisionTransformer
from maecli.registry import registry
from maecli.weights.files import read_weights
from maecli.weights.formats import import_encoder
from maecli.weights.outward import Outward, to_hugging_face, to_timm

CLASSES = 3
TOLERANCE = 1e-5


def encoder_of(size: tuple[int, ...] = (8, 8), patch_size: tuple[int, ...] = (4, 4), **options) -> VisionTransformer:
    torch.manual_seed(0)
    encoder = VisionTransformer(size, patch_size, 2, embed_dim=8, depth=1, num_heads=2, **{"mlp_ratio": 2.0} | options)
    return stirred(encoder)


def classifier(encoder: VisionTransformer, pool: str = "mean", kind: str = "linear", norm: str = "batch") -> Classifier:
    module = Classifier(encoder, stirred(ClassifierHead(8, CLASSES, kind, norm)), pool)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d):
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2.0)
    return module.eval()


def autoencoder(encoder: VisionTransformer) -> MaskedAutoencoder:
    return MaskedAutoencoder(encoder, stirred(Decoder(encoder, 8, 1, 2)), norm_pix_loss=True).eval()


def stirred(module: nn.Module) -> nn.Module:
    """Return a module whose weights are none that anything begins with."""
    for parameter in module.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return module.eval()


def written(outward: Outward, folder: Path, **more) -> Path:
    (folder / "config.json").write_text(json.dumps(outward.config | more))
    save_file(outward.tensors, folder / "model.safetensors", {"format": "pt"})
    return folder


def probabilities(module: Classifier, x: Tensor, temperature: float) -> Tensor:
    return (module(x) / temperature).softmax(1)


CASES = [
    ((8, 8), "mean", None),
    ((8, 8), "mean", 0.5),
    ((8, 8), "cls", None),
    ((8, 12), "cls", 0.5),
]


@pytest.mark.parametrize(("size", "pool", "layer_scale"), CASES)
@torch.no_grad()
def test_transformers_gives_the_calibrated_probabilities_of_a_classifier(tmp_path, size, pool, layer_scale):
    module, x = classifier(encoder_of(size, layer_scale=layer_scale), pool), torch.randn(2, 2, *size)
    folder = written(to_hugging_face(module, 1.7), tmp_path, id2label={str(q): f"c{q}" for q in range(CLASSES)})
    kind = transformers.AutoModelForImageClassification
    theirs, report = kind.from_pretrained(folder, output_loading_info=True)
    assert not any(report.values())
    assert type(theirs).__name__ == f"{'ViT' if pool == 'cls' else 'Dinov2'}ForImageClassification"
    torch.testing.assert_close(
        theirs.eval()(x).logits.softmax(1), probabilities(module, x, 1.7), atol=TOLERANCE, rtol=0
    )


@pytest.mark.parametrize(("size", "pool", "layer_scale"), [*CASES, ((8, 12), "mean", None)])
@torch.no_grad()
def test_timm_gives_the_calibrated_probabilities_of_a_classifier(tmp_path, size, pool, layer_scale):
    module, x = classifier(encoder_of(size, layer_scale=layer_scale), pool), torch.randn(2, 2, *size)
    outward = to_timm(module, 1.7)
    folder = written(outward, tmp_path, pretrained_cfg={"input_size": [2, *size], "num_classes": CLASSES})
    of_folder = timm.create_model(f"local-dir:{folder}", pretrained=True)
    weights = str(folder / "model.safetensors")
    of_file = timm.create_model(
        outward.config["architecture"], checkpoint_path=weights, num_classes=CLASSES, **outward.config["model_args"]
    )
    for theirs in (of_folder, of_file):
        made = theirs.eval()(x).softmax(1)
        torch.testing.assert_close(made, probabilities(module, x, 1.7), atol=TOLERANCE, rtol=0)


@torch.no_grad()
def test_encoders_come_back_as_they_were(tmp_path):
    encoder = encoder_of()
    x = torch.randn(2, 2, 8, 8)
    for name, outward in {
        "mae": to_hugging_face(autoencoder(encoder)),
        "vit": to_hugging_face(classifier(encoder, "cls")),
        "dinov2": to_hugging_face(classifier(encoder)),
        "timm": to_timm(autoencoder(encoder)),
        "timm-classifier": to_timm(classifier(encoder)),
    }.items():
        (tmp_path / name).mkdir()
        folder = written(outward, tmp_path / name, pretrained_cfg={"input_size": [2, 8, 8], "num_classes": 0})
        back = import_encoder(read_weights(folder))
        assert set(back.tensors) == set(encoder.state_dict()), name
        assert all(torch.equal(back.tensors[key], tensor) for key, tensor in encoder.state_dict().items()), name
    features = timm.create_model(f"local-dir:{tmp_path / 'timm'}", pretrained=True).eval().forward_features(x)
    torch.testing.assert_close(features, encoder(x), atol=TOLERANCE, rtol=0)


@torch.no_grad()
def test_positions_that_were_learnt_leave_too(tmp_path):
    encoder = encoder_of(learned_pos_embed=True)
    tensors = to_timm(autoencoder(encoder)).tensors
    torch.testing.assert_close(tensors["pos_embed"][:, 1:], encoder.pos_embed)
    assert not tensors["pos_embed"][:, 0].any()


REFUSED = {
    "this run's encoder is a HybridVisionTransformer": lambda: classifier(
        HybridVisionTransformer((8, 8), (4, 4), 2, embed_dim=8, depth=1, num_heads=2)
    ),
    "read pictures, and this run's encoder samples of the axes (4,)": lambda: classifier(encoder_of((16,), (4,))),
    "each by itself": lambda: classifier(encoder_of(per_channel=True)),
    "get the activation gelu, and this run's encoder has quick_gelu": lambda: classifier(
        encoder_of(activation="quick_gelu")
    ),
    "this run's encoder has rotary ones": lambda: classifier(encoder_of(rotary=100.0)),
    "have no place for reg_token of this run's encoder": lambda: classifier(encoder_of(registers=2)),
    r"(task.head) has more layers": lambda: classifier(encoder_of(), kind="mlp"),
    "no counterpart of this run's Linear": lambda: nn.Linear(1, 1),
}


@pytest.mark.parametrize("reason", REFUSED)
@pytest.mark.parametrize("convert", [to_hugging_face, to_timm])
def test_what_neither_holds_is_refused_by_name(convert, reason):
    with pytest.raises(SpecError) as error:
        convert(REFUSED[reason]())
    assert reason in str(error.value)


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (lambda: classifier(encoder_of((8, 12))), "reads square pictures in square patches, and this run's are 8×12"),
        (lambda: autoencoder(encoder_of((8, 12))), "ViTMAEForPreTraining reads square pictures"),
        (lambda: classifier(encoder_of(mlp_ratio=1.5)), "has a whole mlp_ratio, and this run's is 1.5"),
        (lambda: classifier(encoder_of(final_norm=False), "cls"), "normalises the tokens last"),
    ],
)
def test_what_transformers_alone_cannot_hold_is_refused_by_name(module, reason):
    with pytest.raises(SpecError, match=reason):
        to_hugging_face(module())
    assert to_timm(module()).tensors


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (
            {"dtype": "uint16", "files": {"bits": 12}},
            r"of 8 bits, and this run's hold values from 0 to 4095 \(uint16\)",
        ),
        ({"dtype": "float32", "value_range": (0.0, 255.0)}, r"from 0 to 255 \(float32\); --format onnx takes those"),
        ({"dtype": "float32", "value_range": (-2.0, 1.0)}, "values from -2 to 1 "),
        ({"dtype": "uint8", "value_range": (0.0, 16.0)}, None),  # whose files have 0 to 255
    ],
)
def test_pictures_of_other_depths_are_refused_by_name(facts, reason):
    data = {"name": "toys", "title": "toys", "split_sizes": {}, "split_origin": "", "channels": 1, "size": (8, 8)}
    card = DataCard(**data, fields=("image",), mean=(0.5,), std=(0.25,), **facts)
    model = SimpleNamespace(card=card, preprocess=Preprocess.of(card, (8, 8)))
    with pytest.raises(SpecError, match=reason) if reason else nullcontext():
        check_pictures(model, "theirs")


@pytest.mark.parametrize("form", ["hf", "timm"])
def test_a_run_leaves_with_a_card_and_is_begun_from(
    mae, finetuned, toy_finetune, pictures, see_through, tmp_path, monkeypatch, capsys, form
):
    out = tmp_path / "out"
    outcome = mae("export", finetuned, "--format", form, "--out", out, "--samples", 4, "--json")
    assert outcome.exit_code == 0, outcome.stderr
    found = {one["output"]: one["difference"] for one in outcome.json["differences"]}
    assert len({file.stat().st_mode for file in out.iterdir()}) == 1, "whoever may read one file may read all"
    assert found["probabilities"] < TOLERANCE
    assert set(found) == ({"probabilities", "pixels"} if form == "hf" else {"probabilities"})
    card = ModelCard.load(out / "README.md")
    assert card.data.library_name == {"hf": "transformers"}.get(form, form)
    picture, pixels = see_through
    monkeypatch.chdir(picture.parent)
    _, _, code = card.text.partition("```python\n")
    made = {}
    exec(code.partition("```")[0].replace("FOLDER", str(out)), made)  # what the card tells people to run
    assert np.array_equal(np.asarray(made["picture"]).transpose(2, 0, 1), pixels)
    assert made["probabilities"].sum().item() == pytest.approx(1)
    config = json.loads((out / "config.json").read_text())
    assert list(config["id2label"].values() if form == "hf" else config["label_names"]) == ["cat", "dog"]
    dry = mae(*toy_finetune, "--dataset", "folder", "--root", pictures, "--init", out, "--dry-run")
    assert dry.exit_code == 0, dry.stderr


def test_what_the_processor_makes_of_pictures_in_other_proportions_is_told(model, tmp_path):
    generator = torch.Generator().manual_seed(0)
    raw = torch.randint(0, 256, (3, 16, 16), generator=generator, dtype=torch.uint8)
    x = model.preprocess.normalize(model.preprocess.pixels(raw[None]))[0]
    wide = torch.cat([raw, raw.flip(2)], 2)
    odd = replace(model, samples=[ExportSample(raw, x, None), ExportSample(wide, x, None)])
    exporter = registry().export("hf")()
    exporter.write(odd, tmp_path)
    even, pixels, told = exporter.check(odd, tmp_path)
    assert (even.output, pixels.output) == ("probabilities", "pixels")
    assert even.holds
    assert pixels.holds
    assert str(told).startswith("probabilities of pictures in other proportions than the model's, by its processor: ")
    assert told.holds
    assert told.difference > 0
    assert "tolerance" not in str(told)


def test_pretraining_leaves_as_an_autoencoder(mae, pretrained, tmp_path):
    outcome = mae("export", pretrained, "--format", "hf", "--out", tmp_path / "out", "--samples", 4, "--json")
    assert outcome.exit_code == 0, outcome.stderr
    found = {one["output"]: one["difference"] for one in outcome.json["differences"]}
    assert found["predicted patches"] < TOLERANCE
    assert found["tokens"] < TOLERANCE
    assert "vit.encoder.layer.0.attention.attention.query.weight" in load_file(tmp_path / "out" / "model.safetensors")
