from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from write_data import noise, write_mnist, write_picture

import maecli
from maecli.errors import DataError, SpecError
from maecli.loading import make_loader
from maecli.loading.streamed import StreamedLoader
from maecli.modalities.pictures.modality import file_reading
from maecli.modalities.pictures.source import PictureSource
from maecli.models.heads import pool_tokens
from maecli.progress import Progress
from maecli.registry import registry
from maecli.run.open import make_dataset
from maecli.run.restore import restore

CPU = torch.device("cpu")


def test_what_the_package_offers_is_listed_before_it_is_imported():
    assert set(maecli.__all__) <= set(dir(maecli))
    assert (Path(maecli.__file__).parent / "py.typed").is_file()


def test_three_lines_give_features(pretrained, pictures):
    encoder = maecli.load_encoder(pretrained)
    x = encoder.preprocess([pictures / "cat/000.png", pictures / "dog/000.png"])  # (B, C, H, W)
    features = encoder(x)  # (B, D)

    assert (tuple(x.shape), tuple(features.shape)) == ((2, 3, 16, 16), (2, 16))
    assert not encoder.training
    built = restore(pretrained, registry(), Progress().say)
    tokens = built.module.get_submodule("encoder").eval()(x)
    assert tokens.equal(encoder.tokens(x))
    assert features.equal(pool_tokens(tokens, 1, "mean"))
    assert encoder(x).equal(features)


def test_the_readme_s_lines_run(pretrained, pictures):
    text = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    [lines] = re.findall(r"```python\n(import maecli\n.*?)```", text, re.DOTALL)
    for shown, there in {
        "runs/pretrain-pictures": pretrained,
        "one.jpg": pictures / "cat/000.png",
        "two.jpg": pictures / "dog/000.png",
    }.items():
        assert shown in lines
        lines = lines.replace(shown, str(there))
    names: dict[str, torch.Tensor] = {}
    exec(lines, names)
    assert tuple(names["features"].shape) == (2, 16)


def test_pictures_are_prepared_as_inference_prepares_files(pretrained, tmp_path):
    for i, size in enumerate([(16, 16), (40, 30), (9, 50)]):
        write_picture(tmp_path / f"{i}.png", noise(i, *size, 3))
    keys = ["0.png", "1.png", "2.png"]
    built = restore(pretrained, registry(), Progress().say)
    source = PictureSource(tmp_path, keys, file_reading(built.card))
    loader = StreamedLoader(source, built.preprocess.for_files(built.card), CPU, 0, workers=0)
    [batch] = loader.eval_batches(3)
    x = maecli.load_encoder(pretrained).preprocess([tmp_path / key for key in keys])
    assert x.equal(batch["image"])


@pytest.mark.slow
def test_pictures_are_prepared_as_evaluation_prepares_the_data(tmp_path, mae, toy_finetune):
    write_mnist(tmp_path / "mnist", 120, 20)
    out = tmp_path / "run"
    outcome = mae(
        *toy_finetune, "--dataset", "mnist", "--root", tmp_path / "mnist", "--out", out, "--epochs", 1, "--img-size", 28
    )
    assert outcome.exit_code == 0, outcome.stderr
    built = restore(out, registry(), Progress().say)
    split = make_dataset(built.spec.dataset, registry()).split("test", ("image", "label"))
    [batch] = make_loader(split, built.preprocess, CPU, 0, built.spec.data).eval_batches(20)
    arrays = [split[i]["image"][0] for i in range(20)]  # (H, W)
    encoder = maecli.load_encoder(out)
    x = encoder.preprocess(arrays)
    assert x.equal(batch["image"])
    assert encoder.preprocess(arrays[3]).equal(x[3:4])


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "CMYK", "1", "LA"])
def test_an_opened_picture_is_as_good_as_its_file(mode, pretrained, tmp_path):
    image = Image.fromarray(noise(1, 20, 24, 3)).convert(mode)
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    image.save(path)
    encoder = maecli.load_encoder(pretrained)
    expected = encoder.preprocess(path)
    assert encoder.preprocess(image).equal(expected)
    assert encoder.preprocess(str(path)).equal(expected)
    with Image.open(path) as opened:
        assert encoder.preprocess(opened).equal(expected)


def test_a_turned_photograph_is_upright(pretrained, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.fromarray(noise(1, 16, 32, 3))
    image.save(tmp_path / "a.jpg", exif=exif)
    encoder = maecli.load_encoder(pretrained)
    with Image.open(tmp_path / "a.jpg") as opened:
        assert encoder.preprocess(opened).equal(encoder.preprocess(tmp_path / "a.jpg"))


@pytest.mark.parametrize("shape", [(20, 24), (20, 24, 1), (20, 24, 3)])
def test_an_array_is_as_good_as_the_picture_of_it(shape, pretrained):
    array = noise(2, *shape)
    encoder = maecli.load_encoder(pretrained)
    image = Image.fromarray(array.squeeze())
    assert encoder.preprocess(array).equal(encoder.preprocess(image))


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (np.zeros((8, 8, 5), np.uint8), "has 5 channels where 3 are wanted"),
        (np.zeros((8, 8, 3), np.float32), "has float32 pixels where uint8 is wanted"),
        (np.zeros((2, 8, 8, 3), np.uint8), "has the shape (2, 8, 8, 3); a picture has H, W and channels"),
        ("none.png", "none.png: cannot be opened: no such file or directory"),
    ],
)
def test_what_is_no_picture_for_the_encoder_is_told(picture, reason, pretrained):
    with pytest.raises(DataError) as caught:
        maecli.load_encoder(pretrained).preprocess([picture])
    assert reason in str(caught.value)


def test_no_picture_at_all_is_told(pretrained):
    with pytest.raises(DataError, match="there is nothing to preprocess"):
        maecli.load_encoder(pretrained).preprocess([])


def test_it_can_be_trained_on(finetuned, pictures):
    encoder = maecli.load_encoder(finetuned).train()
    x = encoder.preprocess(sorted((pictures / "cat").iterdir())[:2])
    encoder(x).sum().backward()
    gradients = [parameter.grad for parameter in encoder.parameters() if parameter.requires_grad]
    assert gradients
    assert all(gradient is not None for gradient in gradients)


def test_the_class_token_can_be_the_feature(finetuned, pictures):
    encoder = maecli.load_encoder(finetuned, pool="cls")
    x = encoder.preprocess(pictures / "cat/000.png")
    assert encoder(x).equal(encoder.tokens(x)[:, 0])
    with pytest.raises(SpecError, match="pool 'max' must be mean, or cls where the encoder has a class token"):
        maecli.load_encoder(finetuned, pool="max")


def test_what_is_no_run_is_told(tmp_path):
    with pytest.raises(SpecError, match="none does not exist"):
        maecli.load_encoder(tmp_path / "none")


def test_importing_the_package_stays_light():
    code = "import sys, maecli; assert not {'torch', 'numpy', 'pydantic', 'PIL'} & set(sys.modules), sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert "load_encoder" in maecli.__all__
    with pytest.raises(AttributeError, match="module 'maecli' has no attribute 'lod_encoder'"):
        maecli.lod_encoder  # noqa: B018
