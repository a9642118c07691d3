from __future__ import annotations

import errno
import functools
import itertools
import os
import signal

import numpy as np
import pytest
import torch

from maecli.data.batching import Batching
from maecli.data.sample import Split, TensorSplit
from maecli.errors import BrokenSample, DataError, Fault, LoadingError
from maecli.hardware import default_workers
from maecli.loading import make_loader
from maecli.loading.loader import FIXED, epoch_order, refuse, train_schedule
from maecli.loading.resident import ResidentLoader
from maecli.loading.streamed import StreamedLoader, num_workers
from maecli.modalities.preprocess import Preprocess
from maecli.schema import AugmentSpec, DataSpec

CPU = torch.device("cpu")
NUM = 11
CHANGES = AugmentSpec(crop="pad", crop_padding=1, flip=True, rotate=15, zoom=(0.9, 1.1))
CUTS = AugmentSpec(crop="random-resized", flip=True)


def images(num=NUM, size=(8, 8), channels=1):
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (num, channels, *size), dtype=np.uint8))


class Masked(Split):
    """Pictures of several sizes, whose masks hold their upper bits."""

    keys = tuple("abcdef")

    def __getitem__(self, index):
        image = np.random.default_rng(index).integers(0, 256, (3, 8 + index, 9), dtype=np.uint8)
        return {"image": image, "mask": image[0] >> 6}


class Files(Split):
    """Samples that are read one by one; some cannot be."""

    def __init__(self, broken=(), size=(8, 8)):
        self.images, self.broken = images(size=size), set(broken)

    @property
    def keys(self):
        return [f"{i:02d}.png" for i in range(len(self.images))]

    def __getitem__(self, index):
        if index in self.broken:
            raise BrokenSample(self.keys[index], "truncated file")
        return {"image": self.images[index].numpy(), "label": np.int64(index)}


def in_memory(size=(8, 8)):
    return TensorSplit({"image": images(size=size), "label": torch.arange(NUM)}, Files().keys)


def preprocess(size=(8, 8)):
    return Preprocess(size, 1, (0.0, 255.0), (0.5,), (0.25,))


def streamed(split=None, workers=0, on_fault=refuse, size=(8, 8)):
    return StreamedLoader(split or Files(), preprocess(size), CPU, 0, on_fault, workers=workers)


def resident(split=None, on_fault=refuse, size=(8, 8)):
    return ResidentLoader(split or in_memory(), preprocess(size), CPU, 0, on_fault)


def labels(batches):
    return [batch["label"].tolist() for batch in batches]


def flat(lists):
    return list(itertools.chain.from_iterable(lists))


def test_an_epoch_visits_each_sample_at_most_once_and_drops_what_is_left_over():
    plan = list(train_schedule(0, Batching(11, 4), start_step=0, total_steps=6))
    assert [epoch for epoch, _ in plan] == [0, 0, 1, 1, 2, 2]
    for _, steps in itertools.groupby(plan, key=lambda entry: entry[0]):
        visited = np.concatenate([ids for _, ids in steps])
        assert len(visited) == len(set(visited.tolist())) == 8
        assert set(visited.tolist()) <= set(range(11))


def test_an_epoch_whose_batches_divide_it_visits_every_sample():
    plan = train_schedule(0, Batching(12, 4), start_step=0, total_steps=3)
    assert sorted(np.concatenate([ids for _, ids in plan]).tolist()) == list(range(12))


def test_an_epoch_that_keeps_all_visits_every_sample_in_even_batches():
    plan = list(train_schedule(0, Batching(11, 4, keep=True), start_step=0, total_steps=6))
    assert [epoch for epoch, _ in plan] == [0, 0, 0, 1, 1, 1]
    assert sorted(np.concatenate([ids for _, ids in plan[:3]]).tolist()) == list(range(11))
    assert sorted(len(ids) for _, ids in plan[:3]) == [3, 4, 4]


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("start", range(7))
def test_a_schedule_goes_on_from_any_step_as_if_it_had_never_stopped(start, keep):
    whole = list(train_schedule(3, Batching(11, 4, keep), 0, 6))
    rest = list(train_schedule(3, Batching(11, 4, keep), start, 6))
    assert [(epoch, ids.tolist()) for epoch, ids in rest] == [(epoch, ids.tolist()) for epoch, ids in whole[start:]]


