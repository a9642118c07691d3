"""Tables of features: names are text, whatever they begin with, and numbers stay as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from maecli.errors import MaeError
from maecli.outputs.features import FeatureFiles, Labels
from maecli.outputs.folder import check_out


def test_names_that_look_like_formulas_are_marked_and_numbers_are_not(tmp_path):
    files = FeatureFiles(tmp_path / "x.csv", None, overwrite=False)
    features = np.array([[-0.5, 1.25], [0.1, -1e-7]], np.float32)
    files.write(features, ["=1+1.png", "-2.5"], Labels(["@cat", "dog"], np.array([0, -1])), {})
    assert (tmp_path / "x.csv").read_text() == (
        "path,label,f0,f1\n'=1+1.png,'@cat,-0.5,1.25\n-2.5,,0.100000001,-1.00000001e-07\n"
    )


def test_a_link_to_nothing_is_told_before_anything_is_computed(tmp_path):
    (tmp_path / "scratch").symlink_to(tmp_path / "gone")
    for check in (lambda out: FeatureFiles(out, "npy", overwrite=False), lambda out: check_out(out, False, "infer")):
        with pytest.raises(MaeError, match=f"^{tmp_path / 'scratch'} is a link to {tmp_path / 'gone'}, which is not"):
            check(tmp_path / "scratch/out")


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize(("call", "name"), [("unlink", "x.npy.csv"), ("replace", "x.npy"), ("replace", "x.npy.csv")])
@pytest.mark.parametrize("when", ["before", "after"])
def test_features_never_stand_beside_the_names_of_others(tmp_path, monkeypatch, call, name, when):
    def write(number: int) -> None:
        features = np.full((1, 2), number, np.float32)
        FeatureFiles(tmp_path / "x.npy", None, overwrite=True).write(features, [f"{number}.png"], None, {})

    write(1)
    change = getattr(Path, call)

    def killed(path: Path, *arguments: object, **options: object) -> object:
        hit = name == Path(*arguments or [path]).name
        if hit and when == "before":
            raise Killed
        result = change(path, *arguments, **options)
        if hit:
            raise Killed
        return result

    with monkeypatch.context() as patch:
        patch.setattr(Path, call, killed)
        with pytest.raises(Killed):
            write(2)
    names = tmp_path / "x.npy.csv"
    if names.exists():
        assert names.read_text() == f"path\n{np.load(tmp_path / 'x.npy')[0, 0]:.0f}.png\n"
    write(3)
    assert names.read_text() == "path\n3.png\n"
    assert np.load(tmp_path / "x.npy").tolist() == [[3, 3]]
