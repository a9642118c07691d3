"""What training runs keep beside their weights: read as plain values, and nothing of it is run."""

from __future__ import annotations

import argparse
import collections
import copyreg
import datetime
import pathlib
import pickle
import sys
import types
import uuid

import numpy as np
import pytest
import torch

from maecli.errors import MaeError
from maecli.weights.files import read_weights

STATE = {"a.weight": torch.ones(2)}


def beside(tmp_path, value, zipped=True):
    path = tmp_path / "x.pth"
    torch.save({"model": STATE, "value": value}, path, _use_new_zipfile_serialization=zipped)
    file = read_weights(path)
    assert list(file.tensors) == ["a.weight"]
    return file.beside["value"]


VALUES = {
    "float64": (np.float64(0.25), 0.25),
    "float32": (np.float32(0.5), 0.5),
    "big-endian": (np.dtype(">f4").type(2), 2.0),
    "int64": (np.int64(-3), -3),
    "bool": (np.bool_(True), True),
    "nan": (np.float64("nan"), "nan"),
    "text of numpy": (np.str_("ViT-ü"), "ViT-ü"),
    "date of numpy": (np.datetime64("2024-01-01"), "scalar of M8"),
    "array": (np.zeros((3, 4), np.float32), "array 3×4 of f4"),
    "state of a generator": (np.random.RandomState(0).get_state()[1], "array 624 of u4"),
    "path": (pathlib.PosixPath("/data/imagenet"), "/data/imagenet"),
    "path of Windows": (pathlib.PureWindowsPath("C:\\data", "x"), "C:\\data\\x"),
    "day": (datetime.date(2024, 3, 1), "2024-03-01"),
    "time": (datetime.datetime(2024, 3, 1, 12, tzinfo=datetime.UTC), "2024-03-01 12:00:00"),
    "span": (datetime.timedelta(hours=30), "1 day, 6:00:00"),
    "default dictionary": (collections.defaultdict(list, a=[1]), "OrderedDict of 1"),
    "namespace": (types.SimpleNamespace(lr=np.float64(0.1), out=pathlib.Path("runs")), {"lr": 0.1, "out": "runs"}),
    "arguments": (argparse.Namespace(out=pathlib.PosixPath("runs/1"), seed=np.int64(3)), {"out": "runs/1", "seed": 3}),
    "version of torch": (torch.__version__, str(torch.__version__)),
    "frozen set": (frozenset([1]), "frozenset"),
    "range": (range(3), "range"),
    "uuid": (uuid.UUID(int=1), "UUID"),
}


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("name", VALUES)
def test_what_lies_beside_the_weights_is_told_as_a_plain_value(name, zipped, tmp_path):
    value, expected = VALUES[name]
    assert beside(tmp_path, value, zipped) == expected


@pytest.mark.parametrize("module", ["numpy.core.multiarray", "numpy._core.multiarray"])
def test_numbers_of_either_numpy_are_read(module, tmp_path, monkeypatch):
    class Scalar:
        def __reduce__(self):
            return scalar, (np.dtype("f8"), np.float64(0.75).tobytes())

    def scalar(*_):
        raise AssertionError("was run")

    scalar.__module__, scalar.__qualname__ = module, "scalar"
    fake = types.ModuleType(module)
    fake.scalar = scalar
    with monkeypatch.context() as context:
        context.setitem(sys.modules, module, fake)
        torch.save({"model": STATE, "best": Scalar()}, tmp_path / "x.pth")
    assert read_weights(tmp_path / "x.pth").beside == {"best": 0.75}


@pytest.mark.parametrize("module", ["pathlib", "pathlib._local"])
@pytest.mark.parametrize(
    ("name", "expected"), [("PosixPath", "/a/b"), ("WindowsPath", "\\a\\b")], ids=["posix", "windows"]
)
def test_paths_of_either_system_are_read_on_the_other(module, name, expected, tmp_path, monkeypatch):
    class Elsewhere:
        def __reduce__(self):
            return made, ("/", "a", "b")

    def made(*_):
        raise AssertionError("was run")

    made.__module__, made.__qualname__ = module, name
    fake = types.ModuleType(module)
    setattr(fake, name, made)
    with monkeypatch.context() as context:
        context.setitem(sys.modules, module, fake)
        data = pickle.dumps({"model": {}, "out": Elsewhere()}, protocol=2)
        assert module.encode() in data
        torch.save({"model": STATE, "out": Elsewhere()}, tmp_path / "x.pth")
    assert read_weights(tmp_path / "x.pth").beside == {"out": expected}


@pytest.mark.parametrize(
    ("module", "name", "base", "expected"),
    [
        ("omegaconf.dictconfig", "DictConfig", object, "DictConfig"),
        ("pytorch_lightning.utilities.parsing", "AttributeDict", dict, "OrderedDict of 1"),
        ("yacs.config", "CfgNode", dict, "OrderedDict of 1"),
    ],
    ids=["omegaconf", "lightning", "yacs"],
)
def test_configurations_of_training_tools_are_read_without_them(module, name, base, expected, tmp_path, monkeypatch):
    kind = type(name, (base,), {"__module__": module})
    fake = types.ModuleType(module)
    setattr(fake, name, kind)
    config = kind()
    config.__dict__["_content"] = {"lr": 0.1}
    if base is dict:
        config["lr"] = 0.1
    with monkeypatch.context() as context:
        context.setitem(sys.modules, module, fake)
        parts = module.split(".")
        for end in range(1, len(parts)):
            context.setitem(sys.modules, ".".join(parts[:end]), types.ModuleType(".".join(parts[:end])))
        torch.save({"state_dict": STATE, "hyper_parameters": config}, tmp_path / "x.ckpt")
    assert read_weights(tmp_path / "x.ckpt").beside == {"hyper_parameters": expected}


def test_a_class_that_has_no_stand_in_is_refused_by_name(tmp_path):
    torch.save({"model": STATE, "config": copyreg.__newobj__}, tmp_path / "x.pth")
    with pytest.raises(MaeError, match=r"calls for copyreg.__newobj__, which weights do not need: refused"):
        read_weights(tmp_path / "x.pth")


def test_a_value_that_its_class_would_refuse_is_told(tmp_path):
    class Odd:
        def __reduce__(self):
            return datetime.date, ("never",)

    torch.save({"model": STATE, "day": Odd()}, tmp_path / "x.pth")
    with pytest.raises(MaeError, match=r"cannot be read|that can be read without running it \(TypeError\)"):
        read_weights(tmp_path / "x.pth")
