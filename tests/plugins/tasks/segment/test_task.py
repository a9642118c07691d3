from __future__ import annotations

import io
import math

import cards
import numpy as np
import pytest
import torch
from maecli_plugins.tasks.segment.losses import cross_entropy, dice_loss
from maecli_plugins.tasks.segment.shown import DRAWN_SIDE
from maecli_plugins.tasks.segment.task import Segment
from parts import assert_parts_teach_the_whole
from PIL import Image
from torch import nn

from maecli import api
from maecli.reports.grids import read_grid
from maecli.training.evaluator import add_states

SIZE = (8, 8)
CLASSES = ("background", "cat", "dog", "emu")
PALETTE = api.pictures.class_palette(4)


def card(classes=CLASSES, background=0, **facts):
    return cards.card(
        fields=("image", "mask"),
        mean=(0.5,),
        std=(0.5,),
        mask_classes=classes,
        mask_palette=api.pictures.class_palette(len(classes)),
        background=background,
        split_sizes={"train": 100},
        **facts,
    )


def task(background=0, **options):
    data = card(background=background)
    return Segment(Segment.Options(**options), data, api.Preprocess.of(data, SIZE))


def encoder(size=SIZE):
    torch.manual_seed(0)
    return api.nets.VisionTransformer(size, (4,) * len(size), 1, 12, 2, 2)


def batch(mask, image=None, first=0, dtype=torch.uint8):
    mask = torch.as_tensor(mask, dtype=dtype)
    image = torch.zeros(len(mask), 1, *mask.shape[1:]) if image is None else image
    ids = torch.arange(first, first + len(mask))
    return api.Batch({"image": image, "mask": mask}, api.Draws(0, 0, ids), [f"{i}.png" for i in ids.tolist()])


class Says(nn.Module):
    """Is sure of the classes that the picture's values name."""

    def __init__(self, size=SIZE):
        super().__init__()
        self.encoder, self.shown = encoder(size), []

    def forward(self, x, valid=None):
        self.shown.append(tuple(x.shape))
        return 20.0 * nn.functional.one_hot(x[:, 0].round().long().clamp(0, 3), 4).movedim(-1, 1).float()


class Always(nn.Module):
    """Sees one class everywhere."""

    def __init__(self, number):
        super().__init__()
        self.encoder, self.number = encoder(), number

    def forward(self, x, valid=None):
        logits = torch.zeros(len(x), 4, *x.shape[2:])
        logits[:, self.number] = 1
        return logits


def mask_of(*rows):
    """Return (1, 8, 8): each number fills as many of the eight rows as it is given."""
    return torch.tensor([[[number] * 8 for number in rows]], dtype=torch.uint8)


TRUTH = mask_of(0, 0, 0, 0, 1, 1, 2, 255)
GUESS = mask_of(0, 0, 0, 1, 1, 3, 2, 2)
# rows of 8 pixels, truth \ guess  0 1 2 3
#                              0   3 1 0 0
#                              1   0 1 0 1
#                              2   0 0 1 0


def measured(*pairs, job=None, module=None):
    evaluator, seen = (job or task()).evaluator(), 0
    with torch.no_grad():
        for truth, guess in pairs or [(TRUTH, GUESS)]:
            evaluator.update(module or Says(), batch(truth, guess[:, None].float(), seen))
            seen += len(truth)
    return evaluator


def metrics(evaluator):
    return {metric.name: metric for metric in evaluator.metrics()}


