from __future__ import annotations

import json
import signal

import cards
import pytest
import torch
from maecli_plugins.models import cnn
from maecli_plugins.tasks.classify.task import Classify
from maecli_plugins.tasks.reconstruct.task import Reconstruct
from maecli_plugins.tasks.segment.heads import Segmenter, segmentation_head
from pydantic import ValidationError
from safetensors.torch import load_file
from torch import nn
from torchvision import models
from typer.testing import CliRunner
from written import rows_of

from maecli import api
from maecli.cli import app
from maecli.schema import TrainSpec
from maecli.training.loop.optim import WeightAverage, parameter_groups
from maecli.training.loop.trainer import Trainer

PLUGINS = cnn.mae_models()
LIGHT = [cnn.ResNet18, cnn.ConvNeXtTiny, cnn.EfficientNetB0, cnn.MobileNetV3Small]
"""One of each family."""
WITHOUT_BATCH_NORM = {cnn.ConvNeXtTiny}
CARD = cards.card(
    fields=("image", "label"),
    channels=3,
    size=(40, 40),
    classes=("cat", "dog"),
    mean=(0.5,) * 3,
    std=(0.25,) * 3,
    split_sizes={"train": 8, "val": 4, "test": 4},
)
RUN = (
    *("--model", "mobilenet-v3-small", "--device", "cpu", "--precision", "float32", "--workers", 0),
    *("--base-lr", "1e-2", "--epochs", 2, "--batch-size", 8),
    *("--set", "trackers=[jsonl]", "--set", "train.warmup_epochs=0"),
    *("--set", "augment.crop=none", "--set", "train.ema_decay=0.5", "--set", "log_every_steps=1"),
    *("--set", "checkpoint.every_epochs=100", "--set", "eval_every_epochs=100"),
)


def build(plugin, in_chans=3, img_size=(64, 64), device=None, **options):
    torch.manual_seed(0)
    with torch.device(device or "cpu"):
        return plugin(plugin.Options(**options)).build(in_chans, img_size)


def theirs(plugin):
    return getattr(models, plugin.name.replace("-", "_"))


def num_parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def classifier(plugin=cnn.MobileNetV3Small, img_size=(32, 32)):
    encoder = build(plugin, img_size=img_size)
    return api.nets.Classifier(encoder, api.nets.ClassifierHead(encoder.embed_dim, 3))


def task(plugin, **options):
    size = api.Preprocess.of(CARD, (40, 40))
    return plugin(plugin.Options(**options), CARD, size)


def test_every_network_is_named_and_registered_once():
    assert [plugin.name for plugin in PLUGINS] == [
        "resnet18",
        "resnet34",
        "resnet50",
        "convnext-tiny",
        "efficientnet-b0",
        "mobilenet-v3-small",
    ]


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda plugin: plugin.name)
def test_with_the_stem_for_imagenet_a_network_has_torchvisions_parameters_less_the_classifiers(plugin):
    with torch.device("meta"):
        whole = theirs(plugin)()
    head = whole.fc if hasattr(whole, "fc") else whole.classifier
    norm = num_parameters(head[0]) if plugin is cnn.ConvNeXtTiny else 0
    assert num_parameters(build(plugin, device="meta")) == num_parameters(whole) - num_parameters(head) + norm


def test_resnet18_has_its_well_known_number_of_parameters():
    assert num_parameters(build(cnn.ResNet18, device="meta")) == 11_689_512 - 513_000