def test_evaluation_draws_the_same_for_every_seed():
    draws = [
        next(ResidentLoader(in_memory(), preprocess(), CPU, seed).eval_batches(4)).draws.uniform("mask", 5)
        for seed in (0, 1)
    ]
    assert draws[0].equal(draws[1])


def test_epochs_and_seeds_have_their_own_orders():
    orders = [epoch_order(seed, epoch, 50).tolist() for seed in (0, 1) for epoch in (0, 1)]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len({tuple(order) for order in orders}) == 4
    assert epoch_order(0, 1, 50).tolist() == orders[1]


@pytest.mark.parametrize("spec", [CHANGES, CUTS])
def test_drawn_samples_are_the_same_resident_and_streamed_and_change_with_each_visit(spec):
    rare = np.where(np.arange(NUM) == 3, NUM, 1) / (2 * NUM - 1)  # every second draw
    loaders = [resident(), resident(Files()), streamed(), streamed(workers=2)]
    for loader in loaders:
        loader.chances = rare
    rows = [list(loader.train_batches(spec, 5, 1, 5)) for loader in loaders]
    for batches in zip(*rows, strict=True):
        for batch in batches[1:]:
            assert batch["label"].equal(batches[0]["label"])
            assert batch["image"].equal(batches[0]["image"])
            assert batch.draws.ids.equal(batches[0].draws.ids)
    first = [
        image for batch in resident_with(rare).train_batches(spec, 5, 0, NUM // 5) for image in images_of(batch, 3)
    ]
    assert len(first) > 3
    assert len({tuple(image.flatten().tolist()) for image in first}) > 1, "each visit has changes of its own"


def resident_with(chances):
    loader = resident()
    loader.chances = chances
    return loader


def images_of(batch, number):
    """Return the images of the visits to a sample."""
    return batch["image"][batch.draws.ids % NUM == number]


def test_a_schedule_of_drawn_samples_goes_on_from_any_step():
    rare = np.where(np.arange(11) == 3, 10, 1) / 20
    whole = [ids.tolist() for _, ids in train_schedule(3, Batching(11, 4), 0, 6, rare)]
    assert [ids.tolist() for _, ids in train_schedule(3, Batching(11, 4), 3, 6, rare)] == whole[3:]


@pytest.mark.parametrize("workers", [0, 2])
def test_resident_and_streamed_samples_make_the_same_training_batches(workers):
    pairs = zip(
        resident().train_batches(CHANGES, 4, 0, 5),
        streamed(workers=workers).train_batches(CHANGES, 4, 0, 5),
        strict=True,
    )
    for one, other in pairs:
        assert one["label"].equal(other["label"])
        assert one["image"].equal(other["image"])
        assert (one.draws.epoch, one.draws.seed) == (other.draws.epoch, other.draws.seed)
        assert one.draws.ids.equal(other.draws.ids)


@pytest.mark.parametrize("make", [resident, streamed])
def test_training_goes_on_from_any_step_with_the_same_batches(make):
    whole = list(make().train_batches(CHANGES, 4, 0, 5))
    rest = list(make().train_batches(CHANGES, 4, 3, 5))
    assert len(rest) == 2
    for one, other in zip(whole[3:], rest, strict=True):
        assert one["image"].equal(other["image"])
        assert one["label"].equal(other["label"])


@pytest.mark.parametrize("make", [resident, streamed])
def test_each_epoch_changes_a_sample_anew(make):
    seen = {}
    for batch in make().train_batches(CHANGES, 4, 0, 4):
        for label, image in zip(batch["label"].tolist(), batch["image"], strict=True):
            seen.setdefault(label, []).append(image)
    twice = [pictures for pictures in seen.values() if len(pictures) == 2]
    assert twice
    assert not all(one.equal(other) for one, other in twice)


@pytest.mark.parametrize("make", [resident, streamed])
def test_a_random_crop_has_the_models_size_and_depends_on_nothing_but_sample_and_epoch(make):
    spec = AugmentSpec(crop="random-resized", crop_scale=(0.3, 0.6))
    large = list(make(size=(4, 4)).train_batches(spec, 5, 0, 2))
    assert all(batch["image"].shape == (5, 1, 4, 4) for batch in large)
    small = list(make(size=(4, 4)).train_batches(spec, 1, 0, 10))
    first = {int(batch["label"]): batch["image"] for batch in small if batch.draws.epoch == 0}
    for batch in large:
        for label, image in zip(batch["label"].tolist(), batch["image"], strict=True):
            assert batch.draws.epoch == 0
            assert torch.allclose(image, first[label][0], atol=1e-5)


@pytest.mark.parametrize("make", [resident, streamed])
def test_evaluation_sees_every_sample_once_in_order_unchanged_and_named(make):
    batches = list(make().eval_batches(4))
    assert labels(batches) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]]  # the last one is partial
    assert [list(batch.keys) for batch in batches][2] == ["08.png", "09.png", "10.png"]
    assert {batch.draws.epoch for batch in batches} == {FIXED}
    expected = (images()[:4].float() / 255 - 0.5) / 0.25
    assert torch.allclose(batches[0]["image"], expected, atol=1e-6)


