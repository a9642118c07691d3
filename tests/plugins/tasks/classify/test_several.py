"""Classification where a sample has several labels: 1 present, 0 absent, -1 not to be judged."""

from __future__ import annotations

import math

import classifying
import numpy as np
import pytest
import torch
from classifying import CLASSES, SIZE, Says, batch, encoder, metrics
from maecli_plugins.tasks.classify import several
from maecli_plugins.tasks.classify.precision import random_precision
from maecli_plugins.tasks.classify.task import Classify
from parts import assert_parts_teach_the_whole
from torch import nn

from maecli import api
from maecli.training.evaluator import add_states


def card(classes=CLASSES, class_counts=(10, 49, 0)):
    return classifying.card(classes, class_counts, multi_label=True)


def task(data=None, **options):
    data = data or card()
    return Classify(Classify.Options(**options), data, api.Preprocess.of(data, SIZE))


def bce(logit, target):
    return -target * math.log(1 / (1 + math.exp(-logit))) - (1 - target) * math.log(1 - 1 / (1 + math.exp(-logit)))


LOGITS = [[2.0, -1.0, 0.5], [0.0, 3.0, -2.0]]
LABELS = [[1, 0, -1], [0, -1, 1]]


def test_the_loss_is_binary_cross_entropy_of_the_judged_cells():
    expected = (bce(2.0, 1) + bce(-1.0, 0) + bce(0.0, 0) + bce(-2.0, 1)) / 4
    assert float(task().loss(Says(LOGITS), batch(LABELS))) == pytest.approx(expected, rel=1e-5)


def test_what_is_not_to_be_judged_has_no_gradient():
    module = Says(LOGITS)
    module.logits.requires_grad_()
    task().loss(module, batch(LABELS)).backward()
    assert ((module.logits.grad == 0) == (torch.tensor(LABELS) < 0)).all()


def test_a_batch_without_a_judged_cell_has_a_loss_of_zero():
    module = Says(LOGITS)
    module.logits.requires_grad_()
    loss = task().loss(module, batch([[-1] * 3] * 2))
    loss.backward()
    assert float(loss.detach()) == 0
    assert module.logits.grad.count_nonzero() == 0


def test_smoothing_moves_every_label_towards_one_half():
    expected = (bce(2.0, 0.9) + bce(-1.0, 0.1) + bce(0.0, 0.1) + bce(-2.0, 0.9)) / 4
    assert float(task(label_smoothing=0.2).loss(Says(LOGITS), batch(LABELS))) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_mixed_samples_have_mixed_labels_and_are_judged_where_both_are(kind):
    torch.manual_seed(0)
    flat = torch.tensor([0.0, 1.0]).reshape(2, 1, 1, 1).expand(2, 1, *SIZE).clone()
    module = Says(LOGITS)
    loss = float(task(**{kind: 1.0}).loss(module, batch(LABELS, flat)))
    share = module.asked[0][0].flatten(1).mean(1).tolist()  # of the second sample, in either
    assert 0 < share[0] < 1
    # only cat is judged in both samples; the first shows it, the second does not
    expected = (bce(2.0, 1 - share[0]) + bce(0.0, 1 - share[1])) / 2
    assert loss == pytest.approx(expected, rel=1e-4)


def test_the_head_starts_with_the_frequencies_of_training():
    module = task().build(encoder())
    probability = module.head[-1].bias.sigmoid()
    assert probability.tolist() == pytest.approx([11 / 100, 50 / 100, 1 / 100], rel=1e-5)
    assert task(card(class_counts=())).build(encoder()).head[-1].bias.count_nonzero() == 0


@torch.no_grad()
def test_scores_are_not_rounded_to_bfloat16():
    module = task(head="mlp").build(encoder()).eval()
    nn.init.normal_(module.head[-1].weight)
    with torch.autocast("cpu", torch.bfloat16):
        logits = module(torch.rand(4, 1, *SIZE, generator=torch.Generator().manual_seed(0)))
    assert logits.dtype == torch.float32
    assert not torch.equal(logits, logits.to(torch.bfloat16).float())


# scores, the highest first   cat: + - + -    dog: - ? + +    emu: never present
TRUTH = [[1, 0, 0], [0, -1, 0], [1, 1, 0], [0, 1, 0]]
SCORES = [[4.0, 4.0, 1.0], [3.0, 3.0, 1.0], [2.0, 2.0, 1.0], [1.0, 1.0, 1.0]]
CAT, DOG = (1 + 2 / 3) / 2, 2 / 3  # dog's precision of 1/2 at its first hit is raised to the 2/3 of its second


def measured(*parts, thorough=True, data=None):
    evaluator, seen = task(data).evaluator(thorough), 0
    for truth, scores in parts or [(TRUTH, SCORES)]:
        evaluator.update(Says(scores), batch(truth, first=seen))
        seen += len(truth)
    return evaluator


