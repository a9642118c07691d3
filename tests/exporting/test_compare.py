from __future__ import annotations

import pytest
import torch

from maecli.errors import MaeError
from maecli.exporting.compare import Agreement, check_agreements, compared, difference, worst


def test_small_numbers_differ_by_themselves_and_large_ones_by_their_share():
    assert difference(torch.tensor([0.5, 0.25]), torch.tensor([0.5, 0.5])) == 0.25
    assert difference(torch.tensor([-200.0, 0.0]), torch.tensor([-200.0, 2.0])) == 0.01


def test_of_classes_the_share_of_cells_that_differ_counts():
    assert difference(torch.tensor([1, 2, 3, 4]), torch.tensor([1, 2, 3, 9], dtype=torch.uint8)) == 0.25


@pytest.mark.parametrize("theirs", [torch.zeros(2), torch.tensor([torch.nan])])
def test_another_shape_and_nan_never_agree(theirs):
    assert not Agreement("logits", difference(torch.zeros(1), theirs), 1e9).holds


def test_an_output_that_the_file_lacks_is_named():
    with pytest.raises(MaeError, match="gives no logits"):
        compared({"logits": torch.zeros(1)}, {"other": torch.zeros(1)}, 0.0)


def test_the_worst_of_each_output_is_told():
    found = worst([Agreement("a", 0.1, 1), Agreement("a", 0.3, 1), Agreement("b", 0.2, 1), Agreement("a", 0.2, 1)])
    assert [(one.output, one.difference) for one in found] == [("a", 0.3), ("b", 0.2)]


def test_what_is_too_far_off_is_an_error_that_names_both_numbers():
    with pytest.raises(
        MaeError, match=r"model.onnx does not answer .*mask: largest difference 0.5 \(tolerance 0.001\)"
    ):
        check_agreements([Agreement("mask", 0.5, 1e-3)], "model.onnx")