@pytest.mark.parametrize("make", [resident, streamed])
@pytest.mark.parametrize(("limit", "expected"), [(1, [0]), (3, [0, 3, 7]), (11, [*range(11)]), (99, [*range(11)])])
def test_a_limit_takes_evenly_spaced_samples(make, limit, expected):
    assert flat(labels(make().eval_batches(2, limit=limit))) == expected


@pytest.mark.parametrize("workers", [0, 2])
def test_loading_does_not_touch_torchs_own_generator(workers):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    for _ in streamed(workers=workers).train_batches(CHANGES, 4, 0, 2):
        pass
    assert torch.get_rng_state().equal(before)


@pytest.mark.parametrize("workers", [0, 2])
def test_in_training_a_broken_sample_is_replaced_by_the_next_readable_one_and_reported(workers):
    reports = []
    loader = streamed(Files(broken={2, 3, 10}), workers, reports.append)
    batches = list(loader.train_batches(CHANGES, 4, 0, 4))
    planned = [ids.tolist() for _, ids in train_schedule(0, Batching(NUM, 4), 0, 4)]
    stand_in = {2: 4, 3: 4, 10: 0}
    assert labels(batches) == [[stand_in.get(i, i) for i in ids] for ids in planned]
    assert [batch.draws.ids.tolist() for batch in batches] == labels(batches)
    drawn = {i for ids in planned for i in ids}
    expected = {2, 3, 10} & (drawn | ({3} if 2 in drawn else set()))
    assert {fault.path for fault in reports} == {f"{i:02d}.png" for i in expected}
    assert {fault.reason for fault in reports} == {"truncated file"}


def test_a_stand_in_is_changed_as_it_would_be_in_its_own_place():
    batches = streamed(Files(broken={2, 3, 10}), on_fault=[].append).train_batches(CHANGES, 4, 0, 2)
    whole = {int(b["label"]): b["image"] for b in streamed().train_batches(CHANGES, 1, 0, NUM)}
    for batch in batches:
        for label, image in zip(batch["label"].tolist(), batch["image"], strict=True):
            assert torch.allclose(image, whole[label][0], atol=1e-5)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("batch_size", [1, 2, 4])
def test_in_evaluation_a_broken_sample_is_left_out_and_reported(workers, batch_size):
    reports = []
    batches = list(streamed(Files(broken={0, 2, 3}), workers, reports.append).eval_batches(batch_size))
    assert flat(labels(batches)) == [1, 4, 5, 6, 7, 8, 9, 10]
    assert flat(batch.keys for batch in batches)[:2] == ["01.png", "04.png"]
    assert reports == [Fault(path, "truncated file") for path in ("00.png", "02.png", "03.png")]