@pytest.mark.slow
@pytest.mark.parametrize("plugin", LIGHT, ids=lambda plugin: plugin.name)
@torch.no_grad()
def test_pooled_tokens_are_what_torchvisions_network_hands_to_its_classifier(plugin):
    torch.manual_seed(1)
    encoder, whole = build(plugin, img_size=(64, 96)).eval(), theirs(plugin)(num_classes=1).eval()
    taken = {name.replace("classifier.0.", "norm."): value for name, value in whole.state_dict().items()}
    encoder.net.load_state_dict({name: taken[name] for name in encoder.net.state_dict()})
    x = torch.randn(2, 3, 64, 96)
    if plugin is cnn.ConvNeXtTiny:  # ours normalises each token, theirs their mean
        expected = whole.classifier[0](whole.features(x)).mean((2, 3))
    else:
        given = []
        (whole.fc if hasattr(whole, "fc") else whole.classifier).register_forward_pre_hook(
            lambda module, inputs: given.append(inputs[0])
        )
        whole(x)
        expected = given[0]
    pooled = encoder(x).mean(1)
    assert pooled.shape == (2, encoder.embed_dim)
    assert torch.allclose(pooled, expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("plugin", LIGHT, ids=lambda plugin: plugin.name)
@pytest.mark.parametrize(("stem", "size"), [("imagenet", (33, 70)), ("imagenet", (64, 95)), ("small", (28, 17))])
@torch.no_grad()
def test_the_grid_is_the_one_that_the_network_returns(plugin, stem, size):
    encoder = build(plugin, 1, size, stem=stem).eval()
    (last,) = encoder.features(torch.randn(1, 1, *size), (4,))
    assert last.shape == (1, encoder.embed_dim, *encoder.grid)
    tokens = encoder(torch.randn(3, 1, *size))
    assert tokens.shape == (3, encoder.grid[0] * encoder.grid[1], encoder.embed_dim)


@pytest.mark.parametrize(
    ("plugin", "grid"), [(cnn.ResNet18, (2, 3)), (cnn.ConvNeXtTiny, (1, 2))], ids=["rounds up", "rounds down"]
)
def test_lengths_that_the_stride_does_not_divide_are_rounded_as_the_network_does(plugin, grid):
    assert build(plugin, img_size=(33, 70), device="meta", stem="imagenet").grid == grid


@pytest.mark.slow
@pytest.mark.parametrize("plugin", LIGHT, ids=lambda plugin: plugin.name)
@pytest.mark.parametrize(("stem", "finest"), [("imagenet", 16), ("small", 64)])
@torch.no_grad()
def test_the_maps_are_a_pyramid(plugin, stem, finest):
    encoder = build(plugin, stem=stem).eval()
    x = torch.randn(1, 3, 64, 64)
    maps = encoder.features(x, (1, 2, 3, 4))
    assert [x.shape[1] for x in maps] == list(encoder.pyramid)
    assert [x.shape[2] for x in maps] == [finest, finest // 2, finest // 4, finest // 8]
    assert torch.equal(maps[3].flatten(2).transpose(1, 2), encoder(x))
    assert torch.equal(encoder.features(x, (3, 1))[0], maps[2])


@pytest.mark.parametrize(
    ("size", "stem", "stride"),
    [((32, 32), "auto", 8), ((63, 224), "auto", 8), ((64, 64), "auto", 32), ((32, 32), "imagenet", 32)],
)
def test_the_stem_is_small_for_small_pictures_unless_it_is_chosen(size, stem, stride):
    encoder = build(cnn.ResNet18, img_size=size, device="meta", stem=stem)
    assert encoder.patch_size == (stride, stride)
    assert encoder.net.conv1.kernel_size == ((3, 3) if stride == 8 else (7, 7))


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda plugin: plugin.name)
def test_every_parameter_belongs_to_the_stem_a_stage_or_what_follows(plugin):
    encoder = build(plugin, device="meta")
    layers = [encoder.layer_of(name) for name, _ in encoder.named_parameters()]
    assert layers == sorted(layers)
    assert set(layers) >= {0, 1, 2, 3, 4}
    assert (5 in layers) == (not isinstance(plugin(plugin.Options()), cnn.ResNet))


def test_layer_decay_slows_the_stem_most():
    module = api.nets.Classifier(build(cnn.ResNet18, device="meta"), api.nets.ClassifierHead(512, 3))
    groups = parameter_groups(module, TrainSpec(layer_decay=0.5))
    scales = {name: group["lr_scale"] for group in groups for name in group["names"]}
    assert scales["encoder.net.conv1.weight"] == 0.5**5
    assert scales["encoder.net.layer4.1.conv2.weight"] == 0.5
    assert scales["head.0.weight"] == 1


@pytest.mark.parametrize("plugin", LIGHT, ids=lambda plugin: plugin.name)
def test_only_kernels_and_matrices_are_decayed(plugin):
    encoder = build(plugin, device="meta")
    module = api.nets.Classifier(encoder, api.nets.ClassifierHead(encoder.embed_dim, 3))
    decayed = {
        name
        for group in parameter_groups(module, TrainSpec(weight_decay=0.1))
        if group["weight_decay"]
        for name in group["names"]
    }
    kinds = (nn.Conv2d, nn.Linear)
    assert decayed == {f"{name}.weight" for name, part in module.named_modules() if isinstance(part, kinds)}


@pytest.mark.parametrize("plugin", [cnn.ConvNeXtTiny, cnn.EfficientNetB0], ids=lambda plugin: plugin.name)
def test_stochastic_depth_rises_from_zero_and_is_not_handed_on(plugin):
    net = build(plugin, device="meta", drop_path=0.2).net
    rates = [module.p for name, module in net.named_modules() if name.endswith("stochastic_depth")]
    assert rates == sorted(rates)
    assert rates[0] == 0
    assert 0.15 < rates[-1] <= 0.2
    assert plugin.training_only == {"drop_path"}
    with pytest.raises(ValidationError, match="drop_path"):
        cnn.ResNet18.Options(drop_path=0.1)


@pytest.mark.parametrize(
    ("plugin", "size", "options", "text"),
    [
        (cnn.ResNet18, (64,), {}, "it reads pictures, not data of 1 axes; take a vit model"),
        (
            cnn.ConvNeXtTiny,
            (64, 31),
            {"stem": "imagenet"},
            r"img_size \(31\) must be at least 32; raise --img-size or set model.stem to small",
        ),
        (cnn.ConvNeXtTiny, (7, 9), {}, r"img_size \(7\) must be at least 8; raise --img-size$"),
    ],
)
def test_sizes_that_a_network_cannot_read_are_refused(plugin, size, options, text):
    with pytest.raises(ValueError, match=text):
        build(plugin, img_size=size, device="meta", **options)


def test_leaving_patches_out_is_refused():
    with pytest.raises(ValueError, match="a convolutional network reads whole pictures: no patch can be left out"):
        build(cnn.MobileNetV3Small)(torch.zeros(1, 3, 64, 64), torch.zeros(1, 1, dtype=torch.int64))


def test_masked_autoencoding_is_refused_in_one_sentence():
    text = (
        "reconstruct hides patches, and this model reads whole pictures; pretrain a vision transformer, such as "
        "--model vit-small, or train this model from scratch with mae finetune"
    )
    with pytest.raises(api.SpecError, match=f"^{text}$"):
        task(Reconstruct).build(build(cnn.MobileNetV3Small))


def test_leaving_patches_out_of_a_classifiers_training_is_refused_in_one_sentence():
    text = r"task\.patch_drop 0\.25 leaves patches out, and this model reads whole pictures; give --set .* with it"
    with pytest.raises(api.SpecError, match=f"^{text}$"):
        task(Classify, patch_drop=0.25).build(build(cnn.MobileNetV3Small))
    assert isinstance(task(Classify).build(build(cnn.MobileNetV3Small)), api.nets.Classifier)


@pytest.mark.slow
def test_one_picture_of_one_cell_is_refused_where_batch_norm_would_learn_from_it():
    encoder, x = build(cnn.MobileNetV3Small, img_size=(32, 32), stem="imagenet"), torch.randn(1, 3, 32, 32)
    with pytest.raises(api.SpecError, match=r"^batch norm cannot learn from one picture at a time .*; raise --micro"):
        encoder.train()(x)
    assert encoder.eval()(x).shape == (1, 1, 576)
    assert encoder.train()(x.expand(2, -1, -1, -1)).shape == (2, 1, 576)
    assert build(cnn.ConvNeXtTiny, img_size=(32, 32), stem="imagenet").train()(x).shape == (1, 1, 768)


@pytest.mark.slow
@pytest.mark.parametrize("plugin", [cnn.ConvNeXtTiny, cnn.MobileNetV3Small], ids=lambda plugin: plugin.name)
@pytest.mark.parametrize("kind", ["conv", "shuffle", "upernet"])
def test_every_segmentation_head_serves_pictures_of_any_size(plugin, kind):
    encoder = build(plugin, img_size=(28, 44))
    module = Segmenter(encoder, segmentation_head(kind, encoder, 3, 8))
    logits = module(torch.randn(2, 3, 28, 44))
    assert logits.shape == (2, 3, 28, 44)
    logits.square().mean().backward()
    if kind == "upernet":
        assert module.head.depths == (1, 2, 3, 4)
        assert not list(module.head.pyramid.parameters())
        assert all(parameter.grad is not None for parameter in module.parameters())


@torch.no_grad()
def test_the_pixels_of_a_picture_that_is_padded_are_those_of_the_padded_one():
    encoder = build(cnn.MobileNetV3Small, img_size=(16, 24))
    module = Segmenter(encoder, segmentation_head("conv", encoder, 3)).eval()
    x = torch.randn(1, 3, 13, 20)
    assert torch.equal(module(x), module(nn.functional.pad(x, (0, 4, 0, 3)))[:, :, :13, :20])


@pytest.mark.slow
def test_a_weight_average_has_the_running_statistics_that_go_with_its_weights():
    torch.manual_seed(0)
    module = classifier().train()
    average = WeightAverage(module, decay=0.9)
    optimizer = torch.optim.SGD(module.parameters(), lr=1e-3)
    for step in range(1, 13):
        x = 5 + torch.randn(8, 3, 32, 32)
        module(x).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        before = average.module.encoder.net.features[0][1].running_mean.clone()
        average.update(module, step)
    first = module.encoder.net.features[0][1]
    mine = average.module.encoder.net.features[0][1]
    decay = min(0.9, (1 + step) / (10 + step))
    assert torch.allclose(mine.running_mean, decay * before + (1 - decay) * first.running_mean, atol=1e-6)
    assert mine.num_batches_tracked == first.num_batches_tracked == 12
    with torch.no_grad():
        tokens, theirs = average.module.encoder(x), module.eval().encoder(x)
    assert float((tokens - theirs).norm() / theirs.norm()) < 0.2


def test_torchvision_which_takes_seconds_to_import_is_no_part_of_the_module():
    assert not [name for name, thing in vars(cnn).items() if getattr(thing, "__name__", "").startswith("torchvision")]


@pytest.fixture(scope="module")
def trained(pictures, tmp_path_factory):
    """Return a classifier of cats and dogs with batch norm, trained for two epochs. Not to be changed."""
    out = tmp_path_factory.mktemp("cnn") / "run"
    arguments = ("finetune", "--task", "classify", "--dataset", "folder", "--root", pictures, *RUN, "--out", out)
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code == 0, result.stderr
    return out


def tensors(run, file):
    return load_file(run / "checkpoints" / (run / "checkpoints/last").read_text().split()[0] / file)


@pytest.mark.slow
@pytest.mark.usefixtures("without_charts")
def test_a_run_is_evaluated_and_names_the_classes_of_pictures(trained, pictures, tmp_path, mae):
    outcome = mae("eval", trained, "--device", "cpu", "--json")
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.json["metrics"][0]["name"] == "top1"
    out = tmp_path / "out"
    outcome = mae("infer", pictures, "--run", trained, "--out", out, "--device", "cpu", "--workers", 0)
    assert outcome.exit_code == 0, outcome.stderr
    assert {row["class"] for row in rows_of(out)} <= {"cat", "dog"}


@pytest.mark.slow
@pytest.mark.usefixtures("without_charts")
def test_a_resumed_run_ends_with_the_same_weights_and_running_statistics(trained, pictures, tmp_path, mae, monkeypatch):
    out, train_step = tmp_path / "run", Trainer.train_step

    def and_stop_after_three(self, batch):
        train_step(self, batch)
        if self.step == 2:
            self.stop.signal = signal.SIGTERM

    monkeypatch.setattr(Trainer, "train_step", and_stop_after_three)
    arguments = ("finetune", "--task", "classify", "--dataset", "folder", "--root", pictures, *RUN, "--out", out)
    assert mae(*arguments).exit_code == 130
    monkeypatch.setattr(Trainer, "train_step", train_step)
    outcome = mae("finetune", "--resume", "--out", out)
    assert outcome.exit_code == 0, outcome.stderr
    for file in ("model.safetensors", "state.safetensors"):
        mine, whole = tensors(out, file), tensors(trained, file)
        assert mine.keys() == whole.keys()
        assert [name for name in mine if not torch.equal(mine[name], whole[name])] == []
    model, state = tensors(trained, "model.safetensors"), tensors(trained, "state.safetensors")
    counted = "encoder.net.features.0.1.num_batches_tracked"
    steps = json.loads((trained / "summary.json").read_text())["steps"]
    assert model[counted] == state[f"raw.{counted}"] == steps
    assert not torch.equal(
        model["encoder.net.features.0.1.running_var"], state["raw.encoder.net.features.0.1.running_var"]
    )


@pytest.mark.slow
@pytest.mark.usefixtures("without_charts")
def test_fine_tuning_starts_from_a_run_of_the_same_network(trained, pictures, tmp_path, mae):
    out = tmp_path / "run"
    outcome = mae(
        *("finetune", "--task", "classify", "--dataset", "folder", "--root", pictures, *RUN, "--init", trained),
        *("--set", "train.max_steps=1", "--out", out),
    )
    assert outcome.exit_code == 0, outcome.stderr
    assert f"{len(build(cnn.MobileNetV3Small, device='meta').state_dict())} tensors matched" in outcome.stderr


def test_pretraining_a_network_exits_with_2_and_writes_nothing(pictures, tmp_path, mae):
    out = tmp_path / "run"
    outcome = mae("pretrain", "--dataset", "folder", "--root", pictures, "--model", "resnet18", "--out", out)
    assert outcome.exit_code == 2
    assert "reconstruct hides patches, and this model reads whole pictures" in outcome.stderr
    assert not out.exists()
