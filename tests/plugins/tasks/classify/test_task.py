from __future__ import annotations

import math

import classifying
import numpy as np
import pytest
import torch
from classifying import CLASSES, SIZE, Says, batch, encoder, metrics
from maecli_plugins.tasks.classify.task import Classify
from torch import nn

from maecli import api
from maecli.testing.tasks.learning import Shell
from maecli.training.evaluator import add_states


def card(classes=CLASSES, class_counts=(10, 30, 60)):
    return classifying.card(classes, class_counts)


def task(**options):
    return Classify(Classify.Options(**options), card(), api.Preprocess.of(card(), SIZE))


def confident(guesses):
    """Return logits (B, 3) with 2 at each guess: probability e² / (e² + 2)."""
    return 2.0 * nn.functional.one_hot(torch.tensor(guesses), 3)


TRUTH = [0, 0, 0, 0, 1, 1, 1, 2, 2, 2]
GUESS = [0, 0, 0, 1, 1, 1, 2, 2, 0, 0]
# truth \ guess  cat dog emu
#           cat    3   1   0
#           dog    0   2   1
#           emu    2   0   1


def measured(*parts):
    evaluator = task().evaluator()
    for truth, guess in parts or [(TRUTH, GUESS)]:
        evaluator.update(Says(confident(guess)), batch(truth))
    return evaluator


@pytest.mark.parametrize(
    ("norm", "freeze", "layers"),
    [("auto", False, 1), ("auto", True, 2), ("none", True, 1), ("batch", False, 2)],
)
def test_features_are_standardised_before_the_head_of_a_frozen_encoder(norm, freeze, layers):
    frozen = encoder()
    if freeze:
        frozen.freeze()
    assert len(task(head_norm=norm).build(frozen).head) == layers


def test_no_patch_is_left_out_for_a_frozen_encoder():
    frozen = encoder()
    frozen.freeze()
    with pytest.raises(api.SpecError) as caught:
        task(patch_drop=0.5).build(frozen)
    assert str(caught.value) == (
        "task.patch_drop 0.5 would hide patches from a frozen encoder, which works on whole pictures; give --set "
        "task.patch_drop=0 with --freeze"
    )


def test_accuracy_is_the_share_of_hits_beside_majority_and_chance():
    top1 = metrics(measured())["top1"]
    assert top1.value == pytest.approx(0.6)
    assert top1.baselines == {"majority (emu)": pytest.approx(0.3), "chance": pytest.approx(1 / 3)}
    assert top1.interval == pytest.approx(api.measure.wilson_interval(6, 10))
    assert top1.beats_baselines


def test_macro_f1_averages_the_classes_beside_that_of_the_majority():
    f1 = metrics(measured())["macro_f1"]
    by_class = [2 * 3 / (4 + 5), 2 * 2 / (3 + 3), 2 * 1 / (3 + 2)]
    assert f1.value == pytest.approx(sum(by_class) / 3)
    assert f1.baselines == {"majority": pytest.approx(2 * 3 / (10 + 3) / 3)}


def test_cross_entropy_stands_beside_chance_and_the_training_frequencies():
    entropy = metrics(measured())["cross_entropy"]
    hit, miss = math.log(math.exp(2) + 2) - 2, math.log(math.exp(2) + 2)
    assert entropy.value == pytest.approx((6 * hit + 4 * miss) / 10, rel=1e-5)
    frequencies = -(4 * math.log(0.1) + 3 * math.log(0.3) + 3 * math.log(0.6)) / 10
    assert entropy.baselines == {
        "chance": pytest.approx(math.log(3)),
        "training frequencies": pytest.approx(frequencies, rel=1e-6),
    }
    assert entropy.better == "lower"


def test_the_table_tells_recall_and_precision_of_each_class():
    (table,) = measured().tables()
    assert table.columns == ("class", "samples", "recall", "precision", "F1")
    assert [row[:2] for row in table.rows] == [("cat", 4), ("dog", 3), ("emu", 3)]
    assert [row[2] for row in table.rows] == pytest.approx([3 / 4, 2 / 3, 1 / 3])
    assert [row[3] for row in table.rows] == pytest.approx([3 / 5, 2 / 3, 1 / 2])


