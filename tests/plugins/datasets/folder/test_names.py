from __future__ import annotations

import pytest
from maecli_plugins.datasets.folder.names import check_groups

from maecli.api import DataError
from maecli.api.pictures import LabelRow


def test_a_group_in_two_splits_is_refused(tmp_path):
    rows = {"a": LabelRow(2, "", None, "p"), "b": LabelRow(3, "", None, "p"), "c": LabelRow(4, "", None, "p")}
    path = tmp_path / "labels.csv"
    check_groups(path, {"a": "train", "c": "train"}, rows)
    with pytest.raises(DataError, match="line 4: group 'p' is in test here and in train in line 2"):
        check_groups(path, {"a": "train", "c": "test"}, rows)