def test_a_resident_split_leaves_broken_samples_out_when_it_is_read():
    reports = []
    loader = resident(Files(broken={1, 5}), reports.append)
    assert flat(labels(loader.eval_batches(4))) == [0, 2, 3, 4, 6, 7, 8, 9, 10]
    assert [fault.path for fault in reports] == ["01.png", "05.png"]
    assert flat(batch.keys for batch in loader.eval_batches(4))[1] == "02.png"


def test_without_a_listener_a_broken_sample_stops_the_run():
    with pytest.raises(DataError, match=r"^05\.png: truncated file$"):
        list(streamed(Files(broken={5})).eval_batches(1))
    with pytest.raises(DataError, match=r"^05\.png: truncated file$"):
        list(resident(Files(broken={5})).eval_batches(4))


class Many(Files):
    """More samples than fail by chance."""

    def __init__(self, broken=()):
        super().__init__(broken)
        self.images, self.tries = images(300), 0

    def __getitem__(self, index):
        self.tries += 1
        return super().__getitem__(index)


@pytest.mark.parametrize(("make", "training"), [(streamed, True), (streamed, False), (resident, True)])
def test_data_that_are_gone_are_told_after_few_tries_and_not_sample_by_sample(make, training):
    split, reports = Many(), []
    loader = make(split, on_fault=reports.append)
    batches = loader.train_batches(CUTS, 4, 0, 75) if training else loader.eval_batches(4)
    next(batches)
    split.broken, read = range(300), split.tries
    told = r"^the data cannot be read any more: 32 samples one after the other cannot, nor can those that were read be"
    with pytest.raises(DataError, match=told):
        list(batches)
    assert split.tries - read < 110
    assert len(reports) < 32


@pytest.mark.parametrize("make", [streamed, resident])
def test_many_broken_samples_in_one_place_are_replaced_as_few_are(make):
    split, reports = Many(broken=range(20, 200)), []
    batches = list(make(split, on_fault=reports.append).train_batches(CUTS, 50, 0, 6))
    planned = [ids.tolist() for _, ids in train_schedule(0, Batching(300, 50), 0, 6)]
    assert labels(batches) == [[200 if 20 <= i < 200 else i for i in ids] for ids in planned]
    assert {fault.path for fault in reports} == {f"{i:02d}.png" for i in range(20, 200)}
    assert split.tries < 6 * (180 + 50) + 100  # each once in a batch, and a few to see that others can be read


def test_training_on_nothing_but_broken_samples_is_refused():
    with pytest.raises(DataError, match="none of the 11 training samples can be read"):
        list(streamed(Files(broken=range(NUM)), on_fault=[].append).train_batches(CHANGES, 4, 0, 1))


def test_evaluating_nothing_but_broken_samples_gives_no_batch():
    assert list(streamed(Files(broken=range(NUM)), on_fault=[].append).eval_batches(4)) == []
    assert list(resident(Files(broken=range(NUM)), on_fault=[].append).eval_batches(4)) == []


@pytest.mark.parametrize(
    ("split", "loading", "kind"),
    [
        (in_memory(), "auto", ResidentLoader),
        (Files(), "auto", StreamedLoader),
        (in_memory(), "streamed", StreamedLoader),
        (Files(), "resident", ResidentLoader),
    ],
)
def test_a_split_that_is_in_memory_is_resident_unless_told_otherwise(split, loading, kind):
    loader = make_loader(split, preprocess(), CPU, 0, DataSpec(loading=loading, workers=0))
    assert type(loader) is kind
    assert flat(labels(loader.eval_batches(4))) == list(range(NUM))


def test_the_number_of_workers_leaves_a_core_free(monkeypatch):
    for cores, workers in [(1, 1), (2, 1), (4, 3), (64, 8)]:
        monkeypatch.setattr("os.sched_getaffinity", lambda _, cores=cores: set(range(cores)), raising=False)
        assert default_workers() == workers


def masked(**more):
    wide = Preprocess((8, 8), 3, (0.0, 255.0), (0.0,) * 3, (1.0,) * 3)
    return StreamedLoader(Masked(), wide, CPU, 0, workers=0, **more)