def test_batches_add_up():
    whole, parts = measured(), measured((TRUTH[:7], GUESS[:7]), (TRUTH[7:], GUESS[7:]))
    assert whole.matrix.tolist() == parts.matrix.tolist() == [[3, 1, 0], [0, 2, 1], [2, 0, 1]]
    for name, metric in metrics(whole).items():
        assert metrics(parts)[name].value == pytest.approx(metric.value)


def test_states_add_up():
    first, second = (measured((TRUTH[part], GUESS[part])) for part in (slice(7), slice(7, None)))
    joined = task().evaluator()
    joined.load_state(add_states(second.state(), first.state()))
    for name, metric in metrics(measured()).items():
        assert metrics(joined)[name].value == pytest.approx(metric.value)
    assert joined.tables() == measured().tables()


def test_two_classifiers_are_compared_by_the_samples_that_one_of_them_alone_hits():
    better = measured((TRUTH, [*TRUTH[:9], 0]))
    difference = better.difference(measured())
    assert difference.value == pytest.approx(0.9 - 0.6)
    assert difference.p_value == pytest.approx(2 * 0.5**3)
    assert difference.num_samples == 10
    assert better.difference(task().evaluator()) is None


def test_the_loss_calls_a_module_once_that_shows_nothing_of_itself():
    job = task(patch_drop=0.25, mixup=1.0)
    module = job.build(encoder())
    features = module.pooled(torch.zeros(2, 1, *SIZE)).detach()
    known = api.Batch({"features": features, "label": torch.tensor([0, 2])}, api.Draws(0, 0, torch.arange(2)))
    for each in (batch([0, 2], torch.randn(2, 1, *SIZE)), known):
        shell = Shell(module)
        job.loss(shell, each).backward()
        assert shell.calls == 1


def test_a_model_that_always_says_the_majority_has_exactly_its_baselines_metrics():
    found = metrics(measured((TRUTH, [2] * 10)))
    for name, baseline in [("top1", "majority (emu)"), ("macro_f1", "majority")]:
        assert found[name].value == pytest.approx(found[name].baselines[baseline])
        assert not found[name].beats_baselines


def test_a_class_that_does_not_occur_is_left_out_of_the_mean_and_that_is_said():
    evaluator = measured(([0, 0, 1], [0, 2, 1]))
    f1 = metrics(evaluator)["macro_f1"]
    assert f1.value == pytest.approx((2 / 3 + 1) / 2)
    assert f1.note == "mean over the classes that occur, 2 of 3"
    assert f1.baselines == {"majority": 0.0}, "train's most frequent class, emu, does not occur"
    assert evaluator.tables()[0].rows[2] == ("emu", 0, "n/a", "n/a", "n/a")


def test_an_empty_split_gives_metrics_of_zero_without_an_interval():
    found = metrics(task().evaluator())
    assert found["top1"].value == 0
    assert found["top1"].interval is None
    assert all(
        math.isfinite(value) for metric in found.values() for value in (metric.value, *metric.baselines.values())
    )


def test_the_confusion_matrix_is_drawn():
    *_, picture = measured().drawings()
    assert picture.png.startswith(b"\x89PNG")
    assert picture.caption == "Rows: truth. Columns: prediction."


def test_samples_are_mixed_for_a_share_of_the_run():
    job, images = task(mixup=1.0, mix_until=0.6), torch.randn(4, 1, *SIZE)
    module = Says(confident([0, 1, 2, 0]))
    for progress, mixed in [(0.0, True), (0.59, True), (0.6, False), (0.9, False)]:
        job.loss(module, batch([0, 1, 2, 0], images, progress))
        assert (not module.asked[-1][0].equal(images)) == mixed


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_mixed_samples_have_mixed_labels(kind):
    torch.manual_seed(0)
    flat = torch.tensor([0.0, 1.0]).reshape(2, 1, 1, 1).expand(2, 1, *SIZE).clone()
    module = Says(confident([0, 0]))
    loss = float(task(**{kind: 1.0}).loss(module, batch([0, 2], flat)))
    share = module.asked[-1][0].flatten(1).mean(1)  # of the second sample, in either
    assert 0 < float(share[0]) < 1
    hit, miss = math.log(math.exp(2) + 2) - 2, math.log(math.exp(2) + 2)
    assert loss == pytest.approx(float((hit + share * (miss - hit)).mean()), rel=1e-4)