def test_the_headline_is_the_mean_average_precision_of_the_classes_that_occur():
    evaluator = measured()
    headline = evaluator.metrics()[0]
    assert (headline.name, headline.label, headline.unit) == ("map", "mean average precision", "share")
    assert headline.value == pytest.approx((CAT + DOG) / 2)
    assert headline.note == "no positive sample, so left out: emu"
    assert headline.baselines["one score for all"] == pytest.approx((2 / 4 + 2 / 3) / 2)
    random = (random_precision(2, 4) + random_precision(2, 3)) / 2
    assert headline.baselines["random ranking"] == pytest.approx(random)
    low, high = headline.interval
    assert 0 < low <= headline.value <= high <= 1


def test_the_table_tells_the_average_precision_of_each_class():
    (table,) = measured().tables()
    assert table.columns == ("class", "positives", "average precision", "share of positives")
    assert table.rows == (
        ("cat", 2, pytest.approx(CAT), 0.5),
        ("dog", 2, pytest.approx(DOG), pytest.approx(2 / 3)),
        ("emu", 0, "none", 0.0),
    )


def test_the_classes_that_occur_are_drawn_beside_their_shares(monkeypatch):
    bars = []
    monkeypatch.setattr(api.draw, "class_bars", lambda *arguments: bars.append(arguments) or b"png")
    (picture,) = measured().drawings()
    assert (picture.name, picture.png) == ("average-precision", b"png")
    ((precision, _, shares, _),) = bars
    assert precision == {"cat": pytest.approx(CAT), "dog": pytest.approx(DOG)}
    assert shares == {"cat": 0.5, "dog": pytest.approx(2 / 3)}
    assert task().evaluator().drawings() == []


def test_the_monitored_metric_is_the_mean_average_precision_and_is_cheap_between_epochs():
    assert task().monitor == "map"
    quick = metrics(measured(thorough=False))[task().monitor]
    assert quick.value == metrics(measured())["map"].value
    assert quick.interval is None
    assert list(quick.baselines) == ["one score for all"]


def test_batches_add_up():
    whole, parts = metrics(measured()), metrics(measured((TRUTH[:3], SCORES[:3]), (TRUTH[3:], SCORES[3:])))
    for name, metric in whole.items():
        assert parts[name] == metric


def test_states_add_up_whatever_the_order_and_length_of_their_parts():
    parts = [(TRUTH[:1], SCORES[:1], 0), (TRUTH[1:2], SCORES[1:2], 1), (TRUTH[2:], SCORES[2:], 2)]
    states = []
    for some in (parts[::2], parts[1:2]):
        evaluator = task().evaluator()
        for truth, scores, first in reversed(some):
            evaluator.update(Says(scores), batch(truth, first=first))
        states.append(evaluator.state())
    assert [len(state["seen"]) for state in states] == [4, 2], "positions up to the last one seen"
    joined = task().evaluator()
    joined.load_state(add_states(states[1], states[0]))
    assert joined.metrics() == measured().metrics()
    assert joined.tables() == measured().tables()


def test_two_rankings_are_compared_on_resamples_that_are_the_same_for_both():
    generator = np.random.default_rng(0)
    truth = (generator.random((40, 3)) < 0.4).astype(int)
    good, bad = truth + 0.3 * generator.normal(size=(40, 3)), generator.normal(size=(40, 3))
    one, other = (measured((truth.tolist(), scores.tolist())) for scores in (good, bad))
    difference = one.difference(other)
    assert difference.value == pytest.approx(one.metrics()[0].value - other.metrics()[0].value)
    assert difference.is_told
    assert other.difference(one).value == -difference.value
    assert one.difference(one).interval == (0, 0)
    assert measured(([[0, 0, 0]], [[1.0, 0, 0]])).difference(measured(([[0, 0, 0]], [[1.0, 0, 0]]))) is None


def test_the_precision_of_each_class_is_taken_once(monkeypatch):
    taken = []
    precision = several.average_precision
    monkeypatch.setattr(several, "average_precision", lambda *columns: taken.append(columns) or precision(*columns))
    evaluator = measured(thorough=False)
    for made in (evaluator.metrics, evaluator.tables, evaluator.drawings):
        assert made()
    assert len(taken) == len(CLASSES)
    evaluator.update(Says([[9.0] * 3]), batch([[0, 0, 0]], first=4))
    assert evaluator.metrics()[0].value < measured().metrics()[0].value, "of one more batch they are taken anew"


def test_one_score_for_all_has_exactly_its_baselines_metric():
    found = metrics(measured((TRUTH, [[0.0] * 3] * 4)))
    assert found["map"].value == pytest.approx(found["map"].baselines["one score for all"])
    assert found["cross_entropy"].value == pytest.approx(math.log(2))
    assert found["cross_entropy"].baselines["even odds"] == pytest.approx(math.log(2))


@pytest.mark.parametrize(("counts", "shares"), [((10, 49, 0), (0.11, 0.5, 0.01)), ((), (0.5, 0.6, 1 / 6))])
def test_cross_entropy_stands_beside_constant_frequencies(counts, shares):
    found = metrics(measured(data=card(class_counts=counts)))["cross_entropy"]
    judged = [(SCORES[i][q], q, TRUTH[i][q]) for i in range(4) for q in range(3) if TRUTH[i][q] >= 0]
    assert found.value == pytest.approx(np.mean([bce(score, truth) for score, _, truth in judged]))
    constant = [bce(math.log(shares[q] / (1 - shares[q])), truth) for _, q, truth in judged]
    assert found.baselines["training frequencies"] == pytest.approx(np.mean(constant))
    assert found.better == "lower"