@pytest.mark.parametrize("crop", ["none", "pad", "random-resized", "scale-jitter"])
def test_masks_are_trained_on_at_the_models_size_with_nothing_but_their_numbers_and_void(crop):
    spec = AugmentSpec(crop=crop, flip=True, rotate=20, color=0.2)
    for batch in masked().train_batches(spec, 3, 0, 4):
        assert batch["image"].shape == (3, 3, 8, 8)
        assert batch["mask"].shape == (3, 8, 8)
        assert set(batch["mask"].unique().tolist()) <= {0, 1, 2, 3, 255}


def test_at_their_own_size_pictures_come_one_by_one_and_unchanged():
    batches = list(masked(own_size=True).eval_batches(4))
    assert [tuple(batch["mask"].shape) for batch in batches] == [(1, 8 + i, 9) for i in range(6)]
    for index, batch in enumerate(batches):
        assert torch.allclose(batch["image"][0], torch.from_numpy(Masked()[index]["image"]) / 255)
        assert batch["mask"][0].equal(torch.from_numpy(Masked()[index]["mask"]))


def test_at_their_own_size_samples_come_together_that_are_alike_in_their_files_too():
    class Resampled(Files):
        def size(self, index):
            return 8, 8

        def own_size(self, index):
            return 4 + index % 2, 4

        def __getitem__(self, index):
            return super().__getitem__(index) | {"own_mask": np.zeros(self.own_size(index), np.uint8)}

    spec = DataSpec(workers=0)
    loader = make_loader(Resampled(), preprocess(), CPU, 0, spec, own_size=True)
    shapes = {batch["own_mask"].shape for batch in loader.eval_batches(NUM)}
    assert shapes == {(6, 4, 4), (5, 5, 4)}
    fitted = make_loader(Resampled(), preprocess(), CPU, 0, spec)
    assert all("own_mask" not in batch for batch in fitted.eval_batches(NUM)), "it is of no use at the model's size"


def test_at_their_own_size_pictures_that_differ_are_streamed_and_those_in_memory_stay_together():
    spec = DataSpec(loading="resident", workers=0)
    assert type(make_loader(Files(), preprocess(), CPU, 0, spec, own_size=True)) is StreamedLoader
    loader = make_loader(in_memory(), preprocess((4, 4)), CPU, 0, spec, own_size=True)
    assert [tuple(batch["image"].shape) for batch in loader.eval_batches(6)] == [(6, 1, 8, 8), (5, 1, 8, 8)]


def test_otherwise_masks_are_evaluated_in_the_part_of_the_picture_that_the_model_sees():
    (batch,) = masked().eval_batches(6)
    assert batch["mask"].shape == (6, 8, 8)
    assert set(batch["mask"].unique().tolist()) <= {0, 1, 2, 3}


class Counted(Files):
    """Files that count how often they are decoded."""

    def __init__(self):
        super().__init__()
        self.decoded = []

    def __getitem__(self, index):
        self.decoded.append(index)
        return super().__getitem__(index)


def test_decoded_samples_that_fit_are_kept_between_epochs_and_make_no_difference():
    def batches(cache_bytes):
        split = Counted()
        loader = StreamedLoader(split, preprocess(), CPU, 0, workers=0, cache_bytes=cache_bytes)
        images = [batch["image"] for batch in loader.train_batches(CHANGES, NUM, 0, 5)]
        return images, len(split.decoded)

    plain, decoded = batches(0)
    assert decoded == 5 * NUM
    for room, num_kept in [(NUM * 1024, {NUM}), (4 * 256, {*range(1, NUM)}), (8 * 8, {0})]:
        images, decoded = batches(room)
        assert decoded in {5 * NUM - 4 * num for num in num_kept}
        assert all(one.equal(other) for one, other in zip(plain, images, strict=True))