def test_a_single_sample_is_not_mixed():
    module, image = Says(confident([0])), torch.randn(1, 1, *SIZE)
    task(mixup=1.0, cutmix=1.0).loss(module, batch([0], image))
    assert module.asked[-1][0] is image


def test_the_loss_is_cross_entropy_with_smoothed_labels():
    hit, miss = math.log(math.exp(2) + 2) - 2, math.log(math.exp(2) + 2)
    module = Says(confident([0, 1]))
    assert float(task().loss(module, batch([0, 2]))) == pytest.approx((hit + miss) / 2, rel=1e-5)
    smooth = 0.3  # a tenth for each of three classes, and 0.7 more for the true one
    expected = (0.8 * hit + 0.2 * miss + 0.9 * miss + 0.1 * hit) / 2
    loss = task(label_smoothing=smooth).loss(module, batch([0, 2]))
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_patches_are_dropped_for_a_share_of_the_run_and_never_in_evaluation():
    job, module = task(patch_drop=0.25, patch_drop_until=0.8), Says(confident([0, 1]))
    job.build(encoder())
    for progress, kept in [(0.0, 12), (0.79, 12), (0.8, None), (0.99, None)]:
        job.loss(module, batch([0, 2], progress=progress))
        ids = module.asked[-1][1]
        assert (ids is None) if kept is None else ids.shape == (2, kept)
    job.loss(module, batch([0, 2]))
    ids = module.asked[-1][1]
    assert all(len(set(row)) == 12 and set(row) <= set(range(16)) for row in ids.tolist())
    assert not ids[0].equal(ids[1])
    job.evaluator().update(module, batch([0, 2]))
    assert module.asked[-1][1] is None


def test_dropping_too_few_patches_to_count_drops_none():
    job, module = task(patch_drop=0.02), Says(confident([0, 1]))
    job.build(encoder())
    job.loss(module, batch([0, 2]))
    assert module.asked[-1][1] is None


def test_dropping_every_patch_is_refused():
    with pytest.raises(api.SpecError, match=r"task\.patch_drop 0\.98 leaves no patch"):
        task(patch_drop=0.98).build(encoder())


@pytest.mark.parametrize(("classes", "count"), [((), 0), (("cat",), 1)])
def test_fewer_than_two_classes_are_refused(classes, count):
    data = card(classes, (5,) * count)
    text = f"tiny has {count} labelled classes; classify needs at least 2: sort the pictures into one folder per class"
    with pytest.raises(api.DataError, match=text):
        Classify(Classify.Options(), data, api.Preprocess.of(data, SIZE))


@torch.no_grad()
def test_the_built_classifier_has_the_asked_pool_and_head():
    module = task(pool="cls", head="mlp").build(encoder()).eval()
    assert module.pool == "cls"
    assert len(module.head) == 3
    assert module(torch.zeros(2, 1, *SIZE)).shape == (2, 3)


def test_predictions_name_the_class_and_every_probability():
    (cat, emu) = task().predict(Says(confident([0, 2])), batch([0, 0]))
    high = math.exp(2) / (math.exp(2) + 2)
    assert (cat.row["class"], emu.row["class"]) == ("cat", "emu")
    assert list(cat.row) == ["class", "probability", "margin", "p_cat", "p_dog", "p_emu"]
    assert cat.row["p_cat"] == pytest.approx(high, abs=1e-6)
    assert sum(cat.row[f"p_{name}"] for name in CLASSES) == pytest.approx(1, abs=2e-6)


def test_drawings_are_pngs():
    (picture,) = task().draw(Says(confident([0, 2])), batch([0, 0]))
    assert picture.png.startswith(b"\x89PNG")