def test_an_empty_split_gives_metrics_of_zero():
    found = metrics(task().evaluator())
    assert (found["map"].value, found["map"].interval, found["map"].baselines) == (0, None, {})
    assert found["map"].note == "no positive sample, so left out: cat, dog, emu"
    assert found["cross_entropy"].value == 0


def test_predictions_name_the_classes_above_one_half_and_every_probability():
    both, none = task().predict(Says([[2.0, -1.0, 0.5], [-2.0, -1.0, -0.5]]), batch([[0] * 3] * 2))
    assert list(both.row) == ["classes", "margin", "p_cat", "p_dog", "p_emu"]
    assert (both.row["classes"], none.row["classes"]) == ("cat;emu", "")
    assert both.row["p_cat"] == pytest.approx(1 / (1 + math.exp(-2)), abs=1e-6)


def test_of_more_than_100_classes_the_5_likeliest_are_named_beside_those_above_one_half():
    data = card().model_copy(update={"classes": tuple(f"kind {q}" for q in range(120)), "class_counts": (1,) * 120})
    job = Classify(Classify.Options(), data, api.Preprocess.of(data, SIZE))
    logits = torch.full((1, 120), -3.0)
    logits[0, [5, 70]] = torch.tensor([1.0, 2.0])
    (found,) = job.predict(Says(logits), batch([[0] * 120]))
    assert found.row["classes"] == "kind 5;kind 70"
    assert (found.row["class_1"], found.row["class_2"], found.row["class_3"]) == ("kind 70", "kind 5", "kind 0")
    assert found.row["probability_2"] == pytest.approx(1 / (1 + math.exp(-1)), abs=1e-6)
    assert len(found.row) == 2 + 2 * 5, "classes, margin, and five with their probabilities"


def drawn(monkeypatch, job, logits, labels):
    sheets = []
    monkeypatch.setattr(api.draw, "contact_sheet", lambda *arguments: sheets.append(arguments) or b"png")
    (picture,) = job.draw(Says(logits), batch(labels))
    (sheet,) = sheets
    assert picture.png == b"png"
    return sheet


def test_drawings_name_the_classes_above_one_half_or_the_likeliest_in_parentheses(monkeypatch):
    pictures, captions, *_ = drawn(monkeypatch, task(), [[1.0, -1.0, 2.0], [-3.0, -1.0, -2.0]], [[0] * 3] * 2)
    assert captions == ["emu 88%, cat 73%", "(dog 27%)"]
    assert len(pictures) == 2


def test_captions_name_three_classes_at_most(monkeypatch):
    job = task(card(("a", "b", "c", "d"), ()))
    _, captions, *_ = drawn(monkeypatch, job, [[4.0, 3.0, 2.0, 1.0]], [[0] * 4])
    assert captions == ["a 98%, b 95%, c 88%"]


def test_a_drawing_is_wrong_where_a_known_class_is_missed_or_an_absent_one_is_seen(monkeypatch):
    logits = [[1.0, -1.0, -1.0]] * 5
    labels = [[1, 0, 0], [1, -1, -1], [0, 0, 0], [1, 1, -1], [-1, -1, -1]]
    *_, wrong, _ = drawn(monkeypatch, task(), logits, labels)
    assert wrong == [False, False, True, True, None]


def test_how_the_metrics_were_taken_is_told():
    (note,) = task().describe()
    assert "classes without a positive image are left out of the mean" in note


def test_one_class_is_enough_and_none_is_refused():
    assert task(card(("cat",), (5,))).build(encoder()).head[-1].out_features == 1
    with pytest.raises(api.DataError, match="tiny has 0 labelled classes; classify needs at least 1: sort the"):
        task(card((), ()))


def test_weights_are_those_of_positives():
    logits, labels = torch.randn(2, 3), [[1, 0, 1], [0, -1, 1]]
    weighted = task(class_weights={"emu": 3}).loss(Says(logits), batch(labels))
    losses = nn.functional.binary_cross_entropy_with_logits(logits, torch.tensor(labels).float(), reduction="none")
    losses[:, 2] *= 3
    assert float(weighted) == pytest.approx(float(losses[torch.tensor(labels) >= 0].mean()))


@pytest.mark.parametrize("options", [{}, {"mixup": 0.8, "cutmix": 1.0, "class_weights": (1.0, 2.0, 3.0)}])
def test_micro_batches_teach_the_same_where_some_labels_are_not_judged(options):
    torch.manual_seed(0)
    job, labels = task(**options), torch.randint(-1, 2, (6, 3))
    labels[:2] = torch.tensor([-1, -1, 1])
    image = torch.randn(6, 1, *SIZE)
    sample = api.Batch({"image": image, "label": labels}, api.Draws(0, 0, torch.arange(6)))
    assert_parts_teach_the_whole(job, job.build(api.nets.VisionTransformer(SIZE, (4, 4), 1, 8, 1, 2)), sample)