def same(one, other):
    assert one.tensors.keys() == other.tensors.keys()
    for name, tensor in one.tensors.items():
        assert (tensor.dtype, tensor.shape) == (other[name].dtype, other[name].shape)
        assert tensor.equal(other[name])
    assert one.draws.ids.equal(other.draws.ids)
    assert (one.draws.seed, one.draws.epoch) == (other.draws.seed, other.draws.epoch)
    assert (list(one.keys), list(one.faults)) == (list(other.keys), list(other.faults))


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("crop", ["pad", "random-resized", "scale-jitter"])
def test_through_workers_come_the_very_bits_of_the_main_process(workers, crop):
    wide = Preprocess((8, 8), 3, (0.0, 255.0), (0.0,) * 3, (1.0,) * 3)
    here, there = (StreamedLoader(Masked(), wide, CPU, 0, workers=number) for number in (0, workers))
    spec = AugmentSpec(crop=crop, flip=True, rotate=20, color=0.2)
    for one, other in zip(here.train_batches(spec, 2, 1, 7), there.train_batches(spec, 2, 1, 7), strict=True):
        same(one, other)
    for own_size in (False, True):
        here.own_size = there.own_size = own_size
        for one, other in zip(here.eval_batches(4), there.eval_batches(4), strict=True):
            same(one, other)


class Failing(Files):
    """Files of a plugin, one of which does something odd."""

    def __init__(self, act):
        super().__init__()
        self.act = act

    def __getitem__(self, index):
        if index == 5:
            self.act()
        return super().__getitem__(index)


def raising(error, cause=None):
    def act():
        raise error from cause

    return act


FAULTS = {
    "of a plugin": (
        raising(KeyError("y")),
        (
            r"tests\.loading\.test_loaders\.Failing raised KeyError: 'y' \(test_loaders\.py, line \d+\); a split "
            "raises api.BrokenSample for a sample that is to be left out"
        ),
    ),
    "memory": (
        raising(MemoryError()),
        (
            "memory ran out; use less with a smaller --batch-size, --set data.cache=0 or fewer --workers; --set "
            "data.workers=0 reads in the main process"
        ),
    ),
    "handles": (
        raising(BrokenSample("05.png", "cannot be opened: too many open files"), OSError(errno.EMFILE, "x")),
        (
            r"too few file handles \([\d,]+ are allowed\); raise the limit with ulimit -n; --set data\.workers=0 reads "
            "in the main process"
        ),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", ["resident", 0, 2])
def test_what_is_no_fault_of_a_sample_ends_the_run_and_leaves_none_out(fault, kind):
    act, reason = FAULTS[fault]
    told, split = [], Failing(act)
    make = resident if kind == "resident" else functools.partial(streamed, workers=kind)
    with pytest.raises(LoadingError, match=f"^05\\.png cannot be read: {reason}$") as caught:
        list(make(split, on_fault=told.append).eval_batches(2))
    assert told == []
    assert caught.value.exit_code == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and signals")
@pytest.mark.parametrize("training", [True, False])
def test_a_decoder_that_ends_its_worker_is_told_with_its_sample(training):
    loader = streamed(Failing(lambda: os._exit(7)), 2)
    batches = loader.train_batches(CHANGES, 4, 0, 9) if training else loader.eval_batches(4)
    with pytest.raises(
        LoadingError, match=r"^a data worker ended by itself with exit code 7 while it read 05\.png; --set"
    ):
        list(batches)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and signals")
def test_a_worker_that_is_killed_from_outside_blames_no_sample():
    main = os.getpid()
    split = Failing(lambda: os.getpid() != main and os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(LoadingError, match=r"^a data worker was killed by SIGKILL, as the system does when memory"):
        list(streamed(split, 2).eval_batches(4))


@pytest.mark.parametrize(
    ("num_files", "own_size", "workers"),
    [(63, False, 0), (200, False, 3), (10_000, False, 7), (15, True, 0), (31, True, 1), (10_000, True, 2)],
)
def test_processes_are_started_where_they_pay_and_few_for_large_pictures(monkeypatch, num_files, own_size, workers):
    monkeypatch.setattr("maecli.loading.streamed.default_workers", lambda: 7)
    assert num_workers(num_files, 64, own_size) == workers