def test_drawings_show_missing_cells_as_missing(monkeypatch):
    sheets = []
    monkeypatch.setattr(api.Preprocess, "draw", lambda _, *arguments: sheets.append(arguments) or [np.zeros((3, 4, 4))])
    samples = batch([0])
    samples.tensors["valid"] = torch.zeros_like(samples["image"], dtype=torch.bool)
    task().draw(Says(confident([0])), samples)
    ((pixels, valid),) = sheets
    assert pixels.shape == valid.shape
    assert valid is samples["valid"]


@pytest.mark.parametrize(("labels", "wrong"), [([0, 0], [False, True]), ([-1, 2], [None, False]), (None, None)])
def test_drawings_mark_what_is_known_to_be_wrong(monkeypatch, labels, wrong):
    sheets = []
    monkeypatch.setattr(api.draw, "contact_sheet", lambda *arguments: sheets.append(arguments) or b"png")
    samples = batch(labels or [0, 0])
    if labels is None:
        del samples.tensors["label"]
    task().draw(Says(confident([0, 2])), samples)
    ((pictures, captions, marks, _),) = sheets
    assert len(pictures) == 2
    assert captions == ["cat 79%", "emu 79%"]
    assert marks == wrong


def test_one_label_per_sample_is_monitored_by_accuracy():
    assert task().monitor == "top1"
    assert task().describe() == []


def test_of_more_than_100_classes_the_5_likeliest_are_named_in_order():
    names = tuple(f"kind {q}" for q in range(101))
    data = card(names, (1,) * 101)
    job = Classify(Classify.Options(), data, api.Preprocess.of(data, SIZE))
    logits = torch.zeros(1, 101)
    logits[0, [7, 50, 3, 100, 9, 8]] = torch.tensor([6.0, 5.0, 4.0, 2.0, 2.0, 1.0])
    (found,) = job.predict(Says(logits), batch([0]))
    assert list(found.row)[:5] == ["class", "probability", "margin", "class_1", "probability_1"]
    best = [found.row[f"class_{place}"] for place in range(1, 6)]
    assert best == ["kind 7", "kind 50", "kind 3", "kind 9", "kind 100"], "of equal ones the first class comes first"
    assert found.row["class"] == "kind 7"
    total = sum(math.exp(value) for value in logits[0].tolist())
    assert found.row["probability_2"] == pytest.approx(math.exp(5) / total, abs=1e-6)
    job.all_classes = True
    (found,) = job.predict(Says(logits), batch([0]))
    assert list(found.row) == ["class", "probability", "margin", *(f"p_{name}" for name in names)]


def test_a_sample_weighs_what_its_class_weighs():
    logits, labels = torch.randn(4, 3), torch.tensor([0, 1, 2, 2])
    losses = nn.functional.cross_entropy(logits, labels, reduction="none")
    weighted = task(class_weights={"emu": 3}).loss(Says(logits), batch(labels.tolist()))
    assert float(weighted) == pytest.approx(float((losses * torch.tensor([1.0, 1.0, 3.0, 3.0])).mean()))
    balanced = task(class_weights="balanced")  # of 10, 30 and 60
    assert balanced.class_weights == pytest.approx({"cat": 100 / 30, "dog": 100 / 90, "emu": 100 / 180})


def test_weights_do_not_depend_on_how_a_batch_is_divided():
    logits, labels = torch.randn(4, 3), [0, 1, 2, 2]
    weighing = task(class_weights="balanced", label_smoothing=0.1)
    parts = [float(weighing.loss(Says(logits[i : i + 2]), batch(labels[i : i + 2]))) for i in (0, 2)]
    assert sum(parts) / 2 == pytest.approx(float(weighing.loss(Says(logits), batch(labels))))


def test_metrics_are_not_weighted():
    plain, weighing = (task(class_weights=weights).evaluator() for weights in ("none", "balanced"))
    for evaluator in (plain, weighing):
        evaluator.update(Says(confident(GUESS)), batch(TRUTH))
    assert plain.metrics() == weighing.metrics()


@pytest.mark.parametrize(
    ("weights", "field"), [("balanced", "label"), ("effective", "label"), ("none", None), ({"cat": 2}, None)]
)
def test_classes_are_counted_where_weights_follow_from_counts(weights, field):
    assert Classify.counted(Classify.Options(class_weights=weights)) == field
