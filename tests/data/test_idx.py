from __future__ import annotations

import struct

import numpy as np
import pytest

from maecli import api

VALUES = {"uint8": [0, 255], "int8": [-128, 127], "int16": [-2, 258], "int32": [-1, 70000], "float32": [-0.5, 2.25]}
"""Some that would be others in the other order of bytes, or without a sign."""
FORMS = {"uint8": (8, "B"), "int8": (9, "b"), "int16": (11, "h"), "int32": (12, "i"), "float32": (13, "f")}


@pytest.mark.parametrize("dtype", VALUES)
def test_numbers_of_each_type_are_read_in_this_machines_order(tmp_path, dtype):
    code, form = FORMS[dtype]
    path = tmp_path / "x"
    path.write_bytes(bytes([0, 0, code, 2]) + struct.pack(f">II2{form}", 2, 1, *VALUES[dtype]))
    array = api.pictures.read_idx(path, 2, dtype)
    assert (array.dtype, array.dtype.isnative, array.shape) == (np.dtype(dtype), True, (2, 1))
    assert array.ravel().tolist() == VALUES[dtype]


def test_another_type_than_the_one_that_is_asked_for_is_refused_not_misread(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(bytes([0, 0, 12, 1]) + struct.pack(">Ii", 1, 7))
    with pytest.raises(api.DataError, match="begins with 00000c01, not with 00000801; "):
        api.pictures.read_idx(path, 1)