def test_the_scores_are_those_of_the_confusion_matrix_beside_all_background():
    evaluator = measured()
    assert (evaluator.matrix // 8).tolist() == [[3, 1, 0, 0], [0, 1, 0, 1], [0, 0, 1, 0], [0, 0, 0, 0]]
    found = metrics(evaluator)
    assert list(found) == ["miou", "foreground_iou", "pixel_accuracy", "mean_class_accuracy"]
    assert found["miou"].value == pytest.approx((3 / 4 + 1 / 3 + 1 / 1) / 3)
    assert found["miou"].baselines == {"all-background": pytest.approx(4 / 7 / 3)}
    assert found["foreground_iou"].value == pytest.approx(3 / 4)
    assert found["foreground_iou"].baselines == {"all-background": 0, "all-foreground": pytest.approx(3 / 7)}
    assert found["pixel_accuracy"].value == pytest.approx(5 / 7)
    assert found["pixel_accuracy"].baselines == {"all-background": pytest.approx(4 / 7)}
    assert found["mean_class_accuracy"].value == pytest.approx((3 / 4 + 1 / 2 + 1) / 3)
    assert found["mean_class_accuracy"].baselines == {"all-background": pytest.approx(1 / 3)}
    assert all(metric.unit == "share" for metric in found.values())


def test_a_class_that_the_split_lacks_is_left_out_of_the_mean_and_named():
    assert metrics(measured())["miou"].note == "mean of 3 classes; no pixel here of emu"
    every = measured((mask_of(0, 1, 2, 3, 0, 1, 2, 3), GUESS))
    assert metrics(every)["miou"].note == "mean of 4 classes"
    emu = measured().tables()[0].rows[3]
    assert emu == ("emu", 0, "n/a", "n/a", "n/a", "n/a")


def test_a_model_that_only_knows_background_has_exactly_the_baselines_metrics():
    for metric in metrics(measured(module=Always(0))).values():
        assert metric.value == metric.baselines["all-background"]
        assert not metric.beats_baselines


def test_without_a_background_the_baseline_is_the_splits_most_frequent_class():
    truth = mask_of(2, 2, 2, 2, 1, 1, 0, 255)
    found = metrics(measured((truth, GUESS), job=task(background=None), module=Always(2)))
    assert "foreground_iou" not in found
    for metric in found.values():
        assert metric.value == metric.baselines["all dog"]


def test_one_matrix_adds_up_over_pictures_of_any_size():
    other = torch.full((1, 3, 20), 1)
    evaluator = measured((TRUTH, GUESS), (other, other))
    assert int(evaluator.matrix.sum()) == 7 * 8 + 60
    assert evaluator.matrix[1, 1] == 8 + 60


def test_batches_and_single_pictures_measure_the_same():
    truths, guesses = torch.cat([TRUTH, GUESS]), torch.cat([GUESS, GUESS])
    together = measured((truths, guesses))
    apart = measured((truths[:1], guesses[:1]), (truths[1:], guesses[1:]))
    assert [metric.model_dump() for metric in together.metrics()] == [metric.model_dump() for metric in apart.metrics()]


def test_the_table_tells_each_classs_pixels_iou_and_accuracy():
    (table,) = measured().tables()
    assert table.columns == ("class", "pixels", "share of pixels", "IoU", "accuracy", "IoU of all-background")
    assert table.rows[0] == ("background", 32, pytest.approx(4 / 7), 3 / 4, 3 / 4, pytest.approx(4 / 7))
    assert table.rows[1] == ("cat", 16, pytest.approx(2 / 7), pytest.approx(1 / 3), 1 / 2, 0)


def test_intervals_come_from_two_pictures_on_and_only_when_thorough():
    assert metrics(measured())["miou"].interval is None
    two = measured((TRUTH, GUESS), (TRUTH, TRUTH.where(TRUTH < 4, 0)))
    for metric in metrics(two).values():
        low, high = metric.interval
        assert low <= metric.value <= high
        assert low < high
    quick = task().evaluator(thorough=False)
    for guess in (GUESS, TRUTH.where(TRUTH < 4, 0)):
        quick.update(Says(), batch(TRUTH, guess[:, None].float()))
    assert [f.value for f in quick.metrics()] == [f.value for f in two.metrics()]
    assert all(metric.interval is None for metric in quick.metrics())
    assert [picture.name for picture in quick.drawings()] == ["iou-per-class", "confusion-matrix"]


@pytest.mark.slow
def test_a_split_without_a_judged_pixel_gives_zeros():
    for evaluator in (measured((mask_of(*[255] * 8), GUESS)), task().evaluator()):
        for metric in evaluator.metrics():
            assert metric.value == 0
            assert all(math.isfinite(baseline) for baseline in metric.baselines.values())
        assert all(picture.png for picture in evaluator.drawings())


@pytest.mark.slow
def test_samples_bars_and_confusion_are_drawn():
    pictures = measured().drawings()
    assert [picture.name for picture in pictures] == ["worst", "iou-per-class", "confusion-matrix"]
    assert all(picture.png.startswith(b"\x89PNG") for picture in pictures)


def evaluated(order):
    """Return an evaluator of pictures of one class each: the i-th is taken for class i // 4."""
    evaluator = task().evaluator()
    for i in order:
        evaluator.update(Says(), batch(mask_of(*[i % 4] * 8), mask_of(*[i // 4] * 8)[:, None].float(), i))
    return evaluator


def keys(lowest):
    return [shown.key for shown in lowest.things]


@pytest.mark.parametrize("num", [1, 6, 7, 16])
def test_the_drawn_samples_are_the_same_in_any_order_and_not_just_the_first(num):
    forth, back = (evaluated(order).examples for order in (range(num), reversed(range(num))))
    for one, other in ((forth.worst, back.worst), (forth.by_lot, back.by_lot)):
        assert keys(one) == keys(other)
        assert len(set(keys(one))) == min(num, 6)
    assert num < 16 or max(int(key.removesuffix(".png")) for key in keys(forth.by_lot)) > 6


def test_the_worst_pictures_come_first_with_their_iou():
    half = (TRUTH, TRUTH.where(TRUTH != 1, 0).where(TRUTH < 4, 0))  # cats are missed
    evaluator = measured((TRUTH, TRUTH.where(TRUTH < 4, 0)), half, (mask_of(*[255] * 8), GUESS))
    shown = evaluator.examples.worst.things
    assert [each.key for each in shown] == ["1.png", "0.png"], "of a picture in which nothing is judged none is shown"
    assert [each.score for each in shown] == pytest.approx([(4 / 6 + 0 + 1) / 3, 1])
    drawing = evaluator.drawings()[0]
    with Image.open(io.BytesIO(drawing.png)) as image:
        assert [cell.row for cell in read_grid(image).cells][::3] == ["mean IoU 55.6%, 1.png", "mean IoU 100.0%, 0.png"]
    assert "the lowest first" in drawing.caption


def test_others_are_drawn_by_lot_and_none_twice():
    examples = evaluated(range(16)).examples
    assert [drawing.name for drawing in evaluated(range(16)).drawings()][:2] == ["worst", "predictions"]
    assert [drawing.name for drawing in evaluated(range(6)).drawings()][:2] == ["worst", "iou-per-class"]
    assert all(shown.score == 0 for shown in examples.worst.things)


def test_states_add_up_whatever_the_order_of_pictures():
    pairs = [(TRUTH, GUESS), (TRUTH, TRUTH.where(TRUTH < 4, 0)), (GUESS, TRUTH.where(TRUTH < 4, 3))]
    batches = [batch(truth, guess[:, None].float(), i) for i, (truth, guess) in enumerate(pairs)]
    one, other, joined = (task().evaluator() for _ in range(3))
    one.update(Says(), batches[1])
    for each in (batches[2], batches[0]):
        other.update(Says(), each)
    joined.load_state(add_states(one.state(), other.state()))
    assert joined.metrics() == measured(*pairs).metrics(), "their intervals too"
    assert joined.tables() == measured(*pairs).tables()


def test_two_segmenters_are_compared_on_resamples_of_the_same_pictures():
    truths = torch.stack([TRUTH[0], GUESS[0]] * 10)
    right, wrong = measured((truths, truths)), measured((truths, truths.flip(0)))
    difference = right.difference(wrong)
    assert difference.value == pytest.approx(1 - metrics(wrong)["miou"].value)
    assert (difference.num_samples, difference.is_told) == (20, True)
    assert right.difference(right).p_value == 1
    assert measured().difference(measured()) is None, "one picture tells nothing"
    assert right.difference(task().evaluator(thorough=False)) is None


def test_what_is_held_for_drawing_is_small():
    job, size = task(), (2 * DRAWN_SIDE + 3, 5)
    evaluator = job.evaluator()
    evaluator.update(Always(1), batch(torch.zeros(1, *size)))
    ((_, _, (picture, truth, guess)),) = evaluator.examples.worst.things
    assert picture.shape[2:] == truth.shape == guess.shape
    assert max(truth.shape) <= DRAWN_SIDE


def random_batch(num=2):
    torch.manual_seed(1)
    return batch(torch.randint(0, 4, (num, *SIZE)), torch.randn(num, 1, *SIZE))


def test_cross_entropy_leaves_out_void_pixels():
    logits = torch.randn(2, 4, *SIZE)
    mask = torch.randint(0, 4, (2, *SIZE))
    mask[:, :3] = api.pictures.VOID
    expected = nn.functional.cross_entropy(logits[:, :, 3:], mask[:, 3:])
    assert torch.allclose(cross_entropy(logits, mask), expected)


def test_class_weights_are_those_of_torch():
    logits, mask, weights = torch.randn(2, 4, *SIZE), torch.randint(0, 4, (2, *SIZE)), [1.0, 0.0, 2.0, 0.5]
    expected = nn.functional.cross_entropy(logits, mask, torch.tensor(weights))
    assert torch.allclose(cross_entropy(logits, mask, weights), expected)


def test_dice_by_hand():
    # two pixels of cat, two of background, probability 3/4 for the truth
    truth = torch.tensor([[[0, 0], [1, 1]]])
    logits = math.log(3) * nn.functional.one_hot(truth, 2).movedim(-1, 1).float()
    dice = 2 * (2 * 0.75) / (2 * 0.75**2 + 2 * 0.25**2 + 2)
    assert float(dice_loss(logits, truth)) == pytest.approx(1 - dice)


def test_dice_is_over_the_classes_that_occur_and_leaves_out_void_pixels():
    truth = torch.tensor([[[0, 0], [1, api.pictures.VOID]]])
    logits = 50.0 * nn.functional.one_hot(torch.tensor([[[0, 0], [1, 2]]]), 4).movedim(-1, 1).float()
    assert float(dice_loss(logits, truth)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("options", [{}, {"dice": 1.0}, {"dice": 1.0, "class_weights": (1, 2, 3, 4)}])
def test_a_batch_of_void_gives_a_loss_of_zero_and_finite_gradients(options):
    job = task(**options)
    module = job.build(encoder())
    loss = job.loss(module, batch(torch.full((2, *SIZE), 255)))
    loss.backward()
    assert float(loss.detach()) == 0
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in module.parameters())


def test_the_loss_is_cross_entropy_and_as_much_dice_as_asked_for():
    sample = random_batch()
    module = task().build(encoder())
    logits, mask = module(sample["image"]).detach(), sample["mask"].long()
    plain, both = (float(task(dice=dice).loss(module, sample).detach()) for dice in (0.0, 0.5))
    assert plain == pytest.approx(float(cross_entropy(logits, mask)))
    assert both == pytest.approx(plain + 0.5 * float(dice_loss(logits, mask)))


@pytest.mark.parametrize("head", ["conv", "shuffle", "upernet"])
def test_training_lowers_the_loss(head):
    job = task(head=head, head_channels=8, dice=1.0)
    image = torch.zeros(2, 1, *SIZE)
    mask = torch.zeros(2, *SIZE)
    image[0, :, :, 4:], mask[0, :, 4:] = 1, 1
    image[1, :, 4:], mask[1, 4:] = -1, 2
    sample, module = batch(mask, image), job.build(encoder())
    optimizer = torch.optim.AdamW(module.parameters(), lr=0.01)
    losses = []
    for _ in range(15):
        loss = job.loss(module, sample)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.7 * losses[0]


def test_predictions_are_files_and_a_row_at_the_pictures_own_size():
    guess = torch.zeros(1, 1, 8, 40)
    guess[..., 10:20] = 2
    with torch.no_grad():
        (found,) = task().predict(Says(), batch(torch.zeros(1, 8, 40), guess))
    mask = np.asarray(Image.open(io.BytesIO(found.files[".mask.png"]())))
    assert mask.shape == (8, 40)
    assert (mask == guess[0, 0].numpy()).all()
    overlay = Image.open(io.BytesIO(found.files[".overlay.png"]()))
    assert overlay.width == 400
    assert overlay.height > 80
    assert found.row == {
        "classes": "dog",
        "share_background": 0.75,
        "share_cat": 0.0,
        "share_dog": 0.25,
        "share_emu": 0.0,
    }


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (13, 7), (100, 3)])
@pytest.mark.parametrize("options", [{}, {"inference": "slide", "flip": True}])
@torch.no_grad()
def test_masks_read_back_are_the_predicted_classes_for_any_size(size, options):
    job = task(head="conv", **options)
    module = job.build(encoder()).eval()
    nn.init.normal_(module.head.classify.weight)
    image = torch.randn(1, 1, *size)
    (found,) = job.predict(module, batch(torch.zeros(1, *size), image))
    file = Image.open(io.BytesIO(found.files[".mask.png"]()))
    assert file.mode == "P"
    assert file.getpalette()[:12] == [value for colour in PALETTE for value in colour]
    assert (np.asarray(file) == job.classes_of(module, image)[0].numpy()).all()
    assert sum(value for name, value in found.row.items() if name != "classes") == pytest.approx(1, abs=1e-5)


def test_several_objects_are_joined_by_semicolons():
    with torch.no_grad():
        (found,) = task().predict(Says(), batch(GUESS, GUESS[:, None].float()))
        (every,) = task(background=None).predict(Says(), batch(GUESS, GUESS[:, None].float()))
    assert found.row["classes"] == "cat;dog;emu"
    assert every.row["classes"] == "background;cat;dog;emu"


def test_notes_say_how_pictures_are_read():
    plain, other = task().describe(), task(inference="slide", flip=True).describe()
    assert "resized to cover 8×8 at their own aspect ratio" in plain[0]
    assert "in windows of that size, averaged with their mirror image" in other[0]
    assert "1,000 resamples of whole pictures" in plain[1]


@pytest.mark.parametrize(("classes", "count"), [((), 0), (("cat",), 1)])
def test_fewer_than_two_mask_classes_are_refused(classes, count):
    data = card(classes, None)
    with pytest.raises(
        api.DataError, match=f"tiny has {count} mask classes; segment needs at least 2: give a data set"
    ):
        Segment(Segment.Options(), data, api.Preprocess.of(data, SIZE))


@pytest.mark.parametrize("weights", [(1.0, 2.0), (1.0, 1.0, 1.0, -1.0), (0.0, 0.0, 0.0, 0.0)])
def test_weights_that_do_not_fit_the_classes_are_refused(weights):
    text = (
        r"task\.class_weights \[.*\] must be one number for each class, none below 0 and not all 0; "
        "the 4 classes are background, cat, dog, emu"
    )
    with pytest.raises(api.SpecError, match=text):
        task(class_weights=weights)


@pytest.mark.parametrize("head", ["shuffle", "upernet"])
def test_series_and_volumes_are_refused_by_heads_for_pictures(head):
    text = f"task.head '{head}' works on pictures, and tiny has data of 3 axes; give --set task.head=light"
    with pytest.raises(api.SpecError, match=text):
        task(head=head).build(encoder((8, 8, 8)))


def test_a_head_that_does_not_suit_the_patches_is_refused():
    with pytest.raises(
        api.SpecError, match=r"task\.head 'light' needs patches whose sides are powers of two, and they"
    ):
        task(head="light").build(api.nets.VisionTransformer((9, 9), (3, 3), 1, 12, 2, 2))


@pytest.mark.parametrize(("fit", "shown"), [("crop", (8, 8, 8)), ("resize", (8, 8, 12))])
def test_volumes_are_read_at_the_resolution_that_they_were_learnt_at(fit, shown):
    data = card(size=(16, 16, 24))
    preprocess = api.Preprocess.of(data, (8, 8, 8), modality=api.modalities.Volumes(), fit=fit)
    job, module = Segment(Segment.Options(), data, preprocess), Says((8, 8, 8))
    image = torch.randint(0, 4, (1, 1, 16, 16, 24)).float()
    classes = job.classes_of(module, image)
    assert {size[2:] for size in module.shown} == {shown}
    assert torch.equal(classes[0], image[0, 0].to(torch.uint8)) == (fit == "crop")
    told = job.describe()[0]
    assert ("read at their own resolution, as in training, in windows of 8×8×8" in told) == (fit == "crop")
    assert ("whose centres count most" in told) == (fit == "crop")
    assert ("resized to cover 8×8×8" in told) == (fit == "resize")


def test_volumes_are_averaged_with_what_is_mirrored_left_to_right():
    data, seen = card(), []
    job = Segment(
        Segment.Options(flip=True), data, api.Preprocess.of(data, (8, 8, 8), modality=api.modalities.Volumes())
    )
    module = job.build(encoder((8, 8, 8)))
    module.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    image = torch.randn(1, 1, 8, 8, 8)
    job.classes_of(module, image)
    assert {torch.equal(each, image) for each in seen} == {True, False}
    assert any(torch.equal(each, image.flip(2)) for each in seen)


@pytest.mark.parametrize("size", [(8,), (8, 8, 4)])
def test_series_and_volumes_are_learnt_measured_and_predicted(size):
    data = card()
    kind = {1: api.modalities.Series(), 3: api.modalities.Volumes()}[len(size)]
    unit = kind.unit.capitalize()
    job = Segment(Segment.Options(dice=1.0, flip=True), data, api.Preprocess.of(data, size, modality=kind))
    module = job.build(encoder(size))
    image = torch.zeros(2, 1, *size)
    image[:, :, 4:] = 1
    sample = batch(image[:, 0] * 2, image)
    optimizer = torch.optim.AdamW(module.parameters(), lr=0.03)
    for _ in range(30):
        optimizer.zero_grad()
        job.loss(module, sample).backward()
        optimizer.step()
    module.eval()
    with torch.no_grad():
        evaluator = job.evaluator()
        evaluator.update(module, sample)
        longer = torch.zeros(1, 1, *(2 * length for length in size))
        longer[:, :, 8:] = 1
        (found,) = job.predict(module, batch(longer[:, 0], longer))
    assert metrics(evaluator)["pixel_accuracy"].value == 1
    drawn = {1: ["iou-per-class", "confusion-matrix"], 3: ["worst", "dice-per-class", "confusion-matrix"]}[len(size)]
    assert [picture.name for picture in evaluator.drawings()] == drawn
    mask = found.values[".mask"]
    assert mask.shape == longer.shape[1:]
    assert (mask == 2 * longer[0].numpy()).mean() > 0.8
    assert mask.dtype.kind == "u"
    assert (set(found.files), set(found.values)) == ({".overlay.png"} if len(size) == 3 else set(), {".mask"})
    how = "read at their own resolution" if len(size) == 1 else "resized to cover 8"
    assert job.describe()[0].startswith(f"{unit} are {how}")


def test_more_than_255_classes_are_learnt_measured_and_predicted_beside_a_void_of_their_own():
    many = tuple(f"kind {q}" for q in range(300))
    data = card(many, None, void=65535)
    job = Segment(Segment.Options(), data, api.Preprocess.of(data, SIZE))

    class Many(Says):
        def forward(self, x, valid=None):
            return 20.0 * nn.functional.one_hot(x[:, 0].round().long(), 300).movedim(-1, 1).float()

    truth = torch.full((1, *SIZE), 299)
    truth[:, :4], truth[:, 7] = 255, 65535
    guess = truth.where(truth < 300, 3)[:, None].float()
    sample = batch(truth, guess, dtype=torch.int32)
    evaluator = job.evaluator()
    evaluator.update(Many(), sample)
    assert evaluator.matrix.sum() == evaluator.matrix[255, 255] + evaluator.matrix[299, 299] == 7 * 8
    assert metrics(evaluator)["miou"].value == 1
    assert evaluator.drawings()[0].png
    (found,) = job.predict(Many(), sample)
    mask = np.asarray(Image.open(io.BytesIO(found.files[".mask.png"]())))
    assert (mask == guess[0, 0].numpy()).all()
    assert Image.open(io.BytesIO(found.files[".overlay.png"]())).width == 400
    assert found.row["classes"] == "kind 3;kind 255;kind 299"
    assert float(job.loss(Many(), sample)) == pytest.approx(0, abs=1e-5), "void cells are not learnt"


def test_predicted_masks_have_the_numbers_of_the_files_that_were_learnt_from():
    data = card().model_copy(update={"files": api.pictures.FileReading(mask_first=1)})
    job = Segment(Segment.Options(), data, api.Preprocess.of(data, SIZE))
    truth = torch.randint(0, 4, (1, *SIZE))
    (found,) = job.predict(Says(), batch(truth, truth[:, None].float()))
    mask = Image.open(io.BytesIO(found.files[".mask.png"]()))
    assert (np.asarray(mask) == truth[0].numpy() + 1).all()
    assert mask.getpalette()[3:15] == [value for colour in PALETTE for value in colour]


def test_void_must_be_the_number_of_no_class():
    data = card(void=3)
    text = (
        "tiny says void of cells with the number 3, which one of its 4 mask classes has; its card needs another number"
    )
    with pytest.raises(api.DataError, match=text):
        Segment(Segment.Options(), data, api.Preprocess.of(data, SIZE))


@pytest.mark.parametrize("void", [-1, 255, 1000])
def test_neither_loss_looks_at_void_cells_whatever_their_number(void):
    logits, mask = torch.randn(2, 4, *SIZE), torch.randint(0, 4, (2, *SIZE))
    mask[:, :3] = void
    for loss in (cross_entropy, dice_loss):
        whole = loss(logits, mask, void=void)
        assert torch.allclose(whole, loss(logits[:, :, 3:], mask[:, 3:], void=void))
        assert torch.equal(whole, loss(torch.where((mask == void)[:, None], 9.0, logits), mask, void=void))


def test_files_are_encoded_when_they_are_asked_for(monkeypatch):
    drawn = []
    monkeypatch.setattr(api.draw, "overlay", lambda *arguments: drawn.append(arguments) or b"png")
    with torch.no_grad():
        (found,) = task().predict(Says(), batch(GUESS, GUESS[:, None].float()))
    assert drawn == []
    assert found.files[".overlay.png"]() == b"png"
    assert len(drawn) == 1


@torch.no_grad()
def test_of_more_than_100_classes_those_of_the_largest_areas_are_named():
    data = card(tuple(f"kind {q}" for q in range(120)))
    job = Segment(Segment.Options(), data, api.Preprocess.of(data, SIZE))
    mask = np.zeros((8, 8), np.uint8)
    mask[:5], mask[5:7] = 9, 4
    row = job._row(mask)
    assert row["classes"] == "kind 4;kind 9"
    assert [row[f"class_{place}"] for place in range(1, 6)] == ["kind 9", "kind 4", "kind 0", "kind 1", "kind 2"]
    assert [row[f"area_{place}"] for place in range(1, 6)] == [0.625, 0.25, 0.125, 0, 0]


@pytest.mark.parametrize("options", [{}, {"dice": 1.0}, {"dice": 0.5, "class_weights": (1.0, 2.0, 3.0, 0.0)}])
def test_micro_batches_teach_the_same_where_some_cells_are_void(options):
    sample, job = random_batch(6), task(**options)
    sample["mask"][:2, :7] = api.pictures.VOID
    sample["mask"][3] = api.pictures.VOID
    assert_parts_teach_the_whole(job, job.build(encoder()), sample)
